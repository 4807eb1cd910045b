//! The worked examples of docs/formats/09: an inventory, and a final statement.

use strongroom_protocol::objects::configuration::{
    ConfigurationRecord, Configured, read_configuration,
};
use strongroom_protocol::objects::statement::FinalBody;

use super::*;

const END_OF_USE: &str = include_str!("../../../../docs/formats/09-inventory-final.md");

/// An entry and its key, as they are hashed.
fn configuration() -> Vec<u8> {
    let product = u64::from(PRODUCT.0) << 16;
    let item = ConfigurationRecord {
        key: 0x20 << 56 | product | u64::from(item().item.entry.0),
        value: codec::Bytes::new(codec::encode(&item())).unwrap(),
    };
    let key = ConfigurationRecord {
        key: 0x21 << 56 | product | u64::from(GENERATION.0),
        value: Default::default(),
    };
    let mut bytes = Vec::new();
    item.write(&mut bytes);
    key.write(&mut bytes);
    bytes
}

#[test]
fn inventory_and_final_statement() {
    let (firm, dongle) = (Firm::new(), Dongle::new());
    let (header, ..) = update(&firm, &dongle);
    let hash = config_hash(&item());
    let bytes = configuration();
    assert_eq!(sha256(&bytes), hash);
    let read_back = read_configuration(&bytes).unwrap();
    assert_eq!(read_back, [Configured::Item(item()), Configured::Key(PRODUCT, GENERATION)]);
    Example::default()
        .bytes("configuration", &bytes)
        .bytes("config_hash", &hash)
        .stands_in(END_OF_USE);
    let time = TimeInfo {
        floor_s: ISSUED_S,
        now_s: ISSUED_S,
        class: ClockClass::Rtc,
        certified_s: ISSUED_S,
    };
    let body = codec::encode(&FinalBody {
        config_hash: Fixed(hash),
        entries: 1,
        time,
        commits: 2,
        log_seq: 0,
        log_head: Fixed(genesis_head(firm.fp(), Dongle::id())),
    });
    let place = (1, next_state_hash(&header.state, &header.hash()));
    let object = dongle.state(Kind::Final, firm.fp(), place, &body);
    let key = VerifyingKey::from_bytes(&dongle.body.identity_key.0).unwrap();
    let statement = read(&object, STATEMENT_BODY_LEN_MAX);
    assert_eq!(statement.verify_container(&key).unwrap().body, body);
    Example::default()
        .bytes("header", &statement.header().to_bytes())
        .bytes("proof", &codec::encode(statement.proof()))
        .bytes("body", &body)
        .stands_in(END_OF_USE);
}
