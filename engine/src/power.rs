//! What outlives a power session, so that losing power gains nobody a seat.
//!
//! Seats are RAM. Who held one when the power went away believes in it for a while yet, so counted
//! seats are given only to those holders until the last of them must have ended: a seat's token is
//! a tag that the next power session can check. And a container that is switched to and fro between
//! machines stays shut until it settles.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::crypto::mac::hmac_sha256;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{OpId, SeatToken};
use protocol::limits::{QUICK_MOVES_MAX, SEAT_ENTRIES_MAX, SETTLE_S};
use protocol::objects::license::ItemRef;
use subtle::ConstantTimeEq;

use crate::engine::{Engine, Pace, Writes};
use crate::evaluate::AfterPowerUp;
use crate::platform::{Clock, Keys, Platform};
use crate::records::{self, FirmSlot, Power};

/// A power session, as far as it reaches into the next.
#[derive(Debug, Default)]
pub(crate) struct PowerSession {
    /// What the one before left behind.
    before: Power,
    /// What is durable now.
    kept: Power,
    /// Whether a seat was taken since the power came.
    is_used: bool,
    /// Tokens made so far.
    tokens: u32,
    /// Times that all seats had ended.
    ends: u32,
    /// Tokens of uses that were given back.
    ended: Vec<SeatToken>,
}

/// Ended uses that are known in one power session; beyond that none goes on that is not held.
const ENDED_MAX: usize = 4 * SEAT_ENTRIES_MAX;

impl PowerSession {
    pub(crate) fn after(before: Power) -> Self {
        PowerSession { before, kept: before, ..PowerSession::default() }
    }
}

impl<P: Platform> Engine<P> {
    /// What the last power-up still means for one who asks for a seat.
    pub(crate) fn after_power_up(&mut self, goes_on: bool, station: Fixed<16>) -> AfterPowerUp {
        let quarantine_s = if goes_on { 0 } else { self.quarantine_s() };
        let power = &self.power;
        let has_moved =
            !power.is_used && power.kept.station != Fixed([0; 16]) && power.kept.station != station;
        let powered_s = self.time.powered_s(self.platform.parts().clock);
        let settling_s = match has_moved && self.power.kept.moves >= QUICK_MOVES_MAX {
            true => u64::from(SETTLE_S).saturating_sub(powered_s) as u32,
            false => 0,
        };
        AfterPowerUp { quarantine_s, settling_s }
    }

    /// Whether `op` is the token of a use of this entry that lost its seat, to power cuts or to
    /// silence, and was not given back since the power came: that use goes on.
    pub(crate) fn goes_on(&mut self, slot: FirmSlot, item: ItemRef, op: OpId) -> bool {
        let shown = SeatToken::new(*op.bytes());
        if self.power.ended.contains(&shown) || self.power.ended.len() == ENDED_MAX {
            return false;
        }
        let period = self.seats_of();
        let number = use_number(&shown);
        let key = self.platform.parts().keys.storage_key();
        token(key, period, number, slot, item).bytes().ct_eq(shown.bytes()).into()
    }

    /// The period that seats belong to: it begins with the first one that a power cut must not
    /// forget, and ends with the last, over as many power cuts as there are.
    fn seats_of(&mut self) -> Fixed<16> {
        if self.power.kept.seats_of != Fixed([0; 16]) {
            return self.power.kept.seats_of;
        }
        let label = b"strongroom/seat-period/v1\0";
        let (boot, ends) = (self.boot, self.power.ends.to_be_bytes());
        let key = self.platform.parts().keys.storage_key();
        Fixed(head(hmac_sha256(key, &[label, &boot, &ends])))
    }

    /// Seconds for which seats of the power session before may still be in use.
    fn quarantine_s(&mut self) -> u32 {
        if self.power.before.seats_of == Fixed([0; 16]) {
            return 0;
        }
        let powered_s = self.time.powered_s(self.platform.parts().clock);
        u64::from(self.profile.seats.free_after_s()).saturating_sub(powered_s) as u32
    }

    /// The secret of a new seat.
    pub(crate) fn seat_token(
        &mut self,
        slot: FirmSlot,
        item: ItemRef,
    ) -> Result<SeatToken, Failure> {
        let next = self.power.tokens.checked_add(1);
        self.power.tokens = next.ok_or(ErrorCode::TooManySeats.with(u32::MAX.into(), 0))?;
        let (boot, count) = (self.boot, self.power.tokens.to_be_bytes());
        let period = self.seats_of();
        let key = self.platform.parts().keys.storage_key();
        // Nobody shall see how many seats others take.
        let label = b"strongroom/seat-number/v1\0";
        let number = Fixed(head(hmac_sha256(key, &[label, &boot, &count])));
        Ok(token(key, period, number, slot, item))
    }

