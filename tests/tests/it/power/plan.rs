//! What happens to a container next, drawn over all commands that change something.

use protocol::codec::{Bytes, List, Text};
use protocol::command::{Command, SeatCommand};
use protocol::crypto::ecdh::PublicKey;
use protocol::ids::{
    ArtifactId, ContainerId, EntryNumber, Generation, KeyId, OpId, ProductCode, RootFp,
};
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::license::{
    Checkpoint, ItemOption, ItemRef, LostUnits, OptionKind, ProductItem, Requirement, UnitRule,
};
use protocol::objects::update::{ProductRange, UnitsChange, UpdateOp};
use strongroom_tests::dice::Dice;
use strongroom_tests::trust::SCOPE;
use strongroom_tests::vendor::{Place, Update, Vendor, commands, trust};

use super::model::{COUNTED, FirmState, GENERATIONS, PRODUCTS, State, any_use};

/// Commands that belong together, and what they lead to.
pub(super) struct Plan {
    /// What it covers, for the count.
    pub(super) covers: Vec<&'static str>,
    pub(super) commands: Vec<Command>,
    /// Whether the last command changes the state; it is then answered by a receipt or by `Done`.
    pub(super) succeeds: bool,
    /// The state after the last command.
    pub(super) after: State,
}

/// Who writes to the container, and the container.
pub(super) struct World {
    /// Each under its roots, one after the other.
    pub(super) vendors: Vec<Vec<Vendor>>,
    pub(super) container: ContainerId,
    pub(super) sealing_key: PublicKey,
}

impl World {
    /// Draws what happens next in `state`.
    pub(super) fn draw(&self, state: &State, dice: &mut Dice) -> Plan {
        if dice.one_in(4) {
            return rename(state, dice);
        }
        if dice.one_in(3)
            && let Some(plan) = first_use(state, dice)
        {
            return plan;
        }
        let line = &self.vendors[dice.below(self.vendors.len())];
        let known = state.firms.get(&line[0].fp());
        if dice.one_in(3)
            && let Some(plan) = counted(line[0].fp(), state, dice)
        {
            return plan;
        }
        if known.is_some() && dice.one_in(4) {
            return trust_changes(line, state, dice);
        }
        let vendor = &line[known.map_or(0, |firm| firm.trust.0 as usize - 1)];
        let place = self.place(vendor, state);
        let mut after = state.clone();
        let firm = after.firms.entry(vendor.fp()).or_default();
        if known.is_some() && dice.one_in(5) {
            let update = self.top_up(vendor, &place, firm, dice);
            after.advance(vendor.fp(), &update);
            let covers = vec!["units and data"];
            return Plan { covers, commands: update.commands(), succeeds: true, after };
        }
        if known.is_some() && dice.one_in(8) {
            let update = perpetuate(vendor, &place, firm, dice);
            after.advance(vendor.fp(), &update);
            let covers = vec!["perpetuate"];
            return Plan { covers, commands: update.commands(), succeeds: true, after };
        }
        let mut covers = Vec::new();
        if firm.seq == 0 {
            covers.push("firm enters");
        }
        let ops = self.ops(vendor, &place, firm, &mut covers, dice);
        let update = if firm.seq == 0 && dice.one_in(2) {
            covers.push("firm enters with its roots");
            firm.trust = (2, 1);
            enters_with_roots(line, &place, &ops)
        } else if known.is_some() && ops.iter().all(is_a_resellers) && dice.one_in(4) {
            covers.push("by a reseller");
            vendor.delegate(SCOPE, 0, dice).update(vendor, &place, &ops)
        } else {
            vendor.update(&place, &ops)
        };
        after.advance(vendor.fp(), &update);
        if dice.one_in(3) {
            return self.goes_wrong(vendor, update, state, dice);
        }
        if update.commands().len() > 3 {
            covers.push("several chunks");
        }
        Plan { covers, commands: update.commands(), succeeds: true, after }
    }

