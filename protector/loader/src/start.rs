//! The order of a start: close the process, find the payload, open it, map it, watch it, enter it.

use std::convert::Infallible;
use std::panic;
use std::sync::atomic::AtomicU32;

use linux_raw_sys::auxvec::{AT_BASE, AT_ENTRY, AT_PHDR, AT_PHENT, AT_PHNUM};
use linux_raw_sys::general::{MADV_DONTDUMP, MADV_WIPEONFORK};
use protocol::objects::file::{FileKind, VERSION as FILE_VERSION};

use crate::image::{self, Mapped, interpreter, rights};
use crate::leave::{self, Departure};
use crate::memory::{self, PAGE_LEN, page_up};
use crate::opening::{ImageSource, Opened, Settings};
use crate::payload::Payload;
use crate::resident::block::{Block, Common, STACK_LEN};
use crate::resident::reasons;
use crate::resident::refusal::{
    EXIT_REFUSED, Refusal, Speaker, for_people, for_programs, write_bounded,
};
use crate::resident::text::Text;
use crate::resident::{self, Renew, sys};
use crate::secrecy;
use crate::stack::InitialStack;

/// Kind of file that a payload is.
const ARTIFACT: u8 = FileKind::Artifact as u8;

/// Names the descriptor that gets the reason as JSON.
const REPORT_VARIABLE: &str = "STRONGROOM_REPORT_FD";

/// Variables that bring foreign code or output into a program before it begins.
const FOREIGN_VARIABLES: [&str; 8] = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_ORIGIN_PATH",
    "LD_PROFILE",
    "LD_PROFILE_OUTPUT",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
];

/// Seconds of processor time, for each processor, that a process may use without its watcher.
const CPU_BUDGET_S: u32 = 5;

/// A start under way: what a refusal needs to be said.
#[derive(Debug)]
pub struct Start {
    /// The initial stack.
    pub stack: InitialStack,
    speaker: Speaker,
    report: Option<i32>,
}

/// Starts the protected program in this process. Returns only when it may not start, with the exit
/// status.
pub fn run(stack: InitialStack) -> i32 {
    let name =
        stack.args().next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = Text::new(name.rsplit('/').next().unwrap_or_default());
    let report = stack.variable(REPORT_VARIABLE).and_then(|fd| fd.parse().ok());
    let mut start = Start { stack, speaker: Speaker { name, vendor: Text::EMPTY }, report };
    let attempt = panic::AssertUnwindSafe(|| attempt(&mut start));
    let refusal = match panic::catch_unwind(attempt) {
        Ok(Err(refusal)) => refusal,
        Ok(Ok(never)) => match never {},
        Err(_) => reasons::internal(),
    };
    start.refuse(&refusal)
}

fn attempt(start: &mut Start) -> Result<Infallible, Refusal> {
    secrecy::close(&start.stack)?;
    let payload = Payload::find(&start.stack)?;
    match *payload.bytes() {
        #[cfg(feature = "plain-image")]
        [_, _, _, _, _, _, _, _, crate::plain::KIND, crate::plain::VERSION, ..] => {
            let opened = crate::plain::open(payload)?;
            start.enter(payload, opened)
        }
        [_, _, _, _, _, _, _, _, ARTIFACT, FILE_VERSION, ..] => {
            let opened = crate::license::open(start, payload)?;
            start.enter(payload, opened)
        }
        [_, _, _, _, _, _, _, _, kind, version, ..] => Err(reasons::unknown_payload(kind, version)),
        _ => Err(reasons::no_payload()),
    }
}

impl Start {
    /// Notes the vendor's words for refusals from now on.
    pub fn set_vendor_text(&mut self, text: Text<1200>) {
        self.speaker.vendor = text;
    }

    /// Maps and enters an opened program. `opened` must hold nothing of the payload but its image.
    ///
    /// # Errors
    /// The program cannot be mapped or watched here.
    pub fn enter<S: ImageSource, R: Renew>(
        &mut self,
        payload: Payload,
        opened: Opened<S, R>,
    ) -> Result<Infallible, Refusal> {
        let Opened { image: source, seat, settings } = opened;
        self.speaker.vendor = settings.vendor_text;
        let image = image::load(&source)?;
        let interpreter = interpreter::load(&source, &image.program)?;
        // Keys are wiped and the sealed bytes gone before anything of the program runs.
        drop(source);
        // SAFETY: source and settings were all that read the payload.
        unsafe { payload.discard() };
        if image.program.executable_stack {
            // SAFETY: this is the initial stack.
            unsafe { rights::make_stack_executable(self.stack.pointer()) }?;
        }
        let strings = self.stack.strings();
        if !settings.allow_preload {
            self.stack.drop_env(is_foreign);
        }
        let first = interpreter.map_or(image.entry, |interpreter| interpreter.entry);
        let hooked = interpreter.is_some() && seat.is_some();
        let shown = if hooked { resident::entry_stub() } else { image.entry };
        self.describe_program(&image, interpreter.map_or(0, |it| it.base), shown)?;
        let departure = Departure::new(&self.stack, first);
        if let Some((seat, ticket)) = seat {
            self.watch(&settings, &image, seat, ticket)?;
        }
        leave::describe(&self.stack, strings, &image);
        drop(image);
        // SAFETY: the program is mapped and described, and only the resident part goes on beside
        // it.
        unsafe { departure.go() }
    }

