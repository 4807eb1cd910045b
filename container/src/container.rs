//! A container, opened: its certificate is checked, its commands have types.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use protocol::codec::{Bytes, Fixed, Text};
use protocol::command::{
    Command, ContainerInfo, FirmInfo, ItemState, Judgement, KeyCommand, KeyReply, KeyUsage, Reply,
    SeatCommand, SeatReply, user_proof,
};
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, ContainerKind, KeyName, OpId, RootFp, Serial};
use protocol::limits::{
    ARTIFACT_ROOTS_MAX, CONFIGURATION_LEN_MAX, DATA_LEN_MAX, DEVICE_BODY_LEN_MAX, FIRMS_MAX,
    PIN_LEN_MAX, ROOT_BODY_LEN_MAX, UPDATE_CHUNK_LEN_MAX,
};
use protocol::objects::artifact::SecretKey;
use protocol::objects::data::DataField;
use protocol::objects::device::{ClockClass, Device};
use protocol::objects::license::{ItemRef, ProductItem, Requirement};
use protocol::objects::root::{Mode, Root};
use protocol::objects::statement::TimeInfo;
use protocol::objects::test_root;
use protocol::objects::usage::UsageEntry;
use protocol::signed::UnverifiedObject;
use zeroize::Zeroizing;

use crate::backend::{Address, Channel};
use crate::clock;
use crate::error::Error;
use crate::seat::Seat;
use crate::secure::{FirstContact, Secure, system_random};
use crate::who::{UserKey, Who};

/// Roots whose `device` role may certify containers.
#[derive(Debug, Clone)]
pub struct Makers(Vec<Root>);

impl Makers {
    /// The test root alone: there is no maker of real dongles yet. What a test container may be
    /// used for is decided where a firm comes in ([`Container::check_mode`]).
    pub fn standard() -> Self {
        Makers(test_root::root().into_iter().collect())
    }
}

/// The root of the firm that certified a container, as the container shows it: what makes it
/// trusted is its fingerprint, which whoever uses the container compares
/// ([`Container::check_firm`]).
fn certifier(secure: &mut Secure, root_fp: RootFp) -> Result<Root, Error> {
    let refused = |why: &dyn std::fmt::Display| Error::new(ErrorCode::CertificateRefused, why);
    let mut newest: Option<Root> = None;
    for version in 1..=ARTIFACT_ROOTS_MAX as u8 {
        let reply = secure.call(&Command::CertifierRoot { version })?;
        let Reply::CertifierRoot(object) = reply else { return Err(unexpected()) };
        if object.is_empty() {
            break;
        }
        let (object, rest) =
            UnverifiedObject::read(&object, ROOT_BODY_LEN_MAX).map_err(|error| refused(&error))?;
        let root = match &newest {
            None => Root::verify_first(&object),
            Some(root) => root.verify_next(&object),
        };
        let root = root.map_err(|error| refused(&error))?;
        if root.root_fp != root_fp || !rest.is_empty() {
            return Err(refused(&"it shows the root of another vendor"));
        }
        newest = Some(root);
    }
    newest.ok_or_else(|| refused(&"its maker is not known here"))
}

/// An open container. Clones talk through the same channel.
#[derive(Clone)]
pub struct Container {
    secure: Arc<Mutex<Secure>>,
    device: Arc<Device>,
    certificate: Arc<[u8]>,
    address: Address,
    mode: Mode,
    /// The firm that certified it, and whose licenses alone it holds; none for a dongle.
    firm: Option<RootFp>,
    who: Arc<Who>,
    introduced: Arc<OnceLock<()>>,
}

