//! Options of a license as people write them: as flags, and as keys of a TOML template.

use clap::{Args, ValueEnum};
use protocol::codec::{Fixed, List, Text};
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::ids::{ContainerId, EntryNumber, ProductCode};
use protocol::limits::ITEM_OPTIONS_MAX;
use protocol::objects::license::{
    AccessMode, Checkpoint, Country, Held, ItemOption, ItemRef, LostUnits, Modes, Period, Status,
    TimeRule, Transfer, TransferWay, TransferWays, UnitRule, Version,
};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::times::Times;
use crate::{Result, Shown};

/// One field for each option, or part of one. A template has the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[group(id = "options", multiple = true)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OptionArgs {
    /// First moment in which use is refused: 2027-03-31, 2027-03-31T12:00:00Z, +30d
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// First moment of use
    #[arg(long, value_name = "TIME")]
    pub activates: Option<String>,
    /// Seats at the same time; 0 = local use, not counted
    #[arg(long, value_name = "N")]
    pub quantity: Option<u32>,
    /// Features, as a number (0x… for hexadecimal); each bit is one
    #[arg(long, value_name = "MAP")]
    pub features: Option<String>,
    /// Text shown with the entry
    #[arg(long)]
    pub text: Option<String>,
    /// Whose license it is, shown with the entry
    #[arg(long, value_name = "TEXT")]
    pub customer_info: Option<String>,
    /// Way of counting uses that is refused (repeatable)
    #[arg(long, value_enum, value_name = "MODE")]
    pub deny_mode: Vec<Access>,
    /// Least version of Strongroom on the user's machine
    #[arg(long, value_name = "VERSION")]
    pub min_runtime: Option<String>,
    /// Release dates of software that are covered, FROM..UNTIL: 2026-01-01..+1y
    #[arg(long, value_name = "PERIOD")]
    pub maintenance: Option<String>,
    /// Length of use from the first use on: 30d
    #[arg(long, value_name = "SPAN")]
    pub usage_period: Option<String>,
    /// The license lapses after this span if it is not renewed: 30d
    #[arg(long, value_name = "SPAN")]
    pub checkpoint: Option<String>,
    /// Span before the lapse in which renewal is due; a third of --checkpoint if not given
    #[arg(long, value_name = "SPAN")]
    pub renew_window: Option<String>,
    /// Last span before the lapse, the grace; none if not given
    #[arg(long, value_name = "SPAN")]
    pub grace: Option<String>,
    /// Span for which a seat stays taken after its use: 10min
    #[arg(long, value_name = "SPAN")]
    pub linger: Option<String>,
    /// The one user who may use it, by the name on the user's machine
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Countries in which it may be used, two letters each: AT,DE
    #[arg(long, value_delimiter = ',', value_name = "COUNTRIES")]
    pub region: Vec<String>,
    /// Whether it may be used
    #[arg(long, value_enum)]
    pub status: Option<StatusArg>,
    /// Paid for by units: so many more are granted; 0 = only go on counting
    #[arg(long, value_name = "N")]
    pub units: Option<u64>,
    /// Units that a running program may set aside at once; 1000 if not given
    #[arg(long, value_name = "N")]
    pub unit_reserve: Option<u32>,
    /// What becomes of units that a program set aside and never accounted for; charged if not given
    #[arg(long, value_enum)]
    pub unit_loss: Option<LossArg>,
    /// What counts as time: runtime-only, fresh-token, must-sync=SPAN, host-ok=SPAN
    #[arg(long, value_name = "RULE")]
    pub time_rule: Option<String>,
    /// How it may move to other containers
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WAYS")]
    pub transfer: Vec<WayArg>,
    /// How often it may be passed on; once if not given
    #[arg(long, value_name = "N")]
    pub transfer_depth: Option<u8>,
    /// Container that it may move to, by its id (repeatable); any if not given
    #[arg(long, value_name = "ID")]
    pub transfer_to: Vec<String>,
    /// Longest time for which it may be borrowed; any if not given
    #[arg(long, value_name = "SPAN")]
    pub max_borrow: Option<String>,
    /// The entry whose module it is: PRODUCT or PRODUCT:ENTRY
    #[arg(long, value_name = "ENTRY")]
    pub module_of: Option<String>,
    /// The one user who may use it, by the public key that `strongroom user new` prints
    #[arg(long, value_name = "KEY")]
    pub user_key: Option<String>,
    /// Container that had it before, and until when: ID@TIME (repeatable, the first one first)
    #[arg(long, value_name = "HELD")]
    pub held_before: Vec<String>,
}

