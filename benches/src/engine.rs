//! What a seat costs the engine, with few entries in the container and with many.

use firmware_sim::flash::{FlashConfig, SimFlash};
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::ids::{ArtifactId, Generation, OpId, ProductCode};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::Vendor;

use crate::Result;
use crate::clock::cpu_s;
use crate::measure::in_turn;
use crate::table::Row;

const FEW: u32 = 10;
const MANY: u32 = 1000;
/// Seats that are timed together.
const BATCH: u128 = 100;
const ROUNDS: usize = 15;
const US: (&str, f64) = ("us", 1e6 / BATCH as f64);

/// Opening and closing a seat of the last product, without a channel.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let (mut few, mut many) = (filled(&vendor, FEW)?, filled(&vendor, MANY)?);
    let (mut few_op, mut many_op) = (0, 0);
    let pair = in_turn(
        ROUNDS,
        || cpu_s(|| seats(&mut many, &vendor, ProductCode(MANY), &mut many_op)),
        || cpu_s(|| seats(&mut few, &vendor, ProductCode(FEW), &mut few_op)),
    )?;
    let name = "seat open and close, 1,000 entries / 10";
    Ok(vec![Row::of_pairs(name, &[pair], None, US, ("1,000", "10"))])
}

/// A dongle with products 1 to `entries`, and the key of the last.
fn filled(vendor: &Vendor, entries: u32) -> Result<Bench> {
    let flash = SimFlash::in_memory(FlashConfig::nrf52840(256), 1);
    let mut bench = Bench::on(flash, 2, new_keys(1), 1);
    bench.power_up().map_err(|error| format!("{error:?}"))?;
    let mut place = vendor.first_place(bench.id());
    let last = (ProductCode(entries), Generation(0));
    let mut all = vec![vendor.set_key(&bench.sealing_key(), &place, last)];
    all.extend((1..=entries).map(|n| UpdateOp::SetItem(item(n))));
    for ops in all.chunks(100) {
        let update = vendor.update(&place, ops);
        match bench.apply(&update) {
            Reply::Receipt(_) => place = update.after(),
            _ => return Err("an update was refused".into()),
        }
    }
    Ok(bench)
}

fn item(product: u32) -> ProductItem {
    let item = ItemRef { product: ProductCode(product), entry: Default::default() };
    ProductItem { item, options: Default::default() }
}

fn seats(bench: &mut Bench, vendor: &Vendor, product: ProductCode, op: &mut u128) -> Result<()> {
    let requirement = vendor.requirement(product);
    for _ in 0..BATCH {
        *op += 1;
        let (op, artifact) = (OpId::new(op.to_be_bytes()), ArtifactId::default());
        let open = Command::Seat(SeatCommand::Open { op, requirement, artifact });
        let Reply::Seat(SeatReply::Opened(grant)) = bench.command(open) else {
            return Err("a seat was refused".into());
        };
        bench.command(Command::Seat(SeatCommand::Close { handle: grant.handle }));
    }
    Ok(())
}
