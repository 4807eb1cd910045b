//! A wire between TPM and clients that can be listened to, cut and bent.
//!
//! Clients connect as to swtpm. Any number can be connected at a time, and their commands reach the
//! TPM one by one, in the order in which they come. That much a resource manager does, and no more:
//! handles are the TPM's own, so that each client can use and flush what another has loaded, all
//! have three objects and three sessions between them, and nothing is flushed when a client goes.
//! Whoever connects to swtpm itself meanwhile takes turns with the proxy.

mod act;
mod relay;

use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::net::{Shutdown, shutdown};

use super::codes::CommandCode;
use super::instance::{Place, Swtpm};
use super::ports::{self, Ports};
use super::process::HANG;
use super::raw::code_of;
use super::tools::Tools;
pub use act::{Act, Held, Hold, hold};
use relay::Connections;

/// A proxy before a TPM. It follows the TPM to other ports, and goes on while that has no power.
pub struct Proxy {
    ports: Ports,
    wire: Arc<Wire>,
    listeners: [Arc<TcpListener>; 2],
    accepting: Vec<JoinHandle<()>>,
}

/// A command that came by, and what became of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Which connection it came over. libtss2 makes one for each command.
    pub connection: u64,
    /// All bytes of it.
    pub command: Vec<u8>,
    /// What the TPM said; nothing while the hook decides, and where it was not asked or is dead.
    pub response: Option<Vec<u8>>,
    /// What the client was told.
    pub answer: Option<Vec<u8>>,
}

type Hook = Box<dyn FnMut(&Exchange) -> Act + Send>;

struct Wire {
    tpm: Place,
    hook: Mutex<Hook>,
    /// Locked while the TPM works: it is given one command at a time.
    past: Mutex<Vec<Exchange>>,
    grew: Condvar,
    connections: Connections,
}

impl Proxy {
    /// A proxy that lets everything pass.
    pub fn of(tpm: &Swtpm) -> Self {
        let (ports, data, control) = ports::listen();
        let wire = Arc::new(Wire {
            tpm: tpm.place(),
            hook: Mutex::new(Box::new(|_| Act::Pass)),
            past: Mutex::default(),
            grew: Condvar::new(),
            connections: Connections::default(),
        });
        let listeners = [data, control].map(Arc::new);
        let accepting = vec![
            wire.accept(&listeners[0], Wire::carry_commands),
            wire.accept(&listeners[1], Wire::carry_control),
        ];
        Proxy { ports, wire, listeners, accepting }
    }

    /// Where it can be reached, as if it were the TPM.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// For `TPM2TOOLS_TCTI` and for libtss2.
    pub fn tcti(&self) -> String {
        self.ports.tcti()
    }

    /// Tools that talk to the TPM through it.
    pub fn tools(&self) -> Tools {
        Tools::new(&self.tcti())
    }

    /// Decides about each command from now on. The hook must not wait, which is what [`Act::Hold`]
    /// is for, nor set another.
    pub fn set_hook(&self, hook: impl FnMut(&Exchange) -> Act + Send + 'static) {
        *lock(&self.wire.hook) = Box::new(hook);
    }

    /// Lets everything pass again.
    pub fn pass_all(&self) {
        self.set_hook(|_| Act::Pass);
    }

    /// Does this to the next command of a kind, and lets all others pass.
    pub fn once(&self, code: CommandCode, act: Act) {
        let mut act = Some(act);
        self.set_hook(move |exchange| {
            let act = act.take_if(|_| exchange.code() == code);
            act.unwrap_or(Act::Pass)
        });
    }

    /// Holds the next command of a kind back, and lets all others pass.
    pub fn hold_next(&self, code: CommandCode) -> Held {
        let (hold, held) = hold();
        self.once(code, Act::Hold(hold));
        held
    }

    /// All that came by, in the order in which the TPM was given it.
    pub fn commands(&self) -> Vec<Exchange> {
        lock(&self.wire.past).clone()
    }

    /// How often a command came by. libtss2 repeats what the TPM answers with `TPM_RC_RETRY`.
    pub fn count(&self, code: CommandCode) -> usize {
        count(&lock(&self.wire.past), code)
    }

    /// Waits until a command has come by so often, carried out and all.
    #[track_caller]
    pub fn wait_for(&self, code: CommandCode, times: usize) {
        let counted = self.wait_until(|past| count(past, code), times);
        assert!(counted >= times, "{counted} times {code:?}, not {times}");
    }

    /// Waits until so many commands have come by, carried out and all.
    #[track_caller]
    pub fn wait_for_commands(&self, times: usize) {
        let counted = self.wait_until(|past| past.len(), times);
        assert!(counted >= times, "{counted} commands, not {times}");
    }

    fn wait_until(&self, counted: impl Fn(&[Exchange]) -> usize, times: usize) -> usize {
        let too_few = |past: &mut Vec<Exchange>| counted(past) < times;
        let past = lock(&self.wire.past);
        let waited = self.wire.grew.wait_timeout_while(past, HANG, too_few);
        // Its lock is gone when the caller fails: the proxy goes on.
        counted(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Forgets what came by.
    pub fn clear(&self) {
        lock(&self.wire.past).clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.connections.close();
        for listener in &self.listeners {
            shutdown(listener, Shutdown::Both).ok();
        }
        for thread in self.accepting.drain(..) {
            thread.join().ok();
        }
    }
}

impl Exchange {
    /// What the TPM is asked for. Bytes that are no command have code 0, which no command has.
    pub fn code(&self) -> CommandCode {
        CommandCode(code_of(&self.command).unwrap_or_default())
    }

    /// How it went for the TPM: 0 is success.
    pub fn response_code(&self) -> Option<u32> {
        code_of(self.response.as_deref()?)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} -> {:x?}", self.code(), self.response_code())
    }
}

fn count(past: &[Exchange], code: CommandCode) -> usize {
    past.iter().filter(|exchange| exchange.code() == code).count()
}

/// A test that panicked has seen what it was to see.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
