//! What a vendor decides, keeps and signs: keys, products, licenses, trust.
//!
//! For the command line and for servers alike: it asks nobody ([`Secrets`] does), prints nothing
//! and reaches no container. [`Vendor`] is a directory of files. [`Issuer`] makes and signs updates
//! from what is in memory, and [`Ledger`] is the record of one container, wherever it is kept:
//!
//! ```no_run
//! use protocol::objects::statement::ContextBody;
//! use strongroom_vendor::{Change, Issuer, KeyRing, Ledger, Result, VerifiedStatement};
//!
//! /// The file of an update that changes all this at once, and the record with it.
//! fn issue(
//!     issuer: &Issuer,
//!     keys: &KeyRing,
//!     ledger: &mut Ledger,
//!     context: &VerifiedStatement<ContextBody>,
//!     changes: &[Change],
//!     now_s: u64,
//! ) -> Result<Vec<u8>> {
//!     issuer.check(context.device.id, context.body.firmware, now_s)?;
//!     let before = ledger.follow(context.point(), None, false)?;
//!     let draft = issuer.draft(&context.device, before, changes, (now_s, 0), keys)?;
//!     let update = issuer.sign_alone(draft, keys)?;
//!     let file = update.file(&issuer.lacking(&context.body));
//!     ledger.add(update.issued);
//!     Ok(file)
//! }
//! ```
#![forbid(unsafe_code)]

mod certificates;
pub mod clock;
pub mod context;
pub mod data;
mod delegate;
mod directory;
mod fast;
pub mod files;
mod hybrid;
pub mod issue;
mod issuer;
pub mod keys;
pub mod ledger;
pub mod options;
mod passphrase;
pub mod products;
mod roots;
mod secrets;
pub mod shares;
pub mod store;
pub mod times;
pub mod token;
pub mod trust;
pub mod upkeep;
pub mod usage;

pub use certificates::{Certifiers, certified};
pub use context::{VerifiedStatement, parse_statement, read_inventory, read_statement, verify};
pub use data::{DataInput, field as data_field, read as read_data};
pub use delegate::Grant;
pub use directory::{ROOT_FILE, Vendor, read_root};
pub use issue::{Change, Draft, Issue, Sealer, Setting, Update};
pub use issuer::Issuer;
pub use keys::{Home, KeyRing, SystemRandom, entropy as fresh_nonce};
pub use ledger::{Ledger, Point};
pub use options::{OptionArgs, features, parse_template};
pub use passphrase::Passphrase;
pub use products::Product;
pub use protocol::errors::Shown;
pub use roots::{Revocations, Rotation};
pub use secrets::Secrets;
pub use token::Token;
pub use usage::UsageLog;

/// What a vendor's work comes to.
pub type Result<T> = std::result::Result<T, Shown>;
