//! What the usage log says, replayed: the accounts that follow from it, and what each command did.

use std::collections::BTreeMap;

use protocol::command::UnitState;
use protocol::ids::OpId;
use protocol::objects::license::ItemRef;
use protocol::objects::usage::{UsageEntry, UsageKind, UsageLeaf};

use super::event::Event;

/// All entries of a firm's log, as they came, and what they add up to.
#[derive(Clone, Default)]
pub(super) struct Book {
    pub(super) entries: Vec<UsageEntry>,
    pub(super) accounts: BTreeMap<ItemRef, Account>,
    /// Entries whose usage period began, and when.
    pub(super) first_uses: BTreeMap<ItemRef, u64>,
}

/// Units of a license entry, by its log.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    pub(super) state: UnitState,
    /// Reservations, the oldest first.
    open: Vec<(OpId, u64)>,
    /// What each command took, reserved or accounted for.
    done: BTreeMap<(u8, OpId), u64>,
    /// Whether the last entry may have ended the account.
    may_be_closed: bool,
}

/// Something that a container confirmed to a client: the log must tell it, once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) item: ItemRef,
    pub(super) kind: UsageKind,
    pub(super) op: OpId,
    pub(super) units: u64,
}

impl Book {
    /// Takes an entry in.
    ///
    /// # Errors
    /// It does not follow from those before.
    pub(super) fn enter(&mut self, entry: UsageEntry) -> Result<Option<Event>, String> {
        self.entries.push(entry);
        let leaf = entry.leaf;
        if leaf.kind == UsageKind::FirstUse {
            return match self.first_uses.insert(leaf.item, leaf.at_s) {
                None => Ok(Some(Event::PeriodBegun)),
                Some(_) => Err("a usage period began twice".into()),
            };
        }
        let account = self.accounts.entry(leaf.item).or_default();
        let event = account.enter(&leaf)?;
        if account.state.left != leaf.left {
            return Err(format!("{leaf:?} says otherwise than {account:?}"));
        }
        Ok(event)
    }

    /// Whether the log tells of a confirmed command. An account that ended since tells nothing.
    pub(super) fn has(&self, claim: &Claim) -> bool {
        let account = self.accounts.get(&claim.item);
        let done = account.and_then(|account| account.done.get(&(number(claim.kind), claim.op)));
        done.is_none_or(|units| *units == claim.units) && (done.is_some() || self.ended(claim.item))
    }

    /// Whether this command took units.
    pub(super) fn took(&self, item: ItemRef, op: OpId) -> bool {
        let account = self.accounts.get(&item);
        account.is_some_and(|account| account.done.contains_key(&(number(UsageKind::Taken), op)))
    }

    /// Commands on an entry of which the container keeps so many, behind the first `after` entries
    /// of the log.
    pub(super) fn done_since(&self, item: ItemRef, after: usize) -> usize {
        let is_done = |entry: &&UsageEntry| {
            let kinds = [UsageKind::Taken, UsageKind::Reserved, UsageKind::Used];
            entry.leaf.item == item && kinds.contains(&entry.leaf.kind)
        };
        self.entries.iter().skip(after).filter(is_done).count()
    }

    fn ended(&self, item: ItemRef) -> bool {
        self.entries.iter().any(|e| e.leaf.item == item && e.leaf.kind == UsageKind::Removed)
    }
}

impl Account {
    /// The account as the container shows it must be this one; `None` where there is no account.
    pub(super) fn compare(&mut self, shown: UnitState) -> Result<Option<Event>, String> {
        let before = self.state;
        if shown == UnitState::default() && self.may_be_closed {
            *self = Account::default();
            return Ok(Some(Event::AccountClosed));
        }
        let sum = shown.left + shown.reserved + shown.used + shown.removed;
        if shown.granted != sum {
            return Err(format!("U1: {shown:?} does not add up"));
        }
        if shown != before {
            return Err(format!("U1: the log makes {before:?} of what is {shown:?}"));
        }
        self.may_be_closed = false;
        Ok(None)
    }

    fn enter(&mut self, leaf: &UsageLeaf) -> Result<Option<Event>, String> {
        let units = leaf.units;
        self.may_be_closed = false;
        match leaf.kind {
            UsageKind::Added => self.state.granted += units,
            UsageKind::Taken => {
                self.once(leaf)?;
                self.state.used += units;
            }
            UsageKind::Reserved => {
                self.once(leaf)?;
                self.open.push((leaf.op, units));
            }
            UsageKind::Used => self.account(leaf)?,
            UsageKind::Charged => return self.charge(leaf),
            UsageKind::Released => {
                self.settle(leaf)?;
                self.balance()?;
                return Ok(Some(Event::Settled));
            }
            UsageKind::Removed => self.remove(leaf),
            _ => return Err(format!("an entry of no known kind: {leaf:?}")),
        }
        self.balance().map(|()| None)
    }

    /// U4: a command has its effect once.
    fn once(&mut self, leaf: &UsageLeaf) -> Result<(), String> {
        match self.done.insert((number(leaf.kind), leaf.op), leaf.units) {
            None => Ok(()),
            Some(_) => Err(format!("U4: {leaf:?} is the second effect of its command")),
        }
    }

    /// U5: no more is given back than was reserved.
    fn account(&mut self, leaf: &UsageLeaf) -> Result<(), String> {
        self.once(leaf)?;
        let at = self.open.iter().position(|(op, _)| *op == leaf.op);
        let (_, reserved) = self.open.remove(at.ok_or(format!("U5: {leaf:?} of no reservation"))?);
        if leaf.units > reserved {
            return Err(format!("U5: {leaf:?} of {reserved}"));
        }
        self.state.used += leaf.units;
        Ok(())
    }

    /// By an update all reservations are charged, else the oldest.
    fn charge(&mut self, leaf: &UsageLeaf) -> Result<Option<Event>, String> {
        self.state.used += leaf.units;
        let event = if leaf.op == OpId::default() {
            self.settle(leaf)?;
            Event::Settled
        } else {
            let (_, oldest) = self.open.remove(0);
            if oldest != leaf.units {
                return Err(format!("{leaf:?} charges another one than the oldest, of {oldest}"));
            }
            Event::ReservationCharged
        };
        self.balance().map(|()| Some(event))
    }

    fn settle(&mut self, leaf: &UsageLeaf) -> Result<(), String> {
        let open: u64 = self.open.drain(..).map(|(_, units)| units).sum();
        if open == leaf.units { Ok(()) } else { Err(format!("{leaf:?} settles {open}")) }
    }

    /// The vendor takes units away; or the account ends, with what is reserved.
    fn remove(&mut self, leaf: &UsageLeaf) {
        self.may_be_closed = leaf.left == 0 && leaf.units == self.state.left + self.state.reserved;
        if self.may_be_closed && self.state.reserved > 0 {
            self.open.clear();
        }
        self.state.removed += leaf.units;
    }

    /// U1: what is left follows from the rest. U2: it is never below nothing.
    fn balance(&mut self) -> Result<(), String> {
        self.state.reserved = self.open.iter().map(|(_, units)| units).sum();
        let gone = self.state.reserved + self.state.used + self.state.removed;
        let left = self.state.granted.checked_sub(gone);
        self.state.left = left.ok_or(format!("U2: more is gone than was issued: {self:?}"))?;
        Ok(())
    }
}

fn number(kind: UsageKind) -> u8 {
    match kind {
        UsageKind::Taken => 1,
        UsageKind::Reserved => 2,
        UsageKind::Used => 3,
        _ => 0,
    }
}
