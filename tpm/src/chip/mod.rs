//! A TPM 2.0, as far as this home needs one: a sealed blob, an index for the epoch, a counter, and
//! an identity that it can prove.
//!
//! Whatever is secret travels in one session that is salted to the storage key and encrypts its
//! first parameters both ways, so that who listens on the bus learns nothing; the storage key's
//! Name is pinned, so that who changes what goes over the bus learns nothing either.

mod extension;
mod identity;
mod index;
mod templates;
mod trouble;

use std::str::FromStr;

use tss_esapi::Context;
use tss_esapi::attributes::{SessionAttributes, SessionAttributesBuilder};
use tss_esapi::constants::{PropertyTag, SessionType};
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::Hierarchy as TssHierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{Auth, Private, Public, SensitiveData, SymmetricDefinition};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::{Marshall, UnMarshall};
use zeroize::Zeroizing;

pub use extension::{quiet, read_clock};
pub use identity::{EkKind, Endorsement, Evidence};
pub(crate) use index::HEAD_LEN;
pub use index::{Counter, Head, IndexRecord};
pub use trouble::{Hierarchy, Trouble};

use crate::clock;

/// Where a storage key is kept for good, if there is one: TCG TPM v2.0 Provisioning Guidance, 7.8.
const STORAGE_KEY_HANDLE: u32 = 0x8100_0001;
/// Tries of a command that the TPM is too busy for, with pauses that double from 20 ms: 10 s in
/// all.
const BUSY_TRIES: u32 = 9;
const BUSY_PAUSE_MS: u64 = 20;

/// The way to a TPM: what the TSS calls a TCTI, with its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcti(TctiNameConf);

impl Tcti {
    /// The resource manager of the kernel.
    pub const DEVICE: &'static str = "device:/dev/tpmrm0";
}

impl FromStr for Tcti {
    type Err = Trouble;

    /// `device:PATH` or `swtpm:host=ADDRESS,port=NUMBER`.
    fn from_str(text: &str) -> Result<Self, Trouble> {
        let known = ["device", "swtpm"];
        let name = text.split(':').next().unwrap_or_default();
        if !known.contains(&name) {
            return Err(Trouble::Absent);
        }
        TctiNameConf::from_str(text).map(Tcti).map_err(|_| Trouble::Absent)
    }
}

/// Passwords of hierarchies, where the machine's administrator set some.
#[derive(Default)]
pub struct Passwords {
    /// Of the owner.
    pub owner: Zeroizing<Vec<u8>>,
    /// Of the endorsement hierarchy.
    pub endorsement: Zeroizing<Vec<u8>>,
}

/// A storage key, by its Name: SHA-256, with the two bytes of that algorithm in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageKey {
    /// Its Name.
    pub name: Vec<u8>,
    /// Whether it is kept in the TPM; else it is made anew at each start.
    pub persistent: bool,
}

/// A blob that one storage key alone opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Public part, `TPMT_PUBLIC`.
    pub public: Vec<u8>,
    /// Private part, as in `TPM2B_PRIVATE`, without its length.
    pub private: Vec<u8>,
}

/// What a TPM says of its maker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Properties {
    /// The maker, in up to four letters: TCG TPM Vendor ID Registry.
    pub manufacturer: String,
    /// Version of its firmware, hexadecimal, as the maker counts it.
    pub firmware: String,
}

/// A connection to a TPM with its session.
pub struct Chip {
    context: Context,
    tcti: Tcti,
    storage_key: KeyHandle,
    /// Name of the storage key.
    pinned: StorageKey,
    session: AuthSession,
}

impl Chip {
    /// Connects, and salts the session to the storage key `pinned`, or, at first contact, to one
    /// that is fit.
    ///
    /// # Errors
    /// [`Trouble::Absent`], [`Trouble::Alien`] where the storage key is another, and what the TPM
    /// says.
    pub fn open(
        tcti: &Tcti,
        pinned: Option<&StorageKey>,
        passwords: &Passwords,
    ) -> Result<Self, Trouble> {
        let mut context = Context::new(tcti.0.clone())?;
        for (hierarchy, password) in [
            (TssHierarchy::Owner, &passwords.owner),
            (TssHierarchy::Endorsement, &passwords.endorsement),
        ] {
            let password = Auth::try_from(password.to_vec())?;
            context.tr_set_auth(ObjectHandle::from(hierarchy), password)?;
        }
        let (storage_key, pinned) = match pinned {
            Some(pinned) => (pinned_key(&mut context, pinned)?, pinned.clone()),
            None => fit_key(&mut context)?,
        };
        let session = salted(&mut context, storage_key)?;
        Ok(Chip { context, tcti: tcti.clone(), storage_key, pinned, session })
    }

