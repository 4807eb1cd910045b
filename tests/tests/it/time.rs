//! Clocks that are set, stopped and taken away, and tokens that are late, forged or of others.

use firmware_sim::flash::FlashImage;
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::errors::ErrorCode;
use protocol::objects::license::{ItemOption, TimeRule};
use protocol::signed::{Kind, Role};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::NOW_S;

use crate::license::{Licensed, op};

const DAY_S: u64 = 86_400;
/// When the license of the walks ends.
const END_S: u64 = NOW_S + 30 * DAY_S;
/// How far a host may be ahead under `host_ok`.
const SLACK_S: u32 = 7 * DAY_S as u32;

/// Millionths by which ticks go wrong, at most, each way.
const DRIFT_PPM: i64 = 200;

/// Something that goes wrong with time in one walk.
struct Walk {
    made: Licensed,
    /// What everybody's clock would show if nobody touched any.
    true_s: u64,
    host_s: u64,
    has_battery: bool,
    drift_ppm: i64,
    /// All time that it had power.
    powered_s: u64,
    /// Running time since time was certified, as far as the container must have noticed it.
    ran_s: u64,
    certified_s: u64,
    uses: u64,
}

impl Walk {
    fn new(rule: Option<TimeRule>, has_battery: bool) -> Self {
        let mut bench = Bench::new(1);
        if has_battery {
            bench.ticks.set_battery_s(NOW_S);
            bench.power_up().expect("new flash");
        }
        let mut options = vec![ItemOption::ExpirationTime(END_S)];
        options.extend(rule.map(ItemOption::TimeRule));
        let made = Licensed::on(bench, "Acme", options);
        Walk {
            made,
            true_s: NOW_S + 1,
            host_s: NOW_S + 1,
            has_battery,
            drift_ppm: 0,
            powered_s: 0,
            ran_s: 0,
            certified_s: NOW_S + 1,
            uses: 0,
        }
    }

    /// The same dongle as it was when its license was new: it takes long to make.
    fn begin_again(&mut self, new: &FlashImage) {
        self.made.bench.flash().restore(new).expect("an image of this chip");
        (self.true_s, self.host_s, self.certified_s) = (NOW_S + 1, NOW_S + 1, NOW_S + 1);
        (self.ran_s, self.powered_s) = (0, 0);
        self.made.bench.ticks.set_battery_s(if self.has_battery { NOW_S } else { 0 });
        self.made.power_cycle();
    }

    fn pass(&mut self, seconds: u64, powered: bool) {
        self.true_s += seconds;
        self.host_s = self.host_s.saturating_add(seconds);
        if self.has_battery {
            self.made.bench.ticks.set_battery_s(self.true_s);
        }
        if powered {
            let wrong_ms = seconds as i64 * self.drift_ppm / 1000;
            self.made.bench.ticks.pass_ms((seconds * 1000).saturating_add_signed(wrong_ms));
            self.ran_s += seconds;
            self.powered_s += seconds;
        }
    }

    /// A power cut; a part of a minute may be forgotten.
    fn power_cut(&mut self, off_s: u64) {
        self.pass(off_s, false);
        self.made.power_cycle();
        self.ran_s = self.ran_s.saturating_sub(60);
    }

    /// Whether a use is allowed now.
    fn use_it(&mut self) -> Result<(), ErrorCode> {
        self.uses += 1;
        let told = self.made.seat(1, SeatCommand::HostTime(self.host_s));
        assert!(told.is_ok());
        match self.made.open(1, op(self.uses), 0)? {
            SeatReply::Opened(grant) => {
                // A use keeps running time, and goes on only while it is allowed.
                let beat = SeatCommand::Heartbeat { handle: grant.handle, n: 1 };
                let kept = self.made.seat(1, beat);
                let closed = self.made.seat(1, SeatCommand::Close { handle: grant.handle });
                assert!(closed.is_ok());
                kept.map(|_| ())
            }
            _ => panic!("no seat"),
        }
    }

