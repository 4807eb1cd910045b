//! Keys of a simulated dongle, certified by the test root, and the file that keeps them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use engine::platform::Keys;
use protocol::codec::{self, Fixed};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::{CryptoError, Random};
use protocol::ids::{ContainerId, ContainerKind, KeyId};
use protocol::objects::device::{AnchorClass, ClockClass, DeviceBody};
use protocol::objects::test_root;
use protocol::signed::{Header, Kind, sign_batch, write_object};
use zeroize::Zeroizing;

/// Begins the file of a simulated dongle's keys.
const MAGIC: &[u8; 8] = b"SIMKEYS1";
/// Id, three private keys, storage key.
const SECRETS_LEN: usize = 16 + 4 * 32;
/// All of the file.
const FILE_LEN: usize = MAGIC.len() + SECRETS_LEN;

/// Keys of a simulated dongle. Wiped on drop.
pub struct SimKeys {
    id: ContainerId,
    identity: SigningKey,
    channel: SoftwareKey,
    sealing: SoftwareKey,
    storage: Zeroizing<[u8; 32]>,
    certificate: Vec<u8>,
}

impl SimKeys {
    /// Reads the keys at `path`, or makes new ones there, readable by their owner only.
    ///
    /// # Errors
    /// What the system says, or `InvalidData` for a file that is not one of keys.
    pub fn open(path: &Path, clock: ClockClass, random: &mut impl Random) -> io::Result<Self> {
        match File::open(path) {
            Ok(file) => {
                let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_LEN + 1));
                file.take(FILE_LEN as u64 + 1).read_to_end(&mut bytes)?;
                Self::from_file(&bytes, clock)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let secrets = Self::draw(random)?;
                let mut file =
                    File::options().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(MAGIC)?;
                file.write_all(&secrets[..])?;
                file.sync_all()?;
                Self::from_secrets(&secrets, clock)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the bytes of a file of keys.
    ///
    /// # Errors
    /// `InvalidData` for what is not one.
    pub fn from_file(bytes: &[u8], clock: ClockClass) -> io::Result<Self> {
        let secrets = bytes.strip_prefix(MAGIC).and_then(|rest| rest.try_into().ok());
        Self::from_secrets(secrets.ok_or_else(|| invalid("not a file of simulated keys"))?, clock)
    }

    /// New keys that are kept nowhere.
    ///
    /// # Errors
    /// The random source failed.
    pub fn generate(clock: ClockClass, random: &mut impl Random) -> io::Result<Self> {
        Self::from_secrets(&*Self::draw(random)?, clock)
    }

    fn draw(random: &mut impl Random) -> io::Result<Zeroizing<[u8; SECRETS_LEN]>> {
        let mut secrets = Zeroizing::new([0; SECRETS_LEN]);
        let failed = || io::Error::other("the source of randomness failed");
        engine::check_random(random).map_err(|_| failed())?;
        random.fill(&mut secrets[..16]).map_err(|_| failed())?;
        for at in [16, 48, 80] {
            let key = SoftwareKey::generate(random).map_err(|_| failed())?;
            secrets[at..at + 32].copy_from_slice(&key.to_secret_bytes()[..]);
        }
        random.fill(&mut secrets[112..]).map_err(|_| failed())?;
        Ok(secrets)
    }

    fn from_secrets(secrets: &[u8; SECRETS_LEN], clock: ClockClass) -> io::Result<Self> {
        let part = |at: usize| -> Zeroizing<[u8; 32]> {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(&secrets[at..at + 32]);
            key
        };
        let bad = |_: CryptoError| invalid("a key in the file is out of range");
        let mut id = [0; 16];
        id.copy_from_slice(&secrets[..16]);
        let mut keys = SimKeys {
            id: ContainerId::new(id),
            identity: SigningKey::from_bytes(&part(16)).map_err(bad)?,
            channel: SoftwareKey::from_bytes(&part(48)).map_err(bad)?,
            sealing: SoftwareKey::from_bytes(&part(80)).map_err(bad)?,
            storage: part(112),
            certificate: Vec::new(),
        };
        keys.certificate = keys
            .certify(clock)
            .ok_or_else(|| invalid("the test root cannot certify these keys"))?;
        Ok(keys)
    }

    /// A certificate under the test root: what a factory does for a real dongle.
    fn certify(&self, clock: ClockClass) -> Option<Vec<u8>> {
        let body = DeviceBody {
            kind: ContainerKind::Dongle,
            clock,
            anchor: AnchorClass::Hardware,
            identity_key: Fixed(self.identity.verifying_key().to_bytes()),
            channel_key: Fixed(self.channel.public().to_compressed()),
            sealing_key: Fixed(self.sealing.public().to_compressed()),
            batch: 0,
        };
        let body = codec::encode(&body);
        let maker = test_root::device_key()?;
        let header = Header {
            root_fp: test_root::root()?.root_fp,
            target: *self.id.bytes(),
            ..Header::new(Kind::Device, &body)
        };
        let mut headers = [header];
        let proofs = sign_batch(&mut headers, &maker, &[0; 32])?;
        Some(write_object(&headers[0], proofs.first()?, &body))
    }
}

impl Keys for SimKeys {
    fn id(&self) -> ContainerId {
        self.id
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn sign(&self, preimage: &[u8], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        Ok(self.identity.sign(preimage, entropy))
    }

    fn identity_id(&self) -> KeyId {
        self.identity.verifying_key().id()
    }

    fn channel_key(&self) -> &dyn StaticKey {
        &self.channel
    }

    fn sealing_key(&self) -> &dyn StaticKey {
        &self.sealing
    }

    fn storage_key(&self) -> &[u8; 32] {
        &self.storage
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
