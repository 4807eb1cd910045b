//! Writes a few accepted inputs for each target into its corpus, for the fuzzer to start from.

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::{Command, KeyCommand, KeyUsage, Reply, SeatCommand, SeatGrant, SeatReply};
use protocol::crypto::channel::Initiator;
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::sha256;
use protocol::errors::Failure;
use protocol::frame::{self, Cid};
use protocol::ids::*;
use protocol::objects::artifact::{
    ArtifactBody, ArtifactKind, LossPolicy, ProgramOptions, RefusalText, Slot, WrappedKey,
};
use protocol::objects::block::{BlockWay, KeySource, SealedBlock};
use protocol::objects::configuration::ConfigurationRecord;
use protocol::objects::delegation::{DelegationBody, Scope};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{
    AccessMode, ItemOption, ItemRef, ProductItem, Requirement, Version,
};
use protocol::objects::proof::ProofBody;
use protocol::objects::request::{Answer, Request};
use protocol::objects::revocation::{FirmwareRange, Revocation, RevocationBody};
use protocol::objects::root::{Mode, NextBody};
use protocol::objects::statement::{ContextBody, FinalBody, ReceiptBody, TimeInfo};
use protocol::objects::test_root;
use protocol::objects::update::{ProductRange, SealedKey, UpdateOp, write_ops};
use std::path::Path;
use strongroom_fuzz_targets::{NONCE, attestation_key};

const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(1) };
const PRODUCTS: ProductRange = ProductRange { first: ProductCode(7), last: ProductCode(300) };
const WRAPPED: WrappedKey = WrappedKey { salt: Fixed([3; 16]), ciphertext: Fixed([4; 48]) };
const TIME: TimeInfo = TimeInfo { floor_s: 9, now_s: 10, class: ClockClass::Rtc, certified_s: 8 };

fn main() {
    let root = test_root::object().expect("the test root");
    write("object", std::slice::from_ref(&root));
    write("file", &[file::write(FileKind::Root, &[&root]), file::write(FileKind::Update, &[])]);
    write("command", &commands());
    write("reply", &replies());
    write("artifact", &[codec::encode(&artifact())]);
    write("delegation", &[codec::encode(&delegation()), delegation_object()]);
    write("revocation", &[codec::encode(&revocation()), revocation_object()]);
    let next = next_root();
    write("root", &[root.clone(), next.clone()]);
    let objects = [&root[..], &next, &revocation_object(), &delegation_object()];
    write("trust", &[objects[..2].concat(), objects[2..].concat(), root.clone()]);
    write("device", &[codec::encode(&device())]);
    write("statement", &[codec::encode(&context()), codec::encode(&proof()), block()]);
    write("receipt", &[codec::encode(&receipt()), codec::encode(&last())]);
    let inventory = file::write(FileKind::Inventory, &[&root, &next, &configuration()]);
    write("inventory", &[configuration(), inventory]);
    write("update_ops", &[write_ops(&ops()).expect("small operations"), Vec::new()]);
    write("report", &[reports(10), reports(300)]);
    write("handshake", &[first_message()]);
    write("transport", &[vec![0; 16], vec![5; 40]]);
    write("content", &[file::write(FileKind::Artifact, &[&root]), vec![7; 200]]);
    write("elf", &[elf_header(2), elf_header(3)]);
    write("journal", &[vec![0xff; 64], vec![0; 4096]]);
    write("tpm_attest", &attestations());
    write("tpm_certificate", &[certified("ek-rsa2048"), certified("ek-p384")]);
    let keys = ["ak", "ek-rsa2048", "ek-p256", "ek-p384"].map(|name| vector(name, "public"));
    write("tpm_public", &[&keys[..], &keys.each_ref().map(|key| key[2..].to_vec())].concat());
    texts();
}

