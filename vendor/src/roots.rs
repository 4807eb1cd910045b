//! The next root, and revocations: what changes, who signs, and in which order it is written.

use std::path::Path;

use protocol::codec::{Fixed, List};
use protocol::crypto::ecdsa::Sign;
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, KeyId};
use protocol::objects::file::{self, FileKind};
use protocol::objects::revocation::{FirmwareRange, Revocation, RevocationBody};
use protocol::objects::root::{NextBody, RoleKeys, Root, RootBody, named_key};
use protocol::signed::{HYBRID_SUITE, Kind, Role, SUITE};

use crate::clock;
use crate::directory::{DELEGATION_FILE, ROOT_FILE, ROOTS_DIR, TRUST_FILE, Vendor};
use crate::files;
use crate::keys::{Home, KeyRing, entropy};
use crate::passphrase::Passphrase;
use crate::trust::{Part, Trust, role_name};
use crate::{Result, Shown};

/// A role that gets new keys.
pub struct Rotation {
    /// The role.
    pub role: Role,
    /// How many keys.
    pub keys: u8,
    /// How many of them must sign.
    pub threshold: u8,
    /// Last second of the new root; 0 = no end.
    pub until_s: u64,
    /// Where the keys go. One of suite 2 goes into a file.
    pub home: Home,
    /// 2: one key of suite 2 beside them, for what hosts alone verify.
    pub suite: u8,
}

/// The next revocations.
pub struct Revocations {
    /// Their number.
    pub epoch: u32,
    /// What is in them.
    pub body: RevocationBody,
    /// Last second in which they tell the present; 0 = no end.
    pub until_s: u64,
}

impl Rotation {
    /// Fills in what was not said from what the role has.
    pub fn of(
        root: &Root,
        role: Role,
        keys: Option<u8>,
        threshold: Option<u8>,
        suite: Option<u8>,
        (until_s, home): (u64, Home),
    ) -> Result<Self> {
        let now = root.body.role(role);
        let points = |now: &RoleKeys| {
            let suites = now.keys.iter().filter_map(named_key).map(|(suite, _)| suite);
            suites.filter(|suite| *suite == SUITE).count() as u8
        };
        let suite = suite.unwrap_or_else(|| root.body.host_suite(role));
        if suite != SUITE && role != Role::Licensing {
            let why = "suite 2 is for the role licensing: others sign what containers verify";
            return Err(Shown::usage(why, "Leave --suite out."));
        }
        let keys = keys.or(now.map(points)).unwrap_or(1);
        let threshold = threshold.or(now.map(|now| now.threshold.min(keys))).unwrap_or(1);
        let refused = |why: &str| Err(Shown::usage(why, "Change --keys or --threshold."));
        if keys == 0 || usize::from(keys) > protocol::limits::ROLE_KEYS_MAX {
            return refused("a role has one key to five");
        }
        if threshold == 0 || threshold > keys {
            return refused("a threshold of zero, or above the number of keys");
        }
        if !role.has_threshold() && threshold != 1 {
            return refused("one key signs for this role, so its threshold is 1");
        }
        Ok(Rotation { role, keys, threshold, until_s, home, suite })
    }
}

impl Rotation {
    /// Whether a new key goes into a sealed file.
    pub fn seals(&self) -> bool {
        self.home == Home::File || self.suite == HYBRID_SUITE
    }
}

impl Vendor {
    /// Makes the next root. New private keys are written first, so that no root is without them;
    /// the root then counts as soon as it is in its place.
    pub fn rotate(
        self,
        rotation: &Rotation,
        mut keys: KeyRing,
        passphrase: &Passphrase,
        out: Option<(&Path, &Passphrase)>,
    ) -> Result<Self> {
        self.check_own()?;
        // Asked before anything is drawn.
        keys.signers(&self.root.body, Role::Root)?;
        let drawn: Result<Vec<[u8; 33]>> =
            (0..rotation.keys).map(|_| keys.draw(rotation.role, rotation.home)).collect();
        let mut drawn = drawn?;
        if rotation.suite == HYBRID_SUITE {
            drawn.push(keys.draw_hybrid(rotation.role)?);
        }
        let body = self.next_body(rotation, &drawn)?;
        let signers = both(keys.signers(&self.root.body, Role::Root)?, &keys, &body.body)?;
        let times = (clock::now_s(), rotation.until_s);
        let object = self.root.write_next(&body, times, &signers, &entropy()?);
        let object = object.ok_or_else(|| keys.refusal(ErrorCode::TooLong.failure()))?;
        let next = self.verify_next(&object)?;
        let revocation = self.resigned(&next, &keys)?;
        match out {
            Some(out) => write_apart(&mut keys, rotation.role, &drawn, out)?,
            None => keys.write_home(&self.dir, passphrase)?,
        }
        let folder = self.dir.join(ROOTS_DIR);
        files::make_folder(&folder)?;
        let path = folder.join(format!("{}.strgroom", next.version));
        files::write_new(&path, &file::write(FileKind::Root, &[&object]))?;
        let mut roots = self.root_objects();
        roots.extend_from_slice(&object);
        self.write_trust(&roots, revocation.as_deref())?;
        // What no root names any more is of no use to anybody but a thief.
        let all = |public: &[u8; 33]| Role::ALL.iter().any(|role| holds(&next.body, *role, public));
        keys.retain(all);
        keys.write_home(&self.dir, passphrase)?;
        Vendor::open(&self.dir)
    }

