//! `strongroom protect`: encrypt programs and files, and check the result.

mod open;
pub(crate) mod texts;

use std::path::{Path, PathBuf};

use protector::artifact::{Firm, Protection, Signer, SlotSpec};
use protector::atomic::Existing;
use protector::elf::{Concern, Verdict};
use protector::protect::{
    Paths, ProgramSettings, ProtectError, Protected, check_file, check_program, protect_file,
    protect_program,
};
use protector::verify::{ContentCheck, VerifyError, verify};
use protocol::codec::Text;
use protocol::errors::ErrorCode;
use protocol::objects::artifact::{LossPolicy, ProgramOptions};
use protocol::objects::license::Requirement;
use protocol::signed::Role;
use serde_json::json;
use vendor::{KeyRing, Result, Shown, SystemRandom, Token, Vendor, files};

use super::shown;
use crate::args::{Loss, ProtectCommand, RequirementArgs};
use crate::output::Output;
use crate::{beside, clock, reach};

pub(super) use open::{open_file, would_open};

/// File name of the loader beside this program.
const LOADER: &str = "strongroom-loader";

pub(super) fn run(command: &ProtectCommand, output: &Output) -> Result<()> {
    match command {
        ProtectCommand::File { input, output: path, requirement, trap } => {
            file(input, path, requirement, *trap, output)
        }
        ProtectCommand::App {
            input,
            output: path,
            requirement,
            accept,
            loss,
            loss_seconds,
            allow_preload,
            texts,
            loader,
        } => {
            let options = ProgramOptions {
                loss: loss_policy(*loss, *loss_seconds),
                allow_preload: *allow_preload,
                accept_unwatched_forks: false,
                refusal_texts: texts.as_deref().map(texts::read).transpose()?.unwrap_or_default(),
            };
            let loader = read_loader(loader.as_deref())?;
            let settings = ProgramSettings { loader: &loader, accepted: accept, options };
            app(input, path, requirement, &settings, output)
        }
        ProtectCommand::Verify { file, firm } => check(file, firm.as_deref(), output),
    }
}

fn loss_policy(loss: Loss, seconds: u32) -> LossPolicy {
    match loss {
        Loss::Stop => LossPolicy::Stop,
        Loss::Warn => LossPolicy::Warn { every_s: seconds },
        Loss::Grace => LossPolicy::Grace { for_s: seconds },
    }
}

/// What a vendor directory gives for protecting.
struct Desk {
    firm: Firm,
    keys: KeyRing,
    requirements: Vec<Requirement>,
    name: Text<128>,
}

impl Desk {
    fn open(args: &RequirementArgs, input: &Path) -> Result<Self> {
        let vendor = Vendor::open(&args.vendor)?;
        let firm = Firm::new(&vendor.root_objects())
            .map_err(|_| Shown::from(ErrorCode::RootRefused.failure()))?;
        let file_name = input.file_name().unwrap_or_default().to_string_lossy();
        let name = args.name.as_deref().unwrap_or(&file_name);
        let name = Text::new(name).ok_or_else(|| {
            Shown::usage(format!("{name:?} cannot be shown"), "Give another name with --name.")
        })?;
        let requirements = requirements(&vendor, args)?;
        // Nothing is signed by a dry run, so nobody is asked for a passphrase.
        let keys = match args.dry_run {
            true => KeyRing::default(),
            false => vendor.keys(&args.keys)?,
        };
        Ok(Desk { firm, keys, requirements, name })
    }