    /// The storage key, to be pinned.
    pub fn storage_key(&self) -> &StorageKey {
        &self.pinned
    }

    /// Seals `payload`, at most 128 bytes, to this TPM. It opens with `auth` only.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn seal(&mut self, payload: &[u8], auth: &[u8; 32]) -> Result<Blob, Trouble> {
        let (parent, template) = (self.storage_key, templates::sealed()?);
        let made = self.talk(Purpose::Exchange, |context| {
            let auth = Auth::try_from(auth.to_vec())?;
            let payload = SensitiveData::try_from(payload.to_vec())?;
            context.create(parent, template.clone(), Some(auth), Some(payload), None, None)
        })?;
        Ok(Blob { public: made.out_public.marshall()?, private: made.out_private.value().to_vec() })
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// [`Trouble::Foreign`] where another TPM made it, [`Trouble::Alien`] for a wrong `auth`.
    pub fn unseal(&mut self, blob: &Blob, auth: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let parent = self.storage_key;
        let public = Public::unmarshall(&blob.public)?;
        let private = Private::try_from(blob.private.clone())?;
        let loaded = self.talk(Purpose::Exchange, |context| {
            context.load(parent, private.clone(), public.clone())
        })?;
        let object = ObjectHandle::from(loaded);
        self.context.tr_set_auth(object, Auth::try_from(auth.to_vec())?)?;
        let opened = self.talk(Purpose::Exchange, |context| context.unseal(object));
        let flushed = self.bare(|context| context.flush_context(object));
        let opened = opened?;
        flushed?;
        Ok(Zeroizing::new(opened.value().to_vec()))
    }

