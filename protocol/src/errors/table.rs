//! The rows. Append within a block; never change or reuse a number. Those of License Central are in
//! [`server`], those of soft licenses in [`soft`].

#[macro_use]
mod server;
#[macro_use]
mod soft;

use super::{ErrorRow, Exit, Fault};

macro_rules! error_table {
    ($($name:ident = $number:literal, $fault:ident, $exit:ident,
        $title:literal, $likely:literal, $next:literal;)*) => {
        /// A known error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $title] $name = $number,)*
        }

        impl ErrorCode {
            /// All rows, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The number.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The row.
            pub const fn row(self) -> ErrorRow {
                match self {
                    $(ErrorCode::$name => ErrorRow {
                        number: $number,
                        name: stringify!($name),
                        fault: Fault::$fault,
                        exit: Exit::$exit,
                        title: $title,
                        likely: $likely,
                        next: $next,
                    },)*
                }
            }
        }
    };
}

/// All rows: these, and behind them those of the other files.
macro_rules! all_rows {
    ($($others:tt)*) => { error_table! {
    // codec
    Malformed = 0x0101, Message, Tamper,
        "a message or file cannot be read",
        "it was cut short or damaged on its way",
        "Fetch it again from where it came, or ask its sender.";
    TooLong = 0x0102, Message, Tamper,
        "{a} bytes, where at most {b} are allowed",
        "it is not the kind of file that was asked for, or it is damaged",
        "Check that this is the right file.";
    NewerVersion = 0x0103, Message, Failure,
        "made by a newer version of Strongroom (version byte {a})",
        "this installation is older than the sender's",
        "Install a newer version of Strongroom.";
    UnknownCommand = 0x0104, Message, Failure,
        "the container does not know this command",
        "its firmware is older than this program",
        "Update the container's firmware, or use an older program.";
    NotStrongroom = 0x0105, Message, Tamper,
        "this is no Strongroom file",
        "another file was named by mistake, or its beginning was lost",
        "Check that this is the right file.";
    OtherFileKind = 0x0106, Message, Usage,
        "this is a Strongroom file of kind {a}, where kind {b} is needed",
        "context, update and receipt files were mixed up",
        "See what a file is with: strongroom inspect FILE.";
    CutShort = 0x0107, Message, Tamper,
        "the file is cut short: {a} bytes are missing",
        "a transfer was interrupted",
        "Fetch the file again from where it came.";
    // channel
    HandshakeFailed = 0x0201, Message, Tamper,
        "the secure channel to the container could not be opened",
        "something between this program and the container changed the messages, or the \
         container is not the one expected",
        "Connect the container directly and try again.";
    ChannelDead = 0x0202, Container, Failure,
        "the secure channel to the container broke",
        "the container was unplugged or restarted, or messages were changed on the way",
        "Check that the container is plugged in and try again.";
    TooManySessions = 0x0203, Container, Conflict,
        "the container already serves {a} sessions, the most it can",
        "many programs use it at the same time",
        "Close programs that use this container and try again.";
    DeviceSilent = 0x0204, Container, NotFound,
        "the container did not answer in time",
        "it was unplugged, or it hangs",
        "Unplug it, plug it in again and retry.";
    DeviceGarbage = 0x0205, Container, Tamper,
        "the container sent what no container sends",
        "the device is broken, or it is no Strongroom container",
        "Try another port or another container; if it stays, have it replaced.";
    CertificateRefused = 0x0206, Message, Tamper,
        "the container's certificate is not valid here",
        "it was not made by a maker that is trusted here, or the certificate was changed",
        "Use a container of a trusted maker.";
    TestContainer = 0x0207, License, Denied,
        "this is a simulated container, which holds no real license",
        "a test container was left in the list of sources",
        "Use a real container, or a vendor directory made with --test.";
    LiveContainer = 0x0208, License, Denied,
        "a test license was asked of a real container",
        "a program protected for tests is run against a real container",
        "Run it against a simulated container.";
    ContainerChanged = 0x0209, Container, Conflict,
        "another container answered than the one that was opened",
        "it was exchanged in the meantime",
        "Open the container again.";
    // refusals of use, in the order of evaluation
    ContainerLocked = 0x0301, Container, Denied,
        "the container is locked (reason {a})",
        "its state is not the latest that it had, or its medium failed",
        "Ask the vendor to restore your licenses to another container.";
    FirmUnknown = 0x0310, License, Denied,
        "no license of this vendor is in the container",
        "the license was put into another container, or was never applied",
        "Apply the update file from the vendor, or plug in the container that has the license.";
    FirmLocked = 0x0311, License, Denied,
        "a trap of product {a} locked the licenses of this vendor, {b:time}",
        "a key was asked for that no program asks for: somebody tried to take its keys out",
        "Ask the vendor, who can unlock the container by an update.";
    ProductUnknown = 0x0320, License, Denied,
        "product {a} is not in the container",
        "the license was put into another container, or was removed",
        "Apply the update file from the vendor, or plug in the container that has the license.";
    FeaturesMissing = 0x0321, License, Denied,
        "the license has features {b:x}, but {a:x} are needed",
        "this function was not bought",
        "Ask the vendor for an extension of the license.";
    ParentMissing = 0x0322, License, Denied,
        "the entry is a module of product {a}, entry {b}, which is not in the container",
        "only a part of the license was moved or removed",
        "Ask the vendor for the whole license.";
    AccessCodeWrong = 0x0325, License, Permission,
        "the access code is wrong; {a} more may be tried before the container is plugged in again",
        "it was mistyped, or belongs to another field",
        "Ask the vendor for the code of this field.";
    DataUnknown = 0x0326, License, NotFound,
        "the entry has no data in this field ({a})",
        "the vendor did not write it, or another field was meant",
        "List what is there with: strongroom license show PRODUCT.";
    DataSecret = 0x0327, Caller, Permission,
        "this data may not be read; keys can be derived from it",
        "it is secret data",
        "Use it as a key source.";
    Suspended = 0x0330, License, Denied,
        "the license is suspended",
        "the vendor suspended it, for example until an invoice is paid",
        "Ask the vendor.";
    RuntimeOld = 0x0340, License, Denied,
        "the license needs version {a:version} of Strongroom on this machine, here is {b:version}",
        "the vendor relies on something that this version does not have yet",
        "Install a newer version of the program, or of Strongroom.";
    RegionRefused = 0x0350, License, Denied,
        "the license does not hold for the market {a:country}; its list of markets begins with \
         {b:country}",
        "it was bought for another market, or this machine does not say in which it is",
        "Name the market with STRONGROOM_MARKET or in the configuration file, or ask the vendor.";
    CertifiedTimeOld = 0x0361, License, Denied,
        "the container's certified time is {a} seconds old, at most {b} are allowed",
        "it was not brought up to date for a while",
        "Apply an update from the vendor or bring the container's time up to date.";
    TimeNotFresh = 0x0362, License, Denied,
        "the license needs certified time after each power-up, and none has come yet",
        "the container was plugged in, or the machine woke up, and no server was asked since",
        "Connect to the network, or bring certified time by file: strongroom container time.";
    SyncOverdue = 0x0363, License, Denied,
        "time was certified {a} seconds ago, at most {b} are allowed by the license",
        "the container was not brought in touch with the vendor for a while",
        "Bring certified time: strongroom container time.";
    HostTimeMissing = 0x0364, License, Denied,
        "the license follows the clock of this machine, which was not told to the container",
        "the program uses the container without Strongroom's library",
        "Use it through the library, which tells it.";
    HostTimeFar = 0x0365, License, Denied,
        "this machine's clock says {a:time}; without certified time the license follows it until \
         {b:time} only",
        "the clock of this machine is wrong, or the container was not used for long",
        "Set the clock of this machine, or bring certified time: strongroom container time.";
    NotYetActive = 0x0370, License, Denied,
        "the license begins at {a:time}; the container's clock says {b:time}",
        "it was bought for a later start",
        "Wait until it begins, or ask the vendor.";
    Expired = 0x0380, License, Denied,
        "the license expired at {a:time}; the container's clock says {b:time}",
        "the time that was paid for is over",
        "Renew the license with the vendor.";
    UsageOver = 0x0390, License, Denied,
        "the usage period ended at {a:time}; the container's clock says {b:time}",
        "the time that was paid for began with the first use and is over",
        "Buy more time from the vendor.";
    Lapsed = 0x03A0, License, Denied,
        "the license had to be renewed by {a:time}; the container's clock says {b:time}",
        "it was not brought to a checkpoint with the vendor in time",
        "Ask the vendor for a renewal: send a new context file, apply the update that comes back.";
    MaintenanceUndated = 0x03B0, License, Denied,
        "the software names no release date; the license covers releases from {a:time} until \
         {b:time}",
        "it was protected without one",
        "Ask the vendor for software that names its release date.";
    MaintenanceNotYet = 0x03B1, License, Denied,
        "the software was released at {a:time}; the license covers releases from {b:time} on",
        "the license is for newer versions only",
        "Install a newer version of the software.";
    MaintenanceOver = 0x03B2, License, Denied,
        "the software was released at {a:time}; the license covers releases until {b:time}",
        "the maintenance that was paid for ended before this version",
        "Renew the maintenance with the vendor, or use an older version of the software.";
    OtherUser = 0x03C0, License, Denied,
        "the license is for one user, and not for the one who asks",
        "it was bought for somebody else",
        "Use it as the user whom it names: strongroom license show PRODUCT.";
    OtherUserKey = 0x03C1, License, Denied,
        "the license is for the holder of one key, and the one who asks did not prove to have it",
        "it was bought for somebody else, or the key file was not named",
        "Name the key file with STRONGROOM_USER_KEY or in the configuration file.";
    NoUnits = 0x03D0, License, Denied,
        "{a} units are needed, {b} are left",
        "the units that were paid for are used up",
        "Buy more units from the vendor.";
    ReservationLarge = 0x03D1, License, Denied,
        "{a} units at once, where a reservation may hold {b} at most",
        "the vendor limits how many units can be lost at once",
        "Reserve less, and more often.";
    TooManyReservations = 0x03D2, License, Denied,
        "{a} reservations of units are open, the most that may be",
        "programs ended without saying how many they used, and the vendor wants to settle that",
        "Ask the vendor for an update that settles them.";
    ReservationUnknown = 0x03D3, Caller, Conflict,
        "no such reservation of units is open",
        "it was accounted for, or given up, before",
        "Nothing is lost: see what is left with: strongroom license show PRODUCT.";
    ReservationLess = 0x03D4, Caller, Usage,
        "{a} units are said to be used, where {b} were reserved",
        "a program counts more than it reserved",
        "Reserve units before they are used.";
    UsageLogFull = 0x03D5, License, Denied,
        "{a} entries of the usage log wait for the vendor, the most that fit",
        "the log was not sent to the vendor for long",
        "Send it: strongroom license log, and apply the acknowledgement that comes back.";
    NoSeat = 0x03E0, License, Denied,
        "all {a} seats are taken ({b} in use)",
        "others use the license at the same time",
        "Close another program that uses it, or wait.";
    AccessModeUnsupported = 0x03E1, License, Denied,
        "this container does not count seats in the way asked for (mode {a})",
        "the program was protected for another kind of container",
        "Ask the vendor for a program that fits this container.";
    StationUnknown = 0x03E5, License, Denied,
        "seats are counted by stations, and it was not said on which station this is",
        "the program uses the container without Strongroom's library",
        "Use it through the library, which says so.";
    StationBusy = 0x03E6, License, Denied,
        "the program runs already on this station, and may run once",
        "another window or session on this machine has it open",
        "Close the other one.";
    ModeDenied = 0x03E4, License, Denied,
        "the license refuses uses that are counted in this way (mode {a})",
        "the program was protected for another license of this product",
        "Ask the vendor for the license or the program that fits.";
    SeatUnknown = 0x03E2, License, Denied,
        "this seat is not held any more",
        "the container was restarted, or the program did not answer in time",
        "Start the program again.";
    SeatGone = 0x03E3, License, Denied,
        "the seat was lost: no sign of life for {a} seconds, {b} are allowed",
        "the program or the machine was stopped for a while",
        "Start the program again.";
    SeatQuarantine = 0x03E7, License, Denied,
        "seats that were in use when the container lost its power may still be; {a} seconds are \
         left",
        "the container was unplugged or restarted while programs used it",
        "Wait so long and try again. Programs that held a seat go on.";
    ReplugTooFast = 0x03E8, License, Denied,
        "the container was moved between machines too quickly; it opens again in {a} seconds",
        "it is switched to and fro, by hand or by a device",
        "Leave it where it is for so long and try again.";
    KeyMissing = 0x03F0, License, Denied,
        "the container has no key of product {a}, generation {b}",
        "the program is newer than the license",
        "Apply the newest update file from the vendor.";
    KeyMismatch = 0x03F1, Message, Tamper,
        "the key of this program does not fit the license",
        "the program's header was changed, or it belongs to another license",
        "Install the program again from its source.";
    BlockRefused = 0x03F2, Message, Tamper,
        "the block cannot be decrypted",
        "it was changed, or made for other conditions or from another key",
        "Make it again, for the conditions that the license is used under.";
    // updates
    UpdateSignature = 0x0401, Message, Tamper,
        "the update was not signed by the vendor",
        "it was changed on its way, or somebody else made it",
        "Fetch the update again from the vendor.";
    UpdateOtherContainer = 0x0402, Message, Denied,
        "the update is for another container",
        "files for several containers were mixed up",
        "See for which one it is with: strongroom update preview FILE.";
    UpdateOtherFirm = 0x0403, Message, Tamper,
        "the update names another vendor than its keys",
        "it was put together from parts of others",
        "Fetch the update again from the vendor.";
    UpdateOld = 0x0404, Message, Conflict,
        "the container is already at number {a}; the update has number {b}",
        "it was applied before",
        "Nothing is lost: the receipt of the present state is repeated. Send it to the vendor.";
    UpdateAhead = 0x0405, Message, Conflict,
        "the container expects update number {a}; this one has number {b}",
        "an earlier update was not applied yet",
        "Apply the earlier updates first.";
    UpdateOtherState = 0x0406, Message, Conflict,
        "update number {a} does not follow from the container's state",
        "it was made for another line of updates, one of which was superseded",
        "Send a new context file to the vendor and ask for a new update.";
    UpdateLate = 0x0407, Message, Denied,
        "the update had to be applied before {a:time}; the container's clock says {b:time}",
        "it waited too long",
        "Ask the vendor for a new update.";
    UpdateBody = 0x0408, Message, Tamper,
        "the update's contents are not the ones that the vendor signed",
        "it was changed or damaged on its way",
        "Fetch the update again from the vendor.";
    UpdateOp = 0x040A, Vendor, Failure,
        "operation {a} of the update cannot be applied",
        "the vendor made it with a newer version, or wrongly",
        "Update the container's firmware, or ask the vendor.";
    ItemUnknown = 0x040B, Vendor, Failure,
        "operation {a} means an entry or a key that is not there",
        "the vendor's account of this container differs from its state",
        "Send a new context file to the vendor.";
    KeySeal = 0x040C, Vendor, Tamper,
        "the item key in operation {a} was not sealed to this container",
        "the vendor made it for another container",
        "Send a new context file to the vendor.";
    TooManyFirms = 0x040D, Container, Failure,
        "the container already serves {a} vendors, the most it can",
        "licenses of many vendors are in it",
        "Use another container for this vendor.";
    NoUpdate = 0x040E, Caller, Conflict,
        "no update was begun, or it waited for more than {a} seconds",
        "the transfer was interrupted",
        "Apply the update again from its beginning.";
    ChunkOffset = 0x040F, Caller, Conflict,
        "the container expects byte {a} of the update, not byte {b}",
        "a part was lost or repeated",
        "Apply the update again from its beginning.";
    UpdateBusy = 0x0410, Container, Conflict,
        "another update is being applied right now",
        "two programs apply updates at the same time",
        "Wait for {a} seconds and try again.";
    RootNeeded = 0x0411, Message, Denied,
        "the vendor is new to this container, and the update does not bring the vendor's root",
        "an earlier update was not applied, or the file is incomplete",
        "Ask the vendor for the complete update file.";
    RootRefused = 0x0412, Message, Tamper,
        "the vendor's root is not valid",
        "it was changed on its way",
        "Fetch the file again from the vendor.";
    NoReceipt = 0x0413, Caller, NotFound,
        "there is no receipt of number {a}; the latest is {b}",
        "no update was applied yet, or it is too long ago",
        "Ask for the latest receipt.";
    NoParent = 0x0414, Vendor, Failure,
        "operation {a} makes an entry a module of product {b}, which is not there or is a module \
         itself",
        "the vendor's account of this container differs from its state",
        "Send a new context file to the vendor.";
    UnitsOverflow = 0x0415, Vendor, Failure,
        "{a} units more than the {b} that were ever granted are more than can be counted",
        "the vendor mistyped the number",
        "Ask the vendor for a new update.";
    UsageEntriesGone = 0x0416, Caller, NotFound,
        "entries of the usage log behind {a} were asked for; those up to {b} were acknowledged and \
         are gone",
        "somebody else sent the log to the vendor",
        "Ask for those behind {b}.";
    AckSignature = 0x0417, Message, Tamper,
        "the acknowledgement of the usage log was not signed by the vendor for this container",
        "it was changed on its way, or is for another container",
        "Ask the vendor for it again.";
    AckFork = 0x0418, Message, Conflict,
        "the vendor acknowledges a usage log of {a} entries that is not the one here, which has \
         {b}",
        "the container was rolled back or copied, or the vendor's records were",
        "Keep the file and ask the vendor.";
    UserProof = 0x0419, Message, Permission,
        "the proof of the user's key does not hold",
        "the key file was changed",
        "Name the right key file.";
    SuiteForHosts = 0x041A, Message, Denied,
        "this was signed under suite {a}, which hosts verify and containers do not",
        "the vendor signed it with a key for leases, or somebody changed it on its way",
        "Ask the vendor for an update that was signed under suite 1.";
    // updates: whom a vendor trusts
    RootOld = 0x0420, Message, Conflict,
        "the container knows the vendor's root of version {a}; this one has version {b}",
        "it was brought before, or it is another one of the same version",
        "Nothing is to be done if it was brought before; else ask the vendor.";
    RootSkipped = 0x0421, Message, Conflict,
        "the container knows the vendor's root of version {a}; version {b} does not follow it",
        "the roots between them are missing",
        "Ask the vendor for a file with all of the roots.";
    RootUnsigned = 0x0422, Message, Tamper,
        "{a} of the vendor's keys signed the new root, where {b} must",
        "it was not made by the vendor, or not finished",
        "Do not use it. Ask the vendor for the file with the roots.";
    RevocationOld = 0x0423, Message, Conflict,
        "the container knows revocations of epoch {a}; these have epoch {b}",
        "they were brought before, or older ones were put in their place",
        "Nothing is to be done if they were brought before; else ask the vendor for the newest.";
    RevocationRefused = 0x0424, Message, Tamper,
        "the revocations are not signed by the vendor",
        "they were changed on their way, or somebody else made them",
        "Fetch the file again from the vendor.";
    RevocationOtherRoot = 0x0425, Message, Tamper,
        "the revocations were made for another root than version {a}, which the container knows",
        "files of different times were mixed",
        "Ask the vendor for one file with all roots and the newest revocations.";
    RevocationNeeded = 0x0426, Message, Denied,
        "the container knows revocations of epoch {a}; for this issuer it needs epoch {b}",
        "the vendor's newest revocations were not brought yet",
        "Ask the vendor for the file with the roots and revocations, and apply it first.";
    KeyRevoked = 0x0427, Message, Denied,
        "the key that signed this was revoked by the vendor (epoch {a})",
        "it was stolen, or its holder may not issue any more",
        "Ask the vendor itself for an update.";
    DelegationRefused = 0x0428, Message, Tamper,
        "the issuer's right was not given by the vendor, or gives more than was given",
        "the file was put together from parts of others, or the vendor changed its keys",
        "Ask the issuer, or the vendor itself, for a new update.";
    DelegationOver = 0x0429, Message, Denied,
        "the issuer's right ended at {a:time}; the container's clock says {b:time}",
        "it was not renewed by the vendor",
        "Ask the issuer, or the vendor itself, for a new update.";
    DelegationProduct = 0x042A, Message, Denied,
        "operation {a} of the update is not within what its issuer may do",
        "the issuer may issue some products only",
        "Ask the vendor itself for the license.";
    DelegationQuantity = 0x042B, Message, Denied,
        "the update gives {a} seats, where its issuer may give {b}",
        "the issuer may issue small licenses only",
        "Ask the vendor itself for the license.";
    RecoveryOp = 0x042C, Message, Denied,
        "operation {a} of the update is not one that its signers may make",
        "recovery makes licenses perpetual and nothing else, and nobody else does that",
        "Ask the vendor for an update that its licensing key signed.";
    ContainerRevoked = 0x042D, License, Denied,
        "the container was revoked by the vendor (epoch {a})",
        "it was lost or stolen, or its keys are known",
        "Ask the vendor for another container.";
    FirmwareRevoked = 0x042E, License, Denied,
        "the container's firmware {a:version} was revoked by the vendor (epoch {b})",
        "a flaw was found in it",
        "Update the container's firmware, or use another container.";
    RevocationStale = 0x042F, Vendor, Denied,
        "the revocations ended at {a:time}; now it is {b:time}",
        "newer ones were not made, or somebody keeps them away",
        "Make or fetch the newest revocations.";
    // time
    NoTime = 0x0501, Container, Denied,
        "the container does not know the time",
        "it has no clock of its own and was never told the time",
        "Apply an update from the vendor: it brings the time.";
    NonceUnknown = 0x0502, Message, Conflict,
        "the time token answers no question that the container asked in the last {a} seconds",
        "it took too long, or the container was unplugged in between",
        "Ask anew: strongroom container time.";
    TokenSignature = 0x0503, Message, Tamper,
        "the time token was not signed by the vendor",
        "it was changed on its way, or somebody else made it",
        "Ask anew: strongroom container time.";
    TokenEarlier = 0x0504, Message, Conflict,
        "the time token says {a:time}; the vendor certified {b:time} before",
        "one of the vendor's clocks is wrong",
        "Ask the vendor.";
    // home
    StoreFull = 0x0601, Container, Failure,
        "the container is full",
        "many entries of many vendors are in it",
        "Remove licenses that are not needed, or use another container.";
    StoreFailed = 0x0602, Container, Failure,
        "the container's memory failed",
        "it is worn out or broken",
        "Ask the vendor to restore your licenses to another container.";
    RandomFailed = 0x0603, Container, Failure,
        "the container's source of random numbers failed its test",
        "the device is broken",
        "Have the container replaced.";
    TooManySeats = 0x0604, Container, Conflict,
        "the container already counts {a} open uses, the most it can",
        "many programs use it at the same time",
        "Close programs that use this container and try again.";
    Interrupted = 0x0605, Container, Failure,
        "the container lost power in the middle of a command",
        "it was unplugged",
        "Plug it in again: the old or the new state holds. Repeat the command.";
    PinNeeded = 0x0606, License, Permission,
        "the container's owner set a PIN, which this needs",
        "it changes what belongs to the owner, or lets a new vendor in",
        "Enter the PIN: at the prompt, with --pin-file, or in STRONGROOM_CONTAINER_PIN.";
    PinWrong = 0x0607, License, Permission,
        "the PIN is wrong; {a} more may be tried",
        "it was mistyped, or changed by somebody else",
        "Try again. A forgotten PIN is replaced with: strongroom container pin reset.";
    PinLocked = 0x0608, License, Permission,
        "the PIN was entered wrongly {a} times, the most that may be",
        "somebody tried to guess it",
        "Licenses go on. Set a new PIN with: strongroom container pin reset.";
    RecoveryWrong = 0x0609, License, Permission,
        "the recovery code is wrong; {a} more may be tried",
        "it was mistyped, or belongs to an older PIN",
        "Look for the code that was shown when the PIN was set.";
    NoPin = 0x060A, Caller, Usage,
        "no PIN is set",
        "its owner took it away, or never set one",
        "Nothing needs one. Set one with: strongroom container pin set.";
    Decommissioned = 0x060B, Container, Denied,
        "the container is decommissioned: nothing is left in it",
        "its owner retired it for good",
        "Its vendors can issue your licenses for another container; they need its final \
         statements: strongroom container decommission --out FOLDER.";
    NotDecommissioned = 0x060C, Caller, Conflict,
        "the container is not decommissioned",
        "it has no final statements yet",
        "To retire it for good: strongroom container decommission.";
    VendorKeyMissing = 0x060D, Container, NotFound,
        "the container keeps no such key of a vendor",
        "it is another dongle, or the key was destroyed",
        "Plug in the dongle that the vendor directory names.";
    VendorKeysFull = 0x060E, Container, Conflict,
        "the container keeps {a} keys of vendors, the most that it takes",
        "keys of earlier roots or of other vendors are in it",
        "Use another dongle for the new keys.";
    PinNotSet = 0x060F, Container, Permission,
        "a container that keeps keys of a vendor needs a PIN",
        "without one everybody at this machine could sign",
        "Set one: strongroom container pin set.";
    PinKept = 0x0610, Container, Conflict,
        "the PIN stays: the container keeps {a} keys of vendors",
        "without it anybody could set one and sign",
        "Give those roles keys elsewhere first: strongroom vendor key rotate --store.";
    // host: finding and opening
    NoContainer = 0x0801, License, NotFound,
        "no container was found",
        "none is plugged in, or the place to look was not named",
        "Plug the container in, or name where to look with --source.";
    SeveralContainers = 0x0802, Caller, Usage,
        "{a} containers were found",
        "several are plugged in",
        "Name one with --container SERIAL.";
    ContainerUnknown = 0x0803, License, NotFound,
        "the container asked for was not found among {a}",
        "it is not plugged in, or the serial was mistyped",
        "List those present with: strongroom container list.";
    SourceUnknown = 0x0804, Caller, Usage,
        "a source of containers is not known",
        "it was mistyped",
        "Known sources: usb, sim:SOCKET.";
    SourceFailed = 0x0805, Machine, NotFound,
        "a source of containers cannot be reached",
        "the simulator or service is not running",
        "Plug the container in, start its simulator or service, or remove it from the list of \
         sources.";
    NoPermission = 0x0806, Machine, Permission,
        "{a} devices are there but may not be opened by this user",
        "the udev rule is missing, or the session is not local",
        "Install the udev rule for Strongroom devices and plug the container in again.";
    Configuration = 0x0807, Machine, Usage,
        "the configuration file cannot be used",
        "it was edited wrongly, or may not be read by this user",
        "Mend the file, or name the sources with --source.";
    UserKeyFile = 0x0808, Machine, Permission,
        "the file of the user's key cannot be used",
        "it is missing, was changed, or others may read it",
        "Make one with: strongroom user new FILE, and let nobody else read it.";
    // host: calls from other languages
    BadArgument = 0x0881, Caller, Usage,
        "an argument of the call cannot be used",
        "a pointer is NULL or not aligned, a length or size does not fit, or a text is no UTF-8",
        "Correct the calling program; the words in parentheses name the argument.";
    HandleUnknown = 0x0882, Caller, Usage,
        "the handle is not open",
        "it was closed, was never opened, or is of another kind than the call wants",
        "Correct the calling program.";
    BufferSmall = 0x0883, Caller, Usage,
        "{a} bytes are needed, the buffer holds {b}",
        "the text is longer than the program expected",
        "Repeat the call with a buffer of the length that it told.";
    TooManyHandles = 0x0884, Caller, Conflict,
        "the program has {a} handles open, the most it can",
        "it does not close what it has opened",
        "Correct the calling program.";
    FileUnreadable = 0x0885, Machine, NotFound,
        "the file cannot be read",
        "it is not there, or this user may not read it",
        "Check the name and the rights of the file.";
    Defect = 0x0886, Vendor, Failure,
        "a call failed in a way that no call should",
        "a defect of Strongroom",
        "Tell the vendor of the program what was written to its standard error.";
    // protected programs and files
    ArtifactBroken = 0x0901, Message, Tamper,
        "the protected file was changed or damaged",
        "a transfer was interrupted, or somebody changed it",
        "Install it again from its source.";
    ContentBroken = 0x0902, Message, Tamper,
        "the protected contents were changed or damaged",
        "a transfer was interrupted, or somebody changed them",
        "Install it again from its source.";
    Unsuitable = 0x0903, Vendor, Usage,
        "the program cannot be protected as it is",
        "its way of working does not fit the loader",
        "See the reasons above; some can be accepted by a flag.";
    TracerAttached = 0x0904, Machine, Failure,
        "a debugger is attached to the program",
        "it was started from a debugger or tracer",
        "Start it without one.";
    SetUserId = 0x0905, Machine, Permission,
        "a protected program does not run with raised rights (set-user-id, capabilities)",
        "the file has the set-user-id bit or capabilities",
        "Remove such bits and capabilities from the file; start it as the user it needs.";
    NoMemory = 0x0906, Machine, Failure,
        "no memory for the program",
        "a limit on address space, or strict overcommit",
        "Raise the limit of memory (ulimit -v, vm.overcommit_memory), or free some.";
    ExecRefused = 0x0907, Machine, Permission,
        "the system does not let memory of this program become executable",
        "a security setting forbids it",
        "Look at SELinux execmem, PaX MPROTECT or MemoryDenyWriteExecute.";
    AddressTaken = 0x0908, Machine, Failure,
        "the address that the program was linked for is in use",
        "an unusual kernel setting",
        "Ask the vendor for this program in another form.";
    LoaderMissing = 0x0909, Machine, NotFound,
        "the loader that protected programs carry was not found",
        "only part of Strongroom was built or installed",
        "Build it with ./dev build, or name it with --loader.";
    InterpreterMissing = 0x090A, Machine, NotFound,
        "the program's interpreter cannot be opened",
        "the system's dynamic loader is missing",
        "Install the package that brings it.";
    NoProc = 0x0910, Machine, Failure,
        "/proc/self/status cannot be read",
        "the program runs where /proc is not mounted",
        "Mount /proc where this program runs.";
    LicenseSilent = 0x0911, License, Denied,
        "the license was lost: its container no longer answers",
        "it was unplugged, or its service has ended",
        "Plug the container in or start its service, then start the program again.";
    NoTimer = 0x0912, Machine, Failure,
        "the license cannot be watched: the system refuses a timer",
        "a limit of pending signals",
        "Raise the limit of pending signals (ulimit -i).";
    NoThread = 0x0913, Machine, Failure,
        "the license cannot be watched: the system refuses another thread",
        "a limit of processes or tasks",
        "Raise the limit of processes (ulimit -u), or of tasks in the service.";
    NoForkHook = 0x0914, Vendor, Failure,
        "the C library of this program offers no place for the license of forked children",
        "it is not the library that the program was protected for",
        "The vendor can protect the program so that children without a license are accepted.";
    LoaderFailed = 0x0915, Vendor, Failure,
        "the loader of this program failed",
        "a defect of Strongroom",
        "Tell the vendor what is written above this line.";
    NotMappable = 0x0916, Vendor, Failure,
        "the protected program cannot be mapped",
        "it was built in a way that the loader does not know",
        "Ask the vendor for this program in another form.";
    // vendor
    VendorDirectory = 0x0A01, Vendor, NotFound,
        "this is no vendor directory, or it cannot be read",
        "another directory was named",
        "Make one with: strongroom vendor init DIR --name NAME.";
    VendorPassphrase = 0x0A02, Vendor, Permission,
        "the key store does not open with this passphrase",
        "it was mistyped",
        "Try again, or name the file that holds it with --passphrase-file.";
    ProductNotDefined = 0x0A03, Vendor, NotFound,
        "product {a} is not defined in this vendor directory",
        "it was mistyped, or never added",
        "Add it with: strongroom vendor product add.";
    ContextRefused = 0x0A04, Message, Tamper,
        "the context file is not valid",
        "it was changed, or it is for another vendor",
        "Ask the user for a new one: strongroom container context.";
    TooManyOutstanding = 0x0A05, Vendor, Conflict,
        "{a} updates for this container have no receipt yet, the most that may be",
        "the user did not send receipts back",
        "Ask the user for a receipt or a new context file.";
    ContextDiffers = 0x0A06, Message, Conflict,
        "the context says number {a}, the vendor's records allow {b} at least",
        "somebody else issued for it, or the container was rolled back, or the records were",
        "Find out which. If somebody else issued, go on from there with --adopt; else keep both \
         files and issue for a new container.";
    ReceiptRefused = 0x0A07, Message, Tamper,
        "the receipt is not valid",
        "it was changed, or it is for another vendor or container",
        "Ask the user for it again: strongroom update receipt.";
    AlreadyThere = 0x0A08, Caller, Conflict,
        "it is already there",
        "the command was given twice",
        "Choose another name, or use what is there.";
    ProofRefused = 0x0A30, Message, Tamper,
        "the proof is not valid",
        "it was changed, or it is for another vendor",
        "Ask for a new one, with a new challenge.";
    ProofOther = 0x0A31, Message, Conflict,
        "the proof is an answer to something else",
        "it is from another time, or for another use",
        "Ask for a new one, with this challenge, purpose and use.";
    LogRefused = 0x0A40, Message, Tamper,
        "the usage log is not valid",
        "it was changed, or it is for another vendor",
        "Ask the user for it again: strongroom license log.";
    LogBroken = 0x0A41, Message, Tamper,
        "entry {a} of the usage log does not follow from the one before it",
        "the log was changed on its way: entries were edited, left out, added or moved",
        "Ask the user for it again: strongroom license log.";
    LogFork = 0x0A42, Message, Conflict,
        "the usage log differs from what is kept of this container at entry {a}",
        "the container was copied or rolled back, or this vendor directory was",
        "Keep both files: together they prove it. Acknowledge neither.";
    LogMissing = 0x0A43, Message, Conflict,
        "entries behind {a} are missing: this log begins with entry {b}",
        "another copy of this vendor directory acknowledged them",
        "Take the log in where they were acknowledged, or put a newer copy of the directory here.";
    NotPermitted = 0x0A09, Caller, Usage,
        "this cannot be done without being asked for explicitly",
        "it cannot be undone",
        "Repeat it with the flag that the message names.";
    TokenModule = 0x0A0A, Vendor, NotFound,
        "the PKCS#11 module cannot be loaded",
        "it is not installed here, lies elsewhere, or is for another machine",
        "Install the token's software, or write the module's place into store.toml.";
    TokenMissing = 0x0A0B, Vendor, NotFound,
        "the token is not there",
        "it is not plugged in, has another label, or its software looks elsewhere for it",
        "Plug it in and repeat the command; nothing was changed.";
    TokenPin = 0x0A0C, Vendor, Permission,
        "the token does not take this PIN",
        "it was mistyped, or it is the PIN of another token",
        "Try again, or name the file that holds it with --pin-file. Many wrong ones lock a token.";
    TokenLocked = 0x0A0D, Vendor, Permission,
        "the token is locked",
        "a wrong PIN was given too often, or it has no PIN yet",
        "Unlock it with its maker's tool and the security officer's PIN.";
    TokenKeyMissing = 0x0A0E, Vendor, NotFound,
        "a key that store.toml names is not in the token",
        "it was deleted there, or this is another token of the same label",
        "Bring the right token, or restore it; else give the role new keys: strongroom vendor key \
         rotate.";
    TokenFailed = 0x0A0F, Vendor, Failure,
        "the token refused or failed",
        "it cannot do what is asked, was unplugged, or is in use",
        "Read what it says, plug it in anew and repeat the command.";
    SharesMissing = 0x0A10, Vendor, NotFound,
        "{a} of the {b} shares that are needed are missing",
        "not all of those who keep them are here, or one share was named twice",
        "Name one more share for each that is missing, with --share.";
    ShareDamaged = 0x0A11, Message, Tamper,
        "this share is damaged, or is none",
        "its file was cut short or changed, or another file was named",
        "Take another copy of it, or the share of somebody else.";
    ShareOther = 0x0A12, Caller, Conflict,
        "this share belongs to another split than the first",
        "the keys were split anew, or shares of two roles were mixed up",
        "Take shares whose names begin alike.";
    ContainerRetired = 0x0A13, Vendor, Conflict,
        "this container is decommissioned: it ended at number {a}",
        "its owner retired it, and its final statement was taken in",
        "Issue for another container.";
    InventoryRefused = 0x0A14, Message, Tamper,
        "the inventory is not valid",
        "it was changed, or it is for another vendor",
        "Ask the user for it again: strongroom container inventory.";
    BundleRefused = 0x0A20, Message, Tamper,
        "the support bundle cannot be replayed",
        "it was edited, or made by another version, or no use was tried for it",
        "Ask for a new one: strongroom doctor --bundle FILE --product CODE.";
    BundleDiffers = 0x0A21, Message, Tamper,
        "the support bundle does not lead to the refusal that stands in it",
        "it was edited, or this version judges otherwise than the container did",
        "Ask for a new one, and compare versions: they stand in the bundle.";
    $($others)*
    } };
}

server_rows!(soft_rows);
