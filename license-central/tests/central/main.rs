//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod audit;
mod chains;
mod dongle;
mod faults;
mod instances;
mod killed;
mod lists;
mod load;
mod many;
mod place;
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
