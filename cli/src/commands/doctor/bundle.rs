//! The support bundle: what was found, without what names the machine, its users or their folders.

use container::{Container, Error, UserKey};
use protocol::codec;
use protocol::command::Judgement;
use protocol::objects::license::{ItemRef, ProductItem, Requirement, user_id};
use serde_json::Value;
use vendor::times;

use super::probe::{FirmProbe, ItemProbe, Probe, Probed};
use crate::clock;
use crate::commands::shown;
use crate::support::{
    Asker, Attempt, Bundle, ContainerSeen, Finding, FirmSeen, GroundsSeen, ItemSeen, Judged,
    Refusal, SCHEMA, SourceSeen, TimeSeen, TrappedSeen, Versions,
};

/// Puts the bundle together.
pub(super) fn bundle(
    findings: &[Finding],
    probed: &[Probed],
    attempts: Vec<Attempt>,
    private: &Private,
) -> Bundle {
    let hide = |finding: &Finding| Finding {
        seen: private.hide(&finding.seen),
        next: finding.next.as_deref().map(|next| private.hide(next)),
        ..finding.clone()
    };
    Bundle {
        schema: SCHEMA.into(),
        made_s: clock::now_s(),
        versions: versions(),
        findings: findings.iter().map(hide).collect(),
        asker: asker(),
        sources: probed.iter().map(|probed| source(probed, private)).collect(),
        containers: probed.iter().flat_map(|probed| containers(probed, private)).collect(),
        attempts,
    }
}

/// An attempt as it stands in the bundle. `items` are the firm's entries.
pub(super) fn attempt(
    container: &Container,
    requirement: &Requirement,
    judged: &[Judgement],
    items: &[&ProductItem],
    outcome: &Result<(), Error>,
) -> Attempt {
    let who = container.who();
    let judged = judged.iter().map(|judged| {
        let wanted = ItemRef { product: requirement.product, entry: judged.entry };
        let item = effective(items, wanted);
        let user = item.as_ref().and_then(|item| item.named_user().map(user_id));
        let key = item.as_ref().and_then(ProductItem::named_user_key);
        Judged {
            entry: judged.entry.0,
            refusal: judged.refusal.map(|failure| refusal(&failure.into())),
            is_named_user: user.is_some_and(|user| user == who.client.user),
            has_named_key: key.is_some() && key == who.key.as_ref().map(UserKey::public),
            by: GroundsSeen::of(&judged.by, shown::clock(judged.by.class)),
        }
    });
    Attempt {
        serial: container.serial().to_string(),
        requirement: shown::requirement_json(requirement),
        canonical_hex: shown::hex(&codec::encode(requirement)),
        judged: judged.collect(),
        refusal: outcome.as_ref().err().map(refusal),
    }
}

/// An entry with what it takes over as a module.
pub(super) fn effective(items: &[&ProductItem], wanted: ItemRef) -> Option<ProductItem> {
    let find = |wanted: ItemRef| items.iter().find(|item| item.item == wanted).copied();
    let native = find(wanted)?;
    Some(
        native.module_of().and_then(find).map_or(native.clone(), |parent| native.effective(parent)),
    )
}

fn versions() -> Versions {
    let kernel = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    Versions {
        strongroom: env!("CARGO_PKG_VERSION").into(),
        system: format!("{} {}", kernel("ostype"), kernel("osrelease")),
        machine: std::env::consts::ARCH.into(),
    }
}

/// A market that cannot be read is told by a finding.
fn asker() -> Asker {
    let market = backends::configured_market().ok().flatten();
    let runtime = container::RUNTIME_VERSION.to_string();
    let is_station_known = container::Who::here(None).client.station != Default::default();
    Asker { runtime, market: market.map(|market| market.to_string()), is_station_known }
}

/// The row and its values only: what the system said may name anything.
fn refusal(error: &Error) -> Refusal {
    let failure = error.failure;
    Refusal {
        code: failure.shown_code(),
        a: failure.a,
        b: failure.b,
        title: failure.title(&times::show),
    }
}

fn source(probed: &Probed, private: &Private) -> SourceSeen {
    let (containers, errors) = match &probed.answer {
        None => (0, vec![protocol::errors::ErrorCode::DeviceSilent.failure().into()]),
        Some(Err(error)) => (0, vec![error.clone()]),
        Some(Ok(answer)) => (answer.containers.len(), answer.broken.clone()),
    };
    SourceSeen {
        source: private.hide(&probed.source.to_string()),
        containers: u32::try_from(containers).unwrap_or(u32::MAX),
        errors: errors.iter().map(refusal).collect(),
    }
}

fn containers(probed: &Probed, private: &Private) -> Vec<ContainerSeen> {
    let Some(Ok(answer)) = &probed.answer else { return Vec::new() };
    let source = private.hide(&probed.source.to_string());
    answer.containers.iter().map(|probe| container(probe, &source)).collect()
}

