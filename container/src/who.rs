//! Who asks: what this machine says of itself and its user to a container.
//!
//! None of it is proven. A container that depends on it trusts the machine's administrator.

use protocol::codec::Fixed;
use protocol::crypto::hash::Sha256;
use protocol::objects::license::{Client, Country, Version, user_id};

/// The version of this library, as licenses with a minimum see it.
pub const RUNTIME_VERSION: Version = match Version::parse(env!("CARGO_PKG_VERSION")) {
    Some(version) => version,
    None => panic!("the version of this crate is three numbers"),
};

/// This machine's claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// As a container hears it.
    pub client: Client,
    /// The user's name, for messages.
    pub user: String,
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
        Who { client, user }
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
    fn the_version_is_that_of_the_crate() {
        assert_eq!(RUNTIME_VERSION.to_string(), env!("CARGO_PKG_VERSION"));
    }
}
