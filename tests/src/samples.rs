//! One value at least of every message and object, with every field that has a length filled.

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::{
    Command, ContainerHello, ContainerInfo, FirmInfo, Grounds, ItemState, Judgement, KeyCommand,
    KeyReply, KeyUsage, PartKey, Reply, SeatCommand, SeatGrant, SeatReply, Trapped, UnitState,
};
use protocol::errors::Failure;
use protocol::ids::*;
use protocol::objects::artifact::{
    ArtifactBody, ArtifactKind, LossPolicy, ProgramOptions, RefusalText, Slot, WrappedKey,
};
use protocol::objects::block::{BlockWay, KeySource};
use protocol::objects::configuration::ConfigurationRecord;
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::delegation::{DelegationBody, Scope};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::enrollment::Attested;
use protocol::objects::license::{
    AccessMode, Checkpoint, Client, Country, Held, ItemOption, ItemRef, LostUnits, Modes, Period,
    ProductItem, Requirement, Status, TimeRule, Transfer, TransferWays, UnitRule, Version, user_id,
};
use protocol::objects::request::{Answer, Request};
use protocol::objects::revocation::{FirmwareRange, RevocationBody};
use protocol::objects::root::{Mode, NextBody, RootBody};
use protocol::objects::statement::{ContextBody, FinalBody, ReceiptBody, TimeInfo, TimeTokenBody};
use protocol::objects::update::{ProductRange, SealedKey, UnitsChange, UpdateOp};
use protocol::objects::usage::{
    UsageEntry, UsageHeadBody, UsageKind, UsageLeaf, UsageScope, UsageState,
};
use protocol::signed::{BatchProof, Proof};
use serde::{Serialize, de::DeserializeOwned};

/// Decodes bytes as one type and gives the canonical bytes back.
pub type Decoder = fn(&[u8], usize) -> Result<Vec<u8>, codec::DecodeError>;

/// A type, with the encodings of some of its values.
pub struct Sample {
    /// Its name.
    pub name: &'static str,
    /// How it is decoded.
    pub decode: Decoder,
    /// Values.
    pub encodings: Vec<Vec<u8>>,
}

fn sample<T: Serialize + DeserializeOwned>(values: &[T]) -> Sample {
    Sample {
        name: std::any::type_name::<T>(),
        decode: |bytes, max| codec::decode::<T>(bytes, max).map(|value| codec::encode(&value)),
        encodings: values.iter().map(|value| codec::encode(value)).collect(),
    }
}

/// All types that the codec decodes from outside. `root` is any root's body.
pub fn all(root: &RootBody) -> Vec<Sample> {
    vec![
        sample(&commands()),
        sample(&replies()),
        sample(&[hello()]),
        sample(std::slice::from_ref(root)),
        sample(&[NextBody { body: root.clone(), min_epoch: 300 }]),
        sample(&[delegation()]),
        sample(&[revocation()]),
        sample(&[device()]),
        sample(&[context()]),
        sample(&[receipt()]),
        sample(&[last()]),
        sample(&[artifact()]),
        sample(&ops()),
        sample(&[usage_entry()]),
        sample(&[usage_head()]),
        sample(&[TimeTokenBody { time_s: 2_000_000_000, radius_s: 300 }]),
        sample(&proofs()),
        sample(&[Failure { code: 0x0380, a: 300, b: u64::MAX }]),
    ]
}

const FIRM: RootFp = RootFp::new([1; 16]);
const ITEM: ItemRef = ItemRef { product: ProductCode(700), entry: EntryNumber(1) };
const PRODUCTS: ProductRange = ProductRange { first: ProductCode(300), last: ProductCode(70_000) };
const WRAPPED: WrappedKey = WrappedKey { salt: Fixed([3; 16]), ciphertext: Fixed([4; 48]) };
const TIME: TimeInfo =
    TimeInfo { floor_s: 900, now_s: 1000, class: ClockClass::Rtc, certified_s: 800 };

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("a short text")
}

fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).expect("few values")
}

fn bytes<const MAX: usize>(len: usize) -> Bytes<MAX> {
    Bytes::new(vec![0xab; len]).expect("few bytes")
}

/// A requirement in which every field is set.
pub fn requirement() -> Requirement {
    Requirement {
        root_fp: FIRM,
        product: ITEM.product,
        features: 5,
        units: 2,
        release_s: 1_700_000_000,
        access: AccessMode::NoUserLimit,
        certified_age_s: 86_400,
        generation: Generation(1),
    }
}

/// An item with all options.
pub fn item() -> ProductItem {
    let options = vec![
        ItemOption::Text(text("Läuft")),
        ItemOption::FeatureMap(5),
        ItemOption::LicenseQuantity(3),
        ItemOption::ActivationTime(1),
        ItemOption::ExpirationTime(2_000_000_000),
        ItemOption::CustomerInfo(text("Example")),
        ItemOption::DeniedModes(Modes(0b1000)),
        ItemOption::MinimumRuntime(Version(1 << 16)),
        ItemOption::MaintenancePeriod(Period { from_s: 300, until_s: 2_000_000_000 }),
        ItemOption::UsagePeriod(86_400),
        ItemOption::Checkpoint(Checkpoint {
            lapse_s: 2_000_000_000,
            period_s: 3000,
            renew_s: 2000,
            grace_s: 1000,
        }),
        ItemOption::NamedUser(text("anna")),
        ItemOption::Region(list(vec![Country(*b"AT"), Country(*b"DE")])),
        ItemOption::Status(Status::Enabled),
        ItemOption::LingerTime(3),
        ItemOption::UnitCounter(UnitRule { reserve_max: 300, lost: LostUnits::Held }),
        ItemOption::TimeRule(TimeRule::MustSyncEvery { every_s: 86_400 }),
        ItemOption::TransferOptions(Transfer {
            ways: TransferWays(0b1_0001),
            depth: 1,
            borrow_max_s: 300,
            targets: list(vec![ContainerId::new([1; 16])]),
        }),
        ItemOption::History(list(vec![Held { by: ContainerId::new([2; 16]), until_s: 1000 }])),
    ];
    ProductItem { item: ITEM, options: list(options) }
}

/// A module of [`item`].
pub fn module() -> ProductItem {
    let options = vec![ItemOption::ModuleOf(ITEM), ItemOption::NamedUserKey(Fixed([2; 33]))];
    let item = ItemRef { entry: EntryNumber(ITEM.entry.0 + 1), ..ITEM };
    ProductItem { item, options: list(options) }
}

/// A client that may use [`item`].
pub fn client() -> Client {
    let version = Version::parse("1.2.3").expect("three numbers");
    Client {
        runtime: version,
        market: Country(*b"AT"),
        user: user_id("anna"),
        station: Fixed([9; 16]),
    }
}

