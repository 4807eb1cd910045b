//! Shops: their webhooks become orders here. A message is verified before it is read; what it says
//! becomes lines, one for each line of an order there, and each line becomes an order once.
//!
//! Nothing is lost: a line that cannot become an order waits with its reason, and is tried again
//! when a person says so. Nothing is taken back by itself either: what was refunded is shown, and
//! suspended only where the shop is registered so.

mod lines;
mod shopify;
pub mod told;
mod woocommerce;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::crypto::mac::{MAC_LEN, verify_hmac_sha256};
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::env::Env;
use super::keys::Secret;
use super::objects;
use super::orders::unhex;
use super::records::Item;
use super::refusal::{Outcome, Refusal};
use super::work::{Record, Stored, Work};
use crate::store::{Filter, StoreError, Table, Value, tables};

pub use lines::{LineState, ShopLine, replay, take};
pub use told::{Told, UndoneKind, UndoneOrder};

/// Shops of one vendor.
const SHOPS_MAX: usize = 64;

/// Products of a shop that are mapped.
const MAPPED_MAX: usize = 5_000;

/// Characters of the shortest secret that a shop may bring along.
const SECRET_LEN_MIN: usize = 16;

/// What a shop runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShopKind {
    /// WooCommerce.
    Woocommerce,
    /// Shopify.
    Shopify,
}

/// What becomes of licenses whose order was refunded or canceled as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefund {
    /// The order is shown as refunded, and a person decides.
    #[default]
    Show,
    /// They are suspended too, until a person reinstates them.
    Suspend,
}

/// A shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shop {
    /// `shp_…`
    pub id: String,
    /// Its name: numbers of its orders begin with it.
    pub name: String,
    /// What it runs on.
    pub kind: ShopKind,
    /// What becomes of refunds.
    pub on_refund: OnRefund,
    /// The secret that its messages are signed with, sealed, hexadecimal.
    secret: String,
    /// Items of its products.
    pub mapped: Vec<Mapped>,
    /// Whether it is gone.
    removed: bool,
    /// When it was registered, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// The item of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapped {
    /// The product there: `variation:12` (WooCommerce), `variant:12` (Shopify), `product:3` or
    /// `sku:X`.
    pub product: String,
    /// The item here; none where nothing of ours is sold with it.
    #[serde(default)]
    pub item: Option<String>,
}

/// A shop as it is registered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShop {
    /// Its name: small letters, digits and hyphens.
    pub name: String,
    /// What it runs on.
    pub kind: ShopKind,
    /// The secret that its messages are signed with, where the shop has it already; else one is
    /// drawn, and told once.
    #[serde(default)]
    pub secret: Option<String>,
    /// What becomes of refunds.
    #[serde(default)]
    pub on_refund: OnRefund,
}

/// What is mapped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Products, and their items. Others stay as they are.
    #[serde(deserialize_with = "objects::many")]
    pub mapped: Vec<Mapped>,
}

/// A shop as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ShopView {
    /// `shp_…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it runs on.
    pub kind: ShopKind,
    /// What becomes of refunds.
    pub on_refund: OnRefund,
    /// Where its webhooks go, at the Sales interface.
    pub path: String,
    /// Items of its products.
    pub mapped: Vec<Mapped>,
    /// When it was registered, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

impl Record for Shop {
    const TABLE: &'static Table = &tables::SHOP;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        // Its name is free for another when it is gone.
        vec![(!self.removed).then_some(self.name.as_str()).into()]
    }
}

impl Shop {
    /// As it is shown.
    pub fn view(self, vendor: &str) -> ShopView {
        let path = format!("/v1/{vendor}/shops/{}", self.id);
        let Shop { id, name, kind, on_refund, mapped, created_ms, .. } = self;
        ShopView { id, name, kind, on_refund, path, mapped, created_ms }
    }

    /// What is mapped for a product of these keys, the most exact first: an item, or none of ours.
    fn mapped(&self, keys: &[String]) -> Option<&Mapped> {
        keys.iter().find_map(|key| self.mapped.iter().find(|one| one.product == *key))
    }

    /// Reads a message of this topic whose signature held.
    pub fn read(&self, topic: &str, body: &[u8]) -> Outcome<Vec<Told>> {
        let read = match self.kind {
            ShopKind::Woocommerce => woocommerce::read(topic, body),
            ShopKind::Shopify => shopify::read(topic, body),
        };
        read.map_err(|why| Refusal::malformed(format!("{topic}: {why}")))
    }
}

