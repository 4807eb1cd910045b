//! A vendor's private keys: in files under a passphrase, and in a token ([`crate::token`]).
//!
//! ```text
//! STRGKEYS version[1] salt[16] nonce[12] sealed     versions 2, 3: records of 39 bytes and a tag
//! record = kind[1] a[4] b[2] secret[32]             0 signing key (a = role), 1 firm key,
//!                                                   2 item key (a = product, b = generation),
//!                                                   3 seed of a key of suite 2 (a = role)
//! ```

use std::path::Path;

use argon2::Argon2;
use protocol::codec::Fixed;
use protocol::crypto::aead;
use protocol::crypto::ecdsa::{Sign, SigningKey};
use protocol::crypto::hybrid::HybridKey;
use protocol::crypto::{Random, RandomFailed};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{Generation, KeyId, ProductCode, RootFp};
use protocol::objects::artifact::{SecretKey, item_key, item_key_info};
use protocol::objects::root::RootBody;
use protocol::signed::{Header, Proof, Role, sign_batch, write_object};
use zeroize::Zeroizing;

use crate::directory::{KEYS_FILE, STORE_FILE};
use crate::fast::FastKey;
use crate::files;
use crate::hybrid::HeldHybrid;
use crate::passphrase::Passphrase;
use crate::store::StoreFile;
use crate::token::Token;
use crate::trust::role_name;
use crate::{Result, Shown};

const MAGIC: &[u8; 8] = b"STRGKEYS";
const VERSION: u8 = 2;
/// With a record of kind 3, which a reader of version 2 would take for damage.
const HYBRID_VERSION: u8 = 3;
const SEALED_LEN_MAX: usize = 16 * 1024;
const RECORD_LEN: usize = 39;
const TAG_LEN: usize = 16;

/// A signing key, and the role that it was made for.
struct Held {
    role: Role,
    key: SigningKey,
    /// The same key where it signs faster.
    fast: Option<FastKey>,
    /// From another file than this one, so never written to it.
    foreign: bool,
}

impl Held {
    fn own(role: Role, key: SigningKey) -> Self {
        let fast = FastKey::of(&key);
        Held { role, key, fast, foreign: false }
    }

    fn signs(&self) -> &dyn Sign {
        self.fast.as_ref().map_or(&self.key as &dyn Sign, |fast| fast)
    }

    fn public(&self) -> [u8; 33] {
        self.key.verifying_key().to_bytes()
    }

    fn id(&self) -> KeyId {
        self.key.verifying_key().id()
    }
}

/// Where a new key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// The sealed file.
    File,
    /// The token.
    Token,
}

/// Private keys. Those in memory are wiped on drop.
#[derive(Default)]
pub struct KeyRing {
    signing: Vec<Held>,
    /// Those of suite 2: no token has any.
    hybrids: Vec<HeldHybrid>,
    /// The token that holds the others.
    token: Option<Token>,
    /// Item keys are derived from it, where the token does not hold it.
    firm_key: Option<Zeroizing<[u8; 32]>>,
    /// Where there is no firm key: item keys that were handed on.
    items: Vec<(ProductCode, Generation, SecretKey)>,
}

impl KeyRing {
    /// A new firm key, in the token if it can hold one, and no keys that sign yet.
    pub fn generate(mut token: Option<Token>) -> Result<Self> {
        let in_token = token.as_mut().map(Token::draw_firm_key).transpose()?.unwrap_or(false);
        let firm_key = if in_token { None } else { Some(Zeroizing::new(entropy()?)) };
        Ok(KeyRing { token, firm_key, ..KeyRing::default() })
    }

    /// Takes a token in, if there is none yet.
    pub fn attach(&mut self, token: Token) {
        self.token.get_or_insert(token);
    }

    /// The token.
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Why nothing was signed: what the token said, or else this.
    pub fn refusal(&self, otherwise: Failure) -> Shown {
        self.token().and_then(Token::failure).unwrap_or_else(|| otherwise.into())
    }

