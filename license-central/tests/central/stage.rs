//! A Central that issues: a vendor in a folder, a signer with its journal, records in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::domain::central::{Central, Clock};
use license_central::domain::env::SystemRandom;
use license_central::domain::firm::{Firm, Leaf, LocalSigner, Signer, Wanted};
use license_central::domain::journal::{Entry, Head, Part};
use license_central::domain::keys::Secret;
use license_central::domain::records::{Grant, Place, RoleName};
use license_central::domain::refusal::Refusal;
use license_central::domain::trusted::TrustMark;
use license_central::domain::work::Record;
use license_central::recovery::Source;
use license_central::recovery::check::{self, Kind, Report};
use license_central::recovery::repair::{self, Repaired};
use license_central::signer::caps::{self, CapsFile};
use license_central::signer::keeper::Keeper;
use license_central::store::{Filter, MemoryStore};
use protocol::errors::Shown;
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::limits::UPDATE_BODY_LEN_MAX;
use protocol::objects::device::DeviceBody;
use protocol::objects::file::{self, FileKind};
use protocol::objects::root::Mode;
use serde_json::{Value, json};
use tempfile::TempDir;
use vendor::ledger::Issued;
use vendor::trust::Trust;
use vendor::{Passphrase, Vendor, files};

use crate::dongle::Dongle;
use crate::server::{Got, Server};
use crate::time::Shifted;

/// A Central of the vendor `acme`.
pub(crate) struct Stage {
    dir: TempDir,
    vendor: Vendor,
    pub(crate) store: Arc<MemoryStore>,
    /// The clock of both.
    pub(crate) clock: Arc<Shifted>,
    running: Option<Running>,
}

/// What ends when the server does.
struct Running {
    server: Server,
    keeper: Arc<Keeper>,
    owner: String,
}

/// The signer of a test, which is looked at from outside too.
struct Shared(Arc<Keeper>);

impl Signer for Shared {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        self.0.draft(wanted)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        self.0.sign_leases(leases)
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        self.0.key_id()
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        self.0.sign(leaves)
    }

    fn certify(&self, id: ContainerId, body: &DeviceBody) -> Result<Vec<u8>, Shown> {
        self.0.certify(id, body)
    }

    fn time_token(&self, certificate: &[u8], nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        self.0.time_token(certificate, nonce)
    }

    fn trusted(&self) -> Result<Option<TrustMark>, Shown> {
        self.0.trusted()
    }

    fn head(&self) -> Result<Head, Shown> {
        self.0.head()
    }

    fn entries(&self, after: u64) -> Result<Part, Shown> {
        self.0.entries(after)
    }

    fn agree(&self, head: Head) -> Result<(), Shown> {
        self.0.agree(head)
    }

    fn agreed(&self) -> Result<(), Shown> {
        self.0.agreed()
    }
}

/// No passphrase: the vendor is for tests.
pub(crate) struct NoSecrets;

impl vendor::Secrets for NoSecrets {
    fn passphrase(&self, _: Mode) -> vendor::Result<Passphrase> {
        Ok(Passphrase::empty())
    }

    fn pin(&self, _: &str) -> vendor::Result<Passphrase> {
        Ok(Passphrase::empty())
    }
}

impl Stage {
    /// With the caps that `init` writes.
    pub(crate) fn new() -> Self {
        Self::capped(caps::FIRST)
    }

