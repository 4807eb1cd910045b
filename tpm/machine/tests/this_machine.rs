//! What must hold on any machine, this one included.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use machine::generation::{Generation, KernelLog, Known, Local, Mark, Seen};
use machine::record::{self, BindError};
use machine::{CLASSES_MIN, Tolerance, TraitClass, collect};
use protocol::crypto::RandomFailed;

fn random(out: &mut [u8]) -> Result<(), RandomFailed> {
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(out));
    read.map_err(|_| RandomFailed)
}

#[test]
fn this_machine_is_itself_or_it_is_said_why_it_cannot_be_told() {
    let root = Path::new("/");
    let traits = collect::traits(root);
    let report = traits.report();
    assert_eq!(report, collect::traits(root).report());
    assert!(report.classes().iter().map(|(class, _)| *class).eq(TraitClass::ALL));
    for hint in collect::virtual_hints(root) {
        assert!(!hint.to_string().is_empty());
    }
    let found: Vec<_> = report.classes().iter().filter(|(_, state)| state.is_ok()).collect();
    let weight: u8 = found.iter().map(|(class, _)| class.weight()).sum();
    let tolerance = Tolerance::Medium;
    let can = found.len() >= CLASSES_MIN && weight >= tolerance.threshold();
    let private = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    match record::bind(&traits, tolerance, &mut random) {
        Ok((record, key)) => {
            assert!(can, "{report}");
            let opened = record::open(&record, &collect::traits(root)).unwrap();
            assert!(opened.key.as_bytes() == key.as_bytes());
            assert_eq!(opened.drift.drifted().count(), 0, "{}", opened.drift);
        }
        Err(refused) => {
            assert!(!can, "{refused}");
            assert!(matches!(refused, BindError::Machine { .. }), "{refused}");
            let message = refused.to_string();
            for class in TraitClass::ALL {
                assert!(message.contains(&class.to_string()), "{message}");
            }
            assert!(private.is_empty() || !message.contains(private.trim()));
        }
    }
}

#[test]
fn the_generation_stays_while_nothing_forks() {
    let key = [1; 32];
    let mut source = Local::new(Path::new("/"));
    let known = source.now();
    let seen = Mark::of(&key, &known).seen(&key, &source.now());
    let expected = if known == Known::Nothing { Seen::Unknown } else { Seen::Same };
    assert_eq!(seen, expected);
    // Who may read the log has something to say.
    if File::open("/dev/kmsg").is_ok_and(|mut log| log.read(&mut [0; 8192]).is_ok()) {
        assert!(matches!(KernelLog::new(Path::new("/")).now(), Known::Changes(_)));
    }
}
