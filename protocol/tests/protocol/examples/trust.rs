//! The worked examples of docs/formats/06.

use strongroom_protocol::objects::delegation::{Delegate, DelegationBody, Scope};
use strongroom_protocol::objects::revocation::{FirmwareRange, Revocation, RevocationBody};
use strongroom_protocol::objects::root::NextBody;
use strongroom_protocol::objects::update::ProductRange;
use strongroom_protocol::signed::sign_threshold;

use super::*;

const TRUST: &str = include_str!("../../../../docs/formats/06-trust.md");

/// The firm under its second root: a new licensing key, and keys for revocations and recovery.
struct Second {
    object: Vec<u8>,
    root: Root,
}

impl Second {
    fn new(firm: &Firm) -> Self {
        let holds = |role, threshold, bytes: &[u8]| {
            let keys = bytes.iter().map(|byte| Fixed(signing(*byte).verifying_key().to_bytes()));
            RoleKeys { role, threshold, keys: list(keys.collect()) }
        };
        let roles = vec![
            holds(Role::Root, 1, &[0x11]),
            holds(Role::Licensing, 1, &[0x22]),
            holds(Role::Protect, 1, &[0x31]),
            holds(Role::Revocation, 1, &[0x51]),
            holds(Role::Recovery, 2, &[0x71, 0x72]),
        ];
        let body = RootBody { roles: list(roles), ..firm.verified.body.clone() };
        let body = NextBody { body, min_epoch: 1 };
        let times = (ISSUED_S, EXPIRES_S);
        let object = firm.verified.write_next(&body, times, &[&firm.root], &ENTROPY).unwrap();
        let root = firm.verified.verify_next(&read(&object, ROOT_BODY_LEN_MAX)).unwrap();
        Second { object, root }
    }
}

/// Header, proof and body of an object.
fn parts(object: &[u8]) -> Example {
    let object = read(object, 2048);
    Example::default()
        .bytes("header", &object.header().to_bytes())
        .bytes("proof", &codec::encode(object.proof()))
        .bytes("body", object.body_if_intact().unwrap())
}

#[test]
fn the_next_root() {
    let firm = Firm::new();
    let second = Second::new(&firm);
    Example::default().bytes("hash of root v1", &firm.verified.hash).stands_in(TRUST);
    parts(&second.object).bytes("its hash", &second.root.hash).stands_in(TRUST);
    assert_eq!((second.root.version, second.root.root_fp), (2, firm.fp()));
}

#[test]
fn revocation() {
    let second = Second::new(&Firm::new());
    let stolen = signing(0x21).verifying_key().id();
    let range = FirmwareRange { first: Version(1 << 16), last: Version(0x1_0203) };
    let body = RevocationBody {
        keys: list(vec![stolen]),
        containers: list(vec![Dongle::id()]),
        firmware: list(vec![range]),
    };
    let signer = signing(0x51);
    let times = (ISSUED_S, EXPIRES_S);
    let object = Revocation::write(&second.root, 1, &body, times, &[&signer], &ENTROPY).unwrap();
    parts(&object).stands_in(TRUST);
    let read = Revocation::verify(&second.root, &read(&object, 2048)).unwrap();
    assert_eq!((read.epoch, read.body), (1, body));
}

#[test]
fn delegation() {
    let second = Second::new(&Firm::new());
    let scope = Scope {
        products: ProductRange { first: PRODUCT, last: ProductCode(9) },
        quantity_max: 5,
        daily_max: 100,
        depth: 1,
    };
    let key = Fixed(signing(0x81).verifying_key().to_bytes());
    let body = DelegationBody { name: text("Reseller"), key, scope };
    let (fp, times) = (second.root.root_fp, (ISSUED_S, EXPIRES_S));
    let object = body.write(fp, times, &signing(0x22), &ENTROPY).unwrap();
    parts(&object).stands_in(TRUST);
    let delegate = Delegate::first(fp, &second.root.body, &read(&object, 2048)).unwrap();
    assert_eq!((delegate.scope, delegate.until_s), (scope, EXPIRES_S));
}

#[test]
fn recovery() {
    let second = Second::new(&Firm::new());
    let products = ProductRange { first: PRODUCT, last: PRODUCT };
    let body = write_ops(&[UpdateOp::Perpetuate(products)]).unwrap();
    let fp = second.root.root_fp;
    let header = Header {
        root_fp: fp,
        target: *Dongle::id().bytes(),
        seq: 1,
        state: genesis_hash(fp, Dongle::id()),
        issued_s: ISSUED_S,
        ..Header::new(Kind::Recovery, &body)
    };
    let (one, two) = (signing(0x71), signing(0x72));
    let proof = sign_threshold(&header, &[&one, &two], &ENTROPY).unwrap();
    parts(&write_object(&header, &proof, &body)).stands_in(TRUST);
    second.root.body.check_signed(&header, &proof, Role::Recovery).unwrap();
    assert_eq!(read_ops(&body), Ok(vec![UpdateOp::Perpetuate(products)]));
}
