//! Damaged and foreign files, dongles that fail in the middle, full disks: what is wrong is said,
//! and nothing is half done.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_tests::dice::Dice;

use crate::world::{NOBODY, Outcome, World, built, run};

/// A world in which a first license is applied and all kinds of file exist.
fn with_files() -> World {
    let world = World::licensed("rtc", "--quantity 1");
    world.context("context");
    world.cli("update receipt --firm acme -o receipt").ok();
    let issue = "vendor issue --vendor acme --context context --product 7 --quantity 2 -o update";
    world.cli(issue).ok();
    fs::write(world.path("plain"), "what nobody else may read\n").expect("room");
    world.cli("protect file plain -o artifact --vendor acme --product 7").ok();
    world
}

/// The command that takes a kind of file in, from `bad`.
fn taking(kind: &str) -> &'static str {
    match kind {
        "update" => "update apply bad --receipt out --yes",
        "context" => "vendor issue --vendor acme --context bad --product 7 -o out",
        "receipt" => "vendor receipt bad --vendor acme",
        _ => "license open bad -o out",
    }
}

/// Gives damaged files to the command that takes them: each must be refused with a code, a reason
/// and a way out, and nothing may have changed in the end.
#[track_caller]
fn refused_all(
    world: &World,
    kind: &str,
    damaged: impl Iterator<Item = (String, Vec<u8>)>,
    fits: impl Fn(&Outcome) -> bool,
) {
    let before = (world.state(), world.vendor_state(), names(world));
    let mut count = 0;
    for (what, bytes) in damaged {
        fs::write(world.path("bad"), bytes).expect("room");
        let got = world.cli(taking(kind));
        assert!(is_explained(&got) && fits(&got), "{kind}, {what}: {got:?}");
        count += 1;
    }
    fs::remove_file(world.path("bad")).expect("own file");
    assert!(count > 0);
    assert_eq!((world.state(), world.vendor_state(), names(world)), before, "{kind}");
    println!("{kind}: {count} refused");
}

/// `error [S0107]: what happened`, then what to do.
fn is_explained(got: &Outcome) -> bool {
    let mut lines = got.stderr.lines().skip_while(|line| !line.starts_with("error [S"));
    let title = lines.next().is_some_and(|line| line.contains("]: "));
    let hint = lines.next().is_some_and(|line| line.starts_with("  ") && line.ends_with('.'));
    got.stdout.is_empty() && title && hint
}

/// Names of all files in the world's folder.
fn names(world: &World) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.path("")).expect("a folder");
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    names
}

const KINDS: [&str; 4] = ["update", "context", "receipt", "artifact"];

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let world = with_files();
    for kind in KINDS {
        let whole = fs::read(world.path(kind)).expect("own file");
        let cuts = (0..whole.len()).map(|len| (format!("{len} bytes"), whole[..len].to_vec()));
        refused_all(&world, kind, cuts, |got| got.code == 6);
    }
    world.cli("update apply update --yes").ok();
}

#[test]
fn a_file_with_any_bit_flipped_is_refused() {
    let world = with_files();
    let mut dice = Dice::new(0x0f11);
    for kind in KINDS {
        let whole = fs::read(world.path(kind)).expect("own file");
        let first = dice.below(3);
        let flips = (first..whole.len()).step_by(3).map(|at| {
            let (mut bytes, bit) = (whole.clone(), dice.below(8));
            bytes[at] ^= 1 << bit;
            (format!("bit {bit} of byte {at}"), bytes)
        });
        // A header may now name another version, kind, container or place in the chain.
        refused_all(&world, kind, flips, |got| [1, 2, 5, 6, 7].contains(&got.code));
    }
    world.cli("update apply update --yes").ok();
}

#[test]
fn a_file_with_something_behind_it_is_refused() {
    let world = with_files();
    for kind in KINDS {
        let whole = fs::read(world.path(kind)).expect("own file");
        let longer = [&whole[..], b"x"].concat();
        let twice = [&whole[..], &whole[..]].concat();
        let files = [("a byte", longer), ("itself", twice)];
        let files = files.into_iter().map(|(what, bytes)| (what.to_owned(), bytes));
        refused_all(&world, kind, files, |got| got.code == 6);
    }
}

#[test]
fn other_kinds_newer_versions_and_no_files_of_ours_are_named() {
    let world = with_files();
    for kind in KINDS {
        let others = KINDS.iter().filter(|other| **other != kind);
        let others = others.chain(["acme/root.strgroom"].iter());
        let files = others.map(|other| (other.to_string(), read(&world, other)));
        let named = |got: &Outcome| got.code == 2 && got.stderr.contains("S0106");
        refused_all(&world, kind, files, named);
        let mut newer = read(&world, kind);
        newer[9] = 2;
        let named = |got: &Outcome| got.code == 1 && got.stderr.contains("S0103");
        refused_all(&world, kind, [("newer".to_owned(), newer)].into_iter(), named);
        let foreign = [("text", b"hello, world\n".to_vec()), ("nothing", Vec::new())];
        let foreign = foreign.into_iter().map(|(what, bytes)| (what.to_owned(), bytes));
        refused_all(&world, kind, foreign, |got| got.stderr.contains("S0105"));
        world.cli(&taking(kind).replace("bad", "missing")).refused(3, &["missing"]);
        let folder = world.cli(&taking(kind).replace("bad", "work"));
        assert!([1, 3].contains(&folder.code) && folder.stderr.contains("work"), "{folder:?}");
    }
}

