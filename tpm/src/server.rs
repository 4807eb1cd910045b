//! The helper's socket: one thread, one engine, many clients. A connection is a channel, and each
//! packet on it a message.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use protocol::limits::{MESSAGE_LEN_MAX, SESSIONS_OF_PROCESS_MAX};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, chmod, fchmod};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, listen, recv, send, socket_with,
};
use zeroize::Zeroizing;

use crate::clock::Stopwatch;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// Connections of one user who is not the container's owner.
const CONNECTIONS_OF_USER_MAX: usize = 1024;
/// Name of the socket in the folder.
pub const SOCKET: &str = "socket";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Names the connection.
    pub channel: u32,
    /// The user, as the system says.
    pub uid: u32,
}

/// What is served.
pub trait Service {
    /// Answers one message.
    fn message(&mut self, peer: Peer, request: &[u8], response: &mut Vec<u8>);

    /// A connection ended.
    fn closed(&mut self, channel: u32);

    /// Whether every connection is to be ended, since what they spoke with is no more.
    fn is_over(&mut self) -> bool;
}

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admits {
    /// The user who owns the folder, and root.
    Owner,
    /// Every user of the machine.
    Everyone,
}

/// A listening socket and its connections. The file goes with it.
pub struct Server {
    listener: OwnedFd,
    path: PathBuf,
    connections: BTreeMap<u32, Connection>,
    next: u32,
}

struct Connection {
    socket: OwnedFd,
    uid: u32,
}

/// When the server comes back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nobody was connected for so many milliseconds.
    Alone(u64),
    /// So many milliseconds have passed, whoever is connected.
    Past(u64),
}

/// Why the server came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The time had come.
    Idle,
    /// What was served is no more.
    Over,
    /// It was told to.
    Told,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Server {
    /// Makes the socket in a folder whose lock the caller holds: what lies there is left from
    /// before.
    ///
    /// # Errors
    /// What the system says; a path of more than 107 bytes is `InvalidInput`.
    pub fn bind(folder: &Path, admits: Admits) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        let address = SocketAddrUnix::new(&path).map_err(|_| {
            let why = format!("{} is too long for a socket", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // Linux makes the file with the mode that the socket has when it is bound, less what the
        // process takes away from new files.
        fchmod(&listener, Mode::from_raw_mode(0o600))?;
        bind(&listener, &address)?;
        if admits == Admits::Everyone {
            chmod(&path, Mode::from_raw_mode(0o666))?;
        }
        listen(&listener, BACKLOG)?;
        Ok(Server { listener, path, connections: BTreeMap::new(), next: 1 })
    }

    /// Serves until `stop` can be read, the service is over, or the time has come.
    ///
    /// # Errors
    /// What the system says of waiting.
    pub fn run(
        &mut self,
        service: &mut impl Service,
        stop: impl AsFd,
        until: Until,
    ) -> io::Result<Ended> {
        let mut waited = Stopwatch::start();
        loop {
            let was_alone = self.connections.is_empty();
            let left_ms = match until {
                Until::Alone(_) if !was_alone => None,
                Until::Alone(ms) | Until::Past(ms) => Some(ms.saturating_sub(waited.ms())),
            };
            if left_ms == Some(0) {
                return Ok(Ended::Idle);
            }
            let ready = self.wait(stop.as_fd(), left_ms)?;
            if ready.stop {
                return Ok(Ended::Told);
            }
            for channel in ready.channels {
                self.serve(channel, service);
            }
            if ready.listener {
                self.accept();
            }
            if service.is_over() {
                self.connections.clear();
                return Ok(Ended::Over);
            }
            let is_alone = was_alone && self.connections.is_empty();
            if matches!(until, Until::Alone(_)) && !is_alone {
                waited = Stopwatch::start();
            }
        }
    }

    fn wait(&self, stop: impl AsFd, left_ms: Option<u64>) -> io::Result<Ready> {
        let timeout = left_ms.map(|ms| Timespec {
            tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: (ms % 1000) as i64 * 1_000_000,
        });
        let mut polled = vec![PollFd::new(&stop, PollFlags::IN)];
        polled.push(PollFd::new(&self.listener, PollFlags::IN));
        let sockets = self.connections.values().map(|one| PollFd::new(&one.socket, PollFlags::IN));
        polled.extend(sockets);
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut flags = polled.iter().map(|one| !one.revents().is_empty());
        let (stop, listener) = (flags.next() == Some(true), flags.next() == Some(true));
        let ready = self.connections.keys().zip(flags).filter(|(_, is_ready)| *is_ready);
        Ok(Ready { stop, listener, channels: ready.map(|(channel, _)| *channel).collect() })
    }

    /// Takes one message of a connection, and answers it.
    fn serve(&mut self, channel: u32, service: &mut impl Service) {
        let Some(connection) = self.connections.get(&channel) else { return };
        // One byte more, so that what is too long is not taken for what is not.
        let mut request = Zeroizing::new(vec![0; MESSAGE_LEN_MAX + 1]);
        let len = match recv(&connection.socket, &mut request[..], RecvFlags::empty()) {
            Ok((len, _)) if (1..=MESSAGE_LEN_MAX).contains(&len) => len,
            Err(Errno::AGAIN | Errno::INTR) => return,
            _ => return self.close(channel, service),
        };
        let mut response = Vec::new();
        service.message(Peer { channel, uid: connection.uid }, &request[..len], &mut response);
        // Who asks again and again without listening has no room for an answer, and is left.
        let sent = send(&connection.socket, &response, SendFlags::NOSIGNAL);
        if response.is_empty() || sent != Ok(response.len()) {
            self.close(channel, service);
        }
    }

    fn close(&mut self, channel: u32, service: &mut impl Service) {
        self.connections.remove(&channel);
        service.closed(channel);
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(socket) = accept_with(&self.listener, flags) {
            let Ok(peer) = socket_peercred(&socket) else { continue };
            let uid = peer.uid.as_raw();
            let of_user = self.connections.values().filter(|one| one.uid == uid).count();
            let own = rustix::process::geteuid().as_raw();
            let is_over = uid != own && uid != 0 && of_user >= CONNECTIONS_OF_USER_MAX;
            if is_over || self.connections.len() >= SESSIONS_OF_PROCESS_MAX {
                continue;
            }
            self.connections.insert(self.next, Connection { socket, uid });
            self.next = self.next.wrapping_add(1);
        }
    }
}

/// What the system reported ready.
struct Ready {
    stop: bool,
    listener: bool,
    channels: Vec<u32>,
}
