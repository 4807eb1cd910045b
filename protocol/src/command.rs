//! Commands to a container and its replies, inside the secure channel.
//!
//! Numbers are the order of the variants: append, never reorder. The seat commands come first and
//! hold no heap types, since the part of a protected program that renews its seat has no heap
//! ([`ShortReply`]).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{Bytes, Fixed, List, Text};
use crate::errors::Failure;
use crate::ids::{
    ArtifactId, ContainerId, EntryNumber, KeyName, OpId, ProductCode, RootFp, SeatHandle, SeatToken,
};
#[cfg(doc)]
use crate::limits::IDENTIFY_S_MAX;
use crate::limits::{
    CONFIGURATION_PER_REPLY, CONTAINER_NAME_LEN_MAX, DATA_LEN_MAX, FIRM_NAME_LEN_MAX, HEAD_LEN_MAX,
    KEY_INFO_LEN_MAX, LOG_ENTRIES_PER_REPLY, PIN_LEN_MAX, ROOT_OBJECT_LEN_MAX,
    SEALED_BLOCK_LEN_MAX, STATEMENT_LEN_MAX, TRUST_OBJECT_LEN_MAX, UPDATE_CHUNK_LEN_MAX,
};
use crate::objects::artifact::{PartId, WrappedKey};
use crate::objects::block::{BlockWay, KeySource};
use crate::objects::configuration::ConfigurationRecord;
use crate::objects::data::DataField;
use crate::objects::device::{AnchorClass, ClockClass};
use crate::objects::license::{Client, ItemRef, ProductItem, Requirement};
use crate::objects::root::Mode;
use crate::objects::statement::TimeInfo;
use crate::objects::usage::UsageEntry;

