//! The server's command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// License Central: issues licenses into containers and keeps account of them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new Central: its secret, its first vendor, and the owner's key
    Init(InitArgs),
    /// Run it
    Serve(Box<ServeArgs>),
    /// Bring the database's tables up to date
    Migrate(MigrateArgs),
    /// Hold the vendors' keys and sign, in a process of its own; `serve` starts one otherwise
    Signer(SignerArgs),
    /// Compare the records with what the signer wrote down
    Check(CheckArgs),
    /// Write all records into a file, also while the server runs
    Backup(BackupArgs),
    /// Put a backup into an empty database, and take in what was signed after it
    Restore(RestoreArgs),
}

/// Where a Central is.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Folder of its secret, its vendors, and the database if no other is named
    #[arg(long, value_name = "DIR", env = "STRONGROOM_CENTRAL_DATA")]
    pub data: PathBuf,
    /// PostgreSQL database instead of the embedded one; the password comes from the environment
    /// (PGPASSWORD) or ~/.pgpass
    #[arg(long, value_name = "URL", env = "STRONGROOM_CENTRAL_DATABASE")]
    pub database: Option<String>,
    /// Folder of the signer's journals, best on another medium; else the folder `journal` of --data
    #[arg(long, value_name = "DIR", env = "STRONGROOM_CENTRAL_JOURNAL")]
    pub journal: Option<PathBuf>,
}

impl PlaceArgs {
    /// Where the journals are.
    pub fn journal_dir(&self) -> PathBuf {
        self.journal.clone().unwrap_or_else(|| self.data.join("journal"))
    }
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Short name of the first vendor, in addresses: small letters, digits and hyphens
    #[arg(long, value_name = "ID")]
    pub vendor: String,
    /// Its name, as in its root
    #[arg(long)]
    pub name: String,
    /// Firm Code, for display
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub firm_code: u32,
    /// For simulated containers only
    #[arg(long)]
    pub test: bool,
    /// File that holds the passphrase of its keys; else STRONGROOM_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Address of the Sales interface
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7411")]
    pub sales: SocketAddr,
    /// Address of the Gateway
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7412")]
    pub gateway: SocketAddr,
    /// Address of the Admin interface
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7413")]
    pub admin: SocketAddr,
    /// Address of the counts for Prometheus; none if not given
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Encryption
    #[command(flatten)]
    pub tls: TlsArgs,
    /// How much clients may ask
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Days for which messages to webhooks are kept that were sent, or given up
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub message_days: u16,
    /// Let webhooks go to this machine too, and by http: to try them out
    #[arg(long)]
    pub webhooks_to_this_machine: bool,
    /// File that holds the passphrase of the vendors' keys; else STRONGROOM_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Socket of a signer that runs already; else one is started, and ended with the server
    #[arg(long, value_name = "SOCKET", env = "STRONGROOM_CENTRAL_SIGNER")]
    pub signer: Option<PathBuf>,
    /// Print the addresses as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `signer`.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Where it listens; else `signer.sock` in --data
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// File that holds the passphrase of the vendors' keys; else STRONGROOM_PASSPHRASE
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// End when the standard input does
    #[arg(long, hide = true)]
    pub held: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Take in from the journal what the database lost; the server must not run
    #[arg(long)]
    pub repair: bool,
    /// Go on with a journal that is older than the database knows it: the newest is lost for good
    #[arg(long, conflicts_with = "repair")]
    pub accept_journal: bool,
    /// Change without asking
    #[arg(long)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The new file
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where
    #[command(flatten)]
    pub place: PlaceArgs,
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only say what it holds
    #[arg(long)]
    pub dry_run: bool,
    /// Restore without asking
    #[arg(long)]
    pub yes: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Encryption of all listeners. Without it they stay on this machine.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// Certificate with its chain, in PEM. It is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "STRONGROOM_CENTRAL_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "STRONGROOM_CENTRAL_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
}

/// How much clients may ask.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitArgs {
    /// Requests in a minute with one key of the API [default: 12000]
    #[arg(long, value_name = "N")]
    pub key_rate: Option<u32>,
    /// Requests in a minute to the Gateway from one address [default: 1200]
    #[arg(long, value_name = "N")]
    pub address_rate: Option<u32>,
    /// Connections that one address may have open at a listener [default: 512]
    #[arg(long, value_name = "N")]
    pub connections_per_address: Option<usize>,
    /// Header in which the proxy in front says for whom it asks, such as X-Forwarded-For: name it
    /// only if the proxy sets it itself
    #[arg(long, value_name = "NAME")]
    pub proxy_header: Option<String>,
}
