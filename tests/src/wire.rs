//! The wire between host library and bench. It remembers how long each message was.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use container::{Address, Channel, Container, Error, Makers};
use protocol::errors::ErrorCode;

use crate::bench::Bench;

/// A dongle that several wires lead to.
#[derive(Clone)]
pub struct Socket {
    bench: Arc<Mutex<Bench>>,
    lengths: Arc<Mutex<Vec<(usize, usize)>>>,
    channels: Arc<AtomicU32>,
}

impl Socket {
    /// Puts a dongle where wires reach it.
    pub fn new(bench: Bench) -> Self {
        Socket {
            bench: Arc::new(Mutex::new(bench)),
            lengths: Arc::default(),
            channels: Arc::new(AtomicU32::new(1)),
        }
    }

    /// Opens the dongle on a new channel, as a program does.
    ///
    /// # Errors
    /// What the host library says.
    pub fn open(&self) -> Result<Container, Error> {
        let channel = self.channels.fetch_add(1, Ordering::Relaxed);
        let wire = Wire { socket: self.clone(), channel };
        let address = Address::ReportSocket(PathBuf::from("bench"));
        Container::open(Box::new(wire), address, &Makers::standard())
    }

    /// Works on the dongle itself.
    pub fn bench<T>(&self, work: impl FnOnce(&mut Bench) -> T) -> T {
        work(&mut self.bench.lock().expect("no test goes on after a panic"))
    }

    /// Bytes of each request and its answer since the last call.
    pub fn take_lengths(&self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.lengths.lock().expect("no test goes on after a panic"))
    }
}

struct Wire {
    socket: Socket,
    channel: u32,
}

impl Channel for Wire {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let mut response = Vec::new();
        self.socket.bench(|bench| bench.engine().message(self.channel, request, &mut response));
        if response.is_empty() {
            return Err(Error::new(ErrorCode::DeviceSilent, "no power"));
        }
        let lengths = (request.len(), response.len());
        self.socket.lengths.lock().expect("no test goes on after a panic").push(lengths);
        Ok(response)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.socket.bench(|bench| bench.engine().closed(self.channel));
    }
}
