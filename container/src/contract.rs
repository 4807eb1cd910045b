//! The suite that every backend must pass, whatever home is behind it.
//!
//! Each check takes a backend with exactly one usable container and panics with what was broken.

use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, Generation, ProductCode, RootFp};
use protocol::limits::MESSAGE_LEN_MAX;
use protocol::objects::license::{AccessMode, Requirement};

use crate::backend::{Backend, Channel};
use crate::container::{Container, Makers};
use crate::error::Error;

/// Runs all checks.
///
/// # Panics
/// The backend breaks the contract.
pub fn check(backend: &dyn Backend) {
    it_lists_what_it_opens(backend);
    a_container_tells_the_same_to_everyone(backend);
    garbage_kills_a_channel_and_nothing_else(backend);
    a_message_that_is_too_long_is_refused(backend);
    commands_that_change_something_are_seen_by_others(backend);
    what_is_not_there_is_refused_with_values(backend);
    many_sessions_at_once(backend);
}

fn channel(backend: &dyn Backend) -> Box<dyn Channel> {
    let found = backend.list().expect("the source can be asked");
    assert_eq!(found.len(), 1, "exactly one container is expected");
    assert_eq!(found[0].hindrance, None, "it can be used");
    backend.open(&found[0]).expect("it can be opened")
}

fn open(backend: &dyn Backend) -> Container {
    let address = backend.list().expect("the source can be asked").remove(0).address;
    let opened = Container::open(channel(backend), address, &Makers::standard());
    opened.expect("its certificate holds")
}

fn it_lists_what_it_opens(backend: &dyn Backend) {
    assert!(!backend.source().is_empty(), "a source has a name");
    assert_eq!(backend.list(), backend.list(), "looking changes nothing");
    let container = open(backend);
    assert_eq!(container.info().expect("it answers").id, container.device().id);
}

fn a_container_tells_the_same_to_everyone(backend: &dyn Backend) {
    let (one, other) = (open(backend), open(backend));
    assert_eq!(one.serial(), other.serial());
    assert_eq!(one.firms(), other.firms());
    assert_eq!(one.certificate(), other.certificate());
}

fn garbage_kills_a_channel_and_nothing_else(backend: &dyn Backend) {
    let container = open(backend);
    let mut broken = channel(backend);
    for request in [&[][..], &[0xff; 3], &[1, 1], &[0; 300]] {
        // An answer in clear, or none: nothing that a session would take for one.
        let _ = broken.exchange(request);
    }
    container.info().expect("others go on");
    open(backend).info().expect("new ones are welcome");
}

fn a_message_that_is_too_long_is_refused(backend: &dyn Backend) {
    let refused = channel(backend).exchange(&vec![0; MESSAGE_LEN_MAX + 1]);
    assert!(refused.is_err_and(|error| error.is(ErrorCode::TooLong)));
}

fn commands_that_change_something_are_seen_by_others(backend: &dyn Backend) {
    let (one, other) = (open(backend), open(backend));
    let before = one.info().expect("it answers").name;
    one.rename("contract").expect("it can be renamed");
    assert_eq!(&*other.info().expect("it answers").name, "contract");
    one.rename(&before).expect("it can be renamed");
}

fn what_is_not_there_is_refused_with_values(backend: &dyn Backend) {
    let container = open(backend);
    let requirement = Requirement {
        root_fp: RootFp::new([0xc0; 16]),
        product: ProductCode(1),
        features: 0,
        units: 0,
        release_s: 0,
        access: AccessMode::UserLimit,
        certified_age_s: 0,
        generation: Generation(0),
    };
    let unknown = |result: Result<(), Error>| {
        assert!(result.is_err_and(|error| error.is(ErrorCode::FirmUnknown)));
    };
    unknown(container.why(&requirement));
    unknown(container.open_seat(&requirement, ArtifactId::default()).map(drop));
    unknown(container.items(requirement.root_fp).map(drop));
    unknown(container.receipt(requirement.root_fp, 0).map(drop));
    container.context(requirement.root_fp, [7; 32]).expect("a context is for newcomers too");
    container.info().expect("a refusal leaves the session alive");
}

fn many_sessions_at_once(backend: &dyn Backend) {
    let containers: Vec<Container> = (0..16).map(|_| open(backend)).collect();
    for container in &containers {
        container.info().expect("each session is served");
    }
}