/// Every command.
pub fn commands() -> Vec<Command> {
    let (op, name) = (OpId::new([2; 16]), KeyName::new([5; 7]));
    let artifact = ArtifactId::new([6; 16]);
    let handle = SeatHandle(300);
    vec![
        Command::Seat(SeatCommand::Open { op, requirement: requirement(), artifact }),
        Command::Seat(SeatCommand::Join { op, token: SeatToken::new([5; 16]) }),
        Command::Seat(SeatCommand::Heartbeat { handle, n: 300 }),
        Command::Seat(SeatCommand::Close { handle }),
        Command::Seat(SeatCommand::KeyRelease { handle, wrapped: WRAPPED, part: 300 }),
        Command::Seat(SeatCommand::Introduce(client())),
        Command::Info,
        Command::Firms { from: 3 },
        Command::Items { firm: FIRM, after: Some(ITEM) },
        Command::Items { firm: FIRM, after: None },
        Command::Context { firm: FIRM, nonce: Fixed([8; 32]) },
        Command::Rename { op, name: text("desk") },
        Command::UpdateBegin { root: bytes(40), head: bytes(200) },
        Command::UpdateChunk { offset: 1024, bytes: bytes(130) },
        Command::UpdateCommit,
        Command::UpdateAbort,
        Command::Receipt { firm: FIRM, seq: 300 },
        Command::Why(requirement()),
        Command::ItemState { firm: FIRM, item: ITEM },
        Command::Data { firm: FIRM, item: ITEM, field: DataField::Hidden(3), access_code: 300 },
        Command::WriteUserData { firm: FIRM, item: ITEM, bytes: bytes(40) },
        Command::TimeNonce { firm: FIRM },
        Command::TimeToken(bytes(200)),
        Command::UsageHead { firm: FIRM, nonce: Fixed([8; 32]) },
        Command::UsageEntries { firm: FIRM, after: 300 },
        Command::UsageAck(bytes(200)),
        Command::ProveUser { key: Fixed([2; 33]), signature: Fixed([3; 64]) },
        Command::Trust { object: bytes(300) },
        Command::EnterPin(bytes(6)),
        Command::SetPin { pin: bytes(6), recovery: Fixed([3; 16]), forgotten: None },
        Command::Block {
            handle,
            source: KeySource::Secret(3),
            way: BlockWay::Encrypt,
            bytes: bytes(40),
        },
        Command::Prove { handle, challenge: Fixed([9; 32]), purpose: 1 },
        Command::Key(KeyCommand::Make { name, usage: KeyUsage::Sign }),
        Command::Key(KeyCommand::Sign { name, hash: Fixed([4; 32]) }),
        Command::Key(KeyCommand::Expand { name, info: bytes(60) }),
        Command::Key(KeyCommand::Destroy { name }),
        Command::Identify { for_s: 5 },
        Command::Decommission,
        Command::FinalStatement { at: 3 },
        Command::Configuration { firm: FIRM, after: u64::MAX },
        Command::Judge { requirement: requirement(), after: Some(ITEM.entry) },
        Command::CertifierRoot { version: 1 },
        Command::Seat(SeatCommand::HostTime(2_000_000_000)),
        Command::Seat(SeatCommand::Reserve { op, handle, units: 300 }),
        Command::Seat(SeatCommand::Account { op, handle, used: 200 }),
    ]
}

/// Every reply.
pub fn replies() -> Vec<Reply> {
    let grant = SeatGrant {
        handle: SeatHandle(1),
        token: SeatToken::new([7; 16]),
        interval_s: 10,
        timeout_s: 300,
        ends_s: 2_000_000_000,
        now_s: 1000,
    };
    let firm = FirmInfo {
        root_fp: FIRM,
        firm_code: FirmCode(7),
        name: text("Firm"),
        mode: Mode::Test,
        seq: 300,
        entries: 200,
        root_version: 2,
        revocation_epoch: 300,
        trapped: Some(Trapped { product: ProductCode(7), at_s: 1000 }),
    };
    let failure = Failure { code: 0x201, a: 1, b: 2 };
    vec![
        Reply::Seat(SeatReply::Opened(grant)),
        Reply::Seat(SeatReply::Kept { n: 300 }),
        Reply::Seat(SeatReply::Closed),
        Reply::Seat(SeatReply::Key(PartKey(Fixed([9; 32])))),
        Reply::Failed(failure),
        Reply::Done,
        Reply::Info(container_info()),
        Reply::Firms(list(vec![firm.clone(), firm])),
        Reply::Items(list(vec![item(), module()])),
        Reply::Context(bytes(300)),
        Reply::Receipt(bytes(40)),
        Reply::UpdateRefused { failure, receipt: bytes(50) },
        Reply::Seat(SeatReply::Introduced),
        Reply::ItemState(ItemState {
            first_use_s: 1000,
            seats: 2,
            units: Some(UnitState { granted: 300, left: 200, reserved: 30, used: 60, removed: 10 }),
            data: Fixed([1; 13]),
        }),
        Reply::Data(bytes(40)),
        Reply::Nonce(Fixed([7; 32])),
        Reply::Time(TIME),
        Reply::UsageHead(bytes(300)),
        Reply::UsageEntries(list(vec![usage_entry(), usage_entry()])),
        Reply::Block(bytes(68)),
        Reply::Proof(bytes(300)),
        Reply::Key(KeyReply::Made(Some(Fixed([2; 33])))),
        Reply::Key(KeyReply::Signature(Fixed([3; 64]))),
        Reply::Key(KeyReply::Expanded(PartKey(Fixed([4; 32])))),
        Reply::Seat(SeatReply::Units { left: 300 }),
        Reply::FinalStatement(bytes(300)),
        Reply::Configuration(list(vec![record(0x20 << 56, 200), record(0x21 << 56, 0)])),
        Reply::Judged(Some(judgement())),
        Reply::CertifierRoot(bytes(200)),
    ]
}

