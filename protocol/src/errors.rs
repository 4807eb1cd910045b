//! The error table: one number, name and text for all homes and languages.
//!
//! Numbers are in blocks of 256 and are never reused; a number that goes out of use keeps its row,
//! its name with a leading underscore. A row says whose fault it is, what happened, why that is
//! likely, and what to do next. In texts `{a}` and `{b}` stand for the failure's values, `{a:x}`
//! for one in hexadecimal, `{a:time}`, `{a:version}`, `{a:country}` for one that is such a thing.

#[cfg(feature = "std")]
mod shown;
mod table;

use alloc::string::String;
use core::fmt::{self, Write};

use serde::{Deserialize, Serialize};

#[cfg(feature = "std")]
pub use shown::Shown;
pub use table::ErrorCode;

use crate::objects::option::{Country, Version};

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The license does not allow it, or something has to be plugged in: the user or buyer can act.
    License,
    /// A message or file is damaged, forged, or not meant for this place.
    Message,
    /// The calling program broke the contract.
    Caller,
    /// The container or its medium failed.
    Container,
    /// The machine: permissions, memory, disk, settings.
    Machine,
    /// The vendor who made the license or the program.
    Vendor,
}

/// Exit code of the command line for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Any other failure.
    Failure = 1,
    /// The command was wrong.
    Usage = 2,
    /// Not found, or no container.
    NotFound = 3,
    /// Not permitted on this machine.
    Permission = 4,
    /// The license does not allow the use.
    Denied = 5,
    /// Verification failed.
    Tamper = 6,
    /// Something changed meanwhile, or is in the way.
    Conflict = 7,
    /// Network or server.
    Network = 8,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// Number, as sent and shown.
    pub number: u16,
    /// Name, as in the code.
    pub name: &'static str,
    /// Whose fault.
    pub fault: Fault,
    /// Exit code.
    pub exit: Exit,
    /// What happened.
    pub title: &'static str,
    /// Why that is likely.
    pub likely: &'static str,
    /// What to do next.
    pub next: &'static str,
}

/// A refusal or failure with the values that explain it. What `a` and `b` mean stands in the row's
/// texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The number.
    pub code: u16,
    /// First value.
    pub a: u64,
    /// Second value.
    pub b: u64,
}

impl ErrorCode {
    /// A failure without values.
    pub const fn failure(self) -> Failure {
        Failure { code: self.number(), a: 0, b: 0 }
    }

    /// A failure with values.
    pub const fn with(self, a: u64, b: u64) -> Failure {
        Failure { code: self.number(), a, b }
    }

    /// Looks a number up.
    pub fn from_number(number: u16) -> Option<Self> {
        ErrorCode::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// Looks up `S0380`, `0380` or a name.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches(['S', 's']);
        let by_number = u16::from_str_radix(digits, 16).ok().and_then(ErrorCode::from_number);
        by_number.or_else(|| {
            ErrorCode::ALL.iter().copied().find(|code| code.row().name.eq_ignore_ascii_case(text))
        })
    }
}

impl Failure {
    /// The row, if this version knows the number.
    pub fn known(&self) -> Option<ErrorCode> {
        ErrorCode::from_number(self.code)
    }

    /// What happened, with the values; `time` shows Unix seconds.
    pub fn title(&self, time: &dyn Fn(u64) -> String) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_title(&mut out, &|at_s, out| out.write_str(&time(at_s)));
        out
    }

    /// What to do next, with the values.
    pub fn hint(&self, time: &dyn Fn(u64) -> String) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_hint(&mut out, &|at_s, out| out.write_str(&time(at_s)));
        out
    }

    /// [`Failure::title`] without a heap.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_title(&self, out: &mut dyn Write, time: ShowTime<'_>) -> fmt::Result {
        let unknown = "an error that this version does not know, with values {a} and {b}";
        self.fill(self.known().map_or(unknown, |code| code.row().title), out, time)
    }

    /// [`Failure::hint`] without a heap.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_hint(&self, out: &mut dyn Write, time: ShowTime<'_>) -> fmt::Result {
        let unknown = "Install a newer version of Strongroom.";
        self.fill(self.known().map_or(unknown, |code| code.row().next), out, time)
    }

    /// How the number is shown.
    pub fn shown_code(&self) -> String {
        shown_code(self.code)
    }

    fn fill(&self, template: &str, out: &mut dyn Write, time: ShowTime<'_>) -> fmt::Result {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            out.write_str(before)?;
            let Some((field, tail)) = after.split_once('}') else { break };
            match field {
                "a" => write!(out, "{}", self.a)?,
                "b" => write!(out, "{}", self.b)?,
                "a:x" => write!(out, "{:#x}", self.a)?,
                "b:x" => write!(out, "{:#x}", self.b)?,
                "a:time" => time(self.a, out)?,
                "b:time" => time(self.b, out)?,
                "a:version" => write_version(self.a, out)?,
                "b:version" => write_version(self.b, out)?,
                "a:country" => write_country(self.a, out)?,
                "b:country" => write_country(self.b, out)?,
                other => write!(out, "{{{other}}}")?,
            }
            rest = tail;
        }
        out.write_str(rest)
    }
}

