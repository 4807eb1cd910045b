//! `strongroom demo`: the main job from beginning to end, by the commands that a user would type.
//!
//! Every step runs this same program as a process of its own. What runs is what is printed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use vendor::{Result, Shown, files};

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
    let mut demo = Demo { dir, program, output, dongle: None };
    demo.vendor()?;
    demo.dongle()?;
    demo.license()?;
    demo.file()?;
    demo.program()?;
    demo.unplugged()?;
    demo.expired()?;
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
    dongle: Option<Child>,
}

/// What a step must come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Success,
    Refusal(i32),
}

const TABLE: &str = "city,visitors\nGraz,1200\nLinz,900\n";

impl Demo<'_> {
    fn vendor(&mut self) -> Result<()> {
        self.title("1. You are a vendor: make your keys and name a product");
        self.step("strongroom vendor init acme --name Acme --firm-code 100 --test")?;
        self.step("strongroom vendor product add 7 --name Editor --vendor acme")
    }

    fn dongle(&mut self) -> Result<()> {
        self.title("2. Plug in a dongle (a simulated one: --test vendors use no others)");
        self.show("strongroom sim run --state dongle --socket usb-port &");
        let child = Command::new(&self.program)
            .args(["sim", "run", "--state", "dongle", "--socket", "usb-port"])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Shown::io(&self.program, &error))?;
        self.output.say(first_line(self.dongle.insert(child))?);
        self.show("export STRONGROOM_SOURCES=sim:usb-port");
        self.step("strongroom container list")
    }

    fn license(&mut self) -> Result<()> {
        self.title("3. Put a license into it, by files that may travel by mail");
        self.step("strongroom container context --firm acme -o dongle.context")?;
        self.step(
            "strongroom vendor issue --vendor acme --context dongle.context --product 7 \
             --expires +30d --quantity 1 -o dongle.update",
        )?;
        self.step("strongroom update apply dongle.update --receipt dongle.receipt --yes")?;
        self.step("strongroom vendor receipt dongle.receipt --vendor acme")?;
        self.step("strongroom license list")
    }

    fn file(&mut self) -> Result<()> {
        self.title("4. Protect a data file, and open it with the license");
        let table = self.dir.join("table.csv");
        std::fs::write(&table, TABLE).map_err(|error| Shown::io(&table, &error))?;
        self.step(
            "strongroom protect file table.csv -o table.protected --vendor acme --product 7",
        )?;
        self.step("strongroom license open table.protected -o -")
    }

    fn program(&mut self) -> Result<()> {
        self.title("5. Protect a program that knows nothing of licenses, and run it");
        self.step("strongroom protect app /bin/echo -o echo --vendor acme --product 7")?;
        self.step("./echo This program was decrypted with a key from the dongle.")
    }

    fn unplugged(&mut self) -> Result<()> {
        self.title("6. Unplug the dongle: nothing runs, nothing opens");
        self.step("strongroom sim fault --socket usb-port unplug")?;
        self.refused("./echo This is never printed.", 125)?;
        self.refused("strongroom license open table.protected -o -", 3)?;
        self.step("strongroom sim fault --socket usb-port plug")
    }

    fn expired(&mut self) -> Result<()> {
        self.title("7. Let 31 days pass: the license has expired");
        self.step("strongroom sim fault --socket usb-port jump-clock 2678400")?;
        self.refused("./echo This is never printed.", 125)?;
        self.refused("strongroom license why 7", 5)
    }

    fn end(&mut self) {
        if let Some(mut dongle) = self.dongle.take() {
            let pid = rustix::process::Pid::from_child(&dongle);
            // It is our own child, and it cleans up after itself when asked.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
            dongle.wait().ok();
        }
    }

    fn title(&self, text: &str) {
        self.output.say(format!("\n\x1b[1m{text}\x1b[0m"));
    }

    fn show(&self, line: &str) {
        self.output.say(format!("\x1b[36m$ {line}\x1b[0m"));
    }

    fn step(&self, line: &str) -> Result<()> {
        self.carry_out(line, Expect::Success)
    }

    fn refused(&self, line: &str, code: i32) -> Result<()> {
        self.carry_out(line, Expect::Refusal(code))
    }

    /// Runs a command line without quotes, and shows what it says.
    fn carry_out(&self, line: &str, expect: Expect) -> Result<()> {
        self.show(line);
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let program = match name {
            "strongroom" => self.program.clone(),
            other => self.dir.join(other),
        };
        let run = Command::new(&program)
            .args(words)
            .current_dir(&self.dir)
            .env("STRONGROOM_SOURCES", "sim:usb-port")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Shown::io(&program, &error))?;
        let said = [run.stderr, run.stdout].map(|b| String::from_utf8_lossy(&b).into_owned());
        let said = said.iter().map(|text| text.trim_end()).filter(|text| !text.is_empty());
        said.for_each(|text| self.output.say(text));
        check(line, run.status, expect)?;
        if let Expect::Refusal(code) = expect {
            self.output.say(format!("(refused, as it should be: exit code {code})"));
        }
        Ok(())
    }
}

impl Drop for Demo<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the simulator says when it is ready.
fn first_line(dongle: &mut Child) -> Result<String> {
    let mut line = String::new();
    let read = dongle.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
    match read {
        Some(Ok(len)) if len > 0 => Ok(line.trim_end().to_owned()),
        _ => Err(Shown::not_found("the simulated dongle did not start", "See above.")),
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
