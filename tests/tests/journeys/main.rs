//! Journeys through the built programs: what users and attackers type, what comes of it.
//!
//! Needs `strongroom`, `license-central` and `strongroom-loader` in the target folder
//! (`./dev build`), the programs that `./dev test` installs, and root: attackers and ordinary users
//! run as another user.

mod answers;
mod at_homes;
mod bad_input;
mod by_files;
mod c;
mod central;
mod central_signer;
mod central_upkeep;
mod clock;
mod copies;
mod decisions;
mod encrypted;
mod entries;
mod first_run;
mod grammar;
mod homes;
mod key_stores;
mod leases;
mod live;
mod malformed;
mod options;
mod owner;
mod people;
mod postgresql;
mod programs;
mod replay;
mod seats;
mod secrecy;
mod served;
mod shape;
mod shim;
mod soft;
mod terminal;
mod trust;
mod upkeep;
mod world;
