//! Where a Central is on disk: its secret, its database, its vendors.
//!
//! ```text
//! secret.key        32 bytes, hexadecimal: keys of the API and answers count only with it
//! owner.key         the first key of the API, until somebody takes it away
//! central.db        the embedded database, if no other is named
//! vendors/ID/       a vendor directory each, as `strongroom vendor init` makes them
//! signer.toml       the most that the signer signs
//! signer.sock       where the signer listens
//! journal/          what it wrote down before it signed, unless --journal names another folder;
//!                   the last time that it certified, and whom the vendor trusted last
//! ```

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{hex, parse_hex};
use protocol::objects::root::Mode;
use vendor::trust::Trust;
use vendor::{KeyRing, Passphrase, Secrets, Vendor, files};

use crate::args::{InitArgs, PlaceArgs, SignerArgs};
use crate::clock::SystemClock;
use crate::domain::central::Central;
use crate::domain::env::{Env, Random, SystemRandom};
use crate::domain::firm::{Firm, LocalSigner};
use crate::domain::keys::{self, Rights, SYSTEM, Secret};
use crate::domain::records::{self, RoleName};
use crate::domain::refusal::Refusal;
use crate::private;
use crate::signer::caps::{self, CapsFile};
use crate::signer::journal;
use crate::signer::keeper::Keeper;
use crate::signer::link::{Link, RemoteSigner};
use crate::signer::process::SignerProcess;
use crate::store::{SqlStore, Store};

const SECRET_FILE: &str = "secret.key";
const OWNER_FILE: &str = "owner.key";
const DATABASE_FILE: &str = "central.db";
const VENDORS_DIR: &str = "vendors";
const CAPS_FILE: &str = "signer.toml";
const SOCKET_FILE: &str = "signer.sock";

/// What a new Central is told once.
pub struct Made {
    /// Fingerprint of the vendor's root, hexadecimal.
    pub root_fp: String,
    /// Where the owner's key is.
    pub owner_key: PathBuf,
}

/// Passphrases and PINs of a server: from files and the environment, never from a person.
pub struct ServerSecrets<'a> {
    passphrase_file: Option<&'a Path>,
}

impl<'a> ServerSecrets<'a> {
    /// The passphrase from this file, or else from the environment.
    pub fn new(passphrase_file: Option<&'a Path>) -> Self {
        ServerSecrets { passphrase_file }
    }
}

impl Secrets for ServerSecrets<'_> {
    fn passphrase(&self, mode: Mode) -> vendor::Result<Passphrase> {
        match Passphrase::given(self.passphrase_file, "STRONGROOM_PASSPHRASE")? {
            Some(given) => Ok(given),
            None if mode == Mode::Test => Ok(Passphrase::empty()),
            None => Err(Shown::usage(
                "the passphrase of the vendor's keys is needed",
                "Name its file with --passphrase-file, or set STRONGROOM_PASSPHRASE.",
            )),
        }
    }

    fn pin(&self, token: &str) -> vendor::Result<Passphrase> {
        Passphrase::given(None, "STRONGROOM_PIN")?.ok_or_else(|| {
            let title = format!("the PIN of the token {token:?} is needed");
            Shown::usage(title, "Set STRONGROOM_PIN.")
        })
    }
}

/// Makes a new Central.
pub fn init(args: &InitArgs) -> Result<Made, Shown> {
    let data = &args.place.data;
    check_vendor_id(&args.vendor)?;
    let mode = if args.test { Mode::Test } else { Mode::Live };
    let passphrase = ServerSecrets::new(args.passphrase_file.as_deref()).passphrase(mode)?;
    let secret_path = data.join(SECRET_FILE);
    if secret_path.exists() {
        let title = format!("{} holds a Central already", data.display());
        return Err(Shown::conflict(
            title,
            "Choose another folder, or run: license-central serve.",
        ));
    }
    make_private(data)?;
    make_private(&data.join(VENDORS_DIR))?;
    let dir = data.join(VENDORS_DIR).join(&args.vendor);
    let made = Vendor::init(&dir, &args.name, args.firm_code, mode, None, &passphrase)?;
    let mut bytes = [0; 32];
    SystemRandom.fill(&mut bytes);
    let secret = Secret::new(bytes);
    let root_fp = hex(made.root.root_fp.bytes());
    let store = open_store(&args.place)?;
    store.migrate().map_err(Refusal::Store).map_err(Refusal::shown)?;
    let central = central(Arc::new(store), secret, BTreeMap::new());
    make_private(&args.place.journal_dir())?;
    files::write_private(&data.join(CAPS_FILE), caps::FIRST.as_bytes())?;
    let owner_key = data.join(OWNER_FILE);
    let text = first_records(&central, args, &root_fp).map_err(Refusal::shown)?;
    files::write_private(&owner_key, format!("{text}\n").as_bytes())?;
    // Last, since it is what makes the folder a Central.
    files::write_private(&secret_path, format!("{}\n", hex(&bytes)).as_bytes())?;
    Ok(Made { root_fp, owner_key })
}

