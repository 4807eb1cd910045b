//! What the signer does for one vendor: caps, then the journal, then the signature.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{ContainerId, ContainerKind, KeyId, RootFp};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::update::{UpdateOp, read_ops};
use protocol::signed::{Header, Kind};
use vendor::ledger::Issued;
use vendor::trust::Trust;
use vendor::{KeyRing, files};

use super::caps::{Caps, Sums};
use super::index::Index;
use super::journal::{Journal, Medium};
use super::leased::{self, Leased};
use super::times::{self, Times};
use crate::domain::central::Clock;
use crate::domain::firm::{Leaf, LocalSigner, Signer, Wanted};
use crate::domain::journal::{Entry, Head, Part};
use crate::domain::trusted::TrustMark;

/// Seconds that a lease may last from now: it is in no journal, and cannot be taken back.
const LEASE_MAX_S: u64 = 24 * 3600;

/// Signs for one vendor.
pub struct Keeper {
    signer: Arc<LocalSigner>,
    root_fp: RootFp,
    clock: Arc<dyn Clock>,
    /// Where it is kept whom the vendor trusted last.
    known: PathBuf,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    index: Index,
    caps: Caps,
    times: Times,
    leased: Leased,
    /// Whether the database was seen to know the journal since this signer started.
    agreed: bool,
}

impl Keeper {
    /// With these keys, and the journal in the file `path`.
    ///
    /// # Errors
    /// The journal is in use, of another vendor, or damaged.
    pub fn open(
        signer: LocalSigner,
        root_fp: RootFp,
        path: &Path,
        caps: Caps,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Shown> {
        Self::open_on(Arc::new(signer), root_fp, (path, |file| Box::new(file)), caps, clock)
    }

    /// [`Keeper::open`], with a journal that is written through what is made of its file.
    ///
    /// # Errors
    /// The same.
    pub fn open_on(
        signer: Arc<LocalSigner>,
        root_fp: RootFp,
        medium: (&Path, impl FnOnce(File) -> Box<dyn Medium>),
        caps: Caps,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Shown> {
        let path = medium.0;
        let mut index = Index::default();
        let journal = Journal::open_on(medium, root_fp, |entry| {
            let told = entry.told()?;
            index.add(&told.leaf.header, entry.at_s, Sums::of(&told.ops));
            Ok(())
        })?;
        let known = trust_path(path);
        keep_trust(&known, &signer.mark()?, |mark| signer.follows(mark))?;
        let times = Times::open(&times::path_beside(path))?;
        let leased = Leased::open(&leased::path_beside(path))?;
        let state = Mutex::new(State { journal, index, caps, times, leased, agreed: false });
        Ok(Keeper { signer, root_fp, clock, known, state })
    }

    /// Other caps from now on.
    pub fn set_caps(&self, caps: Caps) {
        self.lock().caps = caps;
    }

    /// Other keys, by a root that follows the one that it signs by, or under newer revocations.
    /// Whether anything is new.
    ///
    /// # Errors
    /// They are older, or another branch: the others go on signing.
    pub fn replace(&self, trust: Trust, keys: KeyRing) -> Result<bool, Shown> {
        // One at a time.
        let _state = self.lock();
        let before = self.signer.mark()?;
        let next = before.followed_by(&trust)?;
        keep_trust(&self.known, &next, |mark| mark.followed_by(&trust))?;
        self.signer.replace(trust, keys);
        Ok(next != before)
    }

    /// By which root and revocations it signs.
    pub fn mark(&self) -> Result<TrustMark, Shown> {
        self.signer.mark()
    }

    fn now_s(&self) -> u64 {
        u64::try_from(self.clock.now_ms() / 1000).unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What panicked has changed nothing: the index follows the journal in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leaf with its operations, if it is an update of this vendor: nothing else is signed.
    fn typed<'a>(&self, leaf: &'a Leaf) -> Result<Typed<'a>, Shown> {
        let header = &leaf.header;
        let own = Header::new(header.kind, &leaf.body);
        let is_update = matches!(header.kind, Kind::Update | Kind::Recovery);
        let fits = (own.body_len, own.body_hash) == (header.body_len, header.body_hash);
        let is_own = header.root_fp == self.root_fp && header.seq > 0 && header.log_index == 0;
        let refused = || Shown::from(ErrorCode::LeafRefused.failure());
        if !is_update || !fits || !is_own {
            return Err(refused());
        }
        let ops = read_ops(&leaf.body).map_err(|error| refused().detailed(error))?;
        let perpetuates = |op: &UpdateOp| matches!(op, UpdateOp::Perpetuate(_));
        // Only the recovery role turns licenses perpetual, and it does nothing else.
        if !ops.iter().all(|op| perpetuates(op) == (header.kind == Kind::Recovery)) {
            return Err(refused());
        }
        self.signer.check_scope(&ops)?;
        Ok(Typed { leaf, ops, shown: self.signer.is_shown(leaf)? })
    }
}

/// An update that is to be signed.
struct Typed<'a> {
    leaf: &'a Leaf,
    ops: Vec<UpdateOp>,
    /// Whether its container showed the state that it follows.
    shown: bool,
}

/// Where it is kept whom the vendor trusted last, by the place of its journal.
fn trust_path(journal: &Path) -> PathBuf {
    journal.with_extension("trust")
}

