//! A payload without a license, plain or with its key beside it, and a seat of a byte in and a byte
//! out: for tests only.
//!
//! Layout: magic, type `KIND`, version `VERSION`, six zeros, offset and length of the image (u64
//! little-endian), then lines `name=value` up to the image: `key` (64 hexadecimal digits; the image
//! is sealed content then), `policy` (`stop`, `warn:S`, `grace:S`), `preload`, `forks`, `text`,
//! `seat` (path of a Unix socket), `next_ms`, `lost_ms`. To the seat's server `o` opens, `c` opens
//! a child entry, `r` renews; it answers `k` or anything else.

use crate::opening::{ImageSource, Opened, Settings};
use crate::payload::Payload;
use crate::resident::reasons::bad_program;
use crate::resident::refusal::Refusal;
use crate::resident::sys::{self, Result as SysResult};
use crate::resident::text::Text;
use crate::resident::{LossPolicy, Renew, Renewal, Timing};
use crate::sealed::SealedImage;
use linux_raw_sys::general as nr;

/// Type of this payload.
pub const KIND: u8 = 0xee;

/// Version of this payload.
pub const VERSION: u8 = 1;

/// First byte of the settings.
const SETTINGS_AT: usize = 32;

/// Bytes that bring the image in at once.
const UNIT_LEN: u64 = 16 * 1024;

const AF_UNIX: u16 = 1;
const SOCK_STREAM: usize = 1;
const SOCK_CLOEXEC: usize = 0o2_000_000;

/// The image as it stands in the payload.
pub struct PlainImage {
    payload: Payload,
    at: usize,
    len: usize,
}

impl ImageSource for PlainImage {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<(), Refusal> {
        let start = self.at.checked_add(offset as usize);
        let bytes =
            start.and_then(|start| self.payload.bytes().get(start..start.checked_add(out.len())?));
        out.copy_from_slice(bytes.ok_or_else(|| bad_program("it ends early"))?);
        Ok(())
    }

    fn unit_len(&self) -> u64 {
        UNIT_LEN
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.payload.populate(self.at + offset as usize, len as usize);
    }

    fn has_read(&self, offset: u64, len: u64) {
        self.payload.release(self.at + offset as usize, len as usize);
    }
}

/// The image of a test: as it is, or sealed.
pub enum TestImage {
    /// As it is.
    Plain(PlainImage),
    /// Encrypted as in real payloads.
    Sealed(Box<SealedImage>),
}

impl TestImage {
    fn source(&self) -> &dyn ImageSource {
        match self {
            Self::Plain(image) => image,
            Self::Sealed(image) => &**image,
        }
    }
}

impl ImageSource for TestImage {
    fn len(&self) -> u64 {
        self.source().len()
    }

    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<(), Refusal> {
        self.source().read_into(offset, out)
    }

    fn unit_len(&self) -> u64 {
        self.source().unit_len()
    }

    fn will_read(&self, offset: u64, len: u64) {
        self.source().will_read(offset, len);
    }

    fn has_read(&self, offset: u64, len: u64) {
        self.source().has_read(offset, len);
    }
}

