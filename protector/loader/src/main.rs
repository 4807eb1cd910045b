//! Maps a protected program into its own process when the license allows it.
fn main() {}
