//! License Central on the command line: tickets, renewals, releases, and its administration.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use vendor::OptionArgs;

/// Where the vendor's Gateway is.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct GatewayArgs {
    /// The vendor's Gateway, such as https://licenses.example.com/v1/acme
    #[arg(long, value_name = "URL", env = "STRONGROOM_GATEWAY")]
    pub(crate) gateway: String,
}

/// How changes of a container are applied.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct DeliverArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
    /// Product that is meant (repeatable); all if none is named
    #[arg(long, value_name = "CODE")]
    pub(crate) product: Vec<u32>,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ActivateArgs {
    /// The ticket, as it was sent to you
    pub(crate) ticket: String,
    #[command(flatten)]
    pub(crate) deliver: DeliverArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CentralCommand {
    /// Keep the address and the key of a Central for the commands below
    Login {
        /// Its Admin interface, such as http://127.0.0.1:7413
        #[arg(long, value_name = "URL")]
        admin: String,
        /// Its Sales interface
        #[arg(long, value_name = "URL")]
        sales: String,
        /// File that holds the key; else STRONGROOM_CENTRAL_KEY
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Products
    #[command(subcommand)]
    Product(ProductVerb),
    /// Items: what is sold
    #[command(subcommand)]
    Item(ItemVerb),
    /// Orders
    #[command(subcommand)]
    Order(OrderVerb),
    /// Tickets
    #[command(subcommand)]
    Ticket(TicketVerb),
    /// Grants: each license, and where it is
    #[command(subcommand)]
    Grant(GrantVerb),
    /// What was done, by whom
    #[command(subcommand)]
    Audit(AuditVerb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProductVerb {
    /// Define a product, with the terms of its licenses
    Add {
        /// Its Product Code
        #[arg(long, value_name = "CODE")]
        code: u32,
        /// Its name
        #[arg(long)]
        name: String,
        #[command(flatten)]
        terms: Box<OptionArgs>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ItemVerb {
    /// Define what is sold under a number
    Add {
        /// Its number, as in the shop
        #[arg(long)]
        sku: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// Product that is in it (repeatable)
        #[arg(long, value_name = "CODE", required = true)]
        product: Vec<u32>,
        /// What the quantity of an order multiplies
        #[arg(long, value_enum, default_value_t)]
        counts: CountsArg,
        /// Terms that go before those of its products
        #[command(flatten)]
        terms: Box<OptionArgs>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List,
}

/// What the quantity of an order multiplies.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum CountsArg {
    /// Devices on which the ticket is redeemed
    #[default]
    Devices,
    /// Seats of the one license
    Seats,
    /// Units of the one license
    Units,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrderVerb {
    /// Take an order in; prints its ticket. The same number, line and period is the same order
    Add {
        /// Its number
        #[arg(long)]
        number: String,
        /// Its line
        #[arg(long, default_value_t = 1)]
        line: u32,
        /// The period that is paid for, such as 2027-03
        #[arg(long, default_value = "")]
        period: String,
        /// The item
        #[arg(long)]
        sku: String,
        /// How many
        #[arg(long, default_value_t = 1)]
        quantity: u32,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TicketVerb {
    /// What a ticket has, and where it is
    Show {
        /// Its id, tic_…
        id: String,
    },
    /// List them
    List,
    /// Make a new code for a ticket; the old one is worth nothing from then on
    Replace {
        /// Its id, tic_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantVerb {
    /// List them
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List what was done, the oldest first
    List,
}
