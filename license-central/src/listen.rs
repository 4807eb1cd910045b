//! One listener: how many connections it has open, and how long they may say nothing.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::api::front::{HEADERS_LEN_MAX, Peer};
use crate::api::metrics::Metrics;

/// How long what was begun may take when the server ends.
const ENDING_TIMEOUT: Duration = Duration::from_secs(40);

/// How long to wait where the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections may be open at a listener, and how long they may say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// From one address.
    pub per_address: usize,
    /// In all.
    pub in_all: usize,
    /// How long the headers of a request may take, also those of the next one.
    pub headers: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { per_address: 512, in_all: 2048, headers: Duration::from_secs(10) }
    }
}

/// Counts the open connections of a listener.
pub struct Gate {
    face: &'static str,
    bounds: Bounds,
    metrics: Arc<Metrics>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// An open connection. It is counted until it is dropped.
struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    /// Of this face.
    pub fn new(face: &'static str, bounds: Bounds, metrics: Arc<Metrics>) -> Arc<Self> {
        metrics.cap(bounds.per_address);
        Arc::new(Gate { face, bounds, metrics, open: Mutex::default() })
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let own = open.get(&address).copied().unwrap_or(0);
        if all >= self.bounds.in_all || own >= self.bounds.per_address {
            self.metrics.connection_refused(self.face);
            return None;
        }
        open.insert(address, own + 1);
        self.metrics.connection(self.face, true);
        Some(Pass { gate: self.clone(), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&self.address).map_or(0, |own| own - 1);
        match left {
            0 => open.remove(&self.address),
            left => open.insert(self.address, left),
        };
        self.gate.metrics.connection(self.gate.face, false);
    }
}

/// One listener and what answers there.
pub struct Face {
    /// Where it listens.
    pub listener: TcpListener,
    /// Its encryption, if it has one.
    pub tls: Option<TlsAcceptor>,
    /// What answers.
    pub router: Router,
    /// What counts its connections.
    pub gate: Arc<Gate>,
}

impl Face {
    /// Serves until `ended` says so; what was begun is finished.
    pub async fn serve(self, mut ended: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                // The sender goes only with the whole server.
                _ = ended.wait_for(|ended| *ended) => break,
            };
            match accepted {
                Ok((stream, from)) => self.connect(stream, from, graceful.watcher()),
                Err(error) => {
                    tracing::warn!(%error, face = self.gate.face, "a connection was not taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(ENDING_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!(face = self.gate.face, "requests were cut off");
        }
    }

    /// Serves one connection, if it may be open. One that may not is closed without a word: to
    /// answer it would cost what it is to save.
    fn connect(&self, stream: TcpStream, from: SocketAddr, watcher: Watcher) {
        let Some(pass) = self.gate.enter(from.ip()) else { return };
        // Answers are small; without it some would wait for the other side's acknowledgement.
        let _ = stream.set_nodelay(true);
        let (router, from) = (self.router.clone(), from.ip());
        let Some(tls) = self.tls.clone() else {
            tokio::spawn(answer(stream, from, router, watcher, pass));
            return;
        };
        let limit = self.gate.bounds.headers;
        tokio::spawn(async move {
            // Whoever cannot agree on a key, or is too slow, is nothing to report.
            if let Ok(Ok(stream)) = tokio::time::timeout(limit, tls.accept(stream)).await {
                answer(stream, from, router, watcher, pass).await;
            }
        });
    }
}

/// Answers what comes on one connection.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: IpAddr,
    router: Router,
    watcher: Watcher,
    pass: Pass,
) {
    let headers = pass.gate.bounds.headers;
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(from));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        // Up to twice the bound a request is refused with a reason, beyond by its status alone.
        .max_buf_size(2 * HEADERS_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A client that goes away, or sends what is no HTTP, is nothing to report.
    let _ = watcher.watch(connection).await;
    drop(pass);
}
