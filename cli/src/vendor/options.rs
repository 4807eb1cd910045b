//! Options of a license as people write them: as flags, and as keys of a TOML template.

use clap::{Args, ValueEnum};
use protocol::codec::{List, Text};
use protocol::limits::ITEM_OPTIONS_MAX;
use protocol::objects::license::{Checkpoint, Country, ItemOption, Modes, Period, Status, Version};
use serde::Deserialize;

use crate::args::Access;
use crate::error::{CliError, Result};
use crate::{files, times};

/// One field for each option, or part of one. A template has the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[group(id = "options", multiple = true)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct OptionArgs {
    /// First moment in which use is refused: 2027-03-31, 2027-03-31T12:00:00Z, +30d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// First moment of use
    #[arg(long, value_name = "TIME")]
    activates: Option<String>,
    /// Seats at the same time; 0 = local use, not counted
    #[arg(long, value_name = "N")]
    quantity: Option<u32>,
    /// Features, as a number (0x… for hexadecimal); each bit is one
    #[arg(long, value_name = "MAP")]
    features: Option<String>,
    /// Text shown with the entry
    #[arg(long)]
    text: Option<String>,
    /// Whose license it is, shown with the entry
    #[arg(long, value_name = "TEXT")]
    customer_info: Option<String>,
    /// Way of counting uses that is refused (repeatable)
    #[arg(long, value_enum, value_name = "MODE")]
    deny_mode: Vec<Access>,
    /// Least version of Strongroom on the user's machine
    #[arg(long, value_name = "VERSION")]
    min_runtime: Option<String>,
    /// Release dates of software that are covered, FROM..UNTIL: 2026-01-01..+1y
    #[arg(long, value_name = "PERIOD")]
    maintenance: Option<String>,
    /// Length of use from the first use on: 30d
    #[arg(long, value_name = "SPAN")]
    usage_period: Option<String>,
    /// The license lapses after this span if it is not renewed: 30d
    #[arg(long, value_name = "SPAN")]
    checkpoint: Option<String>,
    /// Span before the lapse in which renewal is due; a third of --checkpoint if not given
    #[arg(long, value_name = "SPAN")]
    renew_window: Option<String>,
    /// Last span before the lapse, the grace; none if not given
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// Span for which a seat stays taken after its use: 10min
    #[arg(long, value_name = "SPAN")]
    linger: Option<String>,
    /// The one user who may use it, by the name on the user's machine
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Countries in which it may be used, two letters each: AT,DE
    #[arg(long, value_delimiter = ',', value_name = "COUNTRIES")]
    region: Vec<String>,
    /// Whether it may be used
    #[arg(long, value_enum)]
    status: Option<StatusArg>,
}

/// Whether a license may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusArg {
    /// It may
    Enabled,
    /// Not until it is enabled again
    Suspended,
}

/// Reads a template.
pub(crate) fn parse_template(bytes: &[u8]) -> Result<OptionArgs> {
    toml::from_str(files::text(bytes)?).map_err(|error| {
        let hint = "Keys are those of the flags of `vendor issue`, such as quantity = 3 or \
            expires = \"+1y\".";
        CliError::usage(error, hint)
    })
}

impl OptionArgs {
    /// These, and where nothing is said those of `template`.
    pub(crate) fn over(self, template: OptionArgs) -> Self {
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
        }
    }

    /// The options, in the order of their numbers.
    pub(crate) fn options(&self) -> Result<List<ItemOption, ITEM_OPTIONS_MAX>> {
        use ItemOption as O;
        let mut options = Vec::new();
        options.extend(self.text.as_deref().map(text).transpose()?.map(O::Text));
        options.extend(self.features.as_deref().map(features).transpose()?.map(O::FeatureMap));
        options.extend(self.quantity.map(O::LicenseQuantity));
        let time = |text: &Option<String>| text.as_deref().map(times::parse).transpose();
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
        let covered = self.maintenance.as_deref().map(period).transpose()?;
        options.extend(covered.map(O::MaintenancePeriod));
        options.extend(
            self.usage_period.as_deref().map(times::span_s).transpose()?.map(O::UsagePeriod),
        );
        options.extend(self.checkpoint()?.map(O::Checkpoint));
        options.extend(self.user.as_deref().map(text).transpose()?.map(O::NamedUser));
        options.extend(self.markets()?.map(O::Region));
        options.extend(self.status.map(|status| {
            O::Status(match status {
                StatusArg::Enabled => Status::Enabled,
                StatusArg::Suspended => Status::Suspended,
            })
        }));
        let linger_s = self.linger.as_deref().map(times::span_s).transpose()?;
        options.extend(linger_s.map(O::LingerTime));
        Ok(List::new(options).unwrap_or_default())
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let span = |text: &Option<String>| text.as_deref().map(times::span_s).transpose();
        let (renew_s, grace_s) = (span(&self.renew_window)?, span(&self.grace)?);
        let Some(period) = &self.checkpoint else {
            return match renew_s.or(grace_s) {
                None => Ok(None),
                Some(_) => Err(CliError::usage(
                    "a renew window or grace without a checkpoint",
                    "Say with --checkpoint after which span the license lapses.",
                )),
            };
        };
        let period_s = times::span_s(period)?;
        let grace_s = grace_s.unwrap_or(0);
        let lapse_s = times::parse(&format!("+{period}"))?;
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
                CliError::usage(
                    format!("{text:?} is no country"),
                    "Write two capital letters as in ISO 3166-1: AT,DE.",
                )
            })?);
        }
        countries.sort();
        countries.dedup();
        let most = protocol::limits::REGIONS_MAX;
        let list = List::new(countries).ok_or_else(|| {
            CliError::usage(format!("more than {most} countries"), "Leave --region out for all.")
        })?;
        Ok(Some(list))
    }
}

fn text<const MAX: usize>(text: &str) -> Result<Text<MAX>> {
    Text::new(text).ok_or_else(|| {
        let why = format!("{text:?} is longer than {MAX} bytes, or holds control characters");
        CliError::usage(why, "Shorten it.")
    })
}

/// Reads a feature map, decimal or hexadecimal.
pub(crate) fn features(text: &str) -> Result<u64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let hint = "Write a number of at most 64 bits, such as 5 or 0x5.";
    number.ok_or_else(|| CliError::usage(format!("{text:?} is no feature map"), hint))
}

fn version(text: &str) -> Result<Version> {
    let hint = "Write up to three numbers, such as 0.2.1.";
    Version::parse(text).ok_or_else(|| CliError::usage(format!("{text:?} is no version"), hint))
}

fn period(text: &str) -> Result<Period> {
    let hint = "Write two times, such as 2026-01-01..2027-01-01.";
    let (from, until) = text
        .split_once("..")
        .ok_or_else(|| CliError::usage(format!("{text:?} is no period"), hint))?;
    Ok(Period { from_s: times::parse(from.trim())?, until_s: times::parse(until.trim())? })
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
        ];
        for text in wrong {
            let read = parse_template(text.as_bytes()).and_then(|args| args.options());
            assert_eq!(read.unwrap_err().exit(), 2, "{text}");
        }
    }
}
