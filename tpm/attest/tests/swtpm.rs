//! Against a software TPM: what it has and says holds, and it alone answers its challenges.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use attest::credential::{Challenge, SECRET_LEN, challenge};
use attest::endorsement::{Authorities, judge};
use attest::evidence::{EvidenceError, verify_nv_certify, verify_quote};
use attest::keys::{AttestationKey, EndorsementKey, check_ak, check_ek};
use attest::nv::{NvError, NvPublic, Purpose, attribute::*};
use attest::public::{Curve, Key, Point, Public};
use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey, agree};
use protocol::crypto::RandomFailed;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

const AK: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign";
const SECRET: [u8; SECRET_LEN] = *b"known to whom the challenge is f";
const NONCE: [u8; 32] = [0x33; 32];

/// The second branch of the policy of P-384 keys (TCG EK Credential Profile, B.6).
const POLICY_C_SHA384: [u8; 48] = [
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6, 0xa3, 0x32, 0x37, 0xef,
    0x2b, 0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4, 0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5,
    0xb4, 0x94, 0x7c, 0x2d, 0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
];

/// A software TPM with a folder for what it keeps and for what the tools write. Both end with it.
struct Tpm {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Tpm {
    /// One that its maker has given keys and certificates.
    fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let authority = format!(
            "statedir = {at}\nsigningkey = {at}/signkey.pem\nissuercert = {at}/issuercert.pem\n\
             certserial = {at}/certserial\n"
        );
        let setup = format!(
            "create_certs_tool = /usr/bin/swtpm_localca\n\
             create_certs_tool_config = {at}/localca.conf\n\
             create_certs_tool_options = {at}/localca.options\n"
        );
        fs::write(folder.path().join("localca.conf"), authority).unwrap();
        fs::write(folder.path().join("localca.options"), "--platform-model none\n").unwrap();
        fs::write(folder.path().join("setup.conf"), setup).unwrap();
        let mut command = Command::new("swtpm_setup");
        command.args(["--tpm2", "--create-ek-cert", "--pcr-banks", "sha256"]);
        command.args(["--config", "setup.conf", "--tpmstate"]).arg(folder.path());
        succeeded(command.current_dir(&folder).output().unwrap());
        Tpm::start(folder)
    }

    fn start(folder: TempDir) -> Self {
        let port = free_pair();
        let ctrl = port + 1;
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
            .arg(format!("dir={}", folder.path().display()))
            .args(["--server", &format!("type=tcp,port={port}")])
            .args(["--ctrl", &format!("type=tcp,port={ctrl}")])
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", ctrl)).is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "the software TPM ended");
            thread::yield_now();
        }
        Tpm { process, port, folder }
    }

    /// Runs one of the tools in the folder, and leaves no object loaded: there is room for three.
    fn try_run(&self, line: &str) -> Output {
        let run = |line: &str| {
            let mut words = line.split_whitespace();
            let mut command = Command::new(words.next().unwrap());
            command.env("TPM2TOOLS_TCTI", format!("swtpm:port={}", self.port));
            command.args(words).current_dir(&self.folder).output().unwrap()
        };
        let output = run(line);
        succeeded(run("tpm2_flushcontext -t"));
        output
    }

    fn run(&self, line: &str) {
        succeeded(self.try_run(line));
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.folder.path().join(name)).unwrap()
    }

    /// A primary key of the form of an attestation key, kept in `name`.ctx.
    fn ak(&self, name: &str, hierarchy: &str) -> AttestationKey {
        let form = "-g sha256 -G ecc256:ecdsa-sha256:null";
        self.run(&format!("tpm2_createprimary -C {hierarchy} {form} -a {AK} -c {name}.ctx"));
        self.run(&format!("tpm2_readpublic -c {name}.ctx -o {name}.public"));
        check_ak(&Public::parse_sized(&self.read(&format!("{name}.public"))).unwrap()).unwrap()
    }

    /// What the TPM finds in a challenge, with the endorsement key `ek` and ak.ctx loaded.
    fn activated(&self, ek: &str, challenge: &Challenge) -> Option<Vec<u8>> {
        let head = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        let file = [&head[..], &challenge.id_object, &challenge.encrypted_seed].concat();
        fs::write(self.folder.path().join("challenge"), file).unwrap();
        fs::write(self.folder.path().join("c.policy"), POLICY_C_SHA384).unwrap();
        let is_high = ek == "0x81010016";
        let hash = if is_high { "sha384" } else { "sha256" };
        self.run(&format!("tpm2_startauthsession --policy-session -g {hash} -S session"));
        self.run("tpm2_policysecret -S session -c e -L a.policy");
        if is_high {
            self.run("tpm2_policyor -S session -l sha384:a.policy,c.policy");
        }
        let activate =
            "tpm2_activatecredential -c ak.ctx -i challenge -o opened -P session:session";
        let output = self.try_run(&format!("{activate} -C {ek}"));
        self.run("tpm2_flushcontext session");
        output.status.success().then(|| self.read("opened"))
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn succeeded(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A port whose next is free as well, below those that the system gives away by itself.
fn free_pair() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 5_000) as u16;
    loop {
        let pair = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 5_000;
        let port = 20_000 + 2 * pair;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
}

fn endorsement(public: &[u8]) -> (Key, EndorsementKey) {
    let public = Public::parse_sized(public).unwrap();
    let checked = check_ek(&public).unwrap();
    (public.key, checked)
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
        let key = PrivateKey::from_private_key(algorithm, scalar).unwrap();
        let public = key.compute_public_key().unwrap();
        let peer = UnparsedPublicKey::new(algorithm, ek.to_uncompressed());
        let shared = agree(&key, peer, (), |shared| Ok(shared[0])).unwrap();
        [public.as_ref()[1], public.as_ref()[1 + len], shared].map(|byte| byte == 0)
    };
    [0, 1, 2].map(|which| {
        let mut scalars = (1..=u16::MAX).map(|number| {
            let mut scalar = vec![0; len];
            scalar[len - 2..].copy_from_slice(&number.to_be_bytes());
            scalar
        });
        scalars.find(|scalar| zeros(scalar)[which]).unwrap()
    })
}

