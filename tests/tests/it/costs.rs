//! What a command costs does not depend on how many entries there are: reports and calls of the
//! store, counted. `./dev bench` counts instructions, too.

use std::collections::BTreeMap;

use engine::platform::Store;
use protocol::command::{Command, Reply};
use strongroom_tests::costs::{Subject, on_dongle, on_host};
use strongroom_tests::home::Calls;

/// Reports out and back, and calls of the store.
type Costs = BTreeMap<&'static str, ((usize, usize), Calls)>;

/// The costs of each command. A refused one would measure nothing.
fn costs<S: Store>(mut subject: Subject<S>) -> Costs {
    let mut all = Costs::new();
    for (name, command) in subject.commands() {
        // The first opens the channel.
        let (reports, reply) = subject.exchange(&command);
        let is_refused = matches!(reply, Reply::Failed(_) | Reply::UpdateRefused { .. });
        assert!(!is_refused, "{name} is refused");
        all.insert(name, (reports, subject.take_calls()));
    }
    all
}

/// The commit of an update hashes the configuration: two calls for each entry, and nothing else
/// that grows.
fn without_configuration(mut costs: Costs, entries: u64) -> Costs {
    let (_, calls) = costs.get_mut("update commit").expect("an update");
    calls.reads -= 2 * entries;
    costs
}

#[test]
fn no_command_costs_more_for_other_entries_but_the_commit_of_an_update() {
    let few = costs(on_host(10));
    println!("figure: reports out and back, calls of the store: {few:?}");
    let few = without_configuration(few, 10);
    for entries in [1_000, 100_000] {
        let many = without_configuration(costs(on_host(entries)), entries.into());
        assert_eq!(many, few, "{entries} entries, on a host");
    }
    for entries in [10, 1_000] {
        let many = without_configuration(costs(on_dongle(entries)), entries.into());
        assert_eq!(many, few, "{entries} entries, in a dongle");
    }
}

/// Reading changes nothing, and what changes is made durable once.
#[test]
fn what_changes_is_committed_once_and_what_reads_never() {
    let mut subject = on_host(10);
    for (name, command) in subject.commands() {
        let is_durable = matches!(
            command,
            Command::WriteUserData { .. }
                | Command::Rename { .. }
                | Command::UpdateChunk { .. }
                | Command::UpdateCommit
        );
        let marks = ["seat open", "reserve units", "account units", "seat close"];
        subject.carry_out(command);
        let calls = subject.take_calls();
        let most = u64::from(is_durable || marks.contains(&name));
        assert_eq!(calls.commits, most, "{name}: {calls:?}");
        assert_eq!(calls.writes == 0, most == 0, "{name}: {calls:?}");
    }
}
