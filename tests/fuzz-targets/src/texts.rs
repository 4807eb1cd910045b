//! Parsers of what people write: configuration, the vendor's files, arguments, control lines.

use std::fmt::Debug;

use backends::{Source, parse_configuration, parse_sources};
use cli::parsers;
use engine::platform::Keys;
use firmware_sim::fault::Fault;
use firmware_sim::keys::SimKeys;
use protocol::crypto::hash::sha256;
use protocol::errors::{ErrorCode, shown_code};
use protocol::ids::{ContainerId, ContainerKind, RootFp};
use protocol::limits::{DEVICE_BODY_LEN_MAX, STATEMENT_BODY_LEN_MAX};
use protocol::objects::configuration::read_configuration;
use protocol::objects::device::ClockClass;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::OptionKind;

/// The configuration file.
pub fn configuration(bytes: &[u8]) {
    if let Ok(configuration) = parse_configuration(bytes) {
        assert!(!configuration.sources.is_empty(), "nowhere to look");
        configuration.sources.iter().for_each(same_source);
    }
}

/// A list of sources.
pub fn sources(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(source) = text.parse() {
        same_source(&source);
    }
    if let Ok(sources) = parse_sources(text) {
        let written: Vec<String> = sources.iter().map(Source::to_string).collect();
        assert_eq!(parse_sources(&written.join(",")), Ok(sources));
    }
}

fn same_source(source: &Source) {
    assert_eq!(source.to_string().parse().as_ref(), Ok(source), "it is written as another");
}

/// A vendor's list of products.
pub fn products(bytes: &[u8]) {
    round_trip(bytes, parsers::read_products);
}

/// Roots, revocations and delegations in front of an update.
pub fn trust(bytes: &[u8]) {
    let _ = parsers::read_trust(bytes);
}

/// A license template.
pub fn template(bytes: &[u8]) {
    if let Some(options) = parsers::read_template(bytes) {
        assert!(options <= OptionKind::ALL.len(), "an option twice");
    }
}

/// A vendor's record of a container, and where it says that the next update follows.
pub fn ledger(bytes: &[u8]) {
    round_trip(bytes, parsers::read_ledger);
}

/// A support bundle, which is judged again by what stands in it.
pub fn bundle(bytes: &[u8]) {
    if let Some(uses) = parsers::replay_bundle(bytes) {
        assert!(uses > 0, "nothing was replayed");
    }
}

/// An inventory, for the firm that its context names; and the records alone.
pub fn inventory(bytes: &[u8]) {
    if let Some(records) = read_configuration(bytes) {
        assert!(records.len() <= bytes.len() / 12, "a record of no bytes");
    }
    let Ok(rest) = file::expect(bytes, FileKind::Inventory) else { return };
    let Ok((_, rest)) = file::next_object(rest, DEVICE_BODY_LEN_MAX) else { return };
    let Ok((context, _)) = file::next_object(rest, STATEMENT_BODY_LEN_MAX) else { return };
    let _ = parsers::read_inventory(bytes, context.header().root_fp);
}

/// A vendor's key store as it is before a passphrase is tried, and a passphrase file.
pub fn key_store(bytes: &[u8]) {
    if let Some(written) = parsers::read_key_store(bytes) {
        assert_eq!(written, bytes, "another encoding is accepted");
    }
    assert_eq!(parsers::is_passphrase(bytes), std::str::from_utf8(bytes).is_ok());
}

/// A share of private keys. Its check is mended first, so that what is behind it is reached.
pub fn share(bytes: &[u8]) {
    assert!(parsers::read_share(bytes).is_none_or(|written| written == bytes));
    let mut mended = bytes.to_vec();
    let check = sha256(bytes);
    mended.extend_from_slice(&check[..8]);
    if let Some(written) = parsers::read_share(&mended) {
        assert_eq!(written, mended, "another encoding is accepted");
    }
}

/// Where a vendor's keys are that are not in a file.
pub fn store(bytes: &[u8]) {
    round_trip(bytes, parsers::read_store);
}

/// A vendor's texts for a refusal.
pub fn refusal_texts(bytes: &[u8]) {
    if let Some(count) = parsers::read_refusal_texts(bytes) {
        assert!(count <= 8, "more texts than an artifact holds");
    }
}

/// A time as people write it. The first bytes are one to be shown.
pub fn time(bytes: &[u8]) {
    if let Some(unix_s) = bytes.first_chunk() {
        assert!(!parsers::show_time(u64::from_le_bytes(*unix_s)).is_empty());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(unix_s) = parsers::read_time(text) {
        let shown = parsers::show_time(unix_s);
        assert!(!shown.starts_with("second"), "{shown}: what is read cannot be shown as a time");
    }
}

/// Numbers, ids and codes among the arguments.
pub fn arguments(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(map) = parsers::read_features(text) {
        assert_eq!(parsers::read_features(&map.to_string()), Some(map));
        assert_eq!(parsers::read_features(&format!("{map:#x}")), Some(map));
    }
    if let Some(root_fp) = RootFp::from_hex(text) {
        assert_eq!(RootFp::from_hex(&root_fp.to_string()), Some(root_fp));
    }
    if let Some(code) = ErrorCode::parse(text) {
        assert_eq!(ErrorCode::parse(&shown_code(code.row().number)), Some(code));
    }
    for kind in [ContainerKind::Dongle, ContainerKind::Tpm, ContainerKind::Cloud] {
        let (zeros, ones) = (ContainerId::new([0; 16]), ContainerId::new([0xff; 16]));
        let named = zeros.serial(kind).matches(text) && ones.serial(kind).matches(text);
        assert!(!named, "a serial of two containers");
    }
}

/// A line that comes through the simulator's control socket.
pub fn fault(bytes: &[u8]) {
    if let Ok(fault) = Fault::from_line(bytes) {
        assert_eq!(Fault::from_line(fault.to_string().as_bytes()), Ok(fault));
    }
}

/// The file of a simulated dongle's keys.
pub fn sim_identity(bytes: &[u8]) {
    for clock in [ClockClass::Session, ClockClass::Rtc, ClockClass::Signed] {
        if let Ok(keys) = SimKeys::from_file(bytes, clock) {
            assert_eq!(keys.id().bytes()[..], bytes[8..24], "another id than in the file");
        }
    }
}

/// What is read, written and read again is the same.
fn round_trip<T: PartialEq + Debug>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<(T, Vec<u8>)>) {
    if let Some((value, written)) = read(bytes) {
        let again = read(&written).map(|(value, _)| value);
        assert_eq!(again, Some(value), "it is written as another");
    }
}
