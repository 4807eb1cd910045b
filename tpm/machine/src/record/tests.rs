//! What a record opens to, for every machine that might hold it, and what it gives away.

use argon2::Params;
use proptest::prelude::*;
use protocol::crypto::RandomFailed;
use protocol::crypto::hash::sha256;
use protocol::crypto::kdf::Prk;
use zeroize::Zeroizing;

use super::bind::bind_by;
use super::open::open_at;
use super::*;
use crate::canon::{Canon, Raw};
use crate::rebind::{RebindPolicy, may_rebind};
use crate::testing::{hex, random};
use crate::traits::{Traits, Why};

/// The least that Argon2 takes: these tests open thousands of times.
const CHEAP: Params = match Params::new(8, 1, 1, Some(32)) {
    Ok(cost) => cost,
    Err(_) => panic!("allowed parameters of Argon2"),
};

const TOLERANCES: [Tolerance; 3] = [Tolerance::Strict, Tolerance::Medium, Tolerance::Loose];

/// The values of a machine.
const VALUES: [&str; 8] = [
    "4c4c4544-0042-3510-8052-b8c04f563733",
    "/7XQ2R63/CNWS30095Q00BD/",
    "S4EWNX0M811425",
    "f0:1f:af:65:9c:11",
    "3d1219c7c4c5404aaa1f6d2a48adfda4",
    "GenuineIntel 6 158",
    "6d0c2f3e-5a1f-4d7b-9a53-0f2f7d1c9e11",
    "73a1e4f2",
];

/// What a class of a machine is.
#[derive(Clone, Copy, PartialEq)]
enum As {
    Before,
    Another,
    Missing,
}

fn raw(value: &str) -> Raw {
    vec![Zeroizing::new(value.as_bytes().to_vec())]
}

fn machine(state: impl Fn(TraitClass) -> As) -> Traits {
    Traits::new(|class| {
        let value = VALUES[usize::from(class.number())];
        match state(class) {
            As::Before => Ok(vec![raw(value)]),
            As::Another => Ok(vec![raw(&format!("{value}x"))]),
            As::Missing => Err(Why::Denied),
        }
    })
}

fn whole() -> Traits {
    machine(|_| As::Before)
}

/// Classes in `set` are otherwise, the others as before.
fn with(set: usize, otherwise: As) -> Traits {
    machine(|class| if is_in(class, set) { otherwise } else { As::Before })
}

fn is_in(class: TraitClass, set: usize) -> bool {
    set >> class.number() & 1 == 1
}

fn cheap_bind(traits: &Traits, tolerance: Tolerance, seed: u64) -> (Record, Prk) {
    bind_by(Canon::NEWEST, &CHEAP, traits, tolerance, &mut random(seed)).unwrap()
}

fn cheap_open(record: &Record, traits: &Traits) -> Result<Opened, Refused> {
    open_at(&CHEAP, record, traits)
}

fn opens_to(opened: &Result<Opened, Refused>, key: &Prk) -> bool {
    opened.as_ref().is_ok_and(|opened| opened.key.as_bytes() == key.as_bytes())
}

#[test]
fn every_set_of_changes_is_judged_by_the_weight_that_stays() {
    for tolerance in TOLERANCES {
        let (record, key) = cheap_bind(&whole(), tolerance, 1);
        for set in 0..256 {
            let stays = TraitClass::ALL.into_iter().filter(|class| !is_in(*class, set));
            let is_enough = stays.map(TraitClass::weight).sum::<u8>() >= tolerance.threshold();
            for otherwise in [As::Another, As::Missing] {
                let opened = cheap_open(&record, &with(set, otherwise));
                assert_eq!(opened.is_ok(), is_enough, "{tolerance:?} {set:#b}");
                assert_eq!(opens_to(&opened, &key), is_enough, "{tolerance:?} {set:#b}");
                let Ok(opened) = opened else { continue };
                let drifted = match otherwise {
                    As::Missing => TraitState::Missing(Why::Denied),
                    _ => TraitState::Changed,
                };
                let state = |class| if is_in(class, set) { drifted } else { TraitState::Same };
                let expected = TraitClass::ALL.map(|class| (class, state(class)));
                assert_eq!(opened.drift.states(), expected, "{tolerance:?} {set:#b}");
                assert_eq!(opened.drift.drifted().count(), set.count_ones() as usize);
            }
        }
    }
}

