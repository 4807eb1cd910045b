//! What a container must hold, and what it is seen to hold through its commands.

use std::collections::{BTreeMap, BTreeSet};

use engine::journal::Flash;
use protocol::codec::{self, Fixed};
use protocol::command::{Command, Reply, UnitState};
use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::data::DataField;
use protocol::objects::license::{AccessMode, ItemRef, ProductItem, Requirement};
use protocol::objects::statement::ReceiptBody;
use protocol::signed::UnverifiedObject;
use strongroom_tests::bench::Bench;
use strongroom_tests::vendor::Update;

/// A container's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) firms: BTreeMap<RootFp, FirmState>,
    /// Number and state hash in the final statements of one that is decommissioned.
    pub(super) finals: Option<BTreeMap<RootFp, (u64, [u8; 32])>>,
}

/// Why a container that is decommissioned is locked.
pub(super) const DECOMMISSIONED: u8 = 2;

/// What it holds of a firm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FirmState {
    /// Number and state hash, as the latest receipt tells them.
    pub(super) seq: u64,
    pub(super) state: [u8; 32],
    /// Version of the root, and epoch of the revocations.
    pub(super) trust: (u32, u32),
    /// The update that the latest receipt is for.
    pub(super) update: [u8; 32],
    pub(super) items: BTreeMap<ItemRef, ProductItem>,
    /// Item keys. Only those of a product with an entry can be seen.
    pub(super) keys: BTreeSet<(ProductCode, Generation)>,
    /// Entries whose usage period has begun.
    pub(super) used: BTreeSet<ItemRef>,
    /// Units of [`COUNTED`].
    pub(super) units: Option<UnitState>,
    /// User data and protected data of [`COUNTED`].
    pub(super) data: [Option<Vec<u8>>; 2],
    /// Entries of the usage log so far.
    pub(super) log: u64,
}

/// The one entry that is paid for by units and has data.
pub(super) const COUNTED: ItemRef = ItemRef { product: ProductCode(50), entry: EntryNumber(0) };

/// Products and generations that tests use.
pub(super) const PRODUCTS: u32 = 3;
pub(super) const GENERATIONS: u16 = 2;

impl State {
    /// The part that commands can show.
    pub(super) fn visible(&self) -> State {
        let mut visible = self.clone();
        for firm in visible.firms.values_mut() {
            let items = &firm.items;
            firm.keys.retain(|(product, _)| {
                *product != COUNTED.product && items.keys().any(|item| item.product == *product)
            });
        }
        visible
    }

    /// Notes that an update was applied.
    pub(super) fn advance(&mut self, firm: RootFp, update: &Update) {
        let firm = self.firms.entry(firm).or_default();
        firm.seq = update.header.seq;
        firm.trust.0 = firm.trust.0.max(1);
        firm.state = update.after().state;
        firm.update = update.header.hash();
    }
}

/// Everything that a container shows. A container that is locked, or hides a receipt, is an error.
pub(super) fn observe<F: Flash + Clone>(bench: &mut Bench<F>) -> Result<State, String> {
    let Reply::Info(info) = bench.command(Command::Info) else { return Err("no info".into()) };
    if info.locked == DECOMMISSIONED {
        return observe_end(bench, info.name.to_string());
    }
    if info.locked != 0 {
        return Err(format!("locked: {}", info.locked));
    }
    let mut state = State { name: info.name.to_string(), ..State::default() };
    let Reply::Firms(firms) = bench.command(Command::Firms { from: 0 }) else {
        return Err("no list of firms".into());
    };
    if firms.len() != usize::from(info.firms) {
        return Err(format!("{} firms listed of {}", firms.len(), info.firms));
    }
    for firm in firms.iter() {
        let mut seen = observe_firm(bench, firm.root_fp)?;
        seen.trust = (firm.root_version, firm.revocation_epoch);
        if (seen.seq, seen.items.len()) != (firm.seq, firm.entries as usize) {
            return Err(format!("a firm's record and its receipt or entries differ: {seen:?}"));
        }
        state.firms.insert(firm.root_fp, seen);
    }
    Ok(state)
}

