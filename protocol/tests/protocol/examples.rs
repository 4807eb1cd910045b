//! The worked examples in docs/formats are what the code writes and reads.
//!
//! Everything in them is deterministic: private keys are one byte 32 times, signatures are made
//! without added entropy. A document that differs is answered with what it should show.

mod answers;
mod last;
mod suites;
mod trust;

use std::fmt::Write;

use strongroom_protocol::codec::{self, DecodeError, Fixed, List, Text};
use strongroom_protocol::command::{
    Command, KeyCommand, KeyReply, KeyUsage, PartKey, Reply, SeatCommand, SeatGrant, SeatReply,
    ShortCommand, ShortReply,
};
use strongroom_protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use strongroom_protocol::crypto::ecdsa::{SigningKey, VerifyingKey};
use strongroom_protocol::crypto::hash::sha256;
use strongroom_protocol::crypto::hpke;
use strongroom_protocol::errors::{ErrorCode, Failure};
use strongroom_protocol::frame::report_count;
use strongroom_protocol::ids::{
    ArtifactId, ContainerId, ContainerKind, EntryNumber, FirmCode, Generation, OpId, ProductCode,
    RootFp, SeatHandle, SeatToken,
};
use strongroom_protocol::limits::{
    CHANNEL_OVERHEAD_LEN, DEVICE_BODY_LEN_MAX, ROOT_BODY_LEN_MAX, STATEMENT_BODY_LEN_MAX,
    UPDATE_BODY_LEN_MAX,
};
use strongroom_protocol::objects::artifact::{WrappedKey, item_key};
use strongroom_protocol::objects::block::{BlockWay, KeySource};
use strongroom_protocol::objects::device::{AnchorClass, ClockClass, Device, DeviceBody};
use strongroom_protocol::objects::file::{self, FileKind};
use strongroom_protocol::objects::license::{
    AccessMode, Checkpoint, Client, Country, Held, ItemOption, ItemRef, LostUnits, Modes,
    OptionKind, Period, ProductItem, Requirement, Status, TimeRule, Transfer, TransferWay,
    TransferWays, UnitRule, Version, user_id,
};
use strongroom_protocol::objects::root::{Mode, RoleKeys, Root, RootBody};
use strongroom_protocol::objects::statement::{
    ContextBody, ReceiptBody, TimeInfo, TimeTokenBody, genesis_hash, next_state_hash,
};
use strongroom_protocol::objects::test_root;
use strongroom_protocol::objects::update::{SealedKey, UpdateOp, read_ops, write_ops};
use strongroom_protocol::objects::usage::{
    UsageEntry, UsageKind, UsageLeaf, chain, check_chain, genesis_head, next_head, read_entries,
    subject, write_entries,
};
use strongroom_protocol::signed::{
    HEADER_LEN, Header, Kind, Proof, Role, UnverifiedObject, sign_batch, tree, tree_preimage,
    write_object,
};

use crate::{constant, hex};
use answers::{block, key, prove};

const CONVENTIONS: &str = include_str!("../../../docs/formats/00-conventions.md");
const SIGNED_OBJECTS: &str = include_str!("../../../docs/formats/01-signed-objects.md");
const ROOT_AND_DEVICE: &str = include_str!("../../../docs/formats/02-root-and-device.md");
const UPDATES: &str = include_str!("../../../docs/formats/03-update-context-receipt.md");
const ENTRIES: &str = include_str!("../../../docs/formats/04-license-entry.md");
const USAGE_LOG: &str = include_str!("../../../docs/formats/07-usage-log.md");
const TIME: &str = include_str!("../../../docs/formats/08-time.md");
const COMMANDS: &str = include_str!("../../../docs/formats/05-commands.md");

/// When everything was signed.
const ISSUED_S: u64 = 1_750_000_000;
/// When the license of the examples ends.
const EXPIRES_S: u64 = 1_781_536_000;
const ENTROPY: [u8; 32] = [0; 32];
const PRODUCT: ProductCode = ProductCode(7);
const GENERATION: Generation = Generation(1);

