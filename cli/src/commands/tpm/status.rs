//! `strongroom tpm status` and `stop`: the containers of this machine and their helpers.

use std::path::{Path, PathBuf};

use backends::Source;
use container::{Address, Container, Makers};
use protocol::errors::Shown;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};
use vendor::{Result, times};

use super::look::{Look, Machine};
use crate::args::FolderArgs;
use crate::output::Output;

/// Seconds for which a helper may go on to end: its TPM may be slow.
const LONGEST_S: i64 = 30;

pub(super) fn show(command: &FolderArgs, output: &Output) -> Result<()> {
    let backend = backends::backend(&Source::Tpm(command.dir.clone()));
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for found in backend.list()? {
        let Address::MessageSocket(socket) = &found.address else { continue };
        let folder = socket.parent().map(PathBuf::from).unwrap_or_default();
        let opened = backend
            .open(&found)
            .and_then(|channel| {
                Container::open(channel, found.address.clone(), &Makers::standard())
            })
            .and_then(|container| {
                Ok((container.info()?, container.serial(), container.device().maker))
            });
        let look = Look::at(&folder);
        let (row, line) = match opened {
            Ok((info, serial, firm)) => {
                let standing = look.as_ref().map_or("active".into(), |look| look.standing.text());
                let grace = look.as_ref().map_or(Value::Null, |look| look.standing.grace());
                let machine = look.as_ref().and_then(|look| look.machine.as_ref());
                let row = json!({
                    "state": if grace.is_null() { "active" } else { "grace" },
                    "grace": grace, "serial": serial.to_string(), "vendor": firm.to_string(),
                    "seats": info.seats, "folder": folder,
                    "machine": machine.map(Machine::data),
                });
                let mut lines = vec![format!(
                    "{serial}: {standing}, licenses of {firm}, {} seats taken",
                    info.seats
                )];
                lines.extend(machine.into_iter().flat_map(Machine::lines));
                (row, lines.join("\n"))
            }
            Err(error) => {
                let told = look.and_then(|look| look.standing.refusal());
                locked(&folder, told.unwrap_or_else(|| Shown::from(error)))
            }
        };
        rows.push(row);
        lines.push(line);
        lines.push(format!("  {}", folder.display()));
    }
    if rows.is_empty() {
        lines.push("no container of soft licenses is on this machine".into());
        lines.push("make one: strongroom tpm init --gateway URL".into());
    }
    output.data("tpm-status", json!({ "containers": rows }), lines.join("\n"));
    Ok(())
}

/// A container that says why it is of no use now.
fn locked(folder: &Path, why: Shown) -> (Value, String) {
    let (title, hint) = (why.title(&times::show), why.hint(&times::show));
    let row = json!({
        "state": "locked", "code": why.code(), "title": title, "hint": hint, "folder": folder,
    });
    (row, format!("locked ({}): {title}\n  {hint}", why.code()))
}

/// Ends helpers. Seats that are in use go on when the helper comes back, for whoever holds them.
pub(super) fn stop(command: &FolderArgs, output: &Output) -> Result<()> {
    let backend = backends::backend(&Source::Tpm(command.dir.clone()));
    let mut stopped = Vec::new();
    for found in backend.list()? {
        let Address::MessageSocket(socket) = &found.address else { continue };
        let Some(helper) = serving(socket) else { continue };
        end(helper).map_err(|error| Shown::io(socket, &error.into()))?;
        stopped.push(socket.parent().map(PathBuf::from).unwrap_or_default());
    }
    let text = match stopped.len() {
        0 => "no helper runs".to_owned(),
        1 => "the helper has ended".to_owned(),
        count => format!("{count} helpers have ended"),
    };
    output.data("tpm-stop", json!({ "stopped": stopped }), text);
    Ok(())
}

/// Whether a helper runs in a folder.
pub(super) fn is_served(folder: &Path) -> bool {
    serving(&folder.join("socket")).is_some()
}

/// Ends the helper of one folder, if one runs.
pub(super) fn end_helper(folder: &Path) -> Result<()> {
    let socket = folder.join("socket");
    match serving(&socket) {
        Some(helper) => end(helper).map_err(|error| Shown::io(&socket, &error.into())),
        None => Ok(()),
    }
}

/// Tells a process to end, and waits until it did.
fn end(process: Pid) -> rustix::io::Result<()> {
    let handle = pidfd_open(process, PidfdFlags::empty())?;
    pidfd_send_signal(&handle, Signal::TERM)?;
    let longest = Timespec { tv_sec: LONGEST_S, tv_nsec: 0 };
    match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&longest))? {
        0 => Err(Errno::TIMEDOUT),
        _ => Ok(()),
    }
}

/// The process behind a socket, if one listens there.
fn serving(socket: &Path) -> Option<Pid> {
    let address = SocketAddrUnix::new(socket).ok()?;
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let connection = socket_with(AddressFamily::UNIX, kind, flags, None).ok()?;
    connect(&connection, &address).ok()?;
    Some(socket_peercred(&connection).ok()?.pid)
}
