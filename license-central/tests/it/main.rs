//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod audit;
mod dongle;
mod many;
mod place;
mod process;
mod put_back;
mod raw;
mod seats;
mod server;
mod signer;
mod stage;
mod strict;
mod table;
mod time;
mod tls;
mod trust;
mod webhooks;
