//! Rows of soft licenses: block 0x0C.

/// Adds them behind what it is given.
macro_rules! soft_rows {
    ($($before:tt)*) => {
        all_rows! {
    $($before)*
    // a container that is locked
    SoftStale = 0x0C01, Container, Denied,
        "the container's files are not the latest that it had",
        "an old copy of them was put back, or the TPM of this machine was set back",
        "Put the latest files back. Where they are lost: strongroom tpm init --again.";
    SoftForeign = 0x0C02, Container, Denied,
        "the container belongs to another TPM",
        "its folder came from another machine, or the board with the TPM was replaced",
        "Use it on its own machine. Where that is lost: strongroom tpm init --again.";
    SoftGone = 0x0C03, Container, Denied,
        "what the container kept in the TPM is gone",
        "the TPM was cleared, or its memory was tidied up",
        "Ask the vendor to know this machine again: strongroom tpm init --again.";
    SoftAlien = 0x0C04, Container, Denied,
        "what the container kept in the TPM was replaced by something else",
        "somebody deleted it and made it again",
        "Ask the vendor to know this machine again: strongroom tpm init --again.";
    SoftCounterBack = 0x0C05, Container, Denied,
        "the counter in the TPM is lower than it was",
        "the TPM of a virtual machine was set back to an earlier state",
        "Ask the vendor to know this machine again: strongroom tpm init --again.";
    SoftTimeBack = 0x0C06, Container, Denied,
        "this machine's clock says {a:time}, and it said {b:time} before",
        "the clock was set back by more than a day, or it was wrong before",
        "Set the clock right. Where it was wrong before: strongroom tpm init --again.";
    SoftTraits = 0x0C07, Container, Denied,
        "this is not the machine that the container is bound to",
        "it was moved, or too much of the machine was replaced at once",
        "Move it back. Where that cannot be: strongroom tpm init --again.";
    SoftGraceOver = 0x0C08, Container, Denied,
        "the machine is a copy (0) or was rebuilt (1), {b}, and was borne until {a:time}",
        "a virtual machine was copied or set back, or parts of the machine were replaced",
        "After parts were replaced: strongroom tpm rebind. Else: strongroom tpm init --again.";
    SoftDamaged = 0x0C0A, Container, Tamper,
        "the container's folder is damaged, or is none",
        "a file in it was changed, or the folder is another one",
        "Put its latest copy back. Where there is none: strongroom tpm init --again.";
    SoftUncertified = 0x0C0B, Container, Denied,
        "no vendor has certified this container yet",
        "its activation was begun and not finished",
        "Go on with it: strongroom tpm init --gateway URL.";
    SoftOtherFirm = 0x0C0C, License, Denied,
        "the container holds licenses of one vendor, and this is another",
        "soft licenses of two vendors are on this machine",
        "Name the container that is meant: --container SERIAL.";
    AnswerOther = 0x0C72, Message, Conflict,
        "the update answers a request that this container did not make",
        "a copy of this container asked, or this one was set back since it asked",
        "Collect what is for this one: strongroom activate. A copy is told apart there.";
    // what binds a container to its machine
    SoftIndistinct = 0x0C0D, Machine, Denied,
        "too little tells this machine from others: traits of weight {a}, where {b} is needed",
        "it is virtual, its firmware names no serial numbers, or this user may not read them",
        "Look with strongroom tpm probe as root. With a TPM: strongroom tpm init --tolerance off.";
    SoftRebindUnchecked = 0x0C0E, Container, Denied,
        "no checkpoint was passed since the container was bound at {a:time}",
        "each checkpoint with the vendor allows to bind it once",
        "Pass one first: strongroom renew. Then repeat the command.";
    SoftRebindSoon = 0x0C0F, Container, Denied,
        "the container may be bound again by a checkpoint from {a:time} on, and the last was at \
         {b:time}",
        "it was bound less than 30 days before that",
        "Pass a checkpoint then, and repeat the command.";
    SoftNeedsTraits = 0x0C10, Machine, Denied,
        "without a TPM the machine's traits are all that binds a container, and cannot be off",
        "the tolerance off was asked for",
        "Choose loose, medium or strict: --tolerance.";
    // a TPM that cannot be used
    TpmAbsent = 0x0C20, Machine, NotFound,
        "no TPM 2.0 answers here",
        "this machine has none, it is off in the firmware's settings, or this user may not use it",
        "Look with strongroom tpm probe. To use /dev/tpmrm0 a user must be in the group tss.";
    TpmPassword = 0x0C21, Machine, Permission,
        "the TPM wants a password, of its owner (0) or endorsement (1) hierarchy: {a}",
        "the administrator of this machine set one",
        "Name a file that holds it: STRONGROOM_TPM_OWNER_PASSWORD_FILE, or _ENDORSEMENT_.";
    TpmBusy = 0x0C22, Machine, Conflict,
        "the TPM stayed busy",
        "other programs use it without a pause, or it limits how often it writes",
        "Try again in a minute.";
    TpmLockout = 0x0C23, Machine, Conflict,
        "the TPM is locked out against guessing",
        "some program gave it wrong passwords",
        "Wait until it unlocks itself, or have the administrator reset it.";
    TpmFull = 0x0C24, Machine, Conflict,
        "the TPM has no room for another index",
        "other programs, or containers that are no longer used, fill its memory",
        "Have the administrator look: tpm2_getcap handles-nv-index. Remove what is not used.";
    TpmDisabled = 0x0C25, Machine, Permission,
        "a hierarchy of the TPM is switched off",
        "the firmware or the administrator switched it off",
        "Switch it on in the settings of the firmware.";
    TpmExhausted = 0x0C26, Machine, Conflict,
        "the sessions or keys that the TPM holds at once are used up",
        "another program uses the TPM without the kernel's resource manager",
        "Use /dev/tpmrm0 in all programs, and try again.";
    TpmFailed = 0x0C27, Machine, Failure,
        "the TPM refused what was asked of it",
        "it is none of version 2.0, or it failed",
        "Test it: strongroom tpm selftest.";
    // what a vendor asks of a machine
    EnrollmentRefused = 0x0C60, Message, Tamper,
        "the request for a certificate, or its answer, does not hold",
        "it was damaged on its way, or is for another vendor",
        "Make it again: strongroom tpm init.";
    EnrollmentUnknown = 0x0C61, Message, Conflict,
        "no request waits for this answer",
        "the container asked again since then, or the request is of long ago",
        "Begin again: strongroom tpm init.";
    EnrollmentTaken = 0x0C63, Message, Tamper,
        "a container of this id has another key",
        "somebody asks in the name of a container that is not his",
        "Make a container of its own: strongroom tpm init.";
    TpmUnproven = 0x0C62, Message, Tamper,
        "the TPM did not prove that the container is in it",
        "it is none that makes restricted keys, or something on the way changed its answers",
        "Test it: strongroom tpm selftest. Then begin again: strongroom tpm init.";
    ContainerForked = 0x0C70, License, Conflict,
        "the container has a copy: its request {a} is not the one that was answered",
        "the machine was copied with all that it has, or was set back to a snapshot",
        "Go on with one of them. After a restore of this machine: strongroom tpm init --again.";
    CopyNotAdopted = 0x0C71, Caller, Conflict,
        "a copy of a container does not take its place",
        "what was issued to the first is in its chain of updates, which goes one way",
        "Dismiss the case, or block both. The copy becomes its own: strongroom tpm init --again.";
    TakeOverTooOften = 0x0C64, License, Conflict,
        "licenses of lost containers came to this machine {a} times within a year, and {b} are \
         allowed",
        "the container is certified; what the lost one held waits until the vendor decides",
        "Ask the vendor to decide the case. Then: strongroom collect.";
    TakeOverElsewhere = 0x0C65, License, Conflict,
        "the lost container was not proved to be of this machine, and such moves in a year are {a} \
         of {b}",
        "its TPM was another one, or there was none; the container is certified all the same",
        "Ask the vendor to decide the case. Then: strongroom collect.";
    TakeOverStopped = 0x0C66, License, Conflict,
        "the container that was lost is blocked, revoked, or under question",
        "the vendor stopped it before; the new container is certified all the same",
        "Ask the vendor to decide the case. Then: strongroom collect.";
    SoftReplaced = 0x0C67, Container, Denied,
        "another container took the place of this one",
        "it was said to be lost: strongroom tpm init --again",
        "Use the new one. Where nobody of yours asked for that, tell the vendor.";
    PhysicalTpmNeeded = 0x0C68, License, Denied,
        "product {a} has no end and no checkpoint, and this container's TPM is not proved to be a \
         physical one",
        "the TPM is of a virtual machine, or no maker on the vendor's list vouches for it",
        "Order it with a checkpoint or an end, or use a dongle or another machine.";
    EndNeeded = 0x0C69, License, Denied,
        "product {a} has no end and no checkpoint, and no TPM keeps this container",
        "an old copy of its folder would be as good as the folder",
        "Order it with a checkpoint or an end, or use a dongle or a machine with a TPM.";
    VirtualRefused = 0x0C6A, Machine, Denied,
        "the vendor certifies no virtual machine without a TPM",
        "whoever owns the host can copy it, with all that it is known by",
        "Give the virtual machine a TPM, or ask the vendor to allow it.";
    // the helper
    HelperMissing = 0x0C40, Machine, NotFound,
        "the helper for soft licenses is not installed",
        "strongroom-tpm is neither beside this program nor in a folder of PATH",
        "Install it, or build it: cargo build --release --package strongroom-tpm.";
    HelperFailed = 0x0C41, Machine, Failure,
        "the helper for soft licenses did not start",
        "the container's folder is not this user's, or the disk is full",
        "Start it by hand to see why: strongroom-tpm serve --dir FOLDER.";
    HelperPrivate = 0x0C42, Machine, Permission,
        "the container is another user's, who does not share it",
        "its helper serves the user who owns its folder, and root",
        "Have the owner serve it to all: strongroom-tpm serve --dir FOLDER --shared.";
        }
    };
}
