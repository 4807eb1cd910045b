//! The server with real sockets and the host library's own link.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use container::dongle::ticks::SystemTicks;
use container::dongle::unix::UnixPipe;
use container::dongle::{DongleLink, LinkError, LinkTimes, PipeError, ReportPipe};
use protocol::frame::allocation_request;

use super::control::PlugControl;
use super::*;
use crate::usb::{MessageHandler, ReportDevice};

/// Answers with the request turned round.
#[derive(Default)]
struct Echo {
    requests: usize,
    closed: Vec<u32>,
}

impl MessageHandler for Echo {
    fn message(&mut self, _: u32, request: &[u8], response: &mut Vec<u8>) {
        self.requests += 1;
        response.extend(request.iter().rev());
    }

    fn closed(&mut self, cid: u32) {
        self.closed.push(cid);
    }
}

type Device = ReportDevice<Echo>;

/// A running server in a folder of its own; dropping it stops it and sees that the socket is gone.
struct Running {
    folder: tempfile::TempDir,
    control: Control<Device>,
    thread: Option<JoinHandle<Device>>,
}

impl Running {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = ReportDevice::new(Echo::default(), 1);
        let (server, control) = Server::bind(&folder.path().join("run/sim"), device).unwrap();
        let thread = Some(std::thread::spawn(move || server.run().unwrap()));
        Self { folder, control, thread }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("run/sim")
    }

    fn pipe(&self) -> UnixPipe {
        UnixPipe::connect(&self.path()).unwrap()
    }

    fn link(&self) -> DongleLink<UnixPipe> {
        DongleLink::open(self.pipe()).unwrap()
    }

    fn stop(&mut self) -> Device {
        self.control.stop().unwrap();
        let device = self.thread.take().unwrap().join().unwrap();
        assert!(!self.path().exists());
        device
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

#[test]
fn two_clients_at_once_get_their_own_answers() {
    let mut server = Running::new();
    std::thread::scope(|scope| {
        for client in 0..2_u8 {
            let mut link = server.link();
            scope.spawn(move || {
                for len in (0..=4096).step_by(27) {
                    let request: Vec<u8> = (0..len).map(|i| i as u8 ^ (client * 0x80)).collect();
                    assert_eq!(link.exchange(&request).unwrap(), turned(&request));
                }
            });
        }
    });
    let device = server.stop();
    assert_eq!(device.handler().requests, 2 * 152);
    assert_eq!(device.handler().closed.len(), 2);
}

#[test]
fn the_end_of_a_connection_closes_its_channels_only() {
    let server = Running::new();
    let mut stays = server.link();
    let mut goes = server.pipe();
    for nonce in [[1; 8], [2; 8]] {
        goes.send(&allocation_request(&nonce)).unwrap();
        goes.receive(Duration::from_secs(10)).unwrap();
    }
    drop(goes);
    let closed = server.control.reach(|device| device.handler().closed.clone()).unwrap();
    assert_eq!(closed, [2, 3]);
    assert_eq!(stays.exchange(b"ab").unwrap(), b"ba");
}

#[test]
fn who_does_not_read_does_not_slow_the_others_down() {
    let server = Running::new();
    let mut deaf = server.pipe();
    let mut link = server.link();
    for round in 0..100 {
        for _ in 0..100 {
            deaf.send(&allocation_request(&[0; 8])).unwrap();
        }
        assert_eq!(link.exchange(&[round; 200]).unwrap(), [round; 200]);
    }
}

#[test]
fn an_unplugged_dongle_is_gone_until_it_is_plugged_in() {
    let server = Running::new();
    let mut link = server.link();
    server.control.unplug().unwrap();
    assert!(!server.path().exists());
    assert!(matches!(link.exchange(b"ab"), Err(LinkError::Pipe(PipeError::Gone))));
    assert!(matches!(link.exchange(b"ab"), Err(LinkError::Dead)));
    assert!(matches!(UnixPipe::connect(&server.path()), Err(PipeError::Absent(_))));
    server.control.plug().unwrap();
    server.control.plug().unwrap();
    assert_eq!(server.link().exchange(b"ab").unwrap(), b"ba");
}

#[test]
fn sec_p15_a_stalled_dongle_costs_a_time_out_and_the_link() {
    let server = Running::new();
    let times = LinkTimes { silence_ms: 20, ..LinkTimes::default() };
    let open =
        || DongleLink::open_with(server.pipe(), SystemTicks::default(), [3; 8], times).unwrap();
    let mut link = open();
    server.control.stall(true).unwrap();
    assert!(matches!(link.exchange(b"done"), Err(LinkError::NoAnswer)));
    server.control.stall(false).unwrap();
    assert!(matches!(link.exchange(b"done"), Err(LinkError::Dead)));
    assert_eq!(server.link().exchange(b"ab").unwrap(), b"ba");
    // It was carried out all the same: only the answer was lost.
    assert_eq!(server.control.reach(|device| device.handler().requests).unwrap(), 2);
}

#[test]
fn connections_over_the_cap_are_closed_and_places_come_free() {
    let server = Running::new();
    let mut held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| server.pipe()).collect();
    // The last one is served, so all before it have been accepted.
    let last = held.pop().unwrap();
    let mut last = DongleLink::open(last).unwrap();
    assert!(matches!(server.pipe().receive(Duration::from_secs(10)), Err(PipeError::Gone)));
    assert_eq!(last.exchange(b"ab").unwrap(), b"ba");
    held.clear();
    server.control.reach(|_| ()).unwrap();
    assert_eq!(server.link().exchange(b"ab").unwrap(), b"ba");
}

#[test]
fn the_socket_is_private_and_its_place_is_respected() {
    let server = Running::new();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.path()), 0o600);
    assert_eq!(mode(server.path().parent().unwrap()), 0o700);

    let bind = |path: &Path| {
        let device = ReportDevice::new(Echo::default(), 1);
        Server::bind(path, device).map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(bind(&server.path()), Err(io::ErrorKind::AddrInUse));
    assert_eq!(server.link().exchange(b"ab").unwrap(), b"ba");

    let stale = server.folder.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(UnixStream::connect(&stale).is_err() && stale.exists());
    assert_eq!(bind(&stale), Ok(()));
    assert!(!stale.exists());

    let file = server.folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert_eq!(bind(&file), Err(io::ErrorKind::AlreadyExists));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let long = server.folder.path().join("x".repeat(200));
    assert!(bind(&long).is_err());
}

#[test]
fn a_socket_put_in_its_place_outlives_the_server() {
    let mut server = Running::new();
    let path = server.path();
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    server.control.stop().unwrap();
    server.thread.take().unwrap().join().unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    drop(theirs);
}
