//! Somebody listens on the bus for a container's whole life, and learns none of its secrets.

use std::fs;

use strongroom_tests::swtpm::{Connection, Proxy, Swtpm};
use tpm::state::State;

use crate::bare;
use crate::keys::{STORAGE_KEY, keep_primary};
use crate::soft::Soft;

/// What nobody may learn, by name.
type Secrets = Vec<(String, [u8; 32])>;

/// The keys of the container, and what the TPM keeps for it.
fn lasting(soft: &Soft, tpm: &Swtpm) -> Secrets {
    let binding = soft.binding();
    let kept = bare::secrets(&binding, tpm);
    let (vault, state) = bare::open(&binding, soft.folder(), &tpm.tcti()).expect("its own TPM");
    drop(vault);
    let own = State::read(&state).expect("a state").secrets;
    let named = [
        ("root key", kept.root),
        ("authorization", kept.auth),
        ("identity key", own.identity),
        ("channel key", own.channel),
        ("sealing key", own.sealing),
        ("storage key", own.storage),
    ];
    named.map(|(name, secret)| (name.to_owned(), secret)).into()
}

/// The key of the present epoch.
fn epoch_key(soft: &Soft, tpm: &Swtpm) -> (String, [u8; 32]) {
    let kept = bare::secrets(&soft.binding(), tpm);
    (format!("key of epoch {}", kept.epoch()), kept.epoch_key())
}

/// Names of secrets of which a half came by.
fn heard(proxy: &Proxy, secrets: &Secrets) -> Vec<String> {
    let past = proxy.commands();
    let bytes = past.iter().flat_map(|exchange| {
        [Some(&exchange.command), exchange.response.as_ref(), exchange.answer.as_ref()]
    });
    let bytes: Vec<_> = bytes.flatten().collect();
    let came_by = |half: &[u8]| bytes.iter().any(|bytes| bytes.windows(16).any(|w| w == half));
    let is_heard = |secret: &[u8; 32]| secret.chunks(16).any(came_by);
    let heard = secrets.iter().filter(|(_, secret)| is_heard(secret));
    heard.map(|(name, _)| name.clone()).collect()
}

/// Makes a container, serves it, commits, and opens it again, all over a proxy; the secrets that it
/// had. They are read past the proxy.
fn life(tpm: &Swtpm, proxy: &Proxy) -> (Soft, Secrets) {
    let mut soft = Soft::new(&proxy.tcti());
    let mut secrets = lasting(&soft, tpm);
    secrets.push(epoch_key(&soft, tpm));
    for value in 1..4 {
        soft.serve();
        secrets.push(epoch_key(&soft, tpm));
        soft.set(value).expect("nothing is in its way");
        secrets.push(epoch_key(&soft, tpm));
        assert_eq!(soft.value(), value);
        soft.end();
        secrets.push(epoch_key(&soft, tpm));
    }
    secrets.dedup();
    (soft, secrets)
}

#[test]
fn sec_k18_nothing_secret_goes_over_the_bus_in_a_whole_life() {
    for is_kept in [false, true] {
        let tpm = Swtpm::blank();
        if is_kept {
            keep_primary(&tpm, "ecc", STORAGE_KEY);
        }
        let proxy = Proxy::of(&tpm);
        let (_soft, secrets) = life(&tpm, &proxy);
        assert_eq!(secrets.len(), 6 + 1 + 3 * 3, "each commit has a key of its own");
        assert!(proxy.commands().len() > 30);
        assert_eq!(heard(&proxy, &secrets), [""; 0]);
    }
}

/// The same secrets are heard where somebody who has them asks with them as passwords.
#[test]
fn what_goes_over_the_bus_with_a_password_is_heard() {
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let soft = Soft::new(&tpm.tcti());
    let kept = bare::secrets(&soft.binding(), &tpm);
    let proxy = Proxy::of(&tpm);
    let tools = proxy.tools();
    let (blob, head) = bare::parts(&soft.binding());
    let with_len = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    fs::write(tools.dir().join("public"), with_len(&blob.public)).expect("room");
    fs::write(tools.dir().join("private"), with_len(&blob.private)).expect("room");
    tools.ok("tpm2_load -C 0x81000001 -u public -r private -c blob.ctx");
    tools.ok("tpm2_unseal -c blob.ctx");
    let named = |name: &str, secret| vec![(name.to_owned(), secret)];
    assert_eq!(heard(&proxy, &named("root key", kept.root)), ["root key"]);
    proxy.clear();
    let mut connection = Connection::open(proxy.ports().data()).expect("a TPM");
    let answer = connection.transmit(&read_by_password(head, &kept.auth)).expect("an answer");
    assert!(answer.ends_with(&[&kept.content[..], &[0, 0, 1, 0, 0]].concat()), "{answer:02x?}");
    assert_eq!(heard(&proxy, &named("authorization", kept.auth)), ["authorization"]);
    assert_eq!(heard(&proxy, &named("epoch", kept.epoch_key())), ["epoch"]);
}

/// `TPM2_NV_Read` of 64 bytes, with the authorization as a password (TCG TPM 2.0 Library, Part 1,
/// 19.4 "Password Authorizations").
fn read_by_password(index: u32, auth: &[u8; 32]) -> Vec<u8> {
    let index = index.to_be_bytes();
    // TPM_RS_PW, no nonce, no attributes, the password.
    let session = [&[0x40, 0, 0, 9, 0, 0, 0, 0, 32][..], auth].concat();
    let session_len = (session.len() as u32).to_be_bytes();
    let size_and_offset = [0, 64, 0, 0];
    let rest = [&index[..], &index, &session_len, &session, &size_and_offset].concat();
    let len = (10 + rest.len() as u32).to_be_bytes();
    [&[0x80, 2][..], &len, &[0, 0, 1, 0x4e], &rest].concat()
}
