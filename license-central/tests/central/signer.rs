//! The signer: what it signs, what it writes down before, and what it refuses.

use license_central::domain::firm::{Grounds, Leaf, Signer};
use license_central::domain::journal::{Claim, Entry, Head};
use license_central::domain::records::EffectKind;
use license_central::recovery::check::Kind;
use protocol::codec::List;
use protocol::errors::ErrorCode;
use protocol::ids::{EntryNumber, KeyId, ProductCode};
use protocol::objects::license::{ItemOption, ItemRef, ProductItem};
use protocol::objects::statement::{genesis_hash, next_state_hash};
use protocol::objects::update::{ProductRange, UnitsChange, UpdateOp, write_ops};
use protocol::signed::{Header, Kind as ObjectKind, Role};

use crate::stage::Stage;

/// Little is sold.
const SMALL: &str = "[caps]\nproducts = [\"1-9\"]\nperpetual = false\n\
    [caps.update]\ninstalls = 2\nseats = 10\nunits = 100\n\
    [caps.day]\nupdates = 6\ninstalls = 4\nseats = 15\nunits = 150\n";

fn item(product: u32, entry: u16) -> ItemRef {
    ItemRef { product: ProductCode(product), entry: EntryNumber(entry) }
}

fn set(product: u32, entry: u16, quantity: u32) -> UpdateOp {
    let options = List::new(vec![ItemOption::LicenseQuantity(quantity)]).expect("one");
    UpdateOp::SetItem(ProductItem { item: item(product, entry), options })
}

fn add(units: u64) -> UpdateOp {
    UpdateOp::Units { item: item(7, 0), change: UnitsChange::Add(units) }
}

/// What somebody may ask the signer for who has the whole server: any bytes in the form of a leaf.
struct Thief<'a> {
    stage: &'a Stage,
    key_id: KeyId,
}

impl<'a> Thief<'a> {
    fn at(stage: &'a Stage) -> Self {
        let keeper = stage.keeper();
        keeper.agree(keeper.head().expect("a head")).expect("whatever it knows");
        let keys = stage.vendor().root.body.roles.iter();
        let licensing = keys.filter(|keys| keys.role == Role::Licensing);
        let key = licensing.flat_map(|keys| keys.keys.iter()).next().expect("a key");
        let key = protocol::crypto::ecdsa::VerifyingKey::from_bytes(&key.0).expect("a key");
        Thief { stage, key_id: key.id() }
    }

    /// The update of number `seq` for a container.
    fn leaf(&self, target: u8, seq: u64, ops: &[UpdateOp]) -> Leaf {
        let body = write_ops(ops).expect("operations");
        let kind = match ops.iter().any(|op| matches!(op, UpdateOp::Perpetuate(_))) {
            true => ObjectKind::Recovery,
            false => ObjectKind::Update,
        };
        let header = Header {
            root_fp: self.stage.root_fp(),
            key_id: self.key_id,
            target: [target; 16],
            seq,
            state: [seq as u8; 32],
            issued_s: 1,
            ..Header::new(kind, &body)
        };
        Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() }
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<(), Option<ErrorCode>> {
        let signed = self.stage.keeper().sign(leaves);
        let code = signed.map_err(|error| error.failure().and_then(|failure| failure.known()));
        code.map(|objects| assert_eq!(objects.len(), leaves.len()))
    }

    /// It is refused, and nothing of it is written down.
    #[track_caller]
    fn is_refused(&self, leaves: &[Leaf], code: ErrorCode) {
        let before = self.stage.journal();
        assert_eq!(self.sign(leaves), Err(Some(code)));
        assert_eq!(self.stage.journal(), before);
    }
}

#[test]
fn an_activation_is_written_down_once_with_what_explains_it() {
    let stage = Stage::new();
    let (ticket, mut dongle) = (stage.ticket("1", 1), stage.dongle(1));
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(
        stage.activate(&ticket, &mut dongle).ok(200).body["updates"][0]["what"],
        got.body["updates"][0]["what"]
    );
    let [entry] = &stage.journal()[..] else { panic!("one entry: {:?}", stage.journal()) };
    let grant = &stage.grants()[0];
    let [Claim { grant: id, epoch, kind, product, entry: number, ticket, order, .. }] =
        &entry.claims[..]
    else {
        panic!("one claim: {entry:?}")
    };
    assert_eq!((id, ticket, *epoch, *product), (&grant.id, &grant.ticket, 1, 7));
    assert_eq!((*kind, *number, order.is_empty()), (EffectKind::Install, 0, false));
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let report = stage.check();
    assert_eq!((report.findings, report.unsigned, report.entries), (vec![], vec![], 1));
}

