//! What a renewal costs: statements, pages of the embedded database's log, and fsyncs of that and
//! of the signer's journal. Counted, the same on every machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32};

use protocol::objects::root::Mode;
use strongroom_tests::device::Device;
use vendor::ledger::Point;
use vendor::{Passphrase, Vendor};

use super::super::activation::{self, Context};
use super::super::catalog;
use super::super::central::{Central, Clock};
use super::super::env::SystemRandom;
use super::super::firm::{Firm, LocalSigner, Signer};
use super::super::keys::Secret;
use super::super::orders;
use super::super::records::Container;
use super::tests::{CALLERS, TENANT, World};
use super::*;
use crate::place::ServerSecrets;
use crate::signer::caps::{CapsFile, FIRST};
use crate::signer::journal::Medium;
use crate::signer::keeper::Keeper;
use crate::store::SqlStore;

const DAY_MS: i64 = 86_400_000;

/// Bytes of the log's head, and of a page in it with its own head.
const LOG_HEAD_LEN: usize = 32;
const PAGE_LEN: usize = 24 + 4096;

/// A clock that is set.
struct Set(AtomicI64);

impl Clock for Set {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A journal whose fsyncs are counted.
struct Counted {
    file: File,
    fsyncs: Arc<AtomicU32>,
}

impl Medium for Counted {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.fsyncs.fetch_add(1, Ordering::SeqCst);
        self.file.sync()
    }

    fn cut(&mut self, len: u64) -> std::io::Result<()> {
        self.file.cut(len)
    }
}

