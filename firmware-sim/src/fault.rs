//! Faults on command: what a test or a curious person does to a running simulator.
//!
//! A second socket, `PATH.control`, takes one line of text and answers with one: the data path
//! knows nothing of it.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::device::SimDevice;
use crate::flash::TornMode;
use crate::server::control::{Control, PlugControl};

/// What can be done to a simulated dongle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Pulls it out.
    Unplug,
    /// Plugs it in again.
    Plug,
    /// Lets it swallow its answers, or speak again.
    Stall(bool),
    /// Lets `writes` more flash writes happen and takes the power away at the next.
    CutPower {
        /// Writes that still happen.
        writes: u64,
        /// What becomes of the write that is hit.
        torn: TornMode,
    },
    /// Flips this many random bits of the flash.
    FlipBits(u32),
    /// Moves the battery clock.
    JumpClock(i64),
    /// Lets every command take this long.
    Slow(u64),
    /// Ends the simulator.
    Stop,
}

/// Text that names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault {0:?}; known are: {known}", known = Fault::USAGE)]
pub struct UnknownFault(String);

impl Fault {
    /// The faults as they are written.
    pub const USAGE: &'static str = "unplug, plug, stall on|off, cut-power WRITES \
        [before|during|after], flip-bits COUNT, jump-clock SECONDS, slow MILLISECONDS, stop";

    /// Reads a line from the control socket. Bytes that are no text are in no fault's name.
    ///
    /// # Errors
    /// It names no fault.
    pub fn from_line(line: &[u8]) -> Result<Self, UnknownFault> {
        String::from_utf8_lossy(line).trim().parse()
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let unknown = || UnknownFault(text.to_owned());
        fn number<T: FromStr>(word: &str) -> Option<T> {
            word.parse().ok()
        }
        let fault = match words.as_slice() {
            ["unplug"] => Some(Fault::Unplug),
            ["plug"] => Some(Fault::Plug),
            ["stop"] => Some(Fault::Stop),
            ["stall", "on"] => Some(Fault::Stall(true)),
            ["stall", "off"] => Some(Fault::Stall(false)),
            ["cut-power", writes] => {
                number(writes).map(|writes| Fault::CutPower { writes, torn: TornMode::During })
            }
            ["cut-power", writes, torn] => torn_mode(torn)
                .and_then(|torn| number(writes).map(|writes| Fault::CutPower { writes, torn })),
            ["flip-bits", count] => number(count).map(Fault::FlipBits),
            ["jump-clock", by_s] => number(by_s).map(Fault::JumpClock),
            ["slow", ms] => number(ms).map(Fault::Slow),
            _ => None,
        };
        fault.ok_or_else(unknown)
    }
}

fn torn_mode(word: &str) -> Option<TornMode> {
    match word {
        "before" => Some(TornMode::Before),
        "during" => Some(TornMode::During),
        "after" => Some(TornMode::After),
        _ => None,
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unplug => f.write_str("unplug"),
            Fault::Plug => f.write_str("plug"),
            Fault::Stall(true) => f.write_str("stall on"),
            Fault::Stall(false) => f.write_str("stall off"),
            Fault::CutPower { writes, torn } => {
                write!(f, "cut-power {writes} {}", format!("{torn:?}").to_lowercase())
            }
            Fault::FlipBits(count) => write!(f, "flip-bits {count}"),
            Fault::JumpClock(by_s) => write!(f, "jump-clock {by_s}"),
            Fault::Slow(ms) => write!(f, "slow {ms}"),
            Fault::Stop => f.write_str("stop"),
        }
    }
}

/// Carries a fault out.
///
/// # Errors
/// The server has ended, or the flash does not take it.
pub fn inflict(fault: Fault, control: &Control<SimDevice>) -> io::Result<()> {
    match fault {
        Fault::Unplug => control.unplug(),
        Fault::Plug => control.plug(),
        Fault::Stall(on) => control.stall(on),
        Fault::Stop => control.stop(),
        Fault::CutPower { writes, torn } => {
            control.reach(move |device| device.dongle().flash().cut_power_after(writes, torn))
        }
        Fault::FlipBits(count) => control.reach(move |device| device.dongle().flip_bits(count))?,
        Fault::JumpClock(by_s) => control.reach(move |device| device.dongle().jump_clock(by_s)),
        Fault::Slow(ms) => control.reach(move |device| device.set_work_ms(ms)),
    }
}

/// Where faults for the simulator at `socket` are told.
pub fn control_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".control");
    PathBuf::from(path)
}

/// Listens for faults until the simulator ends.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(socket: &Path, control: Control<SimDevice>) -> io::Result<()> {
    let path = control_path(socket);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One that breaks off tells nobody; the next is served.
            serve(stream, &control).ok();
        }
    });
    Ok(())
}

const LINE_LEN_MAX: u64 = 256;

fn serve(mut stream: UnixStream, control: &Control<SimDevice>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut line = Vec::new();
    BufReader::new(stream.try_clone()?.take(LINE_LEN_MAX)).read_until(b'\n', &mut line)?;
    let answer = match Fault::from_line(&line) {
        Ok(fault) => match inflict(fault, control) {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("failed: {error}"),
        },
        Err(error) => format!("failed: {error}"),
    };
    writeln!(stream, "{answer}")
}

/// Tells the simulator at `socket` to carry out a fault.
///
/// # Errors
/// No simulator is there, or it could not do it.
pub fn request(socket: &Path, fault: Fault) -> io::Result<()> {
    let mut stream = UnixStream::connect(control_path(socket))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(stream, "{fault}")?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_LEN_MAX)).read_line(&mut answer)?;
    match answer.trim() {
        "ok" => Ok(()),
        // The simulator ended before it could answer: that is what was asked.
        "" if fault == Fault::Stop => Ok(()),
        other => Err(io::Error::other(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Dongle, SimProfile};

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        let all = [
            Fault::Unplug,
            Fault::Plug,
            Fault::Stall(true),
            Fault::Stall(false),
            Fault::CutPower { writes: 7, torn: TornMode::After },
            Fault::FlipBits(3),
            Fault::JumpClock(-60),
            Fault::Slow(250),
            Fault::Stop,
        ];
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert!("cut-power many".parse::<Fault>().is_err() && "".parse::<Fault>().is_err());
        assert_eq!(Fault::from_line(b" slow  7 \n"), Ok(Fault::Slow(7)));
        assert!(Fault::from_line(b"stop\xff\n").is_err());
    }

    #[test]
    fn no_more_bits_are_flipped_than_there_are() {
        let profile = SimProfile::named("plain").expect("a known profile");
        let dongle = Dongle::in_memory(profile, 1).expect("in memory");
        let refused = dongle.flip_bits(u32::MAX).expect_err("too many");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        dongle.flip_bits(8).expect("few");
    }
}
