//! What Central committed, as it was committed: kept beside the store, so that each change can be
//! held against what is promised.

use std::collections::{BTreeMap, BTreeSet};

use license_central::domain::audit::Entry;
use license_central::domain::records::{
    Case, Container, Effect, EffectKind, Grant, IssuedUpdate, Order, Place, Ticket, UpdateState,
};
use license_central::domain::work::Record;
use license_central::store::Write;
use protocol::ids::parse_hex;
use protocol::objects::license::{ItemOption, ItemRef, ProductItem};
use protocol::objects::statement::next_state_hash;
use protocol::objects::update::{UnitsChange, UpdateOp, read_ops};
use protocol::signed::Header;
use serde::de::DeserializeOwned;
use vendor::Point;

/// What an update does to one entry.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) effect: Effect,
    pub(super) item: ItemRef,
    /// The last second of use; none where it does not end by itself.
    pub(super) lapse_s: Option<u64>,
    /// Units that it brings.
    pub(super) units: u64,
}

/// An update that Central decided.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) tenant: String,
    pub(super) container: String,
    pub(super) after: Point,
    pub(super) header: Vec<u8>,
    pub(super) done: Vec<Done>,
    pub(super) state: UpdateState,
}

/// What one commit changed, for whoever judges it.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) issued: Vec<String>,
    /// Updates of which it is known now whether they were applied.
    pub(super) settled: Vec<String>,
    /// Grants before and after.
    pub(super) grants: Vec<(Option<Grant>, Grant)>,
    pub(super) notes: Vec<Entry>,
}

/// All of it.
#[derive(Clone, Default)]
pub(super) struct Book {
    pub(super) grants: BTreeMap<String, Grant>,
    /// By tenant and id.
    pub(super) containers: BTreeMap<(String, String), Container>,
    pub(super) updates: BTreeMap<String, Decided>,
    pub(super) tickets: BTreeMap<String, Ticket>,
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) cases: BTreeMap<String, (String, Case)>,
    /// Grants that were freed while a container may have been using them: grant, epoch, container.
    pub(super) booked: BTreeSet<(String, u32, String)>,
    /// The last number and hash of each writer's audit.
    audit: BTreeMap<String, (u64, String)>,
    /// Whose a grant is.
    pub(super) owners: BTreeMap<String, String>,
}

type Checked<T> = Result<T, String>;

impl Book {
    /// Takes in a commit, and says what is wrong with it.
    pub(super) fn take(&mut self, commit: &[Write]) -> Checked<Changes> {
        let mut changes = Changes::default();
        for write in commit.iter().filter(|write| write.table.name == Entry::TABLE.name) {
            let entry: Entry = parse(write)?;
            self.follow(&entry)?;
            changes.notes.push(entry);
        }
        for write in commit {
            self.take_one(write, &mut changes)?;
        }
        self.check_audit(commit, &changes)?;
        Ok(changes)
    }

    /// C5: each writer's entries are a chain.
    fn follow(&mut self, entry: &Entry) -> Checked<()> {
        let begins = (0, "0".repeat(64));
        let last = self.audit.get(&entry.writer).cloned().unwrap_or(begins);
        if entry.number != last.0 + 1 || entry.before != last.1 {
            return Err(format!("C5: entry {} does not follow {}", entry.number, last.0));
        }
        self.audit.insert(entry.writer.clone(), (entry.number, entry.hash()));
        Ok(())
    }

    fn take_one(&mut self, write: &Write, changes: &mut Changes) -> Checked<()> {
        let name = write.table.name;
        if name == Grant::TABLE.name {
            let grant: Grant = parse(write)?;
            let owner = self.owners.entry(grant.id.clone()).or_insert(write.tenant.clone());
            if *owner != write.tenant {
                return Err(format!("C4: grant {} of {owner} for {}", grant.id, write.tenant));
            }
            let before = self.grants.insert(grant.id.clone(), grant.clone());
            changes.grants.push((before, grant));
        } else if name == Container::TABLE.name {
            let container: Container = parse(write)?;
            self.containers.insert((write.tenant.clone(), container.id.clone()), container);
        } else if name == IssuedUpdate::TABLE.name {
            self.take_update(parse(write)?, &write.tenant, changes)?;
        } else if name == Ticket::TABLE.name {
            let ticket: Ticket = parse(write)?;
            self.tickets.insert(ticket.id.clone(), ticket);
        } else if name == Order::TABLE.name {
            let order: Order = parse(write)?;
            self.orders.insert(order.id.clone(), order);
        } else if name == Case::TABLE.name {
            let case: Case = parse(write)?;
            self.cases.insert(case.id.clone(), (write.tenant.clone(), case));
        }
        Ok(())
    }

    fn take_update(
        &mut self,
        update: IssuedUpdate,
        tenant: &str,
        changes: &mut Changes,
    ) -> Checked<()> {
        if let Some(known) = self.updates.get_mut(&update.id) {
            if known.state != update.state {
                known.state = update.state;
                changes.settled.push(update.id);
            }
            return Ok(());
        }
        changes.issued.push(update.id.clone());
        self.updates.insert(update.id.clone(), Decided::of(update, tenant)?);
        Ok(())
    }

