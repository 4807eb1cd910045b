//! License Central with many licenses that it serves, on the embedded database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use license_central::api::{App, gateway};
use license_central::clock::SystemClock;
use license_central::domain::central::Central;
use license_central::domain::env::{Env, SystemRandom};
use license_central::domain::firm::{Firm, Leaf, LocalSigner, Signer, Wanted};
use license_central::domain::keys::Secret;
use license_central::domain::records::Grant;
use license_central::domain::refusal::Outcome;
use license_central::domain::serving::{self, SeatTerms};
use license_central::domain::work::Work;
use license_central::place::ServerSecrets;
use license_central::store::SqlStore;
use protocol::ids::KeyId;
use protocol::objects::root::Mode;
use protocol::signed::Role;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vendor::ledger::Issued;
use vendor::{Home, Passphrase, Rotation, Shown, Vendor};

use super::load;
use crate::Result;

/// Licenses that one transaction makes: few enough that no two counters of a millisecond meet.
const CHUNK: usize = 100;

pub(super) struct Server {
    pub at: SocketAddr,
    credentials: Vec<String>,
    _runtime: Runtime,
    _dir: tempfile::TempDir,
}

/// Makes a firm in a folder.
pub(super) type Found = fn(&Path) -> Result<Arc<Firm>>;

impl Server {
    /// With the firm that `found` makes.
    pub(super) fn start(licenses: usize, found: Found) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = SqlStore::sqlite(&dir.path().join("central.db"))?;
        store.migrate()?;
        let firms = BTreeMap::from([("acme".to_owned(), found(&dir.path().join("acme"))?)]);
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let secret = Secret::new([7; 32]);
        let central = Arc::new(Central::new(Arc::new(store), clock, random, secret, firms));
        let mut credentials = Vec::new();
        while credentials.len() < licenses {
            let made = central.write("acme", "bench", |work, env| sell(work, env, &central));
            credentials.extend(made.map_err(|refused| format!("{refused:?}"))?);
        }
        let runtime = load::runtime("ours")?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let at = listener.local_addr()?;
        let router = gateway::router(App::new(central));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Server { at, credentials, _runtime: runtime, _dir: dir })
    }

    /// Takes a seat of each license: from then on all credentials are in memory.
    pub(super) fn warm(&self) -> Result<()> {
        let count = self.credentials.len();
        load::run(self.at, super::CONNECTIONS, count, &|number| self.checkout(number)).map(drop)
    }

    /// Takes a seat of the license of this number.
    pub(super) fn checkout(&self, number: usize) -> Vec<u8> {
        let place = number.wrapping_mul(7_919) % self.credentials.len();
        load::post("/v1/acme/seats", Some(&self.credentials[place]), &load::checkout())
    }
}

/// Licenses with many seats each, with a credential each.
fn sell(work: &mut Work<'_>, env: &Env<'_>, central: &Central) -> Outcome<Vec<String>> {
    let mut credentials = Vec::with_capacity(CHUNK);
    for _ in 0..CHUNK {
        let terms = serde_json::from_str("{\"quantity\": 1000000}");
        let grant = Grant::new(env.id("gra"), "tic_0", (7, 0), terms.unwrap_or_default());
        work.insert(&grant)?;
        let times = SeatTerms { heartbeat_s: 3600, timeout_s: 7200, linger_s: None };
        let grant = serving::serve(work, env, None, (&grant.id, &times))?.record;
        let (_, text) = serving::credential(work, env, central.secret(), &grant)?;
        credentials.push(text.to_string());
    }
    Ok(credentials)
}

/// A firm that signs leases under suite 1.
pub(super) fn firm(dir: &Path) -> Result<Arc<Firm>> {
    let (vendor, signer) = with_signer(dir)?;
    Ok(firm_of(vendor, Box::new(signer)))
}

/// A vendor, and who signs for it.
pub(super) fn with_signer(dir: &Path) -> Result<(Vendor, LocalSigner)> {
    let vendor = init(dir)?;
    let signer = signer(&vendor)?;
    Ok((vendor, signer))
}

/// One that signs them under suite 2: P-256 and ML-DSA-65.
pub(super) fn hybrid_firm(dir: &Path) -> Result<Arc<Firm>> {
    let vendor = hybrid(dir)?;
    let signer = Box::new(signer(&vendor)?);
    Ok(firm_of(vendor, signer))
}

/// The same with a signature of its own for each lease.
pub(super) fn each_firm(dir: &Path) -> Result<Arc<Firm>> {
    let vendor = hybrid(dir)?;
    let signer = Box::new(Each(signer(&vendor)?));
    Ok(firm_of(vendor, signer))
}

pub(super) fn firm_of(vendor: Vendor, signer: Box<dyn Signer>) -> Arc<Firm> {
    Arc::new(Firm::new(vendor.trust, signer))
}

fn init(dir: &Path) -> Result<Vendor> {
    Vendor::init(dir, "Acme", 1, Mode::Test, None, &Passphrase::empty()).map_err(told)
}

fn hybrid(dir: &Path) -> Result<Vendor> {
    let vendor = init(dir)?;
    let home = (0, Home::File);
    let rotation = Rotation::of(&vendor.root, Role::Licensing, None, None, Some(2), home);
    let keys = vendor.keys(&ServerSecrets::new(None)).map_err(told)?;
    vendor.rotate(&rotation.map_err(told)?, keys, &Passphrase::empty(), None).map_err(told)
}

fn signer(vendor: &Vendor) -> Result<LocalSigner> {
    let keys = vendor.keys(&ServerSecrets::new(None)).map_err(told)?;
    Ok(LocalSigner::new(vendor.trust.clone(), keys))
}

pub(super) fn told(error: Shown) -> Box<dyn std::error::Error> {
    format!("{error:?}").into()
}

/// A signer that shares no signature among the leases of a commit.
struct Each(LocalSigner);

impl Signer for Each {
    fn draft(&self, wanted: &Wanted<'_>) -> std::result::Result<(Leaf, Issued), Shown> {
        self.0.draft(wanted)
    }

    fn key_id(&self) -> std::result::Result<KeyId, Shown> {
        self.0.key_id()
    }

    fn sign(&self, leaves: &[Leaf]) -> std::result::Result<Vec<Vec<u8>>, Shown> {
        self.0.sign(leaves)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> std::result::Result<Vec<Vec<u8>>, Shown> {
        let alone = |lease| self.0.sign_leases(vec![lease]).map(|mut signed| signed.remove(0));
        leases.into_iter().map(alone).collect()
    }
}
