//! Who asks: what this machine says of itself and its user to a container.
//!
//! None of it is proven. A container that depends on it trusts the machine's administrator.

use std::path::Path;
use std::sync::Arc;

use protocol::codec::Fixed;
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::Sha256;
use protocol::errors::ErrorCode;
use protocol::objects::license::{Client, Country, Version, user_id};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::secure::system_random;

/// The version of this library, as licenses with a minimum see it.
pub const RUNTIME_VERSION: Version = match Version::parse(env!("CARGO_PKG_VERSION")) {
    Some(version) => version,
    None => panic!("the version of this crate is three numbers"),
};

/// A user's own key, for licenses that name its public half. Clones share it.
#[derive(Clone)]
pub struct UserKey(Arc<SigningKey>);

/// How a key file begins; the private scalar follows, in hexadecimal.
const KEY_FILE_PREFIX: &str = "strongroom-user-key-v1 ";

impl UserKey {
    /// A new one.
    ///
    /// # Errors
    /// [`ErrorCode::RandomFailed`].
    pub fn generate() -> Result<Self, Error> {
        let key = SigningKey::generate(&mut system_random);
        let failed = |_| Error::new(ErrorCode::RandomFailed, "the system gave no random bytes");
        key.map(|key| UserKey(Arc::new(key))).map_err(failed)
    }

    /// Reads a key file's contents.
    ///
    /// # Errors
    /// [`ErrorCode::UserKeyFile`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let broken = || Error::from(ErrorCode::UserKeyFile.failure());
        let digits = text.trim().strip_prefix(KEY_FILE_PREFIX).ok_or_else(broken)?;
        let scalar = Zeroizing::new(protocol::ids::parse_hex::<32>(digits).ok_or_else(broken)?);
        let key = SigningKey::from_bytes(&scalar).map_err(|_| broken())?;
        Ok(UserKey(Arc::new(key)))
    }

    /// Reads a key file. One that others may read is refused.
    ///
    /// # Errors
    /// [`ErrorCode::UserKeyFile`] with what the system said.
    pub fn read(path: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::PermissionsExt;
        let refused = |why: &dyn std::fmt::Display| {
            Error::new(ErrorCode::UserKeyFile, format!("{}: {why}", path.display()))
        };
        let found = std::fs::metadata(path).map_err(|error| refused(&error))?;
        if found.permissions().mode() & 0o077 != 0 {
            return Err(refused(&"others may read it; chmod 600 keeps it private"));
        }
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| refused(&error))?);
        UserKey::parse(&text)
    }

    /// What is written into a key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(KEY_FILE_PREFIX);
        for byte in self.0.to_secret_bytes().iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\n');
        text
    }

    /// The public half, as licenses name it.
    pub fn public(&self) -> Fixed<33> {
        Fixed(self.0.verifying_key().to_bytes())
    }

    /// Signs a proof that it is here.
    pub(crate) fn sign(&self, preimage: &[u8]) -> Result<[u8; 64], Error> {
        let mut entropy = [0; 32];
        system_random(&mut entropy)
            .map_err(|_| Error::new(ErrorCode::RandomFailed, "the system gave no random bytes"))?;
        Ok(self.0.sign(preimage, &entropy))
    }
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserKey({:?})", self.public())
    }
}

impl PartialEq for UserKey {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl Eq for UserKey {}

/// This machine's claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// As a container hears it.
    pub client: Client,
    /// The user's name, for messages.
    pub user: String,
    /// The user's key, where one is configured.
    pub key: Option<UserKey>,
}

impl Who {
    /// This process's user, and the market that the machine was told it is in.
    pub fn here(market: Option<Country>) -> Self {
        let user = user_name(rustix::process::getuid().as_raw());
        let client = Client {
            runtime: RUNTIME_VERSION,
            market: market.unwrap_or_default(),
            user: user_id(&user),
            station: station(),
        };
        Who { client, user, key: None }
    }

    /// With the user's key.
    pub fn with_key(self, key: Option<UserKey>) -> Self {
        Who { key, ..self }
    }
}

/// This station: the boot of this machine, the network of this container or pod, the login session.
/// Drawn from what the kernel says, so that copies of a machine are stations of their own.
fn station() -> Fixed<16> {
    let file = |path: &str| std::fs::read(path).unwrap_or_default();
    let network = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(b"strongroom/station/v1\0");
    let boot = file("/proc/sys/kernel/random/boot_id");
    for part in [&boot[..], network.as_os_str().as_encoded_bytes(), &file("/proc/self/sessionid")] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Fixed(hash.finish_16())
}

/// The name by the system's list of users, or `uid:1000` for one that is not in it. Other
/// directories of users are not asked: a protected program has no library that could.
fn user_name(uid: u32) -> String {
    let list = std::fs::read("/etc/passwd").unwrap_or_default();
    name_in(&String::from_utf8_lossy(&list), uid).unwrap_or_else(|| format!("uid:{uid}"))
}

/// Lines are `name:password:uid:…`, see passwd(5).
fn name_in(list: &str, uid: u32) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_number() {
        let list = "root:x:0:0::/root:/bin/sh\n\nbroken\nanna:x:1000:1000::/:/bin/sh\n:x:7:7\n";
        assert_eq!(name_in(list, 0).as_deref(), Some("root"));
        assert_eq!(name_in(list, 1000).as_deref(), Some("anna"));
        assert_eq!(name_in(list, 7), None);
        assert_eq!(user_name(4_000_000_001), "uid:4000000001");
    }

    #[test]
    fn a_user_key_is_read_back_and_not_shown() {
        let key = UserKey::generate().unwrap();
        let text = key.to_text();
        assert_eq!(UserKey::parse(&text).unwrap(), key);
        assert!(!format!("{key:?}").contains(text.trim().rsplit(' ').next().unwrap()));
        for broken in ["", "strongroom-user-key-v1 00", "strongroom-user-key-v2 11", "x"] {
            assert!(UserKey::parse(broken).is_err_and(|error| error.is(ErrorCode::UserKeyFile)));
        }
    }

    #[test]
    fn the_version_is_that_of_the_crate() {
        assert_eq!(RUNTIME_VERSION.to_string(), env!("CARGO_PKG_VERSION"));
    }
}