/// What people write. Files beside these, named by what is wrong with them, are written by hand.
fn texts() {
    let texts: [(&str, &[u8]); 9] = [
        ("configuration", b"# in order\nsources = [\"usb\", \"sim:/run/dongle\"]\n"),
        ("sources", b"usb, sim:/run/a"),
        ("template", b"quantity = 3\nregion = [\"AT\"]\nusage-period = \"30d\"\n"),
        ("products", b"[[product]]\ncode = 7\nname = \"Tool\"\n"),
        ("refusal_texts", b"[[text]]\ntext = \"No license\"\nlanguage = \"en\"\n"),
        ("store", b"[pkcs11]\nmodule = \"/lib/token.so\"\ntoken = \"acme\"\nkeys = []\n"),
        ("time", b"2027-03-31"),
        ("arguments", b"5"),
        ("fault", b"cut-power 7 after\n"),
    ];
    texts.iter().for_each(|(target, text)| write(target, &[text.to_vec()]));
    let state = "0a".repeat(32);
    let ledger = format!(r#"{{"serial":"","base":{{"seq":1,"state":"{state}"}}}}"#);
    write("ledger", &[ledger.into_bytes()]);
    let key_store = |version: u8, len| [&b"STRGKEYS"[..], &[version], &vec![7; len]].concat();
    write("key_store", &[key_store(1, 16 + 12 + 144), key_store(2, 16 + 12 + 2 * 39 + 16)]);
    let share = [&b"STRGSHAR\x01"[..], &[9; 16], &[2, 3, 1], &[5; 28], &[7; 56]].concat();
    let check = sha256(&share);
    write("share", &[[&share[..], &check[..8]].concat(), share.clone()]);
    write("sim_identity", &[[&b"SIMKEYS1"[..], &[9; 16 + 4 * 32]].concat()]);
}

fn write(target: &str, inputs: &[Vec<u8>]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    std::fs::create_dir_all(&dir).expect("the corpus can be written");
    for (n, input) in inputs.iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{n}")), input).expect("the corpus can be written");
    }
}

/// The header of a 64-bit program for x86-64 with one program header, `LOAD`.
fn elf_header(kind: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (bytes[16], bytes[18], bytes[20], bytes[32]) = (kind, 62, 1, 64);
    (bytes[52], bytes[54], bytes[56]) = (64, 56, 1);
    (bytes[64], bytes[68]) = (1, 5);
    bytes[64 + 32] = 120;
    bytes[64 + 40] = 120;
    bytes
}

fn requirement() -> Requirement {
    Requirement {
        root_fp: RootFp::new([1; 16]),
        product: ITEM.product,
        features: 5,
        units: 0,
        release_s: 0,
        access: AccessMode::UserLimit,
        certified_age_s: 0,
        generation: Generation(1),
    }
}

fn item() -> ProductItem {
    let options = vec![
        ItemOption::Text(Text::new("Läuft").expect("short")),
        ItemOption::FeatureMap(5),
        ItemOption::LicenseQuantity(3),
        ItemOption::ActivationTime(1),
        ItemOption::ExpirationTime(2_000_000_000),
    ];
    ProductItem { item: ITEM, options: List::new(options).expect("few") }
}

fn proof() -> ProofBody {
    ProofBody {
        challenge: Fixed([2; 32]),
        purpose: 3,
        session: Fixed([4; 32]),
        item: ITEM,
        requirement: requirement(),
        ends_s: 2_000_000_000,
        units: 5,
        seats: 1,
        time: TIME,
        commits: 6,
        firmware: 1 << 8,
    }
}

fn block() -> Vec<u8> {
    let bytes = Bytes::new([9; 40]).expect("short");
    codec::encode(&SealedBlock { requirement: requirement(), source: KeySource::Secret(1), bytes })
}

fn commands() -> Vec<Vec<u8>> {
    let (firm, op) = (RootFp::new([1; 16]), OpId::new([2; 16]));
    let artifact = ArtifactId::new([6; 16]);
    let commands = [
        Command::Seat(SeatCommand::Open { op, requirement: requirement(), artifact }),
        Command::Seat(SeatCommand::KeyRelease { handle: SeatHandle(1), wrapped: WRAPPED, part: 0 }),
        Command::Items { firm, after: Some(ITEM) },
        Command::Context { firm, nonce: Fixed([8; 32]) },
        Command::Rename { op, name: Text::new("desk").expect("short") },
        Command::UpdateChunk { offset: 1024, bytes: Bytes::new([9; 30]).expect("short") },
        Command::Why(requirement()),
        Command::Trust { object: Bytes::new([9; 300]).expect("short") },
        Command::Block {
            handle: SeatHandle(1),
            source: KeySource::Hidden(2),
            way: BlockWay::Decrypt,
            bytes: Bytes::new([9; 40]).expect("short"),
        },
        Command::Prove { handle: SeatHandle(1), challenge: Fixed([8; 32]), purpose: 1 },
        Command::Key(KeyCommand::Make { name: KeyName::new([7; 7]), usage: KeyUsage::Sign }),
        Command::Identify { for_s: 5 },
        Command::Configuration { firm, after: 0x20 << 56 },
        Command::Judge { requirement: requirement(), after: Some(ITEM.entry) },
    ];
    commands.iter().map(codec::encode).collect()
}

