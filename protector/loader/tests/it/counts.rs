//! Counts that do not depend on the machine's speed: system calls from exec to the program.

use crate::harness::World;

/// System calls of the first thread from exec to the jump, C library's own start included; without
/// and with a seat.
const CALLS_MAX: [usize; 2] = [32, 49];

#[test]
fn system_calls_from_exec_to_the_jump() {
    let world = World::new();
    let counter = world.build("count.c", "count", &["-static"]);
    let plain = world.build("exit.c", "exit", &["-nostdlib", "-static", "-no-pie"]);
    let sealed = [world.seal_without_seat(&plain), world.path("sealed/with-seat")];
    crate::seal::seal(&plain, &world.seats.settings(&["forks=1"]), &sealed[1]);
    for (sealed, most) in sealed.iter().zip(CALLS_MAX) {
        let got = world.run(&counter, &[sealed.to_str().expect("UTF-8")], "");
        assert_eq!(got.code(), 0, "{}", got.stderr);
        let count =
            got.stdout.lines().find_map(|line| line.strip_prefix("calls ")?.parse::<usize>().ok());
        let count = count.expect("the program came to its own first call");
        println!("{} calls: {}", count, got.stdout.lines().next().unwrap_or_default());
        assert!(count <= most, "{count} calls, {most} at most");
    }
}
