//! Pointers of C code: checked as far as can be, then used once.
//!
//! A pointer that is not NULL is aligned and points to what the header says, for as long as the
//! call lasts: that much only the caller can know. Nothing here keeps a reference to his memory
//! but [`bytes`] and the texts, and those end with the call.

use std::ffi::{c_char, c_void};
use std::ptr;

use container::Error;
use protocol::errors::ErrorCode;

use crate::errors::bad;
use crate::types::{Requirement, Sized32};

/// Bytes of a text, at most, without its end.
const TEXT_LEN_MAX: usize = 4096;

/// Bytes of a structure, at most: what lies beyond is no size but a mistake.
const STRUCT_LEN_MAX: usize = 4096;

/// A place for one value, which holds nothing until it is set.
pub(super) struct Out<T>(*mut T);

impl<T: Default> Out<T> {
    /// # Safety
    /// `to` is NULL, unaligned, or points to room for a `T` until the call ends.
    pub(super) unsafe fn at(to: *mut T, name: &str) -> Result<Self, Error> {
        check(to, name)?;
        // SAFETY: it is not NULL and is aligned, so there is room.
        unsafe { to.write(T::default()) };
        Ok(Out(to))
    }

    pub(super) fn set(self, value: T) {
        // SAFETY: `at` has written there, and the call goes on.
        unsafe { self.0.write(value) };
    }
}

/// A place for a structure that names its size.
pub(super) struct SizedOut<T> {
    to: *mut T,
    len: usize,
}

impl<T: Sized32> SizedOut<T> {
    /// # Safety
    /// `to` is NULL, unaligned, or points to room for as many bytes as the size in it says.
    pub(super) unsafe fn at(to: *mut T, name: &str) -> Result<Self, Error> {
        // SAFETY: as here.
        let size = unsafe { size_at(to, name) }?;
        Ok(SizedOut { to, len: size.min(size_of::<T>()) })
    }

    /// Sets all that the caller has room for, but the size.
    pub(super) fn set(self, value: T) {
        let (from, to) = (ptr::from_ref(&value).cast::<u8>(), self.to.cast::<u8>());
        let size_len = size_of::<u32>();
        // SAFETY: both have `len` bytes, at least the four of the size, and are different memory.
        unsafe {
            ptr::copy_nonoverlapping(from.add(size_len), to.add(size_len), self.len - size_len);
        }
    }
}

/// A place for a text.
pub(super) struct TextOut {
    buffer: *mut u8,
    capacity: usize,
    needed: *mut usize,
}

impl TextOut {
    /// # Safety
    /// `buffer` is NULL or points to `capacity` bytes; `needed` is NULL, unaligned, or points to
    /// room for a number.
    pub(super) unsafe fn at(
        buffer: *mut c_char,
        capacity: usize,
        needed: *mut usize,
    ) -> Result<Self, Error> {
        if buffer.is_null() && capacity != 0 {
            return Err(bad("buffer", "NULL"));
        }
        check_len(capacity, "capacity")?;
        if !needed.is_null() || buffer.is_null() {
            check(needed, "needed")?;
            // SAFETY: it is not NULL and is aligned, so there is room.
            unsafe { needed.write(0) };
        }
        if capacity > 0 {
            // SAFETY: there is room for at least one byte.
            unsafe { buffer.write(0) };
        }
        Ok(TextOut { buffer: buffer.cast(), capacity, needed })
    }

    /// Sets it, with a zero at its end. Without a buffer only the length is told.
    pub(super) fn set(self, text: &str) -> Result<(), Error> {
        let len = text.len() + 1;
        if !self.needed.is_null() {
            // SAFETY: `at` has written there, and the call goes on.
            unsafe { self.needed.write(len) };
        }
        if self.buffer.is_null() {
            return Ok(());
        }
        if len > self.capacity {
            return Err(ErrorCode::BufferSmall.with(len as u64, self.capacity as u64).into());
        }
        // SAFETY: the buffer holds `capacity` bytes, at least `len`, and is not the library's.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), self.buffer, text.len());
            self.buffer.add(text.len()).write(0);
        }
        Ok(())
    }
}

