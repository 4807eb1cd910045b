//! The connections of a proxy, and what is carried over them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::super::ports::loopback;
use super::super::raw::{Connection, read_message};
use super::act::{Act, Told};
use super::{Exchange, Wire, lock};

/// Connections of clients that are open.
#[derive(Default)]
pub(super) struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    streams: BTreeMap<u64, TcpStream>,
    next: u64,
    is_closed: bool,
}

impl Connections {
    /// Ends all, and lets none in any more.
    pub(super) fn close(&self) {
        let mut open = lock(&self.0);
        open.is_closed = true;
        for stream in open.streams.values() {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// The number of a connection that is let in.
    fn add(&self, stream: &TcpStream) -> Option<u64> {
        let mut open = lock(&self.0);
        let stream = stream.try_clone().ok().filter(|_| !open.is_closed)?;
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, stream);
        Some(number)
    }

    fn remove(&self, number: u64) {
        lock(&self.0).streams.remove(&number);
    }

    fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }
}

impl Wire {
    /// Accepts clients until the listener is shut down, each with a thread of its own.
    pub(super) fn accept(
        self: &Arc<Self>,
        listener: &Arc<TcpListener>,
        carry: fn(&Wire, u64, TcpStream),
    ) -> JoinHandle<()> {
        let (wire, listener) = (Arc::clone(self), Arc::clone(listener));
        thread::spawn(move || {
            while !wire.connections.is_closed() {
                let Ok((stream, _)) = listener.accept() else { continue };
                let Some(number) = wire.connections.add(&stream) else { continue };
                let wire = Arc::clone(&wire);
                thread::spawn(move || {
                    carry(&wire, number, stream);
                    wire.connections.remove(number);
                });
            }
        })
    }

    /// Carries commands one by one, until the client goes or is cut off.
    pub(super) fn carry_commands(&self, connection: u64, mut stream: TcpStream) {
        while let Ok(Some(command)) = read_message(&mut stream) {
            let (answer, is_last) = match self.carry(connection, command) {
                Told::Answer(bytes) => (bytes, false),
                Told::Last(bytes) => (bytes, true),
                Told::Nothing => (Vec::new(), false),
                Told::Break => (Vec::new(), true),
            };
            if stream.write_all(&answer).is_err() || is_last {
                return;
            }
        }
    }

    /// Carries bytes both ways.
    pub(super) fn carry_control(&self, _: u64, client: TcpStream) {
        let Ok(tpm) = TcpStream::connect(loopback(self.tpm.ports().control())) else { return };
        thread::scope(|scope| {
            scope.spawn(|| {
                io::copy(&mut &client, &mut &tpm).ok();
                tpm.shutdown(Shutdown::Write).ok();
            });
            io::copy(&mut &tpm, &mut &client).ok();
            client.shutdown(Shutdown::Both).ok();
        });
    }

    fn carry(&self, connection: u64, command: Vec<u8>) -> Told {
        let mut exchange = Exchange { connection, command, response: None, answer: None };
        let act = lock(&self.hook)(&exchange);
        if let Act::Hold(hold) = &act {
            hold.wait();
        }
        let mut past = lock(&self.past);
        if act.reaches_tpm() && !self.connections.is_closed() {
            exchange.response = self.transmit(&exchange.command).ok();
        }
        let told = act.tell(exchange.response.clone());
        if let Told::Answer(answer) | Told::Last(answer) = &told {
            exchange.answer = Some(answer.clone());
        }
        past.push(exchange);
        self.grew.notify_all();
        told
    }

    /// Over a connection of its own, so that others can use the TPM's ports too.
    fn transmit(&self, command: &[u8]) -> io::Result<Vec<u8>> {
        Connection::open(self.tpm.ports().data())?.transmit(command)
    }
}
