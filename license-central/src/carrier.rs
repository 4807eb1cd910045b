//! Carries messages to webhooks: to addresses of the world outside, and nowhere inside.
//!
//! Whoever may name an address could else make this server ask what only it can reach: its own
//! listeners, its network, the metadata of a cloud. A name is resolved once, and the connection
//! goes to what was looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use protocol::errors::ErrorCode;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use crate::domain::central::Central;
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Outcome;
use crate::domain::webhooks::{self, Outgoing};
use crate::domain::work::Stored;

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Messages that are sent at the same time.
const AT_ONCE: usize = 16;

/// Where messages may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// To public addresses, by https.
    World,
    /// Also to this machine, and by http: to try webhooks out.
    ThisMachine,
}

/// Carries messages.
pub struct Carrier {
    agent: Agent,
    reach: Reach,
}

/// Resolves names, and refuses addresses that are inside.
#[derive(Debug)]
struct Outside {
    inner: DefaultResolver,
    reach: Reach,
}

impl Resolver for Outside {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        // One of several that is inside is reason enough: the next answer may name it alone.
        if found.iter().all(|address| self.reach.includes(address.ip())) {
            Ok(found)
        } else {
            Err(Error::HostNotFound)
        }
    }
}

impl Reach {
    fn includes(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || (self == Reach::ThisMachine && address.is_loopback())
    }

    /// Refuses an address that no message may go to, as far as it can be told by looking.
    pub fn check(self, url: &str) -> Outcome<()> {
        let refused = || ErrorCode::WebhookAddress.into();
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let plain = self == Reach::ThisMachine && uri.scheme_str() == Some("http");
        let host = uri.host().unwrap_or_default();
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !(plain || uri.scheme_str() == Some("https")) || host.is_empty() || has_user {
            return Err(refused());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let inside = match bare.parse::<IpAddr>() {
            Ok(address) => !self.includes(address),
            Err(_) => self == Reach::World && (host == "localhost" || !host.contains('.')),
        };
        if inside { Err(refused()) } else { Ok(()) }
    }
}

impl Carrier {
    /// That goes so far. It trusts the authorities that this machine trusts.
    pub fn new(reach: Reach) -> Self {
        let found = rustls_native_certs::load_native_certs().certs;
        let roots = found.iter().map(|one| Certificate::from_der(one.as_ref()).to_owned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Config::builder()
            .https_only(reach == Reach::World)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(0)
            .tls_config(tls)
            .user_agent("strongroom-license-central")
            .build();
        let resolver = Outside { inner: DefaultResolver::default(), reach };
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Carrier { agent, reach }
    }

    /// How far it goes.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Sends what is due, some at a time; how many that were.
    pub fn round(&self, central: &Central) -> Outcome<usize> {
        let now_ms = central.now_ms();
        let due = central.read(SYSTEM, |work| webhooks::due(work, now_ms, AT_ONCE))?;
        std::thread::scope(|scope| {
            for seen in &due {
                scope.spawn(move || {
                    if let Err(refusal) = self.carry(central, seen) {
                        // It stays due, or is so again when its time is over.
                        tracing::warn!(?refusal, message = seen.record.id, "not carried");
                    }
                });
            }
        });
        Ok(due.len())
    }

    fn carry(&self, central: &Central, seen: &Stored<webhooks::Message>) -> Outcome<()> {
        const ACTOR: &str = "carrier";
        let claimed = central.write(SYSTEM, ACTOR, |work, env| webhooks::claim(work, env, seen))?;
        let Some(claimed) = claimed else { return Ok(()) };
        let now_ms = central.now_ms();
        let outgoing = central.read(&claimed.record.vendor, |work| {
            webhooks::outgoing(work, central.secret(), claimed.clone(), now_ms)
        })?;
        let Some(outgoing) = outgoing else {
            return central.write(SYSTEM, ACTOR, |work, _| webhooks::give_up(work, &claimed));
        };
        let met = self.send(&outgoing);
        central.write(SYSTEM, ACTOR, |work, env| webhooks::settle(work, env, &claimed, met.clone()))
    }

    /// One try. What the other side wrote is not looked at.
    fn send(&self, outgoing: &Outgoing) -> Result<(), String> {
        self.reach.check(&outgoing.url).map_err(|_| "the address is not allowed".to_owned())?;
        let message = &outgoing.message.record;
        let sent = self
            .agent
            .post(&outgoing.url)
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", outgoing.timestamp_s.to_string())
            .header("webhook-signature", &outgoing.signature)
            .send(&message.body);
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
            Err(Error::HostNotFound) => Err("no such host, or one that is inside".into()),
            Err(Error::Timeout(_)) => Err("it took too long".into()),
            Err(_) => Err("no connection".into()),
        }
    }
}

/// Whether an address belongs to the world outside.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        // Shared by providers; protocols; relays of 6to4; benchmarks; multicast and reserved.
        || (a == 100 && b & 0xc0 == 64)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a == 198 && b & 0xfe == 18)
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Of 2000::/3 all but what carries an address of IPv4 inside (Teredo, 6to4) and documentation.
    a & 0xe000 == 0x2000
        && a != 0x2002
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: [&str; 30] = [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ];

    #[test]
    fn sec_w11_no_address_inside_is_reached() {
        for text in INSIDE {
            let address: IpAddr = text.parse().unwrap();
            assert!(!Reach::World.includes(address), "{text}");
            let host = if address.is_ipv6() { format!("[{text}]") } else { text.into() };
            assert!(Reach::World.check(&format!("https://{host}/x")).is_err(), "{text}");
        }
        for text in ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(Reach::World.includes(text.parse().unwrap()), "{text}");
        }
        assert!(Reach::ThisMachine.includes("127.0.0.1".parse().unwrap()));
        assert!(!Reach::ThisMachine.includes("169.254.169.254".parse().unwrap()));
    }

    #[test]
    fn sec_w11_only_plain_addresses_by_https_are_taken() {
        let wrong = [
            "",
            "x",
            "/x",
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://localhost/",
            "https://intranet/",
            "https://user@example.org/",
            "https://user:pw@example.org/",
            "gopher://example.org",
        ];
        for url in wrong {
            assert!(Reach::World.check(url).is_err(), "{url}");
        }
        for url in ["https://example.org/", "https://example.org:8443/x?y", "https://1.1.1.1/"] {
            assert!(Reach::World.check(url).is_ok(), "{url}");
        }
    }

    /// Names that resolve to this machine, however they are written.
    #[test]
    fn sec_w11_a_name_that_resolves_to_this_machine_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let carrier = Carrier::new(Reach::World);
        for host in ["localhost", "127.1", "2130706433", "0x7f000001", "127.0.0.1", "[::1]"] {
            let sent = carrier.agent.post(format!("https://{host}:{port}/")).send("x");
            assert!(sent.is_err(), "{host}");
        }
        assert!(listener.accept().is_err(), "somebody connected");
    }
}