    /// Certified time from a server, which takes a while to answer.
    fn certify(&mut self, delay_s: u64) {
        let nonce = self.made.nonce();
        let at_s = self.true_s;
        self.pass(delay_s, true);
        let token = self.made.token(nonce, at_s);
        match self.made.bench.command(token) {
            Reply::Time(time) => {
                assert!(time.now_s + 2 >= self.true_s, "behind what was certified");
                (self.ran_s, self.certified_s) = (0, self.true_s);
            }
            Reply::Failed(failure) => {
                assert_eq!(failure.known(), Some(ErrorCode::NonceUnknown));
                assert!(delay_s >= 120);
            }
            _ => panic!("no time"),
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(10) {
            0..=2 => self.pass(dice.below(5 * DAY_S as usize) as u64, true),
            3 => self.pass(dice.below(120) as u64, true),
            4 => self.power_cut(dice.below(10 * DAY_S as usize) as u64),
            5 => self.host_s = 4_102_444_800,
            6 => self.host_s = self.true_s,
            7 => {
                let back = dice.below(60 * DAY_S as usize) as u64;
                self.host_s = self.true_s.saturating_sub(back);
            }
            8 => self.certify(dice.below(200) as u64),
            _ => {
                let ahead = dice.below(20 * DAY_S as usize) as u64;
                self.host_s = self.true_s + ahead;
            }
        }
    }
}

/// Seconds by which ticks may have gone wrong over so many, and what is lost to whole seconds.
fn drift_s(seconds: u64) -> u64 {
    seconds * DRIFT_PPM as u64 / 1_000_000 + 1
}

/// Use after the end that a rule allows for, judged at a use that was allowed.
fn judge(walk: &Walk, rule: Option<TimeRule>) {
    let since_s = walk.true_s - walk.certified_s;
    let late_s = match rule {
        Some(TimeRule::RuntimeOnly) => None,
        _ if walk.has_battery => Some(0),
        Some(TimeRule::FreshToken) => Some(drift_s(since_s)),
        _ => None,
    };
    if let Some(late_s) = late_s {
        let after_s = (walk.true_s + 1).saturating_sub(END_S);
        assert!(after_s <= late_s, "{rule:?}: used {after_s} s after the end");
    }
    // Without a clock: so long as it ran since it was certified, to a minute for each power cut.
    let ran_s = walk.certified_s + walk.ran_s;
    assert!(ran_s < END_S + 60 + drift_s(since_s), "{rule:?}: ran past the end");
}

/// All clocks right again, time certified: whoever may, can.
fn ends_well(walk: &mut Walk) -> bool {
    walk.power_cut(0);
    walk.host_s = walk.true_s;
    walk.certify(1);
    let is_allowed = walk.use_it().is_ok();
    // Where ticks go fast, the container is ahead of what is certified.
    let ahead_s = 2 + drift_s(walk.powered_s);
    (is_allowed && walk.true_s < END_S + 2) || (!is_allowed && walk.true_s + ahead_s >= END_S)
}

/// Ways in which time is walked through: a rule, and whether there is a clock with a battery.
fn ways() -> Vec<(Option<TimeRule>, bool)> {
    let host_ok = Some(TimeRule::HostOk { slack_s: SLACK_S });
    vec![
        (None, true),
        (host_ok, true),
        (Some(TimeRule::FreshToken), false),
        (None, false),
        (host_ok, false),
        (Some(TimeRule::RuntimeOnly), true),
        (Some(TimeRule::MustSyncEvery { every_s: 9 * DAY_S as u32 }), false),
    ]
}

/// Walks these numbers through one way; how many uses were allowed and refused.
fn walks(
    (rule, has_battery): (Option<TimeRule>, bool),
    numbers: impl Iterator<Item = u64>,
) -> (u64, u64) {
    let (mut allowed, mut refused) = (0, 0);
    let mut walk = Walk::new(rule, has_battery);
    let new = walk.made.bench.flash().snapshot();
    for n in numbers {
        let mut dice = Dice::new(9_000 + n);
        walk.begin_again(&new);
        walk.drift_ppm = dice.below(2 * DRIFT_PPM as usize + 1) as i64 - DRIFT_PPM;
        for _ in 0..12 {
            walk.step(&mut dice);
            match walk.use_it() {
                Ok(()) => {
                    allowed += 1;
                    judge(&walk, rule);
                }
                Err(_) => refused += 1,
            }
        }
        assert!(ends_well(&mut walk), "{rule:?} at the end of walk {n}");
    }
    (allowed, refused)
}

/// K09: however clocks are turned, nobody uses a license past its end but as its rule says, and no
/// clock that was wrong for a while takes it away.
#[test]
fn sec_k09_no_walk_of_clocks_outlives_the_license_or_takes_it_away() {
    let soak = std::env::var_os("STRONGROOM_SOAK").is_some();
    let count = if soak { 100_000 } else { 1_000 };
    let ways = ways();
    let (mut allowed, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let mut parts = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            let numbers = (at as u64..count).step_by(ways.len());
            parts.push(scope.spawn(move || walks(*way, numbers)));
        }
        for part in parts {
            let (more_allowed, more_refused) =
                part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (allowed, refused) = (allowed + more_allowed, refused + more_refused);
        }
    });
    println!("figure: clock walks: {count}, uses allowed {allowed}, refused {refused}");
    assert!(allowed > count && refused > count, "it tries too little of one kind");
}