/// What a host asks of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// Seats and keys.
    Seat(SeatCommand),
    /// What the container is.
    Info,
    /// Firms in it, from position `from`.
    Firms {
        /// First position wanted.
        from: u8,
    },
    /// Entries of a firm, behind `after`.
    Items {
        /// Firm.
        firm: RootFp,
        /// Last entry already known.
        after: Option<ItemRef>,
    },
    /// A signed context for a firm, in the container or not.
    Context {
        /// Firm.
        firm: RootFp,
        /// Drawn by the one who asks.
        nonce: Fixed<32>,
    },
    /// Gives the container a name.
    Rename {
        /// Number of this command.
        op: OpId,
        /// New name; empty takes it away.
        name: Text<CONTAINER_NAME_LEN_MAX>,
    },
    /// Begins an update: header and proof, and the firm's root v1 where the firm is new here.
    UpdateBegin {
        /// Root v1 as an object, or empty.
        root: Bytes<ROOT_OBJECT_LEN_MAX>,
        /// The update as an object without its body.
        head: Bytes<HEAD_LEN_MAX>,
    },
    /// The next bytes of the body.
    UpdateChunk {
        /// Position of the first byte.
        offset: u32,
        /// The bytes.
        bytes: Bytes<UPDATE_CHUNK_LEN_MAX>,
    },
    /// Applies what was sent. Repeating it after a lost answer is what [`Command::Receipt`] is for.
    UpdateCommit,
    /// Forgets what was sent.
    UpdateAbort,
    /// A kept receipt of a firm: number `seq`, or the latest for 0.
    Receipt {
        /// Firm.
        firm: RootFp,
        /// Number.
        seq: u64,
    },
    /// Evaluates a requirement without using anything.
    Why(Requirement),
    /// What the container itself keeps of an entry.
    ItemState {
        /// Firm.
        firm: RootFp,
        /// Entry.
        item: ItemRef,
    },
    /// A data field of an entry.
    Data {
        /// Firm.
        firm: RootFp,
        /// Entry.
        item: ItemRef,
        /// Field.
        field: DataField,
        /// The access code of hidden data; 0 for other fields.
        access_code: u32,
    },
    /// Writes the user data of an entry; empty takes it away.
    WriteUserData {
        /// Firm.
        firm: RootFp,
        /// Entry.
        item: ItemRef,
        /// What is written.
        bytes: Bytes<DATA_LEN_MAX>,
    },
    /// A nonce for a time token of a firm; the one before is void.
    TimeNonce {
        /// Firm.
        firm: RootFp,
    },
    /// A time token, as an object.
    TimeToken(Bytes<STATEMENT_LEN_MAX>),
    /// The signed head of a firm's usage log.
    UsageHead {
        /// Firm.
        firm: RootFp,
        /// Drawn by the one who asks.
        nonce: Fixed<32>,
    },
    /// Entries of a firm's usage log behind number `after`.
    UsageEntries {
        /// Firm.
        firm: RootFp,
        /// Last number already known; not before the last one acknowledged.
        after: u64,
    },
    /// A firm's acknowledgement of its usage log, as an object: what it covers may go.
    UsageAck(Bytes<STATEMENT_LEN_MAX>),
    /// Proves to have a user's key, for entries that name it: a signature over [`user_proof`].
    ProveUser {
        /// Public key, compressed.
        key: Fixed<33>,
        /// P-256, SHA-256, low S.
        signature: Fixed<64>,
    },
    /// Brings a root, a revocation or a delegation. What a firm that is here signed for all of its
    /// containers is kept; what belongs to a new firm or to one update waits for the update that
    /// begins next on this channel.
    Trust {
        /// The object.
        object: Bytes<TRUST_OBJECT_LEN_MAX>,
    },
    /// Proves to be the container's owner, for what this session does from now on.
    EnterPin(Bytes<PIN_LEN_MAX>),
    /// Sets a PIN, or takes it away with an empty one. Where one is set, the session has entered
    /// it, or the recovery code comes along.
    SetPin {
        /// The new one.
        pin: Bytes<PIN_LEN_MAX>,
        /// What replaces the new one when it is forgotten, drawn by the host.
        recovery: Fixed<16>,
        /// The recovery code of the old one.
        forgotten: Option<Fixed<16>>,
    },
    /// Encrypts or decrypts a block by a key that never leaves the container. The license of the
    /// seat is judged again.
    Block {
        /// The entry of the seat.
        handle: SeatHandle,
        /// What the key comes from.
        source: KeySource,
        /// Which way.
        way: BlockWay,
        /// The block; to be decrypted, with nonce and tag.
        bytes: Bytes<SEALED_BLOCK_LEN_MAX>,
    },
    /// Proves to somebody else that the license of a seat is in use. It is judged again.
    Prove {
        /// The entry of the seat.
        handle: SeatHandle,
        /// Drawn by the one who wants the proof.
        challenge: Fixed<32>,
        /// What it is for, by the vendor's own numbers.
        purpose: u8,
    },
    /// Keys that a vendor keeps in its own container, instead of a file.
    Key(KeyCommand),
    /// Makes the container show itself for so many seconds, at most [`IDENTIFY_S_MAX`]; 0 ends it.
    Identify {
        /// For how long.
        for_s: u8,
    },
    /// Retires the container for good: a final statement for each firm, then everything that
    /// belongs to firms is erased. Repeating it after a lost answer changes nothing.
    Decommission,
    /// The final statement at position `at` of a container that is decommissioned.
    FinalStatement {
        /// Position.
        at: u8,
    },
    /// The records that a firm's `config_hash` is made of, behind `after`.
    Configuration {
        /// Firm.
        firm: RootFp,
        /// Key of the last record already known; 0 = none.
        after: u64,
    },
    /// Judges the next entry of the product behind `after`, and tells by what, for those who are
    /// to understand a refusal elsewhere. Nothing is used.
    Judge {
        /// What must hold.
        requirement: Requirement,
        /// Last entry already known.
        after: Option<EntryNumber>,
    },
    /// The root of this version of the firm that certified this container, where a firm did.
    CertifierRoot {
        /// From 1.
        version: u8,
    },
}

/// Commands on keys of vendors, of a session of the owner's, in a container with a PIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyCommand {
    /// Makes a key. Repeating it changes nothing.
    Make {
        /// Its name.
        name: KeyName,
        /// What for.
        usage: KeyUsage,
    },
    /// Signs the hash of a message.
    Sign {
        /// A signing key.
        name: KeyName,
        /// SHA-256.
        hash: Fixed<32>,
    },
    /// HMAC-SHA-256 of `info` and a byte 1: HKDF-Expand (RFC 5869) of one block.
    Expand {
        /// A secret.
        name: KeyName,
        /// What is expanded.
        info: Bytes<KEY_INFO_LEN_MAX>,
    },
    /// Destroys a key. Destroying what is absent changes nothing.
    Destroy {
        /// Its name.
        name: KeyName,
    },
}

