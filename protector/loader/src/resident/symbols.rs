//! Finds a function in the libraries that the dynamic linker has loaded, by their hash tables in
//! memory.

use core::ffi::CStr;

const DT_NULL: usize = 0;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_DEBUG: usize = 21;
const DT_GNU_HASH: usize = 0x6fff_fef5;

/// Function symbols, in the low four bits of `st_info`.
const STT_FUNC: u8 = 2;

/// An entry of a dynamic section.
#[repr(C)]
#[derive(Clone, Copy)]
struct Dyn {
    tag: usize,
    value: usize,
}

/// The linker's public list, as `link.h` declares it.
#[repr(C)]
struct LinkMap {
    addr: usize,
    name: *const u8,
    dynamic: *const Dyn,
    next: *const LinkMap,
}

/// The linker's public root, as `link.h` declares it.
#[repr(C)]
struct Debug {
    version: i32,
    map: *const LinkMap,
}

/// A symbol of a 64-bit library.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sym {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: usize,
    size: u64,
}

/// The address of the first function called `name`, in the order in which the linker looks.
///
/// # Safety
/// `dynamic` must be 0 or the dynamic section of the running program, with the linker done and not
/// at work.
pub(super) unsafe fn find(dynamic: usize, name: &CStr) -> Option<usize> {
    if dynamic == 0 {
        return None;
    }
    // SAFETY: a dynamic section ends in DT_NULL; DT_DEBUG holds 0 or the linker's list, which ends
    // in null.
    unsafe {
        let debug = entry(dynamic as *const Dyn, DT_DEBUG)? as *const Debug;
        let mut map = if debug.is_null() { return None } else { (*debug).map };
        while !map.is_null() {
            if let Some(found) = find_in(&*map, name) {
                return Some(found);
            }
            map = (*map).next;
        }
    }
    None
}

/// # Safety
/// `at` must be a dynamic section.
unsafe fn entry(mut at: *const Dyn, tag: usize) -> Option<usize> {
    // SAFETY: a dynamic section ends in DT_NULL.
    unsafe {
        while (*at).tag != DT_NULL {
            if (*at).tag == tag {
                return Some((*at).value);
            }
            at = at.wrapping_add(1);
        }
    }
    None
}

/// Looks into one library.
///
/// # Safety
/// `map` must describe a loaded library.
unsafe fn find_in(map: &LinkMap, name: &CStr) -> Option<usize> {
    // Some linkers write absolute addresses over the offsets of the file, some leave them.
    let address =
        |value: usize| if value < map.addr { value.wrapping_add(map.addr) } else { value };
    // SAFETY: the library's own tables are read as the ELF specification lays them out.
    unsafe {
        let hash = address(entry(map.dynamic, DT_GNU_HASH)?) as *const u32;
        let symbols = address(entry(map.dynamic, DT_SYMTAB)?) as *const Sym;
        let strings = address(entry(map.dynamic, DT_STRTAB)?) as *const u8;
        let (buckets, first, bloom) = (*hash, *hash.wrapping_add(1), *hash.wrapping_add(2));
        let bucket = hash.wrapping_add(4).wrapping_add((bloom as usize).wrapping_mul(2));
        let chain = bucket.wrapping_add(buckets as usize);
        let wanted = gnu_hash(name);
        let mut index = *bucket.wrapping_add(wanted.checked_rem(buckets)? as usize);
        if index < first {
            return None;
        }
        loop {
            let link = *chain.wrapping_add(index.wrapping_sub(first) as usize);
            let symbol = *symbols.wrapping_add(index as usize);
            if (link | 1) == (wanted | 1) && is_function(&symbol) {
                let own = CStr::from_ptr(strings.wrapping_add(symbol.name as usize).cast());
                if own.to_bytes() == name.to_bytes() {
                    return Some(map.addr.wrapping_add(symbol.value));
                }
            }
            if link & 1 == 1 {
                return None;
            }
            index = index.wrapping_add(1);
        }
    }
}

fn is_function(symbol: &Sym) -> bool {
    symbol.section != 0 && symbol.info & 0xf == STT_FUNC
}

fn gnu_hash(name: &CStr) -> u32 {
    name.to_bytes()
        .iter()
        .fold(5381u32, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_as_the_linker_does() {
        assert_eq!(super::gnu_hash(c""), 0x1505);
        assert_eq!(super::gnu_hash(c"printf"), 0x156b_2bb8);
    }
}
