//! What matters of the machine: processors, huge pages, and how busy others keep it.

use std::fmt;

use serde_json::{Value, json};

use crate::Result;

/// Says which transparent huge pages there are, the one in force in brackets.
const HUGE_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// The machine at the start of a run.
pub(crate) struct Machine {
    processors: usize,
    huge_pages: String,
    load: String,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look() -> Result<Self> {
        let setting = std::fs::read_to_string(HUGE_PAGES).unwrap_or_default();
        Ok(Machine {
            processors: std::thread::available_parallelism()?.get(),
            huge_pages: in_brackets(&setting).unwrap_or("never").to_owned(),
            load: load()?,
        })
    }

    /// The most that a protected start of a large program may take, over the floor.
    pub(crate) fn start_bound(&self) -> f64 {
        if self.huge_pages == "never" { 1.4 } else { 0.85 }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "processors": self.processors,
            "huge_pages": self.huge_pages,
            "load_start": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (processors, load) = (self.processors, &self.load);
        let (pages, bound) = (&self.huge_pages, self.start_bound());
        writeln!(f, "processors: {processors}; load of the last 1, 5 and 15 minutes: {load}")?;
        write!(f, "transparent huge pages: {pages}, so a start may take {bound} of its floor")
    }
}

/// How many wanted to run in the last 1, 5 and 15 minutes.
pub(crate) fn load() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}

fn in_brackets(setting: &str) -> Option<&str> {
    let (_, rest) = setting.split_once('[')?;
    rest.split_once(']').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_in_force_is_the_one_in_brackets() {
        assert_eq!(in_brackets("always [madvise] never\n"), Some("madvise"));
        assert_eq!(in_brackets(""), None);
    }
}
