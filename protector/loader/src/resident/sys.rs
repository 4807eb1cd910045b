//! Raw system calls: no libc, no errno, no thread-local storage.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

use linux_raw_sys::errno;
use linux_raw_sys::general as nr;

/// A failed system call's number, positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Interrupted by a signal.
    pub const INTR: Self = Self(errno::EINTR as i32);
    /// Not permitted.
    pub const PERM: Self = Self(errno::EPERM as i32);
    /// Access denied.
    pub const ACCES: Self = Self(errno::EACCES as i32);
    /// Already there.
    pub const EXIST: Self = Self(errno::EEXIST as i32);
    /// No such memory, or nothing behind it.
    pub const FAULT: Self = Self(errno::EFAULT as i32);
}

/// Result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// Makes a system call with up to six arguments.
///
/// # Safety
/// The call must be sound with these arguments: pointers valid for what the kernel does with them.
#[inline(always)]
pub unsafe fn call<const N: usize>(number: u32, given: [usize; N]) -> Result<usize> {
    let mut a = [0usize; 6];
    for (slot, value) in a.iter_mut().zip(given) {
        *slot = value;
    }
    let ret: isize;
    // SAFETY: the kernel clobbers only rax, rcx and r11; the rest is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as usize => ret,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&ret) { Err(Errno(ret.wrapping_neg() as i32)) } else { Ok(ret as usize) }
}

/// Reads into `out`; 0 = end.
pub fn read(fd: i32, out: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `out.len()` bytes to `out`.
    unsafe { call(nr::__NR_read, [fd as usize, out.as_mut_ptr() as usize, out.len()]) }
}

/// Reads from `offset` into `out`.
pub fn pread(fd: i32, out: &mut [u8], offset: u64) -> Result<usize> {
    let args = [fd as usize, out.as_mut_ptr() as usize, out.len(), offset as usize];
    // SAFETY: the kernel writes at most `out.len()` bytes to `out`.
    unsafe { call(nr::__NR_pread64, args) }
}

/// Writes `bytes`.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel only reads `bytes`.
    unsafe { call(nr::__NR_write, [fd as usize, bytes.as_ptr() as usize, bytes.len()]) }
}

/// Opens a path that ends in NUL, for reading.
pub fn open_read(path: &core::ffi::CStr) -> Result<i32> {
    let flags = nr::O_RDONLY | nr::O_CLOEXEC;
    // SAFETY: the path ends in NUL and is only read.
    unsafe { call(nr::__NR_open, [path.as_ptr() as usize, flags as usize, 0]) }.map(|fd| fd as i32)
}

/// Kinds of Unix sockets, by the kernel's numbers.
#[derive(Clone, Copy)]
pub enum SocketKind {
    /// A stream of bytes.
    Stream = 1,
    /// Packets, in order and whole.
    Packets = 5,
}

/// A new connection to the Unix socket at `path`, at most 107 bytes.
pub fn connect(path: &[u8], kind: SocketKind) -> Result<i32> {
    const AF_UNIX: u16 = 1;
    const SOCK_CLOEXEC: usize = 0o2_000_000;
    #[repr(C)]
    struct Address {
        family: u16,
        path: [u8; 108],
    }
    let mut address = Address { family: AF_UNIX, path: [0; 108] };
    for (to, from) in address.path.iter_mut().zip(path.iter().take(107)) {
        *to = *from;
    }
    let args = [AF_UNIX as usize, kind as usize | SOCK_CLOEXEC, 0];
    // SAFETY: takes numbers only.
    let socket = unsafe { call(nr::__NR_socket, args) }?;
    let args = [socket, &raw const address as usize, size_of::<Address>()];
    // SAFETY: the kernel only reads the address.
    match unsafe { call(nr::__NR_connect, args) } {
        Ok(_) => Ok(socket as i32),
        Err(errno) => {
            close(socket as i32);
            Err(errno)
        }
    }
}

/// Opens the device file at `path`, at most 127 bytes, for reading and writing.
pub fn open_device(path: &[u8]) -> Result<i32> {
    let mut name = [0u8; 128];
    for (to, from) in name.iter_mut().zip(path.iter().take(127)) {
        *to = *from;
    }
    let flags = (nr::O_RDWR | nr::O_CLOEXEC) as usize;
    let args = [nr::AT_FDCWD as usize, name.as_ptr() as usize, flags, 0];
    // SAFETY: the name ends in NUL, and the kernel only reads it.
    Ok(unsafe { call(nr::__NR_openat, args) }? as i32)
}

/// What one read of a file gives.
pub fn read_file<'a>(path: &core::ffi::CStr, out: &'a mut [u8]) -> Result<&'a [u8]> {
    let fd = open_read(path)?;
    let len = read(fd, out);
    close(fd);
    len.map(|len| out.get(..len).unwrap_or(&[]))
}

/// Closes a descriptor.
pub fn close(fd: i32) {
    // SAFETY: closing a descriptor touches no memory.
    let _ = unsafe { call(nr::__NR_close, [fd as usize]) };
}

/// Closes every descriptor of this table from `first` to `last`.
pub fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: closing descriptors touches no memory.
    unsafe { call(nr::__NR_close_range, [first as usize, last as usize, 0]) }.map(drop)
}