    /// Makes the next revocations.
    pub fn revoke(self, next: &Revocations, keys: &KeyRing) -> Result<Self> {
        self.check_own()?;
        let object = sign_revocation(&self.root, next, keys)?;
        self.write_trust(&self.root_objects(), Some(&object))?;
        Vendor::open(&self.dir)
    }

    /// A reseller's directory issues, and changes nothing of whom the vendor trusts.
    pub fn check_own(&self) -> Result<()> {
        match &self.trust.delegate {
            None => Ok(()),
            Some(_) => Err(Shown::usage(
                "this directory was handed on: its vendor's keys are not here",
                "Ask the vendor.",
            )),
        }
    }

    fn next_body(&self, rotation: &Rotation, drawn: &[[u8; 33]]) -> Result<NextBody> {
        let points = List::new(drawn.iter().copied().map(Fixed).collect());
        let points = points.ok_or_else(|| {
            Shown::usage("more keys than a role may have", "Change --keys, or --suite.")
        })?;
        let new = RoleKeys { role: rotation.role, threshold: rotation.threshold, keys: points };
        let mut roles = self.root.body.roles.clone().into_vec();
        roles.retain(|role| role.role != rotation.role);
        roles.push(new);
        roles.sort_by_key(|role| role.role);
        let roles = List::new(roles).ok_or(ErrorCode::TooLong.failure())?;
        let body = RootBody { roles, ..self.root.body.clone() };
        body.check().map_err(|why| Shown::usage(why, "Change --keys or --threshold."))?;
        // With other keys for revocations containers begin to count anew; nobody who was revoked
        // may issue before they know of it again.
        let min_epoch = match (rotation.role, self.trust.revocations()) {
            (Role::Revocation, Some(now)) => now.epoch + 1,
            _ => self.root.min_epoch,
        };
        Ok(NextBody { body, min_epoch })
    }

    fn verify_next(&self, object: &[u8]) -> Result<Root> {
        let (object, _) = file::next_object(object, protocol::limits::ROOT_BODY_LEN_MAX)?;
        Ok(self.root.verify_next(&object).map_err(|_| ErrorCode::RootRefused.failure())?)
    }

    /// The revocations once more, for the next root: they go with one root only.
    fn resigned(&self, root: &Root, keys: &KeyRing) -> Result<Option<Vec<u8>>> {
        let Some(now) = self.trust.revocations() else { return Ok(None) };
        let epoch = now.epoch.checked_add(1).ok_or(ErrorCode::TooLong.failure())?;
        sign_revocation(root, &Revocations { epoch, ..now }, keys).map(Some)
    }

    fn write_trust(&self, roots: &[u8], revocation: Option<&[u8]>) -> Result<()> {
        let bytes = file::write(FileKind::Trust, &[roots, revocation.unwrap_or_default()]);
        files::replace(&self.dir.join(TRUST_FILE), &bytes, 0o644)
    }
}

/// All that a directory says of trust. Revocations that were signed for the root before the newest
/// are kept as they are: making the newest was interrupted, and they are made again next.
pub(crate) fn read_trust(dir: &Path) -> Result<Trust> {
    let path = dir.join(ROOT_FILE);
    let mut objects = objects_of(&path, FileKind::Root)?;
    for version in 2_u64.. {
        let path = dir.join(ROOTS_DIR).join(format!("{version}.strgroom"));
        if !path.is_file() {
            break;
        }
        objects.extend(objects_of(&path, FileKind::Root)?);
    }
    let parse = |objects: &[u8]| {
        let (trust, rest) = Trust::take(objects)?;
        file::finish(rest).map(|()| trust)
    };
    let about = |failure| Shown::from(failure).about(dir.display());
    let roots = parse(&objects).map_err(about)?;
    for (name, kind) in [(TRUST_FILE, FileKind::Trust), (DELEGATION_FILE, FileKind::Delegation)] {
        let path = dir.join(name);
        if path.is_file() {
            let behind = behind_roots(&objects_of(&path, kind)?)?;
            objects.extend(behind);
        }
    }
    match parse(&objects) {
        Ok(trust) => Ok(trust),
        Err(_) if dir.join(TRUST_FILE).is_file() => {
            let objects = objects_of(&dir.join(TRUST_FILE), FileKind::Trust)?;
            let (old, _) = Trust::take(&objects).map_err(about)?;
            Ok(Trust { revocation: old.revocation, ..roots })
        }
        Err(failure) => Err(about(failure)),
    }
}