    /// Sets [`COUNTED`] with its key, adds units, and writes its data.
    fn top_up(
        &self,
        vendor: &Vendor,
        place: &Place,
        firm: &mut FirmState,
        dice: &mut Dice,
    ) -> Update {
        let rule = UnitRule { reserve_max: 9, lost: LostUnits::Charged };
        let options = vec![ItemOption::UnitCounter(rule)];
        let item = ProductItem { item: COUNTED, options: List::new(options).expect("one") };
        let (added, bytes) = (1 + dice.below(20) as u64, dice.bytes::<9>().to_vec());
        firm.items.insert(COUNTED, item.clone());
        firm.keys.insert((COUNTED.product, Generation(0)));
        let units = firm.units.get_or_insert_default();
        units.granted += added;
        units.left += added;
        firm.log += 1;
        firm.data[1] = Some(bytes.clone());
        let content = DataContent::Plain(Bytes::new(bytes).expect("few bytes"));
        let ops = [
            UpdateOp::SetItem(item),
            vendor.set_key(&self.sealing_key, place, (COUNTED.product, Generation(0))),
            UpdateOp::Units { item: COUNTED, change: UnitsChange::Add(added) },
            UpdateOp::SetData { item: COUNTED, field: DataField::Protected, content },
        ];
        vendor.update(place, &ops)
    }

    fn place(&self, vendor: &Vendor, state: &State) -> Place {
        let first = vendor.first_place(self.container);
        match state.firms.get(&vendor.fp()) {
            Some(firm) => Place { seq: firm.seq + 1, state: firm.state, ..first },
            None => first,
        }
    }

    fn ops(
        &self,
        vendor: &Vendor,
        place: &Place,
        firm: &mut FirmState,
        covers: &mut Vec<&'static str>,
        dice: &mut Dice,
    ) -> Vec<UpdateOp> {
        let (count, text_len) = match dice.below(16) {
            0 => (8, 200),
            1 => (5, 120),
            _ => (1 + dice.below(2), 0),
        };
        (0..count).map(|_| self.op(vendor, place, firm, covers, text_len, dice)).collect()
    }

    fn op(
        &self,
        vendor: &Vendor,
        place: &Place,
        firm: &mut FirmState,
        covers: &mut Vec<&'static str>,
        text_len: usize,
        dice: &mut Dice,
    ) -> UpdateOp {
        let item = ItemRef {
            product: ProductCode(dice.below(PRODUCTS as usize) as u32),
            entry: EntryNumber(dice.below(3) as u16),
        };
        let key = (item.product, Generation(dice.below(GENERATIONS.into()) as u16));
        let (covered, op) = match dice.below(8) {
            0 => ("nop", UpdateOp::Nop),
            1 if !firm.items.is_empty() => {
                let (item, _) = firm.items.pop_first().expect("not empty");
                firm.used.remove(&item);
                if item == COUNTED {
                    // Its account ends, which is booked.
                    firm.log += u64::from(firm.units.take().is_some());
                    firm.data = [None, None];
                }
                ("remove item", UpdateOp::RemoveItem(item))
            }
            2 | 3 => {
                firm.keys.insert(key);
                ("set key", vendor.set_key(&self.sealing_key, place, key))
            }
            4 if !firm.keys.is_empty() => {
                let (product, generation) = firm.keys.pop_first().expect("not empty");
                ("remove key", UpdateOp::RemoveKey { product, generation })
            }
            _ => {
                let new = entry(item, text_len, dice);
                if new.usage_period_s().is_none() {
                    firm.used.remove(&item);
                }
                let covered = match firm.items.insert(item, new.clone()) {
                    Some(_) => "replace item",
                    None => "add item",
                };
                (covered, UpdateOp::SetItem(new))
            }
        };
        if !covers.contains(&covered) {
            covers.push(covered);
        }
        op
    }

