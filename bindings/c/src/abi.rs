//! What C sees: the functions. All that is done with pointers of C code is done in here.

// What every function asks of its pointers stands once, at the head of the header.
#![allow(clippy::missing_safety_doc)]
#![allow(unsafe_code)]

mod pointers;

use std::ffi::{c_char, c_void};
use std::path::Path;

use container::{Container, RUNTIME_VERSION};
use protocol::ids::RootFp;

use crate::context::{Context, Found};
use crate::errors::{self, aside, bad, call};
use crate::file::{self, OpenFile};
use crate::handles;
use crate::seat::{self, HeldSeat, Use};
use crate::types::{
    ContainerHandle, ContextHandle, ErrorInfo, FileHandle, Grant, Requirement,
    STRONGROOM_FOUND_NAME, STRONGROOM_FOUND_SERIAL, STRONGROOM_FOUND_SOURCE, SearchHandle,
    SeatHandle, Vendor,
};
use pointers::{Out, SizedOut, TextOut, bytes, optional_text, requirement, text};

/// The version of this library, such as `0.1.0`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_version(
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { TextOut::at(buffer, capacity, needed) }?;
        out.set(&RUNTIME_VERSION.to_string())
    })
}

/// Opens a context. `sources` is a list with commas, such as `usb,sim:/run/dongle`; NULL or blank
/// takes those of the environment, else of the configuration file, else the standard ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_context_open(
    sources: *const c_char,
    context: *mut ContextHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (context, sources) =
            unsafe { (Out::at(context, "context")?, optional_text(sources, "sources")?) };
        context.set(ContextHandle { id: handles::open(Context::open(sources)?)? });
        Ok(())
    })
}

/// Closes a context. What was opened with it stays open.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_context_close(context: ContextHandle) -> u32 {
    call(|| handles::close::<Context>(context.id).map(drop))
}

/// Searches for containers in all sources of a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_search_open(
    context: ContextHandle,
    search: *mut SearchHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let search = unsafe { Out::at(search, "search") }?;
        let found = handles::get::<Context>(context.id)?.find()?;
        search.set(SearchHandle { id: handles::open(found)? });
        Ok(())
    })
}

/// How many were found, also those that cannot be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_search_count(search: SearchHandle, count: *mut u32) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let count = unsafe { Out::at(count, "count") }?;
        let found = handles::get::<Vec<Found>>(search.id)?;
        count.set(u32::try_from(found.len()).unwrap_or(u32::MAX));
        Ok(())
    })
}

/// A text of number `index` among those found, from 0 on: `part` is one of `STRONGROOM_FOUND_`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_search_text(
    search: SearchHandle,
    index: u32,
    part: u32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { TextOut::at(buffer, capacity, needed) }?;
        let all = handles::get::<Vec<Found>>(search.id)?;
        let found = nth(&all, index)?;
        out.set(match part {
            STRONGROOM_FOUND_SERIAL => &found.serial,
            STRONGROOM_FOUND_NAME => &found.name,
            STRONGROOM_FOUND_SOURCE => &found.source,
            _ => return Err(bad("part", "no such text")),
        })
    })
}

/// What keeps number `index` among those found from being used: that error is the outcome of the
/// call, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_search_hindrance(search: SearchHandle, index: u32) -> u32 {
    call(|| {
        let all = handles::get::<Vec<Found>>(search.id)?;
        nth(&all, index)?.hindrance.clone().map_or(Ok(()), Err)
    })
}

/// Closes a search.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_search_close(search: SearchHandle) -> u32 {
    call(|| handles::close::<Vec<Found>>(search.id).map(drop))
}

/// Opens the container with this serial, or with NULL the only one within reach: among several it
/// does not guess.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_container_open(
    context: ContextHandle,
    serial: *const c_char,
    container: *mut ContainerHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (out, serial) =
            unsafe { (Out::at(container, "container")?, optional_text(serial, "serial")?) };
        let registry = handles::get::<Context>(context.id)?.registry()?;
        out.set(ContainerHandle { id: handles::open(registry.find(serial)?)? });
        Ok(())
    })
}

/// The serial of a container.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_container_serial(
    container: ContainerHandle,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { TextOut::at(buffer, capacity, needed) }?;
        out.set(&handles::get::<Container>(container.id)?.serial().to_string())
    })
}

/// Whether a use would be allowed: 0, or the refusal that it would meet. Nothing is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_container_why(
    container: ContainerHandle,
    requirement: *const Requirement,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let written = unsafe { self::requirement(requirement) }?;
        Use::new(&written)?.why(&*handles::get::<Container>(container.id)?)
    })
}

/// Closes a container. Seats that were opened in it stay open.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_container_close(container: ContainerHandle) -> u32 {
    call(|| handles::close::<Container>(container.id).map(drop))
}

/// Reads a vendor's fingerprint, 32 hexadecimal digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_vendor_parse(
    fingerprint: *const c_char,
    vendor: *mut Vendor,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (vendor, text) =
            unsafe { (Out::at(vendor, "vendor")?, text(fingerprint, "fingerprint")?) };
        let root_fp = RootFp::from_hex(text);
        let root_fp = root_fp.ok_or_else(|| bad("fingerprint", "not 32 hexadecimal digits"))?;
        vendor.set(Vendor { fingerprint: *root_fp.bytes() });
        Ok(())
    })
}