#[test]
fn a_machine_that_lacks_classes_is_bound_to_the_others_or_refused() {
    for tolerance in TOLERANCES {
        for set in 0..256 {
            let traits = with(set, As::Missing);
            let here = || TraitClass::ALL.into_iter().filter(|class| !is_in(*class, set));
            let weight: u8 = here().map(TraitClass::weight).sum();
            let bound = bind_by(Canon::NEWEST, &CHEAP, &traits, tolerance, &mut random(2));
            let can = here().count() >= 3 && weight >= tolerance.threshold();
            assert_eq!(bound.is_ok(), can, "{tolerance:?} {set:#b}");
            match bound {
                Ok((record, key)) => {
                    assert!(record.classes().eq(here()));
                    // What was not bound counts for nothing.
                    assert!(opens_to(&cheap_open(&record, &whole()), &key));
                }
                Err(BindError::Machine { report, .. }) => {
                    let why = |class| if is_in(class, set) { Err(Why::Denied) } else { Ok(()) };
                    assert_eq!(report.classes(), TraitClass::ALL.map(|class| (class, why(class))));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn a_refusal_says_what_was_found_and_what_not_and_why() {
    let traits = Traits::new(|class| match class {
        TraitClass::BoardSerial => Ok(vec![raw("Default string")]),
        TraitClass::MachineId | TraitClass::CpuModel => {
            Ok(vec![raw(VALUES[usize::from(class.number())])])
        }
        TraitClass::NetworkAddress => Err(Why::NotFixed),
        TraitClass::SmbiosUuid => Err(Why::Denied),
        _ => Err(Why::Absent),
    });
    let refused = bind(&traits, Tolerance::Medium, &mut random(3)).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "this machine cannot be told from others: 2 kinds of traits, where 3 are needed \
         (system UUID of the firmware: not readable without root; serial number of the board: \
         only a placeholder; serial number of the system disk: not there; address of a network \
         card on the board: there, but not fixed to this machine; machine id: found; processor \
         model: found; UUID of the root file system: not there; serial numbers of the memory: \
         not there)"
    );
}

#[test]
fn the_real_cost_opens_its_own_and_nothing_cheaper() {
    let (record, key) = bind(&whole(), Tolerance::Medium, &mut random(4)).unwrap();
    assert!(opens_to(&open(&record, &with(0b1000_0100, As::Another)), &key));
    assert!(cheap_open(&record, &whole()).is_err());
}

/// Argon2id (RFC 9106) and HKDF (RFC 5869), computed apart with other implementations: the mask of
/// the share at 5 of a trait of class 2.
#[test]
fn a_mask_is_as_computed_apart() {
    let value = Zeroizing::new("S4EWNX0M811425\n".to_owned());
    let key = masks::trait_key(&masks::COST, &value, &[9; SALT_LEN]).ok().unwrap();
    let mask = masks::masked(&key, TraitClass::DiskSerial, 5, &[0; 32]);
    assert_eq!(hex(&mask[..]), "081420308fae8d09fb3a5482ce66fcadabbefd42fb5654948e501f133edfe32f");
    let check = masks::check(&Prk::from_bytes([3; 32]));
    assert_eq!(hex(&check[..]), "2b61552982013abbdb2b5caffecd5b9cdd4c82e10cbcdc061b8423b8ae27c190");
}

/// Of a set of alike things (two network cards), the one that was bound is enough.
#[test]
fn a_second_value_of_a_class_does_no_harm_and_can_be_the_one() {
    let tolerance = Tolerance::Strict;
    let address = |values: &[&str]| {
        let raws: Vec<Raw> = values.iter().map(|value| raw(value)).collect();
        Traits::new(|class| match class {
            TraitClass::NetworkAddress => Ok(raws.clone()),
            // Just enough weight stays for the address to matter.
            TraitClass::DiskSerial => Err(Why::Absent),
            _ => Ok(vec![raw(VALUES[usize::from(class.number())])]),
        })
    };
    let (one, two) = ("f0:1f:af:65:9c:11", "f0:1f:af:65:9c:22");
    let (record, key) = cheap_bind(&address(&[one, two]), tolerance, 5);
    for values in [&[one][..], &[two, one], &["Default string", one], &[one, two]] {
        let opened = cheap_open(&record, &address(values));
        assert!(opens_to(&opened, &key), "{values:?}");
        assert_eq!(opened.ok().unwrap().drift.drifted().count(), 0, "{values:?}");
    }
    assert!(cheap_open(&record, &address(&[two])).is_err());
}

#[test]
fn a_record_opens_by_its_own_rule_for_values() {
    let spaced = |_| Ok(vec![raw("ab  Cd-1")]);
    let written_otherwise = |_| Ok(vec![raw(" AB cD-1\n")]);
    let bound = |canon| {
        let traits = Traits::new(spaced);
        bind_by(canon, &CHEAP, &traits, Tolerance::Medium, &mut random(6)).unwrap()
    };
    let (newest, key) = bound(Canon::V1);
    assert!(opens_to(&cheap_open(&newest, &Traits::new(written_otherwise)), &key));
    // Under a rule that took values as they were read, only the same bytes are the same.
    let (older, key) = bound(Canon::AsRead);
    assert!(opens_to(&cheap_open(&older, &Traits::new(spaced)), &key));
    assert!(cheap_open(&older, &Traits::new(written_otherwise)).is_err());
    let newer = Record { canon: 2, ..newest };
    assert_eq!(cheap_open(&newer, &whole()).err(), Some(Refused::NewerRule(2)));
}

#[test]
fn a_record_that_breaks_a_rule_is_refused_before_anything_is_derived() {
    let (record, _) = cheap_bind(&whole(), Tolerance::Loose, 7);
    let with = |change: fn(&mut Vec<BoundTrait>)| {
        let mut traits = record.traits.clone().into_vec();
        change(&mut traits);
        let traits = List::new(traits).unwrap();
        cheap_open(&Record { traits, ..record.clone() }, &whole()).err()
    };
    let refused = |rule| Some(Refused::Record(rule));
    assert_eq!(with(|traits| traits.swap(0, 1)), refused(RuleBroken::Order));
    assert_eq!(with(|traits| traits[1] = traits[0].clone()), refused(RuleBroken::Order));
    let few = RuleBroken::TooFewClasses { found: 2 };
    assert_eq!(with(|traits| traits.truncate(2)), refused(few));
    let light = RuleBroken::TooLight { weight: 3, needed: 7 };
    assert_eq!(with(|traits| drop(traits.drain(..5))), refused(light));
}

#[test]
fn a_record_says_nothing_of_any_one_trait() {
    let (record, key) = cheap_bind(&whole(), Tolerance::Medium, 8);
    let stored = record.to_bytes();
    let holds = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    for value in VALUES {
        for written in
            [value.to_owned(), value.to_uppercase(), format!("{}\n", value.to_uppercase())]
        {
            for part in written.as_bytes().windows(5) {
                assert!(!holds(part), "{value}");
            }
            for part in sha256(written.as_bytes()).windows(5) {
                assert!(!holds(part), "hash of {value}");
            }
        }
    }
    assert!(!key.as_bytes().windows(5).any(holds));
    // No room for a tag or a hash: rule, tolerance, count, check; class, salt, count of each trait;
    // shares.
    assert_eq!(stored.len(), 3 + 32 + 8 * (2 + SALT_LEN) + 17 * 32);
    // Nor does binding the same machine again give anything the same.
    let (again, _) = cheap_bind(&whole(), Tolerance::Medium, 9);
    for (one, other) in record.traits.iter().zip(again.traits.iter()) {
        assert_ne!(one.salt, other.salt);
        assert!(one.shares.iter().all(|share| !other.shares.contains(share)));
    }
    assert!(record.check != again.check);
}

/// Each share alone, of a right value or a wrong one, could be of any key: with all but one trait
/// of a set that is just enough, no value of the last is told from another.
#[test]
fn values_cannot_be_tried_one_trait_at_a_time() {
    let (record, _) = cheap_bind(&whole(), Tolerance::Medium, 10);
    // Weight 9 of 10 is right: board, disk, address, processor.
    let one_short = 0b1101_0001;
    let another = cheap_open(&record, &with(one_short, As::Another)).err();
    assert!(matches!(another, Some(Refused::OtherMachine { .. })), "{another:?}");
    let missing = cheap_open(&record, &with(one_short, As::Missing)).err();
    assert!(matches!(missing, Some(Refused::Missing { weight: 9, needed: 10, .. })));
    // The refusal is the same whether 9 or nothing is right.
    assert_eq!(cheap_open(&record, &with(0xff, As::Another)).err(), another);
}

/// A license must not walk to another machine one trait at a time.
#[test]
fn a_machine_that_changes_bit_by_bit_offline_never_becomes_another() {
    const DAY_S: u64 = 24 * 60 * 60;
    // What becomes of a binding while one more class is replaced every 40 days.
    let walk = |is_online: bool| {
        let (mut record, mut key) = cheap_bind(&whole(), Tolerance::Medium, 11);
        let mut bound_s = 0;
        for replaced in 1..=8 {
            let now_s = replaced * 40 * DAY_S;
            let traits = with((1 << replaced) - 1, As::Another);
            let Ok(opened) = cheap_open(&record, &traits) else { return replaced };
            assert!(opened.key.as_bytes() == key.as_bytes());
            // Offline, the last checkpoint is the activation.
            let checkpoint_s = if is_online { now_s } else { 0 };
            if may_rebind(bound_s, Some(checkpoint_s), now_s, RebindPolicy::default()).is_ok() {
                (record, key) = cheap_bind(&traits, Tolerance::Medium, 11 + replaced);
                bound_s = now_s;
            }
        }
        9
    };
    // Board and firmware's UUID weigh 7, all that may go; the third is too much.
    assert_eq!(walk(false), 3);
    assert_eq!(walk(true), 9);
}

#[test]
fn only_the_one_encoding_of_bounded_length_is_a_record() {
    let (record, _) = cheap_bind(&whole(), Tolerance::Strict, 20);
    let mut bytes = record.to_bytes();
    assert!(Record::from_bytes(&bytes).unwrap() == record);
    for len in 0..bytes.len() {
        assert!(Record::from_bytes(&bytes[..len]).is_err(), "{len}");
    }
    bytes.push(0);
    assert_eq!(Record::from_bytes(&bytes), Err(DecodeError::Trailing));
    let long = vec![0; RECORD_LEN_MAX + 1];
    assert!(matches!(Record::from_bytes(&long), Err(DecodeError::TooLong { .. })));
}

#[test]
fn failed_randomness_binds_nothing() {
    for works in 0..18 {
        let mut left = works;
        let mut random = |_: &mut [u8]| {
            left -= 1;
            if left < 0 { Err(RandomFailed) } else { Ok(()) }
        };
        let bound = bind_by(Canon::NEWEST, &CHEAP, &whole(), Tolerance::Medium, &mut random);
        assert_eq!(bound.err(), Some(BindError::Random));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done to a record: it opens to its key or not at all.
    #[test]
    fn a_damaged_record_never_gives_another_key(
        flips in prop::collection::vec((0_usize..723, 1_u8..), 1..12),
        set in 0_usize..256,
        seed: u64,
    ) {
        let (record, key) = cheap_bind(&whole(), Tolerance::Medium, seed);
        let mut bytes = record.to_bytes();
        for (at, flip) in flips {
            bytes[at] ^= flip;
        }
        if let Ok(damaged) = Record::from_bytes(&bytes)
            && let Ok(opened) = cheap_open(&damaged, &with(set, As::Another))
        {
            prop_assert!(opened.key.as_bytes() == key.as_bytes());
        }
    }

    /// One wrong share makes its trait count as changed, and no key of it.
    #[test]
    fn a_wrong_share_never_passes(at in 0_usize..8, share: [u8; 32], seed: u64) {
        let (record, key) = cheap_bind(&whole(), Tolerance::Medium, seed);
        let mut traits = record.traits.clone().into_vec();
        let mut shares = traits[at].shares.clone().into_vec();
        shares[0] = Fixed(share);
        traits[at].shares = List::new(shares).unwrap();
        let record = Record { traits: List::new(traits).unwrap(), ..record };
        let opened = cheap_open(&record, &whole());
        prop_assert!(opens_to(&opened, &key));
        let drifted: Vec<_> = opened.ok().unwrap().drift.drifted().collect();
        prop_assert_eq!(drifted, [(TraitClass::ALL[at], TraitState::Changed)]);
    }
}