impl Container {
    /// Opens the container at the other end of `channel` and checks its certificate.
    ///
    /// # Errors
    /// No answer, no valid certificate, or a channel key that the certificate does not name.
    pub fn open(
        channel: Box<dyn Channel>,
        address: Address,
        makers: &Makers,
    ) -> Result<Self, Error> {
        let FirstContact { mut secure, hello, channel_key } = Secure::first_contact(channel)?;
        let refused = |why: &dyn std::fmt::Display| Error::new(ErrorCode::CertificateRefused, why);
        let (object, rest) = UnverifiedObject::read(&hello.certificate, DEVICE_BODY_LEN_MAX)
            .map_err(|error| refused(&error))?;
        let root_fp = object.header().root_fp;
        let maker = makers.0.iter().find(|maker| maker.root_fp == root_fp);
        let (maker, is_firm) = match maker {
            Some(maker) => (maker.clone(), false),
            None => (certifier(&mut secure, root_fp)?, true),
        };
        let device = Device::verify(&object, &maker).map_err(|error| refused(&error))?;
        if is_firm && device.body.kind == ContainerKind::Dongle {
            return Err(refused(&"a vendor certifies no dongles"));
        }
        let named = PublicKey::from_compressed(&device.body.channel_key.0)
            .map_err(|error| refused(&error))?;
        if named != channel_key || !rest.is_empty() {
            return Err(refused(&"the certificate is that of another container"));
        }
        Ok(Container {
            secure: Arc::new(Mutex::new(secure)),
            device: Arc::new(device),
            certificate: Arc::from(&hello.certificate[..]),
            address,
            mode: maker.body.mode,
            firm: is_firm.then_some(root_fp),
            who: Arc::default(),
            introduced: Arc::default(),
        })
    }

    /// For uses by `who`. Without this nothing is said of the user.
    pub fn used_by(mut self, who: Arc<Who>) -> Self {
        self.who = who;
        self.introduced = Arc::default();
        self
    }

    /// By whom it is used.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Its serial.
    pub fn serial(&self) -> Serial {
        self.device.id.serial(self.device.body.kind)
    }

    /// Its certificate's contents.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its certificate, as an object.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether it is simulated.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Refuses a simulated container for a live firm, and a real one for a test firm.
    ///
    /// # Errors
    /// [`ErrorCode::TestContainer`] or [`ErrorCode::LiveContainer`].
    pub fn check_mode(&self, firm: Mode) -> Result<(), Error> {
        match (firm, self.mode) {
            (Mode::Live, Mode::Test) => Err(ErrorCode::TestContainer.failure().into()),
            (Mode::Test, Mode::Live) => Err(ErrorCode::LiveContainer.failure().into()),
            _ => Ok(()),
        }
    }

    /// [`Container::check_mode`], and refuses a container that another firm certified: what such
    /// a container says of this one proves nothing.
    ///
    /// # Errors
    /// Those of [`Container::check_mode`], or [`ErrorCode::SoftOtherFirm`].
    pub fn check_firm(&self, firm: RootFp, mode: Mode) -> Result<(), Error> {
        if self.firm.is_some_and(|certifier| certifier != firm) {
            return Err(ErrorCode::SoftOtherFirm.failure().into());
        }
        self.check_mode(mode)
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As every command: the channel's errors, and refusals with the container's values.
    pub fn info(&self) -> Result<ContainerInfo, Error> {
        match self.call(&Command::Info)? {
            Reply::Info(info) => Ok(info),
            _ => Err(unexpected()),
        }
    }

    /// Firms in it.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn firms(&self) -> Result<Vec<FirmInfo>, Error> {
        let mut firms = Vec::new();
        loop {
            let from = u8::try_from(firms.len()).map_err(|_| unexpected())?;
            let Reply::Firms(page) = self.call(&Command::Firms { from })? else {
                return Err(unexpected());
            };
            if page.is_empty() {
                return Ok(firms);
            }
            firms.extend(page.into_vec());
        }
    }