/// Takes a seat. It must be renewed (`strongroom_seat_renew`) or kept (`strongroom_seat_keep`),
/// and is given back when it is closed. That a seat was granted is an answer, and answers can be
/// forged: what must not be had without a license belongs into a protected file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_seat_open(
    container: ContainerHandle,
    requirement: *const Requirement,
    seat: *mut SeatHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (seat, written) = unsafe { (Out::at(seat, "seat")?, self::requirement(requirement)?) };
        let held = Use::new(&written)?.seat(&*handles::get::<Container>(container.id)?)?;
        seat.set(SeatHandle { id: handles::open(held)? });
        Ok(())
    })
}

/// Takes a seat as a protected file asks for it, in the container with this serial, or with NULL in
/// any within reach. To read the file, `strongroom_file_open` takes one by itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_seat_open_for_file(
    context: ContextHandle,
    serial: *const c_char,
    path: *const c_char,
    seat: *mut SeatHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (out, serial, path) = unsafe {
            (Out::at(seat, "seat")?, optional_text(serial, "serial")?, text(path, "path")?)
        };
        let registry = handles::get::<Context>(context.id)?.registry()?;
        let protected = file::protected(Path::new(path))?;
        let (held, _) = seat::for_file(&registry, serial, &protected)?;
        out.set(SeatHandle { id: handles::open(HeldSeat::new(held))? });
        Ok(())
    })
}

/// What was granted with a seat.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_seat_grant(seat: SeatHandle, grant: *mut Grant) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let grant = unsafe { SizedOut::at(grant, "grant") }?;
        let seat = handles::get::<HeldSeat>(seat.id)?;
        let granted = seat.grant();
        grant.set(Grant {
            interval_s: granted.interval_s.into(),
            timeout_s: granted.timeout_s.into(),
            ends_s: granted.ends_s,
            now_s: granted.now_s,
            ..Grant::default()
        });
        Ok(())
    })
}

/// Gives a sign of life. Of a kept seat it says whether it is still held. Otherwise the outcome is
/// why it is lost.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_seat_renew(seat: SeatHandle) -> u32 {
    call(|| handles::get::<HeldSeat>(seat.id)?.renew())
}

/// Has a thread of the library renew a seat until it is closed or lost.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_seat_keep(seat: SeatHandle) -> u32 {
    call(|| handles::get::<HeldSeat>(seat.id)?.keep())
}

/// Gives a seat back.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_seat_close(seat: SeatHandle) -> u32 {
    call(|| handles::close::<HeldSeat>(seat.id).map(drop))
}

/// Opens a protected file with a license in the container with this serial, or with NULL in any
/// within reach. A seat is taken, and kept by a thread of the library until the file is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_file_open(
    context: ContextHandle,
    serial: *const c_char,
    path: *const c_char,
    file: *mut FileHandle,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let (out, serial, path) = unsafe {
            (Out::at(file, "file")?, optional_text(serial, "serial")?, text(path, "path")?)
        };
        let registry = handles::get::<Context>(context.id)?.registry()?;
        let opened = OpenFile::open(&registry, serial, Path::new(path))?;
        out.set(FileHandle { id: handles::open(opened)? });
        Ok(())
    })
}

/// Bytes of content in a protected file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_file_len(file: FileHandle, len: *mut u64) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let len = unsafe { Out::at(len, "len") }?;
        len.set(handles::get::<OpenFile>(file.id)?.len());
        Ok(())
    })
}

/// Decrypts content from `offset` on into `buffer` and tells in `done` how much: all of `len`, or
/// less at the end of the content, or 0 behind it. Threads may read one file at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_file_read(
    file: FileHandle,
    offset: u64,
    buffer: *mut c_void,
    len: usize,
    done: *mut usize,
) -> u32 {
    call(|| {
        // SAFETY: the caller keeps what the header asks for.
        let done = unsafe { Out::at(done, "done") }?;
        let file = handles::get::<OpenFile>(file.id)?;
        // SAFETY: the caller keeps what the header asks for.
        let buffer = unsafe { bytes(buffer, len, file.len().saturating_sub(offset)) }?;
        done.set(file.read(offset, buffer)?);
        Ok(())
    })
}

/// Closes a protected file and gives its seat back.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_file_close(file: FileHandle) -> u32 {
    call(|| handles::close::<OpenFile>(file.id).map(drop))
}

/// The error of the last call in this thread, in numbers; all zero if it was none. The calls about
/// errors are not counted as calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_last(error: *mut ErrorInfo) -> u32 {
    aside(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { SizedOut::at(error, "error") }?;
        out.set(errors::info(errors::last().as_ref()));
        Ok(())
    })
}

/// A text about the error of the last call in this thread, with its values; empty if it was none.
/// `part` is one of `STRONGROOM_TEXT_`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_error_text(
    part: u32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> u32 {
    aside(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { TextOut::at(buffer, capacity, needed) }?;
        out.set(&errors::text(errors::last().as_ref(), part)?)
    })
}

/// A row of the error table, in numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_explain(number: u32, error: *mut ErrorInfo) -> u32 {
    aside(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { SizedOut::at(error, "error") }?;
        out.set(errors::explained(number)?);
        Ok(())
    })
}

/// A text of the error table, with words in place of values. `part` is one of `STRONGROOM_TEXT_`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strongroom_explain_text(
    number: u32,
    part: u32,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> u32 {
    aside(|| {
        // SAFETY: the caller keeps what the header asks for.
        let out = unsafe { TextOut::at(buffer, capacity, needed) }?;
        out.set(&errors::explanation(number, part)?)
    })
}

fn nth(found: &[Found], index: u32) -> Result<&Found, container::Error> {
    found.get(index as usize).ok_or_else(|| bad("index", "not among those found"))
}
