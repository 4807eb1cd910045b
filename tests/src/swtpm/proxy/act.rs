//! What a proxy does to a command.

use std::sync::mpsc::{self, Receiver, Sender};

use super::super::process::HANG;
use super::super::raw::message;

/// What becomes of a command.
pub enum Act {
    /// The TPM carries it out, and the client hears what it says.
    Pass,
    /// As [`Act::Pass`], but only when the test lets it go. Others can use the TPM meanwhile.
    Hold(Hold),
    /// It never gets to the TPM: the connection breaks.
    LoseCommand,
    /// It never gets to the TPM, and the client waits for an answer until it gives up.
    Withhold,
    /// The TPM carries it out; then the connection breaks.
    LoseResponse,
    /// The TPM carries it out, and the client waits for an answer until it gives up.
    Silence,
    /// It never gets to the TPM: this response code is the answer.
    Refuse(u32),
    /// The TPM carries it out; this response code is the answer.
    Deny(u32),
    /// The TPM carries it out; what this makes of the response is the answer. Then the connection
    /// ends, so that a client that was promised more does not wait for it.
    Alter(Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>),
}

/// The proxy's end of a command that is held back.
pub struct Hold {
    arrives: Sender<()>,
    allowed: Receiver<()>,
}

/// The test's end of a command that is held back. Dropped, it lets it go.
pub struct Held {
    arrived: Receiver<()>,
    _allows: Sender<()>,
}

/// What a client is told.
pub(super) enum Told {
    Answer(Vec<u8>),
    /// The last thing that it is told over this connection.
    Last(Vec<u8>),
    Nothing,
    /// The connection breaks.
    Break,
}

/// Both ends of a command that will be held back ([`Act::Hold`]).
pub fn hold() -> (Hold, Held) {
    let (arrives, arrived) = mpsc::channel();
    let (allows, allowed) = mpsc::channel();
    (Hold { arrives, allowed }, Held { arrived, _allows: allows })
}

impl Held {
    /// Waits until the command is there.
    #[track_caller]
    pub fn wait(&self) {
        self.arrived.recv_timeout(HANG).expect("a command to hold");
    }

    /// Lets it go on to the TPM, even if its client is dead by then.
    pub fn let_go(self) {}
}

impl Hold {
    pub(super) fn wait(&self) {
        self.arrives.send(()).ok();
        // Nothing is ever sent: it ends when the test's end is dropped.
        self.allowed.recv().ok();
    }
}

impl Act {
    pub(super) fn reaches_tpm(&self) -> bool {
        !matches!(self, Act::LoseCommand | Act::Withhold | Act::Refuse(_))
    }

    /// What the client is told. A TPM that says nothing is dead.
    pub(super) fn tell(self, response: Option<Vec<u8>>) -> Told {
        match (self, response) {
            (Act::Refuse(code), _) | (Act::Deny(code), Some(_)) => Told::Answer(message(code, &[])),
            (Act::Withhold, _) | (Act::Silence, Some(_)) => Told::Nothing,
            (Act::LoseCommand | Act::LoseResponse, _) | (_, None) => Told::Break,
            (Act::Alter(alter), Some(response)) => Told::Last(alter(response)),
            (Act::Pass | Act::Hold(_), Some(response)) => Told::Answer(response),
        }
    }
}
