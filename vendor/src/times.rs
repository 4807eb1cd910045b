//! Times as people write and read them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

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

/// Reads `2027-03-31` (local midnight), `2027-03-31T12:00:00Z`, or `+30d`, `+1 year` from now.
pub fn parse(text: &str) -> Result<u64> {
    let seconds = match text.strip_prefix('+') {
        Some(span) => from_now(span),
        None => date(text).or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_second)),
    };
    seconds.and_then(|s| u64::try_from(s).ok()).ok_or_else(|| {
        let hint = "Write a date such as 2027-03-31, a time such as 2027-03-31T12:00:00Z, or a \
            span \
            such as +30d.";
        Shown::usage(format!("{text:?} is no time"), hint)
    })
}

/// Reads a length of time from now on, such as `30d` or `1 year`, in seconds.
pub fn span_s(text: &str) -> Result<u32> {
    let now = clock::now_here();
    let span: Option<Span> = text.trim().parse().ok();
    let end = span.and_then(|span| now.checked_add(span).ok());
    let length = end.map(|end| end.timestamp().as_second() - now.timestamp().as_second());
    length.and_then(|length_s| u32::try_from(length_s).ok()).ok_or_else(|| {
        let hint = "Write a number and a unit, such as 30d, 12h or 1y.";
        Shown::usage(format!("{text:?} is no length of time"), hint)
    })
}

fn from_now(span: &str) -> Option<i64> {
    let span: Span = span.trim().parse().ok()?;
    Some(clock::now_here().checked_add(span).ok()?.timestamp().as_second())
}

fn date(text: &str) -> Option<i64> {
    let date: Date = text.parse().ok().filter(|_| text.len() == "2027-03-31".len())?;
    Some(date.to_zoned(TimeZone::system()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        assert_eq!(parse("1970-01-02T00:00:00Z").unwrap(), 86_400);
        let day_s = parse("+1d").unwrap() - clock::now_s();
        assert!((86_000..87_000).contains(&day_s) || (82_000..91_000).contains(&day_s));
        assert_eq!((span_s("12h").unwrap(), span_s("1 h 1 s").unwrap()), (43_200, 3_601));
        assert!(span_s("-1h").is_err() && span_s("200y").is_err() && span_s("2027").is_err());
        assert!(parse("2027-03-31").unwrap() > parse("2027-03-30").unwrap());
        for wrong in ["", "+", "tomorrow", "2027-13-01", "-5"] {
            assert_eq!(parse(wrong).unwrap_err().exit(), 2, "{wrong}");
        }
    }
}