fn read(world: &World, name: &str) -> Vec<u8> {
    fs::read(world.path(name)).expect("own file")
}

/// A sample, since each is some megabytes.
#[test]
fn a_damaged_program_starts_nothing() {
    let world = World::licensed("rtc", "--quantity 1");
    let sealed = world.protect(Path::new("/bin/touch"), "");
    let whole = fs::read(&sealed).expect("own file");
    let artifact = fs::metadata(built("strongroom-loader")).expect("a file").len().div_ceil(4096);
    let artifact = usize::try_from(artifact * 4096).expect("a small file");
    let mut dice = Dice::new(0x0f12);
    let len = whole.len() - artifact;
    let bad = world.path("sealed/bad");
    let start = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).expect("room");
        fs::set_permissions(&bad, fs::Permissions::from_mode(0o755)).expect("own file");
        let got = world.run(&bad, &["trace"], "");
        assert!(got.code == 125 && got.stderr.contains("(S0"), "{what}: {got:?}");
        assert!(!world.path("work/trace").exists(), "{what}: it ran");
        got
    };
    for n in 0..60 {
        let at = artifact + if n < 30 { dice.below(800) } else { dice.below(len) };
        start(&whole[..at], &format!("cut at {at} of {}", whole.len()));
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << dice.below(8);
        start(&flipped, &format!("a bit of byte {at} flipped"));
    }
    for back in [1, 15, 16, 17, 4095, 4096, 4097] {
        start(&whole[..whole.len() - back], &format!("cut by {back}"));
    }
    let mut newer = whole.clone();
    newer[artifact + 9] = 2;
    assert!(start(&newer, "newer").stderr.contains("S0103"));
    let verify = format!("protect verify {}", bad.display());
    world.cli(&verify).refused(1, &["S0103"]);
    fs::write(&bad, &whole[..whole.len() - 1]).expect("room");
    world.cli(&verify).refused(6, &["S0107"]);
    world.run(&sealed, &["trace"], "").ok();
}

/// The power goes away at writes all over an update: the old or the new state, and the update can
/// be brought to its end.
#[test]
fn a_power_cut_in_the_middle_of_an_update_leaves_the_old_or_the_new_state() {
    let world = World::licensed("rtc", "--quantity 1");
    let mut dice = Dice::new(0x0f13);
    let (mut old, mut new, mut writes) = (0, 0, 0);
    loop {
        let quantity = writes + 2;
        let before = world.state();
        issue(&world, quantity);
        world.fault(&format!("cut-power {writes} {}", ["before", "during", "after"][writes % 3]));
        let applied = world.cli("update apply update --yes");
        world.fault("unplug");
        world.fault("plug");
        if applied.code == 0 {
            assert!(old > 0, "no cut hit the update");
            break;
        }
        assert!([1, 3].contains(&applied.code), "{applied:?}");
        let wanted = format!("\"quantity\":{quantity}");
        let after = world.state();
        if after == before {
            old += 1;
            world.cli("update apply update --yes").ok();
        } else {
            new += 1;
            world.cli("update apply update --yes").refused(7, &["S0404"]);
        }
        assert!(world.state().contains(&wanted), "neither the old nor the new state: {after}");
        fs::remove_file(world.path("update")).expect("own file");
        writes += 1 + dice.below(8);
    }
    println!("cuts: {old} to the old state, {new} to the new, {writes} writes in the last");
}

/// Issues the next update for the dongle at `usb`.
fn issue(world: &World, quantity: usize) {
    world.context("context");
    let line = "vendor issue --vendor acme --context context --product 7 -o update --quantity";
    world.cli(&format!("{line} {quantity}")).ok();
}

