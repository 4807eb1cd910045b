//! Renewals over the Gateway against their limits: those of a checkout, and the verification of one
//! P-256 signature, since a renewal comes with the container's own. What a renewal costs in
//! statements, pages and fsyncs is counted by a test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::api::{App, gateway};
use license_central::domain::activation::{self, Context};
use license_central::domain::catalog;
use license_central::domain::central::{Central, Clock};
use license_central::domain::env::{Env, SystemRandom};
use license_central::domain::firm::{Firm, Signer};
use license_central::domain::keys::Secret;
use license_central::domain::orders;
use license_central::domain::records::Container;
use license_central::domain::refusal::{Outcome, Refusal};
use license_central::domain::work::Work;
use license_central::signer::caps::{CapsFile, FIRST};
use license_central::signer::keeper::Keeper;
use license_central::store::SqlStore;
use strongroom_tests::device::Device;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::load::{self, Load};
use super::{CONNECTIONS, US, bare, ours, postgres, turns};
use crate::Result;
use crate::clock::wall_s;
use crate::measure::{Pair, against, in_turn, median};
use crate::table::Row;

const TENANT: &str = "acme";

/// Containers, and so renewals of one measurement. The signer's caps are far above.
const CONTAINERS: usize = 4_000;

/// Licenses of the bare server.
const LICENSES: usize = super::LICENSES;

/// Renewals that are timed together without a network, and threads that ask.
const TIMED: usize = 500;
const THREADS: usize = 64;

/// Behind so many days of 30 a license is due.
const DUE_MS: i64 = 25 * 86_400_000;

/// Orders and activations that one transaction takes.
const CHUNK: usize = 100;

/// All rows.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let renewals = Renewals::sqlite(dir.path(), CONTAINERS)?;
    let served = Served::start(renewals)?;
    let floor = bare::Server::verifying(LICENSES)?;
    let echo = bare::Server::verifying_echo()?;
    let mut rows = under_load(&served, &floor, &echo)?;
    rows.push(alone(&served, &echo)?);
    drop((served, floor, echo));
    rows.push(on_postgres()?);
    rows.push(scaling()?);
    Ok(rows)
}

fn under_load(served: &Served, floor: &bare::Server, echo: &bare::Server) -> Result<Vec<Row>> {
    let renewals = || served.load(CONNECTIONS, CONTAINERS);
    let (mut tails, mut walls) = (Vec::new(), Vec::new());
    let checkouts = |at: &bare::Server| {
        load::run(at.at, CONNECTIONS, CONTAINERS, &|number| at.checkout(number))
    };
    let throughput = against(Some(1.0 / 0.75), || {
        let pair = turns(renewals, || checkouts(floor))?;
        tails.push(Pair { ours_s: pair.0.p99_s, limit_s: pair.0.p50_s });
        walls.push(pair.0.wall_s);
        Ok(Pair { ours_s: pair.0.wall_s, limit_s: pair.1.wall_s })
    })?;
    let processor = against(Some(1.8), || {
        let pair = turns(renewals, || checkouts(echo))?;
        let batch_s = bare::batch_cpu_s(LICENSES)?;
        Ok(Pair { ours_s: pair.0.cpu_s, limit_s: pair.1.cpu_s + batch_s })
    })?;
    println!("renewals under load: {:.0}/s", 1.0 / median(walls));
    Ok(vec![
        Row::of_pairs(
            "renewal, 64 connections / bare, unsigned, and a verification",
            &throughput,
            Some(1.0 / 0.75),
            US,
            ("ours", "bare axum, narrow SQLite, a verification"),
        ),
        Row::of_pairs(
            "server CPU of a renewal / bare and a verification",
            &processor,
            Some(1.8),
            US,
            ("ours", "bare echo, storage batch, a verification"),
        ),
        Row::of_pairs(
            "slowest of a hundred renewals / median",
            &tails,
            Some(4.0),
            ("ms", 1e3),
            ("p99", "p50"),
        ),
    ])
}

/// One connection.
fn alone(served: &Served, echo: &bare::Server) -> Result<Row> {
    const COUNT: usize = 1_000;
    let bound = Some(1.5);
    let pairs = against(bound, || {
        let pair = turns(
            || served.load(1, COUNT),
            || load::run(echo.at, 1, COUNT, &|number| echo.checkout(number)),
        )?;
        Ok(Pair { ours_s: pair.0.p50_s, limit_s: pair.1.p50_s + bare::append_p50_s()? })
    })?;
    let names = ("ours", "append, fdatasync, bare echo, a verification");
    Ok(Row::of_pairs("renewal alone, median / bare", &pairs, bound, US, names))
}