    /// A key that was handed on, with the item keys that go along.
    pub fn handed_on(key: SigningKey, items: Vec<(ProductCode, Generation, SecretKey)>) -> Self {
        KeyRing { signing: vec![Held::own(Role::Licensing, key)], items, ..KeyRing::default() }
    }

    /// Draws one more key and returns its public half.
    pub fn draw(&mut self, role: Role, home: Home) -> Result<[u8; 33]> {
        if let (Home::Token, Some(token)) = (home, &mut self.token) {
            return token.draw(role).map(|public| public.to_bytes());
        }
        let key = new_key()?;
        let public = key.verifying_key().to_bytes();
        self.signing.push(Held::own(role, key));
        Ok(public)
    }

    /// Draws a key of suite 2, which the sealed file holds, and returns what a root says for it.
    pub fn draw_hybrid(&mut self, role: Role) -> Result<[u8; 33]> {
        let held = HeldHybrid::draw(role)?;
        let public = held.public();
        self.hybrids.push(held);
        Ok(public)
    }

    pub(crate) fn hybrids(&self) -> &[HeldHybrid] {
        &self.hybrids
    }

    /// Takes the signing keys of another file in.
    pub fn borrow(&mut self, other: KeyRing) {
        let foreign = |held| HeldHybrid { foreign: true, ..held };
        self.hybrids.extend(other.hybrids.into_iter().map(foreign));
        self.signing.extend(other.signing.into_iter().map(|held| Held { foreign: true, ..held }));
    }

    /// The key of this id.
    pub fn by_id(&self, id: KeyId) -> Result<&dyn Sign> {
        let found = self.all().find(|key| key.id() == id);
        found.ok_or_else(|| missing(Role::Licensing, 0, 1))
    }

    /// A key that holds `role` under `root` and is not one of `revoked`.
    pub fn signer(&self, root: &RootBody, role: Role, revoked: &[KeyId]) -> Result<&dyn Sign> {
        let mut holders = self.holders(root, role).into_iter();
        let found = holders.find(|key| !revoked.contains(&key.id()));
        found.ok_or_else(|| match root.role(role) {
            Some(_) => missing(role, 0, 1),
            None => no_role(role),
        })
    }

    /// As many keys that hold `role` under `root` as must sign.
    pub fn signers(&self, root: &RootBody, role: Role) -> Result<Vec<&dyn Sign>> {
        let Some(keys) = root.role(role) else { return Err(no_role(role)) };
        let needed = usize::from(keys.threshold);
        let mut found = self.holders(root, role);
        if found.len() < needed {
            return Err(missing(role, found.len(), needed));
        }
        found.truncate(needed);
        Ok(found)
    }

    /// Keys that hold `role` under `root`, each once.
    fn holders(&self, root: &RootBody, role: Role) -> Vec<&dyn Sign> {
        let held = |point: &Fixed<33>| self.all().find(|key| key.point() == point.0);
        root.keys(role).filter_map(held).collect()
    }

    fn all(&self) -> impl Iterator<Item = &dyn Sign> {
        let in_files = self.signing.iter().map(Held::signs);
        let in_token = self.token.iter().flat_map(Token::keys).map(|key| key as &dyn Sign);
        in_files.chain(in_token)
    }

    /// Signs headers of one firm and role with one signature, over the tree of them all.
    pub fn sign_batch(&self, headers: &mut [Header], key: &dyn Sign) -> Result<Vec<Proof>> {
        let proofs = sign_batch(headers, key, &entropy()?);
        proofs.ok_or_else(|| self.refusal(ErrorCode::Malformed.failure()))
    }

    /// Signs one object.
    pub fn sign_object(&self, header: Header, body: &[u8], key: &dyn Sign) -> Result<Vec<u8>> {
        let mut headers = [header];
        let proofs = self.sign_batch(&mut headers, key)?;
        let proof = proofs.first().ok_or(ErrorCode::Malformed.failure())?;
        Ok(write_object(&headers[0], proof, body))
    }

