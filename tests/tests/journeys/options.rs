//! Each option of a license, by the command line: a use that it allows, and one that it refuses
//! with its own code and values.

use std::fs;

use protocol::objects::license::OptionKind;

use crate::homes::Home;
use crate::world::{Outcome, World, run};

/// How one option is tried. All options that are given are those of `vendor issue`.
pub(crate) struct Row {
    /// An entry 1 of the product that must be there before.
    first: &'static str,
    /// A license that allows the use of `good`.
    pub(crate) allows: &'static str,
    /// Options of `license why` for a use that is allowed.
    pub(crate) good: &'static str,
    /// A license that refuses the use of `bad`; that of `allows` if empty.
    pub(crate) refuses: &'static str,
    /// Whether that license is refused already when it is issued.
    is_never_issued: bool,
    /// Options of `license why` for a use that is refused.
    pub(crate) bad: &'static str,
    /// The market of this machine while the first use is asked for.
    pub(crate) market: &'static str,
    /// Whether the user's key is there while the first use is asked for.
    with_key: bool,
    /// What happens between the two.
    pub(crate) meanwhile: Meanwhile,
    /// The code of the refusal, and the values in its message.
    pub(crate) says: &'static [&'static str],
    /// What `license show` tells of the option.
    pub(crate) shows: &'static str,
}

pub(crate) enum Meanwhile {
    Nothing,
    /// Another program takes a seat and keeps it.
    AnotherUse,
    /// A program runs and ends, then so many seconds pass.
    UseAndTime(u32),
    /// So many seconds pass.
    Time(u32),
    /// A program runs and ends on another station.
    UseElsewhere,
}

const PLAIN: Row = Row {
    first: "",
    allows: "",
    good: "",
    refuses: "",
    is_never_issued: false,
    bad: "",
    market: "",
    with_key: false,
    meanwhile: Meanwhile::Nothing,
    says: &[],
    shows: "",
};

const DAY_S: u32 = 86_400;

// Some options are for people, or for later.  What is refused is a license that says too much.

const TEXT: Row = Row {
    allows: "--text Editor",
    refuses: "--text LONG",
    is_never_issued: true,
    says: &["longer than 256 bytes"],
    shows: "text        Editor",
    ..PLAIN
};

const CUSTOMER_INFO: Row = Row {
    allows: "--customer-info Example",
    refuses: "--customer-info LONG",
    is_never_issued: true,
    says: &["longer than 256 bytes"],
    shows: "customer    Example",
    ..PLAIN
};

const FEATURE_MAP: Row = Row {
    allows: "--features 0x5",
    good: "--features 4",
    bad: "--features 6",
    says: &["S0321", "0x5", "0x6"],
    shows: "features    0x5",
    ..PLAIN
};

const LICENSE_QUANTITY: Row = Row {
    allows: "--quantity 1",
    meanwhile: Meanwhile::AnotherUse,
    says: &["S03E0", "all 1 seats", "1 in use"],
    shows: "quantity    1",
    ..PLAIN
};

const ACTIVATION_TIME: Row = Row {
    allows: "--activates 2020-01-01",
    refuses: "--activates 2100-01-01",
    says: &["S0370", "2100-01-01 00:00:00"],
    shows: "activates   2020-01-01 00:00:00",
    ..PLAIN
};

const EXPIRATION_TIME: Row = Row {
    allows: "--expires +30d",
    meanwhile: Meanwhile::Time(31 * DAY_S),
    says: &["S0380", "expired at", "clock says"],
    shows: "expires     20",
    ..PLAIN
};

const DENIED_MODES: Row = Row {
    allows: "--deny-mode no-user-limit --deny-mode exclusive",
    bad: "--access no-user-limit",
    says: &["S03E4", "mode 3"],
    shows: "denied      exclusive, no user limit",
    ..PLAIN
};

