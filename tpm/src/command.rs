//! The commands of the helper. People use `strongroom tpm`; these are what it calls.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};
use engine::SeatTimes;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, RootFp};
use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::Serialize;

use crate::chip::{Passwords, Tcti, Trouble};
use crate::clock;
use crate::directory::Directory;
use crate::enroll::{self, Wanted};
use crate::helper::{Helper, Settings};
use crate::look::look;
use crate::machine_key::{Asked, Machine};
use crate::probe::probe;
use crate::rebind::rebind;
use crate::refusal::Refusal;
use crate::selftest::selftest;
use crate::server::{Admits, Ended, SOCKET, Server, Until};
use crate::signals;
use crate::vault::Access;

/// The way to the TPM where nothing else is said.
const TCTI_VARIABLE: &str = "STRONGROOM_TCTI";
/// Held while a helper is started, so that two clients start one.
const STARTING: &str = "starting";
/// What the helper that runs has to say.
const LOG: &str = "helper.log";
/// Seconds after the last client until the helper leaves: at least one commit for each time that it
/// comes and goes, and a TPM's memory wears out.
pub const IDLE_S: u64 = 1800;
/// Seconds for which a container that does not open is served, to say why.
const IDLE_SHUT_S: u64 = 5;
/// Exit code of a command that was refused: its output says why.
const REFUSED: u8 = 3;
/// Exit code of a helper whose folder another one serves.
const TAKEN: u8 = 4;
/// Milliseconds that the other one has to open the container, and between two looks at it.
const TAKEN_MS: u64 = 30_000;
const TAKEN_PAUSE_MS: u64 = 20;
/// Bytes of a file that is read from stdin.
const INPUT_LEN_MAX: u64 = 64 * 1024;
/// Times that a helper that fell is set up again.
const FALLS_MAX: u32 = 20;

#[derive(Parser)]
#[command(name = "strongroom-tpm", version, about = "Keeps soft licenses that a TPM seals")]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts a helper for a container, if there is none, and comes back when it serves.
    Start(ServeArgs),
    /// Keeps a helper running until it leaves by itself.
    Keep(ServeArgs),
    /// Serves a container.
    Serve(ServeArgs),
    /// Says what this machine has to bind licenses to, as JSON.
    Probe,
    /// Tests the TPM, and says how long it takes, as JSON; nothing stays.
    Selftest(FolderArgs),
    /// Makes the request for a certificate, to stdout; a container, where there is none.
    Request(RequestArgs),
    /// Answers a challenge: from stdin, to stdout.
    Prove(FolderArgs),
    /// Takes a certificate in, from stdin.
    Certify(FolderArgs),
    /// Says how a container that nobody serves stands, as JSON; nothing is changed.
    Look(FolderArgs),
    /// Binds a container that nobody serves anew to this machine as it is.
    Rebind(RebindArgs),
}

#[derive(Args)]
struct FolderArgs {
    /// The container's folder.
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Args)]
struct RequestArgs {
    /// The folder that it gets.
    #[arg(long)]
    dir: PathBuf,
    /// The firm: fingerprint of its root.
    #[arg(long, value_parser = |text: &str| RootFp::from_hex(text).ok_or("not a fingerprint"))]
    firm: RootFp,
    /// The container that was lost, whose place it takes: its id.
    #[arg(long, value_parser = |text: &str| ContainerId::from_hex(text).ok_or("not an id"))]
    replaces: Option<ContainerId>,
    /// Bind it to the machine by its traits alone.
    #[arg(long)]
    without_tpm: bool,
    /// How much of the machine may change: off, loose, medium or strict.
    #[arg(long)]
    tolerance: Option<Asked>,
}

#[derive(Args)]
struct RebindArgs {
    /// The container's folder.
    #[arg(long)]
    dir: PathBuf,
    /// How much of the machine may change from now on; without, as much as before.
    #[arg(long)]
    tolerance: Option<Asked>,
}

#[derive(Args)]
struct ServeArgs {
    /// The container's folder.
    #[arg(long)]
    dir: PathBuf,
    /// Seconds without a client until the helper leaves.
    #[arg(long, env = "STRONGROOM_TPM_IDLE_S", default_value_t = IDLE_S)]
    idle: u64,
    /// Let every user of this machine use the container, not only who owns the folder: it gets the
    /// rights to pass through (0711), the socket those to connect.
    #[arg(long)]
    shared: bool,
    /// Heartbeats of a second, for tests.
    #[arg(long, hide = true)]
    quick: bool,
}

