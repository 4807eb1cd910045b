//! Issuing from a vendor directory: the context from its file, the record before the update.

use std::path::Path;

use protocol::objects::file::FileKind;
use protocol::objects::statement::ContextBody;

use super::Change;
use crate::certificates::Certifiers;
use crate::context::{VerifiedStatement, read_statement};
use crate::directory::Vendor;
use crate::keys::KeyRing;
use crate::ledger::{Ledger, Point};
use crate::{Result, clock};

/// An update in the making.
pub struct Issue<'a> {
    /// Who issues.
    pub vendor: &'a Vendor,
    /// For which container.
    pub context: VerifiedStatement<ContextBody>,
    /// The record of that container.
    ledger: Ledger,
    /// Where the update follows.
    pub before: Point,
}

impl<'a> Issue<'a> {
    /// Reads the context, settles the record by it, and finds the place of the next update.
    ///
    /// # Errors
    /// The context does not hold, or nothing may follow.
    pub fn begin(
        vendor: &'a Vendor,
        context: &Path,
        supersede: Option<u64>,
        adopt: bool,
    ) -> Result<Self> {
        let certifiers = Certifiers::of(&vendor.root);
        let context: VerifiedStatement<ContextBody> =
            read_statement(context, FileKind::Context, certifiers)?;
        let (shown, serial) = (context.point(), context.serial());
        let mut ledger = Ledger::load(&vendor.containers_dir(), context.device.id, serial, shown)?;
        let before = ledger.follow(shown, supersede, adopt)?;
        Ok(Issue { vendor, context, ledger, before })
    }

    /// Signs the update and returns the file. It may go out once it is recorded.
    ///
    /// # Errors
    /// It cannot be made so, or nobody signs.
    pub fn sign(&mut self, changes: &[Change], until_s: u64, keys: &KeyRing) -> Result<Vec<u8>> {
        let (issuer, times) = (self.vendor.issuer(), (clock::now_s(), until_s));
        let draft = issuer.draft(&self.context.device, self.before, changes, times, keys)?;
        let update = issuer.sign_alone(draft, keys)?;
        let file = update.file(&issuer.lacking(&self.context.body));
        self.ledger.add(update.issued);
        Ok(file)
    }

    /// Records what was signed.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn record(self) -> Result<()> {
        self.ledger.save(&self.vendor.containers_dir(), self.context.device.id)
    }
}