#[test]
fn a_dongle_that_fails_in_the_middle_of_an_update_can_be_asked_again() {
    let world = World::licensed("rtc", "--quantity 1");
    issue(&world, 2);
    world.fault("slow 150");
    let mut apply = world.spawn(&built("strongroom"), &["update", "apply", "../update", "--yes"]);
    // Somewhere in the middle of it: what becomes of it is one thing or the other.
    world.cli("container show").ok();
    world.fault("unplug");
    let ended = apply.wait().expect("a child");
    assert!([0, 1, 3, 6].contains(&ended.code().expect("no signal")), "{ended}");
    world.fault("plug");
    world.fault("slow 0");
    let again = world.cli("update apply update --yes");
    assert!([0, 7].contains(&again.code), "{again:?}");
    assert!(world.state().contains("\"quantity\":2"));
    fs::remove_file(world.path("update")).expect("own file");
    issue(&world, 3);
    world.fault("stall on");
    world.cli("update apply update --yes").refused(3, &["S0204"]);
    world.fault("stall off");
    let again = world.cli("update apply update --yes");
    assert!([0, 7].contains(&again.code), "{again:?}");
    assert!(world.state().contains("\"quantity\":3"));
}

/// A small disk, mounted for the test.
pub(crate) struct Disk(pub(crate) PathBuf);

impl Disk {
    pub(crate) fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).expect("a folder");
        let options = ["-t", "tmpfs", "-o", "size=64k", "strongroom-test"];
        let status = Command::new("/bin/mount").args(options).arg(&at).status();
        assert!(status.expect("mount").success(), "root may mount");
        Disk(at)
    }

    /// Leaves no room.
    fn fill(&self) {
        assert!(fs::write(self.0.join("filler"), vec![1; 128 * 1024]).is_err());
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("own file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("/bin/umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_gets_nothing_half_written() {
    let world = with_files();
    let disk = Disk::mount(world.path("disk"));
    let copied = Command::new("/bin/cp").arg("-a").arg(world.path("acme")).arg(&disk.0).status();
    assert!(copied.expect("cp").success());
    disk.fill();
    let before = (world.state(), world.vendor_state(), tree(&disk.0));
    for command in [
        "container context --firm acme -o disk/out",
        "update receipt --firm acme -o disk/out",
        "vendor issue --vendor acme --context context --product 7 -o disk/out",
        "vendor issue --vendor disk/acme --context context --product 7 -o out",
        "vendor product add 9 --name Nine --vendor disk/acme",
        "vendor receipt receipt --vendor disk/acme",
        "vendor init disk/new --name New --test",
        "protect file plain -o disk/out --vendor acme --product 7",
        "protect app /bin/echo -o disk/out --vendor acme --product 7",
        "license open artifact -o disk/out",
    ] {
        if command.starts_with("vendor receipt") {
            // Nothing is new in it, or it is refused: nothing is torn either way.
            assert!([0, 1].contains(&world.cli(command).code));
        } else {
            let got = world.cli(command);
            assert!(got.code == 1 && got.stderr.contains("No space left"), "{command}: {got:?}");
        }
        assert!(!world.path("out").exists(), "{command}");
        assert_eq!(tree(&disk.0), before.2, "{command}");
    }
    assert_eq!((world.state(), world.vendor_state()), (before.0, before.1));
    // What the dongle did stays done, and is said.
    let got = world.cli("update apply update --receipt disk/out --yes").refused(1, &["applied"]);
    assert!(got.stderr.contains("update receipt --firm"), "{}", got.stderr);
    assert!(world.state().contains("\"quantity\":2") && !world.path("disk/out").exists());
    disk.empty();
    world.cli("update receipt --firm acme -o disk/out").ok();
    world.cli("vendor receipt disk/out --vendor acme").ok();
}

/// All files below a folder with their lengths.
fn tree(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let len = fs::metadata(&path).expect("a file").len();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => found.push((path, len)),
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_that_may_not_be_written_stays_as_it_is() {
    let world = World::licensed_to_nobody("rtc", "--quantity 1");
    issue(&world, 2);
    fs::write(world.path("plain"), "text").expect("room");
    world.cli("protect file plain -o artifact --vendor acme --product 7").ok();
    // The user has a vendor directory of his own, in which he may not write.
    world.cli("vendor init shut --name Shut --test").ok();
    for (path, _) in tree(&world.path("shut")) {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root");
    }
    let before = (world.state(), tree(&world.path("")));
    for (words, code) in [
        ("container context --firm ../acme -o ../out", 4),
        ("update receipt --firm ../acme -o ../out", 4),
        ("update apply ../update --receipt ../out --yes", 4),
        ("license open ../artifact -o ../out", 4),
        ("protect file ../plain -o ../out --vendor ../acme --product 7", 4),
        ("vendor product add 9 --name Nine --vendor ../shut", 4),
        ("vendor init ../new --name New --test", 4),
        ("sim run --state ../other --socket ../other.socket", 4),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let got = run(&mut world.command(&built("strongroom"), &words), "");
        assert_eq!(got.code, code, "{words:?}: {got:?}");
        let hint = got.stderr.lines().any(|line| line.starts_with("  ") && line.ends_with('.'));
        assert!(hint, "{words:?}: {}", got.stderr);
        assert_eq!((world.state(), tree(&world.path(""))), before, "{words:?}");
    }
    world.cli("update apply update --receipt out --yes").ok();
}