    /// Makes the auxiliary vector the program's.
    fn describe_program(
        &mut self,
        image: &Mapped,
        base: usize,
        entry: usize,
    ) -> Result<(), Refusal> {
        let headers = match image.headers {
            Some(at) => at,
            None => private_copy(&image.program.headers)?,
        };
        self.stack.set_aux(AT_PHDR, headers);
        self.stack.set_aux(AT_PHENT, 56);
        self.stack.set_aux(AT_PHNUM, image.program.header_count);
        self.stack.set_aux(AT_BASE, base);
        self.stack.set_aux(AT_ENTRY, entry);
        self.stack.refresh_random().map_err(reasons::no_memory)
    }

    /// Starts the watcher and leaves the license socket to it.
    fn watch<R: Renew>(
        &self,
        settings: &Settings,
        image: &Mapped,
        seat: R,
        ticket: R::Ticket,
    ) -> Result<(), Refusal> {
        let room = Room::new::<Block<R>>()?;
        let common = Common {
            ready: AtomicU32::new(0),
            stack: room.stack,
            speaker: self.speaker,
            policy: settings.policy,
            cpu_budget_s: CPU_BUDGET_S.saturating_mul(online_processors()),
            report: self.report.and_then(|fd| sys::identity(fd).ok().map(|(d, i)| (fd, d, i))),
            entry: image.entry,
            dynamic: image.dynamic,
            accept_unwatched_forks: settings.accept_unwatched_forks,
            after_fork: resident::child_starter::<R>(),
        };
        let block = room.block as *mut Block<R>;
        // SAFETY: the room was made for this block and stays mapped for good, with a stack that
        // nobody uses.
        let license = unsafe {
            block.write(Block { common, ticket });
            resident::start(block, seat)
        }?;
        sys::close(license);
        Ok(())
    }

    /// Says why the program may not start, and gives the exit status.
    fn refuse(&self, refusal: &Refusal) -> i32 {
        // A reader that has gone must not turn the refusal into a death by SIGPIPE.
        sys::block_signals();
        write_bounded(2, for_people(&self.speaker, refusal).as_bytes());
        if let Some(fd) = self.report {
            write_bounded(fd, for_programs(refusal).as_bytes());
        }
        EXIT_REFUSED
    }
}

fn is_foreign(entry: &[u8]) -> bool {
    let name = entry.split(|&byte| byte == b'=').next().unwrap_or_default();
    FOREIGN_VARIABLES.iter().any(|foreign| foreign.as_bytes() == name)
}

/// Program headers for a program that has them in no segment.
fn private_copy(headers: &[u8]) -> Result<usize, Refusal> {
    // SAFETY: without MAP_FIXED nothing is replaced.
    let at = unsafe { memory::map(0, page_up(headers.len()), 0) }.map_err(reasons::no_memory)?;
    // SAFETY: the memory was mapped just now and is long enough.
    unsafe { (at as *mut u8).copy_from_nonoverlapping(headers.as_ptr(), headers.len()) };
    Ok(at)
}

/// Memory of the resident part: a page without rights, the watcher's stack, the block.
struct Room {
    stack: usize,
    block: usize,
}

impl Room {
    fn new<B>() -> Result<Self, Refusal> {
        let len = PAGE_LEN + STACK_LEN + page_up(size_of::<B>());
        // SAFETY: without MAP_FIXED nothing is replaced.
        let at = unsafe { memory::map(0, len, 0) }.map_err(reasons::no_memory)?;
        let stack = at + PAGE_LEN;
        // SAFETY: the memory was mapped just now and nobody uses it. Children see the stack, with
        // its session, as zeros.
        unsafe {
            memory::protect(at, PAGE_LEN, 0).map_err(reasons::no_memory)?;
            memory::advise(at, len, MADV_DONTDUMP);
            memory::advise(stack, STACK_LEN, MADV_WIPEONFORK);
        }
        Ok(Self { stack, block: stack + STACK_LEN })
    }
}

/// Processors that could run this process, at least one.
fn online_processors() -> u32 {
    let mut text = [0; 512];
    let listed = sys::read_file(c"/sys/devices/system/cpu/online", &mut text).ok();
    listed.and_then(|text| count_processors(std::str::from_utf8(text).ok()?)).unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
    })
}

/// Counts a list such as `0-3,6`.
fn count_processors(list: &str) -> Option<u32> {
    list.trim().split(',').try_fold(0u32, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::{count_processors, is_foreign};

    #[test]
    fn counts_processors() {
        for (list, count) in [("0\n", Some(1)), ("0-3,6\n", Some(5)), ("", None), ("3-1", None)] {
            assert_eq!(count_processors(list), count, "{list}");
        }
    }

    #[test]
    fn foreign_variables_by_whole_name() {
        assert!(is_foreign(b"LD_PRELOAD=/x.so"));
        assert!(is_foreign(b"LD_AUDIT="));
        assert!(!is_foreign(b"LD_PRELOADED=/x.so"));
        assert!(!is_foreign(b"X=LD_PRELOAD=1"));
        assert!(!is_foreign(b"LD_BIND_NOW=1"));
    }
}
