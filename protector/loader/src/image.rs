//! Maps the decrypted program, and its dynamic linker, into this process.

pub mod fill;
pub mod interpreter;
pub mod parse;
pub mod place;
pub mod rights;

use linux_raw_sys::general::{MADV_DONTDUMP, MADV_HUGEPAGE};

use crate::memory::{self, HUGE_LEN, page_down, page_up};
use crate::opening::ImageSource;
use crate::resident::Refusal;

use self::parse::Program;

/// A program in memory, ready to be entered.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// What is added to the addresses of the file.
    pub bias: usize,
    /// First byte of the program itself.
    pub entry: usize,
    /// Its program headers in memory, if a segment has them.
    pub headers: Option<usize>,
    /// Its dynamic section, 0 where there is none.
    pub dynamic: usize,
    /// What the file says.
    pub program: Program,
}

impl Mapped {
    /// First address, and the end, of the segments with or without `X`.
    pub fn range(&self, executable: bool) -> (usize, usize) {
        let segments = self.program.segments.iter().filter(|s| s.is_executable() == executable);
        let range = segments.map(|s| s.at(self.bias)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        range.unwrap_or((self.entry, self.entry))
    }

    /// End of the last segment.
    pub fn end(&self) -> usize {
        self.program.span().1.wrapping_add(self.bias)
    }
}

/// Maps the program and decrypts it straight into place.
///
/// # Errors
/// It is no program of this machine, there is no memory, or its bytes are not what the vendor
/// sealed.
pub fn load(source: &impl ImageSource) -> Result<Mapped, Refusal> {
    let program = parse::read(source)?;
    let bias = place::reserve(&program)?;
    let (start, end) = program.span();
    let (start, end) = (page_down(start.wrapping_add(bias)), page_up(end.wrapping_add(bias)));
    // SAFETY: the range was reserved just now; neither advice changes what is in it.
    unsafe {
        memory::advise(start, end - start, MADV_DONTDUMP);
        if program.file_len() >= HUGE_LEN {
            memory::advise(
                start,
                page_up(program.file_end().wrapping_add(bias)) - start,
                MADV_HUGEPAGE,
            );
        }
    }
    // SAFETY: the range was reserved just now and covers all segments.
    unsafe { fill::fill(source, &program, bias) }?;
    // SAFETY: nobody but this function uses the range yet.
    unsafe { rights::set(&program, bias) }?;
    Ok(Mapped {
        bias,
        entry: program.entry.wrapping_add(bias),
        headers: program.headers_at.map(|at| at.wrapping_add(bias)),
        dynamic: program.dynamic.map_or(0, |at| at.wrapping_add(bias)),
        program,
    })
}
