//! TLS of the listeners: one certificate, which may be renewed while they run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::errors::Shown;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use crate::args::TlsArgs;

/// The certificate of the listeners, if they have one.
pub fn acceptor(args: &TlsArgs) -> Result<Option<TlsAcceptor>, Shown> {
    let (Some(cert), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let keeper = Keeper::open(cert.clone(), key.clone(), provider.clone())?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Shown::conflict(error, "Report this."))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(keeper));
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// Reads the certificate again when its files have changed, which it sees with each connection: two
/// calls of the system are little beside a handshake. Files that cannot be used change nothing: the
/// old certificate may be good for weeks.
#[derive(Debug)]
struct Keeper {
    cert: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    seen: [Seen; 2],
    certified: Arc<CertifiedKey>,
}

/// What shows that a file is another: its inode and its times.
type Seen = Option<(u64, i64, i64)>;

impl Keeper {
    fn open(cert: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, Shown> {
        let seen = [seen(&cert), seen(&key)];
        let certified = read(&cert, &key, &provider)?;
        let held = Mutex::new(Held { seen, certified });
        Ok(Keeper { cert, key, provider, held })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = [seen(&self.cert), seen(&self.key)];
        if seen != held.seen {
            held.seen = seen;
            self.renew(&mut held);
        }
        held.certified.clone()
    }

    fn renew(&self, held: &mut Held) {
        match read(&self.cert, &self.key, &self.provider) {
            Ok(certified) => {
                held.certified = certified;
                tracing::info!(cert = %self.cert.display(), "the certificate is a new one");
            }
            Err(shown) => {
                let why = shown.title(&|at_s| at_s.to_string());
                tracing::error!(why, "the new certificate cannot be used, the old one stays");
            }
        }
    }
}

impl ResolvesServerCert for Keeper {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn seen(path: &Path) -> Seen {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.mtime(), data.mtime_nsec()))
}

/// The certificate with its chain, and the key that belongs to it.
fn read(
    cert: &Path,
    key: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<CertifiedKey>, Shown> {
    let unusable = |path: &Path, why: String| {
        let hint = "Name PEM files: the certificate with its chain, and its private key.";
        Shown::usage(format!("{}: {why}", path.display()), hint)
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).and_then(|certificates| certificates.collect());
    let chain = chain.map_err(|error| unusable(cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(cert, "there is no certificate in it".to_owned()));
    }
    check_readers(key)?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error.to_string()))?;
    let certified = CertifiedKey::from_der(chain, private, provider);
    Ok(Arc::new(certified.map_err(|error| unusable(key, error.to_string()))?))
}

/// A group of its own may read the key, as Debian has one; everybody may not.
fn check_readers(key: &Path) -> Result<(), Shown> {
    let data = std::fs::metadata(key).map_err(|error| Shown::io(key, &error))?;
    if data.mode() & 0o007 == 0 {
        return Ok(());
    }
    let title = format!("{} may be read by everybody", key.display());
    Err(Shown::usage(title, "Take their right away: chmod o=."))
}
