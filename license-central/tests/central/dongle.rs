//! A dongle in memory: the engine itself, and the files that go to and from it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::codec::Fixed;
use protocol::command::{Command, Reply};
use protocol::ids::{RootFp, hex};
use protocol::limits::UPDATE_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use protocol::signed::UnverifiedObject;
use serde_json::Value;
use strongroom_tests::bench::Bench;
use strongroom_tests::vendor::{commands, trust};
use vendor::trust::Trust;

/// A dongle of one test, and the firm that it is for.
pub(crate) struct Dongle {
    pub(crate) bench: Bench,
    firm: RootFp,
}

impl Dongle {
    /// The same for the same seed.
    pub(crate) fn new(seed: u64, firm: RootFp) -> Self {
        Dongle { bench: Bench::new(seed), firm }
    }

    /// One that can be copied, as a soft license's container.
    pub(crate) fn soft(seed: u64, firm: RootFp) -> Self {
        Dongle { bench: Bench::soft(seed, firm), firm }
    }

    /// A copy of it.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        Dongle { bench: self.bench.copy(seed), firm: self.firm }
    }

    /// Its id, as records have it.
    pub(crate) fn id(&self) -> String {
        hex(self.bench.id().bytes())
    }

    /// Its context file.
    pub(crate) fn context(&mut self) -> Vec<u8> {
        let context = Command::Context { firm: self.firm, nonce: Fixed([9; 32]) };
        let Reply::Context(object) = self.bench.command(context) else { panic!("no context") };
        file::write(FileKind::Context, &[self.bench.certificate(), &object])
    }

    /// Whether it has a license of this product.
    pub(crate) fn holds(&mut self, product: u32) -> bool {
        let items = self.bench.command(Command::Items { firm: self.firm, after: None });
        match items {
            Reply::Items(items) => items.iter().any(|item| item.item.product.0 == product),
            _ => false,
        }
    }

    /// Units that all licenses of this product ever got.
    pub(crate) fn units(&mut self, product: u32) -> u64 {
        let (firm, mut after, mut granted) = (self.firm, None, 0);
        loop {
            let Reply::Items(items) = self.bench.command(Command::Items { firm, after }) else {
                return granted;
            };
            let Some(last) = items.last() else { return granted };
            after = Some(last.item);
            for item in items.iter().filter(|item| item.item.product.0 == product) {
                let state = self.bench.command(Command::ItemState { firm, item: item.item });
                let Reply::ItemState(state) = state else { panic!("an entry without a state") };
                granted += state.units.map_or(0, |units| units.granted);
            }
        }
    }

    /// Takes the roots and revocations of an answer.
    pub(crate) fn learn(&mut self, file: &Value) {
        let bytes = BASE64.decode(file.as_str().expect("a file")).expect("base64");
        let mut rest = file::expect(&bytes, FileKind::Trust).expect("a file of trust");
        while !rest.is_empty() {
            let (_, behind) = file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("objects");
            let command = trust(&rest[..rest.len() - behind.len()]);
            assert!(matches!(self.bench.command(command), Reply::Done), "it is refused");
            rest = behind;
        }
    }

    /// Applies an update file: its receipt file, or none where it is refused.
    pub(crate) fn apply(&mut self, update: &[u8]) -> Option<Vec<u8>> {
        let objects = file::expect(update, FileKind::Update).expect("an update file");
        let (brought, object) = Trust::take(objects).expect("objects of an update file");
        let (read, _) = UnverifiedObject::read(object, UPDATE_BODY_LEN_MAX).expect("an update");
        let own = object.split_at(object.len() - read.header().body_len as usize);
        if brought.is_first_root_alone() {
            let first = brought.roots.first().map(|root| root.bytes.clone()).unwrap_or_default();
            return self.run(&first, own);
        }
        for part in brought.objects() {
            let taken = self.bench.command(trust(&part.bytes));
            assert!(matches!(taken, Reply::Done), "it is refused");
        }
        self.run(&[], own)
    }

    fn run(&mut self, root: &[u8], (head, body): (&[u8], &[u8])) -> Option<Vec<u8>> {
        for command in commands(root, head, body) {
            match self.bench.command(command) {
                Reply::Done => {}
                Reply::Receipt(object) => {
                    let certificate = self.bench.certificate();
                    return Some(file::write(FileKind::Receipt, &[certificate, &object]));
                }
                _ => return None,
            }
        }
        None
    }
}
