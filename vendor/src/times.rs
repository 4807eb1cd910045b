//! Times as people write and read them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::clock;
use crate::{Result, Shown};

/// Unix seconds in local time, with the offset.
pub fn show(unix_s: u64) -> String {
    let time = i64::try_from(unix_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    match time {
        Some(time) => {
            time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
        }
        None => format!("second {unix_s} after 1970"),
    }
}

/// Reads a time, with spans counted from this machine's present: [`Times::parse`].
pub fn parse(text: &str) -> Result<u64> {
    Times::here().parse(text)
}

/// From when on spans count, and where a day begins.
#[derive(Debug, Clone)]
pub struct Times {
    now: Zoned,
}

impl Times {
    /// The present of this machine, in its time zone.
    pub fn here() -> Self {
        Times { now: clock::now_here() }
    }

    /// This time, with days that begin at midnight UTC.
    pub fn utc(now_s: u64) -> Self {
        let now = i64::try_from(now_s).ok().and_then(|s| Timestamp::from_second(s).ok());
        Times { now: now.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC) }
    }

    /// Reads `2027-03-31` (midnight), `2027-03-31T12:00:00Z`, or `+30d`, `+1 year` from now.
    pub fn parse(&self, text: &str) -> Result<u64> {
        let seconds = match text.strip_prefix('+') {
            Some(span) => self.behind(span, 1).map(|end| end.timestamp().as_second()),
            None => {
                self.date(text).or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second))
            }
        };
        seconds.and_then(|s| u64::try_from(s).ok()).ok_or_else(|| {
            let hint = "Write a date such as 2027-03-31, a time such as 2027-03-31T12:00:00Z, or \
                a span such as +30d.";
            Shown::usage(format!("{text:?} is no time"), hint)
        })
    }

    /// Reads a length of time from now on, such as `30d` or `1 year`, in seconds.
    pub fn span_s(&self, text: &str) -> Result<u32> {
        let end = self.behind(text, 1);
        let length = end.map(|end| end.timestamp().as_second() - self.now.timestamp().as_second());
        length.and_then(|length_s| u32::try_from(length_s).ok()).ok_or_else(|| {
            let hint = "Write a number and a unit, such as 30d, 12h or 1y.";
            Shown::usage(format!("{text:?} is no length of time"), hint)
        })
    }

    /// So many times the span of `+30d` behind now; none if it is no span.
    pub fn later(&self, span: &str, times: u32) -> Option<u64> {
        let end = self.behind(span.strip_prefix('+')?, times)?;
        u64::try_from(end.timestamp().as_second()).ok()
    }

    fn behind(&self, span: &str, times: u32) -> Option<Zoned> {
        let span: Span = span.trim().parse().ok()?;
        self.now.checked_add(span.checked_mul(times.into()).ok()?).ok()
    }

    fn date(&self, text: &str) -> Option<i64> {
        let date: Date = text.parse().ok().filter(|_| text.len() == "2027-03-31".len())?;
        Some(date.to_zoned(self.now.time_zone().clone()).ok()?.timestamp().as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        assert_eq!(parse("1970-01-02T00:00:00Z").unwrap(), 86_400);
        let day_s = parse("+1d").unwrap() - clock::now_s();
        assert!((86_000..87_000).contains(&day_s) || (82_000..91_000).contains(&day_s));
        let span_s = |text| Times::here().span_s(text);
        assert_eq!((span_s("12h").unwrap(), span_s("1 h 1 s").unwrap()), (43_200, 3_601));
        assert!(span_s("-1h").is_err() && span_s("200y").is_err() && span_s("2027").is_err());
        let leap = Times::utc(1_709_164_800);
        assert_eq!(leap.parse("+1y").unwrap(), 1_740_700_800, "2024-02-29 and a year");
        assert_eq!(leap.later("+1 month", 12), Some(1_740_700_800));
        assert_eq!(
            (leap.parse("1970-01-02").unwrap(), leap.later("2027-01-01", 1)),
            (86_400, None)
        );
        assert!(parse("2027-03-31").unwrap() > parse("2027-03-30").unwrap());
        for wrong in ["", "+", "tomorrow", "2027-13-01", "-5"] {
            assert_eq!(parse(wrong).unwrap_err().exit(), 2, "{wrong}");
        }
    }
}
