//! Asking the sources, each in a thread of its own and within a time: whatever does not answer is
//! left behind, and is a finding.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use backends::Source;
use container::{Container, Error};
use protocol::command::{ContainerInfo, FirmInfo, ItemState};
use protocol::errors::ErrorCode;
use protocol::objects::license::{AccessMode, ProductItem, Requirement};

use crate::clock;
use crate::commands::container::{Inventory, fetch};
use crate::commands::shown::DECOMMISSIONED;
use crate::output::Output;

/// How often a person who waits is shown that something goes on.
const TICK: Duration = Duration::from_millis(100);

/// A question that is being answered.
pub(super) struct Pending<T>(Receiver<T>);

impl<T: Send + 'static> Pending<T> {
    /// Asks it in a thread of its own.
    pub(super) fn ask(question: impl FnOnce() -> T + Send + 'static) -> Self {
        let (tell, told) = channel();
        // Nobody listens any more where the time was over.
        thread::spawn(move || tell.send(question()).is_ok());
        Pending(told)
    }

    /// The answer; `None` if there is none by `end`.
    pub(super) fn answer(self, end: Instant, waiting: &mut dyn FnMut()) -> Option<T> {
        loop {
            let left = end.saturating_duration_since(clock::start());
            match self.0.recv_timeout(left.min(TICK)) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return None,
                Err(RecvTimeoutError::Timeout) => waiting(),
            }
        }
    }
}

/// A source and what it said.
pub(super) struct Probed {
    /// Where.
    pub(super) source: Source,
    /// `None`: nothing in time.
    pub(super) answer: Option<std::result::Result<Answer, Error>>,
}

/// What a source said.
pub(super) struct Answer {
    /// Containers, as far as they could be asked.
    pub(super) containers: Vec<Probe>,
    /// Containers and sources that do not work.
    pub(super) broken: Vec<Error>,
}

/// A container and all that it says without being changed.
pub(super) struct Probe {
    /// The container; its channel may be dead.
    pub(super) container: Container,
    /// What it is.
    pub(super) info: ContainerInfo,
    /// What is in it.
    pub(super) firms: Vec<FirmProbe>,
}

/// A vendor's drawer.
pub(super) struct FirmProbe {
    /// The vendor.
    pub(super) firm: FirmInfo,
    /// Drawn for the context.
    pub(super) nonce: [u8; 32],
    /// The signed context, and the records whose hash stands in it.
    pub(super) inventory: Inventory,
    /// Entries.
    pub(super) items: Vec<ItemProbe>,
}

/// An entry.
pub(super) struct ItemProbe {
    /// The entry.
    pub(super) item: ProductItem,
    /// What the container keeps of it.
    pub(super) state: ItemState,
    /// Whether the plainest use of its product would be allowed now.
    pub(super) use_now: std::result::Result<(), Error>,
}

/// Asks all sources at the same time.
pub(super) fn sources(sources: Vec<Source>, wait: Duration, output: &Output) -> Vec<Probed> {
    let end = clock::start() + wait;
    let mut progress = output.progress("asking the containers");
    let pending: Vec<(Source, Pending<_>)> = sources
        .into_iter()
        .map(|source| (source.clone(), Pending::ask(move || ask(&source))))
        .collect();
    pending
        .into_iter()
        .map(|(source, pending)| {
            let answer = pending.answer(end, &mut || progress.tick());
            Probed { source, answer }
        })
        .collect()
}

fn ask(source: &Source) -> std::result::Result<Answer, Error> {
    let found = backends::registry(std::slice::from_ref(source))?.discover();
    let mut broken: Vec<Error> = found.broken.into_iter().map(|(_, error)| error).collect();
    let mut containers = Vec::new();
    for (_, container) in found.containers {
        match probe(container) {
            Ok(probe) => containers.push(probe),
            Err(error) => broken.push(error),
        }
    }
    Ok(Answer { containers, broken })
}

fn probe(container: Container) -> std::result::Result<Probe, Error> {
    let info = container.info()?;
    let mut firms = Vec::new();
    let known = match info.locked == DECOMMISSIONED {
        true => Vec::new(),
        false => container.firms()?,
    };
    for firm in known {
        let nonce = fresh_nonce()?;
        let inventory = fetch(&container, firm.root_fp, nonce)?;
        let mut items = Vec::new();
        for item in container.items(firm.root_fp)? {
            let state = container.item_state(firm.root_fp, item.item)?;
            let plainest = plainest(&firm, &item);
            let use_now = container
                .check_firm(firm.root_fp, firm.mode)
                .and_then(|()| container.why(&plainest));
            items.push(ItemProbe { item, state, use_now });
        }
        firms.push(FirmProbe { firm, nonce, inventory, items });
    }
    Ok(Probe { container, info, firms })
}

fn fresh_nonce() -> std::result::Result<[u8; 32], Error> {
    vendor::fresh_nonce()
        .map_err(|error| Error::new(ErrorCode::RandomFailed, error.title(&vendor::times::show)))
}

/// A use that asks for nothing but the product, in a way that the entry does not deny, of software
/// that was released when its maintenance began.
fn plainest(firm: &FirmInfo, item: &ProductItem) -> Requirement {
    let modes = [
        AccessMode::UserLimit,
        AccessMode::StationShare,
        AccessMode::Exclusive,
        AccessMode::NoUserLimit,
    ];
    let denied = item.denied_modes();
    Requirement {
        root_fp: firm.root_fp,
        product: item.item.product,
        features: 0,
        units: 0,
        release_s: item.maintenance().map_or(0, |covered| covered.from_s),
        access: modes.into_iter().find(|mode| !denied.contains(*mode)).unwrap_or(modes[0]),
        certified_age_s: 0,
        generation: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_is_left_behind() {
        let (silence, ear) = channel::<()>();
        let silent = Pending::ask(move || ear.recv());
        let mut ticks = 0;
        let end = clock::start() + TICK + TICK;
        assert!(silent.answer(end, &mut || ticks += 1).is_none() && ticks > 0);
        let prompt = Pending::ask(|| 7).answer(clock::start() + TICK * 600, &mut || ());
        assert_eq!(prompt, Some(7));
        let died = Pending::ask(|| -> u8 { panic!("as asked") });
        assert_eq!(died.answer(clock::start() + TICK * 600, &mut || ()), None);
        drop(silence);
    }
}