/// A text of the table with words in place of its values.
pub fn without_values(template: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((field, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(match field.split_once(':') {
            Some((_, "time")) => "(a time)",
            Some((_, "version")) => "(a version)",
            Some((_, "country")) => "(a country)",
            _ => "(a value)",
        });
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// How a time, Unix seconds, is written.
pub type ShowTime<'a> = &'a dyn Fn(u64, &mut dyn Write) -> fmt::Result;

fn write_version(value: u64, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{}", Version(u32::try_from(value).unwrap_or(u32::MAX)))
}

fn write_country(value: u64, out: &mut dyn Write) -> fmt::Result {
    match Country::from_number(value) {
        Some(country) => write!(out, "{country}"),
        None => out.write_str("(none named)"),
    }
}

/// Writes Unix seconds as `2027-03-31 12:00:00 UTC`: for who has no time zones at hand.
///
/// Days to civil dates in the proleptic Gregorian calendar, by 400-year eras that begin in March.
///
/// # Errors
/// Those of `out`.
pub fn write_utc(at_s: u64, out: &mut dyn Write) -> fmt::Result {
    let (days, second) = (at_s / 86_400, at_s % 86_400);
    let from_march = days.saturating_add(719_468);
    let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} UTC", second % 60)
}

/// `S` and four hexadecimal digits.
pub fn shown_code(number: u16) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(out, "S{number:04X}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn no_number_and_no_name_is_used_twice() {
        for (i, a) in ErrorCode::ALL.iter().enumerate() {
            for b in &ErrorCode::ALL[i + 1..] {
                assert_ne!(a.number(), b.number(), "{} and {}", a.row().name, b.row().name);
                assert_ne!(a.row().name, b.row().name);
            }
        }
    }

    #[test]
    fn every_row_says_what_and_what_next_with_known_fields_only() {
        let time = |s: u64| format!("T{s}");
        for code in ErrorCode::ALL {
            let row = code.row();
            let failure = code.with(1, 2);
            assert!(!row.likely.is_empty() && row.next.ends_with('.'), "{}", row.name);
            assert!(!failure.title(&time).contains(['{', '}']), "{}", failure.title(&time));
            assert!(!failure.hint(&time).contains(['{', '}']), "{}", failure.hint(&time));
            assert!(!without_values(row.title).contains(['{', '}']), "{}", row.title);
        }
    }

    #[test]
    fn codes_are_found_by_number_and_by_name() {
        assert_eq!(ErrorCode::parse("S0380"), Some(ErrorCode::Expired));
        assert_eq!(ErrorCode::parse("expired"), Some(ErrorCode::Expired));
        assert_eq!(ErrorCode::parse("nonsense"), None);
        assert_eq!(shown_code(0x380), "S0380");
    }

    #[test]
    fn times_are_written_without_a_heap() {
        let shown = |at_s| {
            let mut out = String::new();
            write_utc(at_s, &mut out).unwrap();
            out
        };
        assert_eq!(shown(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(shown(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(shown(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(shown(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(shown(1_798_761_599), "2026-12-31 23:59:59 UTC");
    }

    #[test]
    fn values_are_put_into_the_text() {
        let text = ErrorCode::Expired.with(10, 20).title(&|s| format!("T{s}"));
        assert!(text.contains("T10") && text.contains("T20"), "{text}");
    }

    #[test]
    fn words_stand_in_for_values() {
        let text = "{a} of {b:x} in {a:country}, by {b:time} with {a:version}";
        let words = "(a value) of (a value) in (a country), by (a time) with (a version)";
        assert_eq!(without_values(text), words);
    }

    /// Refusals of use stand in the order in which they are evaluated.
    #[test]
    fn refusals_rise_in_evaluation_order() {
        let order = [
            ErrorCode::ContainerLocked,
            ErrorCode::FirmUnknown,
            ErrorCode::ProductUnknown,
            ErrorCode::FeaturesMissing,
            ErrorCode::CertifiedTimeOld,
            ErrorCode::NotYetActive,
            ErrorCode::Expired,
            ErrorCode::NoUnits,
            ErrorCode::NoSeat,
            ErrorCode::KeyMissing,
        ];
        assert!(order.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    }
}
