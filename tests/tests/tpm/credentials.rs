//! Credentials between our two halves and those of others: what a license server makes, tpm2-tools
//! open, and what they make, our TPM's side opens; for each kind of endorsement key.

use std::fs;
use std::process::Output;

use attest::credential::{Challenge, SECRET_LEN, challenge};
use attest::keys::{AttestationKey, EndorsementKey, check_ak, check_ek};
use attest::public::{Curve, Key, Point, Public};
use attest::wire::Reader;
use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, agree};
use protocol::crypto::RandomFailed;
use strongroom_tests::swtpm::{Swtpm, Tools};
use tpm::chip::{Chip, EkKind, Passwords, Trouble};

const SECRET: [u8; SECRET_LEN] = *b"known to whom the challenge is f";
/// In front of what tpm2-tools write and read: a mark, and the version of the form.
const CREDENTIAL_HEAD: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];

/// Where a manufactured TPM has its endorsement keys, once [`keep_p256`] made the last.
const EKS: [(EkKind, &str); 3] =
    [(EkKind::Rsa2048, "0x81010001"), (EkKind::P384, "0x81010016"), (EkKind::P256, "p256.ctx")];

/// Attestation keys of our TPM's side, of two vendors.
const UNIQUE: [u8; 32] = [1; 32];
const OTHER_UNIQUE: [u8; 32] = [2; 32];

/// The second branch of the policy of P-384 keys (TCG EK Credential Profile, B.6).
const POLICY_C_SHA384: [u8; 48] = [
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6, 0xa3, 0x32, 0x37, 0xef,
    0x2b, 0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4, 0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5,
    0xb4, 0x94, 0x7c, 0x2d, 0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
];

/// Runs a tool, and leaves no object loaded: there is room for three.
pub(crate) fn run(tools: &Tools, line: &str) -> Output {
    let output = tools.run(line);
    tools.ok("tpm2_flushcontext -t");
    output
}