    /// The item key of a product.
    pub fn item_key(
        &self,
        root_fp: RootFp,
        product: ProductCode,
        generation: Generation,
    ) -> Result<SecretKey> {
        let info = item_key_info(root_fp, product, generation);
        if let Some(key) = self.token().and_then(|token| token.item_key(&info)) {
            return key;
        }
        if let Some(firm_key) = &self.firm_key {
            return Ok(item_key(firm_key, root_fp, product, generation));
        }
        let mut items = self.items.iter();
        let found = items.find(|(p, g, _)| *p == product && *g == generation);
        found.map(|(_, _, key)| key.clone()).ok_or_else(|| {
            Shown::not_found(
                format!("there is no item key of product {product}, generation {generation}, here"),
                "Ask the vendor for a delegation with this product and generation.",
            )
        })
    }

    /// Keeps own signing keys that are still of use.
    pub fn retain(&mut self, wanted: impl Fn(&[u8; 33]) -> bool) {
        self.signing.retain(|held| wanted(&held.public()));
        self.hybrids.retain(|held| wanted(&held.public()));
        if let Some(token) = &mut self.token {
            token.retain(wanted);
        }
    }

    /// The keys of the sealed records that [`KeyRing::write`] makes.
    pub(crate) fn from_records(plain: &[u8]) -> Option<Self> {
        from_records(plain)
    }

    /// Takes the keys of `role` that are in memory out of the ring, own ones and those of other
    /// files, and says how many were own.
    pub(crate) fn take_role(&mut self, root: &RootBody, role: Role) -> (KeyRing, usize) {
        let holds = |public: [u8; 33]| root.keys(role).any(|name| name.0 == public);
        let mut signing: Vec<Held> =
            self.signing.extract_if(.., |held| holds(held.public())).collect();
        let mut hybrids: Vec<HeldHybrid> =
            self.hybrids.extract_if(.., |held| holds(held.public())).collect();
        let own = signing.iter().filter(|held| !held.foreign).count()
            + hybrids.iter().filter(|held| !held.foreign).count();
        signing.sort_by_key(Held::public);
        signing.dedup_by_key(|held| held.public());
        signing.iter_mut().for_each(|held| held.foreign = false);
        hybrids.sort_by_key(HeldHybrid::public);
        hybrids.dedup_by_key(|held| held.public());
        hybrids.iter_mut().for_each(|held| held.foreign = false);
        (KeyRing { signing, hybrids, ..KeyRing::default() }, own)
    }

    /// Ids of the keys in memory.
    pub fn ids(&self) -> Vec<KeyId> {
        let hybrids = self.hybrids.iter().map(|held| held.key.id());
        self.signing.iter().map(Held::id).chain(hybrids).collect()
    }

    /// Takes the keys with these public halves out, for a file of its own each.
    pub fn split_off(&mut self, publics: &[[u8; 33]]) -> Vec<(KeyId, KeyRing)> {
        let out = self.signing.extract_if(.., |held| publics.contains(&held.public()));
        let alone = |held: Held| (held.id(), KeyRing { signing: vec![held], ..KeyRing::default() });
        let mut all: Vec<_> = out.map(alone).collect();
        let out = self.hybrids.extract_if(.., |held| publics.contains(&held.public()));
        all.extend(
            out.map(|held| (held.key.id(), KeyRing { hybrids: vec![held], ..KeyRing::default() })),
        );
        all
    }

