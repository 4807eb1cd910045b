//! The verdict on a program: fit, fit if the vendor accepts what will be different, or not.

use std::fmt;

use super::forks::Forks;
use super::image::{Program, Refusal};
use super::self_reading::OwnData;

/// Programs from this size on are told their price in memory.
const LARGE_PROGRAM_BYTES: u64 = 64 << 20;

/// What was found and what follows from it.
#[derive(Clone, Debug)]
pub struct Suitability {
    /// Whether the program can be protected.
    pub verdict: Verdict,
    /// Differences worth knowing, none of which stands in the way.
    pub notes: Vec<Note>,
    /// The facts; none if the file was refused.
    pub program: Option<Program>,
}

/// Whether a program can be protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can.
    Fit,
    /// It can if each of these is accepted by its flag.
    NeedsFlag(Vec<Concern>),
    /// It cannot.
    Refused(Refusal),
}

/// Something that may work differently once protected. It prints as a plain reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// The program may read data out of its own file.
    ReadsItself(Vec<OwnData>),
    /// Its forked children may run without holding a seat.
    UnwatchedForks(Forks),
    /// It is installed with raised privileges, which the protected file does not get.
    DropsPrivileges,
}

/// A difference worth knowing. It prints as a plain sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Libraries are found relative to the program's place.
    FollowsItsPlace(Vec<String>),
    /// Nothing was found about forks, or they are harmless.
    Forks(Forks),
    /// The stack must be executable.
    ExecutableStack,
    /// Code that can be written.
    WritableCode,
    /// Debugging information stays behind.
    DebugInformation,
    /// Memory that each start costs.
    LargeProgram {
        /// Bytes of the program in memory.
        memory_len_bytes: u64,
    },
}

impl Suitability {
    pub(super) fn of(program: Program) -> Self {
        let concerns = concerns(&program);
        let verdict = match concerns.is_empty() {
            true => Verdict::Fit,
            false => Verdict::NeedsFlag(concerns),
        };
        Self { verdict, notes: notes(&program), program: Some(program) }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self { verdict: Verdict::Refused(refusal), notes: Vec::new(), program: None }
    }

    /// The concerns that none of the `accepted` flags covers.
    pub fn open_concerns<'a>(&'a self, accepted: &'a [impl AsRef<str>]) -> Vec<&'a Concern> {
        let Verdict::NeedsFlag(concerns) = &self.verdict else {
            return Vec::new();
        };
        let is_open = |c: &&Concern| !accepted.iter().any(|flag| flag.as_ref() == c.flag());
        concerns.iter().filter(is_open).collect()
    }
}

impl Concern {
    /// Every flag that a vendor can accept.
    pub const FLAGS: [&'static str; 3] = ["reads-itself", "unwatched-forks", "drops-privileges"];

    /// The word that accepts this concern, as in `--accept reads-itself`.
    pub fn flag(&self) -> &'static str {
        match self {
            Self::ReadsItself(_) => Self::FLAGS[0],
            Self::UnwatchedForks(_) => Self::FLAGS[1],
            Self::DropsPrivileges => Self::FLAGS[2],
        }
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadsItself(found) => write!(
                f,
                "its file holds {}; if the program reads that from its own file, it will not \
                 find it in the protected one",
                list(found)
            ),
            Self::UnwatchedForks(forks) => write!(
                f,
                "{forks}; a child that goes on without starting another program would hold no \
                 seat and would not stop with the license"
            ),
            Self::DropsPrivileges => write!(
                f,
                "it runs with the privileges of another user or with file capabilities; the \
                 protected file does not get them and refuses to start if they are added"
            ),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FollowsItsPlace(paths) => {
                write!(
                    f,
                    "install it where the original stood: it finds libraries by {}",
                    list(paths)
                )
            }
            Self::Forks(forks) => write!(f, "{forks}"),
            Self::ExecutableStack => write!(
                f,
                "it needs an executable stack and will not start where the system forbids one"
            ),
            Self::WritableCode => write!(f, "it has code that can be written while it runs"),
            Self::DebugInformation => write!(
                f,
                "its debugging information stays behind: crash reports will show addresses only"
            ),
            Self::LargeProgram { memory_len_bytes } => write!(
                f,
                "each running copy takes {} MiB of memory of its own",
                memory_len_bytes.div_ceil(1 << 20)
            ),
        }
    }
}

fn concerns(program: &Program) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if !program.own_data.is_empty() {
        concerns.push(Concern::ReadsItself(program.own_data.clone()));
    }
    if let Forks::Named { .. } | Forks::Guessed { .. } | Forks::OtherLibrary { .. } = program.forks
    {
        concerns.push(Concern::UnwatchedForks(program.forks.clone()));
    }
    if program.raises_privileges {
        concerns.push(Concern::DropsPrivileges);
    }
    concerns
}

fn notes(program: &Program) -> Vec<Note> {
    let mut notes = Vec::new();
    if !program.origin_paths.is_empty() {
        notes.push(Note::FollowsItsPlace(program.origin_paths.clone()));
    }
    if let Forks::Go | Forks::NoneFound = program.forks {
        notes.push(Note::Forks(program.forks.clone()));
    }
    let memory_len_bytes = program.memory_len_bytes;
    let optional = [
        (program.executable_stack, Note::ExecutableStack),
        (program.writable_code, Note::WritableCode),
        (program.debug_information, Note::DebugInformation),
        (memory_len_bytes >= LARGE_PROGRAM_BYTES, Note::LargeProgram { memory_len_bytes }),
    ];
    notes.extend(optional.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note));
    notes
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
