//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod dongle;
mod put_back;
mod server;
mod signer;
mod stage;
