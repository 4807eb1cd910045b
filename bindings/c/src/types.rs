//! Structures and constants that C sees.

/// Where containers are looked for. Zero is no context.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct ContextHandle {
    /// For the library alone.
    pub id: u64,
}

/// What a search found. Zero is no search.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchHandle {
    /// For the library alone.
    pub id: u64,
}

/// An open container. Zero is no container.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerHandle {
    /// For the library alone.
    pub id: u64,
}

/// A use of a license. Zero is no seat.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct SeatHandle {
    /// For the library alone.
    pub id: u64,
}

/// An open protected file. Zero is no file.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct FileHandle {
    /// For the library alone.
    pub id: u64,
}

/// A vendor, by the fingerprint of its root.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Vendor {
    /// As `strongroom vendor show` prints it; see `strongroom_vendor_parse`.
    pub fingerprint: [u8; 16],
}

/// What a use requires of a license. Set it to zero, then `struct_size`, `product`, `vendor` and
/// what else is wanted.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Requirement {
    /// `sizeof(strongroom_requirement)`.
    pub struct_size: u32,
    /// Product Code.
    pub product: u32,
    /// Whose product.
    pub vendor: Vendor,
    /// Features that must all be in the license.
    pub features: u64,
    /// Release date of the program, Unix seconds UTC; 0 = not dated.
    pub release_s: u64,
    /// Units taken by the use.
    pub units: u32,
    /// How the use is counted: one of `STRONGROOM_ACCESS_`.
    pub access: u32,
    /// Age of the container's certified time, at most, in seconds; 0 = any.
    pub certified_age_s: u32,
    /// Generation of the vendor's key of the product.
    pub generation: u32,
    /// `STRONGROOM_MODE_LIVE`, or `STRONGROOM_MODE_TEST` for simulated containers.
    pub mode: u32,
    /// 0.
    pub reserved: u32,
}

/// What was granted with a seat. Set `struct_size` before the call.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Grant {
    /// `sizeof(strongroom_grant)`.
    pub struct_size: u32,
    /// Seconds after which a sign of life is due: `strongroom_seat_renew`.
    pub interval_s: u32,
    /// Seconds without one after which the seat is lost.
    pub timeout_s: u32,
    /// 0.
    pub reserved: u32,
    /// First second in which the use ends by itself, by the container's clock; 0 = no end.
    pub ends_s: u64,
    /// The container's clock when the seat was opened, Unix seconds UTC.
    pub now_s: u64,
}

/// An error in numbers. Set `struct_size` before the call.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct ErrorInfo {
    /// `sizeof(strongroom_error)`.
    pub struct_size: u32,
    /// Number in the error table; 0 = no error.
    pub number: u32,
    /// Whose fault: one of `STRONGROOM_FAULT_`.
    pub fault: u32,
    /// With which code a program should exit that ends for it.
    pub exit_code: u32,
    /// First value of the title.
    pub a: u64,
    /// Second value of the title.
    pub b: u64,
}

/// A structure that callers give with its size, so that later versions can add to its end. It
/// begins with that size and has integers only, without gaps.
pub(crate) trait Sized32: Copy + Default {
    /// Bytes in the first version, the least that is taken.
    const LEN_MIN: usize;
}

impl Sized32 for Requirement {
    const LEN_MIN: usize = 64;
}

impl Sized32 for Grant {
    const LEN_MIN: usize = 32;
}

impl Sized32 for ErrorInfo {
    const LEN_MIN: usize = 32;
}

/// One seat for each open handle.
pub const STRONGROOM_ACCESS_USER_LIMIT: u32 = 0;
/// One seat for each machine, terminal session, container or pod.
pub const STRONGROOM_ACCESS_STATION_SHARE: u32 = 1;
/// One instance for each station.
pub const STRONGROOM_ACCESS_EXCLUSIVE: u32 = 2;
/// Not counted.
pub const STRONGROOM_ACCESS_NO_USER_LIMIT: u32 = 3;

/// A license of value; a simulated container is refused.
pub const STRONGROOM_MODE_LIVE: u32 = 0;
/// A license for tests; a real container is refused.
pub const STRONGROOM_MODE_TEST: u32 = 1;

/// Not known to this version.
pub const STRONGROOM_FAULT_NONE: u32 = 0;
/// The license does not allow it, or something has to be plugged in.
pub const STRONGROOM_FAULT_LICENSE: u32 = 1;
/// A message or file is damaged, forged, or not meant for this place.
pub const STRONGROOM_FAULT_MESSAGE: u32 = 2;
/// The calling program.
pub const STRONGROOM_FAULT_CALLER: u32 = 3;
/// The container or its medium.
pub const STRONGROOM_FAULT_CONTAINER: u32 = 4;
/// The machine: permissions, memory, disk, settings.
pub const STRONGROOM_FAULT_MACHINE: u32 = 5;
/// The vendor who made the license or the program.
pub const STRONGROOM_FAULT_VENDOR: u32 = 6;

/// The short code, such as `S0380`.
pub const STRONGROOM_TEXT_CODE: u32 = 1;
/// The name in the error table, such as `Expired`.
pub const STRONGROOM_TEXT_NAME: u32 = 2;
/// What happened.
pub const STRONGROOM_TEXT_TITLE: u32 = 3;
/// Why that is likely.
pub const STRONGROOM_TEXT_LIKELY: u32 = 4;
/// What to do next.
pub const STRONGROOM_TEXT_HINT: u32 = 5;

/// The serial; empty where none could be read.
pub const STRONGROOM_FOUND_SERIAL: u32 = 1;
/// The name that the owner gave it.
pub const STRONGROOM_FOUND_NAME: u32 = 2;
/// The source in which it was found.
pub const STRONGROOM_FOUND_SOURCE: u32 = 3;