    /// With these caps, and selling `ED-1`, which is product 7.
    pub(crate) fn capped(caps: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let own = Passphrase::empty();
        let vendor = Vendor::init(&dir.path().join("acme"), "Acme", 1, Mode::Test, None, &own);
        let store = Arc::new(MemoryStore::default());
        let (vendor, clock) = (vendor.expect("a vendor"), Arc::default());
        let mut stage = Stage { dir, vendor, store, clock, running: None };
        stage.set_caps(caps);
        stage.start();
        let put = |path: &str, body: Value| {
            stage.owner(("admin", "PUT", path), &body).ok(200);
        };
        put("/v1/products", json!({ "code": 7, "name": "Editor", "terms": { "quantity": 1 } }));
        put("/v1/items", json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] }));
        stage
    }

    pub(crate) fn set_caps(&self, caps: &str) {
        files::replace(&self.caps_path(), caps.as_bytes(), 0o600).expect("room");
    }

    fn caps_path(&self) -> PathBuf {
        self.dir.path().join("signer.toml")
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.dir.path().join("acme.journal")
    }

    /// Opens the signer: caps, journal and keys are read.
    pub(crate) fn open_keeper(&self) -> Result<Keeper, Shown> {
        self.open_keeper_by(self.vendor.trust.clone())
    }

    /// The same by other roots and revocations.
    pub(crate) fn open_keeper_by(&self, trust: Trust) -> Result<Keeper, Shown> {
        let signer = LocalSigner::new(trust, self.vendor.keys(&NoSecrets)?);
        let caps = CapsFile::read(&self.caps_path())?.of("acme");
        let (clock, root_fp) = (self.clock.clone(), self.vendor.root.root_fp);
        Keeper::open(signer, root_fp, &self.journal_path(), caps, clock)
    }

    /// The vendor makes the next root, or revocations.
    pub(crate) fn change_vendor(&mut self, change: impl FnOnce(Vendor) -> Vendor) {
        let own = Vendor::open(&self.dir.path().join("acme")).expect("a vendor");
        self.vendor = change(own);
    }

    /// The signer reads the directory again: whether anything was new.
    pub(crate) fn reread(&self) -> Result<bool, Shown> {
        self.keeper().replace(self.vendor.trust.clone(), self.vendor.keys(&NoSecrets)?)
    }

    /// The server does.
    pub(crate) fn take_over(&self) -> Result<bool, Shown> {
        self.take_over_by(self.vendor.trust.clone())
    }

    pub(crate) fn take_over_by(&self, trust: Trust) -> Result<bool, Shown> {
        let signer = Box::new(Shared(self.running().keeper.clone()));
        let taken = self.running().server.central.take_over("acme", Firm::new(trust, signer));
        taken.map_err(Refusal::shown)
    }

    /// Another server over the same records starts with this.
    pub(crate) fn note_trust(&self, trust: Trust) -> Result<bool, Shown> {
        let signer = Box::new(Shared(self.running().keeper.clone()));
        let firms = BTreeMap::from([("acme".to_owned(), Arc::new(Firm::new(trust, signer)))]);
        self.central_with(firms).note_trust("acme").map_err(Refusal::shown)
    }

    /// Starts signer and server; what the journal and the records say meanwhile does not matter.
    pub(crate) fn start(&mut self) {
        let keeper = Arc::new(self.open_keeper().expect("a journal"));
        let signer = Box::new(Shared(keeper.clone()));
        let firm = Arc::new(Firm::new(self.vendor.trust.clone(), signer));
        let firms = BTreeMap::from([("acme".to_owned(), firm)]);
        let server = Server::over(Arc::new(self.central_with(firms)));
        let owner = server.key("acme", RoleName::Owner);
        self.running = Some(Running { server, keeper, owner });
    }

    /// Ends both. The journal is free when the last request is.
    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn central_with(&self, firms: BTreeMap<String, Arc<Firm>>) -> Central {
        let (clock, random) = (self.clock.clone(), Arc::new(SystemRandom));
        Central::new(self.store.clone(), clock, random, Secret::new([7; 32]), firms)
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.running().keeper
    }

    pub(crate) fn server(&self) -> &Server {
        &self.running().server
    }

    pub(crate) fn root_fp(&self) -> RootFp {
        self.vendor.root.root_fp
    }

    pub(crate) fn vendor(&self) -> &Vendor {
        &self.vendor
    }

    pub(crate) fn dongle(&self, seed: u64) -> Dongle {
        Dongle::new(seed, self.root_fp())
    }

    /// Asks as the owner.
    pub(crate) fn owner(&self, route: (&str, &str, &str), body: &Value) -> Got {
        let running = self.running();
        running.server.with(&running.owner, route, &body.to_string())
    }

    /// The same as a change of the version that a tag names.
    pub(crate) fn changed(&self, path: &str, tag: &str, body: &Value) -> Got {
        let bearer = format!("Bearer {}", self.running().owner);
        let headers = [("authorization", bearer.as_str()), ("if-match", tag)];
        self.running().server.ask(("admin", "POST", path), &headers, &body.to_string())
    }

    /// A ticket for so many devices.
    pub(crate) fn ticket(&self, number: &str, devices: u32) -> String {
        let order = json!({ "number": number, "sku": "ED-1", "quantity": devices });
        let made = self.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
        made.body["code"].as_str().expect("a ticket").to_owned()
    }

    /// Asks the Gateway for updates of a container.
    pub(crate) fn gateway(&self, what: &str, dongle: &mut Dongle, mut body: Value) -> Got {
        body["context"] = BASE64.encode(dongle.context()).into();
        self.post(&format!("/v1/acme/{what}"), &body)
    }

    /// Sends the Gateway something.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Got {
        self.running().server.ask(("gateway", "POST", path), &[], &body.to_string())
    }

    pub(crate) fn activate(&self, ticket: &str, dongle: &mut Dongle) -> Got {
        self.gateway("activations", dongle, json!({ "ticket": ticket }))
    }

    /// The update files of an answer.
    pub(crate) fn updates(got: &Got) -> Vec<Vec<u8>> {
        let updates = got.body["updates"].as_array().cloned().unwrap_or_default();
        let file = |update: &Value| BASE64.decode(update["file"].as_str().expect("a file"));
        updates.iter().map(|update| file(update).expect("base64")).collect()
    }

    /// What the first update file of an answer has in it.
    pub(crate) fn updates_objects(&self, got: &Got) -> Vec<String> {
        let files = Self::updates(got);
        let mut rest = file::expect(&files[0], FileKind::Update).expect("an update file");
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let (object, behind) = file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("objects");
            kinds.push(format!("{:?}", object.header().kind));
            rest = behind;
        }
        kinds
    }

    /// Applies what came, and sends the receipts where they are to arrive.
    pub(crate) fn apply(&self, got: &Got, dongle: &mut Dongle, sends: bool) -> usize {
        let files = Self::updates(got);
        for file in &files {
            let Some(receipt) = dongle.apply(file) else { panic!("it is refused: {got:?}") };
            if sends {
                let body = json!({ "receipt": BASE64.encode(receipt) }).to_string();
                let route = ("gateway", "POST", "/v1/acme/receipts");
                self.running().server.ask(route, &[], &body).ok(200);
            }
        }
        files.len()
    }

    /// All of the journal, read as another process reads it.
    pub(crate) fn journal(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let read = self.source().each(|entry, _| {
            entries.push(entry.clone());
            Ok::<_, Shown>(())
        });
        read.expect("a journal");
        entries
    }

    fn source(&self) -> Source {
        Source::new(&self.journal_path(), self.root_fp())
    }

    pub(crate) fn check(&self) -> Report {
        let central = self.central_with(BTreeMap::new());
        check::check(&central, "acme", &self.source()).expect("a report")
    }

    pub(crate) fn findings(&self) -> Vec<Kind> {
        self.check().findings.iter().map(|finding| finding.kind).collect()
    }

    /// Takes in what the records lost. The server must not run.
    pub(crate) fn repair(&self) -> Repaired {
        let central = self.central_with(BTreeMap::new());
        repair::repair(&central, "acme", &self.source()).expect("a journal that fits")
    }

    /// Goes on with the journal as it is. The server must not run.
    pub(crate) fn accept(&self) -> Head {
        let central = self.central_with(BTreeMap::new());
        repair::accept(&central, "acme", &self.source()).expect("a journal that is known")
    }

    /// The signer certifies a container, whoever asks.
    pub(crate) fn certify(&self, id: ContainerId, body: &DeviceBody) -> Vec<u8> {
        self.keeper().certify(id, body).expect("a certificate")
    }

    /// The time of both, milliseconds since 1970 UTC.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A record that is there.
    pub(crate) fn record<R: Record>(&self, id: &str) -> R {
        let central = self.central_with(BTreeMap::new());
        let found = central.read("acme", |work| work.get::<R>(id)).expect("a record");
        found.record
    }

    pub(crate) fn grants(&self) -> Vec<Grant> {
        let central = self.central_with(BTreeMap::new());
        let all = central.read("acme", |work| work.all::<Grant>(&Filter::All)).expect("records");
        all.into_iter().map(|one| one.record).collect()
    }

    /// Writes something else of a grant than Central would.
    pub(crate) fn forge(&self, id: &str, forge: impl Fn(&mut Grant)) {
        let central = self.central_with(BTreeMap::new());
        let forged = central.write("acme", "forger", |work, _| {
            let mut grant = work.get::<Grant>(id)?;
            forge(&mut grant.record);
            work.update(&grant)
        });
        forged.expect("a grant");
    }

    pub(crate) fn free(&self) -> usize {
        self.grants().iter().filter(|grant| grant.place == Place::Pool).count()
    }
}