/// How a use is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// One seat for each running program
    UserLimit,
    /// One seat for each machine, terminal session, container or pod
    StationShare,
    /// One seat for each running program, and one running program on each station
    Exclusive,
    /// Not counted
    NoUserLimit,
}

impl From<Access> for AccessMode {
    fn from(access: Access) -> Self {
        match access {
            Access::UserLimit => AccessMode::UserLimit,
            Access::StationShare => AccessMode::StationShare,
            Access::Exclusive => AccessMode::Exclusive,
            Access::NoUserLimit => AccessMode::NoUserLimit,
        }
    }
}

/// What becomes of units that nobody accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossArg {
    /// They count as used once their place is needed
    Charged,
    /// They wait for the vendor
    Held,
}

/// A way in which a license moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayArg {
    /// Its holder sends it
    Push,
    /// Its receiver fetches it
    Pull,
    /// It may go back
    Return,
    /// A part of it goes
    Split,
    /// It goes for a time
    Borrow,
}

/// Whether a license may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusArg {
    /// It may
    Enabled,
    /// Not until it is enabled again
    Suspended,
}

/// Reads a template.
pub fn parse_template(bytes: &[u8]) -> Result<OptionArgs> {
    toml::from_str(files::text(bytes)?).map_err(|error| {
        let hint = "Keys are those of the flags of `vendor issue`, such as quantity = 3 or \
            expires = \"+1y\".";
        Shown::usage(error, hint)
    })
}

impl OptionArgs {
    /// These, and where nothing is said those of `template`.
    pub fn over(self, template: OptionArgs) -> Self {
        fn listed<T>(own: Vec<T>, other: Vec<T>) -> Vec<T> {
            if own.is_empty() { other } else { own }
        }
        OptionArgs {
            expires: self.expires.or(template.expires),
            activates: self.activates.or(template.activates),
            quantity: self.quantity.or(template.quantity),
            features: self.features.or(template.features),
            text: self.text.or(template.text),
            customer_info: self.customer_info.or(template.customer_info),
            deny_mode: listed(self.deny_mode, template.deny_mode),
            min_runtime: self.min_runtime.or(template.min_runtime),
            maintenance: self.maintenance.or(template.maintenance),
            usage_period: self.usage_period.or(template.usage_period),
            checkpoint: self.checkpoint.or(template.checkpoint),
            renew_window: self.renew_window.or(template.renew_window),
            grace: self.grace.or(template.grace),
            user: self.user.or(template.user),
            region: listed(self.region, template.region),
            status: self.status.or(template.status),
            linger: self.linger.or(template.linger),
            units: self.units.or(template.units),
            unit_reserve: self.unit_reserve.or(template.unit_reserve),
            unit_loss: self.unit_loss.or(template.unit_loss),
            time_rule: self.time_rule.or(template.time_rule),
            transfer: listed(self.transfer, template.transfer),
            transfer_depth: self.transfer_depth.or(template.transfer_depth),
            transfer_to: listed(self.transfer_to, template.transfer_to),
            max_borrow: self.max_borrow.or(template.max_borrow),
            module_of: self.module_of.or(template.module_of),
            user_key: self.user_key.or(template.user_key),
            held_before: listed(self.held_before, template.held_before),
        }
    }

    /// With so many times the seats, and once one where none are said.
    pub fn times_seats(mut self, count: u32) -> Option<Self> {
        self.quantity = Some(self.quantity.unwrap_or(1).checked_mul(count)?);
        Some(self)
    }

    /// With so many times the units, and once one where none are said.
    pub fn times_units(mut self, count: u32) -> Option<Self> {
        self.units = Some(self.units.unwrap_or(1).checked_mul(count.into())?);
        Some(self)
    }

    /// Units that are granted on top.
    pub fn units_to_add(&self) -> u64 {
        self.units.unwrap_or(0)
    }

    /// The options, in the order of their numbers.
    pub fn options(&self) -> Result<List<ItemOption, ITEM_OPTIONS_MAX>> {
        self.options_at(&Times::here())
    }