/// The shop that signed a message; whether there is none of this id or the signature is wrong is
/// not told apart, nor by the time that it takes.
pub fn signed_by(
    work: &mut Work<'_>,
    secret: &Secret,
    id: &str,
    (signature, body): (Option<&str>, &[u8]),
) -> Outcome<Shop> {
    let shop = work.find::<Shop>(id)?.map(|found| found.record).filter(|shop| !shop.removed);
    let key = match &shop {
        Some(shop) => open(secret, shop)?,
        None => Zeroizing::new(vec![0; 32]),
    };
    let tag = signature.and_then(|text| BASE64.decode(text.trim()).ok());
    let tag: Option<[u8; MAC_LEN]> = tag.and_then(|tag| tag.try_into().ok());
    let holds = verify_hmac_sha256(&key, &[body], &tag.unwrap_or_default()).is_ok();
    shop.filter(|_| holds && tag.is_some()).ok_or_else(|| {
        let title = "this message is not signed by a shop that is registered here";
        let hint = "Compare address and secret of the webhook in the shop with `strongroom central \
                    shop list`; a new secret comes with a shop that is registered anew.";
        Shown::told(ErrorCode::NotLoggedIn.failure(), title).hinting(hint).into()
    })
}

fn open(secret: &Secret, shop: &Shop) -> Outcome<Zeroizing<Vec<u8>>> {
    let plain = unhex(&shop.secret).and_then(|sealed| secret.open(&sealed)).map(Zeroizing::new);
    let damaged = || StoreError::Damaged { table: "shop", why: "its secret".into() };
    plain.ok_or_else(|| damaged().into())
}

/// Registers a shop. A secret that was drawn for it is told once.
pub fn create(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    new: &NewShop,
) -> Outcome<(Shop, Option<Zeroizing<String>>)> {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if new.name.is_empty() || new.name.len() > 32 || !new.name.bytes().all(is_letter) {
        let why = "a shop's name has 1 to 32 small letters, digits and hyphens";
        return Err(Refusal::malformed(why));
    }
    let drawn = new.secret.is_none().then(|| Zeroizing::new(hex(&env.bytes::<24>())));
    let own = drawn.as_ref().map(|text| text.as_str()).or(new.secret.as_deref());
    let own = own.unwrap_or_default();
    if own.len() < SECRET_LEN_MIN {
        let why = format!("the secret of a shop has at least {SECRET_LEN_MIN} characters");
        return Err(Refusal::malformed(why));
    }
    if all(work)?.len() >= SHOPS_MAX {
        return Err(Refusal::malformed(format!("a vendor has at most {SHOPS_MAX} shops")));
    }
    if work.by::<Shop>("name", new.name.as_str().into())?.is_some() {
        let taken = Shown::from(ErrorCode::RecordTaken.failure());
        return Err(taken.about(format!("shop {:?}", new.name)).into());
    }
    let shop = Shop {
        id: env.id("shp"),
        name: new.name.clone(),
        kind: new.kind,
        on_refund: new.on_refund,
        secret: hex(&secret.seal(own.as_bytes(), &env.bytes())),
        mapped: Vec::new(),
        removed: false,
        created_ms: env.now_ms,
    };
    work.insert(&shop)?;
    work.note("shop.create", &shop.id, &shop.name);
    Ok((shop, drawn))
}

/// The shops that there are.
pub fn all(work: &mut Work<'_>) -> Outcome<Vec<Shop>> {
    let rows = work.all::<Shop>(&Filter::All)?;
    Ok(rows.into_iter().map(|row| row.record).filter(|shop| !shop.removed).collect())
}

/// Removes a shop: its messages are refused. Its lines and orders stay.
pub fn remove(work: &mut Work<'_>, id: &str) -> Outcome<Shop> {
    let mut shop = find(work, id)?;
    shop.record.removed = true;
    work.update(&shop)?;
    work.note("shop.remove", id, "");
    Ok(shop.record)
}

/// Says which items products of a shop are.
pub fn map(work: &mut Work<'_>, id: &str, mapping: &Mapping) -> Outcome<Shop> {
    let mut shop = find(work, id)?;
    for one in &mapping.mapped {
        let kinds = ["variation:", "variant:", "product:", "sku:"];
        let known = kinds.iter().any(|kind| one.product.strip_prefix(kind).is_some_and(is_name));
        if !known {
            let why = format!(
                "{:?}: a product is variation:N, variant:N, product:N or sku:X",
                one.product
            );
            return Err(Refusal::malformed(why));
        }
        if let Some(sku) = &one.item {
            work.get::<Item>(sku)?;
        }
        shop.record.mapped.retain(|old| old.product != one.product);
        shop.record.mapped.push(one.clone());
    }
    if shop.record.mapped.len() > MAPPED_MAX {
        return Err(Refusal::malformed(format!("a shop has at most {MAPPED_MAX} mapped products")));
    }
    work.update(&shop)?;
    work.note("shop.map", id, format!("{} products", mapping.mapped.len()));
    Ok(shop.record)
}

fn is_name(name: &str) -> bool {
    super::catalog::check_name(name).is_ok()
}

/// The shop of this id.
pub fn find(work: &mut Work<'_>, id: &str) -> Outcome<Stored<Shop>> {
    let found = work.find::<Shop>(id)?.filter(|found| !found.record.removed);
    found.ok_or_else(|| Refusal::missing(format!("shop {id:?}")))
}
