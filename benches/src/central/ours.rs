//! License Central with many licenses that it serves, on the embedded database.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use license_central::api::{App, gateway};
use license_central::clock::SystemClock;
use license_central::domain::central::Central;
use license_central::domain::env::{Env, SystemRandom};
use license_central::domain::firm::{Firm, LocalSigner};
use license_central::domain::keys::Secret;
use license_central::domain::records::Grant;
use license_central::domain::refusal::Outcome;
use license_central::domain::serving::{self, SeatTerms};
use license_central::domain::work::Work;
use license_central::place::ServerSecrets;
use license_central::store::SqlStore;
use protocol::objects::root::Mode;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use vendor::{Passphrase, Vendor};

use super::load;
use crate::Result;

/// Licenses that one transaction makes.
const CHUNK: usize = 1000;

pub(super) struct Server {
    pub at: SocketAddr,
    credentials: Vec<String>,
    _runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(super) fn start(licenses: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = SqlStore::sqlite(&dir.path().join("central.db"))?;
        store.migrate()?;
        let firms = BTreeMap::from([("acme".to_owned(), firm(&dir.path().join("acme"))?)]);
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let secret = Secret::new([7; 32]);
        let central = Arc::new(Central::new(Arc::new(store), clock, random, secret, firms));
        let mut credentials = Vec::new();
        while credentials.len() < licenses {
            let made = central.write("acme", "bench", |work, env| sell(work, env, &central));
            credentials.extend(made.map_err(|refused| format!("{refused:?}"))?);
        }
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let at = listener.local_addr()?;
        let router = gateway::router(App::new(central));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Server { at, credentials, _runtime: runtime, _dir: dir })
    }

    /// Takes a seat of the license of this number.
    pub(super) fn checkout(&self, number: usize) -> Vec<u8> {
        let place = number.wrapping_mul(7_919) % self.credentials.len();
        load::post("/v1/acme/seats", &self.credentials[place], &load::checkout())
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
        let grant = serving::serve(work, env, &grant.id, &times)?.record;
        let (_, text) = serving::credential(work, env, central.secret(), &grant)?;
        credentials.push(text.to_string());
    }
    Ok(credentials)
}

pub(super) fn firm(dir: &Path) -> Result<Arc<Firm>> {
    let vendor = Vendor::init(dir, "Acme", 1, Mode::Test, None, &Passphrase::empty())
        .map_err(|error| format!("{error:?}"))?;
    let keys = vendor.keys(&ServerSecrets::new(None)).map_err(|error| format!("{error:?}"))?;
    let signer = Box::new(LocalSigner::new(vendor.trust.clone(), keys));
    Ok(Arc::new(Firm { trust: vendor.trust, signer }))
}