fn container_info() -> ContainerInfo {
    ContainerInfo {
        id: ContainerId::new([4; 16]),
        name: text("desk"),
        clock: ClockClass::Rtc,
        anchor: AnchorClass::Hardware,
        firmware: 1 << 16,
        time: TIME,
        firms: 2,
        seats: 3,
        locked: 0,
        pin_tries: Some(8),
        vendor_keys: 7,
    }
}

fn record(key: u64, len: usize) -> ConfigurationRecord {
    ConfigurationRecord { key, value: bytes(len) }
}

/// A judgement in which every field is set.
pub fn judgement() -> Judgement {
    let by = Grounds {
        class: ClockClass::Signed,
        clock_s: 2_000_000_000,
        reach_s: 300,
        certified_s: 300,
        host_s: 300,
        is_fresh: true,
        first_use_s: 300,
        units: 300,
        seats: 300,
        is_shared_here: true,
        is_exclusive_here: true,
        quarantine_s: 300,
        settling_s: 300,
        has_parent: true,
        has_key: true,
        has_log_room: true,
        trapped: Some(Trapped { product: ProductCode(7), at_s: 300 }),
    };
    let refusal = Some(Failure { code: 0x0380, a: 300, b: 300 });
    Judgement { entry: ITEM.entry, refusal, by }
}

/// An entry of a usage log.
pub fn usage_entry() -> UsageEntry {
    let leaf = UsageLeaf {
        at_s: 2_000_000_000,
        kind: UsageKind::Interval {
            scope: UsageScope::Session,
            state: UsageState::Inactive,
            for_s: 300,
        },
        item: ITEM,
        units: 300,
        left: 200,
        op: OpId::new([2; 16]),
        subject: Fixed([3; 16]),
    };
    UsageEntry { salt: Fixed([4; 16]), leaf }
}

fn usage_head() -> UsageHeadBody {
    UsageHeadBody {
        nonce: Fixed([1; 32]),
        acked_seq: 300,
        acked_head: Fixed([2; 32]),
        time: TIME,
        commits: 300,
    }
}

fn hello() -> ContainerHello {
    ContainerHello { boot: Fixed([1; 16]), firmware: 1 << 16, certificate: bytes(300) }
}

/// A delegation's body.
pub fn delegation() -> DelegationBody {
    let scope = Scope { products: PRODUCTS, quantity_max: 300, daily_max: 3000, depth: 1 };
    DelegationBody { name: text("Reseller"), key: Fixed([2; 33]), scope }
}

/// A revocation's body.
pub fn revocation() -> RevocationBody {
    let range = FirmwareRange { first: Version(300), last: Version(1 << 16) };
    RevocationBody {
        keys: list(vec![KeyId::new([1; 8]), KeyId::new([2; 8])]),
        containers: list(vec![ContainerId::new([3; 16]), ContainerId::new([4; 16])]),
        firmware: list(vec![range]),
    }
}

