//! What the vendor does: products, orders, decisions.

use license_central::domain::central::{Once, Reply};
use license_central::domain::orders::{self, NewOrder, Ordered};
use license_central::domain::records::{
    ContainerState, Counts, Decision, Item, Part, Place, Product, Reclaim, Standing,
};
use license_central::domain::refusal::{Outcome, Refusal};
use license_central::domain::standing::{self, Reason};
use license_central::domain::{cases, catalog};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::event::Event;
use super::letters::Ask;
use super::parties::FIRMS;
use super::seats::{QUANTITY, SERVED, SKU};
use super::world::{Bought, World};

/// Products: code, terms, and when what lapsed in a container that may sleep is free again.
fn products() -> [(u32, Value, Reclaim); 9] {
    [
        (1, json!({ "checkpoint": "2d", "quantity": 2 }), Reclaim::SoftOnly),
        (2, json!({ "checkpoint": "1d", "expires": "+5d" }), Reclaim::Never),
        (3, json!({ "units": 20 }), Reclaim::SoftOnly),
        (4, json!({ "text": "for ever" }), Reclaim::SoftOnly),
        (5, json!({ "checkpoint": "1d", "grace": "2h" }), Reclaim::After(3600)),
        (6, json!({ "expires": "+3d" }), Reclaim::After(600)),
        (SERVED, json!({ "quantity": QUANTITY }), Reclaim::SoftOnly),
        (7, json!({ "checkpoint": "2d", "module-of": "1:0" }), Reclaim::SoftOnly),
        (FRESH, json!({ "checkpoint": "1d", "time-rule": "fresh-token" }), Reclaim::Never),
    ]
}

/// The product that is used only where the time was told since the power came.
pub(super) const FRESH: u32 = 9;

/// Items: number, products, whether their quantity counts units. The first ones are sold most.
const ITEMS: [(&str, &[u32], bool); 10] = [
    ("PLAIN", &[1], false),
    ("YEAR", &[2], false),
    ("PAIR", &[1, 4], false),
    ("METER", &[3], true),
    ("EVER", &[4], false),
    ("SLEEPY", &[5], false),
    ("SHORT", &[6], false),
    (SKU, &[SERVED], false),
    ("FAMILY", &[1, 7], false),
    ("FRESH", &[FRESH], false),
];

/// The item whose seats Central may serve.
const SEATS: usize = 7;

/// The item with units.
const METER: usize = 3;