/// What a vendor's key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUsage {
    /// A P-256 key that signs.
    Sign,
    /// 32 bytes that other keys are expanded from.
    Expand,
}

/// Replies on keys of vendors.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyReply {
    /// To `Make`: the public key, compressed, of one that signs.
    Made(Option<Fixed<33>>),
    /// To `Sign`: P-256, low S.
    Signature(Fixed<64>),
    /// To `Expand`.
    Expanded(PartKey),
}

/// What is signed to prove to have a user's key on one channel to one container.
pub fn user_proof(handshake_hash: &[u8; 32], container: ContainerId) -> Vec<u8> {
    let mut preimage = Vec::from(&b"strongroom/user-proof/v1\0"[..]);
    preimage.extend_from_slice(handshake_hash);
    preimage.extend_from_slice(container.bytes());
    preimage
}

/// Commands on seats and keys. Each fits the report counts that `docs/formats/21-reports.md`
/// promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SeatCommand {
    /// Evaluates the requirement and takes a seat.
    Open {
        /// Number of this command: repeating it gives the same seat.
        op: OpId,
        /// What must hold.
        requirement: Requirement,
        /// For which artifact keys will be asked.
        artifact: ArtifactId,
    },
    /// Another entry of the same seat: a forked child, or the same program on a new channel.
    Join {
        /// Number of this command.
        op: OpId,
        /// The seat's secret.
        token: SeatToken,
    },
    /// Still there.
    Heartbeat {
        /// The entry.
        handle: SeatHandle,
        /// Rises with each heartbeat of the entry.
        n: u64,
    },
    /// Gives the entry back; with the last entry, the seat.
    Close {
        /// The entry.
        handle: SeatHandle,
    },
    /// The key of a part of the artifact.
    KeyRelease {
        /// The entry.
        handle: SeatHandle,
        /// The slot whose requirement the seat was opened with.
        wrapped: WrappedKey,
        /// Part.
        part: PartId,
    },
    /// Says who asks on this channel from now on, for entries that depend on it.
    Introduce(Client),
    /// Tells the clock of the host, Unix seconds UTC: for entries that follow it.
    HostTime(u64),
    /// Sets units aside before they are used.
    Reserve {
        /// Number of this command, and of the reservation.
        op: OpId,
        /// The entry of the seat that uses them.
        handle: SeatHandle,
        /// How many.
        units: u32,
    },
    /// Says how many of the reserved units were used; the others are left again.
    Account {
        /// Number of the reservation.
        op: OpId,
        /// The entry of a seat of the same license.
        handle: SeatHandle,
        /// How many were used.
        used: u32,
    },
}

/// What a container answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// To a seat command.
    Seat(SeatReply),
    /// Refused or failed; nothing was changed.
    Failed(Failure),
    /// Done, with nothing to tell.
    Done,
    /// To `Info`.
    Info(ContainerInfo),
    /// To `Firms`.
    Firms(List<FirmInfo, 16>),
    /// To `Items`.
    Items(List<ProductItem, 4>),
    /// To `Context`: the signed object.
    Context(Bytes<STATEMENT_LEN_MAX>),
    /// To `UpdateCommit` and `Receipt`: the signed object.
    Receipt(Bytes<STATEMENT_LEN_MAX>),
    /// An update was refused; the receipt of the present state, so that a lost message is never a
    /// lost license.
    UpdateRefused {
        /// Why.
        failure: Failure,
        /// The signed object, or empty where the firm has none.
        receipt: Bytes<STATEMENT_LEN_MAX>,
    },
    /// To `ItemState`.
    ItemState(ItemState),
    /// To `Data`.
    Data(Bytes<DATA_LEN_MAX>),
    /// To `TimeNonce`.
    Nonce(Fixed<32>),
    /// To `TimeToken`: time as it is now for the firm.
    Time(TimeInfo),
    /// To `UsageHead`: the signed object.
    UsageHead(Bytes<STATEMENT_LEN_MAX>),
    /// To `UsageEntries`; none where there are no more.
    UsageEntries(List<UsageEntry, LOG_ENTRIES_PER_REPLY>),
    /// To `Block`: the block; encrypted, with nonce and tag.
    Block(Bytes<SEALED_BLOCK_LEN_MAX>),
    /// To `Prove`: the signed object.
    Proof(Bytes<STATEMENT_LEN_MAX>),
    /// To a command on keys of vendors.
    Key(KeyReply),
    /// To `FinalStatement`: the signed object; empty where there is none at this position.
    FinalStatement(Bytes<STATEMENT_LEN_MAX>),
    /// To `Configuration`; none where there are no more.
    Configuration(List<ConfigurationRecord, CONFIGURATION_PER_REPLY>),
    /// To `Judge`; nothing where the product has no further entry.
    Judged(Option<Judgement>),
    /// To `CertifierRoot`: the object; empty where there is none of this version.
    CertifierRoot(Bytes<ROOT_OBJECT_LEN_MAX>),
}