    fn protection(&self, is_trap: bool) -> Result<Protection<'_>> {
        let root_fp = self.firm.root().root_fp;
        let slot = |requirement: &Requirement| {
            let Requirement { product, generation, .. } = *requirement;
            let item_key = self.keys.item_key(root_fp, product, generation)?;
            Ok(SlotSpec { requirement: *requirement, item_key, is_trap })
        };
        let slots: Result<_> = self.requirements.iter().map(slot).collect();
        Ok(Protection {
            firm: &self.firm,
            name: self.name.clone(),
            slots: slots?,
            issued_s: clock::now_s(),
        })
    }

    fn signer<'a>(&'a self, random: &'a mut SystemRandom) -> Result<Signer<'a>> {
        let key = self.keys.signer(&self.firm.root().body, Role::Protect, &[])?;
        Ok(Signer { key, random })
    }

    /// Why nothing was protected: what the key store said goes first.
    fn refused(&self, error: ProtectError) -> Shown {
        self.keys.token().and_then(Token::failure).unwrap_or_else(|| protect_error(error))
    }
}

/// One requirement for each product that opens it.
fn requirements(vendor: &Vendor, args: &RequirementArgs) -> Result<Vec<Requirement>> {
    let codes = vendor.product_codes(&args.product)?.into_iter();
    codes.map(|product| args.conditions.of(vendor.root.root_fp, product)).collect()
}

fn existing(args: &RequirementArgs) -> Existing {
    if args.force { Existing::Replace } else { Existing::Keep }
}

fn file(
    input: &Path,
    path: &Path,
    args: &RequirementArgs,
    is_trap: bool,
    output: &Output,
) -> Result<()> {
    let desk = Desk::open(args, input)?;
    if args.dry_run {
        check_file(input).map_err(protect_error)?;
        return would(&desk, input, path, args.force, output);
    }
    let mut progress = output.progress("encrypting");
    let mut random = SystemRandom;
    let (mut signer, protection) = (desk.signer(&mut random)?, desk.protection(is_trap)?);
    let paths = Paths { input, output: path, existing: existing(args) };
    let made = protect_file(paths, &protection, &mut signer, &mut |a, b| progress.update(a, b))
        .map_err(|error| desk.refused(error))?;
    done(&desk, &made, path, output);
    Ok(())
}

fn app(
    input: &Path,
    path: &Path,
    args: &RequirementArgs,
    settings: &ProgramSettings<'_>,
    output: &Output,
) -> Result<()> {
    let desk = Desk::open(args, input)?;
    if args.dry_run {
        let suitability = check_program(input, settings.accepted).map_err(protect_error)?;
        output.say(verdict(&suitability.verdict));
        suitability.notes.iter().for_each(|note| output.say(format!("note: {note}")));
        return would(&desk, input, path, args.force, output);
    }
    let mut progress = output.progress("encrypting");
    let mut random = SystemRandom;
    let (mut signer, protection) = (desk.signer(&mut random)?, desk.protection(false)?);
    let paths = Paths { input, output: path, existing: existing(args) };
    let made = protect_program(paths, settings, &protection, &mut signer, &mut |a, b| {
        progress.update(a, b);
    });
    drop(progress);
    let made = made.map_err(|error| desk.refused(error))?;
    for note in made.suitability.iter().flat_map(|suitability| &suitability.notes) {
        output.say(format!("note: {note}"));
    }
    done(&desk, &made, path, output);
    Ok(())
}

/// Whether a program can be protected, in words.
fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fit => "the program fits the loader".to_owned(),
        Verdict::NeedsFlag(concerns) => {
            let each = |concern: &Concern| format!("{concern} (--accept {})", concern.flag());
            concerns.iter().map(each).collect::<Vec<_>>().join("\n")
        }
        Verdict::Refused(refusal) => format!("it cannot be protected: {refusal}"),
    }
}

fn would(desk: &Desk, input: &Path, path: &Path, force: bool, output: &Output) -> Result<()> {
    if !force {
        files::check_new(path)?;
    }
    let opens: Vec<String> = desk.requirements.iter().map(shown::requirement_text).collect();
    let text = format!(
        "{} would be encrypted into {}; it would open with: {}",
        input.display(),
        path.display(),
        opens.join("; or ")
    );
    output.data("protect", json!({ "file": path, "dry_run": true, "opens_with": opens }), text);
    Ok(())
}

