//! Opening a payload with its license: head verified, container found, seat taken, key released.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use container::{Address, Seat};
use content::artifact::{ArtifactHead, parse_artifact_head};
use protocol::crypto::ecdh::PublicKey;
use protocol::errors::ErrorCode;
use protocol::ids::ArtifactId;
use protocol::objects::artifact::{
    LossPolicy as SignedPolicy, MAIN_PART, ProgramOptions, RefusalText, Slot,
};

use crate::opening::{Opened, Settings};
use crate::payload::Payload;
use crate::resident::seat::{ContainerSeat, Place, Ticket, refusal_of};
use crate::resident::text::Text;
use crate::resident::{LossPolicy, Refusal};
use crate::sealed::SealedImage;
use crate::start::Start;

/// Milliseconds for the watcher's own way into the seat.
const JOIN_BUDGET_MS: u32 = 10_000;

/// Opens the payload.
///
/// # Errors
/// The artifact does not hold, or no container within reach allows the use.
pub fn open(
    start: &mut Start,
    payload: Payload,
) -> Result<Opened<SealedImage, ContainerSeat>, Refusal> {
    let head = parse_artifact_head(payload.bytes()).map_err(|error| {
        let failure = error.failure().unwrap_or(ErrorCode::ArtifactBroken.failure());
        refusal_of(&failure).detail(&error.to_string())
    })?;
    let program = head.body.program.as_ref();
    let program = program.ok_or_else(|| refusal_of(&ErrorCode::ArtifactBroken.failure()))?;
    let language = language(start);
    let settings = settings(program, language.as_deref());
    start.set_vendor_text(settings.vendor_text);
    let artifact = ArtifactId::new(head.header.target);
    let (seat, slot) = seat(&head, artifact)?;
    let key = seat.release_key(&slot.wrapped, MAIN_PART).map_err(refused)?;
    let at = usize::try_from(head.content_offset)
        .map_err(|_| refusal_of(&ErrorCode::ArtifactBroken.failure()))?;
    let image = SealedImage::open(payload, at, &key, &head.header.hash())?;
    let ticket = ticket(&seat, &slot, artifact)?;
    let joined = ContainerSeat::join(&ticket, JOIN_BUDGET_MS)?;
    // The watcher holds the seat by itself now; this entry, session and connection end here.
    drop(seat);
    Ok(Opened { image, seat: Some((joined, ticket)), settings })
}

fn seat(head: &ArtifactHead, artifact: ArtifactId) -> Result<(Seat, Slot), Refusal> {
    let sources = backends::configured_sources().map_err(refused)?;
    let registry = backends::registry(&sources).map_err(refused)?;
    registry.open_artifact(None, artifact, &head.body).map_err(refused)
}

fn ticket(seat: &Seat, slot: &Slot, artifact: ArtifactId) -> Result<Ticket, Refusal> {
    let container = seat.container();
    let place = match container.address() {
        Address::ReportSocket(path) => Place::ReportSocket(bounded(path)?),
        Address::HidRaw(path) => Place::HidRaw(bounded(path)?),
        Address::MessageSocket(path) => Place::MessageSocket(bounded(path)?),
        _ => return Err(refusal_of(&ErrorCode::SourceUnknown.failure())),
    };
    let channel_key = PublicKey::from_compressed(&container.device().body.channel_key.0)
        .map_err(|_| refusal_of(&ErrorCode::CertificateRefused.failure()))?;
    Ok(Ticket {
        place,
        channel_key,
        token: seat.grant().token,
        requirement: slot.requirement,
        artifact,
        client: container.who().client,
    })
}

/// A path that fits the address of a socket.
fn bounded(path: &Path) -> Result<Text<108>, Refusal> {
    let bytes = path.as_os_str().as_bytes();
    let text = std::str::from_utf8(bytes).ok().map(Text::new);
    text.filter(|text| text.as_bytes() == bytes && bytes.len() < 108).ok_or_else(|| {
        refusal_of(&ErrorCode::SourceFailed.failure()).detail("its path is too long")
    })
}

fn refused(error: container::Error) -> Refusal {
    let refusal = refusal_of(&error.failure);
    if error.detail.is_empty() { refusal } else { refusal.detail(&error.detail) }
}

fn settings(program: &ProgramOptions, language: Option<&str>) -> Settings {
    Settings {
        policy: match program.loss {
            SignedPolicy::Warn { every_s } => LossPolicy::Warn { every_s },
            SignedPolicy::Grace { for_s } => LossPolicy::Grace { for_s },
            _ => LossPolicy::Stop,
        },
        allow_preload: program.allow_preload,
        accept_unwatched_forks: program.accept_unwatched_forks,
        vendor_text: vendor_text(&program.refusal_texts, language),
    }
}

/// The user's language: `LC_ALL`, `LC_MESSAGES` or `LANG`, without the encoding.
fn language(start: &Start) -> Option<String> {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names.iter().find_map(|name| start.stack.variable(name).filter(|v| !v.is_empty()))?;
    Some(set.split(['.', '@']).next().unwrap_or_default().to_owned())
}

/// The vendor's words in the user's language: `de_AT`, else `de`, else those for all.
fn vendor_text(texts: &[RefusalText], language: Option<&str>) -> Text<1200> {
    let language = language.unwrap_or_default();
    let short = language.split('_').next().unwrap_or_default();
    let wanted = [language, short, ""];
    let found = wanted.iter().find_map(|want| texts.iter().find(|text| *text.language == **want));
    let mut words = Text::EMPTY;
    if let Some(found) = found {
        for line in [&*found.text, &*found.shop, &*found.support] {
            if !line.is_empty() {
                words.push(line);
                words.push("\n");
            }
        }
    }
    words
}