/// Replies to seat commands.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SeatReply {
    /// To `Open` and `Join`.
    Opened(SeatGrant),
    /// To `Heartbeat`.
    Kept {
        /// The heartbeat answered.
        n: u64,
    },
    /// To `Close`.
    Closed,
    /// To `KeyRelease`: the key of the part.
    Key(PartKey),
    /// To `Introduce` and `HostTime`.
    Introduced,
    /// To `Reserve` and `Account`: units left.
    Units {
        /// How many.
        left: u64,
    },
}

/// A released key. Wiped when dropped, never shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartKey(pub Fixed<32>);

/// A seat entry as granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatGrant {
    /// The entry, within this session.
    pub handle: SeatHandle,
    /// Lets another session of the same program join.
    pub token: SeatToken,
    /// Seconds between heartbeats.
    pub interval_s: u16,
    /// Seconds without a heartbeat after which the entry is lost.
    pub timeout_s: u16,
    /// First second in which the use ends by itself, by the container's clock; 0 = no end.
    pub ends_s: u64,
    /// The container's clock now.
    pub now_s: u64,
}

/// What [`Reply`] can be for the part of a program that has no heap: the same numbers, the first
/// two variants.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShortReply {
    /// To a seat command.
    Seat(SeatReply),
    /// Refused or failed.
    Failed(Failure),
}

/// The first variant of [`Command`], for the part of a program that has no heap.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShortCommand {
    /// Seats and keys.
    Seat(SeatCommand),
}

/// What the container itself keeps of an entry; it is no part of the vendor's configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemState {
    /// When it was used first, Unix seconds UTC, if it has a usage period; 0 = not yet.
    pub first_use_s: u64,
    /// Seats that are taken.
    pub seats: u32,
    /// Units, where the entry has a counter.
    pub units: Option<UnitState>,
    /// Data fields that hold something: bit *n* for the field of number *n*.
    pub data: Fixed<13>,
}

/// Units of an entry. What was granted is left, reserved, used, or was taken away again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// All that the vendor ever added.
    pub granted: u64,
    /// Free to use.
    pub left: u64,
    /// Set aside by uses that did not account for them yet.
    pub reserved: u64,
    /// Used.
    pub used: u64,
    /// Taken away by the vendor.
    pub removed: u64,
}

impl ItemState {
    /// Whether a data field holds something.
    pub fn has_data(&self, field: DataField) -> bool {
        let number = usize::from(field.number());
        self.data.0.get(number / 8).is_some_and(|byte| byte & 1 << (number % 8) != 0)
    }
}

/// How an entry was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The entry.
    pub entry: EntryNumber,
    /// Why it does not allow the use; nothing where it does.
    pub refusal: Option<Failure>,
    /// By what it was judged.
    pub by: Grounds,
}

/// What an entry was judged by, beside itself, the requirement, and what the one who asks said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// Where the container's own time comes from.
    pub class: ClockClass,
    /// By the container's own clock, Unix seconds UTC; 0 = not known.
    pub clock_s: u64,
    /// What the firm certified last, and the time that the container ran since.
    pub reach_s: u64,
    /// What the firm certified last.
    pub certified_s: u64,
    /// By the host's clock, as the container takes it.
    pub host_s: u64,
    /// Whether a time token answered a nonce of this power session.
    pub is_fresh: bool,
    /// When the entry was used first; 0 = not yet.
    pub first_use_s: u64,
    /// Units left.
    pub units: u64,
    /// Seats taken, without those that the one who asks may take over.
    pub seats: u32,
    /// The station of the one who asks shares one of them.
    pub is_shared_here: bool,
    /// A use on that station is exclusive.
    pub is_exclusive_here: bool,
    /// Seconds for which seats of the power session before may still be in use.
    pub quarantine_s: u32,
    /// Seconds that the container stays shut for having changed machines too often.
    pub settling_s: u32,
    /// Whether the entry whose module this one is, if it is one, is there.
    pub has_parent: bool,
    /// Whether the item key is there.
    pub has_key: bool,
    /// Whether there is room in the firm's usage log.
    pub has_log_room: bool,
    /// The trap that locked the firm's licenses.
    pub trapped: Option<Trapped>,
}

