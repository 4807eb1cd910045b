//! Administration of License Central on the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use vendor::OptionArgs;

use super::online::TrustArgs;
use super::served::{CredentialVerb, SeatVerb};
use super::soft::{AuthorityVerb, OnOff, SoftVerb};

/// How a decision of the vendor is made.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct DecideArgs {
    /// Why, for the audit
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a list is shown.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ListArgs {
    /// Print it as a table, CSV, with all fields
    #[arg(long)]
    pub(crate) csv: bool,
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
        #[command(flatten)]
        trust: TrustArgs,
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
    /// Bring in what was there before: customers, orders, existing licenses, from CSV
    #[command(subcommand)]
    Import(ImportVerb),
    /// Tickets
    #[command(subcommand)]
    Ticket(TicketVerb),
    /// Grants: each license, and where it is
    #[command(subcommand)]
    Grant(GrantVerb),
    /// Seats of licenses that Central serves over the network
    #[command(subcommand)]
    Seat(SeatVerb),
    /// Credentials, with which programs take such seats
    #[command(subcommand)]
    Credential(CredentialVerb),
    /// Devices: the containers that licenses are in
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Cases: containers that showed what nothing that was issued leads to, or that were lost
    #[command(subcommand)]
    Case(CaseVerb),
    /// Rules for soft licenses: licenses of lost containers, machines without a physical TPM
    #[command(subcommand)]
    Soft(SoftVerb),
    /// Authorities: makers of TPMs that are believed
    #[command(subcommand)]
    Authority(AuthorityVerb),
    /// People who administer, each with any number of keys
    #[command(subcommand)]
    User(UserVerb),
    /// Keys of the API: of users, and of programs that administer
    #[command(subcommand)]
    Key(ApiKeyVerb),
    /// What was done, by whom
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Reports over licenses
    Report(ReportArgs),
    /// Shops whose webhooks become orders
    #[command(subcommand)]
    Shop(ShopVerb),
    /// Webhooks: your own servers hear of what was done
    #[command(subcommand)]
    Webhook(WebhookVerb),
    /// Run License Central: license-central serve
    #[command(disable_help_flag = true)]
    Serve(ServerArgs),
    /// Make a new License Central: license-central init
    #[command(disable_help_flag = true)]
    Init(ServerArgs),
    /// Bring its database up to date: license-central migrate
    #[command(disable_help_flag = true)]
    Migrate(ServerArgs),
    /// Write all its records into a file: license-central backup
    #[command(disable_help_flag = true)]
    Backup(ServerArgs),
    /// Put a backup into an empty database: license-central restore
    #[command(disable_help_flag = true)]
    Restore(ServerArgs),
    /// Compare its records with what was signed: license-central check
    #[command(disable_help_flag = true)]
    Check(ServerArgs),
}