/// All but its name, which its owner gave: it may be anybody's.
fn container(probe: &Probe, source: &str) -> ContainerSeen {
    let info = &probe.info;
    ContainerSeen {
        serial: probe.container.serial().to_string(),
        source: source.to_owned(),
        mode: shown::mode(probe.container.mode()).into(),
        clock: shown::clock(info.clock).into(),
        anchor: shown::anchor(info.anchor).into(),
        firmware: shown::firmware(info.firmware),
        time: TimeSeen {
            now_s: info.time.now_s,
            floor_s: info.time.floor_s,
            certified_s: info.time.certified_s,
            class: shown::clock(info.time.class).into(),
        },
        seats: info.seats,
        locked: info.locked,
        certificate_hex: shown::hex(probe.container.certificate()),
        firms: probe.firms.iter().map(firm).collect(),
    }
}

fn firm(probe: &FirmProbe) -> FirmSeen {
    let firm = &probe.firm;
    FirmSeen {
        root_fp: firm.root_fp.to_string(),
        firm_code: firm.firm_code.0,
        name: firm.name.to_string(),
        mode: shown::mode(firm.mode).into(),
        seq: firm.seq,
        state_hash: shown::hex(&probe.inventory.state),
        nonce_hex: shown::hex(&probe.nonce),
        context_hex: shown::hex(&probe.inventory.context),
        configuration_hex: shown::hex(&probe.inventory.configuration),
        trapped: firm.trapped.map(TrappedSeen::of),
        items: probe.items.iter().map(item).collect(),
    }
}

fn item(probe: &ItemProbe) -> ItemSeen {
    let item = &probe.item;
    ItemSeen {
        product: item.item.product.0,
        entry: item.item.entry.0,
        options: shown::item_json(item).get("options").cloned().unwrap_or(Value::Null),
        canonical_hex: shown::hex(&codec::encode(item)),
        first_use_s: probe.state.first_use_s,
        seats: probe.state.seats,
        state_hex: shown::hex(&codec::encode(&probe.state)),
    }
}

/// What names this machine and its user, and what stands in its place.
pub(super) struct Private(Vec<(String, &'static str)>);

impl Private {
    /// That of this process.
    pub(super) fn here() -> Self {
        let user = container::Who::here(None).user;
        let named = |name: &str| std::env::var(name).ok();
        let file = |path: &str| std::fs::read_to_string(path).ok();
        let home = passwd_home(&file("/etc/passwd").unwrap_or_default(), &user);
        let folders = [(named("STRONGROOM_HOME"), "$STRONGROOM_HOME"), (named("HOME"), "~")];
        let users = ["USER", "LOGNAME", "SUDO_USER"].map(|name| (named(name), "(user)"));
        let host = file("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
        let words = folders.into_iter().chain([(home, "~"), (host, "(host)")]).chain(users);
        Self::of(words.chain([(Some(user), "(user)")]))
    }

    /// Longest first, so that a folder goes before those above it. The superuser's name says
    /// nothing of anybody, and stands in too many sentences.
    fn of(words: impl Iterator<Item = (Option<String>, &'static str)>) -> Self {
        let mut words: Vec<(String, &'static str)> = words
            .filter_map(|(word, shown)| Some((word?.trim_end_matches('/').to_owned(), shown)))
            .filter(|(word, _)| !word.is_empty() && word != "root")
            .collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        words.dedup();
        Private(words)
    }

    /// The text without any of them, where they stand as whole words.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (word, shown)| replace_word(&text, word, shown))
    }
}

fn replace_word(text: &str, word: &str, shown: &str) -> String {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(word) {
        let (before, behind) = (&rest[..at], &rest[at + word.len()..]);
        let inside = joins(before.chars().next_back().or(out.chars().next_back()))
            || joins(behind.chars().next());
        out.push_str(before);
        out.push_str(if inside { word } else { shown });
        rest = behind;
    }
    out + rest
}

/// Lines are `name:password:uid:gid:comment:home:shell`, see passwd(5).
fn passwd_home(list: &str, user: &str) -> Option<String> {
    let line = list.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(5).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_homes_are_hidden_where_they_are_whole_words() {
        let words = [("/home/anna", "~"), ("anna", "(user)"), ("box", "(host)"), ("/", "~")];
        let words = words.into_iter().chain([("root", "(user)"), ("/home/anna/sr", "$SR")]);
        let private = Private::of(words.map(|(word, shown)| (Some(word.to_owned()), shown)));
        for (text, shown) in [
            ("sim:/home/anna/port", "sim:~/port"),
            ("/home/anna/sr/config.toml", "$SR/config.toml"),
            ("/home/annabel/x", "/home/annabel/x"),
            ("/media/anna/stick on box.local", "/media/(user)/stick on (host).local"),
            ("asked as \"anna\"; boxes", "asked as \"(user)\"; boxes"),
            ("a vendor's root at /", "a vendor's root at /"),
        ] {
            assert_eq!(private.hide(text), shown);
        }
        let list = "root:x:0:0::/root:/bin/sh\nanna:x:1:1:Anna:/home/anna:/bin/sh\n";
        assert_eq!(passwd_home(list, "anna").as_deref(), Some("/home/anna"));
        assert_eq!(passwd_home(list, "ann"), None);
    }
}