#[test]
fn a_signer_that_was_started_again_knows_what_it_signed() {
    let mut stage = Stage::new();
    let (ticket, mut dongle) = (stage.ticket("1", 2), stage.dongle(1));
    stage.activate(&ticket, &mut dongle).ok(200);
    stage.restart();
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert_eq!(stage.journal().len(), 1);
    stage.activate(&ticket, &mut stage.dongle(2)).ok(200);
    assert_eq!((stage.journal().len(), stage.findings()), (2, vec![]));
}

#[test]
fn what_was_decided_and_not_signed_is_no_finding() {
    let mut stage = Stage::capped(&SMALL.replace("updates = 6", "updates = 0"));
    let (ticket, mut dongle) = (stage.ticket("1", 1), stage.dongle(1));
    stage.activate(&ticket, &mut dongle).refused(409, "S0B31");
    let report = stage.check();
    assert_eq!((report.findings, report.unsigned.len(), report.entries), (vec![], 1, 0));
    stage.set_caps(SMALL);
    stage.restart();
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert_eq!(stage.check().unsigned, [""; 0]);
}

/// A key of the owner's makes as many orders as it likes, and tickets of them: the signer stops at
/// the caps of the day, which no route of the server reaches.
#[test]
fn sec_s16_a_stolen_session_gets_no_further_than_the_caps() {
    let stage = Stage::capped(SMALL);
    let ticket = stage.ticket("1", 100);
    for seed in 1..=4 {
        stage.activate(&ticket, &mut stage.dongle(seed)).ok(200);
    }
    let refused = stage.activate(&ticket, &mut stage.dongle(5));
    refused.refused(409, "S0B31");
    let title = refused.body["title"].as_str().expect("a title");
    assert!(title.contains("installs") && title.contains('5') && title.contains('4'), "{title}");
    assert_eq!(stage.journal().len(), 4);
    let many = serde_json::json!({ "code": 8, "name": "Other", "terms": { "quantity": 11 } });
    stage.owner(("admin", "PUT", "/v1/products"), &many).ok(200);
    assert_eq!(stage.journal().len(), 4);
}

/// Nor does somebody who has the whole server, and speaks to the signer himself.
#[test]
fn sec_s16_a_stolen_server_gets_no_further_than_the_caps() {
    let mut stage = Stage::capped(SMALL);
    let thief = Thief::at(&stage);
    let leaf = |target, ops: &[UpdateOp]| thief.leaf(target, 1, ops);
    thief.is_refused(&[leaf(1, &[set(7, 0, 11)])], ErrorCode::CapOfUpdate);
    thief.is_refused(&[leaf(1, &[set(7, 0, 5), set(7, 1, 6)])], ErrorCode::CapOfUpdate);
    thief.is_refused(
        &[leaf(1, &[set(7, 0, 1), set(7, 1, 1), set(7, 2, 1)])],
        ErrorCode::CapOfUpdate,
    );
    thief.is_refused(&[leaf(1, &[add(60), add(41)])], ErrorCode::CapOfUpdate);
    thief.is_refused(&[leaf(1, &[add(u64::MAX), add(u64::MAX)])], ErrorCode::CapOfUpdate);
    thief.is_refused(&[leaf(1, &[set(10, 0, 1)])], ErrorCode::CapOfProduct);
    let all = ProductRange { first: ProductCode(1), last: ProductCode(9) };
    thief.is_refused(&[leaf(1, &[UpdateOp::Perpetuate(all)])], ErrorCode::CapOfProduct);
    // A day's sum counts over all containers, also within one call.
    let two = [leaf(1, &[set(7, 0, 8)]), leaf(2, &[set(7, 0, 8)])];
    thief.is_refused(&two, ErrorCode::CapOfDay);
    assert_eq!(thief.sign(&two[..1]), Ok(()));
    thief.is_refused(&two[1..], ErrorCode::CapOfDay);
    assert_eq!(thief.sign(&two[..1]), Ok(()), "the same once more is no more");
    assert_eq!(stage.journal().len(), 1);
    // A signer that is started again still knows the day.
    let rest = two[1].clone();
    stage.restart();
    Thief::at(&stage).is_refused(&[rest], ErrorCode::CapOfDay);
}

