//! What the common commands cost on the wire, in reports each way, measured on sealed messages.

use protocol::frame::report_count;
use protocol::ids::ArtifactId;
use protocol::objects::artifact::{MAIN_PART, part_key};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::samples;
use strongroom_tests::vendor::Vendor;
use strongroom_tests::wire::Socket;

/// Reports of the one exchange since the last call.
fn reports(socket: &Socket) -> (usize, usize) {
    let lengths = socket.take_lengths();
    assert_eq!(lengths.len(), 1, "one exchange");
    let count = |len| report_count(len).expect("a message that was sent");
    (count(lengths[0].0), count(lengths[0].1))
}

#[test]
fn heartbeats_take_one_report_and_seats_and_keys_two_each_way() {
    let (mut bench, vendor) = (Bench::new(1), Vendor::new("Acme", &mut Dice::new(1)));
    let place = vendor.first_place(bench.id());
    let mut item = samples::item();
    let generation = u16::MAX;
    item.item.product.0 = u32::MAX;
    let mut requirement = vendor.requirement(item.item.product);
    // As large as such a requirement gets.
    requirement.features = u64::MAX;
    requirement.generation.0 = generation;
    requirement.release_s = 1 << 33;
    item.options = {
        let all = protocol::objects::license::ItemOption::FeatureMap(u64::MAX);
        let end = protocol::objects::license::ItemOption::ExpirationTime(1 << 34);
        protocol::codec::List::new(vec![all, end]).expect("two options")
    };
    let name = (item.item.product, requirement.generation);
    let key = vendor.set_key(&bench.sealing_key(), &place, name);
    let update = vendor.update(&place, &[UpdateOp::SetItem(item), key]);
    assert!(matches!(bench.apply(&update), protocol::command::Reply::Receipt(_)));

    let socket = Socket::new(bench);
    let container = socket.open().expect("our own dongle");
    let artifact = ArtifactId::new([0xff; 16]);
    let wrapped = vendor.wrap(&requirement, artifact, &[5; 32]);
    socket.take_lengths();
    let mut seat = container.open_seat(&requirement, artifact).expect("a license for it");
    let open = reports(&socket);
    let key = seat.release_key(&wrapped, MAIN_PART).expect("the key of this slot");
    assert_eq!(**key, *part_key(&[5; 32], MAIN_PART));
    let release = reports(&socket);
    let mut beat = (0, 0);
    for _ in 0..300 {
        seat.renew().expect("still licensed");
        beat = reports(&socket);
        assert_eq!(beat, (1, 1), "a heartbeat");
    }
    println!("figure: reports out and back: open {open:?}, key {release:?}, heartbeat {beat:?}");
    assert!(open.0 <= 2 && open.1 <= 2, "seat open takes {open:?}");
    assert!(release.0 <= 2 && release.1 <= 2, "key release takes {release:?}");
}
