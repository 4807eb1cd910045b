//! What lies where a storage key is kept may be somebody else's: it is looked at before anything is
//! sealed to it, and known by its Name ever after.

use std::fs;

use protocol::errors::ErrorCode;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use strongroom_tests::swtpm::{CommandCode, Proxy, Swtpm};

use crate::bare::Bare;

/// Where a storage key is kept.
const HANDLE: &str = "0x81000001";

/// Attributes of one.
pub(crate) const STORAGE_KEY: &str =
    "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda";

/// Makes a primary key and keeps it where a storage key is kept.
pub(crate) fn keep_primary(tpm: &Swtpm, algorithm: &str, attributes: &str) {
    let tools = tpm.tools();
    tools.ok(&format!("tpm2_createprimary -C o -G {algorithm} -a {attributes} -c key.ctx"));
    tools.ok(&format!("tpm2_evictcontrol -C o -c key.ctx {HANDLE}"));
    tpm.flush_all();
}

/// Keeps a key there whose private part somebody knows.
fn keep_known(tpm: &Swtpm) {
    let tools = tpm.tools();
    let known = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    fs::write(tools.dir().join("key.pem"), known.serialize_pem()).expect("room");
    for line in [
        "tpm2_createprimary -C o -G rsa -c parent.ctx",
        "tpm2_import -C parent.ctx -G ecc -i key.pem -u key.pub -r key.priv -a \
         restricted|decrypt|userwithauth|noda",
        "tpm2_load -C parent.ctx -u key.pub -r key.priv -c key.ctx",
        "tpm2_evictcontrol -C o -c key.ctx 0x81000001",
    ] {
        tools.ok(line);
        tpm.flush_all();
    }
}

fn drop_kept(tpm: &Swtpm) {
    tpm.tools().ok(&format!("tpm2_evictcontrol -C o -c {HANDLE}"));
}

#[test]
fn a_storage_key_that_is_kept_is_used_if_it_is_one() {
    for algorithm in ["ecc", "rsa"] {
        let tpm = Swtpm::blank();
        keep_primary(&tpm, algorithm, STORAGE_KEY);
        let (bare, vault) = Bare::new(&tpm.tcti());
        drop(vault);
        assert!(bare.seal().storage_key().persistent, "{algorithm}");
        assert_eq!(bare.open(&tpm.tcti()).expect("its own TPM").1, 0);
    }
}

#[test]
fn sec_k18_a_key_that_is_no_storage_key_is_let_lie_when_a_container_is_made() {
    let is_let_lie = |which: &str, tpm: &Swtpm| {
        let (bare, vault) = Bare::new(&tpm.tcti());
        drop(vault);
        assert!(!bare.seal().storage_key().persistent, "{which}");
        assert_eq!(bare.open(&tpm.tcti()).expect("its own TPM").1, 0, "{which}");
    };
    let kept = [
        ("guessing it locks the TPM", "rsa", STORAGE_KEY.replace("|noda", "")),
        ("for anything", "rsa:null:null", STORAGE_KEY.replace("restricted|", "")),
        ("for signatures", "ecc:ecdsa-sha256:null", STORAGE_KEY.replace("decrypt", "sign")),
        ("on another curve", "ecc384", STORAGE_KEY.into()),
    ];
    for (which, algorithm, attributes) in kept {
        let tpm = Swtpm::blank();
        keep_primary(&tpm, algorithm, &attributes);
        is_let_lie(which, &tpm);
    }
    let tpm = Swtpm::blank();
    keep_known(&tpm);
    is_let_lie("known to somebody", &tpm);
}

/// No session is salted to it: whoever made it would read what goes over the bus.
#[test]
fn sec_k18_another_key_in_the_place_of_the_storage_key_is_refused() {
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    let proxy = Proxy::of(&tpm);
    let refused_without_a_session = |code| {
        proxy.clear();
        assert_eq!(bare.refusal(&proxy.tcti()), code);
        assert_eq!(proxy.count(CommandCode::START_AUTH_SESSION), 0);
    };
    drop_kept(&tpm);
    refused_without_a_session(ErrorCode::SoftGone);
    keep_known(&tpm);
    refused_without_a_session(ErrorCode::SoftForeign);
    drop_kept(&tpm);
    keep_primary(&tpm, "rsa", STORAGE_KEY);
    refused_without_a_session(ErrorCode::SoftForeign);
    drop_kept(&tpm);
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    assert_eq!(bare.open(&tpm.tcti()).expect("the same key as before").1, 0);
}
