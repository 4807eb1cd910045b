//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod audit;
mod chains;
mod dongle;
mod faults;
mod lists;
mod many;
mod place;
#[path = "../../src/store/postgres.rs"]
mod postgres;
mod process;
mod put_back;
mod raw;
mod reports;
mod seats;
mod server;
mod shops;
mod signer;
mod stage;
mod strict;
mod table;
mod time;
mod tls;
mod trust;
mod webhooks;
