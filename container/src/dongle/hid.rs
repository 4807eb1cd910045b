//! A dongle on USB: reports over the system's raw HID interface, by `hidapi`.
//!
//! The interface may be open in many programs at once; each sees every report of the dongle.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hidapi::{DeviceInfo, HidApi, HidDevice, HidError};
use protocol::frame::{REPORT_LEN, USAGE, USAGE_PAGE};

use super::{LONGEST_WAIT, PipeError, Report, ReportPipe};

/// A dongle that the system shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HidFound {
    /// Its device file.
    pub path: PathBuf,
    /// Serial number by its USB descriptor; the certificate in the dongle has the last word.
    pub serial: Option<String>,
    /// Its name for people.
    pub product: Option<String>,
    /// Whether this user may use it.
    pub access: Access,
}

/// What this user may do with a device file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write it.
    Usable,
    /// See that it is there. A udev rule or a group is missing.
    Denied,
}

/// All dongles that the system shows, usable or not. An empty list means that there is none.
pub fn list() -> Result<Vec<HidFound>, PipeError> {
    let system = HidApi::new().map_err(unreachable)?;
    let ours = |device: &&DeviceInfo| is_dongle(device.usage_page(), device.usage());
    Ok(system.device_list().filter(ours).filter_map(describe).collect())
}

/// Whether an interface with this usage is a dongle's.
fn is_dongle(usage_page: u16, usage: u16) -> bool {
    (usage_page, usage) == (USAGE_PAGE, USAGE)
}

/// `None` if the device was pulled out meanwhile.
fn describe(device: &DeviceInfo) -> Option<HidFound> {
    let path = PathBuf::from(device.path().to_str().ok()?);
    let text = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let access = probe(&path)?;
    let (serial, product) = (text(device.serial_number()), text(device.product_string()));
    Some(HidFound { path, serial, product, access })
}

/// Tries the device file: groups, access lists and device rules all count, so only the system
/// itself can tell.
fn probe(path: &Path) -> Option<Access> {
    match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(Access::Denied),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => Some(Access::Usable),
    }
}

/// The two calls to the system that the driver needs; a stand-in for the system in tests.
pub trait RawHid {
    /// Writes a report with its report number in front; returns the bytes written.
    fn write(&self, numbered: &[u8]) -> Result<usize, HidError>;
    /// Reads one report into `buffer`; 0 if none comes for `timeout_ms`.
    fn read_timeout(&self, buffer: &mut [u8], timeout_ms: i32) -> Result<usize, HidError>;
}

impl RawHid for HidDevice {
    fn write(&self, numbered: &[u8]) -> Result<usize, HidError> {
        self.write(numbered)
    }

    fn read_timeout(&self, buffer: &mut [u8], timeout_ms: i32) -> Result<usize, HidError> {
        self.read_timeout(buffer, timeout_ms)
    }
}

/// A dongle's open interface.
#[derive(Debug)]
pub struct HidPipe<R: RawHid = HidDevice> {
    raw: R,
}

impl HidPipe {
    /// Opens the device file `path`, as [`list`] names it.
    pub fn open(path: &Path) -> Result<Self, PipeError> {
        // hidapi reports a refusal in words only.
        match probe(path) {
            None => return Err(PipeError::Absent(path.to_owned())),
            Some(Access::Denied) => return Err(PipeError::Denied(path.to_owned())),
            Some(Access::Usable) => {}
        }
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| PipeError::Absent(path.to_owned()))?;
        let raw = HidApi::new().and_then(|system| system.open_path(&name)).map_err(unreachable)?;
        Ok(Self::over(raw))
    }
}

impl<R: RawHid> HidPipe<R> {
    /// A pipe over an open interface.
    pub fn over(raw: R) -> Self {
        Self { raw }
    }
}

impl<R: RawHid> ReportPipe for HidPipe<R> {
    fn send(&mut self, report: &Report) -> Result<(), PipeError> {
        // The dongle's reports have no numbers, which is written as number 0.
        let mut numbered = [0; 1 + REPORT_LEN];
        numbered[1..].copy_from_slice(report);
        match self.raw.write(&numbered).map_err(judge)? {
            n if n == numbered.len() => Ok(()),
            _ => Err(PipeError::Gone),
        }
    }

