//! License Central over HTTP, as a shop, an administrator or an attacker reaches it.

mod api;
mod seats;
mod server;