const MINIMUM_RUNTIME: Row = Row {
    allows: "--min-runtime 0.1",
    refuses: "--min-runtime 9.8.7",
    says: &["S0340", "needs version 9.8.7", "here is 0.1.0"],
    shows: "runtime     0.1.0 or newer",
    ..PLAIN
};

const MAINTENANCE_PERIOD: Row = Row {
    allows: "--maintenance 2026-01-01..2027-01-01",
    good: "--release 2026-12-31",
    bad: "--release 2027-01-01",
    says: &["S03B2", "released at 2027-01-01", "until 2027-01-01"],
    shows: "maintenance releases from 2026-01-01 00:00:00",
    ..PLAIN
};

const USAGE_PERIOD: Row = Row {
    allows: "--usage-period 12h",
    meanwhile: Meanwhile::UseAndTime(DAY_S / 2),
    says: &["S0390", "usage period ended at", "clock says"],
    shows: "usage       12 hours from the first use on",
    ..PLAIN
};

const CHECKPOINT: Row = Row {
    allows: "--checkpoint 30d --renew-window 10d --grace 3d",
    meanwhile: Meanwhile::Time(30 * DAY_S + 60),
    says: &["S03A0", "renewed by", "clock says"],
    shows: "checkpoint  lapses 20",
    ..PLAIN
};

const NAMED_USER: Row = Row {
    allows: "--user root",
    refuses: "--user anna",
    says: &["S03C0", "asked as \"root\""],
    shows: "user        root",
    ..PLAIN
};

const REGION: Row = Row {
    allows: "--region DE,AT",
    market: "DE",
    says: &["S0350", "(none named)", "begins with AT"],
    shows: "region      AT, DE",
    ..PLAIN
};

const STATUS: Row = Row {
    allows: "--status enabled",
    refuses: "--status suspended",
    says: &["S0330", "suspended"],
    shows: "status      enabled",
    ..PLAIN
};

const LINGER_TIME: Row = Row {
    allows: "--quantity 1 --linger 10min",
    meanwhile: Meanwhile::UseElsewhere,
    says: &["S03E0", "all 1 seats", "1 in use"],
    shows: "linger      10 minutes after each use",
    ..PLAIN
};

const UNIT_COUNTER: Row = Row {
    allows: "--units 5 --unit-reserve 3",
    good: "--units 5",
    bad: "--units 6",
    says: &["S03D0", "6 units are needed, 5 are left"],
    shows: "units       at most 3 set aside at once",
    ..PLAIN
};

const TIME_RULE: Row = Row {
    allows: "--time-rule must-sync=1d",
    meanwhile: Meanwhile::Time(2 * DAY_S),
    says: &["S0363", "at most 86400 are allowed"],
    shows: "time        certified at least every 1 days",
    ..PLAIN
};

const TRANSFER_OPTIONS: Row = Row {
    allows: "--transfer push,borrow --max-borrow 20d --checkpoint 30d",
    refuses: "--transfer push,borrow --max-borrow 31d --checkpoint 30d",
    is_never_issued: true,
    says: &["borrowed for longer than until its checkpoint"],
    shows: "transfer    push, borrow; passed on 1 times at most; borrowed for 20 days at most",
    ..PLAIN
};

const MODULE_OF: Row = Row {
    first: "--text Base",
    allows: "--module-of 7:1 --features 4",
    good: "--features 4",
    refuses: "--entry 1 --status suspended",
    bad: "--features 4",
    says: &["S0330", "suspended"],
    shows: "module of   product 7 entry 1",
    ..PLAIN
};

const NAMED_USER_KEY: Row = Row {
    allows: "--user-key KEY",
    with_key: true,
    says: &["S03C1", "did not prove to have it"],
    shows: "user key    the holder of 0",
    ..PLAIN
};

const HISTORY: Row = Row {
    allows: "--held-before 000102030405060708090a0b0c0d0e0f@2026-01-01",
    refuses: "--held-before nobody@2026-01-01",
    is_never_issued: true,
    says: &["\"nobody\" is no container's id"],
    shows: "history     000102030405060708090a0b0c0d0e0f until 2026-01-01 00:00:00",
    ..PLAIN
};

