//! People who administer: each has a role and any number of keys, which end with him.

use super::access::Principal;
use super::catalog;
use super::env::Env;
use super::records::{RoleName, User};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use crate::store::{Filter, Page};

/// What is changed of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What he may do.
    Role(RoleName),
    /// Whether all his keys are refused.
    Disabled(bool),
}

/// Adds a user, who has no key yet. `work` is that of the system, as for all that follow.
pub fn create(
    work: &mut Work<'_>,
    env: &Env<'_>,
    (vendor, name, role): (&str, &str, RoleName),
) -> Outcome<User> {
    catalog::check_name(name)?;
    let user = User {
        id: env.id("usr"),
        vendor: vendor.to_owned(),
        name: name.to_owned(),
        role,
        created_ms: env.now_ms,
        disabled_ms: None,
    };
    work.insert(&user)?;
    work.note_of(vendor, "user.create", &user.id, described(&user));
    Ok(user)
}

/// The users of a vendor.
pub fn list(work: &mut Work<'_>, vendor: &str, page: &Page<'_>) -> Outcome<Vec<User>> {
    let found = work.list::<User>(&Filter::Is("vendor", vendor.into()), page)?;
    Ok(found.into_iter().map(|user| user.record).collect())
}

/// A user of this vendor.
pub(super) fn find(work: &mut Work<'_>, vendor: &str, id: &str) -> Outcome<Stored<User>> {
    let found = work.find::<User>(id)?.filter(|user| user.record.vendor == vendor);
    found.ok_or_else(|| Refusal::missing(format!("user {id:?}")))
}

/// Changes a user. Nobody changes himself: the last owner would be locked out.
pub fn change(
    work: &mut Work<'_>,
    env: &Env<'_>,
    who: &Principal,
    (id, change): (&str, Change),
) -> Outcome<User> {
    let mut user = find(work, &who.vendor, id)?;
    if who.user.as_deref() == Some(id) {
        return Err(Refusal::malformed("it is the user of this request: another owner does that"));
    }
    let before = user.record.clone();
    let action = match change {
        Change::Role(role) => {
            user.record.role = role;
            "user.role"
        }
        Change::Disabled(true) => {
            user.record.disabled_ms = before.disabled_ms.or(Some(env.now_ms));
            "user.disable"
        }
        Change::Disabled(false) => {
            user.record.disabled_ms = None;
            "user.enable"
        }
    };
    if user.record != before {
        work.update(&user)?;
        work.note_of(&who.vendor, action, id, described(&user.record));
    }
    Ok(user.record)
}

/// A user in the audit.
fn described(user: &User) -> String {
    format!("{}, {}", user.name, format!("{:?}", user.role).to_lowercase())
}
