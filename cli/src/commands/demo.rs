//! `strongroom demo`: the main job from beginning to end, by the commands that a user would type.
//!
//! Every step runs this same program as a process of its own. What runs is what is printed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use vendor::{Result, Shown, files};

use super::central;
use crate::args::DemoArgs;
use crate::output::Output;

pub(super) fn run(args: &DemoArgs, output: &Output) -> Result<()> {
    let scratch =
        tempfile::tempdir().map_err(|error| Shown::io(Path::new("temporary folder"), &error))?;
    let dir = match &args.keep {
        Some(dir) => {
            files::make_folder(dir)?;
            std::path::absolute(dir).map_err(|error| Shown::io(dir, &error))?
        }
        None => scratch.path().to_owned(),
    };
    let program = std::env::current_exe().map_err(|error| Shown::io(&dir, &error))?;
    let mut demo = Demo { dir, program, output, running: Vec::new(), env: Vec::new() };
    demo.central()?;
    demo.dongles()?;
    demo.sell()?;
    demo.protect()?;
    demo.renew()?;
    demo.relocate()?;
    demo.suspend()?;
    demo.revoke()?;
    demo.end();
    let kept = args.keep.is_some().then_some(&demo.dir);
    let data = serde_json::json!({ "kept": kept });
    let text = match kept {
        Some(dir) => format!("\nThat was all. Everything is kept in {}.", dir.display()),
        None => "\nThat was all, and nothing is left behind.".to_owned(),
    };
    output.data("demo", data, text);
    Ok(())
}

/// The world of the demo.
struct Demo<'a> {
    dir: PathBuf,
    program: PathBuf,
    output: &'a Output,
    /// The server and the dongles, which end with the demo.
    running: Vec<Child>,
    /// What was exported for the commands behind.
    env: Vec<(&'static str, String)>,
}

/// What a step must come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Success,
    Refusal(i32),
}

const TABLE: &str = "city,visitors\nGraz,1200\nLinz,900\n";