impl ServeArgs {
    fn seats(&self) -> SeatTimes {
        match self.quick {
            true => SeatTimes { interval_s: 1, timeout_s: 3 },
            false => SeatTimes::default(),
        }
    }

    /// The same command with another verb.
    fn again(&self, verb: &str) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let idle = self.idle.to_string();
        command.args([verb, "--idle", &idle, "--dir"]).arg(&self.dir);
        let flags = [(self.shared, "--shared"), (self.quick, "--quick")];
        command.args(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag));
        Ok(command)
    }
}

/// Carries out the command of this process.
pub fn run() -> ExitCode {
    let done =
        private().and_then(|()| match Cli::parse().command {
            Verb::Start(args) => start(&args),
            Verb::Keep(args) => keep(&args),
            Verb::Serve(args) => serve(&args),
            Verb::Probe => told(as_json(&probe(access(), &Machine::this()))),
            Verb::Selftest(args) => told(
                selftest(&args.dir, access).map_err(Refusal::from).and_then(|seen| as_json(&seen)),
            ),
            Verb::Request(args) => {
                let of = (args.firm, args.replaces);
                let wanted = Wanted { is_without_tpm: args.without_tpm, tolerance: args.tolerance };
                told(enroll::request(&args.dir, of, wanted, access, &Machine::this()))
            }
            Verb::Prove(args) => told(input().map_err(Refusal::from).and_then(|challenge| {
                enroll::prove(&args.dir, access, &Machine::this(), &challenge)
            })),
            Verb::Certify(args) => told(input().map_err(Refusal::from).and_then(|certification| {
                enroll::certify(&args.dir, &certification).map(|_| Vec::new())
            })),
            Verb::Look(args) => told(look(&args.dir, access, &Machine::this())),
            Verb::Rebind(args) => {
                let bound = rebind(&args.dir, args.tolerance, access, &Machine::this());
                told(bound.and_then(|asked| as_json(&asked)))
            }
        });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("strongroom-tpm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes sure that somebody serves the folder.
fn start(args: &ServeArgs) -> io::Result<ExitCode> {
    let directory = Directory::open(&args.dir)?;
    // Whoever comes second finds the helper of the first.
    let mut own = File::options();
    // Others may be let through the folder, and whoever may read a file may lock it.
    own.create(true).write(true).mode(0o600);
    let starting = own.open(directory.path().join(STARTING))?;
    flock(&starting, FlockOperation::LockExclusive)?;
    if is_served(&args.dir) {
        return Ok(ExitCode::SUCCESS);
    }
    let mut keeper = args.again("keep")?;
    // Its own group, so that what ends the client's does not end it; and a file for what it has to
    // say, since who starts it does not stay to listen.
    let log = directory.path().join(LOG);
    let keeper =
        keeper.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(own.truncate(true).open(&log)?);
    let mut keeper = keeper.process_group(0).spawn()?;
    let mut said = String::new();
    if let Some(stdout) = &mut keeper.stdout {
        // A line when it serves, or nothing when it does not.
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut said)?;
    }
    if !said.is_empty() || (keeper.wait()?.code() == Some(TAKEN.into()) && soon_served(&args.dir)) {
        return Ok(ExitCode::SUCCESS);
    }
    eprint!("{}", std::fs::read_to_string(&log)?);
    Ok(ExitCode::FAILURE)
}

/// Sets a helper up again that was killed: those who hold seats come back to it.
fn keep(args: &ServeArgs) -> io::Result<ExitCode> {
    // Who started it may go; a terminal that hangs up is none of its business.
    let _ = rustix::process::setsid();
    for fall in 0..FALLS_MAX {
        let mut server = args.again("serve")?;
        // Whoever waits for the first has gone when there is a second.
        server.stdout(if fall == 0 { Stdio::inherit() } else { Stdio::null() });
        let status = server.spawn()?.wait()?;
        if fall == 0 {
            close_stdout()?;
        }
        if status.code().is_some() {
            return Ok(ExitCode::from(status.code().unwrap_or(1) as u8));
        }
    }
    Ok(ExitCode::FAILURE)
}

/// Serves until nobody is there for a while, or until it is told to end.
fn serve(args: &ServeArgs) -> io::Result<ExitCode> {
    let stop = signals::stop()?;
    let settings = Settings { access, machine: Machine::this(), seats: args.seats() };
    let Some(mut helper) = Helper::start(&args.dir, settings)? else {
        eprintln!("strongroom-tpm: another helper serves {}", args.dir.display());
        return Ok(ExitCode::from(TAKEN));
    };
    let admits = if args.shared { Admits::Everyone } else { Admits::Owner };
    if args.shared {
        Directory::open(&args.dir)?.let_through()?;
    }
    let mut server = Server::bind(&args.dir, admits)?;
    writeln!(io::stdout(), "ready")?;
    close_stdout()?;
    loop {
        // What shut it may have passed when the next one is started, so clients do not keep it up.
        let until = match helper.refusal() {
            Some(_) => Until::Past(IDLE_SHUT_S * 1000),
            None => Until::Alone(args.idle.saturating_mul(1000)),
        };
        match server.run(&mut helper, &stop, until)? {
            Ended::Over => {}
            // Where seats may still be in use, it waits for them.
            ended if helper.leave() || ended == Ended::Told => return Ok(ExitCode::SUCCESS),
            _ => {}
        }
    }
}

/// Writes what was made to stdout; or why it was not, as the encoded failure, with the exit code
/// [`REFUSED`], and on stderr what there is to say besides.
fn told(made: Result<Vec<u8>, Refusal>) -> io::Result<ExitCode> {
    let (bytes, code) = match made {
        Ok(bytes) => (bytes, ExitCode::SUCCESS),
        Err(refusal) => {
            eprint!("{}", refusal.detail);
            (protocol::codec::encode(&refusal.failure), ExitCode::from(REFUSED))
        }
    };
    io::stdout().write_all(&bytes)?;
    Ok(code)
}

fn as_json(seen: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    Ok(serde_json::to_vec(seen).map_err(|_| ErrorCode::Defect)?)
}

/// What stands on stdin.
fn input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().take(INPUT_LEN_MAX + 1).read_to_end(&mut bytes);
    match read {
        Ok(len) if len as u64 <= INPUT_LEN_MAX => Ok(bytes),
        _ => Err(ErrorCode::TooLong.with(bytes.len() as u64, INPUT_LEN_MAX)),
    }
}

