//! Letters between containers and Central: each may come late, again, or never.

use license_central::domain::activation::{self, Context};
use license_central::domain::central::{Central, Delivered};
use license_central::domain::records::EffectKind;
use license_central::domain::refusal::{Outcome, Refusal};
use protocol::errors::ErrorCode;
use protocol::objects::file::{self, FileKind};
use protocol::signed::{HEADER_LEN, UnverifiedObject};
use zeroize::Zeroizing;

use super::book::{Decided, Done};
use super::event::Event;
use super::parties::FIRMS;
use super::world::World;

/// What a customer's program asks of the Gateway.
#[derive(Clone)]
pub(super) enum Ask {
    Activate { code: Zeroizing<String>, products: Vec<u32> },
    Collect,
    Release { products: Vec<u32>, to: Option<String> },
}

/// A letter.
#[derive(Clone)]
pub(super) enum Letter {
    /// A request, with the container's context.
    Asks { firm: usize, at: usize, ask: Ask, context: Vec<u8> },
    /// A receipt.
    Proves { firm: usize, at: usize, receipt: Vec<u8> },
    /// Update files, in the order in which they are applied.
    Brings { firm: usize, at: usize, files: Vec<Vec<u8>> },
}

impl Ask {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Ask::Activate { .. } => "activate",
            Ask::Collect => "collect",
            Ask::Release { to: None, .. } => "release",
            Ask::Release { to: Some(_), .. } => "move",
        }
    }
}

