//! A container of ours as a vendor's security box: [`protocol::command::KeyCommand`].

use container::Container;
use protocol::command::KeyUsage;
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::crypto::hash::Hash32;
use protocol::errors::ErrorCode;
use protocol::ids::KeyName;
use protocol::objects::artifact::SecretKey;
use protocol::objects::root::Mode;
use vendor::token::{Desk, LABEL_ID_LEN, label_id};
use vendor::{Passphrase, Result};

use crate::reach;

/// The container, whose PIN was entered.
pub(crate) struct SecurityBox(Container);

impl SecurityBox {
    /// Opens the container of this serial.
    pub(crate) fn open(
        serial: &str,
        pin: &Passphrase,
        sources: &[String],
        mode: Mode,
    ) -> Result<Self> {
        let container = reach::of_serial(sources, serial)?;
        container.check_mode(mode)?;
        if container.info()?.pin_tries.is_none() {
            return Err(ErrorCode::PinNotSet.failure().into());
        }
        container.enter_pin(pin.text())?;
        Ok(SecurityBox(container))
    }
}

impl Desk for SecurityBox {
    fn generate_pair(&self, label: &str, _id: &[u8; LABEL_ID_LEN]) -> Result<VerifyingKey> {
        let made = self.0.make_key(name(label)?, KeyUsage::Sign)?;
        Ok(made.ok_or(ErrorCode::DeviceGarbage.failure())?)
    }

    fn sign(&self, label: &str, hash: &Hash32) -> Result<[u8; 64]> {
        Ok(self.0.sign_by(name(label)?, *hash)?)
    }

    fn derives(&self) -> Result<bool> {
        Ok(true)
    }

    fn generate_secret(&self, label: &str, _id: &[u8; LABEL_ID_LEN]) -> Result<()> {
        self.0.make_key(name(label)?, KeyUsage::Expand)?;
        Ok(())
    }

    fn expand(&self, label: &str, info: &[u8]) -> Result<SecretKey> {
        Ok(self.0.expand_by(name(label)?, info)?)
    }

    fn destroy(&self, label: &str) -> bool {
        name(label).is_ok_and(|name| self.0.destroy_key(name).is_ok())
    }
}

/// What the container calls the key of this label: as much of its digits as a name has.
fn name(label: &str) -> Result<KeyName> {
    let id = label_id(label).ok_or(ErrorCode::VendorKeyMissing.failure())?;
    let (name, _) = id.split_first_chunk().ok_or(ErrorCode::VendorKeyMissing.failure())?;
    Ok(KeyName::new(*name))
}
