//! Soft licenses: containers that a TPM of this machine seals.

use std::fmt;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::online::TrustArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum TpmCommand {
    /// Look whether this machine can bind licenses, and to what; nothing is changed
    Probe,
    /// Make a container for the licenses of one vendor on this machine, certified by the vendor
    Init(InitArgs),
    /// Test the TPM of this machine, and how long it takes; nothing stays
    Selftest,
    /// Containers of this machine and, where one is locked, why, and the way out
    Status(FolderArgs),
    /// Bind a container anew to this machine after parts of it were replaced, or bind it more
    /// tightly
    Rebind(RebindArgs),
    /// End the helper that serves a container; the next use starts it again
    Stop(FolderArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    /// Address of the vendor's Gateway (also STRONGROOM_GATEWAY)
    #[arg(long, value_name = "URL", env = "STRONGROOM_GATEWAY", hide_env_values = true)]
    pub(crate) gateway: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The vendor, where its Gateway cannot be reached from here: its root file or fingerprint
    #[arg(long, value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// Folder of the container; without, one of this user
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Make a new container in place of one that is locked for good; the old folder is kept beside
    #[arg(long)]
    pub(crate) again: bool,
    /// How much of the machine may change: off, which is the default with a TPM, or loose, medium
    /// or strict
    #[arg(long, value_name = "TOLERANCE")]
    pub(crate) tolerance: Option<Tolerance>,
    /// Bind it to this machine by its traits alone, medium where nothing is said: what is weaker
    /// than a TPM
    #[arg(long)]
    pub(crate) without_tpm: bool,
    /// By files: with --gateway the file to send to the vendor, from a machine without a way to
    /// him; else where to write it
    #[arg(long, value_name = "FILE")]
    pub(crate) request: Option<PathBuf>,
    /// By files: with --gateway where to write what comes back; else the file that came back
    #[arg(long, value_name = "FILE")]
    pub(crate) response: Option<PathBuf>,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How much of a machine may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tolerance {
    /// All: the machine's traits are not asked for
    Off,
    /// A board and something small
    Loose,
    /// A disk with all that is on it, or a board
    Medium,
    /// One part
    Strict,
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tolerance::Off => "off",
            Tolerance::Loose => "loose",
            Tolerance::Medium => "medium",
            Tolerance::Strict => "strict",
        })
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RebindArgs {
    /// Folder of the container, where there are several
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How much of the machine may change from now on; without, as much as before
    #[arg(long, value_name = "TOLERANCE")]
    pub(crate) tolerance: Option<Tolerance>,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what has changed, and whether it may be bound anew
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct FolderArgs {
    /// Folder of a container, or of several; without, those of this user and of the machine
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
