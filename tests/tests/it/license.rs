//! A dongle with one license on the bench: how entries, uses and tokens are made in a line each.

use protocol::codec::{Bytes, Fixed, List};
use protocol::command::{Command, ItemState, Reply, SeatCommand, SeatReply};
use protocol::crypto::hpke;
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, EntryNumber, Generation, OpId, ProductCode, RootFp};
use protocol::objects::data::{DataContent, DataField, sealed_data_aad, sealed_data_info};
use protocol::objects::license::{ItemOption, ItemRef, ProductItem, Requirement};
use protocol::objects::statement::TimeTokenBody;
use protocol::objects::update::UpdateOp;
use protocol::signed::{Header, Kind, Role, write_object};
use protocol::{codec, signed};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::{Place, Vendor};

/// The one entry.
pub(crate) const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };

/// A dongle and the firm whose license it holds.
pub(crate) struct Licensed {
    pub(crate) bench: Bench,
    pub(crate) vendor: Vendor,
    place: Place,
}

impl Licensed {
    /// A dongle with an entry of these options, and its key.
    pub(crate) fn new(options: Vec<ItemOption>) -> Self {
        Self::on(Bench::new(1), "Acme", options)
    }

    /// The same on a dongle that is there.
    pub(crate) fn on(bench: Bench, name: &str, options: Vec<ItemOption>) -> Self {
        Self::of(bench, Vendor::new(name, &mut Dice::new(1)), options)
    }

    /// The same of another firm.
    pub(crate) fn on_other(bench: Bench, options: Vec<ItemOption>) -> Self {
        Self::of(bench, Vendor::new("Other", &mut Dice::new(2)), options)
    }

    fn of(bench: Bench, vendor: Vendor, options: Vec<ItemOption>) -> Self {
        let place = vendor.first_place(bench.id());
        let mut made = Licensed { bench, vendor, place };
        let key = made.vendor.set_key(
            &made.bench.sealing_key(),
            &made.place,
            (ITEM.product, Generation(0)),
        );
        let answer = made.apply(&[UpdateOp::SetItem(entry(options)), key]);
        assert!(matches!(answer, Reply::Receipt(_)));
        made
    }

    /// The firm.
    pub(crate) fn fp(&self) -> RootFp {
        self.vendor.fp()
    }

    /// Where its next update goes.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Applies an update of these operations; a refused one leaves the place as it was.
    pub(crate) fn apply(&mut self, ops: &[UpdateOp]) -> Reply {
        let update = self.vendor.update(&self.place, ops);
        let answer = self.bench.apply(&update);
        if matches!(answer, Reply::Receipt(_)) {
            self.place = update.after();
        }
        answer
    }

    /// Sets the entry anew.
    pub(crate) fn set(&mut self, options: Vec<ItemOption>) {
        let answer = self.apply(&[UpdateOp::SetItem(entry(options))]);
        assert!(matches!(answer, Reply::Receipt(_)));
    }

    /// What writes hidden or secret data in the next update.
    pub(crate) fn sealed_data(&self, field: DataField, access_code: u32, data: &[u8]) -> UpdateOp {
        let place = self.place;
        let info = sealed_data_info(self.fp(), place.container);
        let aad = sealed_data_aad(place.seq, ITEM, field);
        let mut sealed = [&access_code.to_be_bytes()[..], data, &[0; 16]].concat();
        let plain_len = sealed.len() - 16;
        let mut random = |out: &mut [u8]| {
            out.fill(3);
            Ok(())
        };
        let to = self.bench.sealing_key();
        let (encapsulated, _) = hpke::seal(&mut random, &to, &info, &aad, &mut sealed, plain_len)
            .expect("room for the tag is there");
        let ciphertext = Bytes::new(sealed).expect("short");
        let content = DataContent::Sealed { encapsulated: Fixed(encapsulated), ciphertext };
        UpdateOp::SetData { item: ITEM, field, content }
    }

    /// A use that takes so many units.
    pub(crate) fn requirement(&self, units: u32) -> Requirement {
        Requirement { units, ..self.vendor.requirement(ITEM.product) }
    }

    /// Sends a seat command on a channel.
    pub(crate) fn seat(
        &mut self,
        channel: u32,
        command: SeatCommand,
    ) -> Result<SeatReply, ErrorCode> {
        match self.bench.engine().carry_out(channel, Command::Seat(command)) {
            Reply::Seat(reply) => Ok(reply),
            Reply::Failed(failure) => Err(failure.known().expect("a known number")),
            _ => panic!("an answer to something else"),
        }
    }

    /// Opens a seat on a channel.
    pub(crate) fn open(
        &mut self,
        channel: u32,
        op: OpId,
        units: u32,
    ) -> Result<SeatReply, ErrorCode> {
        let requirement = self.requirement(units);
        self.seat(channel, SeatCommand::Open { op, requirement, artifact: ArtifactId::default() })
    }

    /// What the dongle keeps of the entry.
    pub(crate) fn state(&mut self) -> ItemState {
        let firm = self.fp();
        match self.bench.command(Command::ItemState { firm, item: ITEM }) {
            Reply::ItemState(state) => state,
            _ => panic!("no state"),
        }
    }

    /// Asks the dongle for a nonce.
    pub(crate) fn nonce(&mut self) -> [u8; 32] {
        let firm = self.fp();
        match self.bench.command(Command::TimeNonce { firm }) {
            Reply::Nonce(nonce) => nonce.0,
            _ => panic!("no nonce"),
        }
    }

    /// A time token that answers a nonce.
    pub(crate) fn token(&self, nonce: [u8; 32], time_s: u64) -> Command {
        let body = codec::encode(&TimeTokenBody { time_s, radius_s: 1 });
        let header = Header { state: nonce, ..self.header(Kind::TimeToken, &body) };
        self.signed(header, Role::Time, &body, Command::TimeToken)
    }

    /// The header of an object for this dongle.
    pub(crate) fn header(&self, kind: Kind, body: &[u8]) -> Header {
        Header { root_fp: self.fp(), target: *self.bench.id().bytes(), ..Header::new(kind, body) }
    }

    /// A command that brings a signed object.
    pub(crate) fn signed<const MAX: usize>(
        &self,
        header: signed::Header,
        role: Role,
        body: &[u8],
        command: fn(codec::Bytes<MAX>) -> Command,
    ) -> Command {
        let (header, proof) = self.vendor.sign(header, role);
        let object = write_object(&header, &proof, body);
        command(codec::Bytes::new(object).expect("a small object"))
    }

    /// Takes the power away and gives it back.
    pub(crate) fn power_cycle(&mut self) {
        self.bench.power_up().expect("the flash is in order");
    }
}

/// The one entry with these options.
pub(crate) fn entry(options: Vec<ItemOption>) -> ProductItem {
    ProductItem { item: ITEM, options: List::new(options).expect("few options") }
}

/// The number of a command.
pub(crate) fn op(number: u64) -> OpId {
    let mut bytes = [0x5a; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    OpId::new(bytes)
}

/// A client on a station of this number.
pub(crate) fn station(number: u8) -> SeatCommand {
    let client = protocol::objects::license::Client {
        station: Fixed([number; 16]),
        ..strongroom_tests::samples::client()
    };
    SeatCommand::Introduce(client)
}