/// Lines `name = value` between ```` ```example ```` and ```` ``` ````, long values broken.
#[derive(Default)]
struct Example(Vec<(&'static str, String)>);

impl Example {
    fn bytes(mut self, name: &'static str, bytes: &[u8]) -> Self {
        self.0.push((name, hex(bytes)));
        self
    }

    fn text(mut self, name: &'static str, text: &str) -> Self {
        self.0.push((name, text.to_owned()));
        self
    }

    /// Fails with the block that the document should hold, if it does not.
    fn stands_in(&self, document: &str) {
        let shown = self.shown();
        assert!(document.contains(&shown), "the document should say:\n{shown}");
    }

    fn shown(&self) -> String {
        const DIGITS: usize = 96;
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut out = "```example\n".to_owned();
        for (name, value) in &self.0 {
            let digits: Vec<char> = value.chars().collect();
            for (line, part) in digits.chunks(DIGITS).enumerate() {
                let part: String = part.iter().collect();
                let (name, sign) = if line == 0 { (*name, '=') } else { ("", ' ') };
                writeln!(out, "{name:width$} {sign} {part}").unwrap();
            }
        }
        out + "```\n"
    }
}

fn signing(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).unwrap()
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

/// The firm of the examples.
struct Firm {
    root: SigningKey,
    licensing: SigningKey,
    object: Vec<u8>,
    verified: Root,
}

impl Firm {
    fn new() -> Self {
        let (root, licensing, protect) = (signing(0x11), signing(0x21), signing(0x31));
        let holds = |role, key: &SigningKey| RoleKeys {
            role,
            threshold: 1,
            keys: list(vec![Fixed(key.verifying_key().to_bytes())]),
        };
        let roles = vec![
            holds(Role::Root, &root),
            holds(Role::Licensing, &licensing),
            holds(Role::Protect, &protect),
        ];
        let body = RootBody {
            mode: Mode::Test,
            name: text("Example Ltd"),
            firm_code: FirmCode(1000),
            roles: list(roles),
        };
        let object = Root::write_first(&body, ISSUED_S, &[&root], &ENTROPY).unwrap();
        let verified = Root::verify_first(&read(&object, ROOT_BODY_LEN_MAX)).unwrap();
        Firm { root, licensing, object, verified }
    }

    fn fp(&self) -> RootFp {
        self.verified.root_fp
    }
}

fn read(object: &[u8], body_len_max: usize) -> UnverifiedObject<'_> {
    let (object, rest) = UnverifiedObject::read(object, body_len_max).unwrap();
    assert!(rest.is_empty());
    object
}

/// The container of the examples.
struct Dongle {
    identity: SigningKey,
    sealing: SoftwareKey,
    body: DeviceBody,
    certificate: Vec<u8>,
}

impl Dongle {
    fn id() -> ContainerId {
        ContainerId::new(core::array::from_fn(|i| 0x40 + i as u8))
    }

    fn new() -> Self {
        let agreeing = |byte| SoftwareKey::from_bytes(&[byte; 32]).unwrap();
        let (identity, channel, sealing) = (signing(0x41), agreeing(0x42), agreeing(0x43));
        let body = DeviceBody {
            kind: ContainerKind::Dongle,
            clock: ClockClass::Rtc,
            anchor: AnchorClass::Hardware,
            identity_key: Fixed(identity.verifying_key().to_bytes()),
            channel_key: Fixed(channel.public().to_compressed()),
            sealing_key: Fixed(sealing.public().to_compressed()),
            batch: 300,
        };
        let bytes = codec::encode(&body);
        let maker = test_root::root().unwrap();
        let header = Header {
            root_fp: maker.root_fp,
            target: *Dongle::id().bytes(),
            issued_s: ISSUED_S,
            ..Header::new(Kind::Device, &bytes)
        };
        let mut headers = [header];
        let proofs = sign_batch(&mut headers, &test_root::device_key().unwrap(), &ENTROPY).unwrap();
        let certificate = write_object(&headers[0], &proofs[0], &bytes);
        Dongle { identity, sealing, body, certificate }
    }

    /// A statement under the identity key.
    fn state(&self, kind: Kind, root_fp: RootFp, (seq, state): Place, body: &[u8]) -> Vec<u8> {
        let header = Header {
            root_fp,
            key_id: self.identity.verifying_key().id(),
            target: *Dongle::id().bytes(),
            seq,
            state,
            issued_s: ISSUED_S,
            ..Header::new(kind, body)
        };
        let signature = self.identity.sign(&header.preimage(), &ENTROPY);
        write_object(&header, &Proof::Direct(Fixed(signature)), body)
    }
}

/// `firm_seq` and `firm_state_hash`.
type Place = (u64, [u8; 32]);

fn item() -> ProductItem {
    let item = ItemRef { product: PRODUCT, entry: EntryNumber(0) };
    let options = vec![
        ItemOption::Text(text("Editor")),
        ItemOption::FeatureMap(5),
        ItemOption::LicenseQuantity(3),
        ItemOption::ActivationTime(ISSUED_S),
        ItemOption::ExpirationTime(EXPIRES_S),
    ];
    ProductItem { item, options: list(options) }
}

/// The options that the entry of the examples does not have.
fn further_options() -> List<ItemOption, 32> {
    let covered = Period { from_s: ISSUED_S, until_s: EXPIRES_S };
    let day_s = 86_400;
    let checkpoint = Checkpoint {
        lapse_s: EXPIRES_S,
        period_s: 30 * day_s,
        renew_s: 10 * day_s,
        grace_s: 3 * day_s,
    };
    list(vec![
        ItemOption::CustomerInfo(text("Example")),
        ItemOption::DeniedModes(Modes::default().with(AccessMode::NoUserLimit)),
        ItemOption::MinimumRuntime(Version::parse("1.2.3").unwrap()),
        ItemOption::MaintenancePeriod(covered),
        ItemOption::UsagePeriod(30 * day_s),
        ItemOption::Checkpoint(checkpoint),
        ItemOption::NamedUser(text("anna")),
        ItemOption::Region(list(vec![Country(*b"AT"), Country(*b"DE")])),
        ItemOption::Status(Status::Suspended),
        ItemOption::LingerTime(600),
        ItemOption::UnitCounter(UnitRule { reserve_max: 50, lost: LostUnits::Held }),
        ItemOption::TimeRule(TimeRule::MustSyncEvery { every_s: 30 * day_s }),
        ItemOption::TransferOptions(Transfer {
            ways: TransferWays::default().with(TransferWay::Push).with(TransferWay::Return),
            depth: 1,
            borrow_max_s: 0,
            targets: list(vec![ContainerId::new([0x87; 16])]),
        }),
        ItemOption::ModuleOf(ItemRef { product: PRODUCT, entry: EntryNumber(1) }),
        ItemOption::NamedUserKey(Fixed([2; 33])),
        ItemOption::History(list(vec![Held {
            by: ContainerId::new([0x88; 16]),
            until_s: ISSUED_S,
        }])),
    ])
}

fn client() -> Client {
    let runtime = Version::parse("1.2.3").unwrap();
    Client { runtime, market: Country(*b"AT"), user: user_id("anna"), station: Fixed([9; 16]) }
}

fn requirement(root_fp: RootFp) -> Requirement {
    Requirement {
        root_fp,
        product: PRODUCT,
        features: 5,
        units: 0,
        release_s: ISSUED_S,
        access: AccessMode::UserLimit,
        certified_age_s: 86_400,
        generation: GENERATION,
    }
}

// --- 00-conventions ---

#[test]
fn conventions() {
    let failure = ErrorCode::Expired.with(EXPIRES_S, EXPIRES_S + 60);
    let example = Example::default()
        .bytes("u8 200", &codec::encode(&200_u8))
        .bytes("u16 127", &codec::encode(&127_u16))
        .bytes("u32 128", &codec::encode(&128_u32))
        .bytes("u64 1750000000", &codec::encode(&ISSUED_S))
        .bytes("u64 2^64 - 1", &codec::encode(&u64::MAX))
        .bytes("bool true", &codec::encode(&true))
        .bytes("text \"Läuft\"", &codec::encode("Läuft"))
        .bytes("list of u16: 1, 300", &codec::encode(&list::<u16, 4>(vec![1, 300])))
        .bytes("no value", &codec::encode(&None::<u32>))
        .bytes("the value 7", &codec::encode(&Some(7_u32)))
        .bytes("third variant, with 5", &codec::encode(&ItemOption::LicenseQuantity(5)))
        .bytes("S0380 with two times", &codec::encode(&failure))
        .bytes("beginning of an update", &file::prefix(FileKind::Update))
        .bytes("id of a container", Dongle::id().bytes())
        .text("its serial", &Dongle::id().serial(ContainerKind::Dongle).to_string());
    example.stands_in(CONVENTIONS);
    let read: Failure = codec::decode(&codec::encode(&failure), 32).unwrap();
    assert_eq!((read, read.known()), (failure, Some(ErrorCode::Expired)));
}

#[test]
fn what_the_conventions_refuse_is_refused() {
    let rows: [(&str, &[u8], DecodeError); 5] = [
        ("a number longer than it needs to be", &[0x81, 0x00], DecodeError::NotCanonical),
        ("a byte behind the value", &[0x01, 0x00], DecodeError::Trailing),
        ("an end inside the number", &[0x80], DecodeError::Malformed),
        ("more bytes than the bound", &[0; 9], DecodeError::TooLong { len: 9, max: 8 }),
        ("a number that does not fit", &[0xff, 0xff, 0xff, 0xff, 0x1f], DecodeError::Malformed),
    ];
    for (name, bytes, reason) in rows {
        assert_eq!(codec::decode::<u32>(bytes, 8), Err(reason), "{name}");
        let row = format!("| `{}` | {name} |", hex(bytes));
        assert!(CONVENTIONS.contains(&row), "the document should say:\n{row}");
    }
}

// --- 01-signed-objects ---

#[test]
fn signed_objects() {
    let firm = Firm::new();
    let bodies: Vec<Vec<u8>> = (0..3).map(|_| write_ops(&[UpdateOp::Nop]).unwrap()).collect();
    let header = |number: u8| Header {
        root_fp: firm.fp(),
        target: [0x40 + number; 16],
        seq: 4,
        state: [0x50 + number; 32],
        issued_s: ISSUED_S,
        until_s: EXPIRES_S,
        ..Header::new(Kind::Update, &bodies[usize::from(number)])
    };
    let mut headers = [header(0), header(1), header(2)];
    let proofs = sign_batch(&mut headers, &firm.licensing, &ENTROPY).unwrap();
    let (header, body) = (&headers[1], &bodies[1]);
    let Proof::Batch(place) = &proofs[1] else { panic!("a place in a tree") };
    let leaves = headers.map(|header| tree::leaf_hash(&header.preimage()));
    let (root, _) = tree::build(&leaves).unwrap();
    let signed = tree_preimage(header, 3, &root);
    let proof = codec::encode(&proofs[1]);

    fields(header)
        .bytes("preimage", &header.preimage())
        .bytes("its hash", &header.hash())
        .stands_in(SIGNED_OBJECTS);
    Example::default()
        .bytes("leaf 0", &leaves[0])
        .bytes("leaf 1", &leaves[1])
        .bytes("leaf 2", &leaves[2])
        .bytes("node 0-1", &tree::node_hash(&leaves[0], &leaves[1]))
        .bytes("root hash", &root)
        .bytes("signed", &signed)
        .bytes("signature", &place.signature.0)
        .bytes("proof length", &(proof.len() as u16).to_be_bytes())
        .bytes("proof", &proof)
        .bytes("body", body)
        .stands_in(SIGNED_OBJECTS);

    let object = write_object(header, &proofs[1], body);
    assert_eq!(object.len(), HEADER_LEN + 2 + proof.len() + body.len());
    let key = firm.verified.key(Role::Licensing, header.key_id).unwrap();
    let verified = read(&object, UPDATE_BODY_LEN_MAX).verify_role(Role::Licensing, &key).unwrap();
    assert_eq!(read_ops(verified.body), Ok(vec![UpdateOp::Nop]));
}

/// A header, field by field.
fn fields(header: &Header) -> Example {
    let bytes = header.to_bytes();
    let mut at = 0;
    let mut next = |len: usize| {
        at += len;
        &bytes[at - len..at]
    };
    let example = Example::default()
        .bytes("suite", next(1))
        .bytes("kind", next(1))
        .bytes("role", next(1))
        .bytes("reserved", next(1))
        .bytes("root_fp", next(16))
        .bytes("key_id", next(8))
        .bytes("target", next(16))
        .bytes("seq", next(8))
        .bytes("state", next(32))
        .bytes("issued_s", next(8))
        .bytes("until_s", next(8))
        .bytes("log_index", next(8))
        .bytes("body_len", next(4))
        .bytes("body_hash", next(32));
    assert_eq!(at, HEADER_LEN);
    example
}

#[test]
fn the_table_of_kinds_is_complete() {
    for kind in Kind::ALL {
        let (number, role) = (kind as u8, kind.role());
        let label = String::from_utf8(kind.label().to_vec()).unwrap();
        let row = format!("| {number} | {kind:?} | `{label}` | {} {role:?} |", role as u8);
        assert!(SIGNED_OBJECTS.contains(&row), "the document should say:\n{row}");
    }
}

// --- 02-root-and-device ---

#[test]
fn root() {
    let firm = Firm::new();
    let object = read(&firm.object, ROOT_BODY_LEN_MAX);
    let body = object.body_if_intact().unwrap();
    let header = object.header();
    Example::default()
        .bytes("header", &header.to_bytes())
        .bytes("proof", &codec::encode(object.proof()))
        .bytes("body", body)
        .bytes("root_fp", firm.fp().bytes())
        .stands_in(ROOT_AND_DEVICE);
    let Proof::Threshold(signatures) = object.proof() else { panic!("signatures of a root") };
    assert_eq!(signatures[0].0, firm.root.verifying_key().id());
    assert_eq!(firm.fp().bytes()[..], sha256(&header.preimage())[..16]);
}

#[test]
fn device() {
    let dongle = Dongle::new();
    let maker = test_root::root().unwrap();
    let object = read(&dongle.certificate, DEVICE_BODY_LEN_MAX);
    Example::default()
        .bytes("fingerprint of the test root", maker.root_fp.bytes())
        .bytes("header", &object.header().to_bytes())
        .bytes("proof", &codec::encode(object.proof()))
        .bytes("body", object.body_if_intact().unwrap())
        .text("serial", &Dongle::id().serial(ContainerKind::Dongle).to_string())
        .stands_in(ROOT_AND_DEVICE);
    let device = Device::verify(&object, &maker).unwrap();
    assert_eq!((device.id, device.body), (Dongle::id(), dongle.body));
}

// --- 03-update-context-receipt ---

/// The item key of the examples, sealed for update 1.
fn sealed_key(firm: &Firm, dongle: &Dongle) -> SealedKey {
    let mut key = [0; 48];
    key[..32].copy_from_slice(&*item_key(&[0x61; 32], firm.fp(), PRODUCT, GENERATION));
    let info = SealedKey::info(firm.fp(), Dongle::id());
    let aad = SealedKey::aad(1, PRODUCT, GENERATION);
    let recipient = dongle.sealing.public();
    let (encapsulated, _) =
        hpke::seal(&mut constant(0x62), &recipient, &info, &aad, &mut key, 32).unwrap();
    SealedKey {
        product: PRODUCT,
        generation: GENERATION,
        encapsulated: Fixed(encapsulated),
        ciphertext: Fixed(key),
    }
}

/// Update 1 of the examples: header, proof, body.
fn update(firm: &Firm, dongle: &Dongle) -> (Header, Proof, Vec<u8>) {
    let ops = [UpdateOp::SetItem(item()), UpdateOp::SetKey(sealed_key(firm, dongle))];
    let body = write_ops(&ops).unwrap();
    let mut headers = [Header {
        root_fp: firm.fp(),
        target: *Dongle::id().bytes(),
        seq: 1,
        state: genesis_hash(firm.fp(), Dongle::id()),
        issued_s: ISSUED_S,
        ..Header::new(Kind::Update, &body)
    }];
    let mut proofs = sign_batch(&mut headers, &firm.licensing, &ENTROPY).unwrap();
    (headers[0], proofs.remove(0), body)
}

#[test]
fn update_with_a_sealed_key() {
    let (firm, dongle) = (Firm::new(), Dongle::new());
    let sealed = sealed_key(&firm, &dongle);
    let (header, proof, body) = update(&firm, &dongle);
    let plain = item_key(&[0x61; 32], firm.fp(), PRODUCT, GENERATION);
    let info = SealedKey::info(firm.fp(), Dongle::id());
    let aad = SealedKey::aad(1, PRODUCT, GENERATION);
    Example::default()
        .bytes("state before", &header.state)
        .bytes("item key", &*plain)
        .bytes("info", &info)
        .bytes("aad", &aad)
        .bytes("encapsulated", &sealed.encapsulated.0)
        .bytes("ciphertext", &sealed.ciphertext.0)
        .bytes("header", &header.to_bytes())
        .bytes("proof", &codec::encode(&proof))
        .bytes("body", &body)
        .bytes("update_hash", &header.hash())
        .bytes("state after", &next_state_hash(&header.state, &header.hash()))
        .stands_in(UPDATES);
    let mut opened = sealed.ciphertext.0;
    let encapsulated = &sealed.encapsulated.0;
    assert_eq!(hpke::open(&dongle.sealing, encapsulated, &info, &aad, &mut opened), Ok(32));
    assert_eq!(opened[..32], plain[..]);
}

/// Hash of a configuration of one entry and one item key.
fn config_hash(item: &ProductItem) -> [u8; 32] {
    let (bytes, mut hashed) = (codec::encode(item), Vec::new());
    let record = |kind: u8, number: u16| {
        let product = PRODUCT.0.to_be_bytes();
        [&[kind, 0][..], &product, &number.to_be_bytes()].concat()
    };
    hashed.extend(record(0x20, item.item.entry.0));
    hashed.extend((bytes.len() as u32).to_be_bytes());
    hashed.extend(&bytes);
    hashed.extend(record(0x21, GENERATION.0));
    hashed.extend(0_u32.to_be_bytes());
    sha256(&hashed)
}

#[test]
fn context_and_receipt() {
    let (firm, dongle) = (Firm::new(), Dongle::new());
    let (header, ..) = update(&firm, &dongle);
    let time =
        |floor_s, now_s| TimeInfo { floor_s, now_s, class: ClockClass::Rtc, certified_s: floor_s };
    let context = codec::encode(&ContextBody {
        nonce: Fixed([0x71; 32]),
        config_hash: Fixed::default(),
        root_version: 0,
        revocation_epoch: 0,
        time: time(0, ISSUED_S),
        commits: 0,
        entries: 0,
        firmware: 1 << 8,
        request: None,
    });
    let receipt = codec::encode(&ReceiptBody {
        update_hash: Fixed(header.hash()),
        config_hash: Fixed(config_hash(&item())),
        ops: 2,
        time: time(ISSUED_S, ISSUED_S),
        commits: 1,
    });
    let after = (1, next_state_hash(&header.state, &header.hash()));
    let statements = [
        ("context", dongle.state(Kind::Context, firm.fp(), (0, header.state), &context)),
        ("receipt", dongle.state(Kind::Receipt, firm.fp(), after, &receipt)),
    ];
    for (name, bytes) in &statements {
        let object = read(bytes, STATEMENT_BODY_LEN_MAX);
        let key = VerifyingKey::from_bytes(&dongle.body.identity_key.0).unwrap();
        let verified = object.verify_container(&key).unwrap();
        Example::default()
            .text("statement", name)
            .bytes("header", &object.header().to_bytes())
            .bytes("proof", &codec::encode(object.proof()))
            .bytes("body", verified.body)
            .stands_in(UPDATES);
    }
}

// --- 04-license-entry ---

#[test]
fn license_entry() {
    let firm = Firm::new();
    let (item, requirement) = (item(), requirement(firm.fp()));
    let bytes = codec::encode(&requirement);
    Example::default()
        .bytes("entry", &codec::encode(&item))
        .bytes("further options", &codec::encode(&further_options()))
        .bytes("client", &codec::encode(&client()))
        .bytes("requirement", &bytes)
        .bytes("its SHA-256", &sha256(&bytes))
        .bytes("firm key", &[0x61; 32])
        .bytes("item key", &*item_key(&[0x61; 32], firm.fp(), PRODUCT, GENERATION))
        .stands_in(ENTRIES);
    assert_eq!(item.check(), Ok(()));
    assert_eq!(codec::decode(&codec::encode(&item), 1024), Ok(item));
}

#[test]
fn the_table_of_options_is_complete() {
    for kind in OptionKind::ALL {
        let row = format!("| {} | {kind:?} |", *kind as u32);
        assert!(ENTRIES.contains(&row), "the document should say:\n{row}");
    }
}

// --- 05-commands ---

/// Seat commands of the examples, by name.
fn seat_commands(firm: &Firm) -> [(&'static str, SeatCommand); 9] {
    let op = OpId::new([0x81; 16]);
    let handle = SeatHandle(3);
    let wrapped = WrappedKey { salt: Fixed([0x84; 16]), ciphertext: Fixed([0x85; 48]) };
    let artifact = ArtifactId::new([0x82; 16]);
    [
        ("open", SeatCommand::Open { op, requirement: requirement(firm.fp()), artifact }),
        ("join", SeatCommand::Join { op, token: SeatToken::new([0x83; 16]) }),
        ("heartbeat", SeatCommand::Heartbeat { handle, n: 300 }),
        ("close", SeatCommand::Close { handle }),
        ("key release", SeatCommand::KeyRelease { handle, wrapped, part: 0 }),
        ("introduce", SeatCommand::Introduce(client())),
        ("host time", SeatCommand::HostTime(ISSUED_S)),
        ("reserve", SeatCommand::Reserve { op, handle, units: 300 }),
        ("account", SeatCommand::Account { op, handle, used: 200 }),
    ]
}

/// Replies to seat commands, by name.
fn seat_replies() -> [(&'static str, ShortReply); 7] {
    let grant = SeatGrant {
        handle: SeatHandle(3),
        token: SeatToken::new([0x83; 16]),
        interval_s: 10,
        timeout_s: 30,
        ends_s: EXPIRES_S,
        now_s: ISSUED_S,
    };
    [
        ("opened", ShortReply::Seat(SeatReply::Opened(grant))),
        ("kept", ShortReply::Seat(SeatReply::Kept { n: 300 })),
        ("closed", ShortReply::Seat(SeatReply::Closed)),
        ("key", ShortReply::Seat(SeatReply::Key(PartKey(Fixed([0x86; 32]))))),
        ("introduced", ShortReply::Seat(SeatReply::Introduced)),
        ("units", ShortReply::Seat(SeatReply::Units { left: 300 })),
        ("failed", ShortReply::Failed(ErrorCode::NoSeat.with(3, 3))),
    ]
}

#[test]
fn seat_commands_and_replies() {
    let firm = Firm::new();
    let (mut example, mut rows) = (Example::default(), Vec::new());
    for (name, command) in seat_commands(&firm) {
        let bytes = codec::encode(&ShortCommand::Seat(command));
        assert_eq!(codec::decode(&bytes, 256), Ok(Command::Seat(command)));
        rows.push((name, bytes.len()));
        example = example.bytes(name, &bytes);
    }
    for (name, reply) in seat_replies() {
        let bytes = codec::encode(&reply);
        let read: Reply = codec::decode(&bytes, 256).unwrap();
        assert!(codec::encode(&read) == bytes, "{name}");
        rows.push((name, bytes.len()));
        example = example.bytes(name, &bytes);
    }
    example.stands_in(COMMANDS);
    for (name, len) in rows {
        let reports = report_count(len + CHANNEL_OVERHEAD_LEN).unwrap();
        let row = format!("| {name} | {len} | {reports} |");
        assert!(COMMANDS.contains(&row), "the document should say:\n{row}");
    }
}

#[test]
fn the_first_bytes_of_commands_and_replies() {
    let failed = |failure| Reply::UpdateRefused { failure, receipt: Default::default() };
    let commands = [
        (0, "seat", Command::Seat(SeatCommand::Close { handle: SeatHandle(0) })),
        (1, "info", Command::Info),
        (2, "firms", Command::Firms { from: 0 }),
        (3, "items", Command::Items { firm: RootFp::default(), after: None }),
        (4, "context", Command::Context { firm: RootFp::default(), nonce: Fixed([0; 32]) }),
        (5, "rename", Command::Rename { op: OpId::default(), name: text("") }),
        (6, "update begin", begin()),
        (7, "update chunk", Command::UpdateChunk { offset: 0, bytes: Default::default() }),
        (8, "update commit", Command::UpdateCommit),
        (9, "update abort", Command::UpdateAbort),
        (10, "receipt", Command::Receipt { firm: RootFp::default(), seq: 0 }),
        (11, "why", Command::Why(requirement(RootFp::default()))),
        (15, "time nonce", Command::TimeNonce { firm: RootFp::default() }),
        (16, "time token", Command::TimeToken(Default::default())),
        (18, "usage entries", Command::UsageEntries { firm: RootFp::default(), after: 0 }),
        (19, "usage ack", Command::UsageAck(Default::default())),
        (20, "prove user", Command::ProveUser { key: Fixed([2; 33]), signature: Fixed([0; 64]) }),
        (21, "trust", Command::Trust { object: Default::default() }),
        (22, "enter pin", Command::EnterPin(Default::default())),
        (24, "block", block()),
        (25, "prove", prove()),
        (26, "key", key()),
        (27, "identify", Command::Identify { for_s: 0 }),
        (28, "decommission", Command::Decommission),
        (29, "final statement", Command::FinalStatement { at: 0 }),
        (30, "configuration", Command::Configuration { firm: RootFp::default(), after: 0 }),
        (31, "judge", Command::Judge { requirement: requirement(RootFp::default()), after: None }),
    ];
    let replies = [
        (0, "seat", Reply::Seat(SeatReply::Closed)),
        (1, "failed", Reply::Failed(ErrorCode::NoSeat.failure())),
        (2, "done", Reply::Done),
        (4, "firms", Reply::Firms(List::default())),
        (5, "items", Reply::Items(List::default())),
        (6, "context", Reply::Context(Default::default())),
        (7, "receipt", Reply::Receipt(Default::default())),
        (8, "update refused", failed(ErrorCode::UpdateOld.failure())),
        (10, "data", Reply::Data(Default::default())),
        (11, "nonce", Reply::Nonce(Fixed([0; 32]))),
        (13, "usage head", Reply::UsageHead(Default::default())),
        (14, "usage entries", Reply::UsageEntries(List::default())),
        (15, "block", Reply::Block(Default::default())),
        (16, "proof", Reply::Proof(Default::default())),
        (17, "key", Reply::Key(KeyReply::Made(None))),
        (18, "final statement", Reply::FinalStatement(Default::default())),
        (19, "configuration", Reply::Configuration(List::default())),
        (20, "judged", Reply::Judged(None)),
    ];
    let commands = commands.map(|(number, name, it)| (number, name, codec::encode(&it)));
    let replies = replies.map(|(number, name, it)| (number, name, codec::encode(&it)));
    for (number, name, bytes) in commands.into_iter().chain(replies) {
        assert_eq!(bytes[0], number, "{name}");
        let row = format!("| {number} | {name} |");
        assert!(COMMANDS.contains(&row), "the document should say:\n{row}");
    }
}

// --- 07-usage-log, 07-time ---

#[test]
fn usage_log() {
    let firm = Firm::new();
    let container = Dongle::id();
    let item = ItemRef { product: PRODUCT, entry: EntryNumber(0) };
    let leaf = |kind, units, left, op, subject| UsageLeaf {
        at_s: ISSUED_S,
        kind,
        item,
        units,
        left,
        op,
        subject,
    };
    let anna = subject(firm.fp(), user_id("anna"));
    let added = leaf(UsageKind::Added, 500, 500, OpId::default(), Fixed::default());
    let taken = leaf(UsageKind::Taken, 3, 497, OpId::new([0x91; 16]), anna);
    let entries = [
        UsageEntry { salt: Fixed([0x92; 16]), leaf: added },
        UsageEntry { salt: Fixed([0x93; 16]), leaf: taken },
    ];
    let genesis = genesis_head(firm.fp(), container);
    let first = next_head(&genesis, 1, &entries[0]);
    let second = next_head(&first, 2, &entries[1]);
    Example::default()
        .bytes("entry 1", &codec::encode(&entries[0]))
        .bytes("entry 2", &codec::encode(&entries[1]))
        .bytes("leaf hash 2", &entries[1].hash())
        .bytes("head 0", &genesis)
        .bytes("head 1", &first)
        .bytes("head 2", &second)
        .stands_in(USAGE_LOG);
    let logged = chain(genesis, 0, &entries);
    assert_eq!(check_chain(genesis, 0, &logged, &second), Ok(()));
    assert_eq!(read_entries(&write_entries(&logged)), Some(logged));
}

#[test]
fn time_token() {
    let firm = Firm::new();
    let body = codec::encode(&TimeTokenBody { time_s: ISSUED_S, radius_s: 5 });
    let header = Header {
        root_fp: firm.fp(),
        target: *Dongle::id().bytes(),
        state: [0x94; 32],
        issued_s: ISSUED_S,
        ..Header::new(Kind::TimeToken, &body)
    };
    let mut headers = [header];
    let key = signing(0x41);
    let proofs = sign_batch(&mut headers, &key, &ENTROPY).unwrap();
    let object = write_object(&headers[0], &proofs[0], &body);
    Example::default().bytes("token", &object).stands_in(TIME);
    let (read, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).unwrap();
    assert!(read.verify_role(Role::Time, &key.verifying_key()).is_ok());
}

fn begin() -> Command {
    Command::UpdateBegin { root: Default::default(), head: Default::default() }
}