fn replies() -> Vec<Vec<u8>> {
    let grant = SeatGrant {
        handle: SeatHandle(1),
        token: SeatToken::new([7; 16]),
        interval_s: 10,
        timeout_s: 30,
        ends_s: 0,
        now_s: 10,
    };
    let replies = [
        Reply::Seat(SeatReply::Opened(grant)),
        Reply::Failed(Failure { code: 0x201, a: 1, b: 2 }),
        Reply::Items(List::new(vec![item()]).expect("one")),
        Reply::Receipt(Bytes::new([1; 40]).expect("short")),
        Reply::FinalStatement(Bytes::new([1; 40]).expect("short")),
        Reply::Configuration(List::new(vec![record()]).expect("one")),
    ];
    replies.iter().map(codec::encode).collect()
}

fn record() -> ConfigurationRecord {
    let key = 0x20 << 56 | u64::from(ITEM.product.0) << 16 | u64::from(ITEM.entry.0);
    ConfigurationRecord { key, value: Bytes::new(codec::encode(&item())).expect("short") }
}

/// An entry and its key, as they are hashed.
fn configuration() -> Vec<u8> {
    let mut bytes = Vec::new();
    record().write(&mut bytes);
    let key = 0x21 << 56 | u64::from(ITEM.product.0) << 16;
    ConfigurationRecord { key, value: Bytes::default() }.write(&mut bytes);
    bytes
}

fn artifact() -> ArtifactBody {
    let text = RefusalText {
        language: Text::new("de").expect("short"),
        text: Text::new("Keine Lizenz").expect("short"),
        shop: Text::new("shop").expect("short"),
        support: Text::new("help").expect("short"),
    };
    let program = ProgramOptions {
        loss: LossPolicy::Grace { for_s: 60 },
        allow_preload: false,
        accept_unwatched_forks: true,
        refusal_texts: List::new(vec![text]).expect("one"),
    };
    let slot = Slot { requirement: requirement(), wrapped: WRAPPED };
    ArtifactBody {
        kind: ArtifactKind::Program,
        mode: Mode::Test,
        firm_name: Text::new("Acme").expect("short"),
        name: Text::new("tool").expect("short"),
        slots: List::new(vec![slot]).expect("one"),
        content_len: 123_456,
        program: Some(program),
        parts: 1,
    }
}

fn delegation() -> DelegationBody {
    let scope = Scope { products: PRODUCTS, quantity_max: 5, daily_max: 300, depth: 1 };
    DelegationBody { name: Text::new("Reseller").expect("short"), key: Fixed([2; 33]), scope }
}

fn delegation_object() -> Vec<u8> {
    let key = test_root::device_key().expect("a constant key");
    delegation().write(RootFp::new([1; 16]), (5, 6), &key, &[0; 32]).expect("one leaf")
}

fn revocation() -> RevocationBody {
    let range = FirmwareRange { first: Version(1), last: Version(300) };
    RevocationBody {
        keys: List::new(vec![KeyId::new([1; 8]), KeyId::new([2; 8])]).expect("two"),
        containers: List::new(vec![ContainerId::new([3; 16])]).expect("one"),
        firmware: List::new(vec![range]).expect("one"),
    }
}

fn revocation_object() -> Vec<u8> {
    let root = test_root::root().expect("the test root");
    let key = test_root::device_key().expect("a constant key");
    Revocation::write(&root, 1, &revocation(), (5, 6), &[&key], &[0; 32]).expect("small")
}