/// Whether the helper that has the folder's lock answers soon: one that was killed is set up again
/// by its keeper, and may be ahead of one that a client starts meanwhile.
fn soon_served(folder: &Path) -> bool {
    let tries = TAKEN_MS / TAKEN_PAUSE_MS;
    (0..tries).any(|_| {
        let is_served = is_served(folder);
        if !is_served {
            clock::pause_ms(TAKEN_PAUSE_MS);
        }
        is_served
    })
}

/// Whether a helper answers. A connection is all that is asked for.
fn is_served(folder: &Path) -> bool {
    let open = || -> rustix::io::Result<OwnedFd> {
        let address = SocketAddrUnix::new(folder.join(SOCKET))?;
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        connect(socket.as_fd(), &address)?;
        Ok(socket)
    };
    open().is_ok()
}

/// Who waits for a line is told that there is no other.
fn close_stdout() -> io::Result<()> {
    let null = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(null)?)
}

/// No other process of this user reads its memory, and no core of it is written.
fn private() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// The way to the TPM, from the environment, and its passwords, from the files that it names.
fn access() -> Result<Access, Trouble> {
    let tcti = std::env::var(TCTI_VARIABLE).unwrap_or_else(|_| Tcti::DEVICE.into());
    let passwords = Passwords {
        owner: password("STRONGROOM_TPM_OWNER_PASSWORD_FILE")?,
        endorsement: password("STRONGROOM_TPM_ENDORSEMENT_PASSWORD_FILE")?,
    };
    Ok(Access { tcti: tcti.parse()?, passwords })
}

fn password(variable: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, Trouble> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let Some(path): Option<OsString> = std::env::var_os(variable) else { return Ok(bytes) };
    let file = File::open(path).map_err(|_| Trouble::Absent)?;
    file.take(65).read_to_end(&mut bytes).map_err(|_| Trouble::Absent)?;
    while bytes.last().is_some_and(|byte| *byte == b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}
