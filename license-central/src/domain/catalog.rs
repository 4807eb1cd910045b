//! Products, items and customers.

use protocol::errors::{ErrorCode, Shown};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::env::Env;
use super::records::{Customer, Item, Product};
use super::refusal::{Outcome, Refusal};
use super::work::{Record, Stored, Work};

/// Characters of the longest name.
const NAME_LEN_MAX: usize = 200;

/// Products of one item.
const PARTS_MAX: usize = 32;

/// A customer as it is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// Name.
    pub name: String,
    /// Number in the shop or ERP; unique.
    #[serde(default)]
    pub reference: Option<String>,
    /// Where tickets go.
    #[serde(default)]
    pub email: Option<String>,
}

/// Defines a product, or changes it. A change needs the version that it was made for.
pub fn put_product(
    work: &mut Work<'_>,
    env: &Env<'_>,
    product: &Product,
    version: Option<i64>,
) -> Outcome<Stored<Product>> {
    check_name(&product.name)?;
    product.terms.check(product.code, env)?;
    put(work, product.clone(), version, "product.put")
}

/// Defines an item, or changes it. Its products must be there.
pub fn put_item(
    work: &mut Work<'_>,
    env: &Env<'_>,
    item: &Item,
    version: Option<i64>,
) -> Outcome<Stored<Item>> {
    check_name(&item.name)?;
    check_name(&item.sku)?;
    if item.parts.is_empty() || item.parts.len() > PARTS_MAX {
        let why = format!("an item has 1 to {PARTS_MAX} products, not {}", item.parts.len());
        return Err(Refusal::malformed(why));
    }
    for part in &item.parts {
        let product = work.get::<Product>(&Product::id_of(part.product))?.record;
        part.terms.clone().over(product.terms).check(product.code, env)?;
    }
    put(work, item.clone(), version, "item.put")
}

/// Adds a customer.
pub fn create_customer(work: &mut Work<'_>, env: &Env<'_>, new: &NewCustomer) -> Outcome<Customer> {
    check_name(&new.name)?;
    if let Some(reference) = &new.reference
        && work.by::<Customer>("reference", reference.as_str().into())?.is_some()
    {
        let taken = Shown::from(ErrorCode::RecordTaken.failure());
        return Err(taken.about(format!("customer of reference {reference:?}")).into());
    }
    let customer = Customer {
        id: env.id("cus"),
        name: new.name.clone(),
        reference: new.reference.clone(),
        email: new.email.clone(),
        created_ms: env.now_ms,
    };
    work.insert(&customer)?;
    work.note("customer.create", &customer.id, "");
    Ok(customer)
}

fn put<R: Record>(
    work: &mut Work<'_>,
    record: R,
    version: Option<i64>,
    action: &'static str,
) -> Outcome<Stored<R>> {
    let id = record.id();
    let stored = match (work.find::<R>(&id)?, version) {
        (None, None) => {
            work.insert(&record)?;
            Stored { version: 1, record }
        }
        (None, Some(_)) => return Err(Refusal::missing(id)),
        (Some(_), None) => return Err(ErrorCode::RecordTaken.into()),
        (Some(old), Some(version)) if old.version != version => {
            let numbers = (old.version.unsigned_abs(), version.unsigned_abs());
            return Err(ErrorCode::RecordChanged.with(numbers.0, numbers.1).into());
        }
        (Some(old), Some(_)) => {
            let stored = Stored { version: old.version, record };
            work.update(&stored)?;
            Stored { version: stored.version + 1, ..stored }
        }
    };
    work.note(action, id, format!("version {}", stored.version));
    Ok(stored)
}

/// Refuses what is no name.
pub fn check_name(name: &str) -> Outcome<()> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= NAME_LEN_MAX
        && !name.chars().any(char::is_control);
    let why = format!("a name has 1 to {NAME_LEN_MAX} characters, none of control: {name:?}");
    if fits { Ok(()) } else { Err(Refusal::malformed(why)) }
}
