//! The command line of Strongroom, for vendors, users and administrators.
fn main() {}
