//! Takes from the watcher what it does not need.
//!
//! Credentials belong to a thread. A program that starts as root and becomes another user does not
//! know the watcher and cannot take it along: whoever broke into the program would find a thread of
//! root in its memory.

use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::PR_SET_NO_NEW_PRIVS;

use super::sys;

/// A user that owns nothing: between the ranges that systems hand out. Nobody else runs as it, so
/// nobody may signal the watcher.
const PRIVATE_ID: usize = 0x7353_5247;

/// The user without rights, for user namespaces in which the private one does not exist.
const NOBODY_ID: usize = 65534;

/// Drops user, groups and capabilities of this thread as far as it has any to drop, for good.
pub(super) fn drop_all() {
    // SAFETY: takes numbers only and cannot fail.
    let user = unsafe { sys::call(nr::__NR_geteuid, []) };
    if user == Ok(0) && !become_user(PRIVATE_ID) {
        become_user(NOBODY_ID);
    }
    drop_capabilities();
    // SAFETY: holds for this thread only, and only takes rights.
    let _ = unsafe { sys::prctl(PR_SET_NO_NEW_PRIVS, 1) };
    // A change of user lets the kernel decide anew who may look into the process.
    sys::hide_memory();
}

fn become_user(id: usize) -> bool {
    // SAFETY: the list is empty, so no memory is read; raw calls change this thread only.
    let groups = unsafe { sys::call(nr::__NR_setgroups, [0, 0]) };
    // SAFETY: takes numbers only; changes this thread only.
    let group = unsafe { sys::call(nr::__NR_setresgid, [id, id, id]) };
    // SAFETY: takes numbers only; changes this thread only.
    let user = unsafe { sys::call(nr::__NR_setresuid, [id, id, id]) };
    groups.is_ok() && group.is_ok() && user.is_ok()
}

fn drop_capabilities() {
    let header = nr::__user_cap_header_struct { version: nr::_LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let none = [nr::__user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 }; 2];
    let args = [&raw const header as usize, &raw const none as usize];
    // SAFETY: version 3 reads one header and two data structures.
    let _ = unsafe { sys::call(nr::__NR_capset, args) };
}
