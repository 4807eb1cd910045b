//! `strongroom sim`: a simulated dongle, and faults for it.

use std::path::Path;

use firmware_sim::device::{Dongle, SimDevice, SimProfile};
use firmware_sim::fault::{self, Fault};
use firmware_sim::server::Server;
use serde_json::json;
use vendor::{Result, Shown};

use crate::args::SimCommand;
use crate::output::Output;

pub(super) fn run(command: &SimCommand, output: &Output) -> Result<()> {
    match command {
        SimCommand::Run { state, socket, profile, seed } => {
            serve(state, socket, profile, *seed, output)
        }
        SimCommand::Fault { socket, fault } => inflict(socket, &fault.join(" "), output),
    }
}

fn serve(
    state: &Path,
    socket: &Path,
    profile: &str,
    seed: Option<u64>,
    output: &Output,
) -> Result<()> {
    let profile = SimProfile::named(profile).ok_or_else(|| {
        let known = SimProfile::NAMES.join(", ");
        Shown::usage(format!("no profile is called {profile:?}"), format!("Known: {known}."))
    })?;
    let failed = |error: std::io::Error| Shown::io(state, &error);
    let mut dongle = Dongle::open(state, profile, seed).map_err(failed)?;
    dongle.power_up().map_err(failed)?;
    dongle.set_light(light(output.is_json()));
    let serial = dongle.serial().to_string();
    let device = SimDevice::new(dongle).map_err(failed)?;
    let at_socket = |error: std::io::Error| Shown::io(socket, &error);
    let (server, control) = Server::bind(socket, device).map_err(at_socket)?;
    let stopped = firmware_sim::fault::listen(socket, control.clone()).map_err(at_socket);
    stopped?;
    stop_on_signal(control)?;
    let source = format!("sim:{}", socket.display());
    let text = format!("simulated dongle {serial} at --source {source}; it holds no real license");
    output.data("sim-run", json!({ "serial": serial, "source": source }), text);
    server.run().map_err(at_socket)?;
    // Nobody misses the control socket of a simulator that has ended.
    std::fs::remove_file(fault::control_path(socket)).ok();
    Ok(())
}

/// The light of a simulated dongle: a line for whoever watches.
fn light(is_json: bool) -> impl FnMut(u8) + Send + 'static {
    move |for_s| {
        let output = Output::new(is_json);
        match for_s {
            0 => output.say("sim: is dark again"),
            for_s => output.say(format!("sim: blinks for {for_s} s")),
        }
    }
}

/// Ends the server, and with it the program, at SIGTERM and SIGINT, so that no socket is left
/// behind.
fn stop_on_signal(control: firmware_sim::server::control::Control<SimDevice>) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Shown::io(Path::new("signals"), &error))?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // If the server has ended already there is nothing to stop.
            fault::inflict(Fault::Stop, &control).ok();
        }
    });
    Ok(())
}

fn inflict(socket: &Path, text: &str, output: &Output) -> Result<()> {
    let fault: Fault = text
        .parse()
        .map_err(|error| Shown::usage(error, "Write one of them behind --socket PATH."))?;
    fault::request(socket, fault).map_err(|error| Shown::io(socket, &error))?;
    output.data("sim-fault", json!({ "fault": fault.to_string() }), format!("done: {fault}"));
    Ok(())
}
