//! Encrypted listeners: who may listen beyond this machine, and a certificate that is renewed.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::process::Place;
use crate::raw::{self, HANG};

/// An authority and where its certificates lie.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Authority { issuer, dir: dir.to_owned() }
    }

    /// Writes a certificate for this machine, and its key; their files.
    fn certify(&self, name: &str) -> [String; 2] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = [format!("{name}.pem"), format!("{name}.key")].map(|name| self.dir.join(name));
        // Each in one step, as who renews certificates does.
        for (file, text) in files.iter().zip([cert.pem(), key.serialize_pem()]) {
            let new = file.with_extension("new");
            fs::write(&new, text).expect("a file");
            fs::set_permissions(&new, Permissions::from_mode(0o640)).expect("its mode");
            fs::rename(&new, file).expect("a file");
        }
        files.map(|file| file.to_str().expect("text").to_owned())
    }

    /// A client that trusts nobody else.
    fn client(&self) -> Agent {
        let root = Certificate::from_der(self.issuer.der()).to_owned();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![root])))
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(HANG))
            .http_status_as_error(false)
            .max_idle_connections(0)
            .tls_config(tls)
            .build();
        config.new_agent()
    }
}

fn health(client: &Agent, at: SocketAddr) -> Result<u16, ureq::Error> {
    let answer = client.get(format!("https://localhost:{}/health", at.port())).call()?;
    Ok(answer.status().as_u16())
}

#[test]
fn with_a_certificate_all_listeners_are_encrypted_and_may_leave_this_machine() {
    let place = Place::init();
    let authority = Authority::new(place.above());
    let [cert, key] = authority.certify("server");
    let everywhere = ["--sales", "0.0.0.0:0", "--tls-cert", &cert, "--tls-key", &key];
    let server = place.run(&everywhere);
    let client = authority.client();
    for face in ["sales", "gateway", "admin", "metrics"] {
        let at = server.at(face);
        let path = if face == "metrics" { "metrics" } else { "health" };
        let answer = client.get(format!("https://localhost:{}/{path}", at.port())).call();
        assert_eq!(answer.expect("an answer").status().as_u16(), 200, "{face}");
        // Somebody who does not encrypt is not answered by the server, only by TLS.
        let plain = raw::send(
            SocketAddr::new([127, 0, 0, 1].into(), at.port()),
            &["GET /health HTTP/1.1", "host: localhost"],
            b"",
        );
        assert!(plain.is_none(), "{face}: {plain:?}");
    }
    let stranger = Authority::new(place.above()).client();
    assert!(health(&stranger, server.at("admin")).is_err(), "another authority's client");
    assert_eq!(server.end().code, Some(0));
}

#[test]
fn who_begins_no_handshake_is_let_go() {
    let place = Place::init();
    let [cert, key] = Authority::new(place.above()).certify("server");
    let server = place.run(&["--tls-cert", &cert, "--tls-key", &key]);
    let mut silent = raw::connect(server.at("gateway"));
    assert!(raw::Answer::read(&mut silent).is_none());
}

#[test]
fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let place = Place::init();
    let (old, new) = (Authority::new(place.above()), Authority::new(place.above()));
    let [cert, key] = old.certify("server");
    let server = place.run(&["--tls-cert", &cert, "--tls-key", &key]);
    let at = server.at("admin");
    assert_eq!(health(&old.client(), at).expect("an answer"), 200);
    fs::write(&cert, "-----BEGIN CERTIFICATE-----\n").expect("a file");
    assert_eq!(health(&old.client(), at).expect("an answer"), 200);
    new.certify("server");
    assert_eq!(health(&new.client(), at).expect("an answer"), 200);
    assert!(health(&old.client(), at).is_err(), "the old certificate");
    assert!(server.end().text.contains("the new certificate cannot be used"));
}

#[test]
fn files_that_are_no_certificate_are_refused_by_name() {
    let place = Place::init();
    let authority = Authority::new(place.above());
    let ([cert, key], [_, other]) = (authority.certify("server"), authority.certify("other"));
    let empty = place.above().join("empty.pem").to_str().expect("text").to_owned();
    fs::write(&empty, "").expect("a file");
    let refused = |cert: &str, key: &str| {
        let done = place.refused(&["--tls-cert", cert, "--tls-key", key]);
        assert_ne!(done.code, Some(0));
        done.text
    };
    assert!(refused(&empty, &key).contains("no certificate"));
    assert!(refused("missing.pem", &key).contains("missing.pem"));
    assert!(refused(&cert, &cert).contains("server.pem"));
    assert!(refused(&cert, &other).contains("other.key"));
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("its mode");
    assert!(refused(&cert, &key).contains("read by everybody"));
    let alone = place.refused(&["--tls-cert", &cert]);
    assert_eq!(alone.code, Some(2));
}

#[test]
fn a_database_elsewhere_must_prove_itself() {
    let place = Place::init();
    for url in [
        "postgres://central@192.0.2.1/central",
        "postgres://central@db.example.com/central?sslmode=require",
        "postgres://central@db.example.com/central?sslmode=verify-ca",
    ] {
        let done = place.refused(&["--database", url]);
        let said = done.text;
        assert_eq!(done.code, Some(2), "{url}: {said}");
        assert!(said.contains("sslmode=verify-full"), "{said}");
    }
}