/// A firm whose signer keeps a journal.
fn firm(dir: &Path, clock: Arc<dyn Clock>, fsyncs: Arc<AtomicU32>) -> Arc<Firm> {
    let path = dir.join("acme");
    let vendor = Vendor::init(&path, "Acme", 1, Mode::Test, None, &Passphrase::empty()).unwrap();
    let keys = vendor.keys(&ServerSecrets::new(None)).unwrap();
    std::fs::write(dir.join("signer.toml"), FIRST).unwrap();
    std::fs::set_permissions(
        dir.join("signer.toml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let caps = CapsFile::read(&dir.join("signer.toml")).unwrap().of(TENANT);
    let signer = Arc::new(LocalSigner::new(vendor.trust.clone(), keys));
    let journal = dir.join("acme.journal");
    let counted = |file| Box::new(Counted { file, fsyncs }) as Box<dyn Medium>;
    let medium = (&*journal, counted);
    let keeper = Keeper::open_on(signer, vendor.root.root_fp, medium, caps, clock).unwrap();
    keeper.agree(keeper.head().unwrap()).unwrap();
    Arc::new(Firm::new(vendor.trust, Box::new(keeper)))
}

/// Pages in the log, and how many of them end a commit. Each of those is one fsync.
fn log(database: &Path) -> (usize, usize) {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let bytes = std::fs::read(name).unwrap();
    let pages = bytes.get(LOG_HEAD_LEN..).unwrap_or_default().chunks_exact(PAGE_LEN);
    (pages.len(), pages.filter(|page| page[4..8] != [0; 4]).count())
}

/// Each of these containers has a license with a checkpoint of 30 days.
fn activate(central: &Central, firm: &Firm, devices: &[Device]) {
    let product = "{\"code\":7,\"name\":\"Editor\",\"terms\":{\"checkpoint\":\"30d\"}}";
    let item = "{\"sku\":\"ED\",\"name\":\"Editor\",\"parts\":[{\"product\":7}]}";
    central
        .write(TENANT, "test", |work, env| {
            catalog::put_product(work, env, &serde_json::from_str(product).unwrap(), None)?;
            catalog::put_item(work, env, &serde_json::from_str(item).unwrap(), None)
        })
        .unwrap();
    for device in devices {
        let order = format!("{{\"number\":\"{}\",\"sku\":\"ED\"}}", device.id());
        let order = serde_json::from_str(&order).unwrap();
        let ordered =
            central.write(TENANT, "test", |work, env| Ok(orders::order(work, env, &order)?.code));
        let code = ordered.unwrap().unwrap();
        let context = Context::read(firm, &device.context(0, device.genesis())).unwrap();
        let delivered = central.deliver(TENANT, "test", &context, |work, env, firm| {
            activation::activate(work, env, firm, (&code, &[]), &context)
        });
        assert_eq!(delivered.unwrap().len(), 1);
    }
}

/// The context of a container that has applied all that was issued to it.
fn applied(central: &Central, firm: &Firm, device: &Device) -> Context {
    let found = central.read(TENANT, |work| work.get::<Container>(&device.id()));
    let ledger = found.unwrap().record.chain;
    let last = ledger.outstanding.last().map_or(ledger.base, |issued| issued.after);
    let Point { seq, state } = last;
    Context::read(firm, &device.context(seq, state)).unwrap()
}

fn renew(central: &Central, context: &Context) {
    let delivered = central.deliver(TENANT, "test", context, |work, env, firm| {
        activation::collect(work, env, firm, context)
    });
    assert_eq!(delivered.unwrap().len(), 1, "nothing was due");
}

#[test]
fn a_renewal_shares_its_commit_and_its_signature() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("central.db");
    let clock = Arc::new(Set(AtomicI64::new(1_800_000_000_000)));
    let journal = Arc::<AtomicU32>::default();
    let firm = firm(dir.path(), clock.clone(), journal.clone());
    let firms = BTreeMap::from([(TENANT.to_owned(), firm.clone())]);
    let root_fp = firm.identity().unwrap().0;
    let devices: Vec<Device> = (0..=CALLERS as u32).map(|at| Device::new(at, root_fp)).collect();
    {
        let store = SqlStore::sqlite(&path).unwrap();
        store.migrate().unwrap();
        let (random, secret) = (Arc::new(SystemRandom), Secret::new([7; 32]));
        let central = Central::new(Arc::new(store), clock.clone(), random, secret, firms.clone());
        activate(&central, &firm, &devices);
    }
    clock.0.fetch_add(29 * DAY_MS, Ordering::SeqCst);
    // The log begins anew: what is left of an old one would be counted.
    let emptied = rusqlite::Connection::open(&path).unwrap();
    emptied.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(emptied);
    let store = Box::new(SqlStore::sqlite(&path).unwrap());
    let world = World::over(store, None, clock, firms);
    let contexts: Vec<Context> =
        devices.iter().map(|device| applied(&world.central, &firm, device)).collect();
    let (pages_before, ends_before) = log(&path);
    let journal_before = journal.load(Ordering::SeqCst);
    let statements_before = world.statements.load(Ordering::SeqCst);
    // One step commits alone, and the others together behind it.
    world.meet(|number| renew(&world.central, &contexts[number]));
    let (pages, ends) = log(&path);
    let renewals = CALLERS as f64;
    let each = (pages - pages_before) as f64 / renewals;
    let fsyncs = ends - ends_before;
    let noted = journal.load(Ordering::SeqCst) - journal_before;
    let statements =
        f64::from(world.statements.load(Ordering::SeqCst) - statements_before) / renewals;
    println!("figure: a renewal takes {statements:.1} statements, {CALLERS} in a commit");
    println!("figure: a renewal writes {each:.2} pages of SQLite's log, {CALLERS} in a commit");
    println!("figure: {fsyncs} fsyncs of the database for two commits, {noted} of the journal");
    assert_eq!((world.commits(), fsyncs), (2, 2));
    // Those that come while the signer is at work go to it together: how many is a matter of time.
    assert!((1..=CALLERS as u32).contains(&noted), "{noted}");
    // Alone: one of each.
    let alone = applied(&world.central, &firm, &devices[CALLERS]);
    let (_, ends_before) = log(&path);
    renew(&world.central, &alone);
    let (_, ends) = log(&path);
    let noted_alone = journal.load(Ordering::SeqCst) - journal_before - noted;
    assert_eq!((ends - ends_before, noted_alone), (1, 1));
    assert!(statements <= 7.0, "{statements}");
    assert!(each <= 3.5, "{each}");
}
