//! The firms of a Central. Which there are is fixed while it runs; whom each trusts is not.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::firm::Firm;

/// Firms by tenant, shared by all who issue for them.
#[derive(Clone, Default)]
pub struct Firms(Arc<BTreeMap<String, RwLock<Arc<Firm>>>>);

impl From<BTreeMap<String, Arc<Firm>>> for Firms {
    fn from(firms: BTreeMap<String, Arc<Firm>>) -> Self {
        let each = firms.into_iter().map(|(tenant, firm)| (tenant, RwLock::new(firm)));
        Firms(Arc::new(each.collect()))
    }
}

impl Firms {
    /// The firm of a tenant, as it is now.
    pub fn get(&self, tenant: &str) -> Option<Arc<Firm>> {
        let firm = self.0.get(tenant)?.read().unwrap_or_else(PoisonError::into_inner);
        Some(firm.clone())
    }

    /// Another takes its place. Steps that run keep the one that they began with.
    pub fn replace(&self, tenant: &str, firm: Firm) {
        if let Some(place) = self.0.get(tenant) {
            *place.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(firm);
        }
    }

    /// The tenants.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
