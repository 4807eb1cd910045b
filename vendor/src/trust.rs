//! Roots, revocations and delegations in files: taken apart and told.

use protocol::codec;
use protocol::command::FirmInfo;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::RootFp;
use protocol::limits::{REVOCATION_BODY_LEN_MAX, ROOT_BODY_LEN_MAX};
use protocol::objects::delegation::{Delegate, DelegationBody};
use protocol::objects::file;
use protocol::objects::revocation::{
    Freshness, Revocation, RevocationBody, StalePolicy, freshness,
};
use protocol::objects::root::{NextBody, Root};
use protocol::objects::update::ProductRange;
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use serde_json::{Value, json};

use crate::{clock, times};

/// An object, as it stands in its file.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its header.
    pub header: Header,
    /// All of it.
    pub bytes: Vec<u8>,
    body: Vec<u8>,
}

/// What a file says of whom a firm trusts. What begins with the root v1 is verified from there;
/// what does not, the container judges by the root that it knows.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Roots, one following the other.
    pub roots: Vec<Part>,
    /// The newest root, where the first is there.
    pub root: Option<Root>,
    /// The revocation.
    pub revocation: Option<Part>,
    /// Delegations, the root's own first.
    pub delegations: Vec<Part>,
    /// Whom they lead to, where the root is known.
    pub delegate: Option<Delegate>,
}

impl Trust {
    /// Takes objects of these kinds off the front, in their order.
    pub fn take(objects: &[u8]) -> Result<(Self, &[u8]), Failure> {
        let (mut trust, mut rest) = (Trust::default(), objects);
        while !rest.is_empty() {
            let (object, behind) = file::next_object(rest, body_len_max(rest))?;
            let malformed = ErrorCode::Malformed.failure();
            let part = || {
                let bytes = rest[..rest.len() - behind.len()].to_vec();
                let body = object.body_if_intact().ok_or(malformed)?.to_vec();
                Ok::<_, Failure>(Part { header: *object.header(), bytes, body })
            };
            match object.header().kind {
                Kind::Root if trust.revocation.is_none() && trust.delegations.is_empty() => {
                    trust.take_root(&object)?;
                    trust.roots.push(part()?);
                }
                Kind::Revocation if trust.revocation.is_none() && trust.delegations.is_empty() => {
                    trust.check_revocation(&object)?;
                    trust.revocation = Some(part()?);
                }
                Kind::Delegation => {
                    trust.take_delegation(&object)?;
                    trust.delegations.push(part()?);
                }
                Kind::Root | Kind::Revocation => return Err(malformed),
                _ => break,
            }
            rest = behind;
        }
        Ok((trust, rest))
    }

    /// Of which firm it is, where it is of one.
    pub fn root_fp(&self) -> Option<RootFp> {
        let header = |part: &Part| part.header.root_fp;
        let named = self.roots.iter().chain(&self.revocation).chain(&self.delegations).map(header);
        self.root.as_ref().map(|root| root.root_fp).or_else(|| named.into_iter().next())
    }

    /// All objects, in the order of a file.
    pub fn objects(&self) -> impl Iterator<Item = &Part> {
        self.roots.iter().chain(&self.revocation).chain(&self.delegations)
    }

    /// Whether its revocations still tell the present.
    ///
    /// # Errors
    /// They are over for longer than the policy allows.
    pub fn check_stale(&self, policy: StalePolicy) -> Result<Option<String>, Failure> {
        let Some(part) = &self.revocation else { return Ok(None) };
        let (until_s, now_s) = (part.header.until_s, clock::now_s());
        match freshness(until_s, now_s, policy) {
            Freshness::Fresh => Ok(None),
            Freshness::Stale(_) => Ok(Some(format!(
                "the revocations are over since {}: ask the vendor for newer ones",
                times::show(until_s)
            ))),
            Freshness::Refused(_) => Err(ErrorCode::RevocationStale.with(until_s, now_s)),
        }
    }

    /// Whether a container that says `firm` of the firm does not know this object.
    pub fn is_new(&self, part: &Part, firm: Option<&FirmInfo>) -> bool {
        let Some(firm) = firm else { return true };
        let version = u64::from(firm.root_version);
        match part.header.kind {
            Kind::Root => part.header.seq > version,
            // A root before it may begin the count anew.
            Kind::Revocation => {
                let follows_new_root = self.roots.last().is_some_and(|r| r.header.seq > version);
                part.header.seq > firm.revocation_epoch.into() || follows_new_root
            }
            _ => true,
        }
    }

    /// Whether there is nothing in it but a root v1.
    pub fn is_first_root_alone(&self) -> bool {
        let first = self.roots.len() == 1 && self.root.is_some();
        first && self.revocation.is_none() && self.delegations.is_empty()
    }

