//! Conversations with a dongle in this process: reports each way, and processor time.

use container::{Container, Seat};
use protocol::command::Reply;
use protocol::frame::report_count;
use protocol::ids::{ArtifactId, Generation, ProductCode};
use protocol::objects::artifact::{MAIN_PART, WrappedKey};
use protocol::objects::license::{ItemRef, ProductItem, Requirement};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::Vendor;
use strongroom_tests::wire::Socket;

use crate::Result;
use crate::clock::cpu_s;
use crate::measure::median;
use crate::table::{Row, short};

const ROUNDS: usize = 200;
const ARTIFACT: ArtifactId = ArtifactId::new([0xff; 16]);
const KEY: [u8; 32] = [5; 32];

/// What an exchange is called, what it may take, and what it took.
struct Exchange {
    name: &'static str,
    reports_max: Option<usize>,
    seconds: Vec<f64>,
    /// Out and back, of each exchange.
    reports: Vec<(usize, usize)>,
}

/// First contact, seat, key and heartbeat. Both sides count, since both are in this thread.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let (socket, requirement, wrapped) = licensed()?;
    let mut hello = Exchange::new("first contact", None);
    let mut open = Exchange::new("seat open", Some(2));
    let mut release = Exchange::new("key release", Some(2));
    let mut beat = Exchange::new("heartbeat", Some(1));
    for _ in 0..ROUNDS {
        let container: Container = hello.time(&socket, || socket.open())?;
        let mut seat: Seat = open.time(&socket, || container.open_seat(&requirement, ARTIFACT))?;
        release.time(&socket, || seat.release_key(&wrapped, MAIN_PART))?;
        beat.time(&socket, || seat.renew())?;
        drop(seat);
        socket.take_lengths();
    }
    Ok([hello, open, release, beat].iter().map(Exchange::row).collect())
}

/// A dongle with a license, what a program requires of it, and the program's key. Numbers are as
/// long as they get.
fn licensed() -> Result<(Socket, Requirement, WrappedKey)> {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let place = vendor.first_place(bench.id());
    let (product, generation) = (ProductCode(u32::MAX), Generation(u16::MAX));
    let mut requirement = vendor.requirement(product);
    requirement.generation = generation;
    requirement.release_s = 1 << 33;
    let item = ItemRef { product, entry: Default::default() };
    let item = ProductItem { item, options: Default::default() };
    let key = vendor.set_key(&bench.sealing_key(), &place, (product, generation));
    match bench.apply(&vendor.update(&place, &[UpdateOp::SetItem(item), key])) {
        Reply::Receipt(_) => {}
        _ => return Err("the dongle refused its license".into()),
    }
    let wrapped = vendor.wrap(&requirement, ARTIFACT, &KEY);
    Ok((Socket::new(bench), requirement, wrapped))
}

impl Exchange {
    fn new(name: &'static str, reports_max: Option<usize>) -> Self {
        Exchange { name, reports_max, seconds: Vec::new(), reports: Vec::new() }
    }

    /// Carries it out once.
    fn time<T>(
        &mut self,
        socket: &Socket,
        work: impl FnOnce() -> std::result::Result<T, container::Error>,
    ) -> Result<T> {
        let mut done = None;
        socket.take_lengths();
        self.seconds.push(cpu_s(|| {
            done = Some(work()?);
            Ok(())
        })?);
        let count = |len| report_count(len).ok_or("a message that is too long was sent");
        for (out, back) in socket.take_lengths() {
            self.reports.push((count(out)?, count(back)?));
        }
        done.ok_or_else(|| "nothing was done".into())
    }

    fn row(&self) -> Row {
        let (out, back) =
            self.reports.iter().fold((0, 0), |most, now| (most.0.max(now.0), most.1.max(now.1)));
        let us = short(median(self.seconds.clone()) * 1e6);
        Row {
            name: format!("{}, most reports one way", self.name),
            values: vec![out.max(back) as f64],
            unit: "reports",
            bound: self.reports_max.map(|max| max as f64),
            beside: format!("{out} out, {back} back; {us} us of processor, both sides"),
        }
    }
}