/// What stands behind the roots of a file.
fn behind_roots(objects: &[u8]) -> Result<Vec<u8>> {
    let (trust, _) = Trust::take(objects)?;
    let behind = trust.objects().filter(|part| part.header.kind != Kind::Root);
    Ok(behind.flat_map(|part| part.bytes.iter().copied()).collect())
}

fn objects_of(path: &Path, kind: FileKind) -> Result<Vec<u8>> {
    let bytes = files::read(path)?;
    let objects = file::expect(&bytes, kind);
    Ok(objects.map_err(|failure| Shown::from(failure).about(path.display()))?.to_vec())
}

/// The signers of the root before, and those of the new one, each once.
fn both<'a>(
    mut signers: Vec<&'a dyn Sign>,
    keys: &'a KeyRing,
    next: &'a RootBody,
) -> Result<Vec<&'a dyn Sign>> {
    for key in keys.signers(next, Role::Root)? {
        if !signers.iter().any(|known| known.verifying_key() == key.verifying_key()) {
            signers.push(key);
        }
    }
    Ok(signers)
}

fn holds(body: &RootBody, role: Role, public: &[u8; 33]) -> bool {
    body.keys(role).any(|known| known.0 == *public)
}

/// Puts new keys into files of their own, and nowhere else.
fn write_apart(
    keys: &mut KeyRing,
    role: Role,
    drawn: &[[u8; 33]],
    (folder, passphrase): (&Path, &Passphrase),
) -> Result<()> {
    files::make_folder(folder)?;
    for (id, alone) in keys.split_off(drawn) {
        alone.write(&folder.join(format!("{}-{id}.key", role_name(role))), passphrase)?;
    }
    Ok(())
}

fn sign_revocation(root: &Root, next: &Revocations, keys: &KeyRing) -> Result<Vec<u8>> {
    let signers = keys.signers(&root.body, Role::Revocation)?;
    let times = (clock::now_s(), next.until_s);
    let object = Revocation::write(root, next.epoch, &next.body, times, &signers, &entropy()?);
    object.ok_or_else(|| keys.refusal(ErrorCode::TooLong.failure()))
}

impl Revocations {
    /// The next ones, as they are now: none yet, or the same under the next number.
    pub fn after(trust: &Trust, until_s: u64) -> Result<Self> {
        let now = trust.revocations();
        let epoch = now.as_ref().map_or(Some(1), |now| now.epoch.checked_add(1));
        let epoch = epoch.ok_or(ErrorCode::TooLong.failure())?;
        let body = now.map(|now| now.body).unwrap_or_default();
        Ok(Revocations { epoch, body, until_s })
    }

    /// Adds a key, or takes it away.
    pub fn put_key(&mut self, key: KeyId, revoked: bool) -> Result<bool> {
        put(&mut self.body.keys, key, revoked)
    }

    /// Adds a container, or takes it away.
    pub fn put_container(&mut self, id: ContainerId, revoked: bool) -> Result<bool> {
        put(&mut self.body.containers, id, revoked)
    }

    /// Adds versions of firmware, or takes them away.
    pub fn put_firmware(&mut self, range: FirmwareRange, revoked: bool) -> Result<bool> {
        put(&mut self.body.firmware, range, revoked)
    }
}

/// Puts a value into a list in rising order, or takes it out. Whether that changed anything.
fn put<T: Ord + Clone, const MAX: usize>(
    list: &mut List<T, MAX>,
    value: T,
    listed: bool,
) -> Result<bool> {
    let mut values = list.clone().into_vec();
    let changes = match (values.binary_search(&value), listed) {
        (Ok(at), false) => {
            values.remove(at);
            true
        }
        (Err(at), true) => {
            values.insert(at, value);
            true
        }
        _ => false,
    };
    *list = List::new(values).ok_or_else(|| {
        Shown::conflict(
            format!("more than {MAX} of a kind cannot be revoked at a time"),
            "Keys that no root names need not be: rotate the role, then take them out with \
             --restore.",
        )
    })?;
    Ok(changes)
}

impl Part {
    /// The object again, to be verified.
    pub fn unverified(&self) -> Result<protocol::signed::UnverifiedObject<'_>> {
        Ok(file::next_object(&self.bytes, protocol::limits::REVOCATION_BODY_LEN_MAX)?.0)
    }
}