    /// The update does not come through, in one of the ways there are.
    fn goes_wrong(&self, vendor: &Vendor, update: Update, state: &State, dice: &mut Dice) -> Plan {
        let mut place = self.place(vendor, state);
        let ops = [UpdateOp::Nop];
        let (covered, commands) = match dice.below(6) {
            0 => {
                let mut all = update.commands();
                *all.last_mut().expect("a commit") = Command::UpdateAbort;
                ("aborted", all)
            }
            1 => {
                let mut all = update.commands();
                all.pop();
                ("left behind", all)
            }
            2 => {
                let mut body = update.body.clone();
                body[0] ^= 1;
                ("refused: body", commands(&update.root, &update.head(), &body))
            }
            3 => {
                // The first operation is done and must be undone.
                let gone = ItemRef { product: ProductCode(99), entry: EntryNumber(0) };
                let item = entry(ItemRef { product: ProductCode(0), ..gone }, 0, dice);
                let ops = [
                    UpdateOp::SetItem(item),
                    UpdateOp::RemoveKey { product: gone.product, generation: Generation(9) },
                ];
                ("refused: second operation", vendor.update(&place, &ops).commands())
            }
            4 => {
                place.seq = place.seq.wrapping_add_signed([-1, 1][dice.below(2)]);
                ("refused: number", vendor.update(&place, &ops).commands())
            }
            _ => {
                place.state[0] ^= 1;
                ("refused: state", vendor.update(&place, &ops).commands())
            }
        };
        let covers = vec![covered];
        Plan { covers, commands, succeeds: false, after: state.clone() }
    }
}

/// The next root of a firm, or the next revocations.
fn trust_changes(line: &[Vendor], state: &State, dice: &mut Dice) -> Plan {
    let mut after = state.clone();
    let firm = after.firms.entry(line[0].fp()).or_default();
    let (version, epoch) = &mut firm.trust;
    let (covered, object) = match line.get(*version as usize) {
        Some(next) if dice.one_in(2) => {
            *version += 1;
            ("next root", next.newest_root().to_vec())
        }
        _ => {
            *epoch += 1;
            let keys: Vec<_> = (0..dice.below(20)).map(|_| KeyId::new(dice.bytes())).collect();
            ("revocation", line[*version as usize - 1].revocation(*epoch, &keys, 0))
        }
    };
    Plan { covers: vec![covered], commands: vec![trust(&object)], succeeds: true, after }
}

fn perpetuate(vendor: &Vendor, place: &Place, firm: &mut FirmState, dice: &mut Dice) -> Update {
    let first = ProductCode(dice.below(PRODUCTS as usize) as u32);
    let products = ProductRange { first, last: ProductCode(PRODUCTS) };
    for (_, item) in firm.items.iter_mut().filter(|(item, _)| products.contains(item.product)) {
        let mut options = item.options.clone().into_vec();
        options.retain(|option| option.kind() != OptionKind::Checkpoint);
        item.options = List::new(options).expect("fewer options");
    }
    vendor.recovery(place, &[UpdateOp::Perpetuate(products)])
}

/// The first update of a firm that has its second root already, and its first revocations.
fn enters_with_roots(line: &[Vendor], place: &Place, ops: &[UpdateOp]) -> Update {
    let vendor = &line[1];
    let revocation = vendor.revocation(1, &[KeyId::new([9; 8])], 0);
    let trust = vec![vendor.root_object.clone(), vendor.newest_root().to_vec(), revocation];
    Update { trust, ..vendor.update(place, ops) }
}

fn rename(state: &State, dice: &mut Dice) -> Plan {
    let name = format!("desk {}", dice.below(1 << 20));
    let text = Text::new(&name).expect("a short name");
    let commands = vec![Command::Rename { op: OpId::new(dice.bytes()), name: text }];
    Plan {
        covers: vec!["rename"],
        commands,
        succeeds: true,
        after: State { name, ..state.clone() },
    }
}