impl World<'_> {
    /// Products, items, and the first orders.
    pub(super) fn opens_shop(&mut self) {
        for (firm, tenant) in FIRMS.into_iter().enumerate().take(self.firms) {
            let done = self.call(tenant, |central| {
                central.write(tenant, "owner", |work, env| {
                    for (code, terms, reclaim) in products() {
                        let terms = serde_json::from_value(terms).expect("terms");
                        let name = format!("Product {code}");
                        let product = Product {
                            code,
                            name,
                            terms,
                            generation: 0,
                            reclaim,
                            restore: None,
                            physical_tpm: None,
                        };
                        catalog::put_product(work, env, &product, None)?;
                    }
                    for (sku, parts, is_counted) in ITEMS {
                        let part =
                            |product: &u32| Part { product: *product, terms: Default::default() };
                        let parts = parts.iter().map(part).collect();
                        let counts = if is_counted { Counts::Units } else { Counts::Devices };
                        let item = Item { sku: sku.into(), name: sku.into(), parts, counts };
                        catalog::put_item(work, env, &item, None)?;
                    }
                    Ok(())
                })
            });
            self.promise(done.is_ok(), || format!("no shop: {:?}", done.err()));
            self.orders_something(firm);
            if self.serves {
                self.orders_item(firm, SEATS);
            }
        }
    }

    /// The vendor does something.
    pub(super) fn vendor_acts(&mut self) {
        let firm = self.dice.below(self.firms);
        if self.dice.one_in(3) && self.decides_case(firm, None) {
            return;
        }
        match self.dice.below(21) {
            0..=3 => self.orders_something(firm),
            4 | 5 => self.extends(firm),
            6 | 7 => self.replaces(firm),
            8..=10 => self.decides_of_grant(firm, Standing::Suspended),
            11 | 12 => self.decides_of_grant(firm, Standing::Active),
            13 => self.decides_of_grant(firm, Standing::Withdrawn),
            14 => self.assigns(firm),
            15 | 16 => self.blocks(firm),
            17 | 18 => {
                let at = self.dice.below(self.devices.len());
                self.issues_elsewhere(at, firm);
            }
            19 if self.dice.one_in(3) => self.presses(firm),
            _ if self.dice.one_in(4) => self.withdraws_ticket(firm),
            _ => self.goes_on_with_keys(firm),
        }
    }

    fn orders_something(&mut self, firm: usize) {
        let is_served = self.serves && self.dice.one_in(3);
        // What has units can be lost only once it came back, so it is sold more.
        let paid = if self.dice.one_in(5) { METER } else { self.dice.below(ITEMS.len()) };
        self.orders_item(firm, if is_served { SEATS } else { paid });
    }

    fn orders_item(&mut self, firm: usize, which: usize) {
        self.orders += 1;
        let (sku, _, is_counted) = ITEMS[which];
        let quantity = if is_counted { 1 + self.dice.below(3) } else { 1 + self.dice.below(2) };
        let number = format!("{}", self.orders);
        let new = new_order(&number, sku, quantity as u32, "");
        if let Some((id, code)) = self.orders_once(firm, &new) {
            let quantity = quantity as u32;
            self.bought.push(Bought { firm, id, code, sku, quantity, number, periods: 1 });
        }
    }

    /// C1: an order is sent until it is answered, and once more: it is one order, and the answer is
    /// the same.
    fn orders_once(&mut self, firm: usize, new: &NewOrder) -> Option<(String, Zeroizing<String>)> {
        let body = serde_json::to_vec(new).expect("an order");
        let key = format!("{}/{}", new.number, new.period);
        let mut first: Option<Reply> = None;
        for _ in 0..8 {
            match self.puts_order(firm, new, (&key, &body)) {
                Err(Refusal::Store(_)) => continue,
                Err(Refusal::Told(_)) => return None,
                Ok(reply) => {
                    let same = first.as_ref().is_none_or(|first| *first == reply);
                    self.promise(same, || "C1: two answers under one key".into());
                    if first.replace(reply).is_some() || !self.dice.one_in(4) {
                        break;
                    }
                    self.note(Event::OrderRepeated);
                }
            }
        }
        let key = (new.number.clone(), new.period.clone());
        let orders = self.book.orders.values();
        let tickets = orders.filter(|o| (o.number.clone(), o.period.clone()) == key).count();
        self.promise(tickets == 1 || first.is_none(), || format!("C1: {tickets} orders of a key"));
        let reply: Value = serde_json::from_str(&first?.body).expect("an answer");
        self.note(Event::Ordered);
        let code = Zeroizing::new(reply["code"].as_str().unwrap_or_default().to_owned());
        Some((reply["ticket"].as_str().unwrap_or_default().to_owned(), code))
    }

    fn puts_order(
        &mut self,
        firm: usize,
        new: &NewOrder,
        (key, body): (&str, &[u8]),
    ) -> Outcome<Reply> {
        let tenant = FIRMS[firm];
        let done = self.call(tenant, |central| {
            let once = Once::new(key, "orders", body);
            central.write_once(tenant, "shop", Some(&once), |work, env| {
                let Ordered { ticket, code, .. } = orders::order(work, env, new)?;
                let code = code.map(|code| code.to_string());
                let body = json!({ "ticket": ticket.id, "code": code }).to_string();
                Ok(Reply { status: 201, body, version: None })
            })
        });
        let what = format!("{} {} {:?}", new.number, new.sku, new.replaces.is_some());
        self.line(&format!("{tenant}: order {what}: {}", done.is_ok()));
        done
    }

    fn extends(&mut self, firm: usize) {
        let Some(which) = self.draw_ticket(firm) else { return };
        let bought = &mut self.bought[which];
        bought.periods += 1;
        let period = format!("{}", bought.periods);
        let new = new_order(&bought.number.clone(), bought.sku, bought.quantity, &period);
        if self.orders_once(firm, &new).is_some() {
            self.note(Event::Extended);
        }
    }

    pub(super) fn replaces(&mut self, firm: usize) {
        let Some(which) = self.draw_ticket(firm) else { return };
        self.orders += 1;
        let (old, quantity) = (self.bought[which].id.clone(), self.bought[which].quantity);
        let sku = ["PAIR", "PLAIN", "YEAR"][self.dice.below(3)];
        let number = format!("{}", self.orders);
        let mut new = new_order(&number, sku, quantity, "");
        new.replaces = Some(old);
        if let Some((id, code)) = self.orders_once(firm, &new) {
            self.note(Event::Replaced);
            self.bought.push(Bought { firm, id, code, sku, quantity, number, periods: 1 });
        }
    }

    /// A ticket of a firm.
    pub(super) fn draw_ticket(&mut self, firm: usize) -> Option<usize> {
        let own: Vec<usize> =
            (0..self.bought.len()).filter(|at| self.bought[*at].firm == firm).collect();
        (!own.is_empty()).then(|| own[self.dice.below(own.len())])
    }

    fn draw_grant(&mut self, firm: usize, fits: impl Fn(&Place) -> bool) -> Option<String> {
        let tenant = FIRMS[firm];
        let own =
            |id: &&String| self.book.owners[*id] == tenant && fits(&self.book.grants[*id].place);
        let ids: Vec<String> = self.book.grants.keys().filter(own).cloned().collect();
        (!ids.is_empty()).then(|| ids[self.dice.below(ids.len())].clone())
    }

    fn decides_of_grant(&mut self, firm: usize, wanted: Standing) {
        let is_out = |place: &Place| place.container().is_some();
        let rarely = self.dice.one_in(4);
        let Some(id) = self.draw_grant(firm, |place| rarely || is_out(place)) else { return };
        let is_change = self.book.grants[&id].wanted != wanted;
        if self.sets(firm, &id, wanted) && is_change {
            self.note(match wanted {
                Standing::Active => Event::Reinstated,
                Standing::Suspended => Event::Suspended,
                Standing::Withdrawn => Event::Withdrawn,
            });
        }
    }

    /// A license is suspended and reinstated again and again, and its container asks each time and
    /// applies nothing.
    fn presses(&mut self, firm: usize) {
        let Some(id) = self.draw_grant(firm, |place| matches!(place, Place::Held { .. })) else {
            return;
        };
        let container = self.book.grants[&id].place.container();
        let Some(at) = container.and_then(|container| self.device_of(container)) else { return };
        let mut answer = Vec::new();
        for round in 0..10 {
            let wanted = if round % 2 == 0 { Standing::Suspended } else { Standing::Active };
            self.sets(firm, &id, wanted);
            if self.devices[at].is_powered {
                self.asks_for(at, firm, Ask::Collect);
                let letter = self.letters.pop().expect("what was asked");
                answer = self.deliver(&letter);
            }
            self.judge();
        }
        if self.dice.one_in(2) {
            self.issues_elsewhere(at, firm);
        }
        for letter in answer {
            let receipts = self.deliver(&letter);
            self.letters.extend(receipts);
        }
    }

    /// C2: what was decided, and answered, is durable.
    pub(super) fn sets(&mut self, firm: usize, id: &str, wanted: Standing) -> bool {
        let (tenant, why) = (FIRMS[firm], Reason::default());
        let done = self.call(tenant, |central| {
            central.write(tenant, "admin", |work, _| standing::set(work, id, wanted, &why))
        });
        self.line(&format!("{tenant}: {} a license: {}", wanted.name(), done.is_ok()));
        let Ok(decided) = done else { return false };
        let told = decided.grant;
        // What was replaced, and was served to nobody, ends by it.
        let is_over = told.place == Place::Withdrawn && told.followed_by.is_some();
        let is_so = self.book.grants[id].wanted == told.wanted;
        let is_meant = told.wanted == wanted || is_over;
        self.promise(is_so && is_meant, || format!("C2: {wanted:?} was answered and is not so"));
        true
    }

    fn withdraws_ticket(&mut self, firm: usize) {
        let Some(which) = self.draw_ticket(firm).filter(|_| self.dice.one_in(3)) else { return };
        let (tenant, id) = (FIRMS[firm], self.bought[which].id.clone());
        let why = Reason::default();
        let done = self.call(tenant, |central| {
            central.write(tenant, "admin", |work, _| standing::withdraw_ticket(work, &id, &why))
        });
        self.line(&format!("{tenant}: withdraws a ticket: {}", done.is_ok()));
    }

    fn assigns(&mut self, firm: usize) {
        let Some(id) = self.draw_grant(firm, |place| *place == Place::Pool) else { return };
        let at = self.dice.below(self.devices.len());
        let (tenant, serial) = (FIRMS[firm], self.devices[at].serial.clone());
        let to = (!self.dice.one_in(4)).then_some(serial.as_str());
        let done = self.call(tenant, |central| {
            central.write(tenant, "admin", |work, _| standing::assign(work, &id, to))
        });
        self.line(&format!("{tenant}: assigns to {at}: {}", done.is_ok()));
        if done.is_ok() {
            self.note(Event::Assigned);
        }
    }

    fn blocks(&mut self, firm: usize) {
        let at = self.dice.below(self.devices.len());
        let Some(state) = self.known(firm, at).map(|known| known.state) else { return };
        let blocks = state == ContainerState::Active;
        if state != ContainerState::Differs && self.sets_block(firm, at, blocks) {
            self.note(if blocks { Event::Blocked } else { Event::Unblocked });
            if blocks && self.devices[at].is_powered {
                self.asks_for(at, firm, Ask::Collect);
            }
        }
    }

    pub(super) fn sets_block(&mut self, firm: usize, at: usize, blocked: bool) -> bool {
        let (tenant, id, why) = (FIRMS[firm], self.devices[at].id.clone(), Reason::default());
        let done = self.call(tenant, |central| {
            central.write(tenant, "admin", |work, _| {
                standing::block(work, &id, blocked, &why).map(drop)
            })
        });
        self.line(&format!("{tenant}: blocks {at} {blocked}: {}", done.is_ok()));
        done.is_ok()
    }

    /// A person looks at a container that differs.
    pub(super) fn decides_case(&mut self, firm: usize, decision: Option<Decision>) -> bool {
        let tenant = FIRMS[firm];
        let is_open = |(of, case): &&(String, _)| of == tenant && is_undecided(case);
        let Some((_, case)) = self.book.cases.values().find(is_open).cloned() else { return false };
        let drawn = [Decision::Adopt, Decision::Block, Decision::Dismiss][self.dice.below(3)];
        let (decision, why) = (decision.unwrap_or(drawn), Reason::default());
        let done = self.call(tenant, |central| {
            let firm = central.firm(tenant)?;
            central.write(tenant, "admin", |work, env| {
                cases::decide(work, env, &firm, (&case.id, decision, &why))
            })
        });
        self.line(&format!("{tenant}: a case: {decision:?}: {}", done.is_ok()));
        if done.is_ok() {
            self.note(match decision {
                Decision::Adopt => Event::CaseAdopted,
                Decision::Block => Event::CaseBlocked,
                Decision::Dismiss => Event::CaseDismissed,
            });
        }
        done.is_ok()
    }
}

fn is_undecided(case: &license_central::domain::records::Case) -> bool {
    case.decision.is_none()
}

fn new_order(number: &str, sku: &str, quantity: u32, period: &str) -> NewOrder {
    NewOrder {
        number: number.to_owned(),
        line: 1,
        period: period.to_owned(),
        sku: sku.to_owned(),
        quantity,
        customer: None,
        terms: Default::default(),
        replaces: None,
        customer_reference: None,
        container: None,
        entry: None,
    }
}