/// Runs a tool that must succeed, as [`run`] does.
#[track_caller]
pub(crate) fn ok(tools: &Tools, line: &str) {
    let output = run(tools, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What a tool wrote.
pub(crate) fn read(tools: &Tools, name: &str) -> Vec<u8> {
    fs::read(tools.dir().join(name)).expect("a file of a tool")
}

/// A primary key of the form of an attestation key, kept in `name`.ctx.
pub(crate) fn tools_ak(tools: &Tools, name: &str, hierarchy: &str) -> AttestationKey {
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign";
    let form = format!("-g sha256 -G ecc256:ecdsa-sha256:null -a {attributes}");
    ok(tools, &format!("tpm2_createprimary -C {hierarchy} {form} -c {name}.ctx"));
    ok(tools, &format!("tpm2_readpublic -c {name}.ctx -o {name}.public"));
    let public = Public::parse_sized(&read(tools, &format!("{name}.public")));
    check_ak(&public.expect("a public area")).expect("an attestation key")
}

/// An endorsement key of the TPM, which is left in ek.public, too.
pub(crate) fn tools_ek(tools: &Tools, ek: &str) -> (Key, EndorsementKey) {
    ok(tools, &format!("tpm2_readpublic -c {ek} -o ek.public"));
    let public = Public::parse_sized(&read(tools, "ek.public")).expect("a public area");
    let checked = check_ek(&public).expect("an endorsement key");
    (public.key, checked)
}

/// Makes the one key that `swtpm_setup` does not: P-256 by its template.
pub(crate) fn keep_p256(tools: &Tools) {
    ok(tools, "tpm2_createek -G ecc -c p256.ctx -u p256.public");
}

/// What the tools find in a challenge, with the endorsement key `ek` and ak.ctx loaded.
fn opened_by_tools(tools: &Tools, (kind, ek): (EkKind, &str), made: &Challenge) -> Option<Vec<u8>> {
    let file = [&CREDENTIAL_HEAD[..], &made.id_object, &made.encrypted_seed].concat();
    fs::write(tools.dir().join("challenge"), file).expect("room");
    fs::write(tools.dir().join("c.policy"), POLICY_C_SHA384).expect("room");
    let hash = if kind == EkKind::P384 { "sha384" } else { "sha256" };
    ok(tools, &format!("tpm2_startauthsession --policy-session -g {hash} -S session"));
    ok(tools, "tpm2_policysecret -S session -c e -L a.policy");
    if kind == EkKind::P384 {
        ok(tools, "tpm2_policyor -S session -l sha384:a.policy,c.policy");
    }
    let activate = "tpm2_activatecredential -c ak.ctx -i challenge -o opened -P session:session";
    let output = run(tools, &format!("{activate} -C {ek}"));
    ok(tools, "tpm2_flushcontext session");
    output.status.success().then(|| read(tools, "opened"))
}

fn any(out: &mut [u8]) -> Result<(), RandomFailed> {
    aws_lc_rs::rand::fill(out).map_err(|_| RandomFailed)
}

/// Scalars that lead to a leading zero in x, in y, and in what is shared with `ek`.
fn scalars_to_zeros(ek: &Point) -> [Vec<u8>; 3] {
    let algorithm = match ek.curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    };
    let len = ek.curve.coordinate_len();
    let zeros = |scalar: &[u8]| {
        let key = PrivateKey::from_private_key(algorithm, scalar).expect("below the order");
        let public = key.compute_public_key().expect("a key");
        let peer = UnparsedPublicKey::new(algorithm, ek.to_uncompressed());
        let shared = agree(&key, peer, (), |shared| Ok(shared[0])).expect("two keys");
        [public.as_ref()[1], public.as_ref()[1 + len], shared].map(|byte| byte == 0)
    };
    [0, 1, 2].map(|which| {
        let mut scalars = (1..=u16::MAX).map(|number| {
            let mut scalar = vec![0; len];
            scalar[len - 2..].copy_from_slice(&number.to_be_bytes());
            scalar
        });
        scalars.find(|scalar| zeros(scalar)[which]).expect("one in 256 is one")
    })
}

#[test]
fn tools_open_what_is_made_for_each_kind_of_endorsement_key_and_no_other() {
    let tpm = Swtpm::manufactured();
    let tools = tpm.tools();
    let (ak, other) = (tools_ak(&tools, "ak", "e"), tools_ak(&tools, "other", "o"));
    keep_p256(&tools);
    for ek in EKS {
        let (key, checked) = tools_ek(&tools, ek.1);
        let made = challenge(&checked, &ak, &SECRET, &mut any).expect("a challenge");
        assert_eq!(opened_by_tools(&tools, ek, &made).as_deref(), Some(&SECRET[..]), "{ek:?}");
        let wrong_name = challenge(&checked, &other, &SECRET, &mut any).expect("a challenge");
        assert_eq!(opened_by_tools(&tools, ek, &wrong_name), None, "{ek:?}");
        let Key::Point(point) = key else { continue };
        for scalar in scalars_to_zeros(&point) {
            let mut fixed = |out: &mut [u8]| -> Result<(), RandomFailed> {
                out.copy_from_slice(&scalar);
                Ok(())
            };
            let made = challenge(&checked, &ak, &SECRET, &mut fixed).expect("a challenge");
            let opened = opened_by_tools(&tools, ek, &made);
            assert_eq!(opened.as_deref(), Some(&SECRET[..]), "{ek:?} {scalar:?}");
        }
    }
}

/// Our side of the TPM. It has the one connection while it is there.
fn chip(tpm: &Swtpm) -> Chip {
    let tcti = tpm.tcti().parse().expect("a TPM of tests");
    Chip::open(&tcti, None, &Passwords::default()).expect("a TPM")
}

/// The attestation key of a vendor, as our side of the TPM makes it.
fn our_ak(tpm: &Swtpm, unique: [u8; 32]) -> AttestationKey {
    let public = chip(tpm).attestation_key(unique).expect("a TPM");
    check_ak(&Public::parse(&public).expect("a public area")).expect("an attestation key")
}

/// The credential that tpm2-tools make of the secret for ek.public and the key of this name: in
/// the TPM, or without it. Without the lengths in front.
fn made_by_tools(tools: &Tools, ak: &AttestationKey, way: &str) -> (Vec<u8>, Vec<u8>) {
    let name: String = ak.name().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(tools.dir().join("secret"), SECRET).expect("room");
    ok(tools, &format!("tpm2_makecredential {way} -u ek.public -s secret -n {name} -o made"));
    let made = read(tools, "made");
    let mut reader = Reader::new(made.strip_prefix(&CREDENTIAL_HEAD).expect("their form"));
    let parts = [0; 2].map(|_| reader.sized(512).expect("a sized buffer").to_vec());
    reader.finish().expect("two buffers");
    let [id_object, secret] = parts;
    (id_object, secret)
}

/// By the TPM's own command, and by the tool's own code.
#[test]
fn ours_opens_what_tools_make_for_each_kind_of_endorsement_key_and_no_other() {
    let tpm = Swtpm::manufactured();
    let tools = tpm.tools();
    let [ak, other] = [UNIQUE, OTHER_UNIQUE].map(|unique| our_ak(&tpm, unique));
    keep_p256(&tools);
    for (kind, ek) in EKS {
        tools_ek(&tools, ek);
        for way in ["", "-T none"] {
            let (id_object, secret) = made_by_tools(&tools, &ak, way);
            let activate = |unique, id_object: &[u8], secret: &[u8]| {
                let opened = chip(&tpm).activate(kind, unique, id_object, secret);
                opened.map(|opened| opened.to_vec())
            };
            let opened = activate(UNIQUE, &id_object, &secret);
            assert_eq!(opened, Ok(SECRET.to_vec()), "{kind:?} {way}");
            // Of a key that has another name, in either place.
            let refused = Err(Trouble::Foreign);
            assert_eq!(activate(OTHER_UNIQUE, &id_object, &secret), refused, "{kind:?} {way}");
            let (wrong_name, of_it) = made_by_tools(&tools, &other, way);
            assert_eq!(activate(UNIQUE, &wrong_name, &of_it), refused, "{kind:?} {way}");
            // Under the seed of another.
            assert_eq!(activate(UNIQUE, &id_object, &of_it), refused, "{kind:?} {way}");
        }
    }
    assert_eq!(tpm.flush_all(), 0);
}
