//! The owner's PIN. Licenses work without it; what changes the container's own things, or lets a
//! new firm in, needs it where one is set.
//!
//! A try is counted durably before it is compared, so cutting the power gains nobody a guess.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::command::Reply;
use protocol::crypto::mac::hmac_sha256;
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::PIN_TRIES;
use subtle::ConstantTimeEq;

use crate::engine::{Engine, store_failure};
use crate::platform::{Keys, Platform};
use crate::records::{self, Pin};

/// What a tag is of.
#[derive(Clone, Copy)]
enum Secret {
    Pin,
    Recovery,
}

impl Secret {
    fn label(self) -> &'static [u8] {
        match self {
            Secret::Pin => b"strongroom/pin/v1\0",
            Secret::Recovery => b"strongroom/pin-recovery/v1\0",
        }
    }

    fn tries(self, pin: &mut Pin) -> &mut u8 {
        match self {
            Secret::Pin => &mut pin.tries,
            Secret::Recovery => &mut pin.recovery_tries,
        }
    }

    fn kept(self, pin: &Pin) -> &[u8; 32] {
        match self {
            Secret::Pin => &pin.tag.0,
            Secret::Recovery => &pin.recovery_tag.0,
        }
    }

    fn wrong(self, left: u8) -> Failure {
        match (self, left) {
            (Secret::Pin, 0) => ErrorCode::PinLocked.with(PIN_TRIES.into(), 0),
            (Secret::Pin, left) => ErrorCode::PinWrong.with(left.into(), 0),
            (Secret::Recovery, left) => ErrorCode::RecoveryWrong.with(left.into(), 0),
        }
    }
}

impl<P: Platform> Engine<P> {
    /// Refuses who did not show to be the owner, where there is a way to.
    pub(crate) fn check_owner(&mut self, channel: u32) -> Result<(), Failure> {
        if self.clients.of(channel).is_owner || self.pin()?.is_none() {
            return Ok(());
        }
        Err(ErrorCode::PinNeeded.failure())
    }

    pub(crate) fn enter_pin(&mut self, channel: u32, pin: &[u8]) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        self.try_secret(Secret::Pin, pin)?;
        self.clients.entry(channel).is_owner = true;
        Ok(Reply::Done)
    }

    pub(crate) fn set_pin(
        &mut self,
        channel: u32,
        pin: &[u8],
        recovery: &Fixed<16>,
        forgotten: Option<Fixed<16>>,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        match forgotten {
            Some(code) => self.try_secret(Secret::Recovery, &code.0)?,
            None => self.check_owner(channel)?,
        }
        let value = match pin.is_empty() {
            true => self.check_no_vendor_keys().map(|()| None)?,
            false => Some(codec::encode(&self.new_pin(pin, recovery)?)),
        };
        self.commit(Vec::from([(records::PIN, value)]))?;
        // Whoever entered the old one has not entered this one.
        self.clients.forget_owners();
        self.clients.entry(channel).is_owner = true;
        Ok(Reply::Done)
    }

    /// A container without a PIN is anybody's to set one, and whoever does could sign.
    fn check_no_vendor_keys(&mut self) -> Result<(), Failure> {
        match records::vendor_key_count(self.platform.parts().store).map_err(store_failure)? {
            0 => Ok(()),
            count => Err(ErrorCode::PinKept.with(count.into(), 0)),
        }
    }

    /// Wrong PINs that are still stood, where one is set.
    pub(crate) fn pin_tries(&mut self) -> Result<Option<u8>, Failure> {
        Ok(self.pin()?.map(|pin| pin.tries))
    }

    /// Counts a try, then compares; a right one gives all tries back.
    fn try_secret(&mut self, secret: Secret, shown: &[u8]) -> Result<(), Failure> {
        let mut pin = self.pin()?.ok_or(ErrorCode::NoPin.failure())?;
        let left = secret.tries(&mut pin);
        let Some(fewer) = left.checked_sub(1) else { return Err(secret.wrong(0)) };
        *left = fewer;
        self.commit(Vec::from([(records::PIN, Some(codec::encode(&pin)))]))?;
        let key = self.platform.parts().keys.storage_key();
        let tag = tag(key, secret, &pin.salt, shown);
        if !bool::from(tag.ct_eq(secret.kept(&pin))) {
            return Err(secret.wrong(fewer));
        }
        *secret.tries(&mut pin) = PIN_TRIES;
        self.commit(Vec::from([(records::PIN, Some(codec::encode(&pin)))]))
    }

    fn new_pin(&mut self, pin: &[u8], recovery: &Fixed<16>) -> Result<Pin, Failure> {
        let mut salt = Fixed([0; 16]);
        salt.0.copy_from_slice(&self.entropy()?[..16]);
        let key = self.platform.parts().keys.storage_key();
        Ok(Pin {
            salt,
            tag: Fixed(tag(key, Secret::Pin, &salt, pin)),
            tries: PIN_TRIES,
            recovery_tag: Fixed(tag(key, Secret::Recovery, &salt, &recovery.0)),
            recovery_tries: PIN_TRIES,
        })
    }

    fn pin(&mut self) -> Result<Option<Pin>, Failure> {
        records::read(self.platform.parts().store, records::PIN).map_err(store_failure)
    }
}

fn tag(storage_key: &[u8; 32], secret: Secret, salt: &Fixed<16>, shown: &[u8]) -> [u8; 32] {
    hmac_sha256(storage_key, &[secret.label(), &salt.0, shown])
}