/// A text that must be there.
///
/// # Safety
/// `text` is NULL or points to bytes that end with a zero.
pub(super) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Error> {
    check(text, name)?;
    let mut len = 0;
    // SAFETY: no byte before this one was the last.
    while unsafe { *text.add(len) } != 0 {
        len += 1;
        if len > TEXT_LEN_MAX {
            return Err(bad(name, format_args!("longer than {TEXT_LEN_MAX} bytes")));
        }
    }
    // SAFETY: these bytes were just read, and stay until the call ends.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
    std::str::from_utf8(bytes).map_err(|error| bad(name, error))
}

/// A text, or NULL.
///
/// # Safety
/// As [`text`].
pub(super) unsafe fn optional_text<'a>(
    text: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: as here.
    unsafe { self::text(text, name) }.map(Some)
}

/// A requirement. What a newer caller adds to its end must be zero: it would be lost.
///
/// # Safety
/// `from` is NULL, unaligned, or points to as many bytes as the size in it says.
pub(super) unsafe fn requirement(from: *const Requirement) -> Result<Requirement, Error> {
    let name = "requirement";
    // SAFETY: as here.
    let size = unsafe { size_at(from, name) }?;
    let known = size.min(size_of::<Requirement>());
    let mut value = Requirement::default();
    // SAFETY: both have `known` bytes, of integers only, and are different memory.
    unsafe {
        ptr::copy_nonoverlapping(from.cast::<u8>(), ptr::from_mut(&mut value).cast(), known);
    }
    // SAFETY: the caller's structure has `size` bytes.
    let newer = unsafe { std::slice::from_raw_parts(from.cast::<u8>().add(known), size - known) };
    if newer.iter().any(|byte| *byte != 0) {
        return Err(bad(name, "asks for what this version does not know"));
    }
    Ok(value)
}

/// A buffer for content of which `left` bytes can come, as zeros. What can not come is not touched.
///
/// # Safety
/// `buffer` is NULL or points to `len` bytes that nobody else uses until the call ends.
pub(super) unsafe fn bytes<'a>(
    buffer: *mut c_void,
    len: usize,
    left: u64,
) -> Result<&'a mut [u8], Error> {
    check_len(len, "len")?;
    if buffer.is_null() && len == 0 {
        return Ok(&mut []);
    }
    check(buffer.cast::<u8>(), "buffer")?;
    let len = usize::try_from(left).map_or(len, |left| left.min(len));
    let buffer = buffer.cast::<u8>();
    // SAFETY: there are at least `len` bytes, which nobody else uses; they are set before they
    // are seen as bytes.
    unsafe {
        buffer.write_bytes(0, len);
        Ok(std::slice::from_raw_parts_mut(buffer, len))
    }
}

/// The size that a structure names.
///
/// # Safety
/// `from` is NULL, unaligned, or points to at least a size.
unsafe fn size_at<T: Sized32>(from: *const T, name: &str) -> Result<usize, Error> {
    check(from, name)?;
    // SAFETY: it is not NULL and is aligned, and begins with its size.
    let size = unsafe { from.cast::<u32>().read() } as usize;
    match (T::LEN_MIN..=STRUCT_LEN_MAX).contains(&size) {
        true => Ok(size),
        false => Err(bad(name, format_args!("a struct_size of {size}"))),
    }
}

fn check<T>(pointer: *const T, name: &str) -> Result<(), Error> {
    match pointer {
        pointer if pointer.is_null() => Err(bad(name, "NULL")),
        pointer if !pointer.is_aligned() => Err(bad(name, "not aligned")),
        _ => Ok(()),
    }
}

/// No object of any program is longer.
fn check_len(len: usize, name: &str) -> Result<(), Error> {
    match isize::try_from(len) {
        Ok(_) => Ok(()),
        Err(_) => Err(bad(name, "longer than memory")),
    }
}