/// Waits until `fd` has one of `events` (POLLIN, POLLOUT) or hangs up; false = time is over.
pub fn poll(fd: i32, events: u32, timeout_ms: u32) -> Result<bool> {
    let mut entry = nr::pollfd { fd, events: events as i16, revents: 0 };
    let time = timespec(timeout_ms);
    let args = [&raw mut entry as usize, 1, &raw const time as usize, 0, 8];
    // SAFETY: one entry and one time are passed, both live until the call returns.
    unsafe { call(nr::__NR_ppoll, args) }.map(|n| n != 0)
}

/// Sleeps; a signal may end it early.
pub fn sleep_ms(ms: u32) {
    let time = timespec(ms);
    let args = [nr::CLOCK_MONOTONIC as usize, 0, &raw const time as usize, 0];
    // SAFETY: the kernel only reads `time`.
    let _ = unsafe { call(nr::__NR_clock_nanosleep, args) };
}

fn timespec(ms: u32) -> nr::timespec {
    nr::timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000 * 1_000_000) }
}

/// A clock in milliseconds; 0 where there is no such clock.
pub fn clock_ms(clock: u32) -> u64 {
    let mut time = nr::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    let _ = unsafe { call(nr::__NR_clock_gettime, [clock as usize, &raw mut time as usize]) };
    (time.tv_sec as u64).saturating_mul(1000).saturating_add(time.tv_nsec as u64 / 1_000_000)
}

/// Ends the whole process.
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: ends the process; nothing of it is used after.
        let _ = unsafe { call(nr::__NR_exit_group, [status as usize]) };
    }
}

/// Waits while `word` is `value`, at most `timeout_ms`.
pub fn futex_wait(word: &AtomicU32, value: u32, timeout_ms: u32) {
    let time = timespec(timeout_ms);
    let op = (nr::FUTEX_WAIT | nr::FUTEX_PRIVATE_FLAG) as usize;
    let args = [word.as_ptr() as usize, op, value as usize, &raw const time as usize];
    // SAFETY: the kernel reads the word and the time, both alive during the call.
    let _ = unsafe { call(nr::__NR_futex, args) };
}

/// Wakes all who wait for `word`.
pub fn futex_wake(word: &AtomicU32) {
    let op = (nr::FUTEX_WAKE | nr::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: the address is only used as a key.
    let _ = unsafe { call(nr::__NR_futex, [word.as_ptr() as usize, op, i32::MAX as usize]) };
}

/// Blocks every signal for this thread and gives the mask from before.
pub fn block_signals() -> u64 {
    let (all, mut before) = (u64::MAX, 0u64);
    let args = [nr::SIG_SETMASK as usize, &raw const all as usize, &raw mut before as usize, 8];
    // SAFETY: both masks are eight bytes, as the last argument says.
    let _ = unsafe { call(nr::__NR_rt_sigprocmask, args) };
    before
}

/// Sets this thread's signal mask.
pub fn set_signals(mask: u64) {
    let args = [nr::SIG_SETMASK as usize, &raw const mask as usize, 0, 8];
    // SAFETY: the mask is eight bytes, as the last argument says.
    let _ = unsafe { call(nr::__NR_rt_sigprocmask, args) };
}

/// `prctl` with numbers only.
///
/// # Safety
/// `option` must be one whose arguments are no pointers, and whose effect the program can bear.
pub unsafe fn prctl(option: u32, value: usize) -> Result<usize> {
    // SAFETY: no argument is a pointer, by the caller's promise.
    unsafe { call(nr::__NR_prctl, [option as usize, value, 0, 0, 0]) }
}

/// Makes the process non-dumpable: no core, and nobody of the same user may look into it.
pub fn hide_memory() {
    // SAFETY: changes what others may see of this process, no memory of it.
    let _ = unsafe { prctl(linux_raw_sys::prctl::PR_SET_DUMPABLE, 0) };
}

/// Random bytes from the kernel.
pub fn random(out: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let args = [rest.as_mut_ptr() as usize, rest.len(), 0];
        // SAFETY: the kernel writes at most `rest.len()` bytes.
        match unsafe { call(nr::__NR_getrandom, args) } {
            Ok(n) => done = done.saturating_add(n),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A descriptor of process `pid`, with which its descriptors can be copied.
pub fn pidfd_open(pid: i32) -> Result<i32> {
    // SAFETY: takes numbers only.
    unsafe { call(nr::__NR_pidfd_open, [pid as usize, 0]) }.map(|fd| fd as i32)
}

/// Copies descriptor `theirs` of the process behind `pidfd` into this table.
pub fn pidfd_getfd(pidfd: i32, theirs: i32) -> Result<i32> {
    let args = [pidfd as usize, theirs as usize, 0];
    // SAFETY: takes numbers only.
    unsafe { call(nr::__NR_pidfd_getfd, args) }.map(|fd| fd as i32)
}

/// Number of this process.
pub fn process_id() -> i32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { call(nr::__NR_getpid, []) }.unwrap_or(0) as i32
}

/// Device and inode of a descriptor.
pub fn identity(fd: i32) -> Result<(u64, u64)> {
    // SAFETY: a stat of zeros is a valid one.
    let mut stat: nr::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one stat structure.
    unsafe { call(nr::__NR_fstat, [fd as usize, &raw mut stat as usize]) }?;
    Ok((stat.st_dev, stat.st_ino))
}