/// The vendor's record and the owner's key.
fn first_records(central: &Central, args: &InitArgs, root_fp: &str) -> Result<String, Refusal> {
    central.write(SYSTEM, "init", |work, env: &Env<'_>| {
        work.insert(&records::Vendor {
            id: args.vendor.clone(),
            name: args.name.clone(),
            root_fp: root_fp.to_owned(),
            test: args.test,
            created_ms: env.now_ms,
        })?;
        work.note_of(&args.vendor, "vendor.create", &args.vendor, root_fp);
        let owner = (args.vendor.as_str(), "owner", Rights::Role(RoleName::Owner));
        let (_, text) = keys::create(work, env, central.secret(), owner)?;
        Ok(text.to_string())
    })
}

/// Opens a Central with all its vendors. A signer holds their keys: the one at `signer`, or one
/// that is started.
pub fn open(
    place: &PlaceArgs,
    signer: Option<&Path>,
    passphrase_file: Option<&Path>,
) -> Result<(Central, Directories), Shown> {
    let secret = secret(place)?;
    let link = Arc::new(match signer {
        Some(socket) => Link::to(socket),
        None => start_signer(place, passphrase_file)?,
    });
    let directories = Directories { paths: vendors(place)?, link };
    let firms = directories.paths.iter().map(|(id, path)| {
        let firm = directories.firm(id, path)?;
        Ok((id.clone(), Arc::new(firm)))
    });
    let firms = firms.collect::<Result<_, Shown>>()?;
    let store = open_store(place)?;
    store.migrate().map_err(Refusal::Store).map_err(Refusal::shown)?;
    let central = central(Arc::new(store), secret, firms);
    for (id, path) in &directories.paths {
        let noted = central.note_trust(id).map_err(Refusal::shown);
        noted.map_err(|error| error.about(path.display()))?;
    }
    Ok((central, directories))
}

/// The vendors' directories of a server that runs, and the way to its signer.
pub struct Directories {
    paths: Vec<(String, PathBuf)>,
    link: Arc<Link>,
}

impl Directories {
    fn firm(&self, id: &str, path: &Path) -> Result<Firm, Shown> {
        let signer = RemoteSigner { link: self.link.clone(), vendor: id.to_owned() };
        Ok(Firm::new(Vendor::open(path)?.trust, Box::new(signer)))
    }

    /// Takes over what the directories say now: roots, revocations, and at the signer keys. What is
    /// older, or cannot be read, changes nothing.
    pub fn reread(&self, central: &Central) {
        for (id, path) in &self.paths {
            match self.reread_one(central, id, path) {
                Ok(is_new) => tracing::info!(vendor = id, is_new, "roots were read again"),
                Err(error) => {
                    let why = error.title(&|at_s| at_s.to_string());
                    let code = error.code();
                    tracing::error!(vendor = id, code, why, "roots stay as they were");
                }
            }
        }
    }

    /// The signer first: what it signs by a root that containers do not have yet, they take when
    /// they ask again.
    fn reread_one(&self, central: &Central, id: &str, path: &Path) -> Result<bool, Shown> {
        let next = self.firm(id, path)?;
        next.signer.reread()?;
        central.take_over(id, next).map_err(Refusal::shown)
    }
}

/// Opens a Central that issues nothing: for looking at its records, and putting them right.
pub fn open_records(place: &PlaceArgs) -> Result<Central, Shown> {
    let secret = secret(place)?;
    let store = open_store(place)?;
    store.migrate().map_err(Refusal::Store).map_err(Refusal::shown)?;
    Ok(central(Arc::new(store), secret, BTreeMap::new()))
}

fn secret(place: &PlaceArgs) -> Result<Secret, Shown> {
    private::check_with_parents(&place.data)?;
    let path = place.data.join(SECRET_FILE);
    if !path.exists() {
        let title = format!("{} holds no Central", place.data.display());
        return Err(Shown::not_found(title, "Make one: license-central init."));
    }
    private::check_secret(&path)?;
    let text = files::read(&path)?;
    let digits = files::text(&text)?.trim();
    let bytes = parse_hex(digits).ok_or_else(|| {
        let title = format!("{} does not hold 64 hexadecimal digits", path.display());
        Shown::usage(title, "Put a backup of it back.")
    })?;
    Ok(Secret::new(bytes))
}