    /// C5: what was changed is told in the same transaction.
    fn check_audit(&self, commit: &[Write], changes: &Changes) -> Checked<()> {
        let notes = &changes.notes;
        let told = |object: &str| notes.iter().any(|note| note.object == object);
        let placed =
            |id: &str| notes.iter().any(|note| note.object == id && note.action == "grant.place");
        let decides = notes.iter().any(|note| note.action == "case.decide");
        let adopts = notes.iter().any(|note| note.action == "journal.adopt");
        for id in &changes.issued {
            require(told(id) || adopts, || format!("C5: update {id} is issued without an entry"))?;
        }
        for id in &changes.settled {
            require(told(id) || decides, || format!("C5: update {id} is settled"))?;
        }
        for (before, after) in &changes.grants {
            let Some(before) = before else { continue };
            let is_told = match (&before.place, &after.place) {
                (old, new) if old == new => before.wanted == after.wanted || told(&after.id),
                (_, Place::Pool | Place::Withdrawn) => placed(&after.id),
                (_, Place::Served { .. }) => told(&after.id),
                (Place::Releasing { .. }, Place::Held { .. }) => placed(&after.id) || decides,
                _ => changes.issued.iter().any(|id| self.updates[id].has(&after.id)),
            };
            require(is_told, || format!("C5: {before:?} becomes {after:?} without an entry"))?;
            let is_freed = after.overlaps > before.overlaps;
            require(!is_freed || told(&after.id), || format!("C5: overlap of {}", after.id))?;
        }
        let others = [Order::TABLE, Case::TABLE, Ticket::TABLE];
        for write in commit.iter().filter(|w| others.iter().any(|t| t.name == w.table.name)) {
            let ticket_made = write.table.name == Ticket::TABLE.name && write.row.version == 1;
            let is_told = ticket_made || told(&write.row.id);
            require(is_told, || format!("C5: {} {}", write.table.name, write.row.id))?;
        }
        Ok(())
    }

    /// Grants of a ticket's activation.
    pub(super) fn activation(&self, ticket: &str, device: u32) -> impl Iterator<Item = &Grant> {
        let own = move |grant: &&Grant| grant.ticket == ticket && grant.device == device;
        self.grants.values().filter(own)
    }

    /// The update that leads to a state of a container.
    pub(super) fn update_to(&self, tenant: &str, at: &str, after: Point) -> Option<&Decided> {
        update_of(&self.updates, (tenant, at), after)
    }
}

impl Decided {
    fn of(update: IssuedUpdate, tenant: &str) -> Checked<Self> {
        let header = unhex(&update.header).ok_or("a header that is no hexadecimal")?;
        let body = unhex(&update.body).ok_or("a body that is no hexadecimal")?;
        let read = Header::from_bytes(&header).map_err(|_| "a header that cannot be read")?;
        let ops = read_ops(&body).map_err(|_| "a body that cannot be read")?;
        let mut effects = update.effects.into_iter();
        let mut done: Vec<Done> = Vec::new();
        for op in &ops {
            let (item, lapse_s) = match op {
                UpdateOp::SetItem(item) => (item.item, lapse_s(item)),
                UpdateOp::RemoveItem(item) => (*item, Some(0)),
                UpdateOp::Units { change: UnitsChange::Add(units), .. } => {
                    done.last_mut().ok_or("units of nothing")?.units += units;
                    continue;
                }
                _ => continue,
            };
            let effect = effects.next().ok_or("an operation without an effect")?;
            done.push(Done { effect, item, lapse_s, units: 0 });
        }
        require(effects.next().is_none(), || "an effect without an operation".into())?;
        let state = next_state_hash(&read.state, &read.hash());
        Ok(Decided {
            tenant: tenant.to_owned(),
            container: update.container,
            after: Point { seq: read.seq, state },
            header,
            done,
            state: update.state,
        })
    }

    fn has(&self, grant: &str) -> bool {
        self.done.iter().any(|done| done.effect.grant == grant)
    }

    /// Whether it does nothing but take out.
    pub(super) fn only_removes(&self) -> bool {
        self.done.iter().all(|done| done.effect.kind == EffectKind::Release)
    }
}

/// Of these updates, the one that leads to a state of a container.
pub(super) fn update_of<'a>(
    updates: &'a BTreeMap<String, Decided>,
    (tenant, at): (&str, &str),
    after: Point,
) -> Option<&'a Decided> {
    let id = format!("{at}-{:020}-", after.seq);
    let mut same = updates.range(id.clone()..).take_while(|(key, _)| key.starts_with(&id));
    let is_it = |one: &&Decided| one.tenant == tenant && one.after == after;
    same.find_map(|(_, update)| Some(update).filter(is_it))
}

fn lapse_s(item: &ProductItem) -> Option<u64> {
    let ends = item.options.iter().filter_map(|option| match option {
        ItemOption::Checkpoint(at) => Some(at.lapse_s),
        ItemOption::ExpirationTime(at_s) => Some(*at_s),
        _ => None,
    });
    ends.min()
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(what()) }
}

fn parse<T: DeserializeOwned>(write: &Write) -> Checked<T> {
    serde_json::from_str(&write.row.body).map_err(|error| format!("{}: {error}", write.row.id))
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| parse_hex::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte);
    pairs.map(byte).collect()
}
