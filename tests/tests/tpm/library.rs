//! The C library that talks to TPMs: what is measured here was measured with the one of Debian 12.

use std::fs;
use std::process::Command;

use strongroom_tests::swtpm::Swtpm;
use tpm::chip::read_clock;

/// Its version; the next that brings more is 4.1.3, of Debian 13.
const VERSION: &str = "3.2.1";

fn pkg_config(option: &str) -> String {
    let output = Command::new("pkg-config").args([option, "tss2-esys"]).output();
    let output = output.expect("pkg-config");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn the_library_is_the_one_that_all_was_measured_with() {
    assert_eq!(pkg_config("--modversion"), VERSION);
    // It is the one that is in use.
    read_clock(&Swtpm::blank().tcti().parse().expect("a way")).expect("it answers");
    let library = format!("{}/libtss2-esys.so", pkg_config("--variable=libdir"));
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let esys: Vec<&str> = maps.split_whitespace().filter(|word| word.contains("esys")).collect();
    assert!(!esys.is_empty() && esys.iter().all(|path| path.starts_with(&library)), "{esys:?}");
}
