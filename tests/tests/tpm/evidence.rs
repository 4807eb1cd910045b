//! What a TPM says of itself, judged without it: its certificates, quotes and certified counters.

use std::fs;

use attest::endorsement::{Authorities, judge};
use attest::evidence::{EvidenceError, verify_nv_certify, verify_quote};
use attest::nv::{NvError, NvPublic, Purpose, attribute::*};
use strongroom_tests::swtpm::{Model, Swtpm};

use crate::credentials::{keep_p256, ok, read, tools_ak, tools_ek};

const NONCE: [u8; 32] = [0x33; 32];
/// 2040-01-01, Unix seconds.
const LATER_S: u64 = 2_208_988_800;

#[test]
fn certificates_from_nv_hold_for_their_keys() {
    let tpm = Swtpm::of(Model { has_p256: true, ..Model::default() });
    let tools = tpm.tools();
    keep_p256(&tools);
    let authorities = Authorities::new(&tpm.ca_certificates().roots).expect("certificates");
    let between = &tpm.ca_certificates().intermediates;
    let places =
        [("0x1c00002", "0x81010001"), ("0x1c00016", "0x81010016"), ("0x1c0000a", "p256.ctx")];
    for (index, ek) in places {
        let certificate = tools.ok(&format!("tpm2_nvread -C o {index}"));
        let (_, ek) = tools_ek(&tools, ek);
        let judged = judge(&certificate, between, &authorities, &ek, LATER_S);
        assert_eq!(judged.expect(index).model.as_deref(), Some("swtpm"));
    }
}

#[test]
fn a_quote_and_a_counter_hold_where_they_are_what_was_asked_for() {
    let tpm = Swtpm::blank();
    let tools = tpm.tools();
    fs::write(tools.dir().join("nonce"), NONCE).expect("room");
    for (hierarchy, refused) in [("e", None), ("o", Some(EvidenceError::Signer))] {
        let ak = tools_ak(&tools, "ak", hierarchy);
        let quote = "tpm2_quote -l sha256:0,7 -q nonce -m attest -s signature";
        ok(&tools, &format!("{quote} -c ak.ctx"));
        let (attest, signature) = (read(&tools, "attest"), read(&tools, "signature"));
        assert_eq!(verify_quote(&ak, &attest, &signature, &NONCE).err(), refused);
    }
    let ak = tools_ak(&tools, "ak", "e");
    let attributes = AUTH_READ | AUTH_WRITE | NO_DA | COUNTER | WRITTEN;
    let handle = 0x0184_c000;
    let public = NvPublic { handle, attributes, policy: None, data_len: 8 };
    let index = public.check(Purpose::Counter).expect("a counter");
    for (more, expected) in [("", Ok(Some(1))), ("|ownerread", Err(EvidenceError::Index))] {
        let list = format!("authread|authwrite|no_da|nt=counter{more}");
        ok(&tools, &format!("tpm2_nvdefine {handle:#x} -C o -s 8 -p secret -a {list}"));
        ok(&tools, &format!("tpm2_nvincrement {handle:#x} -C {handle:#x} -P secret"));
        let certify = "tpm2_nvcertify -C ak.ctx -p secret -g sha256 -s ecdsa -f tss -q nonce";
        let files = "--size 8 --offset 0 -o signature --attestation attest";
        ok(&tools, &format!("{certify} {files} -c {handle:#x} {handle:#x}"));
        let (attest, signature) = (read(&tools, "attest"), read(&tools, "signature"));
        let judged = verify_nv_certify(&ak, &attest, &signature, &NONCE, &index);
        assert_eq!(judged.map(|certified| certified.counter()), expected);
        ok(&tools, &format!("tpm2_nvundefine -C o {handle:#x}"));
    }
    let told = NvPublic { attributes: attributes | OWNER_READ, ..public };
    assert_eq!(told.check(Purpose::Counter), Err(NvError::Attributes(0, OWNER_READ)));
}
