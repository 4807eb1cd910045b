//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod audit;
mod many;
mod place;
mod process;
mod raw;
mod server;
mod strict;
mod table;
mod webhooks;
