//! Arguments of what keeps containers going: time, usage logs.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::KeyStoreArgs;
use super::online::TrustArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct TimeArgs {
    /// The vendor: root file, fingerprint, or name or number in the container; all if not given
    #[arg(long, value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// Write a request for certified time, which that vendor must answer within two minutes
    #[arg(long, value_name = "FILE", requires = "firm", conflicts_with = "apply")]
    pub(crate) ask: Option<PathBuf>,
    /// Give the container the vendor's answer
    #[arg(long, value_name = "FILE")]
    pub(crate) apply: Option<PathBuf>,
    /// Ask the vendor's Gateway, such as https://licenses.example.com/v1/acme, and give the
    /// container its answer
    #[arg(long, value_name = "URL", conflicts_with_all = ["firm", "ask", "apply"])]
    pub(crate) gateway: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// For a container on another machine: the file that --ask wrote there
    #[arg(long, value_name = "FILE", requires_all = ["gateway", "response"])]
    pub(crate) request: Option<PathBuf>,
    /// Where the Gateway's answer is written, for --apply there
    #[arg(long, value_name = "FILE", requires = "request")]
    pub(crate) response: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct LogArgs {
    /// The vendor: root file, fingerprint, or name or number in the container; the only one if not
    /// given
    #[arg(long, value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// Write the log to a file: send it to the vendor
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Give the container the vendor's acknowledgement: what the vendor has is forgotten here
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) acknowledge: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VendorTimeArgs {
    /// The container's request
    pub(crate) request: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Seconds by which this machine's clock may be wrong
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    pub(crate) radius: u32,
    /// Where to write the token
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct VendorLogArgs {
    /// The container's usage log
    pub(crate) file: PathBuf,
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Where to write the acknowledgement
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PinCommand {
    /// Set a PIN: new vendors, names and data of the owner need it from then on
    Set {
        #[command(flatten)]
        new: NewPinArgs,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the PIN away
    Remove {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Replace a forgotten PIN, with the recovery code that was shown when it was set
    Reset {
        #[command(flatten)]
        new: NewPinArgs,
        /// File that holds the recovery code (also STRONGROOM_RECOVERY_CODE; else it is asked for)
        #[arg(long, value_name = "FILE")]
        recovery_file: Option<PathBuf>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NewPinArgs {
    /// File that holds the new PIN (also STRONGROOM_NEW_PIN; else it is asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) new_pin_file: Option<PathBuf>,
    /// Write the recovery code to this file, readable by its owner only, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(crate) recovery_out: Option<PathBuf>,
}