/// What a container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// The container.
    pub id: ContainerId,
    /// Its owner's name for it.
    pub name: Text<CONTAINER_NAME_LEN_MAX>,
    /// Clock class.
    pub clock: ClockClass,
    /// Anchor class.
    pub anchor: AnchorClass,
    /// Firmware, major << 16 | minor << 8 | patch.
    pub firmware: u32,
    /// Time.
    pub time: TimeInfo,
    /// Firms in it.
    pub firms: u8,
    /// Seats taken.
    pub seats: u16,
    /// Why it is locked; 0 = it is not, 2 = it is decommissioned.
    pub locked: u8,
    /// Wrong PINs that it still stands, where its owner set one.
    pub pin_tries: Option<u8>,
    /// Keys of vendors that it keeps.
    pub vendor_keys: u8,
}

/// Why a firm's licenses are locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trapped {
    /// The product whose key had a trap.
    pub product: ProductCode,
    /// When it was touched, by the firm's time in the container; 0 = not known.
    pub at_s: u64,
}

/// A firm in a container, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmInfo {
    /// Firm.
    pub root_fp: RootFp,
    /// Its number.
    pub firm_code: crate::ids::FirmCode,
    /// Its name.
    pub name: Text<FIRM_NAME_LEN_MAX>,
    /// Test or live.
    pub mode: Mode,
    /// Updates applied.
    pub seq: u64,
    /// Entries.
    pub entries: u32,
    /// Version of its root.
    pub root_version: u32,
    /// Epoch of its revocations.
    pub revocation_epoch: u32,
    /// Whether a trap locked its licenses.
    pub trapped: Option<Trapped>,
}

/// Payload of the second message of the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerHello {
    /// Drawn at power-up: another value means that seats of before are void.
    pub boot: Fixed<16>,
    /// Firmware.
    pub firmware: u32,
    /// The device certificate as an object; empty where the host knew the key before.
    pub certificate: Bytes<STATEMENT_LEN_MAX>,
}

impl core::fmt::Debug for PartKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PartKey")
    }
}

impl zeroize::Zeroize for PartKey {
    fn zeroize(&mut self) {
        self.0.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
    use crate::ids::{Generation, ProductCode};
    use crate::objects::license::AccessMode;

    #[test]
    fn the_short_forms_have_the_same_bytes() {
        let beat = SeatCommand::Heartbeat { handle: SeatHandle(7), n: 300 };
        assert_eq!(encode(&Command::Seat(beat)), encode(&ShortCommand::Seat(beat)));
        let failed = Failure { code: 0x0380, a: 1, b: 2 };
        assert_eq!(encode(&Reply::Failed(failed)), encode(&ShortReply::Failed(failed)));
        let kept = SeatReply::Kept { n: 9 };
        assert_eq!(encode(&Reply::Seat(kept)), encode(&ShortReply::Seat(kept)));
        assert!(decode::<ShortReply>(&encode(&Reply::Done), 64).is_err());
    }

    /// The largest seat open that a date before the year 3058 can give fits two reports (57 + 59
    /// bytes), tag included.
    #[test]
    fn a_seat_open_fits_two_reports() {
        let requirement = Requirement {
            root_fp: RootFp::new([0xff; 16]),
            product: ProductCode(u32::MAX),
            features: u64::MAX,
            units: u32::MAX,
            release_s: (1 << 35) - 1,
            access: AccessMode::NoUserLimit,
            certified_age_s: u32::MAX,
            generation: Generation(u16::MAX),
        };
        let open = SeatCommand::Open {
            op: OpId::new([0xff; 16]),
            requirement,
            artifact: ArtifactId::new([0xff; 16]),
        };
        assert!(encode(&ShortCommand::Seat(open)).len() + 16 <= 57 + 59);
    }
}