/// A root that follows the test root, whose keys everybody knows.
fn next_root() -> Vec<u8> {
    let root = test_root::root().expect("the test root");
    let mut scalar = [0; 32];
    scalar[31] = 1;
    let key = SigningKey::from_bytes(&scalar).expect("below the order");
    let body = NextBody { body: root.body.clone(), min_epoch: 3 };
    root.write_next(&body, (5, 0), &[&key], &[0; 32]).expect("small")
}

fn device() -> DeviceBody {
    DeviceBody {
        kind: ContainerKind::Dongle,
        clock: ClockClass::Rtc,
        anchor: AnchorClass::Hardware,
        identity_key: Fixed([2; 33]),
        channel_key: Fixed([2; 33]),
        sealing_key: Fixed([3; 33]),
        batch: 4,
    }
}

fn context() -> ContextBody {
    let (after, draw) = (Fixed([5; 32]), Fixed([6; 32]));
    let request = Request { number: 2, after, draw, evidence: None };
    ContextBody {
        nonce: Fixed([1; 32]),
        config_hash: Fixed([2; 32]),
        root_version: 1,
        revocation_epoch: 0,
        time: TIME,
        commits: 5,
        entries: 1,
        firmware: 0x1_0000,
        request: Some(request),
    }
}

fn receipt() -> ReceiptBody {
    let (update_hash, config_hash) = (Fixed([1; 32]), Fixed([2; 32]));
    ReceiptBody { update_hash, config_hash, ops: 3, time: TIME, commits: 6 }
}

fn last() -> FinalBody {
    let (config_hash, log_head) = (Fixed([2; 32]), Fixed([3; 32]));
    FinalBody { config_hash, entries: 1, time: TIME, commits: 6, log_seq: 7, log_head }
}

fn ops() -> Vec<UpdateOp> {
    let (product, generation) = (ITEM.product, Generation(1));
    let (encapsulated, ciphertext) = (Fixed([4; 65]), Fixed([5; 48]));
    vec![
        UpdateOp::Nop,
        UpdateOp::SetItem(item()),
        UpdateOp::SetKey(SealedKey { product, generation, encapsulated, ciphertext }),
        UpdateOp::RemoveItem(ITEM),
        UpdateOp::RemoveKey { product, generation },
        UpdateOp::Perpetuate(PRODUCTS),
        UpdateOp::Answer(Answer { draw: Fixed([6; 32]), head: Fixed([7; 32]), grace_s: 86_400 }),
    ]
}

/// What a software TPM made.
fn vector(name: &str, kind: &str) -> Vec<u8> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tpm/attest/tests/vectors");
    std::fs::read(vectors.join(format!("{name}.{kind}"))).expect("a vector")
}

/// A quote and a certified counter of a software TPM, as if the key of the target had signed them
/// over its nonce. In front of each is the public part of the counter.
fn attestations() -> Vec<Vec<u8>> {
    let (ak, _) = attestation_key();
    let counter = [&[0x01, 0x84, 0xc0, 0x00][..], &[0x22, 0x04, 0x00, 0x14], &[0, 8]].concat();
    let signed = ["quote", "counter"].map(|name| {
        let mut attest = vector(name, "attest");
        attest[8..42].copy_from_slice(ak.qualified_name().as_bytes());
        attest[44..76].copy_from_slice(&NONCE);
        [&counter[..], &attest].concat()
    });
    [&signed[..], &[vector("quote", "signature")]].concat()
}

/// An endorsement key, and who vouches for it.
fn certified(name: &str) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let certificates = [vector(name, "der"), vector("ca-root", "der"), vector("ca-local", "der")];
    let certificates = certificates.map(|certificate| sized(&certificate)).concat();
    [vector(name, "public"), certificates].concat()
}

/// A message of `len` bytes, cut into its reports.
fn reports(len: usize) -> Vec<u8> {
    let message = vec![6; len];
    let reports = frame::split(Cid(9), frame::Command::Msg, &message).expect("a short message");
    reports.flatten().collect()
}

fn first_message() -> Vec<u8> {
    let mut random = |out: &mut [u8]| {
        out.fill(1);
        Ok(())
    };
    let mut message = vec![0; 512];
    let (_, len) = Initiator::start_nx(&mut random, b"hello", &mut message).expect("room enough");
    message.truncate(len);
    message
}