    /// Writes what a vendor directory holds of them: the sealed file, where there is something to
    /// seal, and where the rest is.
    pub fn write_home(&mut self, dir: &Path, passphrase: &Passphrase) -> Result<()> {
        let path = dir.join(KEYS_FILE);
        let own = self.signing.iter().any(|held| !held.foreign)
            || self.hybrids.iter().any(|held| !held.foreign);
        if own || self.firm_key.is_some() || !self.items.is_empty() || path.exists() {
            self.write(&path, passphrase)?;
        }
        if let Some(token) = &mut self.token {
            let store = StoreFile::of(token.place().clone());
            files::replace(&dir.join(STORE_FILE), store.write()?.as_bytes(), 0o644)?;
            token.keep();
        }
        Ok(())
    }

    /// Writes the keys that are not in a token, readable by their owner only.
    pub fn write(&self, path: &Path, passphrase: &Passphrase) -> Result<()> {
        let version = match self.hybrids.iter().any(|held| !held.foreign) {
            true => HYBRID_VERSION,
            false => VERSION,
        };
        let mut sealed = Sealed { version, salt: [0; 16], nonce: [0; 12], sealed: vec![] };
        fill(&mut sealed.salt)?;
        fill(&mut sealed.nonce)?;
        let mut plain = self.to_records();
        let key = stretch(passphrase, &sealed.salt)?;
        let tag = aead::seal_in_place(&key, &sealed.nonce, sealed.aad(), &mut plain);
        sealed.sealed = [&plain[..], &tag].concat();
        files::replace(path, &sealed.to_bytes(), 0o600)
    }

    /// Reads them back.
    pub fn read(path: &Path, passphrase: &Passphrase) -> Result<Self> {
        let damaged = || Shown::from(ErrorCode::Malformed.failure()).about(path.display());
        let sealed =
            Sealed::parse(&files::read(path)?).map_err(|error| error.about(path.display()))?;
        let key = stretch(passphrase, &sealed.salt)?;
        let (bytes, tag) = sealed.sealed.split_last_chunk::<TAG_LEN>().ok_or_else(damaged)?;
        let mut plain = Zeroizing::new(bytes.to_vec());
        aead::open_in_place(&key, &sealed.nonce, sealed.aad(), &mut plain, tag).map_err(|_| {
            Shown::from(ErrorCode::VendorPassphrase.failure()).about(path.display())
        })?;
        let read = if sealed.version == 1 { from_version_1(&plain) } else { from_records(&plain) };
        read.ok_or_else(damaged)
    }

    /// Their records, as a file seals them.
    pub(crate) fn to_records(&self) -> Zeroizing<Vec<u8>> {
        let count = self.signing.len() + self.hybrids.len() + self.items.len() + 1;
        let mut out = Zeroizing::new(Vec::with_capacity(count * RECORD_LEN));
        let mut put = |kind: u8, a: u32, b: u16, secret: &[u8; 32]| {
            out.push(kind);
            out.extend_from_slice(&a.to_be_bytes());
            out.extend_from_slice(&b.to_be_bytes());
            out.extend_from_slice(secret);
        };
        for held in self.signing.iter().filter(|held| !held.foreign) {
            put(0, held.role as u32, 0, &held.key.to_secret_bytes());
        }
        for held in self.hybrids.iter().filter(|held| !held.foreign) {
            put(3, held.role as u32, 0, held.key.seed());
        }
        if let Some(key) = &self.firm_key {
            put(1, 0, 0, key);
        }
        for (product, generation, key) in &self.items {
            put(2, product.0, generation.0, key);
        }
        out
    }
}

/// A new signing key.
pub(crate) fn new_key() -> Result<SigningKey> {
    Ok(SigningKey::generate(&mut SystemRandom).map_err(|_| ErrorCode::RandomFailed.failure())?)
}