/// The end of everything but name and final statements.
pub(super) fn decommission(state: &State) -> Plan {
    let last = |firm: &FirmState| (firm.seq, firm.state);
    let finals = state.firms.iter().map(|(fp, firm)| (*fp, last(firm))).collect();
    Plan {
        covers: vec!["decommission"],
        commands: vec![Command::Decommission],
        succeeds: true,
        after: State { name: state.name.clone(), finals: Some(finals), ..State::default() },
    }
}

/// Whether a record is still there behind the end: counts, running time, the mark, statements.
pub(super) fn outlives(key: u64) -> bool {
    matches!(key >> 56, 0x01 | 0x02 | 0x06 | 0x13)
}

/// A seat for a product whose first entry has a usage period that has not begun, if there is one.
fn first_use(state: &State, dice: &mut Dice) -> Option<Plan> {
    let mut after = state.clone();
    let (firm, held) = after.firms.iter_mut().find_map(|(firm, held)| {
        let begins = |(product, _): &&(ProductCode, Generation)| {
            let first = held.items.iter().find(|(item, _)| item.product == *product);
            first.is_some_and(|(item, new)| {
                new.usage_period_s().is_some() && !held.used.contains(item)
            })
        };
        let key = held.keys.iter().find(begins).copied()?;
        Some((*firm, (held, key)))
    })?;
    let (held, (product, generation)) = held;
    let item = held.items.keys().find(|item| item.product == product).copied()?;
    held.used.insert(item);
    held.log += 1;
    let open = SeatCommand::Open {
        op: OpId::new(dice.bytes()),
        requirement: any_use(firm, product, generation),
        artifact: ArtifactId::default(),
    };
    let commands = vec![Command::Seat(open)];
    Some(Plan { covers: vec!["first use"], commands, succeeds: true, after })
}

/// A use of [`COUNTED`] that takes units, or a note of its owner's, where it can be used.
fn counted(firm: RootFp, state: &State, dice: &mut Dice) -> Option<Plan> {
    let mut after = state.clone();
    let held = after.firms.get_mut(&firm)?;
    held.items.get(&COUNTED)?;
    let (covered, command) = if dice.one_in(2) {
        let note = dice.bytes::<7>().to_vec();
        held.data[0] = Some(note.clone());
        let bytes = Bytes::new(note).expect("few bytes");
        ("user data", Command::WriteUserData { firm, item: COUNTED, bytes })
    } else {
        let units = held.units.as_mut().filter(|units| units.left >= 2)?;
        if !held.keys.contains(&(COUNTED.product, Generation(0))) {
            return None;
        }
        (units.left, units.used, held.log) = (units.left - 2, units.used + 2, held.log + 1);
        let requirement = Requirement { units: 2, ..any_use(firm, COUNTED.product, Generation(0)) };
        let (op, artifact) = (OpId::new(dice.bytes()), ArtifactId::default());
        ("units taken", Command::Seat(SeatCommand::Open { op, requirement, artifact }))
    };
    let commands = vec![command];
    Some(Plan { covers: vec![covered], commands, succeeds: true, after })
}

/// An entry that every use without conditions may use.
fn entry(item: ItemRef, text_len: usize, dice: &mut Dice) -> ProductItem {
    let text = Text::new(&"x".repeat(text_len)).expect("a text within its bound");
    let mut options = vec![ItemOption::Text(text), ItemOption::FeatureMap(dice.number())];
    if dice.one_in(2) {
        options.push(ItemOption::UsagePeriod(u32::MAX));
    }
    if dice.one_in(2) {
        let at = Checkpoint { lapse_s: 1 << 40, period_s: 9, renew_s: 2, grace_s: 0 };
        options.push(ItemOption::Checkpoint(at));
    }
    ProductItem { item, options: List::new(options).expect("few options") }
}

/// Whether an operation leaves alone what no reseller may touch.
fn is_a_resellers(op: &UpdateOp) -> bool {
    let product = match op {
        UpdateOp::RemoveItem(item) => item.product,
        UpdateOp::RemoveKey { product, .. } => *product,
        _ => return true,
    };
    SCOPE.products.contains(product)
}