/// What is passed on, unchanged, to `license-central`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// As `license-central` takes them: --help lists them
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// Which one
    #[arg(value_enum)]
    pub(crate) kind: ReportKind,
    /// For `expiring`: how far ahead
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    pub(crate) within: String,
    /// For `activated` and `denied`: from when on, a date or time
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// For `activated`: before when
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportKind {
    /// Licenses whose checkpoint or end comes soon
    Expiring,
    /// Licenses that came into containers, by months
    Activated,
    /// Updates that were issued and have no receipt
    Unreceipted,
    /// Activations and seats that were refused, by days
    Denied,
    /// Licenses that ended and are still counted where they were
    Lapsed,
    /// Licenses that were freed while a container may still have been using them
    Overlap,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShopArgs {
    /// Its name: numbers of its orders begin with it
    #[arg(long)]
    pub(crate) name: String,
    /// What it runs on
    #[arg(long, value_enum)]
    pub(crate) kind: ShopKindArg,
    /// File with the secret that its messages are signed with, where it has one already
    #[arg(long, value_name = "FILE", conflicts_with = "out", required_unless_present = "out")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Where a new secret is written, which only you may read: type it into the shop
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Suspend licenses when their order is refunded or canceled; else it is only shown
    #[arg(long)]
    pub(crate) suspend: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShopVerb {
    /// Register a shop; prints the address for its webhooks
    Add(ShopArgs),
    /// List them
    List(ListArgs),
    /// Say which item a product of a shop is
    Map {
        /// The shop, shp_…
        id: String,
        /// The product there: variation:12, variant:12, product:3 or sku:X
        #[arg(long)]
        product: String,
        /// The item here
        #[arg(long, value_name = "SKU", required_unless_present = "none")]
        sku: Option<String>,
        /// Nothing of yours is sold with it
        #[arg(long, conflicts_with = "sku")]
        none: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List the lines of orders in shops: what waits, and why
    Lines(ListArgs),
    /// Try the lines of a shop again that wait
    Replay {
        /// The shop, shp_…
        id: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a shop: its messages are refused, its orders stay
    Remove {
        /// The shop, shp_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// What a shop runs on.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ShopKindArg {
    /// WooCommerce
    Woocommerce,
    /// Shopify
    Shopify,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookVerb {
    /// Add one; its secret goes into a file that only you may read
    Add {
        /// The address: https
        #[arg(long)]
        url: String,
        /// Event that is told (repeatable), such as order.created; all if none is named
        #[arg(long, value_name = "EVENT")]
        event: Vec<String>,
        /// Where its secret is written
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List(ListArgs),
    /// Remove one: what waits for it is given up
    Remove {
        /// Its id, whk_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List the messages, and what became of them
    Messages(ListArgs),
    /// Send a message again, whatever became of it
    Replay {
        /// Its id, msg_…
        id: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ProductArgs {
    /// Its Product Code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: u32,
    /// Its name
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) terms: Box<OptionArgs>,
    /// When a license that lapsed is free again though its container may have slept past that:
    /// soft-only, never, or a span such as 30d
    #[arg(long, value_name = "WHEN", default_value = "soft-only")]
    pub(crate) reclaim: String,
    /// How often customers get a license back whose container they lost, such as 2/365d
    #[arg(long, value_name = "TIMES/SPAN")]
    pub(crate) restore: Option<String>,
    /// How long they wait for it
    #[arg(long, value_name = "SPAN", default_value = "7d", requires = "restore")]
    pub(crate) restore_wait: String,
    /// Whether licenses of it without an end need a physical TPM; without, as `central soft` says
    #[arg(long, value_enum)]
    pub(crate) physical_tpm: Option<OnOff>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProductVerb {
    /// Define a product, with the terms of its licenses
    Add(ProductArgs),
    /// List them
    List(ListArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ItemArgs {
    /// Its number, as in the shop
    #[arg(long)]
    pub(crate) sku: String,
    /// Its name
    #[arg(long)]
    pub(crate) name: String,
    /// Product that is in it (repeatable)
    #[arg(long, value_name = "CODE", required = true)]
    pub(crate) product: Vec<u32>,
    /// What the quantity of an order multiplies
    #[arg(long, value_enum, default_value_t)]
    pub(crate) counts: CountsArg,
    /// Terms that go before those of its products
    #[command(flatten)]
    pub(crate) terms: Box<OptionArgs>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ItemVerb {
    /// Define what is sold under a number
    Add(ItemArgs),
    /// List them
    List(ListArgs),
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

#[derive(Debug, ClapArgs)]
pub(crate) struct OrderArgs {
    /// Its number
    #[arg(long)]
    pub(crate) number: String,
    /// Its line
    #[arg(long, default_value_t = 1)]
    pub(crate) line: u32,
    /// The period that is paid for, such as 2027-03
    #[arg(long, default_value = "")]
    pub(crate) period: String,
    /// The item
    #[arg(long)]
    pub(crate) sku: String,
    /// How many
    #[arg(long, default_value_t = 1)]
    pub(crate) quantity: u32,
    /// Ticket, tic_…, whose licenses this order replaces: an upgrade
    #[arg(long, value_name = "ID")]
    pub(crate) replaces: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrderVerb {
    /// Take an order in; prints its ticket. The same number, line and period is the same order
    Add(OrderArgs),
    /// List them
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImportVerb {
    /// Customers; columns name, reference, email
    Customers {
        #[command(flatten)]
        import: ImportArgs,
    },
    /// Orders, and licenses that are in containers already; columns number, line, period, sku,
    /// quantity, customer, customer-reference, container, entry, and terms such as terms.expires
    Orders {
        #[command(flatten)]
        import: ImportArgs,
        /// Where the new tickets are written, as CSV that only you may read
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A file that is brought in.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct ImportArgs {
    /// The file: CSV in UTF-8 with a line of names
    pub(crate) file: PathBuf,
    /// Leave out what is refused, and bring in the rest
    #[arg(long)]
    pub(crate) skip_refused: bool,
    /// Do it without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only say what would become of each row
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TicketVerb {
    /// What a ticket has, and where it is
    Show {
        /// Its id, tic_…
        id: String,
    },
    /// List them
    List(ListArgs),
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
    /// Withdraw a ticket, with every license that came of it
    Withdraw {
        /// Its id, tic_…
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantVerb {
    /// List them
    List(ListArgs),
    /// Where a license is, and when what was decided of it takes effect
    Show {
        /// Its id, gra_…
        id: String,
    },
    /// Suspend a license until it is reinstated
    Suspend {
        /// Its id, gra_…
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Take a suspension back
    Reinstate {
        /// Its id, gra_…
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Withdraw (revoke) a license for good
    Withdraw {
        /// Its id, gra_…
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Free a license whose container will never give it back; booked as a risk
    WriteOff {
        /// Its id, gra_…
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Hand a free license to a container, which collects it without a ticket
    Assign {
        /// Its id, gra_…
        id: String,
        /// Serial of the container; without, an assignment is taken back
        #[arg(long, value_name = "SERIAL")]
        to: Option<String>,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceVerb {
    /// List them
    List(ListArgs),
    /// A container, and what it has
    Show {
        /// Its id or serial
        id: String,
    },
    /// Block a container: it gets nothing more, and what it has is taken out when it next asks
    Block {
        /// Its id or serial
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Let a blocked container in again
    Unblock {
        /// Its id or serial
        id: String,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Add one; make keys for it then: central key add --user
    Add {
        /// The name
        #[arg(long)]
        name: String,
        /// What the user may do
        #[arg(long, value_enum)]
        role: RoleArg,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List(ListArgs),
    /// Give a user another role, with all keys
    Role {
        /// Its id, usr_…
        id: String,
        /// What the user may do from now on
        #[arg(value_enum)]
        role: RoleArg,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Refuse all keys of a user from now on
    Disable {
        /// Its id, usr_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a user in again
    Enable {
        /// Its id, usr_…
        id: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyVerb {
    /// Make a key, in a file that only you may read
    Add {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do
        #[arg(long, value_enum, required_unless_present = "user", conflicts_with = "user")]
        role: Option<RoleArg>,
        /// Whose it is, usr_…: it may what the user may
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List them
    List(ListArgs),
    /// End a key
    Revoke {
        /// Its id, key_…
        id: String,
        /// Do it without asking
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// What a user or a key may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// Everything, keys included
    Owner,
    /// Everything but keys
    Admin,
    /// Orders, tickets, licenses
    Issuer,
    /// Looks at customers, handles containers
    Support,
    /// Looks at everything, the audit included
    Auditor,
    /// Looks at orders and licenses
    Billing,
    /// A shop or ERP: makes customers and orders
    Integration,
}

impl RoleArg {
    /// As the server names it.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaseVerb {
    /// List them, with what was decided
    List(ListArgs),
    /// Decide what becomes of the container
    Decide {
        /// Its id, cas_…
        id: String,
        /// What becomes of it
        #[arg(value_enum)]
        decision: DecisionArg,
        #[command(flatten)]
        decide: DecideArgs,
    },
}

/// What becomes of a container that showed something unknown, or of what a lost one held.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DecisionArg {
    /// What it showed counts: it was programmed elsewhere. All its entries are written anew. Of a
    /// lost one: the new container gets what it held
    Adopt,
    /// It gets nothing more; what it has cannot be taken out, since no update would fit its state
    Block,
    /// What it showed is left aside: it goes on from the last number that it had proved. Of a lost
    /// one: it keeps what it held
    Dismiss,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List what was done, the oldest first
    List(ListArgs),
}
