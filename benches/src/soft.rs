//! A soft license's container on a software TPM: a commit beside what no commit can do without.
//!
//! The limit is an index read and written in one exclusive audit session, by the same code, session
//! and size, and a file written and made durable with its folder. Both sides use one connection.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::Swtpm;
use strongroom_tests::vendor::Vendor;
use tempfile::TempDir;
use tpm::binding::{self, Binding};
use tpm::chip::{Chip, Head, Passwords};
use tpm::directory::Directory;
use tpm::vault::{Access, Vault};

use crate::Result;
use crate::clock::wall_s;
use crate::measure::{Pair, against, in_turn, median};
use crate::table::{Row, short};

const BOUND: f64 = 1.3;
/// Commits of each side that a median is of.
const ROUNDS: usize = 101;
/// Starts and openings that a median is of.
const STARTS: usize = 15;
/// Bytes of a state: some twenty licenses.
const STATE_LEN: usize = 4096;
/// Bytes of an index, as a container's.
const INDEX_LEN: usize = 64;
/// Where the floor's index is: on a TPM of its own, the first container's is in front.
const INDEX_HANDLE: u32 = 0x0184_c002;
/// What opens it.
const AUTH: [u8; 32] = [6; 32];
const MS: (&str, f64) = ("ms", 1e3);

/// A container that its vendor certified, on a TPM of its own.
struct Soft {
    tpm: Swtpm,
    helper: PathBuf,
    dir: TempDir,
}

/// What the limit writes to.
struct Floor {
    head: Head,
    content: [u8; INDEX_LEN],
    folder: PathBuf,
    bytes: Vec<u8>,
    written: u32,
}

/// A commit over its floor, and what else a user waits for.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let soft = Soft::new()?;
    let start = times(|| soft.start())?;
    let open = times(|| wall_s(|| soft.open().map(drop)))?;
    let pairs = soft.commits()?;
    let name = "soft license: commit / index read and written, 2 fsyncs";
    let last = pairs.last().copied().ok_or("nothing was measured")?;
    Ok(vec![
        Row::of_pairs(name, &pairs, Some(BOUND), MS, ("ours", "bare")),
        alone("soft license: start of the helper", &start),
        alone("soft license: commit", &[last.ours_s]),
        alone("soft license: opening of the state", &open),
    ])
}

fn times(mut work: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    work()?;
    (0..STARTS).map(|_| work()).collect()
}

fn alone(name: &str, seconds: &[f64]) -> Row {
    let ms = median(seconds.to_vec()) * 1e3;
    eprintln!("  {name}: {} ms", short(ms));
    let beside = "on a software TPM".into();
    Row { name: name.into(), values: vec![ms], unit: "ms", bound: None, beside }
}

impl Soft {
    fn new() -> Result<Self> {
        let helper = std::env::current_exe()?.with_file_name("strongroom-tpm");
        if !helper.exists() {
            return Err(format!("{} is not built", helper.display()).into());
        }
        let soft = Soft { tpm: Swtpm::blank(), helper, dir: tempfile::tempdir()? };
        let vendor = Vendor::new("Acme", &mut Dice::of(1, 1));
        let made = soft.command("request").args(["--firm", &vendor.fp().to_string()]).output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        let Binding { container, keys, .. } = soft.binding()?;
        let keys = [keys.identity, keys.channel, keys.sealing];
        let certification = vendor.certification(container, soft.binding()?.anchor(), keys);
        tpm::enroll::certify(&soft.folder(), &certification).map_err(|why| format!("{why:?}"))?;
        Ok(soft)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("soft")
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.helper);
        command.arg(verb).arg("--dir").arg(self.folder()).stdin(Stdio::null());
        command.env("STRONGROOM_TCTI", self.tpm.tcti());
        command
    }

    fn binding(&self) -> Result<Binding> {
        let file = std::fs::read(self.folder().join(binding::NAME))?;
        Ok(Binding::read(&file).map_err(|why| format!("{why:?}"))?)
    }

    /// Seconds from the call of a helper until it serves.
    fn start(&self) -> Result<f64> {
        let mut helper = None;
        let seconds = wall_s(|| {
            let child = self.command("serve").stdout(Stdio::piped()).spawn()?;
            let stdout = helper.insert(child).stdout.take().ok_or("a pipe was asked for")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            if line == "ready\n" { Ok(()) } else { Err("the helper did not start".into()) }
        });
        if let Some(helper) = helper {
            ended(helper)?;
        }
        seconds
    }

    fn open(&self) -> Result<Vault> {
        let directory = Directory::open(&self.folder())?;
        let access = Access { tcti: self.tpm.tcti().parse()?, passwords: Passwords::default() };
        let (vault, _) = Vault::open(directory, &self.binding()?, access, &[0; 32])?;
        Ok(vault)
    }

    /// Commits in turn with their floor. The container is of no use after that.
    fn commits(&self) -> Result<Vec<Pair>> {
        let mut vault = self.open()?;
        let state = vec![0x5a; STATE_LEN];
        vault.commit(&state)?;
        let mut floor = Floor::new(self.dir.path(), &mut vault, longest_len(&self.folder())?)?;
        let vault = RefCell::new(vault);
        against(Some(BOUND), || {
            in_turn(
                ROUNDS,
                || wall_s(|| Ok(vault.borrow_mut().commit(&state)?)),
                || wall_s(|| floor.step(connected(&mut vault.borrow_mut())?)),
            )
        })
    }
}

impl Floor {
    /// Beside the container's own index, and on the disk of its folder.
    fn new(dir: &Path, vault: &mut Vault, len: usize) -> Result<Self> {
        let (chip, content) = (connected(vault)?, [0; INDEX_LEN]);
        let (head, _) = chip.define_head(INDEX_HANDLE, &AUTH, &content)?;
        let folder = dir.join("floor");
        std::fs::create_dir(&folder)?;
        Ok(Floor { head, content, folder, bytes: vec![0x5a; len], written: 0 })
    }

    fn step(&mut self, chip: &mut Chip) -> Result<()> {
        self.written += 1;
        let mut file = File::create_new(self.folder.join(self.written.to_string()))?;
        file.write_all(&self.bytes)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()?;
        if *chip.load_head(self.head)? != self.content {
            return Err("the index has another content".into());
        }
        self.content[..4].copy_from_slice(&self.written.to_be_bytes());
        Ok(chip.store_head(self.head, &self.content)?)
    }
}

fn connected(vault: &mut Vault) -> Result<&mut Chip> {
    Ok(vault.chip().ok_or("the vault has no TPM")?)
}

/// Bytes of the longest file of a state.
fn longest_len(folder: &Path) -> Result<usize> {
    let mut longest = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"state.") {
            longest = longest.max(entry.metadata()?.len());
        }
    }
    Ok(usize::try_from(longest)?)
}

/// Tells a helper to end, which frees what it has in the TPM, and waits until it did.
fn ended(mut helper: Child) -> Result<()> {
    kill_process(Pid::from_child(&helper), Signal::TERM)?;
    helper.wait()?;
    Ok(())
}