    /// What it changes in a container that says `firm` of the firm: lines, and the same for
    /// scripts.
    pub fn describe(&self, firm: Option<&FirmInfo>) -> (Vec<String>, Vec<Value>) {
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        let mut known = firm.map_or(0, |firm| firm.root_version);
        for part in self.roots.iter().filter(|part| self.is_new(part, firm)) {
            let version = part.header.seq as u32;
            if version > 1 {
                lines.push(format!("~ vendor's root, version {known} -> {version}"));
                lines.extend(roles_text(part).into_iter().map(|line| format!("    {line}")));
                rows.push(json!({ "op": "root", "old": known, "new": version }));
            }
            known = version;
        }
        if let Some(part) = self.revocation.as_ref().filter(|part| self.is_new(part, firm)) {
            let old = firm.map_or(0, |firm| firm.revocation_epoch);
            lines.push(format!("~ vendor's revocations, epoch {old} -> {}", part.header.seq));
            if let Some(body) = part.revocation_body() {
                lines.extend(revocation_lines(&body).into_iter().map(|line| format!("    {line}")));
            }
            rows.push(json!({ "op": "revocation", "old": old, "new": part.header.seq }));
        }
        for (part, body) in
            self.delegations.iter().filter_map(|part| Some((part, part.delegation_body()?)))
        {
            let text = delegation_text(&body, part.header.until_s);
            lines.push(format!("  issued by {text}"));
            rows.push(json!({ "op": "delegation", "name": &*body.name, "text": text }));
        }
        (lines, rows)
    }

    fn take_root(&mut self, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let refused = |_| ErrorCode::RootRefused.failure();
        if self.roots.is_empty() && object.header().root_fp == RootFp::default() {
            self.root = Some(Root::verify_first(object).map_err(refused)?);
        } else if let Some(root) = &self.root {
            self.root = Some(root.verify_next(object).map_err(refused)?);
        }
        Ok(())
    }

    fn check_revocation(&self, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let Some(root) = &self.root else { return Ok(()) };
        let checked = Revocation::verify(root, object);
        checked.map(drop).map_err(|_| ErrorCode::RevocationRefused.failure())
    }

    fn take_delegation(&mut self, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let Some(root) = &self.root else { return Ok(()) };
        let delegate = match &self.delegate {
            Some(before) => before.next(object),
            None => Delegate::first(root.root_fp, &root.body, object),
        };
        self.delegate = Some(delegate.map_err(|_| ErrorCode::DelegationRefused.failure())?);
        Ok(())
    }
}

impl Part {
    /// The contents of a revocation.
    pub fn revocation_body(&self) -> Option<RevocationBody> {
        codec::decode(&self.body, REVOCATION_BODY_LEN_MAX).ok()
    }

    /// The contents of a delegation.
    pub fn delegation_body(&self) -> Option<DelegationBody> {
        codec::decode(&self.body, REVOCATION_BODY_LEN_MAX).ok()
    }

    /// The contents of a root from version 2 on.
    pub fn next_body(&self) -> Option<NextBody> {
        codec::decode(&self.body, ROOT_BODY_LEN_MAX).ok()
    }
}

/// The bound of the object that comes next, by its kind.
pub fn body_len_max(bytes: &[u8]) -> usize {
    match Header::from_bytes(bytes).map(|header| header.kind) {
        Ok(Kind::Root | Kind::Revocation | Kind::Delegation) => REVOCATION_BODY_LEN_MAX,
        _ => protocol::limits::UPDATE_BODY_LEN_MAX,
    }
}

/// Roles and their keys, a line for each.
fn roles_text(part: &Part) -> Vec<String> {
    let Some(body) = part.next_body() else { return Vec::new() };
    let line = |role: &protocol::objects::root::RoleKeys| {
        let of = body.body.role(role.role).map_or(0, |keys| keys.keys.len());
        format!("{:<11} {} of {of} must sign", role_name(role.role), role.threshold)
    };
    body.body.roles.iter().map(line).collect()
}

/// A role as it is typed and shown.
pub fn role_name(role: Role) -> String {
    format!("{role:?}").to_lowercase()
}

/// What is revoked, a line for each.
pub fn revocation_lines(body: &RevocationBody) -> Vec<String> {
    let keys = body.keys.iter().map(|key| format!("key         {key}"));
    let containers = body.containers.iter().map(|id| format!("container   {id}"));
    let firmware =
        body.firmware.iter().map(|range| format!("firmware    {}..{}", range.first, range.last));
    keys.chain(containers).chain(firmware).collect()
}

/// Whom a right was handed on to, and what it is.
pub fn delegation_text(body: &DelegationBody, until_s: u64) -> String {
    let ProductRange { first, last } = body.scope.products;
    let until = match until_s {
        0 => String::new(),
        until_s => format!(", until {}", times::show(until_s)),
    };
    let name = &*body.name;
    format!("{name}: products {first}..{last}, {} seats at most{until}", body.scope.quantity_max)
}
