//! Vectors: users, units, seats and keys; and uses that go on.

use engine::{AfterPowerUp, Stage, Taken};
use protocol::codec::Fixed;
use protocol::errors::ErrorCode::*;
use protocol::ids::{Generation, ProductCode};
use protocol::limits::LOG_ENTRIES_MAX;
use protocol::objects::license::AccessMode::{self, *};
use protocol::objects::license::{ItemOption as O, LostUnits, Modes, UnitRule, user_id};

use super::case::{Case, Row, Vector, text};

const KEY: Fixed<33> = Fixed([2; 33]);
const OTHER_KEY: Fixed<33> = Fixed([3; 33]);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("named user", "anybody", "an entry that names nobody is for all", None,
        |c| c.at.client.user = Fixed::default()),
    ("named user", "the one", "the host says so", None, |c| c.set(O::NamedUser(text("anna")))),
    ("named user", "another", "nobody's name is told", Some(OtherUser.with(0, 0)), |c| {
        c.set(O::NamedUser(text("anna")));
        c.at.client.user = user_id("berta");
    }),
    ("named user", "in other letters", "names are compared as they are",
        Some(OtherUser.with(0, 0)), |c| c.set(O::NamedUser(text("Anna")))),
    ("named user", "not said", "no name is not the name", Some(OtherUser.with(0, 0)), |c| {
        c.set(O::NamedUser(text("anna")));
        c.at.client.user = Fixed::default();
    }),
    ("named user", "beyond ASCII", "a name is its UTF-8 bytes", None, |c| {
        c.set(O::NamedUser(text("Jürgen")));
        c.at.client.user = user_id("Jürgen");
    }),
    ("named user", "of a use that goes on", "judged again with each heartbeat",
        Some(OtherUser.with(0, 0)), |c| {
            c.stage = Stage::GoesOn;
            c.set(O::NamedUser(text("berta")));
        }),
    ("named user", "the one key", "its private half was proven", None, |c| {
        c.set(O::NamedUserKey(KEY));
        c.at.user_key = Some(KEY);
    }),
    ("named user", "no key", "nothing was proven", Some(OtherUserKey.with(0, 0)),
        |c| c.set(O::NamedUserKey(KEY))),
    ("named user", "another key", "another key was proven", Some(OtherUserKey.with(0, 0)), |c| {
        c.set(O::NamedUserKey(KEY));
        c.at.user_key = Some(OTHER_KEY);
    }),
    ("named user", "a key that nobody asked for", "it does no harm", None,
        |c| c.at.user_key = Some(KEY)),
    ("units", "none counted, none wanted", "units play no part", None, |_| {}),
    ("units", "none counted, some wanted", "an entry without a counter has none",
        Some(NoUnits.with(1, 0)), |c| (c.need.units, c.at.units) = (1, 99)),
    ("units", "none wanted, one left", "one at least must be left", None, |c| units(c, 0, 1)),
    ("units", "none wanted, none left", "also where a use takes none",
        Some(NoUnits.with(1, 0)), |c| units(c, 0, 0)),
    ("units", "as many as are left", "the last unit can be used", None, |c| units(c, 5, 5)),
    ("units", "one more than are left", "wanted and left are told", Some(NoUnits.with(6, 5)),
        |c| units(c, 6, 5)),
    ("units", "the most that can be wanted", "32 bits of units are there", None,
        |c| units(c, u32::MAX, u32::MAX as u64)),
    ("units", "the most, one less is left", "wanted and left are told",
        Some(NoUnits.with(u32::MAX as u64, u32::MAX as u64 - 1)),
        |c| units(c, u32::MAX, u32::MAX as u64 - 1)),
    ("units", "the most that can be left", "64 bits of units are there", None,
        |c| units(c, 1, u64::MAX)),
    ("units", "log full, some wanted", "what cannot be booked is not taken",
        Some(UsageLogFull.with(LOG_ENTRIES_MAX, 0)), |c| {
            units(c, 1, 5);
            c.at.has.log_room = false;
        }),
    ("units", "log full, none wanted", "nothing has to be booked", None, |c| {
        units(c, 0, 5);
        c.at.has.log_room = false;
    }),
    ("units", "log full, too few left", "too few units are told before the log",
        Some(NoUnits.with(6, 5)), |c| {
            units(c, 6, 5);
            c.at.has.log_room = false;
        }),
    ("units", "of a use that goes on", "they were taken when it began", None, |c| {
        units(c, 5, 0);
        c.at.has.log_room = false;
        c.stage = Stage::GoesOn;
    }),
    ("seats", "user limit, not counted", "quantity 0 is local use: any number", None,
        |c| seats(c, UserLimit, 0, 1000)),
    ("seats", "user limit, the last one", "one is free", None, |c| seats(c, UserLimit, 3, 2)),
    ("seats", "user limit, all taken", "quantity and taken ones are told",
        Some(NoSeat.with(3, 3)), |c| seats(c, UserLimit, 3, 3)),
    ("seats", "user limit, more than all taken", "the quantity was lowered meanwhile",
        Some(NoSeat.with(3, 7)), |c| seats(c, UserLimit, 3, 7)),
    ("seats", "user limit, the greatest quantity", "one is free", None,
        |c| seats(c, UserLimit, u32::MAX, u32::MAX - 1)),
    ("seats", "user limit, the greatest quantity taken", "none is free",
        Some(NoSeat.with(u32::MAX as u64, u32::MAX as u64)),
        |c| seats(c, UserLimit, u32::MAX, u32::MAX)),
    ("seats", "user limit, no station", "user limit asks for none", None, |c| {
        seats(c, UserLimit, 1, 0);
        c.at.client.station = Fixed::default();
    }),
    ("seats", "user limit, shared here", "each opened seat counts, also on one station",
        Some(NoSeat.with(1, 1)), |c| {
            seats(c, UserLimit, 1, 1);
            c.at.taken.shared_here = true;
        }),
    ("seats", "station share, first of its station", "one is free", None,
        |c| seats(c, StationShare, 2, 1)),
    ("seats", "station share, all taken elsewhere", "none is free", Some(NoSeat.with(1, 1)),
        |c| seats(c, StationShare, 1, 1)),
    ("seats", "station share, taken here", "the station's uses count as one", None, |c| {
        seats(c, StationShare, 1, 1);
        c.at.taken.shared_here = true;
    }),
    ("seats", "station share, exclusive here", "another's exclusive use is not in the way", None,
        |c| {
            seats(c, StationShare, 2, 1);
            c.at.taken.exclusive_here = true;
        }),
    ("seats", "station share, not counted", "quantity 0 is local use: any number", None,
        |c| seats(c, StationShare, 0, 1000)),
    ("seats", "station share, no station", "nobody knows with whom to share",
        Some(StationUnknown.with(0, 0)), |c| {
            seats(c, StationShare, 5, 0);
            c.at.client.station = Fixed::default();
        }),
    ("seats", "exclusive, first of its station", "one is free", None,
        |c| seats(c, Exclusive, 2, 1)),
    ("seats", "exclusive, second of its station", "a station has one",
        Some(StationBusy.with(0, 0)), |c| {
            seats(c, Exclusive, 5, 1);
            c.at.taken.exclusive_here = true;
        }),
    ("seats", "exclusive, second of its station, not counted", "also where nothing is counted",
        Some(StationBusy.with(0, 0)), |c| {
            seats(c, Exclusive, 0, 0);
            c.at.taken.exclusive_here = true;
        }),
    ("seats", "exclusive, all taken elsewhere", "none is free", Some(NoSeat.with(1, 1)),
        |c| seats(c, Exclusive, 1, 1)),
    ("seats", "exclusive, shared here", "a shared seat is none of its own",
        Some(NoSeat.with(1, 1)), |c| {
            seats(c, Exclusive, 1, 1);
            c.at.taken.shared_here = true;
        }),
    ("seats", "exclusive, no station", "nobody knows where it is alone",
        Some(StationUnknown.with(0, 0)), |c| {
            seats(c, Exclusive, 0, 0);
            c.at.client.station = Fixed::default();
        }),
    ("seats", "no user limit, all taken", "it is not counted", None,
        |c| seats(c, NoUserLimit, 1, 1)),
    ("seats", "no user limit, no station", "it asks for none", None, |c| {
        seats(c, NoUserLimit, 1, 0);
        c.at.client.station = Fixed::default();
    }),
    ("seats", "user limit denied", "the number of the mode is told", Some(ModeDenied.with(0, 0)),
        |c| denied(c, UserLimit, 0b0001)),
    ("seats", "station share denied", "the number of the mode is told",
        Some(ModeDenied.with(1, 0)), |c| denied(c, StationShare, 0b0010)),
    ("seats", "exclusive denied", "the number of the mode is told", Some(ModeDenied.with(2, 0)),
        |c| denied(c, Exclusive, 0b0100)),
    ("seats", "no user limit denied", "the number of the mode is told",
        Some(ModeDenied.with(3, 0)), |c| denied(c, NoUserLimit, 0b1000)),
    ("seats", "user limit alone allowed", "the other three are denied", None,
        |c| denied(c, UserLimit, 0b1110)),
    ("seats", "station share alone allowed", "the other three are denied", None,
        |c| denied(c, StationShare, 0b1101)),
    ("seats", "exclusive alone allowed", "the other three are denied", None,
        |c| denied(c, Exclusive, 0b1011)),
    ("seats", "no user limit alone allowed", "the other three are denied", None,
        |c| denied(c, NoUserLimit, 0b0111)),
    ("seats", "denied, of a use that goes on", "a mode that is denied now ends the use",
        Some(ModeDenied.with(0, 0)), |c| {
            denied(c, UserLimit, 0b0001);
            c.stage = Stage::GoesOn;
        }),
    ("seats", "all taken, of a use that goes on", "it holds its seat already", None, |c| {
        seats(c, UserLimit, 1, 2);
        c.stage = Stage::GoesOn;
        c.at.after_power_up = AfterPowerUp { quarantine_s: 9, settling_s: 9 };
    }),
    ("seats", "quarantine, counted", "seconds to wait are told", Some(SeatQuarantine.with(30, 0)),
        |c| quarantine(c, UserLimit, 5)),
    ("seats", "quarantine, last second", "one second is left", Some(SeatQuarantine.with(1, 0)),
        |c| {
            quarantine(c, UserLimit, 5);
            c.at.after_power_up.quarantine_s = 1;
        }),
    ("seats", "quarantine, not counted", "local use does not wait", None,
        |c| quarantine(c, UserLimit, 0)),
    ("seats", "quarantine, no user limit", "what is not counted does not wait", None,
        |c| quarantine(c, NoUserLimit, 5)),
    ("seats", "quarantine, station share", "a first seat of a station waits",
        Some(SeatQuarantine.with(30, 0)), |c| quarantine(c, StationShare, 5)),
    ("seats", "quarantine, station shares already", "no further seat is taken", None, |c| {
        quarantine(c, StationShare, 5);
        c.at.taken.shared_here = true;
    }),
    ("seats", "quarantine before number", "where both refuse, the wait is told",
        Some(SeatQuarantine.with(30, 0)), |c| {
            quarantine(c, UserLimit, 5);
            c.at.taken.seats = 5;
        }),
    ("seats", "settling, counted", "seconds to wait are told", Some(ReplugTooFast.with(60, 0)),
        |c| {
            seats(c, UserLimit, 5, 0);
            c.at.after_power_up.settling_s = 60;
        }),
    ("seats", "settling, not counted", "a container that wanders is shut for all",
        Some(ReplugTooFast.with(1, 0)), |c| {
            seats(c, NoUserLimit, 0, 0);
            c.at.after_power_up.settling_s = 1;
        }),
    ("seats", "settling before quarantine", "where both refuse, the settling is told",
        Some(ReplugTooFast.with(60, 0)), |c| {
            quarantine(c, UserLimit, 5);
            c.at.after_power_up.settling_s = 60;
        }),
    ("key", "present", "the item key of the wanted generation is there", None, |_| {}),
    ("key", "missing", "product and generation are told", Some(KeyMissing.with(7, 1)),
        |c| c.at.has.key = false),
    ("key", "missing, greatest numbers", "product and generation are told",
        Some(KeyMissing.with(0xffff_ffff, 0xffff)), |c| {
            c.need.product = ProductCode(u32::MAX);
            c.need.generation = Generation(u16::MAX);
            c.at.has.key = false;
        }),
    ("key", "missing, of a use that goes on", "a key that was removed ends the use",
        Some(KeyMissing.with(7, 1)), |c| {
            c.stage = Stage::GoesOn;
            c.at.has.key = false;
        }),
];

pub(crate) fn vectors() -> Vec<Vector> {
    ROWS.iter().copied().map(Vector::of).collect()
}

fn units(case: &mut Case, wanted: u32, left: u64) {
    case.set(O::UnitCounter(UnitRule { reserve_max: 10, lost: LostUnits::Held }));
    (case.need.units, case.at.units) = (wanted, left);
}

fn seats(case: &mut Case, access: AccessMode, quantity: u32, taken: u32) {
    case.set(O::LicenseQuantity(quantity));
    case.need.access = access;
    case.at.taken = Taken { seats: taken, ..Taken::default() };
}

fn denied(case: &mut Case, access: AccessMode, modes: u8) {
    case.set(O::DeniedModes(Modes(modes)));
    case.need.access = access;
}

fn quarantine(case: &mut Case, access: AccessMode, quantity: u32) {
    seats(case, access, quantity, 0);
    case.at.after_power_up = AfterPowerUp { quarantine_s: 30, settling_s: 0 };
}
