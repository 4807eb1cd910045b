//! One TPM: a folder of state, and the swtpm that runs on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::codes::CommandCode;
use super::manufacture::{Authorities, Model, manufactured};
use super::ports::{self, Ports};
use super::process::{Process, STATE};
use super::raw::{Connection, get_random, message};
use super::tools::Tools;

/// A TPM in software. It is stopped hard and thrown away when this is dropped, and when this
/// process is killed.
pub struct Swtpm {
    dir: TempDir,
    place: Place,
    process: Option<Process>,
    authorities: Authorities,
}

/// What a TPM keeps over a loss of power: seeds, persistent objects, NV indices, its clock.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(Vec<u8>);

/// Where a TPM can be reached, also after it had to move.
#[derive(Clone)]
pub(super) struct Place(Arc<AtomicU16>);

/// swtpm's one file. It writes another and renames that, before it answers the command: whoever
/// opens this reads the state after some command, and all of it.
const STATE_FILE: &str = "tpm2-00.permall";

/// `TPM_SU_CLEAR` (TCG TPM 2.0 Library, Part 2, 6.10).
const SU_CLEAR: [u8; 2] = [0; 2];

/// Pairs of ports until it is not the ports that are to blame.
const TRIES: usize = 20;

impl Swtpm {
    /// A TPM with EK certificates: the same one each time in this process ([`Model`]).
    pub fn manufactured() -> Self {
        Swtpm::of(Model::default())
    }

    /// A TPM of some model: the same one each time in this process.
    pub fn of(model: Model) -> Self {
        let (state, authorities) = manufactured(model);
        Swtpm::on(&state, authorities)
    }

    /// A TPM of its own, that nobody has certified.
    pub fn blank() -> Self {
        let mut tpm = Swtpm::off(Authorities::default());
        tpm.start(ports::free());
        tpm
    }

    pub(super) fn on(state: &Snapshot, authorities: Authorities) -> Self {
        let mut tpm = Swtpm::off(authorities);
        state.write(&tpm.state());
        tpm.start(ports::free());
        tpm
    }

    fn off(authorities: Authorities) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(STATE)).unwrap();
        Swtpm { dir, place: Place(Arc::default()), process: None, authorities }
    }

    /// Where it can be reached. [`Swtpm::start_again`] may change that.
    pub fn ports(&self) -> Ports {
        self.place.ports()
    }

    /// For `TPM2TOOLS_TCTI` and for libtss2.
    pub fn tcti(&self) -> String {
        self.ports().tcti()
    }

    /// Tools that talk to it.
    pub fn tools(&self) -> Tools {
        Tools::new(&self.tcti())
    }

    /// Who has certified its EKs.
    pub fn ca_certificates(&self) -> &Authorities {
        &self.authorities
    }

    /// The id of the process that runs, if one does.
    pub fn pid(&self) -> Option<u32> {
        let process = self.process.as_ref()?;
        Some(process.id().as_raw_pid() as u32)
    }

    /// Turns the machine off: `TPM2_Shutdown(CLEAR)`, then the end.
    pub fn stop_gracefully(&mut self) {
        let process = self.process.take().expect("a TPM that runs");
        let shutdown = message(CommandCode::SHUTDOWN.0, &SU_CLEAR);
        let answer = Connection::open(self.ports().data()).unwrap().transmit(&shutdown).unwrap();
        assert_eq!(answer, message(0, &[]), "TPM2_Shutdown");
        process.end();
    }

    /// Pulls the plug. What it has written to NV before an answer is kept, except for indices that
    /// are `ORDERLY`. Its clock goes back, and counts as unsafe from then on, also after graceful
    /// stops. If anything was used since its start that is protected against dictionary attacks,
    /// this is counted as a wrong guess: after the third it is locked out.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Power again. It comes back at its old place, unless somebody has taken that.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        self.start([self.ports()].into_iter().chain(ports::free()));
    }

    /// What it would know if the plug were pulled now. Whoever starts on it finds what
    /// [`Swtpm::kill`] says.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::in_folder(&self.state())
    }

    /// Pulls the plug, puts an older state back, and gives it power.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.kill();
        snapshot.write(&self.state());
        self.start_again();
    }

    /// Another TPM with all that this one would know if the plug were pulled now.
    pub fn clone_elsewhere(&self) -> Swtpm {
        Swtpm::on(&self.snapshot(), self.authorities.clone())
    }

    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    fn start(&mut self, pairs: impl Iterator<Item = Ports>) {
        let mut said = String::new();
        for ports in pairs.take(TRIES) {
            match Process::start(self.dir.path(), ports) {
                Ok(process) => {
                    self.process = Some(process);
                    self.place.0.store(ports.data(), Ordering::Relaxed);
                    let answer = get_random(ports.data());
                    answer.unwrap_or_else(|error| panic!("{error}: {}", self.log()));
                    return;
                }
                Err(error) => said = error.to_string(),
            }
        }
        panic!("swtpm does not start: {said}");
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join(STATE)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Snapshot {
    /// Safe while swtpm runs: see [`STATE_FILE`].
    pub(super) fn in_folder(state: &Path) -> Self {
        Snapshot(fs::read(state.join(STATE_FILE)).unwrap())
    }

    fn write(&self, state: &Path) {
        fs::write(state.join(STATE_FILE), &self.0).unwrap();
    }
}

impl Place {
    pub(super) fn ports(&self) -> Ports {
        Ports::starting_at(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_that_was_taken_since_it_was_found_free_is_survived() {
        let mut tpm = Swtpm::blank();
        tpm.kill();
        let mut pairs = ports::free();
        let (lost, lost_too, won) =
            (pairs.next().unwrap(), pairs.next().unwrap(), pairs.next().unwrap());
        // Clients can connect there, too: that must not be taken for the TPM.
        let _data = TcpListener::bind(ports::loopback(lost.data())).unwrap();
        let _control = TcpListener::bind(ports::loopback(lost_too.control())).unwrap();
        tpm.start([lost, lost_too, won].into_iter());
        assert_eq!(tpm.ports(), won);
        assert!(get_random(won.data()).is_ok());
    }
}