    /// The options, with spans counted from the present of `times`.
    ///
    /// # Errors
    /// A value cannot be read.
    pub fn options_at(&self, times: &Times) -> Result<List<ItemOption, ITEM_OPTIONS_MAX>> {
        use ItemOption as O;
        let mut options = Vec::new();
        options.extend(self.text.as_deref().map(text).transpose()?.map(O::Text));
        options.extend(self.features.as_deref().map(features).transpose()?.map(O::FeatureMap));
        options.extend(self.quantity.map(O::LicenseQuantity));
        let time =
            |text: &Option<String>| text.as_deref().map(|text| times.parse(text)).transpose();
        options.extend(time(&self.activates)?.map(O::ActivationTime));
        options.extend(time(&self.expires)?.map(O::ExpirationTime));
        options.extend(self.customer_info.as_deref().map(text).transpose()?.map(O::CustomerInfo));
        if !self.deny_mode.is_empty() {
            let modes = self
                .deny_mode
                .iter()
                .fold(Modes::default(), |modes, mode| modes.with((*mode).into()));
            options.push(O::DeniedModes(modes));
        }
        options
            .extend(self.min_runtime.as_deref().map(version).transpose()?.map(O::MinimumRuntime));
        let covered = self.maintenance.as_deref().map(|text| period(text, times)).transpose()?;
        options.extend(covered.map(O::MaintenancePeriod));
        options.extend(
            self.usage_period
                .as_deref()
                .map(|text| times.span_s(text))
                .transpose()?
                .map(O::UsagePeriod),
        );
        options.extend(self.checkpoint(times)?.map(O::Checkpoint));
        options.extend(self.user.as_deref().map(text).transpose()?.map(O::NamedUser));
        options.extend(self.markets()?.map(O::Region));
        options.extend(self.status.map(|status| {
            O::Status(match status {
                StatusArg::Enabled => Status::Enabled,
                StatusArg::Suspended => Status::Suspended,
            })
        }));
        let linger_s = self.linger.as_deref().map(|text| times.span_s(text)).transpose()?;
        options.extend(linger_s.map(O::LingerTime));
        options.extend(self.unit_rule()?.map(O::UnitCounter));
        options.extend(
            self.time_rule
                .as_deref()
                .map(|text| time_rule(text, times))
                .transpose()?
                .map(O::TimeRule),
        );
        options.extend(self.transfer(times)?.map(O::TransferOptions));
        options.extend(self.module_of.as_deref().map(entry).transpose()?.map(O::ModuleOf));
        options.extend(self.user_key.as_deref().map(user_key).transpose()?.map(O::NamedUserKey));
        options.extend(self.history(times)?.map(O::History));
        Ok(List::new(options).unwrap_or_default())
    }

    fn unit_rule(&self) -> Result<Option<UnitRule>> {
        if self.units.is_none() {
            return match (self.unit_reserve, self.unit_loss) {
                (None, None) => Ok(None),
                _ => Err(Shown::usage(
                    "a rule for units without units",
                    "Say with --units how many are granted; 0 only goes on counting.",
                )),
            };
        }
        let lost = match self.unit_loss {
            Some(LossArg::Held) => LostUnits::Held,
            Some(LossArg::Charged) | None => LostUnits::Charged,
        };
        Ok(Some(UnitRule { reserve_max: self.unit_reserve.unwrap_or(1000), lost }))
    }

    fn transfer(&self, times: &Times) -> Result<Option<Transfer>> {
        if self.transfer.is_empty() {
            let says_more = self.transfer_depth.is_some()
                || !self.transfer_to.is_empty()
                || self.max_borrow.is_some();
            return match says_more {
                false => Ok(None),
                true => Err(Shown::usage(
                    "rules for moving a license that may not move",
                    "Say with --transfer in which ways it may.",
                )),
            };
        }
        let ways = self.transfer.iter().fold(TransferWays::default(), |ways, way| {
            ways.with(match way {
                WayArg::Push => TransferWay::Push,
                WayArg::Pull => TransferWay::Pull,
                WayArg::Return => TransferWay::Return,
                WayArg::Split => TransferWay::Split,
                WayArg::Borrow => TransferWay::Borrow,
            })
        });
        let mut targets = Vec::new();
        for text in &self.transfer_to {
            targets.push(container_id(text)?);
        }
        targets.sort();
        targets.dedup();
        let most = protocol::limits::TRANSFER_TARGETS_MAX;
        let targets = List::new(targets).ok_or_else(|| {
            let hint = "Leave --transfer-to out for any container.";
            Shown::usage(format!("more than {most} targets"), hint)
        })?;
        let borrow_max_s = self.max_borrow.as_deref().map(|text| times.span_s(text)).transpose()?;
        Ok(Some(Transfer {
            ways,
            depth: self.transfer_depth.unwrap_or(1),
            borrow_max_s: borrow_max_s.unwrap_or(0),
            targets,
        }))
    }