fn device() -> DeviceBody {
    DeviceBody {
        kind: ContainerKind::Dongle,
        clock: ClockClass::Signed,
        anchor: AnchorClass::Hardware,
        identity_key: Fixed([2; 33]),
        channel_key: Fixed([3; 33]),
        sealing_key: Fixed([2; 33]),
        batch: 300,
    }
}

fn request() -> Request {
    let attested = || Bytes::new(vec![5; 80]).expect("80 bytes");
    Request {
        number: 300,
        after: Fixed([3; 32]),
        draw: Fixed([4; 32]),
        evidence: Some(Attested { attest: attested(), signature: attested() }),
    }
}

fn context() -> ContextBody {
    ContextBody {
        nonce: Fixed([1; 32]),
        config_hash: Fixed([2; 32]),
        root_version: 300,
        revocation_epoch: 3,
        time: TIME,
        commits: 300,
        entries: 200,
        firmware: 1 << 16,
        request: Some(request()),
    }
}

fn receipt() -> ReceiptBody {
    ReceiptBody {
        update_hash: Fixed([1; 32]),
        config_hash: Fixed([2; 32]),
        ops: 300,
        time: TIME,
        commits: 300,
    }
}

fn last() -> FinalBody {
    FinalBody {
        config_hash: Fixed([2; 32]),
        entries: 300,
        time: TIME,
        commits: 300,
        log_seq: 300,
        log_head: Fixed([3; 32]),
    }
}

/// An artifact header's body with two slots.
pub fn artifact() -> ArtifactBody {
    let refusal = RefusalText {
        language: text("de"),
        text: text("Keine Lizenz"),
        shop: text("shop"),
        support: text("help"),
    };
    let program = ProgramOptions {
        loss: LossPolicy::Grace { for_s: 600 },
        allow_preload: false,
        accept_unwatched_forks: true,
        refusal_texts: list(vec![refusal.clone(), refusal]),
    };
    let slot = Slot { requirement: requirement(), wrapped: WRAPPED };
    ArtifactBody {
        kind: ArtifactKind::Program,
        mode: Mode::Test,
        firm_name: text("Firm"),
        name: text("cad"),
        slots: list(vec![slot.clone(), slot]),
        content_len: 1 << 33,
        program: Some(program),
        parts: 300,
    }
}

/// Every operation of an update.
pub fn ops() -> Vec<UpdateOp> {
    let (product, generation) = (ITEM.product, Generation(1));
    let sealed =
        SealedKey { product, generation, encapsulated: Fixed([4; 65]), ciphertext: Fixed([5; 48]) };
    vec![
        UpdateOp::Nop,
        UpdateOp::SetItem(item()),
        UpdateOp::SetItem(module()),
        UpdateOp::RemoveItem(ITEM),
        UpdateOp::Answer(Answer { draw: Fixed([4; 32]), head: Fixed([5; 32]), grace_s: 86_400 }),
        UpdateOp::SetKey(sealed),
        UpdateOp::RemoveKey { product, generation },
        UpdateOp::SetData {
            item: ITEM,
            field: DataField::ExtendedProtected(2),
            content: DataContent::Plain(bytes(40)),
        },
        UpdateOp::SetData {
            item: ITEM,
            field: DataField::Secret(2),
            content: DataContent::Sealed { encapsulated: Fixed([4; 65]), ciphertext: bytes(40) },
        },
        UpdateOp::Units { item: ITEM, change: UnitsChange::Add(300) },
        UpdateOp::Perpetuate(PRODUCTS),
    ]
}

fn proofs() -> Vec<Proof> {
    let signature = Fixed([6; 64]);
    let path = list(vec![Fixed([7; 32]); 9]);
    vec![
        Proof::Direct(signature),
        Proof::Batch(BatchProof { tree_size: 300, index: 299, path, signature }),
        Proof::Threshold(list(vec![(KeyId::new([8; 8]), signature); 3])),
    ]
}
