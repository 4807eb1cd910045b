//! A transaction that keeps in memory what it read and what it will write, and writes all of it
//! when it is committed: many rows by one statement, and no row read twice.

use std::collections::BTreeMap;

use super::seats::{Counter, Seat, SeatChanges, SeatKey};
use super::{Filter, OpenTransaction, Page, Row, StoreError, Table, Transaction, Write, overlaid};

/// Of which tenant, in which table, which row.
type Key = (String, &'static str, String);

/// A transaction of steps that come one after the other.
pub(crate) struct Gathered {
    open: Box<dyn OpenTransaction>,
    /// Rows as they are now; none where there is none.
    rows: BTreeMap<Key, Option<Row>>,
    /// Rows as the database has them, by what they were asked for: only questions for all.
    lists: BTreeMap<(String, &'static str, Filter), Vec<Row>>,
    /// How often each was written. What was written again waits for the round after.
    written: BTreeMap<Key, usize>,
    rounds: Vec<Vec<Write>>,
}

impl Gathered {
    /// Over one that has just begun.
    pub(crate) fn new(open: Box<dyn OpenTransaction>) -> Self {
        let (rows, lists, written) = Default::default();
        Gathered { open, rows, lists, written, rounds: Vec::new() }
    }

    /// Writes what was gathered. Values that became free can be taken by new rows.
    fn flush(&mut self) -> Result<(), StoreError> {
        for mut round in std::mem::take(&mut self.rounds) {
            round.sort_by(|a, b| a.place().cmp(&b.place()));
            self.open.apply(&round)?;
        }
        self.lists.clear();
        self.written.clear();
        Ok(())
    }

    fn add(&mut self, key: Key, write: Write) {
        let round = self.written.entry(key).or_default();
        if self.rounds.len() == *round {
            self.rounds.push(Vec::new());
        }
        self.rounds[*round].push(write);
        *round += 1;
    }
}

impl Write {
    /// Where it stands among others: those of one statement beside each other.
    fn place(&self) -> (bool, &str, &str, &str) {
        (self.row.version == 1, self.table.name, &self.tenant, &self.row.id)
    }
}

fn key(tenant: &str, table: &'static Table, id: &str) -> Key {
    (tenant.to_owned(), table.name, id.to_owned())
}

impl OpenTransaction for Gathered {
    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.flush()?;
        self.open.commit()
    }
}

impl Transaction for Gathered {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        let key = key(tenant, table, id);
        if let Some(known) = self.rows.get(&key) {
            return Ok(known.clone());
        }
        let row = self.open.get(tenant, table, id)?;
        self.rows.insert(key, row.clone());
        Ok(row)
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let first = key(tenant, table, "");
        let of_table = |(of, _): &(&Key, &usize)| of.0 == tenant && of.1 == table.name;
        let changed = self.written.range(first..).take_while(of_table);
        let own: Vec<&Row> =
            changed.filter_map(|(key, _)| self.rows.get(key).and_then(Option::as_ref)).collect();
        let wide = Page { limit: page.limit.saturating_add(own.len()), ..*page };
        let is_all = wide.after.is_none() && wide.limit == usize::MAX;
        let asked = (tenant.to_owned(), table.name, filter.clone());
        let rows = match self.lists.get(&asked).filter(|_| is_all) {
            Some(known) => known.clone(),
            None => {
                let rows = self.open.find(tenant, table, filter, &wide)?;
                if is_all {
                    self.lists.insert(asked, rows.clone());
                }
                rows
            }
        };
        let found = overlaid(rows, own, table, filter, page);
        for row in &found {
            self.rows.entry(key(tenant, table, &row.id)).or_insert_with(|| Some(row.clone()));
        }
        Ok(found)
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        for write in writes {
            let key = key(&write.tenant, write.table, &write.row.id);
            let now = self.rows.get(&key).map(|row| row.as_ref().map_or(0, |row| row.version));
            match (now, write.row.version) {
                (None | Some(0), 1) => {}
                (Some(_), 1) => return Err(StoreError::Taken { table: write.table.name }),
                (Some(now), version) if now + 1 != version => return Err(StoreError::Conflict),
                _ => {}
            }
            self.rows.insert(key.clone(), Some(write.row.clone()));
            self.add(key, write.clone());
        }
        Ok(())
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.flush()?;
        self.rows.clear();
        self.open.load(rows)
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.flush()?;
        self.rows.clear();
        self.open.remove(tenant, table, ids)
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.open.counters(ids)
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.open.seats(keys)
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.open.due_seats(now_ms, limit)
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.open.change_seats(changes)
    }
}
