//! Arguments of what prepares for, and makes, the end of a container's use.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct InventoryArgs {
    /// The vendor: root file, fingerprint, or name or number in the container; all if not given
    #[arg(long, value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// Write a file for each vendor into this folder, made if missing: each shows its own vendor's
    /// entries alone
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DecommissionArgs {
    /// Write the final statements into this folder, made if missing: a file for each vendor. They
    /// can be had again at any time
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Do not ask for the serial
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be lost
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VendorInventoryArgs {
    /// The inventory
    pub(crate) file: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
}
