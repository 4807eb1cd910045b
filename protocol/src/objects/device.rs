//! A device certificate: which keys a container holds, and of what class its clock and anchor are.

use serde::{Deserialize, Serialize};

use super::root::Root;
use crate::codec::{self, DecodeError, Fixed};
use crate::ids::{ContainerId, ContainerKind, RootFp, Serial};
use crate::limits::DEVICE_BODY_LEN_MAX;
use crate::signed::{Kind, ObjectError, Role, UnverifiedObject, VerifyError};

/// Where a container's time comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClockClass {
    /// A clock of its own with a battery.
    Rtc,
    /// Signed time, carried on by its own ticks.
    Signed,
    /// Only ticks since power-up, on top of the last time it was told.
    Session,
    /// The host's clock.
    Host,
}

/// What keeps a container's state from going back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AnchorClass {
    /// State lies inside the device.
    Hardware,
    /// A counter in a TPM.
    Tpm,
    /// A counter at License Central.
    Server,
    /// Nothing: a copy that is put back is only detected later.
    None,
}

/// The body of a device certificate. `target` of the header is the container's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceBody {
    /// Home of the container.
    pub kind: ContainerKind,
    /// Clock class.
    pub clock: ClockClass,
    /// Anchor class.
    pub anchor: AnchorClass,
    /// Signs statements. Compressed SEC 1 point, as the next two.
    pub identity_key: Fixed<33>,
    /// Static key of the channel.
    pub channel_key: Fixed<33>,
    /// Item keys are sealed to it.
    pub sealing_key: Fixed<33>,
    /// Production batch.
    pub batch: u32,
}

/// A verified device certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The container.
    pub id: ContainerId,
    /// The root whose `device` role certified it.
    pub maker: RootFp,
    /// Contents.
    pub body: DeviceBody,
}

/// Why a device certificate was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum DeviceError {
    /// Certified under a root that is not trusted here.
    #[cfg_attr(feature = "std", error("certified under root {0}, which is not trusted here"))]
    OtherMaker(RootFp),
    /// Not an object, or a wrong signature.
    #[cfg_attr(feature = "std", error(transparent))]
    Object(ObjectError),
    /// The signed body cannot be read.
    #[cfg_attr(feature = "std", error("the signed body cannot be read: {0}"))]
    Body(DecodeError),
}

impl Device {
    /// How the container is named to people.
    pub fn serial(&self) -> Serial {
        self.id.serial(self.body.kind)
    }

    /// Verifies a certificate under `maker`, the root trusted for containers of this kind.
    pub fn verify(object: &UnverifiedObject<'_>, maker: &Root) -> Result<Device, DeviceError> {
        let header = object.header();
        if header.root_fp != maker.root_fp {
            return Err(DeviceError::OtherMaker(header.root_fp));
        }
        if header.kind != Kind::Device {
            return Err(DeviceError::Object(VerifyError::Form.into()));
        }
        let key = maker
            .key(Role::Device, header.key_id)
            .ok_or(DeviceError::Object(VerifyError::OtherKey.into()))?;
        let object = object.verify_role(Role::Device, &key).map_err(DeviceError::Object)?;
        let body = codec::decode(object.body, DEVICE_BODY_LEN_MAX).map_err(DeviceError::Body)?;
        Ok(Device { id: ContainerId::new(header.target), maker: maker.root_fp, body })
    }
}
