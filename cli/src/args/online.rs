//! License Central for its customers on the command line: tickets, renewals, releases.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Where the vendor's Gateway is.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct GatewayArgs {
    /// The vendor's Gateway, such as https://licenses.example.com/v1/acme
    #[arg(long, value_name = "URL", env = "STRONGROOM_GATEWAY")]
    pub(crate) gateway: String,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Whom to trust on the way.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct TrustArgs {
    /// Authority of the server's certificate, in PEM, besides those that this machine trusts
    #[arg(long, value_name = "FILE", env = "STRONGROOM_CA")]
    pub(crate) ca: Option<PathBuf>,
}

/// How changes of a container are applied.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// For a container on another machine: the file that `strongroom container context` wrote there
    #[arg(long, value_name = "FILE", requires = "response")]
    pub(crate) request: Option<PathBuf>,
    /// Where what comes back is written, to be applied there: strongroom update apply
    #[arg(long, value_name = "FILE", requires = "request")]
    pub(crate) response: Option<PathBuf>,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CollectArgs {
    /// Only send a receipt, which `strongroom update apply` wrote on another machine
    #[arg(long, value_name = "FILE", conflicts_with = "request")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WizardArgs {
    /// The vendor's Gateway; asked for if it is not named
    #[arg(long, value_name = "URL", env = "STRONGROOM_GATEWAY")]
    pub(crate) gateway: Option<String>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ActivateArgs {
    /// The ticket, as it was sent to you
    pub(crate) ticket: String,
    /// Product of it that is meant (repeatable); all if none is named
    #[arg(long, value_name = "CODE")]
    pub(crate) product: Vec<u32>,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReleaseArgs {
    /// Product that is meant (repeatable); all if none is named
    #[arg(long, value_name = "CODE")]
    pub(crate) product: Vec<u32>,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MoveArgs {
    /// Serial of the container that gets them: connected here, or elsewhere
    #[arg(long, value_name = "SERIAL")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) release: ReleaseArgs,
}

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("claim").required(true).args(["ticket", "inventory"]))]
pub(crate) struct RestoreArgs {
    /// Ticket of which licenses are in the lost container: with --lost
    #[arg(long, requires = "lost")]
    pub(crate) ticket: Option<String>,
    /// Serial of the lost container
    #[arg(long, value_name = "SERIAL", requires = "ticket")]
    pub(crate) lost: Option<String>,
    /// Instead of both, the inventory that it wrote while it was there
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Serial of the container that gets its licenses; else they are free for their tickets
    #[arg(long, value_name = "SERIAL")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}