    fn history(
        &self,
        times: &Times,
    ) -> Result<Option<List<Held, { protocol::limits::HISTORY_MAX }>>> {
        if self.held_before.is_empty() {
            return Ok(None);
        }
        let mut holders = Vec::new();
        for text in &self.held_before {
            let hint = "Write a container's id and a time, such as ID@2026-12-31.";
            let (id, until) = text
                .split_once('@')
                .ok_or_else(|| Shown::usage(format!("{text:?} names no holder"), hint))?;
            holders.push(Held { by: container_id(id)?, until_s: times.parse(until)? });
        }
        let most = protocol::limits::HISTORY_MAX;
        let holders = List::new(holders).ok_or_else(|| {
            Shown::usage(format!("more than {most} earlier holders"), "Name the last ones.")
        })?;
        Ok(Some(holders))
    }

    fn checkpoint(&self, times: &Times) -> Result<Option<Checkpoint>> {
        let span =
            |text: &Option<String>| text.as_deref().map(|text| times.span_s(text)).transpose();
        let (renew_s, grace_s) = (span(&self.renew_window)?, span(&self.grace)?);
        let Some(period) = &self.checkpoint else {
            return match renew_s.or(grace_s) {
                None => Ok(None),
                Some(_) => Err(Shown::usage(
                    "a renew window or grace without a checkpoint",
                    "Say with --checkpoint after which span the license lapses.",
                )),
            };
        };
        let period_s = times.span_s(period)?;
        let grace_s = grace_s.unwrap_or(0);
        let lapse_s = times.parse(&format!("+{period}"))?;
        let renew_s = renew_s.unwrap_or((period_s / 3).max(grace_s));
        Ok(Some(Checkpoint { lapse_s, period_s, renew_s, grace_s }))
    }

    fn markets(&self) -> Result<Option<List<Country, { protocol::limits::REGIONS_MAX }>>> {
        if self.region.is_empty() {
            return Ok(None);
        }
        let mut countries = Vec::new();
        for text in &self.region {
            countries.push(Country::parse(text.trim()).ok_or_else(|| {
                Shown::usage(
                    format!("{text:?} is no country"),
                    "Write two capital letters as in ISO 3166-1: AT,DE.",
                )
            })?);
        }
        countries.sort();
        countries.dedup();
        let most = protocol::limits::REGIONS_MAX;
        let list = List::new(countries).ok_or_else(|| {
            Shown::usage(format!("more than {most} countries"), "Leave --region out for all.")
        })?;
        Ok(Some(list))
    }
}

fn text<const MAX: usize>(text: &str) -> Result<Text<MAX>> {
    Text::new(text).ok_or_else(|| {
        let why = format!("{text:?} is longer than {MAX} bytes, or holds control characters");
        Shown::usage(why, "Shorten it.")
    })
}

/// Reads a feature map, decimal or hexadecimal.
pub fn features(text: &str) -> Result<u64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let hint = "Write a number of at most 64 bits, such as 5 or 0x5.";
    number.ok_or_else(|| Shown::usage(format!("{text:?} is no feature map"), hint))
}

fn version(text: &str) -> Result<Version> {
    let hint = "Write up to three numbers, such as 0.2.1.";
    Version::parse(text).ok_or_else(|| Shown::usage(format!("{text:?} is no version"), hint))
}

fn time_rule(text: &str, times: &Times) -> Result<TimeRule> {
    let hint = "Write runtime-only, fresh-token, must-sync=30d or host-ok=7d.";
    match text.split_once('=') {
        None if text == "runtime-only" => Ok(TimeRule::RuntimeOnly),
        None if text == "fresh-token" => Ok(TimeRule::FreshToken),
        Some(("must-sync", span)) => Ok(TimeRule::MustSyncEvery { every_s: times.span_s(span)? }),
        Some(("host-ok", span)) => Ok(TimeRule::HostOk { slack_s: times.span_s(span)? }),
        _ => Err(Shown::usage(format!("{text:?} is no time rule"), hint)),
    }
}

/// Reads `PRODUCT` or `PRODUCT:ENTRY`.
fn entry(text: &str) -> Result<ItemRef> {
    let (product, entry) = text.split_once(':').unwrap_or((text, "0"));
    match (product.trim().parse(), entry.trim().parse()) {
        (Ok(product), Ok(entry)) => {
            Ok(ItemRef { product: ProductCode(product), entry: EntryNumber(entry) })
        }
        _ => Err(Shown::usage(
            format!("{text:?} names no entry"),
            "Write a product, or a product and an entry: 7 or 7:1.",
        )),
    }
}

