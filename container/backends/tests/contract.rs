//! The simulated dongle on its socket passes the contract of backends, alone and in a registry.

use std::thread::JoinHandle;

use firmware_sim::device::{Dongle, SimDevice, SimProfile};
use firmware_sim::server::Server;
use firmware_sim::server::control::{Control, PlugControl};
use protocol::errors::ErrorCode;
use strongroom_backends::{Source, registry};

/// A simulated dongle that ends with the test.
struct Plugged {
    source: Source,
    control: Control<SimDevice>,
    server: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Plugged {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("usb");
        let profile = SimProfile::named("rtc").unwrap();
        let device = SimDevice::new(Dongle::in_memory(profile, seed).unwrap()).unwrap();
        let (server, control) = Server::bind(&socket, device).unwrap();
        let server = std::thread::spawn(move || drop(server.run().unwrap()));
        Plugged { source: Source::Sim(socket), control, server: Some(server), _dir: dir }
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        self.control.stop().unwrap();
        self.server.take().unwrap().join().unwrap();
    }
}

#[test]
fn the_simulated_dongle_passes_the_contract() {
    let plugged = Plugged::new(1);
    container::contract::check(&*strongroom_backends::backend(&plugged.source));
}

#[test]
fn a_registry_refuses_to_guess_and_names_what_there_is() {
    let (one, other) = (Plugged::new(1), Plugged::new(2));
    let both = registry(&[one.source.clone(), other.source.clone()]).unwrap();
    let refused = both.find(None).err().unwrap();
    assert!(refused.is(ErrorCode::SeveralContainers));
    let found = both.discover();
    assert_eq!((found.containers.len(), found.broken.len()), (2, 0));
    for (_, container) in &found.containers {
        let serial = container.serial().to_string();
        assert!(refused.detail.contains(&serial));
        assert_eq!(
            both.find(Some(&serial.to_lowercase())).ok().unwrap().serial().to_string(),
            serial
        );
    }
    let unknown = both.find(Some("DONGLE-0000-0000-0000")).err().unwrap();
    assert!(unknown.is(ErrorCode::ContainerUnknown));
}

#[test]
fn what_is_broken_is_told_apart_from_what_is_not_there() {
    let plugged = Plugged::new(1);
    let absent = Source::Sim("/nonexistent/usb".into());
    let found = registry(&[absent.clone(), plugged.source.clone()]).unwrap().discover();
    assert_eq!(found.containers.len(), 1);
    assert_eq!(found.broken.len(), 1);
    assert!(found.broken[0].1.is(ErrorCode::SourceFailed));
    assert!(registry(&[absent]).unwrap().find(None).err().unwrap().is(ErrorCode::SourceFailed));
    assert!(registry(&[]).unwrap().find(None).err().unwrap().is(ErrorCode::NoContainer));
    plugged.control.unplug().unwrap();
    let found = registry(std::slice::from_ref(&plugged.source)).unwrap().discover();
    assert_eq!((found.containers.len(), found.broken.len()), (0, 1));
    plugged.control.plug().unwrap();
    assert_eq!(
        registry(std::slice::from_ref(&plugged.source)).unwrap().discover().containers.len(),
        1
    );
}
