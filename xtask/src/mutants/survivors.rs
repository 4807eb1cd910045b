//! What came of the changes, and `tests/mutants.toml`: the ones that no test can notice, each with
//! its reason.

use crate::Outcome;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// What came of the changes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) caught: usize,
    /// A test did not end.
    pub(super) timed_out: usize,
    pub(super) unviable: usize,
    /// Names as the tool gives them.
    pub(super) missed: Vec<String>,
}

impl Counts {
    /// With those of another module.
    pub(super) fn add(&mut self, other: Counts) {
        self.caught += other.caught;
        self.timed_out += other.timed_out;
        self.unviable += other.unviable;
        self.missed.extend(other.missed);
    }

    /// Of every hundred changes that compile, so many are noticed.
    pub(super) fn percent(&self) -> f64 {
        let noticed = (self.caught + self.timed_out) as f64;
        100.0 * noticed / (noticed + self.missed.len() as f64)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, missed) = (self.percent(), self.missed.len());
        let (all, hung) = (self.caught + self.timed_out + missed, self.timed_out);
        write!(f, "{percent:.1} % of {all} noticed, {hung} of them by a hang; ")?;
        write!(f, "{} do not compile; {missed} survive", self.unviable)
    }
}

/// The explained survivors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    /// Its name without line and column, which move.
    mutant: String,
    why: String,
}

/// How survivors differ from what is explained.
pub(super) struct Difference {
    /// Survive without an explanation.
    pub(super) new: Vec<String>,
    /// Are explained and do not survive.
    pub(super) gone: Vec<String>,
}

impl Known {
    pub(super) fn read(file: &Path) -> Outcome<Self> {
        Self::parse(&std::fs::read_to_string(file)?)
    }

    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let known: Self = toml::from_str(text)?;
        match known.survivor.iter().find(|survivor| survivor.why.trim().is_empty()) {
            Some(Survivor { mutant, .. }) => Err(format!("no reason for {mutant}").into()),
            None => Ok(known),
        }
    }

    /// Those in some files.
    pub(super) fn below(mut self, has: impl Fn(&str) -> bool) -> Self {
        self.survivor.retain(|one| one.mutant.split(':').next().is_some_and(&has));
        self
    }

    /// One explanation is for one survivor.
    pub(super) fn compare(&self, missed: &[String]) -> Difference {
        let mut gone: Vec<String> = self.survivor.iter().map(|one| one.mutant.clone()).collect();
        let is_new = |name: &&String| {
            let place = gone.iter().position(|known| *known == without_place(name));
            place.map(|at| gone.swap_remove(at)).is_none()
        };
        let new = missed.iter().filter(is_new).cloned().collect();
        Difference { new, gone }
    }
}

/// `file:line:column: change` without line and column.
fn without_place(name: &str) -> String {
    match name.split_once(": ") {
        Some((place, change)) => {
            let file = place.split(':').next().unwrap_or(place);
            format!("{file}: {change}")
        }
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_may_move_and_each_needs_its_own_explanation() {
        let text = "[[survivor]]\nmutant = \"f.rs: a: b\"\nwhy = \"equal\"\n";
        let known = Known::parse(text).unwrap();
        let missed = ["f.rs:1:2: a: b".to_owned(), "f.rs:9:2: a: b".to_owned()];
        let difference = known.compare(&missed);
        assert_eq!((difference.new.as_slice(), difference.gone.len()), (&missed[1..], 0));
        assert_eq!(known.compare(&[]).gone, ["f.rs: a: b"]);
        assert!(known.below(|file| file != "f.rs").compare(&[]).gone.is_empty());
        assert!(Known::parse("[[survivor]]\nmutant = \"a\"\nwhy = \" \"\n").is_err());
    }

    #[test]
    fn a_hang_is_noticed_and_what_does_not_compile_does_not_count() {
        let missed = vec!["a".to_owned()];
        let counts = Counts { caught: 2, timed_out: 1, unviable: 5, missed };
        assert_eq!(counts.percent(), 75.0);
        let said = "75.0 % of 4 noticed, 1 of them by a hang; 5 do not compile; 1 survive";
        assert_eq!(counts.to_string(), said);
    }
}