/// Opens the payload, with a seat if it names one.
///
/// # Errors
/// The payload is cut, or its seat's server says no.
pub fn open(payload: Payload) -> Result<Opened<TestImage, PlainSeat>, Refusal> {
    let cut = || bad_program("the test payload is cut");
    let number = |at: usize| -> Option<usize> {
        let bytes = payload.bytes().get(at..at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    let (at, len) = (number(16).ok_or_else(cut)?, number(24).ok_or_else(cut)?);
    let lines = payload.bytes().get(SETTINGS_AT..at).ok_or_else(cut)?;
    let lines = String::from_utf8_lossy(lines);
    let value = |key: &str| {
        let mut lines = lines.trim_end_matches('\0').split('\n');
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    };
    let milliseconds =
        |key: &str, default| value(key).and_then(|v| v.parse().ok()).unwrap_or(default);
    let settings = Settings {
        policy: policy(value("policy").as_deref().unwrap_or("stop")),
        allow_preload: value("preload").is_some(),
        accept_unwatched_forks: value("forks").is_some(),
        vendor_text: Text::new(&value("text").unwrap_or_default().replace("\\n", "\n")),
    };
    let seat = match value("seat") {
        None => None,
        Some(path) => {
            let ticket = PlainTicket {
                path: Text::new(&path),
                timing: Timing {
                    next_in_ms: milliseconds("next_ms", 400),
                    lost_after_ms: milliseconds("lost_ms", 1000),
                },
            };
            Some((PlainSeat::open(&ticket, b'o', 5000)?, ticket))
        }
    };
    let image = match value("key").map(|key| parse_key(&key)) {
        Some(key) => TestImage::Sealed(Box::new(SealedImage::open(payload, at, &key, &[])?)),
        None => TestImage::Plain(PlainImage { payload, at, len }),
    };
    Ok(Opened { image, seat, settings })
}

fn parse_key(digits: &str) -> [u8; 32] {
    let digit =
        |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    std::array::from_fn(|at| digit(at * 2).unwrap_or(0))
}

fn policy(text: &str) -> LossPolicy {
    let seconds = |text: &str| text.parse().unwrap_or(1);
    match text.split_once(':') {
        Some(("warn", every)) => LossPolicy::Warn { every_s: seconds(every) },
        Some(("grace", length)) => LossPolicy::Grace { for_s: seconds(length) },
        _ => LossPolicy::Stop,
    }
}

/// A connection to the seat's server.
pub struct PlainSeat {
    socket: i32,
    timing: Timing,
}

/// What a forked child needs.
#[derive(Clone, Copy)]
pub struct PlainTicket {
    path: Text<100>,
    timing: Timing,
}

/// An address of a Unix socket.
#[repr(C)]
struct Address {
    family: u16,
    path: [u8; 108],
}

impl PlainSeat {
    fn open(ticket: &PlainTicket, how: u8, budget_ms: u32) -> Result<Self, Refusal> {
        let seat = connect(&ticket.path).map(|socket| Self { socket, timing: ticket.timing });
        match seat.as_ref().map(|seat| seat.ask(how, budget_ms)) {
            Ok(Some(b'k')) => seat.map_err(|_| denied()),
            Ok(_) => Err(denied()),
            Err(errno) => {
                Err(Refusal::new(2, "test: the seat's server is not there", "start it")
                    .errno(*errno))
            }
        }
    }

    fn ask(&self, what: u8, budget_ms: u32) -> Option<u8> {
        sys::write(self.socket, &[what]).ok()?;
        let mut answer = [0];
        if !sys::poll(self.socket, nr::POLLIN, budget_ms).ok()? {
            return None;
        }
        let len = sys::read(self.socket, &mut answer).ok()?;
        (len == 1).then_some(answer[0])
    }
}

impl Renew for PlainSeat {
    type Ticket = PlainTicket;

    fn descriptor(&self) -> i32 {
        self.socket
    }

    fn opened(&self) -> Timing {
        self.timing
    }

    fn renew(&mut self, budget_ms: u32) -> Renewal {
        match self.ask(b'r', budget_ms) {
            Some(b'k') => Renewal::Kept(self.timing),
            Some(_) => Renewal::Lost(denied()),
            None => Renewal::NoAnswer,
        }
    }

    fn open_child(ticket: &PlainTicket, budget_ms: u32) -> Result<Self, Refusal> {
        Self::open(ticket, b'c', budget_ms)
    }
}

fn connect(path: &Text<100>) -> SysResult<i32> {
    let args = [AF_UNIX as usize, SOCK_STREAM | SOCK_CLOEXEC, 0];
    // SAFETY: takes numbers only.
    let socket = unsafe { sys::call(nr::__NR_socket, args) }?;
    let mut address = Address { family: AF_UNIX, path: [0; 108] };
    for (to, from) in address.path.iter_mut().zip(path.as_bytes()) {
        *to = *from;
    }
    let args = [socket, &raw const address as usize, size_of::<Address>()];
    // SAFETY: the kernel only reads the address.
    unsafe { sys::call(nr::__NR_connect, args) }?;
    Ok(socket as i32)
}

fn denied() -> Refusal {
    Refusal::new(1, "test: the license was withdrawn", "ask the test's server again")
}
