//! A vendor directory: root, keys under a passphrase, products, and what was issued to each
//! container.
//!
//! ```text
//! root.strgroom          the public root v1, given to users
//! roots/N.strgroom       the roots that followed
//! trust.strgroom         all roots and the newest revocations, given to users
//! delegations/ID.strgroom   whom a part of the right to issue was handed on to
//! delegation.strgroom    by what right this directory issues, where it is a reseller's
//! keys.sealed            private keys, Argon2id and AES-256-GCM
//! store.toml             where private keys are that are in a token
//! products.toml          products
//! containers/ID.json     what was issued to a container and what it confirmed
//! ```

use std::path::{Path, PathBuf};

use protocol::codec::{Fixed, List, Text};
use protocol::errors::ErrorCode;
use protocol::ids::{FirmCode, ProductCode};
use protocol::limits::{FIRM_NAME_LEN_MAX, ROOT_BODY_LEN_MAX};
use protocol::objects::file::{self, FileKind};
use protocol::objects::root::{Mode, RoleKeys, Root, RootBody};
use protocol::signed::Role;

use crate::issuer::Issuer;
use crate::keys::{self, Home, KeyRing};
use crate::passphrase::Passphrase;
use crate::products::{self, Product};
use crate::secrets::Secrets;
use crate::store::StoreFile;
use crate::token::Token;
use crate::trust::{Trust, role_name};
use crate::{Result, Shown, clock, files, roots, shares};

/// Name of the public root in a vendor directory.
pub const ROOT_FILE: &str = "root.strgroom";
pub(crate) const KEYS_FILE: &str = "keys.sealed";
pub(crate) const STORE_FILE: &str = "store.toml";
pub(crate) const PRODUCTS_FILE: &str = "products.toml";
pub(crate) const CONTAINERS_DIR: &str = "containers";
pub(crate) const ROOTS_DIR: &str = "roots";
pub(crate) const TRUST_FILE: &str = "trust.strgroom";
pub(crate) const DELEGATION_FILE: &str = "delegation.strgroom";
pub(crate) const DELEGATIONS_DIR: &str = "delegations";
const USAGE_DIR: &str = "usage";

/// Roles that a new vendor has keys for.
const FIRST_ROLES: [Role; 7] = [
    Role::Root,
    Role::Licensing,
    Role::Protect,
    Role::Device,
    Role::Time,
    Role::Revocation,
    Role::Log,
];

/// An opened vendor directory. Its keys stay sealed until they are asked for.
pub struct Vendor {
    pub(crate) dir: PathBuf,
    /// The newest root.
    pub root: Root,
    /// Roots, revocations, and by what right a reseller issues.
    pub trust: Trust,
}

impl Vendor {
    /// Makes a vendor directory.
    pub fn init(
        dir: &Path,
        name: &str,
        firm_code: u32,
        mode: Mode,
        token: Option<Token>,
        passphrase: &Passphrase,
    ) -> Result<Self> {
        let name = Self::check_new(dir, name)?;
        let home = if token.is_some() { Home::Token } else { Home::File };
        let mut keys = KeyRing::generate(token)?;
        let mut role = |role| {
            let public = List::new(vec![Fixed(keys.draw(role, home)?)]);
            Ok(RoleKeys { role, threshold: 1, keys: public.unwrap_or_default() })
        };
        let roles: Result<Vec<_>> = FIRST_ROLES.into_iter().map(&mut role).collect();
        let roles = List::new(roles?).unwrap_or_default();
        let body = RootBody { mode, name, firm_code: FirmCode(firm_code), roles };
        let signers = keys.signers(&body, Role::Root)?;
        let object = Root::write_first(&body, clock::now_s(), &signers, &keys::entropy()?)
            .ok_or_else(|| keys.refusal(ErrorCode::TooLong.failure()))?;
        files::make_folder(dir)?;
        files::make_folder(&dir.join(CONTAINERS_DIR))?;
        keys.write_home(dir, passphrase)?;
        files::write_new(&dir.join(PRODUCTS_FILE), b"")?;
        // Last, since it is what makes the folder a vendor directory.
        files::write_new(&dir.join(ROOT_FILE), &file::write(FileKind::Root, &[&object]))?;
        Self::open(dir)
    }

    /// Whether a vendor directory may be made here, and its name as the root will have it.
    pub fn check_new(dir: &Path, name: &str) -> Result<Text<FIRM_NAME_LEN_MAX>> {
        files::check_empty(dir)?;
        Text::new(name).filter(|name| !name.is_empty()).ok_or_else(|| {
            Shown::usage(format!("{name:?} cannot be a vendor's name"), "Use at most 64 bytes.")
        })
    }

