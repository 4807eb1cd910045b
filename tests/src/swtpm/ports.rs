//! Pairs of TCP ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// The two ports of a TPM: libtss2 takes the one after the first for control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports(u16);

/// Below what Linux gives to connections on their way out.
const FIRST: u32 = 16_384;
const PAIRS: u32 = 8_192;

/// Where the search of this process begins is as good as random, so that processes seldom meet.
const STRIDE: u32 = 2_654_435_761;

impl Ports {
    /// Commands and responses.
    pub fn data(self) -> u16 {
        self.0
    }

    /// Locality, resets and the like.
    pub fn control(self) -> u16 {
        self.0 + 1
    }

    /// What libtss2 calls this place.
    pub fn tcti(self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.0)
    }

    pub(super) fn starting_at(data: u16) -> Self {
        Ports(data)
    }
}

/// Pairs that were free a moment ago, each given once in this process.
pub(super) fn free() -> impl Iterator<Item = Ports> {
    candidates().filter(|ports| listen_at(*ports).is_some())
}

/// Listens on a pair of its own.
pub(super) fn listen() -> (Ports, TcpListener, TcpListener) {
    let found = candidates().find_map(listen_at);
    found.expect("a pair of free ports among thousands")
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn candidates() -> impl Iterator<Item = Ports> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(STRIDE) >> 16;
    (0..PAIRS).map(move |_| {
        let at = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PAIRS;
        Ports((FIRST + 2 * at) as u16)
    })
}

fn listen_at(ports: Ports) -> Option<(Ports, TcpListener, TcpListener)> {
    let data = TcpListener::bind(loopback(ports.data())).ok()?;
    let control = TcpListener::bind(loopback(ports.control())).ok()?;
    Some((ports, data, control))
}