    fn receive(&mut self, timeout: Duration) -> Result<Report, PipeError> {
        let mut left = timeout.min(LONGEST_WAIT);
        let deadline = Instant::now() + left;
        loop {
            // A report of another length is not a dongle's; the longer buffer tells it apart.
            let mut buffer = [0; REPORT_LEN + 1];
            match self.raw.read_timeout(&mut buffer, whole_ms(left)) {
                Ok(REPORT_LEN) => {
                    let report = buffer.first_chunk().copied();
                    return report.ok_or(PipeError::Gone);
                }
                // Possibly early; whoever waits longer asks again.
                Ok(0) => return Err(PipeError::TimedOut),
                Ok(_) => {}
                Err(HidError::IoError { error }) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(judge(error)),
            }
            left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PipeError::TimedOut);
            }
        }
    }
}

/// Rounded up, so that a wait never spins through its last millisecond.
fn whole_ms(time: Duration) -> i32 {
    i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// hidapi has a number for some errors and words for the others; once the interface is open, the
/// words are those for a device pulled out.
fn judge(error: HidError) -> PipeError {
    match error {
        HidError::IoError { error } => PipeError::in_use(error),
        HidError::HidApiError { .. } | HidError::HidApiErrorEmpty => PipeError::Gone,
        other => unreachable(other),
    }
}

fn unreachable(error: HidError) -> PipeError {
    PipeError::Io(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Hands out what it is given, last first, and keeps what is written.
    struct Scripted {
        reads: RefCell<Vec<Result<Vec<u8>, io::ErrorKind>>>,
        written: RefCell<Vec<u8>>,
    }

    impl RawHid for Scripted {
        fn write(&self, numbered: &[u8]) -> Result<usize, HidError> {
            self.written.borrow_mut().extend_from_slice(numbered);
            Ok(numbered.len())
        }

        fn read_timeout(&self, buffer: &mut [u8], _: i32) -> Result<usize, HidError> {
            match self.reads.borrow_mut().pop() {
                None => Ok(0),
                Some(Err(kind)) => Err(HidError::IoError { error: kind.into() }),
                Some(Ok(bytes)) => {
                    let len = bytes.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&bytes[..len]);
                    Ok(len)
                }
            }
        }
    }

    fn pipe(reads: Vec<Result<Vec<u8>, io::ErrorKind>>) -> HidPipe<Scripted> {
        HidPipe::over(Scripted { reads: reads.into(), written: RefCell::default() })
    }

    #[test]
    fn reports_are_written_under_number_zero() {
        let mut pipe = pipe(Vec::new());
        pipe.send(&[7; REPORT_LEN]).unwrap();
        let written = pipe.raw.written.borrow();
        assert_eq!((written.len(), written[0]), (65, 0));
        assert!(written[1..].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn sec_p15_reports_of_another_length_and_interruptions_are_passed_over() {
        let interrupted = Err(io::ErrorKind::Interrupted);
        let mut pipe = pipe(vec![Ok(vec![3; 64]), Ok(vec![9; 65]), Ok(vec![1; 8]), interrupted]);
        assert_eq!(pipe.receive(Duration::from_secs(3600)).unwrap(), [3; 64]);
        assert!(matches!(pipe.receive(Duration::ZERO), Err(PipeError::TimedOut)));
    }

    #[test]
    fn a_device_pulled_out_is_gone() {
        let mut pipe = pipe(vec![Err(io::ErrorKind::BrokenPipe)]);
        assert!(matches!(pipe.receive(Duration::from_secs(1)), Err(PipeError::Gone)));
    }

    #[test]
    fn only_the_dongle_usage_is_ours() {
        assert!(is_dongle(0xff53, 0x0052));
        assert!(!is_dongle(0xff53, 1) && !is_dongle(0xf1d0, 0x0052) && !is_dongle(0, 0));
    }

    #[test]
    fn a_device_file_may_be_usable_denied_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let path = folder.path().join("hidraw0");
        assert_eq!(probe(&path), None);
        File::create(&path).unwrap();
        assert_eq!(probe(&path), Some(Access::Usable));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
        let (probed, opened) = std::thread::spawn(move || {
            // Root may open everything; this thread alone becomes somebody else.
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_uid(nobody).unwrap();
            }
            (probe(&path), HidPipe::open(&path).map(drop))
        })
        .join()
        .unwrap();
        assert_eq!(probed, Some(Access::Denied));
        assert!(matches!(opened, Err(PipeError::Denied(_))));
    }
}