fn done(desk: &Desk, made: &Protected, path: &Path, output: &Output) {
    let opens: Vec<String> = desk.requirements.iter().map(shown::requirement_text).collect();
    let id = protocol::ids::ArtifactId::new(made.head.header.target).to_string();
    let data = json!({
        "file": path, "artifact": id, "bytes": made.head.body.content_len, "opens_with": opens,
    });
    let text = format!(
        "{}: {} bytes encrypted; it opens with: {}",
        path.display(),
        made.head.body.content_len,
        opens.join("; or ")
    );
    output.data("protect", data, text);
}

fn protect_error(error: ProtectError) -> Shown {
    if let Some(failure) = error.failure() {
        return Shown::from(failure).about(error);
    }
    match error {
        ProtectError::Read { path, source } => Shown::io(&path, &source),
        ProtectError::Write(error) => files::write_error(Path::new("output"), error),
        other => Shown::conflict(other, "Nothing was written."),
    }
}

/// Where the loader is looked for if none is named.
pub(super) fn loader_places() -> Vec<PathBuf> {
    beside::places(LOADER)
}

fn read_loader(named: Option<&Path>) -> Result<Vec<u8>> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => beside::find(LOADER),
    };
    let path = found.ok_or(ErrorCode::LoaderMissing.failure())?;
    std::fs::read(&path).map_err(|error| Shown::io(&path, &error))
}

fn check(path: &Path, firm: Option<&str>, output: &Output) -> Result<()> {
    let expected = firm.map(|named| reach::firm(named, None)).transpose()?;
    let mut progress = output.progress("verifying");
    let verified = verify(path, expected, None, &mut |done, all| progress.update(done, all));
    drop(progress);
    let report = verified.map_err(|error| verify_error(path, error))?;
    let body = &report.head.body;
    let content = match report.content {
        ContentCheck::EveryChunk => "every chunk is as it was sealed",
        _ => "complete; whether its contents were altered shows when it is opened with a license",
    };
    let opens: Vec<String> =
        body.slots.iter().map(|slot| shown::requirement_text(&slot.requirement)).collect();
    let text = format!(
        "{}: {:?} from {} ({}), {} bytes; opens with: {}\n  signature: holds\n  content: {content}",
        path.display(),
        &*body.name,
        &*body.firm_name,
        report.head.root_fp(),
        body.content_len,
        opens.join("; or ")
    );
    let data = json!({
        "file": path, "name": &*body.name, "vendor": &*body.firm_name,
        "root_fp": report.head.root_fp().to_string(), "bytes": body.content_len,
        "chunks": report.chunks, "opens_with": opens, "content": content,
    });
    output.data("protect-verify", data, text);
    Ok(())
}

pub(super) fn verify_error(path: &Path, error: VerifyError) -> Shown {
    match error.failure() {
        Some(failure) => Shown::from(failure).about(format!("{}: {error}", path.display())),
        None => Shown::not_found(error, "Check the name.").about(path.display()),
    }
}

/// The part of a file that holds objects, and the bytes in all of what they begin: of a protected
/// program, what stands behind its loader.
pub(super) fn head_of(path: &Path) -> Result<(Vec<u8>, u64)> {
    use std::os::unix::fs::FileExt;
    let failed = |error: std::io::Error| Shown::io(path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let file_len = file.metadata().map_err(failed)?.len();
    let (offset, all) = match protector::seal::find_artifact(&file) {
        Ok(range) => (range.offset_bytes, range.len_bytes),
        Err(_) => (0, file_len),
    };
    let len =
        protector::artifact::ARTIFACT_HEAD_LEN_MAX.max(2 * protocol::limits::UPDATE_BODY_LEN_MAX);
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(&mut bytes[have..], offset + have as u64).map_err(failed)? {
            0 => break,
            more => have += more,
        }
    }
    bytes.truncate(have);
    Ok((bytes, all))
}
