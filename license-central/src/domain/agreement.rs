//! Journal and database agree: before that, nothing is issued. A database that was put back to an
//! older state does not know all that was signed, and would issue it again.

use protocol::errors::{ErrorCode, Shown};

use super::central::Central;
use super::chain::update_id;
use super::firm::Firm;
use super::journal::{Entry, Head, JournalMark};
use super::keys::SYSTEM;
use super::records::IssuedUpdate;
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};

/// How often it is tried while other servers go on issuing.
const TRIES: u32 = 5;

/// Looks whether the database knows all that the journal has beyond what it knew before, notes that
/// it does, and shows it to the signer.
pub fn agree(central: &Central, tenant: &str, firm: &Firm) -> Outcome<()> {
    let mut refused = None;
    for _ in 0..TRIES {
        let head = compare(central, tenant, firm)?;
        central.write(tenant, SYSTEM, |work, _| put_mark(work, head))?;
        match firm.signer.agree(head) {
            Err(error) if is_unshown(&error) => refused = Some(error),
            done => return Ok(done?),
        }
    }
    Err(refused.map_or_else(|| ErrorCode::JournalUnshown.into(), Refusal::from))
}

/// Whether the signer waits for [`agree`].
pub fn is_unshown(error: &Shown) -> bool {
    error.is(ErrorCode::JournalUnshown)
}

fn compare(central: &Central, tenant: &str, firm: &Firm) -> Outcome<Head> {
    let known = central.read(tenant, mark)?;
    let head = firm.signer.head()?;
    let mut part = firm.signer.entries(known.number)?;
    if part.before != known.hash {
        return Err(ErrorCode::JournalBehind.with(head.number, known.number).into());
    }
    let mut number = known.number;
    while let Some(last) = part.entries.last() {
        central.read(tenant, |work| {
            part.entries.iter().try_for_each(|entry| match is_known(work, entry)? {
                true => Ok(()),
                false => Err(ErrorCode::JournalAhead.with(entry.number, head.number).into()),
            })
        })?;
        number = last.number;
        part = firm.signer.entries(number)?;
    }
    Ok(Head { number, hash: part.before })
}

/// Whether the database has this update, byte for byte.
pub fn is_known(work: &mut Work<'_>, entry: &Entry) -> Outcome<bool> {
    let told = entry.told()?;
    let id = update_id(&told.container(), &told.issued());
    let found = work.find::<IssuedUpdate>(&id)?;
    let is_same = |own: &IssuedUpdate| own.header == entry.header && own.body == entry.body;
    Ok(found.is_some_and(|found| is_same(&found.record)))
}

/// How much of the journal the database knows.
pub fn mark(work: &mut Work<'_>) -> Outcome<Head> {
    let found = work.find::<JournalMark>(JournalMark::ID)?;
    Ok(JournalMark::head(found.as_ref().map(|found| &found.record)))
}

/// Notes that it knows all up to `head`.
pub fn put_mark(work: &mut Work<'_>, head: Head) -> Outcome<()> {
    let record = JournalMark::at(head);
    match work.find::<JournalMark>(JournalMark::ID)? {
        // Another server was further meanwhile.
        Some(found) if found.record.number >= record.number => Ok(()),
        Some(found) => work.update(&Stored { record, ..found }),
        None if head == Head::BEGIN => Ok(()),
        None => work.insert(&record),
    }
}