    /// Who made it.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn properties(&mut self) -> Result<Properties, Trouble> {
        let mut property = |tag| {
            let value = self.bare(|context| context.get_tpm_property(tag))?;
            Ok::<u32, Trouble>(value.unwrap_or(0))
        };
        let manufacturer = property(PropertyTag::Manufacturer)?;
        let firmware =
            [property(PropertyTag::FirmwareVersion1)?, property(PropertyTag::FirmwareVersion2)?];
        // Four letters, filled up with zeros.
        let letters = manufacturer.to_be_bytes().into_iter().filter(|byte| byte.is_ascii_graphic());
        Ok(Properties {
            manufacturer: letters.map(char::from).collect(),
            firmware: format!("{:08x}.{:08x}", firmware[0], firmware[1]),
        })
    }

    /// Bytes from the TPM's own generator.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn random(&mut self) -> Result<Zeroizing<[u8; 32]>, Trouble> {
        let drawn = self.talk(Purpose::Exchange, |context| context.get_random(32))?;
        let mut bytes = Zeroizing::new([0; 32]);
        let drawn = drawn.value().get(..32).ok_or(Trouble::Garbled)?;
        bytes.copy_from_slice(drawn);
        Ok(bytes)
    }

    /// A command in the session, repeated while the TPM is busy.
    fn talk<T>(
        &mut self,
        purpose: Purpose,
        mut command: impl FnMut(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Trouble> {
        let (attributes, mask) = purpose.attributes();
        self.context.tr_sess_set_attributes(self.session, attributes, mask)?;
        let session = Some(self.session);
        patiently(|| self.context.execute_with_session(session, &mut command))
    }

    /// A command without a session: nothing in it is secret, and nothing depends on it.
    fn bare<T>(
        &mut self,
        mut command: impl FnMut(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Trouble> {
        patiently(|| self.context.execute_without_session(&mut command))
    }
}

/// What the session is used for in one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// An ordinary command.
    Exchange,
    /// The read that a write depends on: begins an exclusive audit.
    Load,
    /// That write: the TPM refuses it if any command came in between.
    Store,
}

impl Purpose {
    fn attributes(self) -> (SessionAttributes, tss_esapi::attributes::SessionAttributesMask) {
        let all = SessionAttributesBuilder::new()
            .with_continue_session(true)
            .with_decrypt(true)
            .with_encrypt(true)
            .with_audit(self != Purpose::Exchange)
            .with_audit_reset(self == Purpose::Load)
            .with_audit_exclusive(self == Purpose::Store);
        // The mask names what is changed: all of them, each time.
        let (_, mask) = SessionAttributesBuilder::new()
            .with_continue_session(true)
            .with_decrypt(true)
            .with_encrypt(true)
            .with_audit(true)
            .with_audit_reset(true)
            .with_audit_exclusive(true)
            .build();
        (all.build().0, mask)
    }
}

/// Repeats what a TPM is too busy for, with pauses.
fn patiently<T>(mut command: impl FnMut() -> tss_esapi::Result<T>) -> Result<T, Trouble> {
    let mut tries = 0;
    loop {
        match command().map_err(Trouble::from) {
            Err(Trouble::Busy) if tries < BUSY_TRIES => {
                clock::pause_ms(BUSY_PAUSE_MS << tries);
                tries += 1;
            }
            done => return done,
        }
    }
}

/// A session that nobody on the way can read: its key comes from a salt that only the storage key
/// decrypts.
fn salted(context: &mut Context, storage_key: KeyHandle) -> Result<AuthSession, Trouble> {
    let session = patiently(|| {
        context.start_auth_session(
            Some(storage_key),
            None,
            None,
            SessionType::Hmac,
            SymmetricDefinition::AES_128_CFB,
            HashingAlgorithm::Sha256,
        )
    })?;
    session.ok_or(Trouble::Garbled)
}

/// The storage key of this Name.
fn pinned_key(context: &mut Context, pinned: &StorageKey) -> Result<KeyHandle, Trouble> {
    let handle = match pinned.persistent {
        true => match persistent_key(context) {
            // What is the owner's is not seen then, as if it were gone.
            Err(Trouble::Missing) if !is_owner_on(context)? => return Err(Trouble::Disabled),
            found => found?,
        },
        false => transient_key(context)?,
    };
    let name = context.tr_get_name(handle.into())?;
    if name.value() == pinned.name { Ok(handle) } else { Err(Trouble::Alien) }
}

/// A storage key to be pinned: the one that is kept, if it is fit, else one that is made.
fn fit_key(context: &mut Context) -> Result<(KeyHandle, StorageKey), Trouble> {
    let (handle, persistent) = match kept_key(context)? {
        Some(handle) => (handle, true),
        None => (transient_key(context)?, false),
    };
    let name = context.tr_get_name(handle.into())?.value().to_vec();
    Ok((handle, StorageKey { name, persistent }))
}

fn kept_key(context: &mut Context) -> Result<Option<KeyHandle>, Trouble> {
    let handle = match persistent_key(context) {
        Ok(handle) => handle,
        Err(Trouble::Missing) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let (public, ..) = patiently(|| context.read_public(handle))?;
    Ok(templates::is_storage_key(&public).then_some(handle))
}

fn persistent_key(context: &mut Context) -> Result<KeyHandle, Trouble> {
    let at = TpmHandle::Persistent(PersistentTpmHandle::new(STORAGE_KEY_HANDLE)?);
    Ok(patiently(|| context.tr_from_tpm_public(at))?.into())
}

/// Whether the owner's hierarchy is switched on: `shEnable` of `TPMA_STARTUP_CLEAR`, TCG TPM 2.0
/// Library, Part 2, 8.7.
fn is_owner_on(context: &mut Context) -> Result<bool, Trouble> {
    let flags = patiently(|| context.get_tpm_property(PropertyTag::StartupClear))?;
    Ok(flags.ok_or(Trouble::Garbled)? & 0b10 != 0)
}

fn transient_key(context: &mut Context) -> Result<KeyHandle, Trouble> {
    let template = templates::storage_key()?;
    primary(context, TssHierarchy::Owner, template).map(|(handle, _)| handle)
}

/// Makes a primary key. Its hierarchy's password goes as such, since no session can be salted yet;
/// where there is one, it never goes over the bus in clear.
fn primary(
    context: &mut Context,
    hierarchy: TssHierarchy,
    template: Public,
) -> Result<(KeyHandle, Public), Trouble> {
    let made = patiently(|| {
        context.execute_with_session(Some(AuthSession::Password), |context| {
            context.create_primary(hierarchy, template.clone(), None, None, None, None)
        })
    });
    let which = match hierarchy {
        TssHierarchy::Endorsement => Hierarchy::Endorsement,
        _ => Hierarchy::Owner,
    };
    match made {
        Ok(made) => Ok((made.key_handle, made.out_public)),
        Err(Trouble::Alien) => Err(Trouble::Password(which)),
        Err(trouble) => Err(trouble),
    }
}
