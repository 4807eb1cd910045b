//! Uses of a license: what is required, and the seat that is held.

use std::mem;
use std::sync::{Mutex, PoisonError};

use container::{Container, Error, KeptSeat, Registry, Seat};
use protector::verify::ProtectedFile;
use protocol::command::SeatGrant;
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, Generation, ProductCode, RootFp};
use protocol::objects::artifact::Slot;
use protocol::objects::license::{AccessMode, Requirement};
use protocol::objects::root::Mode;

use crate::errors::bad;
use crate::types::{
    Requirement as Written, STRONGROOM_ACCESS_EXCLUSIVE, STRONGROOM_ACCESS_NO_USER_LIMIT,
    STRONGROOM_ACCESS_STATION_SHARE, STRONGROOM_ACCESS_USER_LIMIT, STRONGROOM_MODE_LIVE,
    STRONGROOM_MODE_TEST,
};

/// What a use requires, and of which kind of firm.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    requirement: Requirement,
    mode: Mode,
}

/// A seat, renewed by the caller or by a thread.
pub(crate) struct HeldSeat {
    grant: SeatGrant,
    held: Mutex<Held>,
}

enum Held {
    ByCaller(Seat),
    ByThread(KeptSeat),
    /// No thread could be started; the seat was given back.
    NotAnyMore,
}

impl Use {
    /// Takes what C code has written.
    ///
    /// # Errors
    /// A value that does not exist.
    pub(crate) fn new(written: &Written) -> Result<Self, Error> {
        let access = match written.access {
            STRONGROOM_ACCESS_USER_LIMIT => AccessMode::UserLimit,
            STRONGROOM_ACCESS_STATION_SHARE => AccessMode::StationShare,
            STRONGROOM_ACCESS_EXCLUSIVE => AccessMode::Exclusive,
            STRONGROOM_ACCESS_NO_USER_LIMIT => AccessMode::NoUserLimit,
            _ => return Err(bad("access", "no such mode")),
        };
        let mode = match written.mode {
            STRONGROOM_MODE_LIVE => Mode::Live,
            STRONGROOM_MODE_TEST => Mode::Test,
            _ => return Err(bad("mode", "neither live nor test")),
        };
        if written.reserved != 0 {
            return Err(bad("reserved", "not 0"));
        }
        let generation = u16::try_from(written.generation);
        let requirement = Requirement {
            root_fp: RootFp::new(written.vendor.fingerprint),
            product: ProductCode(written.product),
            features: written.features,
            units: written.units,
            release_s: written.release_s,
            access,
            certified_age_s: written.certified_age_s,
            generation: Generation(generation.map_err(|_| bad("generation", "above 65535"))?),
        };
        Ok(Use { requirement, mode })
    }

    /// Whether it would be allowed.
    ///
    /// # Errors
    /// The refusal that it would meet.
    pub(crate) fn why(&self, container: &Container) -> Result<(), Error> {
        container.check_firm(self.requirement.root_fp, self.mode)?;
        container.why(&self.requirement)
    }

    /// Takes a seat, for a program that is no artifact.
    ///
    /// # Errors
    /// The refusal of the first option that does not allow the use.
    pub(crate) fn seat(&self, container: &Container) -> Result<HeldSeat, Error> {
        container.check_firm(self.requirement.root_fp, self.mode)?;
        container.open_seat(&self.requirement, ArtifactId::new([0; 16])).map(HeldSeat::new)
    }
}

/// Takes a seat as a protected file asks for it.
///
/// # Errors
/// The refusal that got furthest among the file's slots and the containers within reach.
pub(crate) fn for_file(
    registry: &Registry,
    serial: Option<&str>,
    file: &ProtectedFile,
) -> Result<(Seat, Slot), Error> {
    registry.open_artifact(serial, file.head().artifact_id, &file.head().body)
}

impl HeldSeat {
    pub(crate) fn new(seat: Seat) -> Self {
        HeldSeat { grant: *seat.grant(), held: Mutex::new(Held::ByCaller(seat)) }
    }

    /// What was granted.
    pub(crate) fn grant(&self) -> &SeatGrant {
        &self.grant
    }

    /// Gives a sign of life, or says whether the thread still holds it.
    ///
    /// # Errors
    /// Why it is lost.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        match &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            Held::ByCaller(seat) => seat.renew(),
            Held::ByThread(kept) => kept.check(),
            Held::NotAnyMore => Err(ErrorCode::SeatUnknown.failure().into()),
        }
    }

    /// Has a thread renew it from now on.
    ///
    /// # Errors
    /// Why it is lost.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *held, Held::NotAnyMore) {
            Held::ByCaller(seat) => *held = Held::ByThread(seat.keep()),
            other => *held = other,
        }
        drop(held);
        self.renew()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_refused_by_its_name() {
        let refused = |written: Written| Use::new(&written).unwrap_err().detail;
        assert!(refused(Written { access: 4, ..Written::default() }).starts_with("access"));
        assert!(refused(Written { mode: 2, ..Written::default() }).starts_with("mode"));
        assert!(refused(Written { reserved: 1, ..Written::default() }).starts_with("reserved"));
        let written = Written { generation: 65_536, ..Written::default() };
        assert!(refused(written).starts_with("generation"));
        let live = Use::new(&Written::default()).unwrap();
        assert_eq!((live.mode, live.requirement.access), (Mode::Live, AccessMode::UserLimit));
    }
}