    /// Opens a vendor directory.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(ROOT_FILE);
        if !path.is_file() {
            let failure = ErrorCode::VendorDirectory.failure();
            return Err(Shown::from(failure).about(dir.display()));
        }
        let trust = roots::read_trust(dir)?;
        let root = trust.root.clone().ok_or(ErrorCode::RootRefused.failure())?;
        Ok(Vendor { dir: dir.to_owned(), root, trust })
    }

    /// Who issues from here.
    pub fn issuer(&self) -> Issuer<'_> {
        Issuer { root: &self.root, trust: &self.trust }
    }

    /// Opens the key store, and the key files and shares that are named.
    pub fn keys(&self, secrets: &dyn Secrets) -> Result<KeyRing> {
        self.keys_under(secrets, &self.passphrase(secrets, false)?)
    }

    /// The passphrase of the key store, if there is something to open with it, or something will be
    /// sealed.
    pub fn passphrase(&self, secrets: &dyn Secrets, seals: bool) -> Result<Passphrase> {
        if !seals && secrets.key_files().is_empty() && !self.seals() {
            return Ok(Passphrase::empty());
        }
        secrets.passphrase(self.root.body.mode)
    }

    /// Whether private keys are in a file here: always, unless all are in a token.
    fn seals(&self) -> bool {
        self.dir.join(KEYS_FILE).exists() || !self.dir.join(STORE_FILE).exists()
    }

    /// Refuses a module that came along with the directory: it would run with its user's rights.
    fn check_module(&self, module: &Path) -> Result<()> {
        let inside = match (module.canonicalize(), self.dir.canonicalize()) {
            (Ok(module), Ok(dir)) => module.starts_with(dir),
            _ => false,
        };
        if inside || module.is_relative() {
            let hint = "Install it where programs are, and write its whole path into store.toml.";
            let title = format!("{} is no place for a PKCS#11 module", module.display());
            return Err(Shown::usage(title, hint));
        }
        Ok(())
    }

    /// Where private keys are that are not in a file.
    pub fn store(&self) -> Result<StoreFile> {
        let path = self.dir.join(STORE_FILE);
        if !path.exists() {
            return Ok(StoreFile::default());
        }
        StoreFile::parse(&files::read(&path)?).map_err(|error| error.about(path.display()))
    }

    /// [`Vendor::keys`] with a passphrase that is known.
    pub fn keys_under(&self, secrets: &dyn Secrets, passphrase: &Passphrase) -> Result<KeyRing> {
        let mode = self.root.body.mode;
        let mut keys = match self.seals() {
            true => KeyRing::read(&self.dir.join(KEYS_FILE), passphrase)?,
            false => KeyRing::default(),
        };
        if let Some(place) = self.store()?.token() {
            place.module.as_deref().map(|module| self.check_module(module)).transpose()?;
            keys.attach(Token::open(place.clone(), secrets, mode)?);
        }
        for (path, own) in secrets.key_files() {
            keys.borrow(KeyRing::read(path, &passphrase.of_file(own)?)?);
        }
        if !secrets.shares().is_empty() {
            keys.borrow(shares::join(secrets, mode)?);
        }
        Ok(keys)
    }

    /// Splits the keys of a role that are in files: the shares are written and tried, and only then
    /// the keys leave this directory. How many keys, and how many of them were here.
    pub fn split(
        &self,
        role: Role,
        threshold: u8,
        files: &[(PathBuf, Passphrase)],
        mut keys: KeyRing,
        passphrase: &Passphrase,
    ) -> Result<(KeyRing, usize)> {
        let (parted, own) = keys.take_role(&self.root.body, role);
        if parted.ids().is_empty() {
            let role = role_name(role);
            return Err(Shown::not_found(
                format!("no private keys of the role {role} are in files here"),
                "Name key files with --key-file; a token gives none of its keys away.",
            ));
        }
        let shares = shares::split(&parted, threshold, files)?;
        for (share, (path, _)) in shares.iter().zip(files) {
            files::replace(path, &share.to_bytes(), 0o600)?;
        }
        shares::try_out(&parted, files, threshold)?;
        if own > 0 {
            keys.write_home(&self.dir, passphrase)?;
        }
        Ok((parted, own))
    }

    /// The roots, one behind the other.
    pub fn root_objects(&self) -> Vec<u8> {
        self.trust.roots.iter().flat_map(|part| part.bytes.iter().copied()).collect()
    }

    /// The products.
    pub fn products(&self) -> Result<Vec<Product>> {
        let path = self.dir.join(PRODUCTS_FILE);
        products::parse(&files::read(&path)?).map_err(|error| error.about(path.display()))
    }

    /// The product of this number.
    pub fn product(&self, code: u32) -> Result<Product> {
        let found = self.products()?.into_iter().find(|product| product.code == code);
        Ok(found.ok_or(ErrorCode::ProductNotDefined.with(code.into(), 0))?)
    }

    /// Defines a product; with `dry_run`, says only whether that can be done.
    pub fn add_product(&self, product: Product, dry_run: bool) -> Result<()> {
        let mut products = self.products()?;
        if let Some(old) = products.iter().find(|old| old.code == product.code) {
            let failure = Shown::from(ErrorCode::AlreadyThere.failure());
            return Err(failure.about(format!("product {} ({})", old.code, old.name)));
        }
        products.push(product);
        products.sort_by_key(|product| product.code);
        let text = products::write(products)?;
        if dry_run {
            return Ok(());
        }
        files::replace(&self.dir.join(PRODUCTS_FILE), text.as_bytes(), 0o644)
    }

    /// Numbers of the products, as the formats have them.
    pub fn product_codes(&self, codes: &[u32]) -> Result<Vec<ProductCode>> {
        codes.iter().map(|code| Ok(ProductCode(self.product(*code)?.code))).collect()
    }

    /// Folder of the usage logs that containers sent.
    pub fn usage_dir(&self) -> PathBuf {
        self.dir.join(USAGE_DIR)
    }

    /// Folder of the containers' records.
    pub fn containers_dir(&self) -> PathBuf {
        self.dir.join(CONTAINERS_DIR)
    }
}

/// Reads a root file: the object, and the root when its signatures hold.
pub fn read_root(path: &Path) -> Result<(Vec<u8>, Root)> {
    let bytes = files::read(path)?;
    let read = || -> std::result::Result<(Vec<u8>, Root), protocol::errors::Failure> {
        let rest = file::expect(&bytes, FileKind::Root)?;
        let (object, end) = file::next_object(rest, ROOT_BODY_LEN_MAX)?;
        file::finish(end)?;
        let root = Root::verify_first(&object).map_err(|_| ErrorCode::RootRefused.failure())?;
        Ok((rest.to_vec(), root))
    };
    read().map_err(|failure| Shown::from(failure).about(path.display()))
}