    /// Marks that must be durable before a seat is given.
    pub(crate) fn power_marks(&mut self, station: Fixed<16>, is_marked: bool, writes: &mut Writes) {
        let marks = self.marks(station, is_marked);
        if self.profile.pace == Pace::Device && marks != self.power.kept {
            writes.push((records::POWER, Some(codec::encode(&marks))));
        }
    }

    fn marks(&mut self, station: Fixed<16>, is_marked: bool) -> Power {
        let powered_s = self.time.powered_s(self.platform.parts().clock);
        let mut marks = self.power.kept;
        if is_marked {
            marks.seats_of = self.seats_of();
        }
        if !self.power.is_used {
            let has_moved = marks.station != Fixed([0; 16]) && marks.station != station;
            marks.moves = match has_moved {
                true if powered_s < SETTLE_S.into() => marks.moves.saturating_add(1),
                true => 0,
                false => marks.moves,
            };
            marks.station = station;
        }
        marks
    }

    /// The seat was given, and its marks are durable.
    pub(crate) fn power_taken(&mut self, station: Fixed<16>, is_marked: bool) {
        if self.profile.pace == Pace::Device {
            self.power.kept = self.marks(station, is_marked);
        }
        self.power.is_used = true;
    }

    /// A use was given back: its token is worth nothing any more.
    pub(crate) fn power_ended(&mut self, token: SeatToken) {
        if self.power.ended.len() < ENDED_MAX {
            self.power.ended.push(token);
        }
    }

    /// A container that stayed long enough where it is has settled there.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        let powered_s = self.time.powered_s(self.platform.parts().clock);
        if self.power.kept.moves == 0 || powered_s < SETTLE_S.into() {
            return Ok(());
        }
        self.keep_power(Power { moves: 0, ..self.power.kept })
    }

    /// When the last counted seat is gone, and those of before are too, a power cut costs nobody a
    /// wait.
    pub(crate) fn note_end_of_seats(&mut self) -> Result<(), Failure> {
        let was_marked = self.power.kept.seats_of != Fixed([0; 16]);
        // A process ends by saying so.
        if self.profile.pace == Pace::Process || !was_marked {
            return Ok(());
        }
        if self.seats.has_marked() || self.quarantine_s() > 0 {
            return Ok(());
        }
        self.power.before.seats_of = Fixed([0; 16]);
        self.power.ends += 1;
        self.keep_power(Power { seats_of: Fixed([0; 16]), ..self.power.kept })
    }

    /// A process marks its seats once, when it begins, so that no seat costs a commit. Where the
    /// one before was killed, its mark is there still.
    pub(crate) fn begin_run(&mut self) -> Result<(), Failure> {
        if self.profile.pace == Pace::Device || self.power.kept.seats_of != Fixed([0; 16]) {
            return Ok(());
        }
        let seats_of = self.seats_of();
        self.keep_power(Power { seats_of, ..self.power.kept })
    }

    /// A process is about to end. Where nobody has a seat, nor may still believe in one, whoever
    /// comes next does not have to wait. Whether that is so.
    ///
    /// # Errors
    /// It could not be made durable: whoever comes next waits.
    pub fn leave(&mut self) -> Result<bool, Failure> {
        self.seats.expire(self.platform.parts().clock.ticks_ms());
        if !self.seats.is_empty() || self.quarantine_s() > 0 {
            return Ok(false);
        }
        self.check_unlocked()?;
        self.power.before.seats_of = Fixed([0; 16]);
        self.keep_power(Power { seats_of: Fixed([0; 16]), ..self.power.kept })?;
        Ok(true)
    }

    fn keep_power(&mut self, power: Power) -> Result<(), Failure> {
        self.commit(Writes::from([(records::POWER, Some(codec::encode(&power)))]))?;
        self.power.kept = power;
        Ok(())
    }
}

/// Names a use for as long as it lasts.
pub(crate) fn use_number(token: &SeatToken) -> Fixed<8> {
    Fixed(core::array::from_fn(|at| token.bytes()[at]))
}

/// The number of a use, and a tag under a key that never leaves the home.
fn token(
    storage_key: &[u8; 32],
    period: Fixed<16>,
    number: Fixed<8>,
    slot: FirmSlot,
    item: ItemRef,
) -> SeatToken {
    let place = records::item_key(slot, item).to_be_bytes();
    let label = b"strongroom/seat-token/v1\0";
    let tag: [u8; 8] = head(hmac_sha256(storage_key, &[label, &period.0, &number.0, &place]));
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.0);
    bytes[8..].copy_from_slice(&tag);
    SeatToken::new(bytes)
}

fn head<const N: usize>(tag: [u8; 32]) -> [u8; N] {
    core::array::from_fn(|at| tag[at])
}