/// Keeps `next` in the file, if `follows` takes what stands there: so an old copy of the vendor's
/// directory is none of the present, also after a restart.
fn keep_trust(
    path: &Path,
    next: &TrustMark,
    follows: impl FnOnce(&TrustMark) -> Result<TrustMark, Shown>,
) -> Result<(), Shown> {
    if path.exists() {
        let known: TrustMark = serde_json::from_slice(&files::read(path)?).map_err(|error| {
            let hint = "See that the vendor's directory is the newest, then take the file away.";
            Shown::conflict(format!("{}: {error}", path.display()), hint)
        })?;
        follows(&known)?;
        if known == *next {
            return Ok(());
        }
    }
    files::replace(path, &serde_json::to_vec(next).unwrap_or_default(), 0o600)
}

impl State {
    fn check_agreed(&self) -> Result<(), Shown> {
        if self.agreed { Ok(()) } else { Err(ErrorCode::JournalUnshown.failure().into()) }
    }

    /// Writes down those that are not in the journal yet. All of them are, or none.
    fn note(&mut self, leaves: &[Typed<'_>], now_s: u64) -> Result<(), Shown> {
        let mut fresh: Vec<(&Leaf, Entry, Sums)> = Vec::new();
        let mut day = self.index.today(now_s);
        for Typed { leaf, ops, shown } in leaves {
            let place = |leaf: &Leaf| (leaf.header.target, leaf.header.seq);
            let beside = fresh.iter().find(|(other, ..)| place(other) == place(leaf));
            if beside.is_some_and(|(other, ..)| other.header != leaf.header) {
                return Err(ErrorCode::LeafDiffers.with(leaf.header.seq, leaf.header.seq).into());
            }
            let earlier = fresh.iter().map(|(leaf, ..)| &leaf.header);
            if beside.is_some() || self.index.has(leaf, *shown, earlier)? {
                continue;
            }
            self.caps.check_update(ops)?;
            let sums = Sums::of(ops);
            day = day.plus(sums);
            let number = self.journal.head().number + fresh.len() as u64 + 1;
            fresh.push((leaf, Entry::new(number, now_s, leaf), sums));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        self.caps.check_day(day)?;
        let (rest, entries): (Vec<_>, Vec<Entry>) =
            fresh.into_iter().map(|(leaf, entry, sums)| ((leaf.header, sums), entry)).unzip();
        self.journal.append(&entries)?;
        for (header, sums) in rest {
            self.index.add(&header, now_s, sums);
        }
        Ok(())
    }
}

impl Signer for Keeper {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        self.lock().check_agreed()?;
        self.signer.draft(wanted)
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        self.signer.key_id()
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        let typed: Vec<_> = leaves.iter().map(|leaf| self.typed(leaf)).collect::<Result<_, _>>()?;
        self.signer.check_key(leaves)?;
        let now_s = self.now_s();
        let mut state = self.lock();
        state.check_agreed()?;
        state.note(&typed, now_s)?;
        drop(state);
        self.signer.sign(leaves)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        let now_s = self.now_s();
        let is_short = |lease: &Leaf| lease.header.until_s <= now_s.saturating_add(LEASE_MAX_S);
        let is_own = |lease: &Leaf| lease.header.root_fp == self.root_fp && is_short(lease);
        if !leases.iter().all(is_own) {
            return Err(ErrorCode::LeafRefused.failure().into());
        }
        if let Some(until_s) = leases.iter().map(|lease| lease.header.until_s).max() {
            let mut state = self.lock();
            state.check_agreed()?;
            state.leased.cover(until_s)?;
        }
        self.signer.sign_leases(leases)
    }

    fn trusted(&self) -> Result<Option<TrustMark>, Shown> {
        self.mark().map(Some)
    }

    fn time_token(&self, certificate: &[u8], nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        let id = self.signer.device(certificate)?.id;
        let now_s = self.now_s();
        let mut state = self.lock();
        let State { caps, times, .. } = &mut *state;
        let time_s = times.next(now_s, |count| caps.check_times(count))?;
        drop(state);
        self.signer.token_at(id, nonce, (time_s, times::RADIUS_S))
    }

    fn certify(&self, id: ContainerId, body: &DeviceBody) -> Result<Vec<u8>, Shown> {
        // Makers certify dongles; what has a battery, or lies at a server, is no soft license.
        let is_soft = body.kind == ContainerKind::Tpm
            && body.clock == ClockClass::Host
            && matches!(body.anchor, AnchorClass::Tpm | AnchorClass::None);
        if !is_soft {
            return Err(ErrorCode::LeafRefused.failure().into());
        }
        let now_s = self.now_s();
        let mut state = self.lock();
        let State { caps, times, .. } = &mut *state;
        times.certify(now_s, |count| caps.check_certificates(count))?;
        drop(state);
        self.signer.certificate_at(id, body, now_s)
    }

    fn head(&self) -> Result<Head, Shown> {
        Ok(self.lock().journal.head())
    }

    fn entries(&self, after: u64) -> Result<Part, Shown> {
        self.lock().journal.part(after)
    }

    fn agree(&self, head: Head) -> Result<(), Shown> {
        let mut state = self.lock();
        if state.journal.head() != head {
            // It moved meanwhile, for another server.
            return Err(ErrorCode::JournalUnshown.failure().into());
        }
        state.agreed = true;
        Ok(())
    }

    fn agreed(&self) -> Result<(), Shown> {
        self.lock().check_agreed()
    }
}