impl World<'_> {
    /// A letter arrives: any of them. It may arrive again.
    pub(super) fn letter_arrives(&mut self) {
        if self.letters.is_empty() {
            return;
        }
        // What was sent last often comes first.
        let last = self.letters.len() - 1;
        let which = if self.dice.one_in(2) { last } else { self.dice.below(last + 1) };
        let letter = match self.dice.below(8) {
            0 => {
                self.note(Event::LetterAgain);
                self.letters[which].clone()
            }
            1 => {
                let letter = self.letters.swap_remove(which);
                return self.is_lost(&letter);
            }
            _ => self.letters.swap_remove(which),
        };
        for answer in self.deliver(&letter) {
            self.letters.push(answer);
        }
    }

    fn is_lost(&mut self, letter: &Letter) {
        self.note(match letter {
            Letter::Asks { .. } => Event::RequestLost,
            Letter::Proves { .. } => Event::ReceiptLost,
            Letter::Brings { .. } => Event::AnswerLost,
        });
        if let Letter::Brings { firm, files, .. } = letter {
            let renews = |done: &Done| done.effect.kind == EffectKind::Renew;
            let last = files.last().and_then(|file| self.decided(*firm, file));
            if last.is_some_and(|update| update.done.iter().any(renews)) {
                self.note(Event::RenewalLost);
            }
        }
        self.line("a letter is lost");
    }

    /// The update of a file, as it is in the store.
    pub(super) fn decided(&self, firm: usize, file: &[u8]) -> Option<&Decided> {
        let mut updates = self.book.updates.values().filter(|one| one.tenant == FIRMS[firm]);
        updates.find(|one| file.windows(HEADER_LEN).any(|bytes| bytes == one.header))
    }

    /// What comes of a letter.
    pub(super) fn deliver(&mut self, letter: &Letter) -> Vec<Letter> {
        match letter {
            Letter::Asks { firm, at, ask, context } => {
                let files = self.asks(*firm, *at, ask, context);
                let answer = files.map(|files| Letter::Brings { firm: *firm, at: *at, files });
                answer.into_iter().collect()
            }
            Letter::Proves { firm, at, receipt } => {
                self.proves(*firm, *at, receipt);
                Vec::new()
            }
            Letter::Brings { firm, at, files } => self.brings(*firm, *at, files),
        }
    }

    /// The Gateway is asked. The files that it answers with, where it does.
    fn asks(&mut self, firm: usize, at: usize, ask: &Ask, context: &[u8]) -> Option<Vec<Vec<u8>>> {
        let tenant = FIRMS[firm];
        let before = self.book.updates.len();
        let done = self.call(tenant, |central| ask.put(central, tenant, context));
        let told = match &done {
            Ok(files) => format!("{} updates", files.len()),
            Err(Refusal::Told(shown)) => {
                format!("{:?}", shown.failure().and_then(|failure| failure.known()))
            }
            Err(Refusal::Store(_)) => "the store".into(),
        };
        self.line(&format!("container {at}, {tenant}: {}: {told}", ask.name()));
        if self.is_of_other(firm, ask) {
            self.tells_nothing_of_other(done.err().as_ref());
            return None;
        }
        match done {
            Ok(files) => {
                let is_new = self.book.updates.len() > before;
                self.is_answered(firm, ask, &files, is_new);
                Some(files.into_iter().map(|file| file.file).collect())
            }
            Err(refusal) => {
                self.is_refused(firm, at, ask, &refusal);
                None
            }
        }
    }

    /// Whether a ticket is shown that another vendor sold.
    fn is_of_other(&self, firm: usize, ask: &Ask) -> bool {
        let Ask::Activate { code, .. } = ask else { return false };
        let mut others = self.bought.iter().filter(|bought| bought.firm != firm);
        others.any(|bought| *bought.code == **code)
    }

    /// C4: a ticket of another tenant is one that does not exist.
    fn tells_nothing_of_other(&mut self, refused: Option<&Refusal>) {
        match refused {
            Some(Refusal::Store(_)) => {}
            Some(Refusal::Told(shown)) if shown.is(ErrorCode::TicketUnknown) => {
                self.note(Event::TicketOfOther);
            }
            told => self.broken(&format!("C4: a ticket of another tenant: {told:?}")),
        }
    }

    fn is_answered(&mut self, firm: usize, ask: &Ask, files: &[Delivered], is_new: bool) {
        let event = match ask {
            Ask::Activate { .. } if is_new => Event::Redeemed,
            Ask::Activate { .. } => Event::RedeemedAgain,
            Ask::Collect => Event::Collected,
            Ask::Release { to: None, .. } => Event::Released,
            Ask::Release { to: Some(_), .. } => Event::Moved,
        };
        self.note(event);
        let agrees = files.is_empty() || !self.is_put_back[firm];
        self.promise(agrees, || "C3: an update leaves before journal and records agree".into());
        for delivered in files {
            let is_durable = self.decided(firm, &delivered.file).is_some();
            self.promise(is_durable, || "C2: an update left that is not in the store".into());
            self.is_journaled(firm, &delivered.file);
        }
    }

    fn is_refused(&mut self, firm: usize, at: usize, ask: &Ask, refusal: &Refusal) {
        let Refusal::Told(shown) = refusal else { return };
        let event = match shown.failure().and_then(|failure| failure.known()) {
            Some(ErrorCode::ContextOld) => Event::ContextOld,
            Some(ErrorCode::UnitsStay) => Event::UnitsStay,
            Some(ErrorCode::TooManyOutstanding) => Event::WindowFull,
            Some(ErrorCode::SignerUnavailable) => Event::SignerGone,
            Some(ErrorCode::CapOfDay) => Event::CapReached,
            // What a medium says has no number.
            None => Event::JournalFailed,
            Some(ErrorCode::ContainerBlocked) => Event::NothingForBlocked,
            Some(ErrorCode::ContainerRevoked) => Event::NothingForRevoked,
            Some(ErrorCode::JournalAhead) => {
                let is_so = self.is_put_back[firm];
                self.promise(is_so, || "C3: journal and records agree, and it is refused".into());
                Event::NothingIssued
            }
            Some(ErrorCode::ContainerDiffers) => {
                // C3: only who was issued to elsewhere shows what is not known, or who got what the
                // records lost.
                self.devices[at].drawers[firm].is_elsewhere |= self.is_put_back[firm];
                let is_elsewhere = self.devices[at].drawers[firm].is_elsewhere;
                self.promise(is_elsewhere, || "a container is said to differ, and does not".into());
                Event::CaseOpened
            }
            Some(ErrorCode::ContainerUndecided) => return,
            Some(ErrorCode::SeatsWait) => {
                let is_so = self.were_put_back();
                self.promise(is_so, || "a license waits, and no seats are lost".into());
                Event::LicenseWaits
            }
            Some(ErrorCode::TicketUnknown) => {
                let is_lost = self.were_put_back();
                self.promise(is_lost, || "C2: a ticket that was sold is not known".into());
                Event::TicketLost
            }
            Some(
                ErrorCode::TicketUsedUp
                | ErrorCode::TicketClosed
                | ErrorCode::LicenseAssigned
                | ErrorCode::LicenseSuspendedHere
                | ErrorCode::ModuleAlone
                | ErrorCode::RecordMissing
                | ErrorCode::RequestMalformed,
            ) => Event::TicketRefused,
            refused => self.broken(&format!("{} is refused: {refused:?}", ask.name())),
        };
        self.note(event);
    }

    fn proves(&mut self, firm: usize, at: usize, receipt: &[u8]) {
        let tenant = FIRMS[firm];
        let done = self.call(tenant, |central| {
            let firm = central.firm(tenant)?;
            central.write(tenant, "gateway", |work, env| {
                activation::receipt(work, env, &firm, receipt)
            })
        });
        let objects = file::expect(receipt, FileKind::Receipt).expect("a receipt file");
        let (_, rest) = file::next_object(objects, protocol::limits::DEVICE_BODY_LEN_MAX)
            .expect("a certificate");
        let (read, _) = UnverifiedObject::read(rest, protocol::limits::STATEMENT_BODY_LEN_MAX)
            .expect("a receipt");
        let seq = read.header().seq;
        let base = self.known(firm, at).map_or(0, |known| known.chain.base.seq);
        self.line(&format!("container {at}, {tenant}: receipt {seq}, proved is {base}"));
        match done {
            Ok(number) => {
                let is_durable = number == seq && base >= seq;
                self.promise(is_durable, || format!("C2: receipt {seq}, and {base} is proved"));
                self.note(if base > seq { Event::ReceiptOld } else { Event::ReceiptTaken });
            }
            Err(Refusal::Told(shown)) => {
                let refused = shown.failure().and_then(|failure| failure.known());
                let is_elsewhere = self.devices[at].drawers[firm].is_elsewhere;
                // No journal has what was made elsewhere, nor who got it.
                let may_be_lost = self.is_put_back[firm] || is_elsewhere && self.were_put_back();
                let is_lost = may_be_lost && refused == Some(ErrorCode::RecordMissing);
                let is_unknown = refused == Some(ErrorCode::ReceiptUnknown);
                let fits = is_lost || is_unknown && (is_elsewhere || self.is_put_back[firm]);
                self.promise(fits, || format!("receipt {seq} is refused: {refused:?}"));
                self.note(Event::ReceiptUnknown);
            }
            Err(Refusal::Store(_)) => {}
        }
    }

    /// A container gets update files. Not all of them, perhaps, nor in their order.
    fn brings(&mut self, firm: usize, at: usize, files: &[Vec<u8>]) -> Vec<Letter> {
        let mut letters = Vec::new();
        let mut order: Vec<usize> = (0..files.len()).collect();
        if self.is_rough && self.dice.one_in(6) {
            order.reverse();
        }
        if self.is_rough && self.dice.one_in(6) {
            order.truncate(1);
        }
        for which in order {
            if !self.devices[at].is_powered {
                break;
            }
            if let Some(receipt) = self.apply(at, firm, &files[which]) {
                letters.push(Letter::Proves { firm, at, receipt });
            }
        }
        letters
    }
}

impl Ask {
    fn put(&self, central: &Central, tenant: &str, context: &[u8]) -> Outcome<Vec<Delivered>> {
        let context = Context::read(&*central.firm(tenant)?, context)?;
        central.deliver(tenant, "gateway", &context, |work, env, firm| match self {
            Ask::Activate { code, products } => {
                activation::activate(work, env, firm, (code, products), &context)
            }
            Ask::Collect => activation::collect(work, env, firm, &context),
            Ask::Release { products, to } => {
                activation::release(work, env, firm, (products, to.as_deref()), &context)
            }
        })
    }
}
