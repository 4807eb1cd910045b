//! The grammar of `vendor key`: who may sign what.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use protocol::signed::Role;

use super::{KeyStoreArgs, NewKeyArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List roles and their keys, whom a right was handed on to, and what was revoked
    List {
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
    },
    /// Give a role new keys, by the next root
    Rotate(RotateArgs),
    /// Hand a part of the right to issue on, in a directory for whom it is for
    Delegate(Box<DelegateArgs>),
    /// Take keys, containers and firmware out of use
    Revoke(RevokeArgs),
    /// Split a role's private keys into shares, some of which give them back
    Split(SplitArgs),
    /// Join shares into a key file
    Join(JoinArgs),
    /// Write a file with all roots and the newest revocations, for users to apply
    Export {
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RotateArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// The role that gets new keys
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// How many keys it gets; as many as it has if not given
    #[arg(long, value_name = "N")]
    pub(crate) keys: Option<u8>,
    /// How many of them must sign (root, revocation, recovery)
    #[arg(long, value_name = "M")]
    pub(crate) threshold: Option<u8>,
    /// Suite of what the role signs for hosts alone: 2 adds a key with ML-DSA-65 (licensing); as it
    /// is if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) suite: Option<u8>,
    /// Last moment of the new root, for who knows the time
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Write each new private key to a file in this folder, instead of the vendor directory
    #[arg(long, value_name = "DIR", conflicts_with = "NewKeyArgs")]
    pub(crate) out: Option<PathBuf>,
    /// File that holds the passphrase of those files; that of the vendor directory if not given
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) out_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) new: NewKeyArgs,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SplitArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// The role; its keys leave the vendor directory
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// How many shares
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(crate) shares: u8,
    /// How many of them give the keys back
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(crate) threshold: u8,
    /// Folder to write them to
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// File that holds the passphrase of a new share: the first for the first, and so on; else they
    /// are asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Vec<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct JoinArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Where to write the key file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DelegateArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Whom it is for
    #[arg(long)]
    pub(crate) name: String,
    /// Products: one, or FIRST..LAST
    #[arg(long, value_name = "RANGE")]
    pub(crate) product: String,
    /// Seats of one license, at most
    #[arg(long, value_name = "N")]
    pub(crate) quantity: u32,
    /// Seats issued in one day, at most; containers do not see this, the signer of a server does
    #[arg(long, default_value_t = u32::MAX, value_name = "N")]
    pub(crate) per_day: u32,
    /// Last moment
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// How many times it may be handed on
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) depth: u8,
    /// Generations of item keys that go along, up to this one
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) generation: u16,
    /// The directory to make
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// File that holds the passphrase of the new directory; that of the vendor if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RevokeArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// A key that signs licenses, by its id (repeatable)
    #[arg(long, value_name = "ID")]
    pub(crate) key: Vec<String>,
    /// A container, by the serial that something was issued for, or by the id that License Central
    /// shows (repeatable)
    #[arg(long, value_name = "SERIAL")]
    pub(crate) serial: Vec<String>,
    /// Firmware: one version, or FIRST..LAST (repeatable)
    #[arg(long, value_name = "RANGE")]
    pub(crate) firmware: Vec<String>,
    /// Let a key, serial or firmware range count again (repeatable)
    #[arg(long, value_name = "WHAT")]
    pub(crate) restore: Vec<String>,
    /// Until when these revocations tell the present; for ever if not given
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PerpetuateArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// The container's context file
    #[arg(long, value_name = "FILE")]
    pub(crate) context: PathBuf,
    /// Products: one, or FIRST..LAST
    #[arg(long, value_name = "RANGE")]
    pub(crate) product: String,
    /// Where to write the update
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Go on from the state that the context shows, though it was not made here
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) store: KeyStoreArgs,
}

/// A role of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Signs roots
    Root,
    /// Signs licenses
    Licensing,
    /// Signs protected programs and files
    Protect,
    /// Certifies containers
    Device,
    /// Signs times
    Time,
    /// Takes keys, containers and firmware out of use
    Revocation,
    /// Acknowledges usage logs
    Log,
    /// Turns licenses with a checkpoint perpetual
    Recovery,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Root => Role::Root,
            RoleArg::Licensing => Role::Licensing,
            RoleArg::Protect => Role::Protect,
            RoleArg::Device => Role::Device,
            RoleArg::Time => Role::Time,
            RoleArg::Revocation => Role::Revocation,
            RoleArg::Log => Role::Log,
            RoleArg::Recovery => Role::Recovery,
        }
    }
}
