//! The outcome of a call, and what is told of the last one of each thread.

use std::cell::RefCell;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use container::Error;
use protocol::errors::{
    ErrorCode, ErrorRow, Exit, Failure, Fault, shown_code, without_values, write_utc,
};

use crate::types::{
    ErrorInfo, STRONGROOM_FAULT_CALLER, STRONGROOM_FAULT_CONTAINER, STRONGROOM_FAULT_LICENSE,
    STRONGROOM_FAULT_MACHINE, STRONGROOM_FAULT_MESSAGE, STRONGROOM_FAULT_NONE,
    STRONGROOM_FAULT_VENDOR, STRONGROOM_TEXT_CODE, STRONGROOM_TEXT_HINT, STRONGROOM_TEXT_LIKELY,
    STRONGROOM_TEXT_NAME, STRONGROOM_TEXT_TITLE,
};

thread_local! {
    static LAST: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Carries out a call. Its status is 0, or the number in the error table.
pub(crate) fn call(work: impl FnOnce() -> Result<(), Error>) -> u32 {
    let outcome = shielded(work);
    let status = status(&outcome);
    // A thread that is ending has no place for it any more; the status tells all the same.
    let _ = LAST.try_with(|last| last.replace(outcome.err()));
    status
}

/// Carries out a call that tells of errors and leaves the last one as it is.
pub(crate) fn aside(work: impl FnOnce() -> Result<(), Error>) -> u32 {
    status(&shielded(work))
}

/// The error of this thread's last call.
pub(crate) fn last() -> Option<Error> {
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

/// An argument that cannot be used.
pub(crate) fn bad(name: &str, why: impl Display) -> Error {
    Error::new(ErrorCode::BadArgument, format!("{name}: {why}"))
}

/// An error in numbers; all zero for none.
pub(crate) fn info(error: Option<&Error>) -> ErrorInfo {
    error.map_or_else(ErrorInfo::default, |error| numbers(error.failure))
}

/// A row of the table in numbers.
pub(crate) fn explained(number: u32) -> Result<ErrorInfo, Error> {
    let number = row(number)?.number;
    Ok(numbers(Failure { code: number, a: 0, b: 0 }))
}

/// A text about an error, with its values; empty for none.
pub(crate) fn text(error: Option<&Error>, part: u32) -> Result<String, Error> {
    let Some(error) = error else { return text_of(None, part, ["", ""]).map(|_| String::new()) };
    let mut title = error.failure.title(&utc);
    if !error.detail.is_empty() {
        title = format!("{title} ({})", error.detail);
    }
    let row = error.failure.known().map(ErrorCode::row);
    match part {
        STRONGROOM_TEXT_CODE => Ok(error.failure.shown_code()),
        _ => text_of(row, part, [&title, &error.failure.hint(&utc)]),
    }
}

fn numbers(failure: Failure) -> ErrorInfo {
    let row = failure.known().map(ErrorCode::row);
    ErrorInfo {
        struct_size: 0,
        number: failure.code.into(),
        fault: row.map_or(STRONGROOM_FAULT_NONE, |row| fault(row.fault)),
        exit_code: row.map_or(Exit::Failure, |row| row.exit) as u32,
        a: failure.a,
        b: failure.b,
    }
}

/// A row of the table.
fn row(number: u32) -> Result<ErrorRow, Error> {
    let code = u16::try_from(number).ok().and_then(ErrorCode::from_number);
    code.map(ErrorCode::row).ok_or_else(|| bad("number", "no known error"))
}

/// A text about a row of the table, with words in place of values.
pub(crate) fn explanation(number: u32, part: u32) -> Result<String, Error> {
    let row = row(number)?;
    text_of(Some(row), part, [&without_values(row.title), &without_values(row.next)])
}

fn text_of(row: Option<ErrorRow>, part: u32, [title, hint]: [&str; 2]) -> Result<String, Error> {
    match part {
        STRONGROOM_TEXT_CODE => Ok(row.map(|row| shown_code(row.number)).unwrap_or_default()),
        STRONGROOM_TEXT_NAME => Ok(row.map_or("", |row| row.name).to_owned()),
        STRONGROOM_TEXT_TITLE => Ok(title.to_owned()),
        STRONGROOM_TEXT_LIKELY => Ok(row.map_or("", |row| row.likely).to_owned()),
        STRONGROOM_TEXT_HINT => Ok(hint.to_owned()),
        _ => Err(bad("part", "no such text")),
    }
}

fn utc(at_s: u64) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(at_s, &mut out);
    out
}

fn fault(fault: Fault) -> u32 {
    match fault {
        Fault::License => STRONGROOM_FAULT_LICENSE,
        Fault::Message => STRONGROOM_FAULT_MESSAGE,
        Fault::Caller => STRONGROOM_FAULT_CALLER,
        Fault::Container => STRONGROOM_FAULT_CONTAINER,
        Fault::Machine => STRONGROOM_FAULT_MACHINE,
        Fault::Vendor => STRONGROOM_FAULT_VENDOR,
        _ => STRONGROOM_FAULT_NONE,
    }
}

/// No panic leaves a call: what it would unwind are frames of another language.
fn shielded(work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(ErrorCode::Defect.failure().into()))
}

