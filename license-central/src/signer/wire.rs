//! What the server and the signer say to each other: one request, one answer, each behind its
//! length and a version byte, in the one encoding. Only typed updates can be said.

use std::io::{Read, Write};

use protocol::codec;
use protocol::errors::{ErrorCode, Failure, Shown, write_utc};
use protocol::ids::{ContainerId, Generation, KeyId};
use protocol::objects::data::DataField;
use protocol::objects::device::DeviceBody;
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::request;
use protocol::objects::update::{ProductRange, UnitsChange};
use protocol::signed::Header;
use serde::{Deserialize, Serialize};
use vendor::data::DataInput;
use vendor::issue::{Change, Setting};
use vendor::ledger::{Issued, Point};
use zeroize::Zeroizing;

use crate::domain::firm::{Grounds, Leaf, Wanted};
use crate::domain::journal::{Claim, Head, Part};
use crate::domain::signing::TOGETHER_MAX;
use crate::domain::trusted::TrustMark;

/// Version of what is said.
const VERSION: u8 = 1;

/// Updates in one request.
pub const LEAVES_MAX: usize = TOGETHER_MAX;

/// Bytes of the longest request or answer.
const FRAME_LEN_MAX: usize = 16 * 1024 * 1024;

/// A request: for whom, and what.
#[derive(Serialize, Deserialize)]
pub struct Request {
    /// Short name of the vendor.
    pub vendor: String,
    /// What is asked for.
    pub ask: Ask,
}

/// What is asked for.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// The bytes of an update that is to be decided.
    Draft(DraftAsk),
    /// Signatures.
    Sign(Vec<WireLeaf>),
    /// How far the journal is.
    Head,
    /// Entries of the journal behind this number.
    Entries(u64),
    /// The database knows all up to here.
    Agree(Head),
    /// Whether that was said.
    Agreed,
    /// Signatures of leases, which are in no journal: they end by themselves within a day.
    SignLeases(Vec<WireLeaf>),
    /// The time, for a container that asks for it.
    Time(TimeAsk),
    /// That keys, roots and revocations are read again.
    Reread,
    /// By which root and revocations it signs.
    Trusted,
    /// Which key signs now.
    KeyId,
    /// A certificate for the keys of a soft license's container.
    Certify(ContainerId, DeviceBody),
}

/// Who asks what time it is.
#[derive(Serialize, Deserialize)]
pub struct TimeAsk {
    /// The container's certificate.
    pub certificate: Vec<u8>,
    /// What the token answers.
    pub nonce: [u8; 32],
}

/// What [`Wanted`] says.
#[derive(Serialize, Deserialize)]
pub struct DraftAsk {
    certificate: Vec<u8>,
    before: WirePoint,
    changes: Vec<WireChange>,
    issued_s: u64,
}

/// An answer.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// An update, not signed, and what it leads to.
    Drafted(WireLeaf, WireIssued),
    /// Signed objects, in the order of the request.
    Signed(Vec<Vec<u8>>),
    /// How far the journal is.
    Head(Head),
    /// Entries.
    Entries(Part),
    /// It agrees.
    Agreed,
    /// It was not done.
    Refused(WireError),
    /// By which root and revocations it signs.
    Trusted(TrustMark),
    /// The key that signs now.
    KeyId(KeyId),
}

/// [`Leaf`].
#[derive(Serialize, Deserialize)]
pub struct WireLeaf {
    header: Vec<u8>,
    body: Vec<u8>,
    claims: Vec<Claim>,
    grounds: Grounds,
}

/// [`Point`].
#[derive(Serialize, Deserialize)]
struct WirePoint {
    seq: u64,
    state: [u8; 32],
}

/// [`Issued`].
#[derive(Serialize, Deserialize)]
pub struct WireIssued {
    before: WirePoint,
    after: WirePoint,
    what: String,
    issued_s: u64,
}

/// [`Change`].
#[derive(Serialize, Deserialize)]
enum WireChange {
    Nothing,
    Set {
        item: ProductItem,
        generation: Generation,
        units: Vec<UnitsChange>,
        data: Vec<(DataField, u32, Vec<u8>)>,
    },
    Remove(ItemRef),
    Unlock,
    Perpetuate(ProductRange),
    Answer(request::Answer),
}

/// An error, in the words of whoever met it.
#[derive(Serialize, Deserialize)]
pub struct WireError {
    code: u16,
    a: u64,
    b: u64,
    title: String,
    hint: String,
}