fn container_id(text: &str) -> Result<ContainerId> {
    let hint = "Write the 32 hexadecimal digits that `strongroom container show` prints.";
    ContainerId::from_hex(text.trim())
        .ok_or_else(|| Shown::usage(format!("{text:?} is no container's id"), hint))
}

fn user_key(text: &str) -> Result<Fixed<33>> {
    let key = protocol::ids::parse_hex::<33>(text.trim());
    let key = key.filter(|key| VerifyingKey::from_bytes(key).is_ok()).ok_or_else(|| {
        let hint = "Write the 66 hexadecimal digits that `strongroom user show` prints.";
        Shown::usage(format!("{text:?} is no user's key"), hint)
    })?;
    Ok(Fixed(key))
}

fn period(text: &str, times: &Times) -> Result<Period> {
    let hint = "Write two times, such as 2026-01-01..2027-01-01.";
    let (from, until) = text
        .split_once("..")
        .ok_or_else(|| Shown::usage(format!("{text:?} is no period"), hint))?;
    Ok(Period { from_s: times.parse(from.trim())?, until_s: times.parse(until.trim())? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::objects::license::OptionKind;

    const ALL: &str = r#"
        expires = "2030-01-01T00:00:00Z"
        activates = "2026-01-01T00:00:00Z"
        quantity = 3
        features = "0x5"
        text = "Editor"
        customer-info = "Example Ltd"
        deny-mode = ["no-user-limit", "exclusive"]
        min-runtime = "0.1"
        maintenance = "2026-01-01T00:00:00Z..2027-01-01T00:00:00Z"
        usage-period = "30d"
        checkpoint = "30d"
        grace = "3d"
        user = "anna"
        region = ["DE", "AT"]
        status = "suspended"
        linger = "10min"
        units = 500
        unit-reserve = 50
        unit-loss = "held"
        time-rule = "must-sync=30d"
        transfer = ["push", "return", "borrow"]
        transfer-depth = 2
        transfer-to = ["000102030405060708090a0b0c0d0e0f"]
        max-borrow = "10d"
        module-of = "7:1"
        user-key = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        held-before = ["000102030405060708090a0b0c0d0e0f@2026-01-01T00:00:00Z"]
    "#;

    #[test]
    fn a_template_can_say_every_option() {
        let options = parse_template(ALL.as_bytes()).unwrap().options().unwrap();
        let kinds: Vec<OptionKind> = options.iter().map(ItemOption::kind).collect();
        assert_eq!(kinds, OptionKind::ALL);
        for option in options.iter() {
            option.check().unwrap();
        }
    }

    #[test]
    fn a_template_is_kept_as_it_was_read() {
        let template = parse_template(ALL.as_bytes()).unwrap();
        let json = serde_json::to_string(&template).unwrap();
        assert_eq!(serde_json::from_str::<OptionArgs>(&json).unwrap(), template);
        let toml = toml::to_string(&template).unwrap();
        assert_eq!(parse_template(toml.as_bytes()).unwrap(), template);
        let few = parse_template(b"quantity = 3").unwrap();
        assert_eq!(toml::to_string(&few).unwrap().lines().next(), Some("quantity = 3"));
    }

    #[test]
    fn a_flag_goes_before_the_template() {
        let template = parse_template(b"quantity = 3\ntext = \"a\"").unwrap();
        let flags = OptionArgs { quantity: Some(5), ..OptionArgs::default() };
        let options = flags.over(template).options().unwrap();
        assert_eq!(options[1], ItemOption::LicenseQuantity(5));
        assert!(matches!(options[0], ItemOption::Text(_)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let wrong = [
            "expire = \"+1d\"",
            "quantity = \"many\"",
            "deny-mode = [\"none\"]",
            "region = [\"Austria\"]",
            "maintenance = \"2026\"",
            "grace = \"3d\"",
            "min-runtime = \"latest\"",
            "usage-period = \"long\"",
            "unit-loss = \"held\"",
            "time-rule = \"sometimes\"",
            "transfer-depth = 2",
            "transfer = [\"push\"]\ntransfer-to = [\"xyz\"]",
            "module-of = \"7:x\"",
            "user-key = \"00\"",
            "held-before = [\"someone\"]",
        ];
        for text in wrong {
            let read = parse_template(text.as_bytes()).and_then(|args| args.options());
            assert_eq!(read.unwrap_err().exit(), 2, "{text}");
        }
    }
}