/// The signer, with the keys of all vendors, and where it listens.
pub fn open_signer(args: &SignerArgs) -> Result<(Arc<SignerProcess>, PathBuf), Shown> {
    let place = &args.place;
    private::check_with_parents(&place.data)?;
    let journals = place.journal_dir();
    make_private(&journals)?;
    let caps_path = place.data.join(CAPS_FILE);
    let caps = CapsFile::read(&caps_path)?;
    let paths: BTreeMap<String, PathBuf> = vendors(place)?.into_iter().collect();
    let mut keepers = BTreeMap::new();
    for (id, path) in &paths {
        let (trust, keys) = open_keys(path, args.passphrase_file.as_deref())?;
        let missing = || Shown::from(ErrorCode::RecordMissing.failure()).about(path.display());
        let root_fp = trust.root_fp().ok_or_else(missing)?;
        let (signer, journal) = (LocalSigner::new(trust, keys), journal::path_of(&journals, id));
        let clock = Arc::new(SystemClock);
        let keeper = Keeper::open(signer, root_fp, &journal, caps.of(id), clock);
        keepers.insert(id.clone(), keeper.map_err(|error| error.about(path.display()))?);
    }
    let socket = args.socket.clone().unwrap_or_else(|| place.data.join(SOCKET_FILE));
    let passphrase_file = args.passphrase_file.clone();
    let reopen = Box::new(move |id: &str| match paths.get(id) {
        Some(path) => open_keys(path, passphrase_file.as_deref()),
        None => Err(ErrorCode::RecordMissing.failure().into()),
    });
    Ok((Arc::new(SignerProcess::new(keepers, caps_path, reopen)), socket))
}

/// Roots, revocations and keys of a vendor, as its directory has them now.
fn open_keys(path: &Path, passphrase_file: Option<&Path>) -> Result<(Trust, KeyRing), Shown> {
    let vendor = Vendor::open(path)?;
    let keys = vendor.keys(&ServerSecrets::new(passphrase_file))?;
    Ok((vendor.trust, keys))
}

/// Starts this program as the signer. Secrets go the way they came: by the environment, or the name
/// of a file.
fn start_signer(place: &PlaceArgs, passphrase_file: Option<&Path>) -> Result<Link, Shown> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| Shown::io(Path::new("/proc/self/exe"), &error))?;
    let (data, journals) = (place.data.clone(), place.journal_dir());
    let passphrase_file = passphrase_file.map(Path::to_owned);
    Link::starting(&place.data.join(SOCKET_FILE), move || {
        let mut command = std::process::Command::new(&program);
        command.args(["signer", "--held", "--json", "--data"]).arg(&data);
        command.arg("--journal").arg(&journals);
        if let Some(path) = &passphrase_file {
            command.arg("--passphrase-file").arg(path);
        }
        command
    })
}

fn central(store: Arc<dyn Store>, secret: Secret, firms: BTreeMap<String, Arc<Firm>>) -> Central {
    Central::new(store, Arc::new(SystemClock), Arc::new(SystemRandom), secret, firms)
}

/// Opens the database that is named, or the embedded one.
pub fn open_store(place: &PlaceArgs) -> Result<SqlStore, Shown> {
    // What the database says may name its address, and nothing else: passwords are not in it.
    let failed = |error| Shown::conflict(error, "See that it runs, and that the URL is right.");
    let opened = match &place.database {
        Some(url) => {
            check_url(url)?;
            if !SqlStore::is_guarded(url).map_err(failed)? {
                let title = "the database is on another machine, which does not prove itself";
                let hint = "Add sslmode=verify-full to its URL, and sslrootcert=FILE if its \
                    authority is your own.";
                return Err(Shown::usage(title, hint));
            }
            SqlStore::postgres(url)
        }
        None => {
            let path = place.data.join(DATABASE_FILE);
            own_file(&path)?;
            SqlStore::sqlite(&path)
        }
    };
    opened.map_err(failed)
}

/// The vendors' directories, by their short names.
pub fn vendors(place: &PlaceArgs) -> Result<Vec<(String, PathBuf)>, Shown> {
    let dir = place.data.join(VENDORS_DIR);
    private::check(&dir)?;
    let mut vendors = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(|error| Shown::io(&dir, &error))? {
        let path = entry.map_err(|error| Shown::io(&dir, &error))?.path();
        private::check(&path)?;
        let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
        vendors.push((id.to_owned(), path));
    }
    vendors.sort();
    Ok(vendors)
}

/// Makes the file for its owner only, if it is not there: the database library would let others
/// read it.
fn own_file(path: &Path) -> Result<(), Shown> {
    let mut options = std::fs::OpenOptions::new();
    let made = options.append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| Shown::io(path, &error))?;
    private::check_secret(path)
}

/// Refuses a password in the URL, where everybody on the machine could read it.
fn check_url(url: &str) -> Result<(), Shown> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.contains(':') || url.contains("password=") {
        let title = "the database's URL has a password in it";
        return Err(Shown::usage(title, "Set PGPASSWORD, or put it into ~/.pgpass."));
    }
    Ok(())
}

fn check_vendor_id(id: &str) -> Result<(), Shown> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=40).contains(&id.len()) && id.chars().all(is_plain) && !id.starts_with('-');
    let hint = "Use 1 to 40 small letters, digits and hyphens.";
    if fits { Ok(()) } else { Err(Shown::usage(format!("{id:?} is no vendor's short name"), hint)) }
}

fn make_private(dir: &Path) -> Result<(), Shown> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Shown::io(dir, &error))?;
    private::check(dir)
}