/// What is left of one that is decommissioned: its name, and a final statement for each firm.
fn observe_end<F: Flash + Clone>(bench: &mut Bench<F>, name: String) -> Result<State, String> {
    let mut finals = BTreeMap::new();
    for at in 0.. {
        let Reply::FinalStatement(object) = bench.command(Command::FinalStatement { at }) else {
            return Err("no final statement".into());
        };
        if object.is_empty() {
            break;
        }
        let (object, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX)
            .map_err(|error| error.to_string())?;
        let header = object.header();
        finals.insert(header.root_fp, (header.seq, header.state));
    }
    Ok(State { name, finals: Some(finals), ..State::default() })
}

fn observe_firm<F: Flash + Clone>(bench: &mut Bench<F>, firm: RootFp) -> Result<FirmState, String> {
    let Reply::Receipt(receipt) = bench.command(Command::Receipt { firm, seq: 0 }) else {
        return Err("a firm without a receipt".into());
    };
    let (object, _) = UnverifiedObject::read(&receipt, STATEMENT_BODY_LEN_MAX)
        .map_err(|error| error.to_string())?;
    let header = *object.header();
    // Signed by this container and kept under a checksum; here only what it says matters.
    let body = &receipt[receipt.len() - header.body_len as usize..];
    let body: ReceiptBody =
        codec::decode(body, STATEMENT_BODY_LEN_MAX).map_err(|error| error.to_string())?;
    let mut seen = FirmState {
        seq: header.seq,
        state: header.state,
        update: body.update_hash.0,
        ..FirmState::default()
    };
    loop {
        let after = seen.items.keys().next_back().copied();
        let Reply::Items(page) = bench.command(Command::Items { firm, after }) else {
            return Err("no list of entries".into());
        };
        if page.is_empty() {
            break;
        }
        seen.items.extend(page.into_vec().into_iter().map(|item| (item.item, item)));
    }
    observe_keys(bench, firm, &mut seen);
    for item in seen.items.keys().copied() {
        let Reply::ItemState(state) = bench.command(Command::ItemState { firm, item }) else {
            return Err("no state of an entry".into());
        };
        if state.first_use_s != 0 {
            seen.used.insert(item);
        }
        if item == COUNTED {
            seen.units = state.units;
        }
    }
    seen.data = [DataField::User, DataField::Protected].map(|field| {
        match bench.command(Command::Data { firm, item: COUNTED, field, access_code: 0 }) {
            Reply::Data(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    });
    let head = Command::UsageHead { firm, nonce: Fixed([1; 32]) };
    let Reply::UsageHead(object) = bench.command(head) else { return Err("no head".into()) };
    let (head, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX)
        .map_err(|error| error.to_string())?;
    seen.log = head.header().seq;
    Ok(seen)
}

/// A use without conditions.
pub(super) fn any_use(firm: RootFp, product: ProductCode, generation: Generation) -> Requirement {
    Requirement {
        root_fp: firm,
        product,
        features: 0,
        units: 0,
        release_s: 0,
        access: AccessMode::NoUserLimit,
        certified_age_s: 0,
        generation,
    }
}

fn observe_keys<F: Flash + Clone>(bench: &mut Bench<F>, firm: RootFp, seen: &mut FirmState) {
    for product in (0..PRODUCTS).map(ProductCode) {
        if !seen.items.keys().any(|item| item.product == product) {
            continue;
        }
        for generation in (0..GENERATIONS).map(Generation) {
            let requirement = any_use(firm, product, generation);
            if matches!(bench.command(Command::Why(requirement)), Reply::Done) {
                seen.keys.insert((product, generation));
            }
        }
    }
}