#[test]
fn sec_s16_what_is_no_update_of_the_vendor_is_not_signed() {
    let stage = Stage::capped(SMALL);
    let thief = Thief::at(&stage);
    let good = thief.leaf(1, 1, &[set(7, 0, 1)]);
    let with = |change: &dyn Fn(&mut Leaf)| {
        let mut leaf = good.clone();
        change(&mut leaf);
        [leaf]
    };
    let refused = ErrorCode::LeafRefused;
    for kind in ObjectKind::ALL {
        let own = Header { kind, role: kind.role(), ..good.header };
        match kind {
            ObjectKind::Update => {}
            // What the recovery role signs makes licenses perpetual, and nothing else.
            _ => thief.is_refused(&with(&|leaf| leaf.header = own), refused),
        }
    }
    thief.is_refused(&with(&|leaf| leaf.body.push(0)), refused);
    thief.is_refused(&with(&|leaf| leaf.header.body_hash[0] ^= 1), refused);
    thief.is_refused(&with(&|leaf| leaf.header.root_fp = Default::default()), refused);
    thief.is_refused(&with(&|leaf| leaf.header.seq = 0), refused);
    let garbage = b"anything at all".to_vec();
    thief.is_refused(
        &with(&|leaf| {
            let Header { body_len, body_hash, .. } = Header::new(ObjectKind::Update, &garbage);
            leaf.header = Header { body_len, body_hash, ..leaf.header };
            leaf.body.clone_from(&garbage);
        }),
        refused,
    );
    let other = KeyId::default();
    thief.is_refused(&with(&|leaf| leaf.header.key_id = other), ErrorCode::KeyGone);
    assert_eq!(thief.sign(&[good]), Ok(()));
}

/// Who signs within the caps leaves an entry that no order explains, and is named.
#[test]
fn sec_s16_what_no_order_explains_is_named() {
    let stage = Stage::new();
    let (ticket, mut dongle) = (stage.ticket("1", 1), stage.dongle(1));
    stage.activate(&ticket, &mut dongle).ok(200);
    let thief = Thief::at(&stage);
    let bare = thief.leaf(1, 1, &[set(7, 0, 1)]);
    assert_eq!(thief.sign(std::slice::from_ref(&bare)), Ok(()));
    let report = stage.check();
    let named: Vec<_> = report.findings.iter().map(|one| (one.kind, one.entry)).collect();
    assert_eq!(named, [(Kind::Lost, Some(2)), (Kind::Unexplained, Some(2))]);
    // Names of a grant and a ticket that are none, or another's, explain nothing.
    let own = stage.journal()[0].claims[0].clone();
    let claims = [
        Claim { grant: "gra_0".into(), ..own.clone() },
        Claim { ticket: "tic_0".into(), ..own.clone() },
        Claim { product: 8, ..own },
    ];
    for (at, claim) in claims.into_iter().enumerate() {
        let ops = [set(claim.product, claim.entry, 1)];
        let leaf = Leaf { claims: vec![claim], ..thief.leaf(2 + at as u8, 1, &ops) };
        assert_eq!(thief.sign(&[leaf]), Ok(()));
        let number = Some(3 + at as u64);
        let report = stage.check();
        let mut kinds = report.findings.iter().filter(|one| one.entry == number);
        assert!(kinds.any(|one| one.kind == Kind::Unexplained), "{report:?}");
    }
}

