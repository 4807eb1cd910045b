//! What the signer certified of time, in a file beside the journal: it certifies no time before one
//! that it certified, also after a restart with a clock that was put back.

use std::path::{Path, PathBuf};

use protocol::errors::{ErrorCode, Shown};
use serde::{Deserialize, Serialize};
use vendor::files;

/// Seconds by which the signer's clock may be wrong, as its tokens say.
pub const RADIUS_S: u32 = 5;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The last time that was certified, and how often on its day.
pub struct Times {
    path: PathBuf,
    last: Certified,
}

/// The file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Certified {
    /// Unix seconds; 0 = none yet.
    time_s: u64,
    /// Tokens on its day. Those of its last second may be missing after a power cut.
    tokens: u64,
    /// Certificates of containers on its day, likewise.
    #[serde(default)]
    certificates: u64,
}

/// Where it is, by the place of the vendor's journal.
pub fn path_beside(journal: &Path) -> PathBuf {
    journal.with_extension("time")
}

impl Times {
    /// Reads the file; one that is not there begins anew.
    ///
    /// # Errors
    /// It cannot be read, or was changed.
    pub fn open(path: &Path) -> Result<Self, Shown> {
        let path = path.to_owned();
        if !path.exists() {
            return Ok(Times { path, last: Certified::default() });
        }
        let last = serde_json::from_slice(&files::read(&path)?).map_err(|error| {
            let hint = "See that the machine's clock is right, then take the file away.";
            Shown::conflict(format!("{}: {error}", path.display()), hint)
        })?;
        Ok(Times { path, last })
    }

    /// The time to certify at `now_s`. It is durable when it returns `Ok`; `allow` refuses how many
    /// tokens the day has with this one. A clock that was put back by no more than tokens are wrong
    /// by goes on at the last time.
    ///
    /// # Errors
    /// The clock was put back by more, the day has enough, or the medium failed.
    pub fn next(
        &mut self,
        now_s: u64,
        allow: impl FnOnce(u64) -> Result<(), Shown>,
    ) -> Result<u64, Shown> {
        let mut next = self.at(now_s)?;
        next.tokens = next.tokens.saturating_add(1);
        allow(next.tokens)?;
        // Within a second nothing is new but the count.
        if next.time_s > self.last.time_s {
            self.keep(&next)?;
        }
        self.last = next;
        Ok(next.time_s)
    }

    /// Counts a certificate for a container at `now_s`: durable when it returns `Ok`. `allow`
    /// refuses how many the day has with this one.
    ///
    /// # Errors
    /// As [`Times::next`].
    pub fn certify(
        &mut self,
        now_s: u64,
        allow: impl FnOnce(u64) -> Result<(), Shown>,
    ) -> Result<(), Shown> {
        let mut next = self.at(now_s)?;
        next.certificates = next.certificates.saturating_add(1);
        allow(next.certificates)?;
        self.keep(&next)?;
        self.last = next;
        Ok(())
    }

    /// What stands in the file, at a later time: counts of another day are over.
    fn at(&self, now_s: u64) -> Result<Certified, Shown> {
        let last_s = self.last.time_s;
        if now_s.saturating_add(RADIUS_S.into()) < last_s {
            return Err(ErrorCode::ClockSetBack.with(now_s, last_s).into());
        }
        let time_s = now_s.max(last_s);
        let is_new_day = time_s / DAY_S > last_s / DAY_S;
        let before = if is_new_day { Certified::default() } else { self.last };
        Ok(Certified { time_s, ..before })
    }

    fn keep(&self, next: &Certified) -> Result<(), Shown> {
        files::replace(&self.path, &serde_json::to_vec(next).unwrap_or_default(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_S: u64 = 20_000 * DAY_S + DAY_S / 2;

    fn opened(dir: &tempfile::TempDir) -> Times {
        Times::open(&path_beside(&dir.path().join("acme.journal"))).unwrap()
    }

    fn at(times: &mut Times, now_s: u64) -> Result<u64, Option<ErrorCode>> {
        let next = times.next(now_s, |_| Ok(()));
        next.map_err(|error| error.failure().and_then(|failure| failure.known()))
    }

    #[test]
    fn no_time_lies_before_one_that_was_certified() {
        let dir = tempfile::tempdir().unwrap();
        let mut times = opened(&dir);
        assert_eq!(at(&mut times, NOON_S), Ok(NOON_S));
        assert_eq!(at(&mut times, NOON_S + 60), Ok(NOON_S + 60));
        for mut times in [times, opened(&dir)] {
            assert_eq!(at(&mut times, NOON_S + 59), Ok(NOON_S + 60));
            assert_eq!(at(&mut times, NOON_S + 55), Ok(NOON_S + 60));
            for early_s in [NOON_S + 54, NOON_S, 0] {
                assert_eq!(at(&mut times, early_s), Err(Some(ErrorCode::ClockSetBack)));
            }
            assert_eq!(at(&mut times, NOON_S + 60), Ok(NOON_S + 60));
        }
        assert_eq!(at(&mut opened(&dir), u64::MAX), Ok(u64::MAX));
        assert_eq!(at(&mut opened(&dir), 1), Err(Some(ErrorCode::ClockSetBack)));
    }

    #[test]
    fn a_day_counts_its_tokens_also_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut times = opened(&dir);
        let count = |times: &mut Times, now_s| {
            let mut told = 0;
            times.next(now_s, |count| {
                told = count;
                Ok(())
            })?;
            Ok::<_, Shown>(told)
        };
        let counts = [0, 1, 1].map(|later_s| count(&mut times, NOON_S + later_s).unwrap());
        assert_eq!(counts, [1, 2, 3]);
        // The second token of the last second is forgotten, all before it are not.
        assert_eq!(count(&mut opened(&dir), NOON_S + 2).unwrap(), 3);
        assert_eq!(count(&mut times, NOON_S + DAY_S).unwrap(), 1);
    }

    #[test]
    fn what_is_refused_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut times = opened(&dir);
        let refused = times.next(NOON_S, |_| Err(ErrorCode::CapOfDay.failure().into()));
        assert!(refused.is_err());
        assert!(!times.path.exists());
        assert_eq!(at(&mut times, 5), Ok(5));
    }

    #[test]
    fn a_file_that_was_changed_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme.time");
        for text in ["", "{}", "{\"time_s\":1}", "{\"time_s\":1,\"tokens\":2,\"x\":3}"] {
            std::fs::write(&path, text).unwrap();
            assert!(Times::open(&path).is_err(), "{text}");
        }
    }
}