/// On PostgreSQL, against the database's own client.
fn on_postgres() -> Result<Row> {
    let (dir, server) = (tempfile::tempdir()?, postgres::Server::start()?);
    let renewals = Renewals::over(SqlStore::postgres(&server.url())?, dir.path(), CONTAINERS)?;
    let runtime = Runtime::new()?;
    let bare = runtime.block_on(postgres::Bare::connect(&server.url()))?;
    let bound = Some(1.0 / 0.6);
    let pairs = against(bound, || {
        in_turn(5, || renewals.timed(), || Ok(bare.sets(&runtime)? + bare::verification_s(TIMED)?))
    })?;
    let names = ("ours", "tokio-postgres, a verification");
    Ok(Row::of_pairs("renewal on PostgreSQL / bare sets of 64", &pairs, bound, US, names))
}

/// With many containers against few. A million of them cannot be activated in the time of a run.
fn scaling() -> Result<Row> {
    let (few, many) = (1_000, 20_000);
    let (small_dir, large_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let small = Renewals::sqlite(small_dir.path(), few)?;
    let large = Renewals::sqlite(large_dir.path(), many)?;
    let bound = Some(1.0 / 0.6);
    let pairs = against(bound, || in_turn(5, || large.timed(), || small.timed()))?;
    let name = format!("renewals, {many} containers / {few}");
    Ok(Row::of_pairs(name, &pairs, bound, US, ("many", "few")))
}

/// A clock that is moved.
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Containers with a license each that is renewed every 30 days, before a Central whose signer
/// keeps its journal, as it does elsewhere.
struct Renewals {
    central: Arc<Central>,
    firm: Arc<Firm>,
    devices: Vec<Device>,
    clock: Arc<Moved>,
    next: AtomicUsize,
}

impl Renewals {
    fn sqlite(dir: &Path, count: usize) -> Result<Self> {
        Self::over(SqlStore::sqlite(&dir.join("central.db"))?, dir, count)
    }

    fn over(store: SqlStore, dir: &Path, count: usize) -> Result<Self> {
        store.migrate()?;
        let clock = Arc::new(Moved(AtomicI64::new(1_800_000_000_000)));
        let firm = journaled(dir, clock.clone())?;
        let firms = BTreeMap::from([(TENANT.to_owned(), firm.clone())]);
        let (random, secret) = (Arc::new(SystemRandom), Secret::new([7; 32]));
        let central = Arc::new(Central::new(Arc::new(store), clock.clone(), random, secret, firms));
        let root_fp = firm.identity().map_err(|failure| format!("{failure:?}"))?.0;
        let devices: Vec<_> = (0..count as u32).map(|at| Device::new(at, root_fp)).collect();
        let next = AtomicUsize::new(count);
        let renewals = Renewals { central, firm, devices, clock, next };
        renewals.activate()?;
        Ok(renewals)
    }

    fn activate(&self) -> Result<()> {
        let product = "{\"code\":7,\"name\":\"Editor\",\"terms\":{\"checkpoint\":\"30d\"}}";
        let item = "{\"sku\":\"ED\",\"name\":\"Editor\",\"parts\":[{\"product\":7}]}";
        let (product, item) = (serde_json::from_str(product)?, serde_json::from_str(item)?);
        self.write(|work, env| {
            catalog::put_product(work, env, &product, None)?;
            catalog::put_item(work, env, &item, None).map(drop)
        })?;
        for devices in self.devices.chunks(CHUNK) {
            let contexts: Result<Vec<_>> = devices
                .iter()
                .map(|device| self.read(&device.context(0, device.genesis())))
                .collect();
            let contexts = contexts?;
            self.write(|work, env| {
                devices
                    .iter()
                    .zip(&contexts)
                    .try_for_each(|(device, context)| sell(work, env, &self.firm, device, context))
            })?;
        }
        Ok(())
    }

    fn write(&self, step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<()>) -> Result<()> {
        self.central.write(TENANT, "bench", step).map_err(refused)
    }

    fn read(&self, context: &[u8]) -> Result<Context> {
        Context::read(&self.firm, context).map_err(refused)
    }

    /// Contexts of the next containers that are due. When all had their turn, time goes on.
    fn due(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut first = self.next.fetch_add(count, Ordering::SeqCst);
        if first + count > self.devices.len() {
            self.clock.0.fetch_add(DUE_MS, Ordering::SeqCst);
            first = 0;
            self.next.store(count, Ordering::SeqCst);
        }
        self.devices[first..first + count].iter().map(|device| self.applied(device)).collect()
    }

    /// The context of a container that has applied all that was issued to it.
    fn applied(&self, device: &Device) -> Result<Vec<u8>> {
        let found = self.central.read(TENANT, |work| work.get::<Container>(&device.id()));
        let ledger = found.map_err(refused)?.record.chain;
        let last = ledger.outstanding.last().map_or(ledger.base, |issued| issued.after);
        Ok(device.context(last.seq, last.state))
    }

    /// Seconds of one renewal, without a network.
    fn timed(&self) -> Result<f64> {
        let contexts = self.due(TIMED)?;
        let share = contexts.chunks(TIMED.div_ceil(THREADS));
        let all = || {
            std::thread::scope(|scope| {
                let renew =
                    |own: &[Vec<u8>]| own.iter().try_for_each(|context| self.renew(context));
                let each: Vec<_> = share
                    .map(|own| scope.spawn(move || renew(own).map_err(|error| error.to_string())))
                    .collect();
                each.into_iter().try_for_each(|one| Ok(one.join().map_err(|_| "panic")??))
            })
        };
        Ok(wall_s(all)? / TIMED as f64)
    }

    fn renew(&self, context: &[u8]) -> Result<()> {
        let context = self.read(context)?;
        let step = |work: &mut Work<'_>, env: &Env<'_>, firm: &Firm| {
            activation::collect(work, env, firm, &context)
        };
        match self.central.deliver(TENANT, "bench", &context, step).map_err(refused)?.len() {
            1 => Ok(()),
            other => Err(format!("{other} updates where one was due").into()),
        }
    }
}

/// An order of one license, and its ticket redeemed into a container.
fn sell(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    device: &Device,
    context: &Context,
) -> Outcome<()> {
    let order = format!("{{\"number\":\"{}\",\"sku\":\"ED\"}}", device.id());
    let order = serde_json::from_str(&order).map_err(Refusal::malformed)?;
    let code = orders::order(work, env, &order)?.code.unwrap_or_default();
    activation::activate(work, env, firm, (&code, &[]), context).map(drop)
}

/// A firm whose signer writes down what it signs.
fn journaled(dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<Firm>> {
    let (vendor, signer) = ours::with_signer(&dir.join("acme"))?;
    let caps = dir.join("signer.toml");
    vendor::files::write_private(&caps, FIRST.as_bytes()).map_err(ours::told)?;
    let caps = CapsFile::read(&caps).map_err(ours::told)?.of(TENANT);
    let (journal, root_fp) = (dir.join("acme.journal"), vendor.root.root_fp);
    let keeper = Keeper::open(signer, root_fp, &journal, caps, clock).map_err(ours::told)?;
    keeper.head().and_then(|head| keeper.agree(head)).map_err(ours::told)?;
    Ok(ours::firm_of(vendor, Box::new(keeper)))
}

fn refused(refusal: Refusal) -> Box<dyn std::error::Error> {
    format!("{refusal:?}").into()
}

/// The Gateway in front of it.
struct Served {
    renewals: Renewals,
    at: std::net::SocketAddr,
    _runtime: Runtime,
}

impl Served {
    fn start(renewals: Renewals) -> Result<Self> {
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let at = listener.local_addr()?;
        let router = gateway::router(App::new(renewals.central.clone()));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Served { renewals, at, _runtime: runtime })
    }

    /// Renews so many, each once.
    fn load(&self, connections: usize, count: usize) -> Result<Load> {
        let post = |context: Vec<u8>| {
            let body = format!("{{\"context\":\"{}\"}}", BASE64.encode(context));
            load::post("/v1/acme/collections", None, &body)
        };
        let requests: Vec<_> = self.renewals.due(count)?.into_iter().map(post).collect();
        // Numbers of a load follow one another, so each is sent once.
        load::run(self.at, connections, count, &|number| requests[number % count].clone())
    }
}