impl Demo<'_> {
    fn central(&mut self) -> Result<()> {
        self.title("1. You are a vendor: found a License Central");
        self.export("STRONGROOM_HOME", "home");
        self.step("license-central init --data central --vendor acme --name Acme --test")?;
        let line = "license-central serve --data central --sales 127.0.0.1:0 \
            --gateway 127.0.0.1:0 --admin 127.0.0.1:0";
        let [sales, gateway, admin] = self.background(line)?;
        let address = |line: &str| line.split_whitespace().last().unwrap_or_default().to_owned();
        let (sales, gateway, admin) = (address(&sales), address(&gateway), address(&admin));
        self.step(&format!(
            "strongroom central login --admin {admin} --sales {sales} --key-file central/owner.key"
        ))?;
        self.export("STRONGROOM_GATEWAY", &format!("{gateway}/v1/acme"));
        self.title("2. Name a product and what your shop sells of it");
        self.step(
            "strongroom central product add --code 7 --name Editor --quantity 1 --checkpoint 30d \
             --renew-window 30d",
        )?;
        self.step("strongroom central item add --sku ED-1 --name Editor --product 7")
    }

    fn dongles(&mut self) -> Result<()> {
        self.title("3. Plug in two dongles (simulated ones: --test vendors use no others)");
        for name in ["one", "two"] {
            let line = format!("strongroom sim run --state {name} --socket port-{name}");
            let [said] = self.background(&line)?;
            self.output.say(said);
        }
        self.export("STRONGROOM_SOURCES", "sim:port-one");
        self.step("strongroom container list")
    }

    fn sell(&mut self) -> Result<()> {
        self.title("4. An order becomes a ticket, and the ticket a license in the first dongle");
        let said = self.asked("strongroom central order add --number 4711 --sku ED-1")?;
        let ticket = said.split_whitespace().find(|word| word.matches('-').count() == 5);
        let ticket = ticket.ok_or_else(|| Shown::not_found("no ticket was told", "See above."))?;
        self.step(&format!("strongroom activate {ticket} --yes"))?;
        self.step("strongroom license list")
    }

    fn protect(&mut self) -> Result<()> {
        self.title("5. Protect a data file and a program that knows nothing of licenses");
        let table = self.dir.join("table.csv");
        std::fs::write(&table, TABLE).map_err(|error| Shown::io(&table, &error))?;
        let vendor = "--vendor central/vendors/acme --product 7";
        self.step("strongroom vendor product add 7 --name Editor --vendor central/vendors/acme")?;
        self.step(&format!("strongroom protect file table.csv -o table.protected {vendor}"))?;
        self.step("strongroom license open table.protected -o -")?;
        self.step(&format!("strongroom protect app /bin/echo -o echo {vendor}"))?;
        self.step("./echo This program was decrypted with a key from the dongle.")
    }

    fn renew(&mut self) -> Result<()> {
        self.title("6. The license lapses at its checkpoint, unless it is renewed before");
        self.step("strongroom renew --yes")?;
        self.step("./echo Renewed.")
    }

    fn relocate(&mut self) -> Result<()> {
        self.title("7. Move it to the second dongle: out of the one, then into the other");
        self.export("STRONGROOM_SOURCES", "sim:port-two");
        let said = self.asked("strongroom container list")?;
        let serial = said.split_whitespace().find(|word| word.starts_with("DONGLE-"));
        let serial = serial.unwrap_or_default().trim_end_matches(',');
        self.export("STRONGROOM_SOURCES", "sim:port-one,sim:port-two");
        self.step(&format!("strongroom move --to {serial} --yes"))?;
        self.export("STRONGROOM_SOURCES", "sim:port-two");
        self.step("./echo It runs with the second dongle.")?;
        self.export("STRONGROOM_SOURCES", "sim:port-one");
        self.refused("./echo This is never printed.", 125)?;
        self.export("STRONGROOM_SOURCES", "sim:port-two");
        Ok(())
    }

    fn suspend(&mut self) -> Result<()> {
        self.title("8. The customer does not pay: suspend the license, then reinstate it");
        let said = self.asked("strongroom central grant list")?;
        let grant = said.split_whitespace().find(|word| word.starts_with("gra_"));
        let grant = grant.unwrap_or_default();
        self.step(&format!("strongroom central grant suspend {grant} --reason unpaid --yes"))?;
        self.step("strongroom collect --yes")?;
        self.refused("./echo This is never printed.", 125)?;
        self.step(&format!("strongroom central grant reinstate {grant} --reason paid --yes"))?;
        self.step("strongroom collect --yes")?;
        self.step("./echo Paid.")
    }

    fn revoke(&mut self) -> Result<()> {
        self.title("9. Revoke it for good");
        let said = self.asked("strongroom central ticket list")?;
        let ticket = said.split_whitespace().find(|word| word.starts_with("tic_"));
        let ticket = ticket.unwrap_or_default();
        self.step(&format!("strongroom central ticket withdraw {ticket} --yes"))?;
        self.step("strongroom collect --yes")?;
        self.refused("./echo This is never printed.", 125)?;
        self.refused("strongroom license open table.protected -o -", 5)?;
        self.step("strongroom central grant list")
    }

    fn end(&mut self) {
        for mut child in self.running.drain(..) {
            let pid = rustix::process::Pid::from_child(&child);
            // They are our own children, and clean up after themselves when asked.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
            child.wait().ok();
        }
    }

    fn title(&self, text: &str) {
        self.output.say(format!("\n\x1b[1m{text}\x1b[0m"));
    }

    fn show(&self, line: &str) {
        self.output.say(format!("\x1b[36m$ {line}\x1b[0m"));
    }

    fn export(&mut self, name: &'static str, value: &str) {
        self.show(&format!("export {name}={value}"));
        self.env.retain(|(own, _)| *own != name);
        self.env.push((name, value.to_owned()));
    }

    fn step(&self, line: &str) -> Result<()> {
        self.asked(line).map(drop)
    }

    /// Runs a command line, and returns what it printed.
    fn asked(&self, line: &str) -> Result<String> {
        self.carry_out(line, Expect::Success)
    }

    fn refused(&self, line: &str, code: i32) -> Result<()> {
        self.carry_out(line, Expect::Refusal(code)).map(drop)
    }

    /// A command line without quotes, in the demo's folder.
    fn command(&self, line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let program = match name {
            "strongroom" => self.program.clone(),
            "license-central" => central::server::path()?,
            other => self.dir.join(other),
        };
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.dir).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        Ok(command)
    }

    /// Starts what goes on running, and waits for the first lines that it prints.
    fn background<const N: usize>(&mut self, line: &str) -> Result<[String; N]> {
        self.show(&format!("{line} &"));
        let log = self.dir.join("central.log");
        let log = std::fs::File::create(&log).map_err(|error| Shown::io(&log, &error))?;
        let child = self.command(line)?.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.map_err(|error| Shown::io(&self.program, &error))?;
        let stdout = child.stdout.take();
        self.running.push(child);
        let mut said = stdout.map(|stdout| BufReader::new(stdout).lines());
        let lines: [Option<String>; N] =
            std::array::from_fn(|_| said.as_mut().and_then(Iterator::next).and_then(|l| l.ok()));
        if lines.contains(&None) {
            return Err(Shown::not_found(format!("`{line}` did not start"), "See above."));
        }
        Ok(lines.map(Option::unwrap_or_default))
    }

    /// Runs a command line, and shows what it says.
    fn carry_out(&self, line: &str, expect: Expect) -> Result<String> {
        self.show(line);
        let run = self.command(line)?.output().map_err(|error| Shown::io(&self.program, &error))?;
        let said = [run.stderr, run.stdout].map(|b| String::from_utf8_lossy(&b).into_owned());
        let texts = said.iter().map(|text| text.trim_end()).filter(|text| !text.is_empty());
        texts.for_each(|text| self.output.say(text));
        check(line, run.status, expect)?;
        if let Expect::Refusal(code) = expect {
            self.output.say(format!("(refused, as it should be: exit code {code})"));
        }
        let [_, stdout] = said;
        Ok(stdout)
    }
}

impl Drop for Demo<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn check(line: &str, status: ExitStatus, expect: Expect) -> Result<()> {
    let wanted = match expect {
        Expect::Success => 0,
        Expect::Refusal(code) => code,
    };
    if status.code() == Some(wanted) {
        return Ok(());
    }
    Err(Shown::conflict(
        format!("`{line}` ended with {status}, and not with code {wanted}"),
        "The demo stops here; this is a defect of Strongroom.",
    ))
}