fn status(outcome: &Result<(), Error>) -> u32 {
    outcome.as_ref().map_or_else(|error| error.failure.code.into(), |()| 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_leaves_its_error_and_the_next_one_takes_it_away() {
        let failure = ErrorCode::Expired.with(0, 86_400);
        assert_eq!(call(|| Err(failure.into())), 0x0380);
        let told = last();
        let title = text(told.as_ref(), STRONGROOM_TEXT_TITLE).unwrap();
        assert!(title.contains("1970-01-01 00:00:00 UTC") && title.contains("1970-01-02"));
        assert_eq!(text(told.as_ref(), STRONGROOM_TEXT_CODE).unwrap(), "S0380");
        let info = info(told.as_ref());
        let numbers = (info.number, info.fault, info.exit_code, info.a, info.b);
        assert_eq!(numbers, (0x0380, STRONGROOM_FAULT_LICENSE, 5, 0, 86_400));
        assert_eq!(aside(|| Err(bad("x", "wrong"))), 0x0881);
        assert_eq!(last(), told);
        assert_eq!(call(|| Ok(())), 0);
        assert_eq!((last(), text(None, STRONGROOM_TEXT_TITLE)), (None, Ok(String::new())));
    }

    #[test]
    fn a_panic_is_a_row_of_the_table() {
        assert_eq!(call(|| panic!("a defect, on purpose")), 0x0886);
        assert!(last().unwrap().is(ErrorCode::Defect));
    }

    #[test]
    fn what_this_version_does_not_know_is_told_by_its_number() {
        let error = Error::from(Failure { code: 0xfffe, a: 1, b: 2 });
        assert_eq!(text(Some(&error), STRONGROOM_TEXT_CODE).unwrap(), "SFFFE");
        assert!(text(Some(&error), STRONGROOM_TEXT_TITLE).unwrap().contains("1 and 2"));
        assert_eq!(text(Some(&error), STRONGROOM_TEXT_NAME).unwrap(), "");
        assert_eq!(info(Some(&error)).exit_code, 1);
    }

    #[test]
    fn every_row_has_every_text() {
        for code in ErrorCode::ALL {
            for part in STRONGROOM_TEXT_CODE..=STRONGROOM_TEXT_HINT {
                let explained = explanation(code.number().into(), part).unwrap();
                assert!(!explained.is_empty() && !explained.contains('{'), "{explained}");
            }
        }
        assert!(explanation(0, 1).is_err() && explanation(0x1_0380, 1).is_err());
        assert!(explanation(0x0380, 0).is_err() && text(None, 6).is_err());
    }
}