/// The row of an option. An option without one does not compile.
pub(crate) fn row(kind: OptionKind) -> Row {
    match kind {
        OptionKind::Text => TEXT,
        OptionKind::CustomerInfo => CUSTOMER_INFO,
        OptionKind::FeatureMap => FEATURE_MAP,
        OptionKind::LicenseQuantity => LICENSE_QUANTITY,
        OptionKind::ActivationTime => ACTIVATION_TIME,
        OptionKind::ExpirationTime => EXPIRATION_TIME,
        OptionKind::DeniedModes => DENIED_MODES,
        OptionKind::MinimumRuntime => MINIMUM_RUNTIME,
        OptionKind::MaintenancePeriod => MAINTENANCE_PERIOD,
        OptionKind::UsagePeriod => USAGE_PERIOD,
        OptionKind::Checkpoint => CHECKPOINT,
        OptionKind::NamedUser => NAMED_USER,
        OptionKind::Region => REGION,
        OptionKind::Status => STATUS,
        OptionKind::LingerTime => LINGER_TIME,
        OptionKind::UnitCounter => UNIT_COUNTER,
        OptionKind::TimeRule => TIME_RULE,
        OptionKind::TransferOptions => TRANSFER_OPTIONS,
        OptionKind::ModuleOf => MODULE_OF,
        OptionKind::NamedUserKey => NAMED_USER_KEY,
        OptionKind::History => HISTORY,
    }
}

/// A use in a market, by the holder of a key, as a configuration file names them; nothing is
/// configured for none.
fn why(world: &World, options: &str, market: &str, with_key: bool) -> Outcome {
    fs::create_dir_all(world.path("home")).expect("own folder");
    let mut configured = String::new();
    if !market.is_empty() {
        configured.push_str(&format!("market = {market:?}\n"));
    }
    if with_key {
        configured.push_str(&format!("user-key = {:?}\n", world.path("user.key")));
    }
    fs::write(world.path("home/config.toml"), configured).expect("own file");
    world.cli(&format!("license why 7 {options}"))
}

/// Options with what only a world knows: a key of its own, a text that is too long.
fn filled(world: &World, options: &str) -> String {
    let mut options = options.replace("LONG", &"x".repeat(257));
    if options.contains("KEY") {
        let key = world.cli("user new user.key").ok().stdout;
        options = options.replace("KEY", key.trim());
    }
    options
}

fn try_out(kind: OptionKind, home: Home) {
    let row = row(kind);
    let world = World::at(home);
    if !row.first.is_empty() {
        world.license(&format!("--entry 1 {}", row.first));
    }
    world.license(&filled(&world, row.allows));
    why(&world, row.good, row.market, row.with_key).ok();
    let shown = world.cli("license show 7").ok();
    assert!(shown.stdout.contains(row.shows), "{:?} is not in: {}", row.shows, shown.stdout);
    let cat = world.protect("/bin/cat".as_ref(), "");
    let mut other = None;
    match row.meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::AnotherUse => {
            other = Some(world.spawn(&cat, &[] as &[&str]));
            world.wait_for_seats(1);
        }
        Meanwhile::UseAndTime(seconds) => {
            world.run(&cat, &[], "").ok();
            world.pass(seconds);
        }
        Meanwhile::UseElsewhere => {
            run(&mut world.elsewhere(&cat), "").ok();
        }
        Meanwhile::Time(seconds) => world.pass(seconds),
    }
    if row.is_never_issued {
        let options = filled(&world, row.refuses);
        world.context("again.context");
        let line = "vendor issue --vendor acme --context again.context --product 7 -o u";
        world.cli(&format!("{line} {options}")).refused(2, row.says);
        assert!(!world.path("u").exists(), "something was issued");
    } else {
        if !row.refuses.is_empty() {
            world.license(row.refuses);
        }
        let before = world.state();
        why(&world, row.bad, "", false).refused(5, row.says);
        assert_eq!(world.state(), before, "a refused use changed something");
        if row.bad.is_empty() {
            let refused = run(&mut world.command(&cat, &[] as &[&str]), "never read");
            assert_eq!(refused.refused(125, row.says.get(..1).unwrap_or_default()).stdout, "");
            assert_eq!(world.state(), before, "a refused program changed something");
        }
    }
    if let Some(mut other) = other {
        drop(other.stdin.take());
        other.wait().expect("a child of this process");
    }
}

