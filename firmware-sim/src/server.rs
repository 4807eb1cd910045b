//! The simulated dongle's socket: one thread that serves many connections, each of them one plug.
//!
//! Connections carry raw 64-byte reports both ways. As with a real dongle's readers, each has a
//! bounded queue, and reports that do not fit are dropped for that connection alone: nobody who
//! does not read slows the others down. The data path is [`DeviceSide`]; what may be done *to* the
//! device (unplug it, stall it, reach inside) is [`control`] and comes from another thread.

mod clock;
mod connection;
pub mod control;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use crate::usb::{DeviceSide, PortId};
use clock::Clock;
use connection::Connection;
use control::{Action, Control, Orders};
use socket::ListeningSocket;

/// Connections served at once; further ones are closed as they come.
pub const CONNECTIONS_MAX: usize = 64;
/// Pause after the system could not take a connection (no more files, say), in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 100;

/// Serves the device `D` on a Unix socket.
#[derive(Debug)]
pub struct Server<D> {
    device: D,
    path: PathBuf,
    /// `None` while the device is unplugged.
    listener: Option<ListeningSocket>,
    connections: Vec<Connection>,
    next_port: u64,
    orders: Orders<D>,
    stalled: bool,
    clock: Clock,
    accept_from_ms: u64,
}

/// What the system reported ready.
struct Ready {
    orders: bool,
    listener: bool,
    connections: Vec<PollFlags>,
}

impl<D: DeviceSide> Server<D> {
    /// Makes the socket at `path`, mode 0600; its folder is made if missing, mode 0700.
    ///
    /// A socket that is there already is replaced only if nobody listens on it: otherwise
    /// `AddrInUse`, and `AlreadyExists` if it is no socket at all.
    pub fn bind(path: &Path, device: D) -> io::Result<(Self, Control<D>)> {
        let listener = Some(ListeningSocket::bind(path)?);
        let (control, orders) = control::pair()?;
        let server = Self {
            device,
            path: path.to_owned(),
            listener,
            connections: Vec::new(),
            next_port: 1,
            orders,
            stalled: false,
            clock: Clock::start(),
            accept_from_ms: 0,
        };
        Ok((server, control))
    }

    /// Serves until [`control::PlugControl::stop`]; the socket is gone then, and the device comes
    /// back.
    pub fn run(mut self) -> io::Result<D> {
        loop {
            let ready = self.wait()?;
            for (index, flags) in ready.connections.into_iter().enumerate() {
                self.serve(index, flags);
            }
            if ready.listener {
                self.accept();
            }
            let now_ms = self.clock.now_ms();
            self.device.tick(now_ms);
            self.deliver();
            self.sweep();
            if ready.orders && self.obey() {
                return Ok(self.device);
            }
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) -> io::Result<Ready> {
        let now_ms = self.clock.now_ms();
        let accepts = self.listener.as_ref().filter(|_| self.accept_from_ms <= now_ms);
        let paused = self.listener.is_some() && accepts.is_none();
        let wake_ms = [self.device.wake_ms(), paused.then_some(self.accept_from_ms)];
        let timeout = wake_ms.into_iter().flatten().min().map(|ms| {
            // A time-out that does not fit is as good as none, and is asked for again.
            let left = Duration::from_millis(ms.saturating_sub(now_ms).min(3_600_000));
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut polled = vec![PollFd::new(&self.orders.wake, PollFlags::IN)];
        polled.extend(self.connections.iter().map(Connection::poll_fd));
        polled.extend(accepts.map(|socket| PollFd::new(&socket.fd, PollFlags::IN)));
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut flags = polled.iter().map(PollFd::revents);
        Ok(Ready {
            orders: flags.next().is_some_and(|f| !f.is_empty()),
            connections: flags.by_ref().take(self.connections.len()).collect(),
            listener: flags.next().is_some_and(|f| !f.is_empty()),
        })
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            match accept_with(&listener.fd, flags) {
                Ok(_) if self.connections.len() >= CONNECTIONS_MAX => {}
                Ok(socket) => {
                    self.connections.push(Connection::new(PortId(self.next_port), socket));
                    self.next_port += 1;
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => {
                    self.accept_from_ms = self.clock.now_ms() + ACCEPT_PAUSE_MS;
                    return;
                }
            }
        }
    }

    /// Lets one connection's reports in, and out what waited for it.
    fn serve(&mut self, index: usize, flags: PollFlags) {
        let now_ms = self.clock.now_ms();
        let Some(connection) = self.connections.get_mut(index) else { return };
        if flags.contains(PollFlags::OUT) {
            connection.flush();
        }
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let port = connection.port;
            for report in connection.read() {
                self.device.receive(port, &report, now_ms);
                self.deliver();
            }
        }
    }

    /// Routes what the device says.
    fn deliver(&mut self) {
        while let Some((port, report)) = self.device.next_report() {
            let connection = self.connections.iter_mut().find(|c| c.port == port);
            if let Some(connection) = connection.filter(|_| !self.stalled) {
                connection.queue(&report);
            }
        }
    }

    /// Parts with connections that ended, and with all if the device lost power by itself.
    fn sweep(&mut self) {
        let (alive, ended) = std::mem::take(&mut self.connections)
            .into_iter()
            .partition(|connection| connection.is_alive());
        self.connections = alive;
        for connection in ended {
            self.device.detach(connection.port);
        }
        if self.listener.is_some() && !self.device.is_powered() {
            self.unplug();
        }
    }

    /// Carries orders out; `true` if the server shall stop.
    fn obey(&mut self) -> bool {
        while let Some(order) = self.orders.next() {
            let result = match order.action {
                Action::Stop => {
                    self.unplug();
                    order.done.send(Ok(())).ok();
                    return true;
                }
                Action::Unplug => {
                    self.unplug();
                    Ok(())
                }
                Action::Plug => self.plug(),
                Action::Stall(on) => {
                    self.stalled = on;
                    Ok(())
                }
                Action::Reach(job) => {
                    job(&mut self.device);
                    Ok(())
                }
            };
            // Whoever asked may have gone.
            order.done.send(result).ok();
        }
        false
    }

    fn unplug(&mut self) {
        self.listener = None;
        for connection in std::mem::take(&mut self.connections) {
            self.device.detach(connection.port);
        }
        self.device.power_lost();
    }

    fn plug(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            self.listener = Some(ListeningSocket::bind(&self.path)?);
        }
        Ok(())
    }
}
