//! Administration of soft licenses on the command line: rules, and makers of TPMs.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::ListArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum SoftVerb {
    /// Show the rules
    Show,
    /// Change rules; what is not named stays
    Set(SoftSetArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SoftSetArgs {
    /// How often in 365 days what a lost container held goes by itself to a new one on the same
    /// machine
    #[arg(long, value_name = "TIMES")]
    pub(crate) same_machine: Option<u32>,
    /// How often in 365 days it does where the machine is another one, or has no TPM
    #[arg(long, value_name = "TIMES")]
    pub(crate) elsewhere: Option<u32>,
    /// Whether licenses without an end and without a checkpoint need a physical TPM
    #[arg(long, value_enum)]
    pub(crate) physical_tpm: Option<OnOff>,
    /// Whether virtual machines without a TPM are certified
    #[arg(long, value_enum)]
    pub(crate) allow_vm: Option<OnOff>,
    /// What is done where a container turns out to have a copy
    #[arg(long, value_enum)]
    pub(crate) copies: Option<Copies>,
    /// For how many days a container may be used after its machine was copied or changed
    #[arg(long, value_name = "DAYS")]
    pub(crate) grace: Option<u32>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is done where a container turns out to have a copy; that one gets nothing in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Copies {
    /// Nobody gets anything until a person decided
    All,
    /// The one that asked first goes on, and a person decides
    Newest,
    /// The one that asked first goes on, and the evidence is kept
    Notify,
}

impl Copies {
    /// As License Central writes it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Copies::All => "all",
            Copies::Newest => "newest",
            Copies::Notify => "notify",
        }
    }
}

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    /// It is
    On,
    /// It is not
    Off,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityVerb {
    /// Believe a maker of TPMs
    Add {
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// Its certificate: X.509, PEM or DER
        #[arg(value_name = "FILE")]
        certificate: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List(ListArgs),
    /// Believe it no more; containers that were certified by its word stay what they were
    Remove {
        /// Its id, as `list` shows it
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

impl OnOff {
    /// The same as true or false.
    pub(crate) fn is_on(self) -> bool {
        self == OnOff::On
    }
}
