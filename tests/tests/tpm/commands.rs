//! What a TPM is asked for: little at a start, twice for a commit, and never for a use.

use protocol::codec::List;
use protocol::crypto::ecdh::PublicKey;
use protocol::ids::{ArtifactId, EntryNumber, Generation, ProductCode};
use protocol::objects::artifact::{MAIN_PART, part_key};
use protocol::objects::license::{ItemOption, ItemRef, ProductItem};
use protocol::objects::update::UpdateOp;
use strongroom_tests::swtpm::{CommandCode, Proxy, Swtpm};

use crate::soft::Soft;

const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };

/// All that came by since it was asked last.
fn taken(proxy: &Proxy) -> Vec<CommandCode> {
    let codes = proxy.commands().iter().map(|exchange| exchange.code()).collect();
    proxy.clear();
    codes
}

/// Gives a container a license with two seats.
fn sell(soft: &Soft) {
    let binding = soft.binding();
    let place = soft.vendor.first_place(binding.container);
    let sealing = PublicKey::from_compressed(&binding.keys.sealing.0).expect("a point");
    let key = soft.vendor.set_key(&sealing, &place, (ITEM.product, Generation(0)));
    let options = List::new(vec![ItemOption::LicenseQuantity(2)]).expect("one option");
    let update =
        soft.vendor.update(&place, &[UpdateOp::SetItem(ProductItem { item: ITEM, options }), key]);
    let container = soft.open().expect("it opens");
    let applied =
        container.apply_update(&update.root, &update.head(), &update.body, &mut |_, _| {});
    applied.map_err(|refused| refused.error).expect("an update of its own firm");
}

#[test]
fn a_start_takes_twelve_commands_and_a_commit_that_is_one_of_them_two() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    taken(&proxy);
    soft.serve();
    let connect = [CommandCode::CREATE_PRIMARY, CommandCode::START_AUTH_SESSION];
    let unseal = [
        CommandCode::GET_RANDOM,
        CommandCode::LOAD,
        CommandCode::UNSEAL,
        CommandCode::FLUSH_CONTEXT,
    ];
    let find = [CommandCode::NV_READ_PUBLIC; 2];
    let read = [CommandCode::NV_READ; 2];
    // The mark that seats may be in use from now on.
    let commit = [CommandCode::NV_READ, CommandCode::NV_WRITE];
    assert_eq!(taken(&proxy), [&connect[..], &unseal, &find, &read, &commit].concat());
    soft.set(1).expect("it can be renamed");
    assert_eq!(taken(&proxy), commit);
}

#[test]
fn a_use_of_a_license_asks_the_tpm_for_nothing() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    soft.serve();
    sell(&soft);
    taken(&proxy);
    let requirement = soft.vendor.requirement(ITEM.product);
    let artifact = ArtifactId::new([6; 16]);
    let wrapped = soft.vendor.wrap(&requirement, artifact, &[9; 32]);
    let container = soft.open().expect("it opens");
    let mut seat = container.open_seat(&requirement, artifact).expect("a seat is free");
    seat.renew().expect("a sign of life");
    let key = seat.release_key(&wrapped, MAIN_PART).expect("the key of this slot");
    assert_eq!(**key, *part_key(&[9; 32], MAIN_PART));
    let other = soft.open().expect("it opens").open_seat(&requirement, artifact);
    other.expect("a seat is free");
    drop(seat);
    drop(container);
    soft.value();
    assert_eq!(taken(&proxy), []);
}