fn from_records(plain: &[u8]) -> Option<KeyRing> {
    let mut ring = KeyRing::default();
    let records = plain.chunks_exact(RECORD_LEN);
    if !records.remainder().is_empty() {
        return None;
    }
    for record in records {
        let a = u32::from_be_bytes(record[1..5].try_into().ok()?);
        let b = u16::from_be_bytes(record[5..7].try_into().ok()?);
        let secret = secret(&record[7..])?;
        match (record[0], b) {
            (3, 0) => {
                let key = HybridKey::from_seed(&secret).ok()?;
                ring.hybrids.push(HeldHybrid::own(role_of(a)?, key));
            }
            (0, 0) => {
                let role = role_of(a)?;
                ring.signing.push(Held::own(role, SigningKey::from_bytes(&secret).ok()?));
            }
            (1, 0) if a == 0 && ring.firm_key.is_none() => ring.firm_key = Some(secret),
            (2, _) => ring.items.push((ProductCode(a), Generation(b), secret)),
            _ => return None,
        }
    }
    Some(ring)
}

fn role_of(number: u32) -> Option<Role> {
    Role::ALL.into_iter().find(|role| *role as u32 == number)
}

/// Version 1 held one key each for root, licensing and protect, then the firm key.
fn from_version_1(plain: &[u8]) -> Option<KeyRing> {
    let mut ring = KeyRing::default();
    let (keys, firm_key) = plain.split_at_checked(96)?;
    for (role, bytes) in
        [Role::Root, Role::Licensing, Role::Protect].into_iter().zip(keys.chunks_exact(32))
    {
        ring.signing.push(Held::own(role, SigningKey::from_bytes(&*secret(bytes)?).ok()?));
    }
    ring.firm_key = Some(secret(firm_key)?);
    Some(ring)
}

fn secret(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0; 32]);
    (bytes.len() == 32).then(|| secret.copy_from_slice(bytes))?;
    Some(secret)
}

pub(crate) fn missing(role: Role, found: usize, needed: usize) -> Shown {
    let role = role_name(role);
    Shown::not_found(
        format!("{found} private keys of the role {role} are here, {needed} must sign"),
        "Name the files that hold them with --key-file, once for each.",
    )
}

fn no_role(role: Role) -> Shown {
    let role = role_name(role);
    Shown::not_found(
        format!("this vendor has no keys for the role {role}"),
        format!("Make them: strongroom vendor key rotate --role {role}"),
    )
}

/// A key file as it lies there. The cost of opening it is no field: nobody chooses it for us.
pub struct Sealed {
    version: u8,
    salt: [u8; 16],
    nonce: [u8; 12],
    sealed: Vec<u8>,
}

impl Sealed {
    /// Takes a file's bytes apart.
    pub fn parse(file: &[u8]) -> Result<Self> {
        let damaged = || Shown::from(ErrorCode::Malformed.failure());
        let (version, rest) =
            file.strip_prefix(MAGIC).and_then(<[u8]>::split_first).ok_or_else(damaged)?;
        if *version > HYBRID_VERSION {
            return Err(ErrorCode::NewerVersion.with((*version).into(), 0).into());
        }
        let (salt, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or_else(damaged)?;
        let whole = match *version {
            1 => sealed.len() == 4 * 32 + TAG_LEN,
            VERSION | HYBRID_VERSION => (TAG_LEN..=SEALED_LEN_MAX).contains(&sealed.len()),
            _ => false,
        };
        if !whole {
            return Err(damaged());
        }
        Ok(Sealed { version: *version, salt: *salt, nonce: *nonce, sealed: sealed.to_vec() })
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&MAGIC[..], &[self.version], &self.salt, &self.nonce, &self.sealed].concat()
    }

    fn aad(&self) -> &'static [u8] {
        match self.version {
            1 => MAGIC,
            VERSION => b"STRGKEYS\x02",
            _ => b"STRGKEYS\x03",
        }
    }
}

/// Argon2id (RFC 9106) with the library's recommended cost.
pub(crate) fn stretch(passphrase: &Passphrase, salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::default()
        .hash_password_into(passphrase.bytes(), salt, &mut key[..])
        .map_err(|error| Shown::usage(error, "Use another passphrase."))?;
    Ok(key)
}

/// The system's randomness.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) -> std::result::Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}

