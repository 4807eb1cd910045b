//! The grammar: noun, then verb.

mod central;
mod key;
mod online;
mod people;
mod retire;
mod served;
mod soft;
mod tpm;
mod upkeep;
mod uses;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use protocol::limits::IDENTIFY_S_MAX;
use vendor::OptionArgs;

pub(crate) use central::{
    ApiKeyVerb, AuditVerb, CaseVerb, CentralCommand, DecideArgs, DecisionArg, DeviceVerb,
    GrantVerb, ImportArgs, ImportVerb, ItemArgs, ItemVerb, ListArgs, OrderArgs, OrderVerb,
    ProductArgs, ProductVerb, ReportArgs, ReportKind, ServerArgs, ShopArgs, ShopVerb, TicketVerb,
    UserVerb, WebhookVerb,
};
pub(crate) use key::{
    DelegateArgs, JoinArgs, KeyCommand, PerpetuateArgs, RevokeArgs, RotateArgs, SplitArgs,
};
pub(crate) use online::{
    ActivateArgs, CollectArgs, DeliverArgs, GatewayArgs, MoveArgs, ReleaseArgs, RestoreArgs,
    WizardArgs,
};
pub(crate) use people::{CompletionsArgs, DoctorArgs, ManArgs};
pub(crate) use retire::{DecommissionArgs, InventoryArgs, VendorInventoryArgs};
pub(crate) use served::{CredentialVerb, SeatVerb, ServeArgs};
pub(crate) use soft::{AuthorityVerb, SoftSetArgs, SoftVerb};
pub(crate) use tpm::{FolderArgs, InitArgs, RebindArgs, Tolerance, TpmCommand};
pub(crate) use upkeep::{LogArgs, NewPinArgs, PinCommand, TimeArgs, VendorLogArgs, VendorTimeArgs};
pub(crate) use uses::{
    ConditionArgs, DecryptArgs, EncryptArgs, ProofArgs, ProveArgs, UnlockArgs, UseArgs,
    VendorDecryptArgs, VendorEncryptArgs,
};

