//! Licenses whose seats License Central gives over the network.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::ListArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum SeatVerb {
    /// Serve a free license: programs take its seats over the network
    Serve(ServeArgs),
    /// How many seats of a license are taken
    Show {
        /// Id of the grant, gra_…
        id: String,
    },
    /// Take a license back: at once where no seat is taken, else none is given or kept any more
    Unserve {
        /// Id of the grant, gra_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// Id of the grant, gra_…
    pub(crate) id: String,
    /// How often whoever holds a seat says so
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    pub(crate) heartbeat: String,
    /// Without that, until a seat is lost
    #[arg(long, value_name = "SPAN", default_value = "180s")]
    pub(crate) timeout: String,
    /// For how long a seat stays taken behind that; without, the license says it
    #[arg(long, value_name = "SPAN")]
    pub(crate) linger: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialVerb {
    /// Make one, in a file that only you may read
    Add {
        /// Id of the grant that is served, gra_…
        grant: String,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List those of a license
    List {
        /// Id of the grant, gra_…
        grant: String,
        #[command(flatten)]
        list: ListArgs,
    },
    /// End one: seats that it took can be kept no more, unless another of the license keeps them
    Revoke {
        /// Its id, crd_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}
