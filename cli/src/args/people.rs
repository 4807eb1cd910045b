//! Arguments of the commands around the tools: `doctor`, `completions`, `man`; and of a use that is
//! tried.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

use super::Access;

/// A use, as a program would ask for it.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct UseArgs {
    /// The vendor, where several are in the container
    #[arg(long, requires = "product", value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// Features that the use needs
    #[arg(long, requires = "product", value_name = "MAP")]
    pub(crate) features: Option<String>,
    /// How the use is counted
    #[arg(long, requires = "product", value_enum, default_value = "user-limit")]
    pub(crate) access: Access,
    /// Release date of what is used
    #[arg(long, requires = "product", value_name = "TIME")]
    pub(crate) release: Option<String>,
    /// Age of the container's certified time, at most, in seconds; 0 = any
    #[arg(long, requires = "product", default_value_t = 0, value_name = "SECONDS")]
    pub(crate) certified_age: u32,
    /// Units that the use takes
    #[arg(long, requires = "product", default_value_t = 0, value_name = "N")]
    pub(crate) units: u32,
    /// Generation of the item key
    #[arg(long, requires = "product", default_value_t = 0, value_name = "N")]
    pub(crate) generation: u16,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Write a support bundle, readable text without secrets
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: Option<PathBuf>,
    /// Also try a use of this product, without using anything
    #[arg(long, value_name = "CODE")]
    pub(crate) product: Option<u32>,
    #[command(flatten)]
    pub(crate) uses: UseArgs,
    /// Seconds that a source of containers may take before it counts as silent
    #[arg(long, default_value_t = 20, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) wait: u64,
    /// Print the udev rule for dongles, and check nothing
    #[arg(long, conflicts_with_all = ["bundle", "product"])]
    pub(crate) udev_rule: bool,
    /// Show the bundle instead of writing it
    #[arg(long, requires = "bundle")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, made if missing; pages that are there are
    /// replaced
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Only say what would be written
    #[arg(long, requires = "out")]
    pub(crate) dry_run: bool,
}