fn every_option(home: Home) {
    for kind in OptionKind::ALL {
        println!("{kind:?}");
        try_out(*kind, home);
    }
}

#[test]
fn every_option_allows_and_refuses_as_it_says() {
    every_option(Home::Dongle);
}

#[test]
fn every_option_allows_and_refuses_as_it_says_in_a_soft_license() {
    every_option(Home::Tpm);
}

#[test]
fn a_template_says_what_flags_say_and_a_flag_goes_before_it() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    let template = "quantity = 3\nfeatures = \"0x5\"\nregion = [\"AT\"]\nstatus = \"suspended\"\n";
    fs::write(world.path("license.toml"), template).expect("own file");
    world.license("--template license.toml --quantity 2 --status enabled");
    let shown = world.cli("license show 7 --json").ok().data();
    let options = &shown["licenses"][0]["items"][0]["options"];
    let expected = serde_json::json!({
        "quantity": 2, "features": 5, "region": ["AT"], "status": "enabled",
    });
    assert_eq!(*options, expected);
    fs::write(world.path("license.toml"), "quantiti = 3\n").expect("own file");
    world.context("again.context");
    let line = "vendor issue --vendor acme --context again.context --product 7 -o u";
    world
        .cli(&format!("{line} --template license.toml"))
        .refused(2, &["license.toml", "quantiti", "Keys are those of the flags"]);
    let contradictions = [
        ("--activates 2030-01-01 --expires 2029-01-01", "expire before it becomes active"),
        ("--activates 2100-01-01 --checkpoint 30d", "lapse before it becomes active"),
        ("--checkpoint 30d --grace 20d --renew-window 10d", "within its renew window"),
        (
            "--deny-mode user-limit --deny-mode station-share --deny-mode exclusive \
             --deny-mode no-user-limit",
            "no access mode is left",
        ),
        ("--maintenance 2027-01-01..2026-01-01", "end before it begins"),
        ("--grace 3d", "without a checkpoint"),
    ];
    for (options, why) in contradictions {
        world.cli(&format!("{line} {options}")).refused(2, &[why]);
    }
    assert!(!world.path("u").exists(), "something was issued");
}

fn a_usage_period_begins_once(home: Home) {
    let mut world = World::licensed_at(home, "--usage-period 2d");
    let state = |world: &World| {
        let shown = world.cli("license show 7 --json").ok().data();
        shown["licenses"][0]["items"][0]["state"]["first_use"].as_u64().expect("a number")
    };
    world.cli("license why 7").ok();
    assert_eq!(state(&world), 0, "asking is no use");
    let cat = world.protect("/bin/cat".as_ref(), "");
    world.run(&cat, &[], "").ok();
    let first = state(&world);
    assert!(first > 0);
    world.pass(86400);
    world.run(&cat, &[], "").ok();
    assert_eq!(state(&world), first, "the second use begins nothing");
    world.put_away();
    assert_eq!(state(&world), first);
    // More time for the same entry counts from the same first use; a new entry from its own.
    world.license("--usage-period 3d");
    assert_eq!(state(&world), first);
    world.license("--remove");
    world.license("--usage-period 3d");
    assert_eq!(state(&world), 0);
}

#[test]
fn a_usage_period_begins_once_and_survives_a_power_cut_and_a_renewal() {
    Home::each(a_usage_period_begins_once);
}
