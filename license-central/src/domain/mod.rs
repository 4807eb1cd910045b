//! What Central does: steps that read records and say what becomes of them.
//!
//! [`central`] runs a step in a transaction, with its audit. All else is rules: they see records
//! through [`work`], the time and randomness through [`mod@env`], and nothing besides.

pub mod access;
pub mod activation;
pub mod agreement;
pub mod anchors;
pub mod audit;
pub mod bulk;
pub mod cases;
pub mod catalog;
pub mod central;
pub mod chain;
mod commit;
pub mod credentials;
pub mod denials;
pub mod desk;
pub mod enrollment;
pub mod env;
pub mod firm;
pub mod firms;
pub mod journal;
pub mod keys;
pub mod lapse;
pub mod lease;
mod objects;
pub mod orders;
pub mod plan;
pub mod records;
pub mod refusal;
pub mod reports;
pub mod requests;
pub mod restore;
pub mod seats;
pub mod serving;
pub mod shops;
pub mod signing;
pub mod soft;
pub mod standing;
pub mod takeover;
pub mod terms;
pub mod ticket_code;
pub mod time;
pub mod trusted;
pub mod users;
pub mod webhooks;
pub mod work;
