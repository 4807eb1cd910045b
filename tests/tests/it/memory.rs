//! After a session no released key is left in memory, neither the container's nor the host's.

use std::io::Write;
use std::process::{Command, Stdio};

use protocol::command::Reply;
use protocol::ids::{ArtifactId, OpId};
use protocol::objects::artifact::{MAIN_PART, part_key};
use protocol::objects::update::UpdateOp;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::memory::mask;
use strongroom_tests::samples;
use strongroom_tests::vendor::Vendor;

/// The vendor stays here; dongle and host run in a process of their own, which searches itself.
#[test]
fn sec_l08_no_released_key_is_left_in_memory_after_a_session() {
    let vendor = Vendor::new("Acme", &mut Dice::new(1));
    let mut bench = Bench::new(1);
    let place = vendor.first_place(bench.id());
    let product = samples::item().item.product;
    let mut item = samples::item();
    item.options = Default::default();
    let key = vendor.set_key(&bench.sealing_key(), &place, (product, Default::default()));
    let update = vendor.update(&place, &[UpdateOp::SetItem(item), key]);
    assert!(matches!(bench.apply(&update), Reply::Receipt(_)));

    let requirement = vendor.requirement(product);
    let artifact = ArtifactId::new([6; 16]);
    let content_key: [u8; 32] = Dice::new(4).bytes();
    let wrapped = vendor.wrap(&requirement, artifact, &content_key);
    let item_key = vendor.item_key(product, Default::default());
    let needles = [
        ("item key", mask(&item_key)),
        ("content key", mask(&content_key)),
        ("key of the part", mask(&part_key(&content_key, MAIN_PART))),
    ];
    let case = (&update.root, update.head(), &update.body, requirement, artifact, wrapped);
    let case = protocol::codec::encode(&(case, needles, OpId::default()));

    let mut child = Command::new(env!("CARGO_BIN_EXE_search-own-memory"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program beside this test");
    child.stdin.take().expect("a pipe").write_all(&case).expect("a child that reads");
    let done = child.wait_with_output().expect("a child that ends");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("found while held: key of the part"), "the search finds nothing: {said}");
    assert!(said.ends_with("left: 0\n"), "{said}");
}