/// Sends one request or answer. What was encoded may hold data that is to be sealed.
///
/// # Errors
/// The other side is gone, or it is too long.
pub fn send<T: Serialize>(to: &mut impl Write, value: &T) -> std::io::Result<()> {
    let bytes = Zeroizing::new(codec::encode(value));
    if bytes.len() >= FRAME_LEN_MAX {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    to.write_all(&(bytes.len() as u32).to_be_bytes())?;
    to.write_all(&[VERSION])?;
    to.write_all(&bytes)?;
    to.flush()
}

/// Receives one; none where the other side has ended between two.
///
/// # Errors
/// The other side is gone, or says what is not understood.
pub fn receive<T>(from: &mut impl Read) -> std::io::Result<Option<T>>
where
    T: serde::de::DeserializeOwned + Serialize,
{
    let mut start = [0; 5];
    if from.read(&mut start[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut start[1..])?;
    let [a, b, c, d, version] = start;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if version != VERSION || len > FRAME_LEN_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    // Grows with what really comes.
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let value = codec::decode(&bytes, FRAME_LEN_MAX);
    value.map(Some).map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

impl DraftAsk {
    /// Of what is wanted.
    pub fn new(wanted: &Wanted<'_>) -> Self {
        DraftAsk {
            certificate: wanted.certificate.to_vec(),
            before: wanted.before.into(),
            changes: wanted.changes.iter().map(WireChange::from).collect(),
            issued_s: wanted.issued_s,
        }
    }

    /// Runs `draft` with what is wanted.
    pub fn with<T>(self, draft: impl FnOnce(&Wanted<'_>) -> T) -> T {
        let changes: Vec<Change> = self.changes.into_iter().map(Change::from).collect();
        let (certificate, before) = (&self.certificate[..], self.before.into());
        draft(&Wanted { certificate, before, changes: &changes, issued_s: self.issued_s })
    }
}

impl From<&Leaf> for WireLeaf {
    fn from(leaf: &Leaf) -> Self {
        let Leaf { header, body, claims, grounds } = leaf.clone();
        WireLeaf { header: header.to_bytes().to_vec(), body, claims, grounds }
    }
}

impl TryFrom<WireLeaf> for Leaf {
    type Error = Shown;

    fn try_from(wire: WireLeaf) -> Result<Self, Shown> {
        let WireLeaf { header, body, claims, grounds } = wire;
        let refused = || Shown::from(ErrorCode::LeafRefused.failure());
        let read = Header::from_bytes(&header).map_err(|error| refused().detailed(error))?;
        if read.to_bytes()[..] != header[..] {
            return Err(refused());
        }
        Ok(Leaf { header: read, body, claims, grounds })
    }
}

impl From<Point> for WirePoint {
    fn from(Point { seq, state }: Point) -> Self {
        WirePoint { seq, state }
    }
}

impl From<WirePoint> for Point {
    fn from(WirePoint { seq, state }: WirePoint) -> Self {
        Point { seq, state }
    }
}

impl From<Issued> for WireIssued {
    fn from(issued: Issued) -> Self {
        let Issued { before, after, what, issued_s, superseded: _ } = issued;
        WireIssued { before: before.into(), after: after.into(), what, issued_s }
    }
}

impl From<WireIssued> for Issued {
    fn from(wire: WireIssued) -> Self {
        let WireIssued { before, after, what, issued_s } = wire;
        let (before, after) = (before.into(), after.into());
        Issued { before, after, what, issued_s, superseded: false }
    }
}

impl From<&Change> for WireChange {
    fn from(change: &Change) -> Self {
        match change {
            Change::Nothing => WireChange::Nothing,
            Change::Set(setting) => WireChange::Set {
                item: setting.item.clone(),
                generation: setting.generation,
                units: setting.units.clone(),
                data: setting
                    .data
                    .iter()
                    .map(|one| (one.field, one.access_code, one.bytes.to_vec()))
                    .collect(),
            },
            Change::Remove(item) => WireChange::Remove(*item),
            Change::Unlock => WireChange::Unlock,
            Change::Perpetuate(range) => WireChange::Perpetuate(*range),
            Change::Answer(answer) => WireChange::Answer(*answer),
        }
    }
}

impl From<WireChange> for Change {
    fn from(wire: WireChange) -> Self {
        match wire {
            WireChange::Nothing => Change::Nothing,
            WireChange::Set { item, generation, units, data } => {
                let input = |(field, access_code, bytes)| DataInput {
                    field,
                    access_code,
                    bytes: Zeroizing::new(bytes),
                };
                let data = data.into_iter().map(input).collect();
                Change::Set(Box::new(Setting { item, generation, units, data }))
            }
            WireChange::Remove(item) => Change::Remove(item),
            WireChange::Unlock => Change::Unlock,
            WireChange::Perpetuate(range) => Change::Perpetuate(range),
            WireChange::Answer(answer) => Change::Answer(answer),
        }
    }
}

impl From<Shown> for WireError {
    fn from(shown: Shown) -> Self {
        // What has no row of its own is told as a refusal of the signer.
        let failure = shown.failure().unwrap_or(ErrorCode::SignerRefused.failure());
        let Failure { code, a, b } = failure;
        WireError { code, a, b, title: shown.title(&utc), hint: shown.hint(&utc) }
    }
}

impl From<WireError> for Shown {
    fn from(wire: WireError) -> Self {
        let WireError { code, a, b, title, hint } = wire;
        Shown::told(Failure { code, a, b }, title).hinting(hint)
    }
}

fn utc(at_s: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(at_s, &mut text);
    text
}
