//! License Central over HTTP, as its clients see it.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::RootFp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, RequestBuilder};
use vendor::Result;
use zeroize::Zeroizing;

use crate::args::GatewayArgs;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the longest answer.
const ANSWER_LEN_MAX: u64 = 16 * 1024 * 1024;

/// One face of a Central.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    key: Option<Zeroizing<String>>,
}

/// Whose Gateway it is.
#[derive(Deserialize)]
pub(crate) struct Firm {
    root_fp: String,
    pub(crate) name: String,
}

/// A refusal, as the server sends it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    hint: String,
}

impl Client {
    /// For this address; `key` is sent along, if there is one. The authority in the file `ca` is
    /// trusted besides those that the machine trusts.
    pub(crate) fn new(
        base: &str,
        ca: Option<&Path>,
        key: Option<Zeroizing<String>>,
    ) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let is_here = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .iter()
            .any(|own| base.strip_prefix(own).is_some_and(|rest| rest.starts_with([':', '/'])));
        if !is_here && !base.starts_with("https://") {
            let title = format!("{base:?} is no address that can be used");
            let hint = "Name it as https://HOST, or as http://127.0.0.1:PORT on this machine.";
            return Err(Shown::usage(title, hint));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0);
        // Authorities are read where they are asked for: there are many.
        let config = if is_here { config.build() } else { config.tls_config(tls(ca)?).build() };
        Ok(Client { agent: config.new_agent(), base: base.to_owned(), key })
    }

    /// For a vendor's Gateway.
    pub(crate) fn of(gateway: &GatewayArgs) -> Result<Self> {
        Client::new(&gateway.gateway, gateway.trust.ca.as_deref(), None)
    }

    /// Gets what is at `path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.signed(self.agent.get(format!("{}{path}", self.base)));
        answer(request.call())
    }

    /// Sends `body`. A request with `once` may be repeated: it has one effect.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        once: Option<&str>,
        body: &Value,
    ) -> Result<T> {
        let mut request = self.signed(self.agent.post(format!("{}{path}", self.base)));
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Puts `body` where it belongs.
    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = self.signed(self.agent.put(format!("{}{path}", self.base)));
        answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Gets a list as a table and writes it. One that breaks off is an error: what was written is
    /// not all of it.
    pub(crate) fn table(&self, path: &str, out: &mut impl Write) -> Result<()> {
        let request = self.signed(self.agent.get(format!("{}{path}", self.base)));
        // It takes as long as it takes, once it has begun.
        let request = request.config().timeout_global(None).timeout_recv_response(Some(TIMEOUT));
        let mut response =
            request.build().header("accept", "text/csv").call().map_err(unreachable)?;
        if !response.status().is_success() {
            let body = response.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
            return Err(refused(response.status(), &body.map_err(unreachable)?));
        }
        let mut body = response.body_mut().as_reader();
        let mut part = vec![0; 64 * 1024];
        loop {
            let read = body.read(&mut part).map_err(|error| {
                let broken = Shown::from(ErrorCode::ServerUnreachable.failure());
                broken.detailed(format!("the table is not whole: {error}"))
            })?;
            if read == 0 {
                return Ok(());
            }
            // A reader that has gone away (`| head`) is no error.
            if out.write_all(&part[..read]).is_err() {
                return Ok(());
            }
        }
    }

    /// Deletes what is at `path`.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let request = self.signed(self.agent.delete(format!("{}{path}", self.base)));
        answer(request.call())
    }

    /// With the key, if there is one.
    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.key {
            Some(key) => {
                let bearer = Zeroizing::new(format!("Bearer {}", key.as_str()));
                request.header("authorization", bearer.as_str())
            }
            None => request,
        }
    }
}

impl Firm {
    /// The firm behind this Gateway.
    pub(crate) fn of(client: &Client) -> Result<Self> {
        client.get("")
    }

    /// How containers know it.
    pub(crate) fn root_fp(&self) -> Result<RootFp> {
        RootFp::from_hex(&self.root_fp).ok_or_else(|| {
            Shown::usage("the Gateway names no vendor", "Check its address: it ends in the vendor.")
        })
    }
}

fn tls(ca: Option<&Path>) -> Result<TlsConfig> {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = ca {
        let own: std::result::Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
        let hint = "Name a PEM file with the certificate of your authority.";
        let own = own.map_err(|error| Shown::usage(error, hint).about(path.display()))?;
        if own.is_empty() {
            let none = Shown::usage("there is no certificate in it", hint);
            return Err(none.about(path.display()));
        }
        roots.extend(own);
    }
    let roots = roots.iter().map(|root| Certificate::from_der(root.as_ref()).to_owned());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build())
}

fn answer<T: DeserializeOwned>(
    sent: std::result::Result<Response<ureq::Body>, ureq::Error>,
) -> Result<T> {
    let mut response = sent.map_err(unreachable)?;
    let body = response.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
    let body = body.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(refused(response.status(), &body));
    }
    serde_json::from_slice(&body).map_err(|error| {
        Shown::from(ErrorCode::ServerFailed.failure())
            .detailed(format!("its answer cannot be read: {error}"))
    })
}

/// A file as the server sends it, in base64.
pub(crate) fn decoded(text: &str) -> Result<Vec<u8>> {
    let decoded = BASE64.decode(text);
    decoded.map_err(|error| Shown::from(ErrorCode::Malformed.failure()).detailed(error))
}

fn unreachable(error: ureq::Error) -> Shown {
    let shown = Shown::from(ErrorCode::ServerUnreachable.failure());
    let is_untrusted = match &error {
        ureq::Error::Io(error) => error.get_ref().is_some_and(|inner| {
            matches!(inner.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
        }),
        _ => false,
    };
    let shown = shown.detailed(error);
    if !is_untrusted {
        return shown;
    }
    shown.hinting("If its certificate is of an authority of your own, name that one with --ca.")
}

/// What the server says, under the number that it gives.
fn refused(status: StatusCode, body: &[u8]) -> Shown {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let failure = Shown::from(ErrorCode::ServerFailed.failure());
        return failure.detailed(format!("it answered with status {}", status.as_u16()));
    };
    match ErrorCode::parse(&problem.code) {
        Some(code) => Shown::told(code.failure(), problem.title).hinting(problem.hint),
        None => Shown::conflict(problem.title, problem.hint),
    }
}