/// What is over stays over, also where the container is asked and nobody has a seat.
#[test]
fn sec_k09_what_is_over_stays_over_though_nobody_uses_it() {
    let mut walk = Walk::new(None, false);
    walk.pass(29 * DAY_S, true);
    assert_eq!(walk.use_it(), Ok(()));
    walk.power_cut(0);
    for _ in 0..3 {
        walk.pass(DAY_S, true);
        assert_eq!(walk.use_it(), Err(ErrorCode::Expired));
        walk.power_cut(0);
        assert_eq!(walk.use_it(), Err(ErrorCode::Expired));
    }
    // Nor is it used by one who opens it again and again and sends no heartbeat.
    let mut walk = Walk::new(None, false);
    for n in 0..31 {
        walk.pass(DAY_S, true);
        let opened = walk.made.open(1, op(n), 0);
        walk.power_cut(0);
        assert_eq!(opened.is_ok(), n < 29, "day {n}: {:?}", opened.err());
    }
}

#[test]
fn sec_k09_a_host_that_is_too_far_ahead_is_not_followed_and_changes_nothing() {
    let rule = TimeRule::HostOk { slack_s: SLACK_S };
    let mut walk = Walk::new(Some(rule), false);
    let before = walk.made.bench.firm_records();
    walk.host_s = 4_102_444_800;
    assert_eq!(walk.use_it(), Err(ErrorCode::HostTimeFar));
    assert_eq!(walk.made.bench.firm_records(), before);
    walk.host_s = walk.true_s + u64::from(SLACK_S) - 10;
    assert_eq!(walk.use_it(), Ok(()));
    // It was followed: in this power session there is no way back, and in the next nothing is left.
    walk.host_s = walk.true_s;
    assert_eq!(walk.use_it(), Ok(()));
    walk.made.set(vec![ItemOption::ExpirationTime(walk.true_s + 100), ItemOption::TimeRule(rule)]);
    assert_eq!(walk.use_it(), Err(ErrorCode::Expired));
    walk.power_cut(0);
    walk.host_s = walk.true_s;
    assert_eq!(walk.use_it(), Ok(()));
}

/// What a token must be: signed by the time key of the firm, for this container, for the nonce that
/// it drew last, within two minutes, once.
#[test]
fn a_token_that_answers_no_question_is_refused() {
    let mut made = Walk::new(Some(TimeRule::FreshToken), false).made;
    let other = Licensed::on(Bench::new(2), "Other", vec![]);
    let code = |reply: Reply| match reply {
        Reply::Failed(failure) => failure.known(),
        Reply::Time(_) => None,
        _ => panic!("no time"),
    };
    let nonce = made.nonce();
    let token = |made: &Licensed, role| {
        let body = protocol::codec::encode(&protocol::objects::statement::TimeTokenBody {
            time_s: NOW_S + 10,
            radius_s: 1,
        });
        let header =
            protocol::signed::Header { state: nonce, ..made.header(Kind::TimeToken, &body) };
        made.signed(header, role, &body, Command::TimeToken)
    };
    let forged = token(&made, Role::Licensing);
    assert_eq!(code(made.bench.command(forged)), Some(ErrorCode::TokenSignature));
    let foreign = token(&other, Role::Time);
    assert_eq!(code(made.bench.command(foreign)), Some(ErrorCode::TokenSignature));
    let wrong = made.token([9; 32], NOW_S + 10);
    assert_eq!(code(made.bench.command(wrong)), Some(ErrorCode::NonceUnknown));
    let early = made.token(nonce, NOW_S - 10);
    assert_eq!(code(made.bench.command(early)), Some(ErrorCode::TokenEarlier));
    let good = made.token(nonce, NOW_S + 10);
    assert_eq!(code(made.bench.command(good.clone())), None);
    assert_eq!(code(made.bench.command(good)), Some(ErrorCode::NonceUnknown), "used up");
    let nonce = made.nonce();
    made.bench.ticks.pass_ms(120_001);
    let late = made.token(nonce, NOW_S + 20);
    assert_eq!(code(made.bench.command(late)), Some(ErrorCode::NonceUnknown));
    let nonce = made.nonce();
    made.power_cycle();
    let lost = made.token(nonce, NOW_S + 20);
    assert_eq!(code(made.bench.command(lost)), Some(ErrorCode::NonceUnknown));
}