/// `swtpm_setup` makes an RSA and a P-384 key with certificates; a P-256 key by its template is
/// made here.
#[test]
fn each_kind_of_endorsement_key_answers_its_challenge_and_no_other() {
    let tpm = Tpm::made();
    let ak = tpm.ak("ak", "e");
    let other = tpm.ak("other", "o");
    tpm.run("tpm2_createek -G ecc -c p256.ctx -u p256.public");
    for ek in ["0x81010001", "p256.ctx", "0x81010016"] {
        tpm.run(&format!("tpm2_readpublic -c {ek} -o ek.public"));
        let (key, checked) = endorsement(&tpm.read("ek.public"));
        let made = challenge(&checked, &ak, &SECRET, &mut any).unwrap();
        assert_eq!(tpm.activated(ek, &made).as_deref(), Some(&SECRET[..]), "{ek}");
        let wrong_name = challenge(&checked, &other, &SECRET, &mut any).unwrap();
        assert_eq!(tpm.activated(ek, &wrong_name), None, "{ek}");
        let Key::Point(point) = key else { continue };
        for scalar in scalars_to_zeros(&point) {
            let mut fixed = |out: &mut [u8]| -> Result<(), RandomFailed> {
                out.copy_from_slice(&scalar);
                Ok(())
            };
            let made = challenge(&checked, &ak, &SECRET, &mut fixed).unwrap();
            assert_eq!(tpm.activated(ek, &made).as_deref(), Some(&SECRET[..]), "{ek} {scalar:?}");
        }
    }
}

#[test]
fn certificates_from_nv_hold_for_their_keys() {
    let tpm = Tpm::made();
    let [root, local] =
        ["swtpm-localca-rootca-cert.pem", "issuercert.pem"].map(|name| tpm.certificate(name));
    let authorities = Authorities::new(&[&root]).unwrap();
    let in_2040_s = 2_208_988_800;
    for (index, ek) in [("0x01c00002", "0x81010001"), ("0x01c00016", "0x81010016")] {
        tpm.run(&format!("tpm2_nvread -C o {index} -o certificate"));
        tpm.run(&format!("tpm2_readpublic -c {ek} -o ek.public"));
        let (_, ek) = endorsement(&tpm.read("ek.public"));
        let judged = judge(&tpm.read("certificate"), &[&local], &authorities, &ek, in_2040_s);
        assert_eq!(judged.unwrap().model.as_deref(), Some("swtpm"));
    }
}

#[test]
fn a_quote_and_a_counter_hold_where_they_are_what_was_asked_for() {
    let tpm = Tpm::start(tempfile::tempdir().unwrap());
    fs::write(tpm.folder.path().join("nonce"), NONCE).unwrap();
    for (hierarchy, refused) in [("e", None), ("o", Some(EvidenceError::Signer))] {
        let ak = tpm.ak("ak", hierarchy);
        let quote = "tpm2_quote -l sha256:0,7 -q nonce -m attest -s signature";
        tpm.run(&format!("{quote} -c ak.ctx"));
        let judged = verify_quote(&ak, &tpm.read("attest"), &tpm.read("signature"), &NONCE);
        assert_eq!(judged.err(), refused);
    }
    let ak = tpm.ak("ak", "e");
    let attributes = AUTH_READ | AUTH_WRITE | NO_DA | COUNTER | WRITTEN;
    let handle = 0x0184_c000;
    let public = NvPublic { handle, attributes, policy: None, data_len: 8 };
    let index = public.check(Purpose::Counter).unwrap();
    for (more, expected) in [("", Ok(Some(1))), ("|ownerread", Err(EvidenceError::Index))] {
        let list = format!("authread|authwrite|no_da|nt=counter{more}");
        tpm.run(&format!("tpm2_nvdefine {handle:#x} -C o -s 8 -p secret -a {list}"));
        tpm.run(&format!("tpm2_nvincrement {handle:#x} -C {handle:#x} -P secret"));
        let certify = "tpm2_nvcertify -C ak.ctx -p secret -g sha256 -s ecdsa -f tss -q nonce";
        let files = "--size 8 --offset 0 -o signature --attestation attest";
        tpm.run(&format!("{certify} {files} -c {handle:#x} {handle:#x}"));
        let (attest, signature) = (tpm.read("attest"), tpm.read("signature"));
        let judged = verify_nv_certify(&ak, &attest, &signature, &NONCE, &index);
        assert_eq!(judged.map(|certified| certified.counter()), expected);
        tpm.run(&format!("tpm2_nvundefine -C o {handle:#x}"));
    }
    let told = NvPublic { attributes: attributes | OWNER_READ, ..public };
    assert_eq!(told.check(Purpose::Counter), Err(NvError::Attributes(0, OWNER_READ)));
}
