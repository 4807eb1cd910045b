//! What a command says: data on stdout, talk on stderr, or one JSON envelope on stdout and nothing
//! else.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use vendor::{Result, Shown, times};

/// Where a command speaks.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether stdout is for one JSON envelope.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The result: as JSON under `schema`, or as `text` for people.
    pub(crate) fn data(&self, schema: &str, data: impl Serialize, text: impl Display) {
        if self.json {
            let envelope = json!({ "schema": format!("strongroom.{schema}/v1"), "data": data });
            print(&envelope);
        } else {
            print(&text);
        }
    }

    /// Tells a person what happens.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.json {
            // Nobody to tell if stderr is gone.
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }

    /// Says what went wrong and what to do.
    pub(crate) fn error(&self, error: &Shown) {
        let (code, title) = (error.code(), error.title(&times::show));
        let hint = error.hint(&times::show);
        if self.json {
            let error = json!({ "code": code, "title": title, "hint": hint });
            print(&json!({ "schema": "strongroom.error/v1", "error": error }));
            return;
        }
        let mut stderr = anstream::stderr();
        let _ = writeln!(stderr, "\x1b[1;31merror\x1b[0m [{code}]: {title}");
        let _ = writeln!(stderr, "  {hint}");
    }

    /// Asks before something that cannot be undone. Without a terminal it is refused with the flag
    /// to pass.
    pub(crate) fn confirm(&self, question: &str, yes: bool) -> Result<()> {
        let agrees = |answer: &str| matches!(answer.to_lowercase().as_str(), "y" | "yes");
        self.confirm_if(question, "[y/N]", yes, agrees)
    }

    /// Lets the word be typed before something that destroys. Without a terminal it is refused with
    /// the flag to pass.
    pub(crate) fn confirm_by(&self, question: &str, word: &str, yes: bool) -> Result<()> {
        let agrees = |answer: &str| answer.eq_ignore_ascii_case(word);
        self.confirm_if(question, &format!("Type {word} to go on:"), yes, agrees)
    }

    fn confirm_if(
        &self,
        question: &str,
        prompt: &str,
        yes: bool,
        agrees: impl Fn(&str) -> bool,
    ) -> Result<()> {
        if yes {
            return Ok(());
        }
        if self.json || !std::io::stdin().is_terminal() {
            return Err(Shown::usage(
                format!("this needs a confirmation: {question}"),
                "Pass --yes to confirm without being asked.",
            ));
        }
        let _ = write!(anstream::stderr(), "{question} {prompt} ");
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        match read.is_ok() && agrees(answer.trim()) {
            true => Ok(()),
            false => Err(Shown::conflict("not confirmed", "Nothing was changed.")),
        }
    }

    /// Refuses to go on where there is nobody to ask, with the command that a script would use.
    pub(crate) fn need_person(&self, instead: &str) -> Result<()> {
        if self.json || !std::io::stdin().is_terminal() {
            let hint = format!("In a script use: {instead}");
            return Err(Shown::usage("this talks to a person at a terminal", hint));
        }
        Ok(())
    }

    /// Asks a person for a line.
    pub(crate) fn ask(&self, question: &str) -> Result<String> {
        let _ = write!(anstream::stderr(), "{question}: ");
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(len) if len > 0 => Ok(answer.trim().to_owned()),
            _ => Err(Shown::conflict("no answer came", "Nothing was changed.")),
        }
    }

    /// A bar that shows up when the work takes longer than half a second.
    pub(crate) fn progress(&self, what: &str) -> Progress {
        let visible = !self.json && std::io::stderr().is_terminal();
        Progress { what: what.to_owned(), visible, since: crate::clock::start(), bar: None }
    }
}

/// Progress of a long piece of work.
pub(crate) struct Progress {
    what: String,
    visible: bool,
    since: std::time::Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `done` of `all`, in bytes.
    pub(crate) fn update(&mut self, done: u64, all: u64) {
        if !self.visible || self.since.elapsed() < Duration::from_millis(500) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = "{msg} {wide_bar} {bytes}/{total_bytes} {eta}";
            let bar = ProgressBar::new(all).with_message(self.what.clone());
            match ProgressStyle::with_template(style) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_length(all);
        bar.set_position(done);
    }
}

impl Progress {
    /// It goes on, for how long nobody knows.
    pub(crate) fn tick(&mut self) {
        if self.visible && self.since.elapsed() >= Duration::from_millis(500) {
            let spinner = || ProgressBar::new_spinner().with_message(self.what.clone());
            self.bar.get_or_insert_with(spinner).tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A reader of stdout that has gone away (`| head`) is no error.
fn print(text: &impl Display) {
    let _ = writeln!(anstream::stdout(), "{text}");
}
