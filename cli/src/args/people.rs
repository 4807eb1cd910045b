//! Arguments of the commands around the tools: `doctor`, `completions`, `man`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

use super::UseArgs;

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
    /// Judge the uses of somebody's support bundle once more, by what stands in it, and check
    /// nothing here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "product", "udev_rule"])]
    pub(crate) replay: Option<PathBuf>,
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
