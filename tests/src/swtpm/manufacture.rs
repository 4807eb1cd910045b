//! TPMs as they come from a factory: with EK certificates of a local CA.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use super::certificate;
use super::instance::{Snapshot, Swtpm};
use super::process;

/// What is asked of the factory. Each model is made once per process: two TPMs of one model are one
/// TPM twice, with the same seeds and EKs, while those of two models have nothing in common, not
/// even the CA.
///
/// All have EK certificates for RSA-2048 (NV index 0x01C00002) and P-384 (0x01C00016), and both EKs
/// at 0x81010001 and 0x81010016, as swtpm_setup leaves them: two of seven persistent objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Model {
    /// Tells TPMs apart.
    pub serial: u32,
    /// Whether there is an EK certificate for P-256 too (0x01C0000A), by another CA. Its EK is not
    /// persistent, as on most chips.
    pub has_p256: bool,
}

/// Who has certified the EKs of a TPM: certificates, DER.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorities {
    /// They have signed themselves.
    pub roots: Vec<Vec<u8>>,
    /// Each signed by a root.
    pub intermediates: Vec<Vec<u8>>,
}

type Made = (Snapshot, Authorities);

/// The state of a TPM that has never been used, and who has certified it.
pub(super) fn manufactured(model: Model) -> Made {
    static MADE: Mutex<BTreeMap<Model, Arc<OnceLock<Made>>>> = Mutex::new(BTreeMap::new());
    let made =
        MADE.lock().unwrap_or_else(PoisonError::into_inner).entry(model).or_default().clone();
    made.get_or_init(|| manufacture(model)).clone()
}

fn manufacture(model: Model) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let (state, mut authorities) = set_up(&dir);
    if !model.has_p256 {
        return (state, authorities);
    }
    let mut tpm = Swtpm::on(&state, Authorities::default());
    authorities.roots.push(add_p256(&tpm));
    tpm.stop_gracefully();
    (tpm.snapshot(), authorities)
}

/// Has swtpm_setup make seeds, EKs, a CA and certificates.
fn set_up(dir: &TempDir) -> Made {
    let at = |name: &str| dir.path().join(name);
    let (state, config) = (at("state"), at("setup.conf"));
    fs::create_dir(&state).unwrap();
    write_configuration(dir.path(), &config);
    let mut command = Command::new("swtpm_setup");
    command.args(["--tpm2", "--create-ek-cert", "--tpmstate"]).arg(&state);
    command.arg("--config").arg(&config).current_dir(dir.path());
    // Files of root's or of a user must not matter, nor shall any be left.
    command.env("TMPDIR", dir.path()).env("HOME", dir.path()).env_remove("XDG_CONFIG_HOME");
    let output = process::run(&mut command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| certificates(&fs::read(at(name)).unwrap());
    let roots = read("swtpm-localca-rootca-cert.pem");
    let intermediates = read("issuer.pem");
    (Snapshot::in_folder(&state), Authorities { roots, intermediates })
}

fn write_configuration(dir: &Path, config: &Path) {
    let folder = dir.display();
    let authority = format!(
        "statedir = {folder}\n\
         signingkey = {folder}/issuer-key.pem\n\
         issuercert = {folder}/issuer.pem\n\
         certserial = {folder}/serial\n"
    );
    let setup = format!(
        "create_certs_tool = swtpm_localca\n\
         create_certs_tool_config = {folder}/localca.conf\n\
         create_certs_tool_options = {folder}/localca.options\n\
         active_pcr_banks = sha256\n"
    );
    fs::write(dir.join("localca.conf"), authority).unwrap();
    fs::write(dir.join("localca.options"), "").unwrap();
    fs::write(config, setup).unwrap();
}

/// Writes a certificate for the P-256 EK into the TPM, and returns its root.
fn add_p256(tpm: &Swtpm) -> Vec<u8> {
    let tools = tpm.tools();
    let at = |name: &str| tools.dir().join(name);
    tools.ok("tpm2_createek -G ecc -c ek.ctx -u ek.pub");
    tools.ok("tpm2_readpublic -c ek.ctx -f der -o ek.der");
    let key = fs::read(at("ek.der")).unwrap();
    let (certificate, root) = certificate::of_p256_ek(&key);
    fs::write(at("certificate.der"), &certificate).unwrap();
    let size = certificate.len();
    // The index that belongs to template L-2, which tpm2_createek used (TCG EK Credential Profile
    // for TPM Family 2.0): the platform's, and for all to read, as swtpm_setup makes the others.
    tools.ok(&format!(
        "tpm2_nvdefine 0x1c0000a -C p -s {size} -a \
         ppwrite|writedefine|ppread|ownerread|authread|no_da|platformcreate"
    ));
    tools.ok("tpm2_nvwrite 0x1c0000a -C p -i certificate.der");
    root
}

/// The certificates of a file, DER.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let certificates = CertificateDer::pem_slice_iter(pem);
    certificates.map(|certificate| certificate.unwrap().to_vec()).collect()
}
