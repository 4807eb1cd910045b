//! Who may do what: one function, asked by every route.

use protocol::errors::ErrorCode;

use super::records::RoleName;
use super::refusal::{Outcome, Refusal};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key's id, for the audit.
    pub id: String,
    /// Whose records.
    pub vendor: String,
    /// As what.
    pub role: RoleName,
    /// The user whose key it is.
    pub user: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Look.
    Read,
    /// Make, change, or end.
    Write,
}

/// To what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// Products and items.
    Catalog,
    /// Customers.
    Customer,
    /// Orders and their tickets.
    Order,
    /// Tickets of others' orders, and grants.
    License,
    /// Containers.
    Container,
    /// The audit.
    Audit,
    /// Keys of the API.
    Key,
}

/// Refuses what this key may not do.
pub fn allow(who: &Principal, verb: Verb, object: Object) -> Outcome<()> {
    use Object as O;
    use RoleName as R;
    let writes = verb == Verb::Write;
    let may = match (who.role, object) {
        (R::Owner, _) => !(writes && object == O::Audit),
        (_, O::Key) => false,
        (R::Admin, O::Audit) => !writes,
        (R::Admin, _) => true,
        (R::Issuer, O::Customer | O::Order | O::License) => true,
        (R::Issuer, O::Catalog | O::Container) => !writes,
        (R::Support, O::Container) => true,
        (R::Support, O::Catalog | O::Customer | O::Order | O::License) => !writes,
        (R::Auditor, _) => !writes,
        (R::Billing, O::Catalog | O::Customer | O::Order | O::License) => !writes,
        (R::Integration, O::Customer | O::Order) => true,
        (R::Integration, O::Catalog) => !writes,
        _ => false,
    };
    if may { Ok(()) } else { Err(Refusal::from(ErrorCode::RoleMissing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [(RoleName, &str); 7] = [
        (RoleName::Owner, "owner"),
        (RoleName::Admin, "admin"),
        (RoleName::Issuer, "issuer"),
        (RoleName::Support, "support"),
        (RoleName::Auditor, "auditor"),
        (RoleName::Billing, "billing"),
        (RoleName::Integration, "integration"),
    ];

    /// r read, w write, for: catalog, customer, order, license, container, audit, key.
    const TABLE: [&str; 7] = [
        "rw rw rw rw rw r- rw",
        "rw rw rw rw rw r- --",
        "r- rw rw rw r- -- --",
        "r- r- r- r- rw -- --",
        "r- r- r- r- r- r- --",
        "r- r- r- r- -- -- --",
        "r- rw rw -- -- -- --",
    ];

    #[test]
    fn each_role_may_what_the_table_says() {
        use Object as O;
        let objects =
            [O::Catalog, O::Customer, O::Order, O::License, O::Container, O::Audit, O::Key];
        for ((role, name), expected) in ROLES.into_iter().zip(TABLE) {
            let who = Principal { id: "key".into(), vendor: "v".into(), role, user: None };
            let cell = |object| {
                let may =
                    |verb, letter| if allow(&who, verb, object).is_ok() { letter } else { '-' };
                String::from_iter([may(Verb::Read, 'r'), may(Verb::Write, 'w')])
            };
            assert_eq!(objects.map(cell).join(" "), expected, "{name}");
        }
    }
}