    /// Entries of a firm.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn items(&self, firm: RootFp) -> Result<Vec<ProductItem>, Error> {
        let mut items: Vec<ProductItem> = Vec::new();
        loop {
            let after = items.last().map(|item| item.item);
            let Reply::Items(page) = self.call(&Command::Items { firm, after })? else {
                return Err(unexpected());
            };
            // A page that does not go on would make this endless.
            if page.is_empty() || page.first().map(|item| item.item) <= after {
                return Ok(items);
            }
            items.extend(page.into_vec());
        }
    }

    /// A signed context for a firm, as an object.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn context(&self, firm: RootFp, nonce: [u8; 32]) -> Result<Vec<u8>, Error> {
        match self.call(&Command::Context { firm, nonce: Fixed(nonce) })? {
            Reply::Context(object) => Ok(object.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// A kept receipt of a firm, as an object: number `seq`, or the latest for 0.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn receipt(&self, firm: RootFp, seq: u64) -> Result<Vec<u8>, Error> {
        match self.call(&Command::Receipt { firm, seq })? {
            Reply::Receipt(object) => Ok(object.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// Gives it a name.
    ///
    /// # Errors
    /// See [`Container::info`]; [`ErrorCode::TooLong`] for a name that is.
    pub fn rename(&self, name: &str) -> Result<(), Error> {
        let name = Text::new(name).ok_or(
            ErrorCode::TooLong
                .with(name.len() as u64, protocol::limits::CONTAINER_NAME_LEN_MAX as u64),
        )?;
        self.done(&Command::Rename { op: draw_op()?, name })
    }

    /// Brings a root, a revocation, or a delegation for the update that follows.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn bring(&self, object: &[u8]) -> Result<(), Error> {
        let object = Bytes::new(object).ok_or(ErrorCode::TooLong.failure())?;
        match self.call(&Command::Trust { object })? {
            Reply::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Applies an update and returns the receipt as an object. `progress` is told bytes done and
    /// bytes in all.
    ///
    /// # Errors
    /// [`UpdateError`] carries the receipt of the present state with a refusal.
    pub fn apply_update(
        &self,
        root: &[u8],
        head: &[u8],
        body: &[u8],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<u8>, UpdateError> {
        let too_long = |_| Error::from(ErrorCode::TooLong.failure());
        let root = Bytes::new(root).ok_or(()).map_err(too_long)?;
        let head = Bytes::new(head).ok_or(()).map_err(too_long)?;
        accept(self.call(&Command::UpdateBegin { root, head })?)?;
        for (at, chunk) in body.chunks(UPDATE_CHUNK_LEN_MAX).enumerate() {
            let offset = at * UPDATE_CHUNK_LEN_MAX;
            progress(offset, body.len());
            let bytes = Bytes::new(chunk).ok_or(()).map_err(too_long)?;
            let offset = u32::try_from(offset).map_err(|_| too_long(()))?;
            accept(self.call(&Command::UpdateChunk { offset, bytes })?)?;
        }
        progress(body.len(), body.len());
        match self.call(&Command::UpdateCommit)? {
            Reply::Receipt(object) => Ok(object.to_vec()),
            Reply::UpdateRefused { failure, receipt } => {
                Err(UpdateError::refused(failure, &receipt))
            }
            _ => Err(unexpected().into()),
        }
    }

    /// Evaluates a requirement without using anything.
    ///
    /// # Errors
    /// The refusal that a use would meet.
    pub fn why(&self, requirement: &Requirement) -> Result<(), Error> {
        self.introduce()?;
        self.done(&Command::Why(*requirement)).map_err(|error| self.by_whom(error))
    }

    /// What it keeps of an entry.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn item_state(&self, firm: RootFp, item: ItemRef) -> Result<ItemState, Error> {
        match self.call(&Command::ItemState { firm, item })? {
            Reply::ItemState(state) => Ok(state),
            _ => Err(unexpected()),
        }
    }

    /// Enters the owner's PIN: what this channel does from now on is done by the owner.
    ///
    /// # Errors
    /// [`ErrorCode::PinWrong`], [`ErrorCode::PinLocked`], [`ErrorCode::NoPin`].
    pub fn enter_pin(&self, pin: &str) -> Result<(), Error> {
        let pin = Zeroizing::new(pin_bytes(pin)?);
        self.done(&Command::EnterPin((*pin).clone()))
    }

    /// Sets a PIN, or takes it away with an empty one. `recovery` replaces it when it is forgotten;
    /// `forgotten` is the recovery code of the one that was.
    ///
    /// # Errors
    /// [`ErrorCode::PinNeeded`], [`ErrorCode::RecoveryWrong`], [`ErrorCode::NoPin`].
    pub fn set_pin(
        &self,
        pin: &str,
        recovery: [u8; 16],
        forgotten: Option<[u8; 16]>,
    ) -> Result<(), Error> {
        let pin = Zeroizing::new(pin_bytes(pin)?);
        self.done(&Command::SetPin {
            pin: (*pin).clone(),
            recovery: Fixed(recovery),
            forgotten: forgotten.map(Fixed),
        })
    }

    /// Makes it show itself for so many seconds; 0 ends it.
    ///
    /// # Errors
    /// See [`Container::info`]; [`ErrorCode::TooLong`] for more than
    /// [`IDENTIFY_S_MAX`](protocol::limits::IDENTIFY_S_MAX) seconds.
    pub fn identify(&self, for_s: u8) -> Result<(), Error> {
        self.done(&Command::Identify { for_s })
    }

    /// Retires it for good and erases everything in it. One that is retired already stays so.
    ///
    /// # Errors
    /// [`ErrorCode::PinNeeded`], [`ErrorCode::ContainerLocked`].
    pub fn decommission(&self) -> Result<(), Error> {
        self.done(&Command::Decommission)
    }

    /// The final statements of one that is decommissioned, one for each firm, as objects.
    ///
    /// # Errors
    /// [`ErrorCode::NotDecommissioned`].
    pub fn final_statements(&self) -> Result<Vec<Vec<u8>>, Error> {
        let mut all = Vec::new();
        for at in 0..FIRMS_MAX {
            let Reply::FinalStatement(object) = self.call(&Command::FinalStatement { at })? else {
                return Err(unexpected());
            };
            if object.is_empty() {
                break;
            }
            all.push(object.to_vec());
        }
        Ok(all)
    }

    /// The records of a firm's configuration, one behind the other: the bytes that its
    /// `config_hash` is the hash of. Updates may come in between, so compare it with a context.
    ///
    /// # Errors
    /// See [`Container::info`]; [`ErrorCode::TooLong`] for a container without end.
    pub fn configuration(&self, firm: RootFp) -> Result<Vec<u8>, Error> {
        let (mut bytes, mut after) = (Vec::new(), 0);
        loop {
            let Reply::Configuration(page) = self.call(&Command::Configuration { firm, after })?
            else {
                return Err(unexpected());
            };
            let Some(last) = page.last() else { return Ok(bytes) };
            // A page that does not go on would make this endless.
            if last.key <= after {
                return Err(unexpected());
            }
            after = last.key;
            page.iter().for_each(|record| record.write(&mut bytes));
            if bytes.len() > CONFIGURATION_LEN_MAX {
                let (len, max) = (bytes.len() as u64, CONFIGURATION_LEN_MAX as u64);
                return Err(ErrorCode::TooLong.with(len, max).into());
            }
        }
    }

    /// How every entry of the product is judged, and by what. A use takes the first that allows
    /// it; the refusal with the highest number is the one that it meets.
    ///
    /// # Errors
    /// What refuses before any entry is looked at.
    pub fn judge(&self, requirement: &Requirement) -> Result<Vec<Judgement>, Error> {
        self.introduce()?;
        let mut all: Vec<Judgement> = Vec::new();
        loop {
            let after = all.last().map(|judged| judged.entry);
            let command = Command::Judge { requirement: *requirement, after };
            let Reply::Judged(judged) = self.call(&command)? else { return Err(unexpected()) };
            match judged {
                Some(judged) if after.is_none_or(|after| after < judged.entry) => all.push(judged),
                Some(_) => return Err(unexpected()),
                None => return Ok(all),
            }
        }
    }

    /// What a use meets whose product's entries were judged so: the first that allows it, or the
    /// refusal of the one that got furthest.
    ///
    /// # Errors
    /// That refusal; [`ErrorCode::ProductUnknown`] where there was nothing to judge.
    pub fn outcome(&self, requirement: &Requirement, judged: &[Judgement]) -> Result<(), Error> {
        let refusals = judged.iter().map(|judged| judged.refusal);
        match furthest(requirement, refusals) {
            Some(refusal) => Err(self.by_whom(refusal.into())),
            None => Ok(()),
        }
    }

    /// What a data field of an entry holds. `access_code` is for hidden data.
    ///
    /// # Errors
    /// [`ErrorCode::DataUnknown`] for an empty field, [`ErrorCode::AccessCodeWrong`],
    /// [`ErrorCode::DataSecret`].
    pub fn data(
        &self,
        firm: RootFp,
        item: ItemRef,
        field: DataField,
        access_code: Option<u32>,
    ) -> Result<Vec<u8>, Error> {
        let access_code = access_code.unwrap_or(0);
        match self.call(&Command::Data { firm, item, field, access_code })? {
            Reply::Data(bytes) => Ok(bytes.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// Writes the user data of an entry, at most [`DATA_LEN_MAX`] bytes; empty takes it away.
    ///
    /// # Errors
    /// See [`Container::info`]; [`ErrorCode::TooLong`].
    pub fn write_user_data(&self, firm: RootFp, item: ItemRef, bytes: &[u8]) -> Result<(), Error> {
        let too_long = ErrorCode::TooLong.with(bytes.len() as u64, DATA_LEN_MAX as u64);
        let bytes = Bytes::new(bytes).ok_or(too_long)?;
        self.done(&Command::WriteUserData { firm, item, bytes })
    }

    /// A nonce that a time token of a firm must answer within
    /// [`TIME_NONCE_S`](protocol::limits::TIME_NONCE_S) seconds.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn time_nonce(&self, firm: RootFp) -> Result<[u8; 32], Error> {
        match self.call(&Command::TimeNonce { firm })? {
            Reply::Nonce(nonce) => Ok(nonce.0),
            _ => Err(unexpected()),
        }
    }

    /// Gives it a time token, as an object; returns time as it is then for the firm.
    ///
    /// # Errors
    /// [`ErrorCode::NonceUnknown`], [`ErrorCode::TokenSignature`], [`ErrorCode::TokenEarlier`].
    pub fn time_token(&self, object: &[u8]) -> Result<TimeInfo, Error> {
        let token = Bytes::new(object).ok_or(ErrorCode::TokenSignature.failure())?;
        match self.call(&Command::TimeToken(token))? {
            Reply::Time(time) => Ok(time),
            _ => Err(unexpected()),
        }
    }

    /// The signed head of a firm's usage log, as an object.
    ///
    /// # Errors
    /// See [`Container::info`].
    pub fn usage_head(&self, firm: RootFp, nonce: [u8; 32]) -> Result<Vec<u8>, Error> {
        match self.call(&Command::UsageHead { firm, nonce: Fixed(nonce) })? {
            Reply::UsageHead(object) => Ok(object.to_vec()),
            _ => Err(unexpected()),
        }
    }

    /// Entries of a firm's usage log behind number `after`, up to number `last`.
    ///
    /// # Errors
    /// [`ErrorCode::UsageEntriesGone`] where some of them were acknowledged.
    pub fn usage_entries(
        &self,
        firm: RootFp,
        after: u64,
        last: u64,
    ) -> Result<Vec<UsageEntry>, Error> {
        let mut entries = Vec::new();
        loop {
            let known = after.saturating_add(entries.len() as u64);
            let Reply::UsageEntries(page) =
                self.call(&Command::UsageEntries { firm, after: known })?
            else {
                return Err(unexpected());
            };
            let wanted = usize::try_from(last.saturating_sub(known)).unwrap_or(usize::MAX);
            if page.is_empty() || wanted == 0 {
                return Ok(entries);
            }
            entries.extend(page.into_vec().into_iter().take(wanted));
        }
    }

    /// Gives it a firm's acknowledgement of its usage log, as an object.
    ///
    /// # Errors
    /// [`ErrorCode::AckSignature`], [`ErrorCode::AckFork`].
    pub fn usage_ack(&self, object: &[u8]) -> Result<(), Error> {
        let ack = Bytes::new(object).ok_or(ErrorCode::AckSignature.failure())?;
        self.done(&Command::UsageAck(ack))
    }

    /// Makes a key of a vendor, or finds it made; the public key of one that signs.
    ///
    /// # Errors
    /// [`ErrorCode::PinNotSet`], [`ErrorCode::PinNeeded`], [`ErrorCode::VendorKeysFull`].
    pub fn make_key(&self, name: KeyName, usage: KeyUsage) -> Result<Option<VerifyingKey>, Error> {
        match self.key_call(KeyCommand::Make { name, usage })? {
            KeyReply::Made(Some(point)) if usage == KeyUsage::Sign => {
                VerifyingKey::from_bytes(&point.0).map(Some).map_err(|_| unexpected())
            }
            KeyReply::Made(None) if usage == KeyUsage::Expand => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Signs the hash of a message by a vendor's key.
    ///
    /// # Errors
    /// [`ErrorCode::VendorKeyMissing`], and what [`Container::make_key`] can meet.
    pub fn sign_by(&self, name: KeyName, hash: [u8; 32]) -> Result<[u8; 64], Error> {
        match self.key_call(KeyCommand::Sign { name, hash: Fixed(hash) })? {
            KeyReply::Signature(signature) => Ok(signature.0),
            _ => Err(unexpected()),
        }
    }

    /// One block of HKDF-Expand by a vendor's secret.
    ///
    /// # Errors
    /// As [`Container::sign_by`].
    pub fn expand_by(&self, name: KeyName, info: &[u8]) -> Result<SecretKey, Error> {
        let info = Bytes::new(info).ok_or(ErrorCode::TooLong.failure())?;
        match self.key_call(KeyCommand::Expand { name, info })? {
            KeyReply::Expanded(key) => Ok(Zeroizing::new(key.0.0)),
            _ => Err(unexpected()),
        }
    }

    /// Destroys a vendor's key. One that is not there is destroyed already.
    ///
    /// # Errors
    /// What [`Container::make_key`] can meet.
    pub fn destroy_key(&self, name: KeyName) -> Result<(), Error> {
        self.done(&Command::Key(KeyCommand::Destroy { name }))
    }

    fn key_call(&self, command: KeyCommand) -> Result<KeyReply, Error> {
        match self.call(&Command::Key(command))? {
            Reply::Key(reply) => Ok(reply),
            _ => Err(unexpected()),
        }
    }

    /// Takes a seat; dropping it gives it back.
    ///
    /// # Errors
    /// The refusal of the first option that does not allow the use.
    pub fn open_seat(
        &self,
        requirement: &Requirement,
        artifact: ArtifactId,
    ) -> Result<Seat, Error> {
        self.introduce()?;
        let open = SeatCommand::Open { op: draw_op()?, requirement: *requirement, artifact };
        match self.seat_call(open).map_err(|error| self.by_whom(error))? {
            SeatReply::Opened(grant) => Ok(Seat::new(self.clone(), grant)),
            _ => Err(unexpected()),
        }
    }

    /// The key that its certificate answers for: checks contexts and receipts.
    pub fn identity_key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.device.body.identity_key.0).ok()
    }

    pub(crate) fn seat_call(&self, command: SeatCommand) -> Result<SeatReply, Error> {
        match self.call(&Command::Seat(command))? {
            Reply::Seat(reply) => Ok(reply),
            _ => Err(unexpected()),
        }
    }

    /// Says once on this channel who asks; each time, what this machine's clock says, where the
    /// container has none.
    fn introduce(&self) -> Result<(), Error> {
        if *self.who == Who::default() {
            return Ok(());
        }
        if self.introduced.get().is_none() {
            self.introduce_as(SeatCommand::Introduce(self.who.client))?;
            if let Some(key) = &self.who.key {
                self.prove(key)?;
            }
            self.introduced.get_or_init(|| ());
        }
        match self.device.body.clock {
            ClockClass::Rtc => Ok(()),
            _ => self.introduce_as(SeatCommand::HostTime(clock::now_s())),
        }
    }

    fn introduce_as(&self, command: SeatCommand) -> Result<(), Error> {
        match self.seat_call(command)? {
            SeatReply::Introduced => Ok(()),
            _ => Err(unexpected()),
        }
    }

    fn prove(&self, key: &UserKey) -> Result<(), Error> {
        let preimage = user_proof(self.lock().handshake_hash(), self.device.id);
        let signature = Fixed(key.sign(&preimage)?);
        self.done(&Command::ProveUser { key: key.public(), signature })
    }

    /// The container knows no names, so the refusal of a user is told here with his.
    fn by_whom(&self, error: Error) -> Error {
        match error.is(ErrorCode::OtherUser) {
            true => Error { detail: format!("asked as {:?}", self.who.user), ..error },
            false => error,
        }
    }

    /// A command that is answered by "done".
    fn done(&self, command: &Command) -> Result<(), Error> {
        match self.call(command)? {
            Reply::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    pub(crate) fn call(&self, command: &Command) -> Result<Reply, Error> {
        self.lock().call(command)
    }

    /// A thread that panicked left the channel between two messages, or dead, and it knows which.
    fn lock(&self) -> MutexGuard<'_, Secure> {
        self.secure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an update was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateError {
    /// The reason.
    pub error: Error,
    /// The receipt of the present state, as an object, where the container gave one.
    pub receipt: Option<Vec<u8>>,
}

impl UpdateError {
    fn refused(failure: Failure, receipt: &[u8]) -> Self {
        let receipt = (!receipt.is_empty()).then(|| receipt.to_vec());
        UpdateError { error: failure.into(), receipt }
    }
}

impl From<Error> for UpdateError {
    fn from(error: Error) -> Self {
        UpdateError { error, receipt: None }
    }
}

fn accept(reply: Reply) -> Result<(), UpdateError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::UpdateRefused { failure, receipt } => Err(UpdateError::refused(failure, &receipt)),
        _ => Err(unexpected().into()),
    }
}

/// Of the refusals of all entries of a product, in their order, the one that a use meets; `None`
/// where an entry allows it. Numbers of refusals rise in the order of evaluation.
pub fn furthest(
    requirement: &Requirement,
    refusals: impl IntoIterator<Item = Option<Failure>>,
) -> Option<Failure> {
    let mut met: Option<Failure> = None;
    for refusal in refusals {
        let refusal = refusal?;
        if met.is_none_or(|met| refusal.code > met.code) {
            met = Some(refusal);
        }
    }
    Some(met.unwrap_or(ErrorCode::ProductUnknown.with(requirement.product.0.into(), 0)))
}

fn pin_bytes(pin: &str) -> Result<Bytes<PIN_LEN_MAX>, Error> {
    let too_long = ErrorCode::TooLong.with(pin.len() as u64, PIN_LEN_MAX as u64);
    Ok(Bytes::new(pin.as_bytes()).ok_or(too_long)?)
}

/// The number of a new command.
pub(crate) fn draw_op() -> Result<OpId, Error> {
    let mut bytes = [0; 16];
    system_random(&mut bytes)
        .map_err(|_| Error::new(ErrorCode::RandomFailed, "the system gave no random bytes"))?;
    Ok(OpId::new(bytes))
}

pub(crate) fn unexpected() -> Error {
    Error::new(ErrorCode::DeviceGarbage, "an answer to another question")
}