#[test]
fn another_update_of_the_same_number_needs_the_one_before_to_be_named() {
    let stage = Stage::new();
    let thief = Thief::at(&stage);
    let [first, other] = [1, 2].map(|quantity| thief.leaf(1, 1, &[set(7, 0, quantity)]));
    thief.is_refused(&[first.clone(), other.clone()], ErrorCode::LeafDiffers);
    assert_eq!(thief.sign(std::slice::from_ref(&first)), Ok(()));
    thief.is_refused(std::slice::from_ref(&other), ErrorCode::LeafDiffers);
    let after = |leaf: &Leaf| next_state_hash(&leaf.header.state, &leaf.header.hash());
    let grounds = Grounds { beside: vec![after(&first)], ..Grounds::default() };
    let elsewhere = Header { state: [99; 32], ..other.header };
    let elsewhere = Leaf { header: elsewhere, grounds: grounds.clone(), ..other.clone() };
    thief.is_refused(&[elsewhere], ErrorCode::LeafDiffers);
    let other = Leaf { grounds, ..other };
    assert_eq!(thief.sign(std::slice::from_ref(&other)), Ok(()));
    // Behind either branch the next number follows; a third one of it names both.
    let behind = |before: &Leaf, quantity| {
        let leaf = thief.leaf(1, 2, &[set(7, 0, quantity)]);
        Leaf { header: Header { state: after(before), ..leaf.header }, ..leaf }
    };
    let dead = behind(&first, 3);
    assert_eq!(thief.sign(std::slice::from_ref(&dead)), Ok(()));
    assert_eq!(thief.sign(&[behind(&other, 4)]), Ok(()), "the branch that was taken");
    thief.is_refused(&[behind(&first, 5)], ErrorCode::LeafDiffers);
    assert_eq!(thief.sign(&[first, dead]), Ok(()), "they are known");
    let far = thief.leaf(1, 40, &[set(7, 0, 1)]);
    assert_eq!(thief.sign(&[far]), Ok(()));
    thief.is_refused(&[thief.leaf(1, 20, &[set(7, 0, 1)])], ErrorCode::LeafDiffers);
}

/// What a person decided to count goes on where the container showed that it is, and only there.
#[test]
fn sec_s16_beside_what_was_signed_only_what_the_container_showed_counts() {
    let stage = Stage::new();
    let thief = Thief::at(&stage);
    let [mut dongle, mut other] = [1, 2].map(|seed| stage.dongle(seed));
    let id = *dongle.bench.id().bytes();
    let to = |leaf: Leaf, state: [u8; 32], shown: Vec<u8>| {
        let header = Header { target: id, state, ..leaf.header };
        let grounds = Grounds { shown, ..Grounds::default() };
        Leaf { header, grounds, ..leaf }
    };
    let first = to(thief.leaf(0, 1, &[set(7, 0, 1)]), [1; 32], Vec::new());
    let second = to(thief.leaf(0, 2, &[set(7, 0, 1)]), [2; 32], Vec::new());
    assert_eq!(thief.sign(&[first, second]), Ok(()));
    let at = genesis_hash(stage.root_fp(), dongle.bench.id());
    let (own, foreign) = (dongle.context(), other.context());
    let next = |shown: &[u8]| to(thief.leaf(0, 1, &[set(7, 0, 2)]), at, shown.to_vec());
    thief.is_refused(&[next(&[])], ErrorCode::LeafDiffers);
    thief.is_refused(&[next(&foreign)], ErrorCode::LeafDiffers);
    let elsewhere = to(thief.leaf(0, 1, &[set(7, 0, 2)]), [9; 32], own.clone());
    thief.is_refused(&[elsewhere], ErrorCode::LeafDiffers);
    let mut changed = own.clone();
    *changed.last_mut().expect("a file") ^= 1;
    thief.is_refused(&[next(&changed)], ErrorCode::ContextRefused);
    assert_eq!(thief.sign(&[next(&own)]), Ok(()));
    thief.is_refused(&[to(thief.leaf(0, 1, &[set(7, 0, 3)]), at, own)], ErrorCode::LeafDiffers);
}

#[test]
fn nothing_is_drafted_or_signed_before_the_records_are_shown_to_know_the_journal() {
    let mut stage = Stage::new();
    let leaf = Thief::at(&stage).leaf(1, 1, &[set(7, 0, 1)]);
    stage.stop();
    let keeper = stage.open_keeper().expect("a journal");
    let code = |error: protocol::errors::Shown| error.failure().and_then(|one| one.known());
    let signed = keeper.sign(std::slice::from_ref(&leaf)).map_err(code);
    assert_eq!(signed.err(), Some(Some(ErrorCode::JournalUnshown)));
    for wrong in [Head { number: 1, ..Head::BEGIN }, Head { hash: [1; 32], ..Head::BEGIN }] {
        let agreed = keeper.agree(wrong).map_err(code);
        assert_eq!(agreed, Err(Some(ErrorCode::JournalUnshown)));
    }
    keeper.agree(Head::BEGIN).expect("nothing was signed");
    keeper.sign(&[leaf]).expect("a signature");
}