/// Hardware-bound software licenses: protect programs, issue licenses, use them.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, propagate_version = true)]
pub(crate) struct Args {
    /// Print one JSON envelope on stdout, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where to look for containers: usb, sim:SOCKET (repeatable; also STRONGROOM_SOURCES, comma
    /// separated)
    #[arg(long, global = true, value_name = "SOURCE")]
    pub(crate) source: Vec<String>,
    /// Which container, by its serial
    #[arg(long, global = true, value_name = "SERIAL")]
    pub(crate) container: Option<String>,
    /// File that holds the container's PIN (also STRONGROOM_CONTAINER_PIN; else it is asked for)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the main job from beginning to end: vendor, simulated dongle, protected program and
    /// file
    Demo(DemoArgs),
    /// Say what is wrong on this machine and in its containers
    Doctor(DoctorArgs),
    /// Explain an error code, or list all of them
    Explain {
        /// Code such as S0380, or name such as Expired
        code: Option<String>,
    },
    /// Show what a Strongroom file holds
    Inspect {
        /// The file
        file: PathBuf,
    },
    /// A simulated dongle
    #[command(subcommand)]
    Sim(SimCommand),
    /// Soft licenses: containers that a TPM of this machine seals
    #[command(subcommand)]
    Tpm(TpmCommand),
    /// See and handle containers
    #[command(subcommand, name = "container")]
    Containers(ContainerCommand),
    /// The vendor's side: keys, products, licenses by file
    #[command(subcommand)]
    Vendor(VendorCommand),
    /// Changes that a vendor sent for a container
    #[command(subcommand)]
    Update(UpdateCommand),
    /// Licenses in a container
    #[command(subcommand)]
    License(LicenseCommand),
    /// Redeem a ticket into a container
    Activate(ActivateArgs),
    /// Software Activation Wizard: redeem a ticket step by step, online or by files
    Wizard(WizardArgs),
    /// Renew what is due in a container, and collect what waits for it
    Renew(CollectArgs),
    /// Collect whatever the vendor has waiting for a container, without a ticket
    Collect(CollectArgs),
    /// Give licenses in a container back to the vendor, so that another can have them
    Release(ReleaseArgs),
    /// Move licenses from one container to another
    Move(MoveArgs),
    /// Report a container as lost: it is blocked, and its licenses come back by the vendor's rules
    Restore(RestoreArgs),
    /// Administration of a License Central
    #[command(subcommand)]
    Central(CentralCommand),
    /// Encrypt programs and files
    #[command(subcommand)]
    Protect(ProtectCommand),
    /// A user's own key, for licenses that name one
    #[command(subcommand)]
    User(UserCommand),
    /// Print what a shell needs to complete commands
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a key, in a file that only you may read; prints its public half
    New {
        /// Where to write it
        file: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the public half of a key
    Show {
        /// The key file
        file: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Keep everything that is made, in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Run a simulated dongle until it is stopped
    Run {
        /// Folder of its memory and keys; made if missing
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Where it is plugged in: a Unix socket
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// What it is like: rtc (with a clock), plain (without), quick (heartbeats of a second,
        /// for tests)
        #[arg(long, default_value = "rtc", value_name = "NAME")]
        profile: String,
        /// Make everything random repeat
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Do something bad to a running one
    Fault {
        /// Its socket
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
        /// unplug | plug | stall on|off | cut-power WRITES [before|during|after] | flip-bits COUNT
        /// | jump-clock SECONDS | slow MILLISECONDS | stop
        #[arg(required = true, allow_negative_numbers = true)]
        fault: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ContainerCommand {
    /// List containers within reach
    List,
    /// Show one container and the vendors in it
    Show,
    /// Write a context file: a vendor needs it to issue a license for this container
    Context {
        /// The vendor: root file, fingerprint, or name or number in the container
        #[arg(long, value_name = "FIRM")]
        firm: String,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// The owner's PIN
    #[command(subcommand)]
    Pin(PinCommand),
    /// Make a container show itself: its light blinks
    Identify {
        /// For how long; 0 ends it
        #[arg(long, default_value_t = 5, value_name = "N",
            value_parser = clap::value_parser!(u8).range(..=i64::from(IDENTIFY_S_MAX)))]
        seconds: u8,
    },
    /// List what a container holds, or write the signed list that each vendor needs when it is lost
    Inventory(InventoryArgs),
    /// Retire a container for good: everything in it is erased, and each vendor gets a signed proof
    Decommission(DecommissionArgs),
    /// Show what a container believes of time, and bring certified time by file
    Time(TimeArgs),
    /// Give a container a name, or take it away with an empty one
    Rename {
        /// The name
        name: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// How to open a vendor's key store.
#[derive(Debug, ClapArgs)]
pub(crate) struct KeyStoreArgs {
    /// File that holds the passphrase (also STRONGROOM_PASSPHRASE; else it is asked for; test
    /// vendors have none)
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// File that holds the PIN of the token, where keys are in one (also STRONGROOM_PIN; else it is
    /// asked for)
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
    /// Another file with private keys, beside those of the vendor directory (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Vec<PathBuf>,
    /// File that holds the passphrase of a --key-file: the first for the first, and so on; the
    /// vendor directory's where there is none
    #[arg(long, value_name = "FILE")]
    pub(crate) key_passphrase_file: Vec<PathBuf>,
    /// A share of private keys, as many as are needed (repeatable); they are joined in memory only
    #[arg(long, value_name = "FILE")]
    pub(crate) share: Vec<PathBuf>,
    /// File that holds the passphrase of a --share: the first for the first, and so on; else they
    /// are asked for
    #[arg(long, value_name = "FILE")]
    pub(crate) share_passphrase_file: Vec<PathBuf>,
    /// Where a dongle with keys is looked for.
    #[arg(from_global)]
    pub(crate) source: Vec<String>,
}

/// Where new keys go.
#[derive(Debug, ClapArgs)]
pub(crate) struct NewKeyArgs {
    /// Where new keys go; to the token if the directory has one, else to a file in it
    #[arg(long, value_enum)]
    pub(crate) store: Option<StoreArg>,
    /// The token's PKCS#11 module, a library
    #[arg(long, value_name = "PATH", requires = "token")]
    pub(crate) module: Option<PathBuf>,
    /// The token's label, or the dongle's serial
    #[arg(long, value_name = "LABEL", requires = "store")]
    pub(crate) token: Option<String>,
}

/// A kind of key store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreArg {
    /// A file under a passphrase
    File,
    /// A token that is reached by a PKCS#11 module
    Pkcs11,
    /// A dongle of its own, which needs a PIN
    Dongle,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VendorCommand {
    /// Make a vendor directory: root, keys, list of products
    Init {
        /// Folder to make
        dir: PathBuf,
        /// The vendor's name
        #[arg(long)]
        name: String,
        /// Number shown to people; any will do
        #[arg(long, default_value_t = 0, value_name = "N")]
        firm_code: u32,
        /// For simulated containers only
        #[arg(long)]
        test: bool,
        #[command(flatten)]
        new: NewKeyArgs,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        keys: KeyStoreArgs,
    },
    /// Show a vendor directory
    Show {
        /// The folder
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
    },
    /// Products
    #[command(subcommand)]
    Product(ProductCommand),
    /// Keys: who may sign what
    #[command(subcommand)]
    Key(KeyCommand),
    /// Turn a container's licenses with a checkpoint perpetual: signed by the role recovery
    Perpetuate(PerpetuateArgs),
    /// Answer a container that asks what time it is
    Time(VendorTimeArgs),
    /// Take in a usage log, and acknowledge it
    Log(VendorLogArgs),
    /// Issue a license: make an update file for one container
    Issue(Box<IssueArgs>),
    /// Cancel an update that has no receipt yet, by one that changes nothing under the same number
    Cancel {
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
        /// The container's context file
        #[arg(long, value_name = "FILE")]
        context: PathBuf,
        /// Number of the update to cancel
        #[arg(long, value_name = "N")]
        number: u64,
        /// Where to write the update
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        keys: KeyStoreArgs,
    },
    /// Open the licenses again that a trap locked in a container
    Unlock(UnlockArgs),
    /// Encrypt a block that only the license decrypts
    Encrypt(VendorEncryptArgs),
    /// Decrypt a block without a container
    Decrypt(VendorDecryptArgs),
    /// Check a proof that a license is in use
    Proof(ProofArgs),
    /// Compare the inventory of a container with what was issued to it
    Inventory(VendorInventoryArgs),
    /// Take in a receipt, or the final statement of a container that was decommissioned
    Receipt {
        /// The receipt, or the final statement
        file: PathBuf,
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// Define a product
    Add {
        /// Its number
        code: u32,
        /// Its name
        #[arg(long)]
        name: String,
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List products
    List {
        /// The vendor directory
        #[arg(long, value_name = "DIR")]
        vendor: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct IssueArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// The container's context file
    #[arg(long, value_name = "FILE")]
    pub(crate) context: PathBuf,
    /// Product
    #[arg(long, value_name = "CODE")]
    pub(crate) product: u32,
    /// Which of several entries of the product
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) entry: u16,
    #[command(flatten)]
    pub(crate) options: OptionArgs,
    /// TOML file with options, by the names of the flags; a flag goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,
    /// Generation of the item key
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) generation: u16,
    /// Take so many units away again
    #[arg(long, value_name = "N")]
    pub(crate) take_units: Option<u64>,
    /// Settle units that programs set aside and never accounted for
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) settle_units: Option<SettleUnits>,
    /// TOML file with data fields: protected, extended, hidden, secret
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Remove the entry instead, with its modules and all that belongs to it
    #[arg(
        long,
        conflicts_with_all = ["options", "template", "take_units", "settle_units", "data"]
    )]
    pub(crate) remove: bool,
    /// Put this update in the place of number N, which has no receipt yet
    #[arg(long, value_name = "N")]
    pub(crate) supersede: Option<u64>,
    /// Go on from the state that the context shows, though it was not made here: somebody else who
    /// may issue, or a thief, was there
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Last moment to apply the update
    #[arg(long, value_name = "TIME")]
    pub(crate) apply_before: Option<String>,
    /// Where to write the update
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpdateCommand {
    /// Show field by field what an update changes
    Preview {
        /// The update file
        file: PathBuf,
    },
    /// Apply an update
    Apply {
        /// The update file
        file: PathBuf,
        /// Where to write the receipt, which the vendor needs back
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        /// Refuse revocations that are over for more than so many days; without this one is warned
        #[arg(long, value_name = "DAYS")]
        refuse_stale: Option<u32>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Write a receipt once more
    Receipt {
        /// The vendor: root file, fingerprint, or name or number in the container
        #[arg(long, value_name = "FIRM")]
        firm: String,
        /// Which; the latest if not given
        #[arg(long, default_value_t = 0, value_name = "N")]
        number: u64,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LicenseCommand {
    /// List entries
    List,
    /// Show the entries of a product with their options
    Show {
        /// Product
        product: u32,
    },
    /// Say why a use would be allowed or refused
    Why {
        /// Product
        product: u32,
        #[command(flatten)]
        uses: UseArgs,
    },
    /// Show a data field of an entry, or write your own
    Data(DataArgs),
    /// Show what was booked for a vendor, send it, and forget what the vendor has
    Log(LogArgs),
    /// Check a lease that a server gave with a seat, and show it
    Lease {
        /// The lease, as it stands in the server's answer
        file: PathBuf,
        /// The vendor's root, or the file with all roots and revocations
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
    },
    /// Encrypt a block inside the container, for programs and for the vendor
    Encrypt(EncryptArgs),
    /// Decrypt a block inside the container
    Decrypt(DecryptArgs),
    /// Prove to somebody else that a license is in use
    Prove(ProveArgs),
    /// Open a protected data file with the license and write its contents
    Open {
        /// The protected file
        file: PathBuf,
        /// Where to write the contents; - for stdout
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// What becomes of units that nobody accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SettleUnits {
    /// They count as used
    Charge,
    /// They are left again
    Release,
}

/// Which data field of an entry, and what to do with it.
#[derive(Debug, ClapArgs)]
pub(crate) struct DataArgs {
    /// Product
    pub(crate) product: u32,
    /// Field: user, protected, extended:N, hidden:N
    pub(crate) field: String,
    /// Which of several entries of the product
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) entry: u16,
    /// The vendor, where several are in the container
    #[arg(long, value_name = "FIRM")]
    pub(crate) firm: Option<String>,
    /// File that holds the access code of hidden data (also STRONGROOM_ACCESS_CODE)
    #[arg(long, value_name = "FILE")]
    pub(crate) access_code_file: Option<PathBuf>,
    /// Write the field `user` from this file; an empty one clears it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "access_code_file"])]
    pub(crate) write: Option<PathBuf>,
    /// Where to write what it holds
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What happens when the license is lost while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Loss {
    /// End the program
    Stop,
    /// Warn every --loss-seconds and go on
    Warn,
    /// End the program after --loss-seconds
    Grace,
}

/// What is required of the license.
#[derive(Debug, ClapArgs)]
pub(crate) struct RequirementArgs {
    /// The vendor directory
    #[arg(long, value_name = "DIR")]
    pub(crate) vendor: PathBuf,
    /// Product that opens it (repeatable: any one of them)
    #[arg(long, required = true, value_name = "CODE")]
    pub(crate) product: Vec<u32>,
    #[command(flatten)]
    pub(crate) conditions: ConditionArgs,
    /// Name shown in messages; the file's name if not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Replace what is at the output
    #[arg(long)]
    pub(crate) force: bool,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) keys: KeyStoreArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProtectCommand {
    /// Encrypt a program; it runs only with its license
    App {
        /// The program
        input: PathBuf,
        /// The protected program
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        requirement: RequirementArgs,
        /// Accept something that does not fit the loader (repeatable); the check names what there
        /// is to accept
        #[arg(long, value_name = "CONCERN")]
        accept: Vec<String>,
        /// What happens when the license is lost
        #[arg(long, value_enum, default_value = "stop")]
        loss: Loss,
        /// Seconds for --loss
        #[arg(long, default_value_t = 60, value_name = "N")]
        loss_seconds: u32,
        /// Let LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH and their like reach the program
        #[arg(long)]
        allow_preload: bool,
        /// TOML file with the vendor's own texts for a refusal
        #[arg(long, value_name = "FILE")]
        texts: Option<PathBuf>,
        /// The loader to put in front
        #[arg(long, value_name = "FILE", env = "STRONGROOM_LOADER")]
        loader: Option<PathBuf>,
    },
    /// Encrypt a data file
    File {
        /// The file
        input: PathBuf,
        /// The protected file
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        requirement: RequirementArgs,
        /// Make a trap of it: whoever opens it with the license locks all of the vendor's licenses
        /// in that container. Nobody can decrypt it
        #[arg(long)]
        trap: bool,
    },
    /// Check a protected program or file
    Verify {
        /// The protected program or file
        file: PathBuf,
        /// The vendor that must have made it: directory, root file or fingerprint
        #[arg(long, value_name = "FIRM")]
        firm: Option<String>,
    },
}