/// 32 fresh bytes.
pub fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Fills with fresh bytes.
pub(crate) fn fill(out: &mut [u8]) -> Result<()> {
    Ok(SystemRandom.fill(out).map_err(|_| ErrorCode::RandomFailed.failure())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publics(ring: &KeyRing) -> Vec<(Role, [u8; 33])> {
        ring.signing.iter().map(|held| (held.role, held.public())).collect()
    }

    #[test]
    fn keys_are_read_back_and_those_of_other_files_are_not_written() {
        let mut ring = KeyRing::generate(None).unwrap();
        ring.draw(Role::Root, Home::File).unwrap();
        ring.draw(Role::Recovery, Home::File).unwrap();
        ring.items.push((ProductCode(7), Generation(300), Zeroizing::new([9; 32])));
        let own = publics(&ring);
        let mut other = KeyRing::default();
        other.draw(Role::Root, Home::File).unwrap();
        ring.borrow(other);
        assert_eq!(ring.signing.len(), 3);
        let read = from_records(&ring.to_records()).unwrap();
        assert_eq!(publics(&read), own);
        assert_eq!((&read.firm_key, &read.items), (&ring.firm_key, &ring.items));
    }

    #[test]
    fn a_store_of_version_1_is_read() {
        let plain: Vec<u8> = [1, 2, 3, 4].iter().flat_map(|byte| [*byte; 32]).collect();
        let ring = from_version_1(&plain).unwrap();
        let roles: Vec<Role> = ring.signing.iter().map(|held| held.role).collect();
        assert_eq!(roles, [Role::Root, Role::Licensing, Role::Protect]);
        assert_eq!(ring.firm_key.as_deref(), Some(&[4; 32]));
        assert!(from_version_1(&plain[..127]).is_none());
    }

    #[test]
    fn records_that_are_none_are_refused() {
        let record = |kind: u8, a: u32, b: u16| {
            [&[kind][..], &a.to_be_bytes(), &b.to_be_bytes(), &[5; 32]].concat()
        };
        assert!(from_records(&record(0, 1, 0)).is_some());
        assert!(from_records(&record(3, 1, 0)).is_some());
        let twice = [record(1, 0, 0), record(1, 0, 0)].concat();
        for wrong in [
            record(0, 99, 0),
            record(0, 1, 1),
            record(1, 1, 0),
            record(3, 99, 0),
            record(3, 1, 1),
            record(4, 0, 0),
            twice,
        ] {
            assert!(from_records(&wrong).is_none(), "{wrong:?}");
        }
        assert!(from_records(&record(0, 1, 0)[1..]).is_none());
    }

    /// A server signs on many threads.
    #[test]
    fn keys_go_from_thread_to_thread() {
        fn shared<T: Send + Sync>() {}
        shared::<KeyRing>();
    }

    /// A threshold is met by distinct keys, wherever they lie.
    #[test]
    fn one_key_in_two_files_is_one_signer() {
        let mut ring = KeyRing::default();
        let (a, b) = (ring.draw(Role::Root, Home::File).unwrap(), new_key().unwrap());
        let points = [Fixed(a), Fixed(b.verifying_key().to_bytes())];
        let keys = protocol::codec::List::new(points.to_vec()).unwrap();
        let root = protocol::objects::root::RoleKeys { role: Role::Root, threshold: 2, keys };
        let body = RootBody {
            mode: protocol::objects::root::Mode::Test,
            name: protocol::codec::Text::new("x").unwrap(),
            firm_code: protocol::ids::FirmCode(0),
            roles: protocol::codec::List::new(vec![root]).unwrap(),
        };
        ring.borrow(from_records(&ring.to_records()).unwrap());
        assert_eq!(ring.signers(&body, Role::Root).err().map(|error| error.exit()), Some(3));
        ring.signing.push(Held::own(Role::Root, b));
        assert_eq!(ring.signers(&body, Role::Root).map(|keys| keys.len()).ok(), Some(2));
    }
}