/// Whatever was cut of the last entry: it was never answered, the others are there, and the same
/// update is written down and signed again.
#[test]
fn sec_c6_what_was_signed_is_in_the_journal_wherever_it_was_cut() {
    let mut stage = Stage::new();
    let thief = Thief::at(&stage);
    let leaves = [1, 2, 3].map(|target| thief.leaf(target, 1, &[set(7, 0, 1)]));
    let headers = |entries: &[Entry]| entries.iter().map(|one| one.header.clone()).collect();
    let wanted: Vec<String> =
        leaves.iter().map(|leaf| protocol::ids::hex(&leaf.header.to_bytes())).collect();
    let mut ends = Vec::new();
    for (at, leaf) in leaves.iter().enumerate() {
        assert_eq!(thief.sign(std::slice::from_ref(leaf)), Ok(()));
        let found: Vec<String> = headers(&stage.journal());
        assert_eq!(found, wanted[..=at], "what leaves was written down");
        ends.push(std::fs::metadata(stage.journal_path()).expect("a file").len());
    }
    stage.stop();
    let whole = std::fs::read(stage.journal_path()).expect("a file");
    for len in (ends[1]..=ends[2]).rev() {
        std::fs::write(stage.journal_path(), &whole[..len as usize]).expect("room");
        let keeper = stage.open_keeper().expect("what was cut short goes");
        let head = keeper.head().expect("a head");
        assert_eq!(head.number, if len == ends[2] { 3 } else { 2 }, "cut at {len}");
        keeper.agree(head).expect("its own head");
        assert_eq!(keeper.sign(&leaves).expect("signatures").len(), 3);
        drop(keeper);
        let found: Vec<String> = headers(&stage.journal());
        assert_eq!(found, wanted, "cut at {len}");
    }
}

#[test]
fn a_journal_that_was_changed_ends_the_signer_and_names_the_place() {
    let mut stage = Stage::new();
    let thief = Thief::at(&stage);
    let leaves = [1, 2].map(|target| thief.leaf(target, 1, &[set(7, 0, 1)]));
    assert_eq!(thief.sign(&leaves[..1]), Ok(()));
    let first = std::fs::metadata(stage.journal_path()).expect("a file").len() as usize;
    assert_eq!(thief.sign(&leaves[1..]), Ok(()));
    stage.stop();
    let whole = std::fs::read(stage.journal_path()).expect("a file");
    let start = 44;
    for at in (start..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        std::fs::write(stage.journal_path(), &changed).expect("room");
        let refused = stage.open_keeper().err().expect("it was changed");
        let place = if at < first { start } else { first };
        let expected = ErrorCode::JournalDamaged.with(place as u64, 0);
        assert_eq!(refused.failure(), Some(expected), "at {at}");
    }
    let without_first = [&whole[..start], &whole[first..]].concat();
    std::fs::write(stage.journal_path(), without_first).expect("room");
    assert!(stage.open_keeper().is_err(), "an entry was taken out");
    let mut other = whole;
    other[start - 1] ^= 1;
    std::fs::write(stage.journal_path(), other).expect("room");
    assert!(stage.open_keeper().is_err(), "it is another vendor's");
}

#[test]
fn a_caps_file_that_is_not_understood_or_not_private_is_refused() {
    use license_central::signer::caps::{CapsFile, FIRST};
    use std::os::unix::fs::PermissionsExt;
    assert!(CapsFile::parse(FIRST).is_ok());
    let wrong = [
        FIRST.replace("installs = 64", ""),
        FIRST.replace("installs = 64", "installs = -1"),
        FIRST.replace("installs = 64", "installs = 64\ninstals = 3"),
        FIRST.replace("\"all\"", "\"some\""),
        FIRST.replace("\"all\"", "[\"9-7\"]"),
        FIRST.replace("\"all\"", "[\"seven\"]"),
        FIRST.replace("[caps]", "[cap]"),
        String::new(),
    ];
    for text in wrong {
        assert!(CapsFile::parse(&text).is_err(), "{text}");
    }
    let stage = Stage::capped(SMALL);
    let path = stage.journal_path().with_file_name("signer.toml");
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its owner");
        assert!(CapsFile::read(&path).is_err(), "{mode:o}");
    }
}

#[test]
fn a_vendor_of_its_own_caps_has_no_others() {
    use license_central::signer::caps::CapsFile;
    let more = SMALL.replace("[caps", "[vendor.acme").replace("seats = 10", "seats = 11");
    let file = CapsFile::parse(&format!("{SMALL}{more}")).expect("both");
    let ops = [set(7, 0, 11)];
    assert!(file.of("acme").check_update(&ops).is_ok());
    assert!(file.of("bolt").check_update(&ops).is_err());
}
