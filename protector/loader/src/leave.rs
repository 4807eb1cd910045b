//! Leaves the process as the kernel gives it to a fresh program, then enters the program.

use core::arch::{asm, global_asm};

use linux_raw_sys::auxvec::AT_RSEQ_FEATURE_SIZE;
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::{PR_SET_MM, PR_SET_MM_MAP, prctl_mm_map};

use crate::image::Mapped;
use crate::memory::page_up;
use crate::resident::sys;
use crate::stack::{InitialStack, Strings};

/// The signature with which the C library registers, given back to unregister.
const RSEQ_SIGNATURE: usize = 0x5305_3053;

/// Asks to unregister.
const RSEQ_UNREGISTER: usize = 1;

/// Pages over which the kernel spreads the beginning of the heap.
const BREAK_PAGES: usize = 8192;

// Newer C libraries say where they have registered; with older ones there is nothing to undo.
global_asm!(".weak __rseq_offset", ".weak __rseq_size");

/// What is left to do when nothing of the loader is needed any more.
#[derive(Debug, Clone, Copy)]
pub struct Departure {
    /// The program's first instruction, or that of its dynamic linker.
    pub entry: usize,
    /// The stack pointer it gets.
    pub stack: usize,
    rseq: Option<(usize, [usize; 3])>,
}

impl Departure {
    /// Prepares it while the C library can still be used.
    pub fn new(stack: &InitialStack, entry: usize) -> Self {
        let feature_len = stack.aux(AT_RSEQ_FEATURE_SIZE).unwrap_or(0).next_multiple_of(32);
        let rseq = rseq_area().map(|(at, len)| (at, [32, feature_len, len]));
        Self { entry, stack: stack.pointer(), rseq }
    }

    /// Takes what the C library has registered for this thread back, and enters the program.
    ///
    /// # Safety
    /// `entry` and `stack` must be those of a mapped program, and nothing of the loader but its
    /// resident part may run after.
    pub unsafe fn go(self) -> ! {
        if let Some((at, lens)) = self.rseq {
            let unregister = |len: usize| {
                let args = [at, len, RSEQ_UNREGISTER, RSEQ_SIGNATURE];
                // SAFETY: the kernel only forgets the area.
                unsafe { sys::call(nr::__NR_rseq, args) }.is_ok()
            };
            let _ = lens.into_iter().any(unregister);
        }
        // SAFETY: each takes a registration of the C library back; nobody of it runs after, by the
        // caller's promise.
        unsafe {
            let _ = sys::call(nr::__NR_set_robust_list, [0, 24]);
            let _ = sys::call(nr::__NR_set_tid_address, [0]);
            let _ = sys::call(nr::__NR_arch_prctl, [nr::ARCH_SET_FS as usize, 0]);
            enter(self.entry, self.stack)
        }
    }
}

/// # Safety
/// As `Departure::go`.
unsafe fn enter(entry: usize, stack: usize) -> ! {
    // SAFETY: this is how the kernel enters a program; rdx = 0 says that there is nothing to call
    // at exit.
    unsafe {
        asm!(
            "mov rsp, rsi",
            "xor eax, eax",
            "xor ebx, ebx",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor ebp, ebp",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "mov r11, rdi",
            "xor edi, edi",
            "jmp r11",
            in("rdi") entry,
            in("rsi") stack,
            options(noreturn),
        )
    }
}

/// Where the C library has registered its restartable sequence, and the length it tells.
fn rseq_area() -> Option<(usize, usize)> {
    let (offset, size, pointer): (*const isize, *const u32, usize);
    // SAFETY: reads two addresses of the linker's, null where the symbols do not exist, and the
    // thread pointer.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            "mov {1}, qword ptr [rip + __rseq_size@GOTPCREL]",
            "mov {2}, qword ptr fs:[0]",
            out(reg) offset, out(reg) size, out(reg) pointer,
            options(nostack, readonly),
        );
    }
    if offset.is_null() || size.is_null() {
        return None;
    }
    // SAFETY: both are variables of the C library with these types.
    let (offset, size) = unsafe { (offset.read(), size.read()) };
    (size > 0).then(|| (pointer.wrapping_add_signed(offset), size as usize))
}

/// Tells the kernel where the program's parts lie, so that its heap begins behind it and `/proc`
/// shows it as usual. Kernels without checkpoint and restore refuse; the heap then begins
/// elsewhere.
pub fn describe(stack: &InitialStack, strings: Strings, image: &Mapped) {
    let (code, data) = (image.range(true), image.range(false));
    let heap = page_up(image.end()) + random_gap();
    let (auxv, auxv_len) = stack.aux_bytes();
    let map = prctl_mm_map {
        start_code: code.0 as u64,
        end_code: code.1 as u64,
        start_data: data.0 as u64,
        end_data: data.1 as u64,
        start_brk: heap as u64,
        brk: heap as u64,
        start_stack: stack.pointer() as u64,
        arg_start: strings.args.0 as u64,
        arg_end: strings.args.1 as u64,
        env_start: strings.env.0 as u64,
        env_end: strings.env.1 as u64,
        auxv: auxv as *mut u64,
        auxv_size: auxv_len as u32,
        exe_fd: u32::MAX,
    };
    let args = [
        PR_SET_MM as usize,
        PR_SET_MM_MAP as usize,
        &raw const map as usize,
        size_of::<prctl_mm_map>(),
        0,
    ];
    // SAFETY: the kernel reads the map and the vector. The heap moves, so the loader allocates
    // nothing by it after this call.
    let _ = unsafe { sys::call(nr::__NR_prctl, args) };
}

fn random_gap() -> usize {
    let mut random = [0; 8];
    match sys::random(&mut random) {
        Ok(()) => usize::from_le_bytes(random) % BREAK_PAGES * crate::memory::PAGE_LEN,
        Err(_) => 0,
    }
}
