//! Software Activation Wizard: asks for the ticket, finds the container, shows what will happen; by
//! files where the vendor cannot be reached.

use std::path::Path;

use container::Container;
use protocol::errors::ErrorCode;
use protocol::objects::file::{self, FileKind};
use serde::Deserialize;
use serde_json::json;
use vendor::{Result, files};

use super::deliver;
use crate::args::{Args, DeliverArgs, GatewayArgs, WizardArgs};
use crate::online::Client;
use crate::output::Output;
use crate::reach;

/// What a ticket has.
#[derive(Deserialize)]
struct Ticket {
    licenses: Vec<License>,
}

#[derive(Deserialize)]
struct License {
    name: String,
    product: u32,
    device: u32,
    place: Place,
}

#[derive(Deserialize)]
struct Place {
    state: String,
}

pub(crate) fn run(command: &WizardArgs, args: &Args, output: &Output) -> Result<()> {
    output.need_person("strongroom activate TICKET --gateway URL --yes")?;
    output.say("Software Activation Wizard\n");
    let container = choose(args, output)?;
    let serial = container.serial().to_string();
    output.say(format!("The license goes into {serial}."));
    let gateway = match &command.gateway {
        Some(gateway) => gateway.clone(),
        None => output.ask("Address of the vendor's Gateway")?,
    };
    let client = Client::new(&gateway, command.trust.ca.as_deref(), None)?;
    let Some((ticket, shown)) = ticket(&client, output)? else {
        return offline(&container, output);
    };
    for license in &shown.licenses {
        let License { name, product, device, place } = license;
        output.say(format!(
            "  activation {}: product {product} {name}, {}",
            device + 1,
            state(place)
        ));
    }
    output.confirm(&format!("redeem one activation into {serial}?"), false)?;
    let deliver_args = DeliverArgs {
        gateway: GatewayArgs { gateway, trust: command.trust.clone() },
        request: None,
        response: None,
        yes: true,
        dry_run: false,
    };
    let body = json!({ "ticket": ticket });
    let done = deliver(("/activations", body), &container, &deliver_args, args, output)?;
    output.data("deliver", done.data, done.text);
    Ok(())
}

/// In the words of whoever holds the ticket.
fn state(place: &Place) -> &str {
    match place.state.as_str() {
        "pool" => "free",
        "held" => "in a container",
        "releasing" => "on its way out of a container",
        other => other,
    }
}

/// The container that is meant; among several a person chooses.
fn choose(args: &Args, output: &Output) -> Result<Container> {
    if args.container.is_some() {
        return reach::one(args);
    }
    let mut found = reach::all(args)?.discover().containers;
    if found.len() < 2 {
        return reach::one(args);
    }
    for (at, (source, container)) in found.iter().enumerate() {
        output.say(format!("  {}: {} ({source})", at + 1, container.serial()));
    }
    loop {
        let typed = output.ask("Number of the container")?;
        match typed.parse::<usize>() {
            Ok(number) if (1..=found.len()).contains(&number) => {
                return Ok(found.swap_remove(number - 1).1);
            }
            _ => output.say(format!("A number from 1 to {}.", found.len())),
        }
    }
}

/// A ticket that the vendor knows; asked for again while it is none. None where the vendor cannot
/// be reached.
fn ticket(client: &Client, output: &Output) -> Result<Option<(String, Ticket)>> {
    loop {
        let typed = output.ask("Ticket")?;
        match client.post("/tickets/show", None, &json!({ "ticket": typed })) {
            Ok(ticket) => return Ok(Some((typed, ticket))),
            Err(refused) => match refused.failure().and_then(|failure| failure.known()) {
                Some(ErrorCode::TicketMistyped | ErrorCode::TicketUnknown) => {
                    output.error(&refused);
                }
                Some(ErrorCode::ServerUnreachable) => {
                    output.error(&refused);
                    return Ok(None);
                }
                _ => return Err(refused),
            },
        }
    }
}

/// Writes what the container has to say, to be carried to a machine that reaches the vendor.
fn offline(container: &Container, output: &Output) -> Result<()> {
    output.say("It can be done by files, over another machine that reaches the vendor.");
    let root_fp = match container.firms()?.as_slice() {
        [only] => only.root_fp,
        _ => {
            let named = output.ask("The vendor: its root file, name or fingerprint")?;
            reach::firm(&named, Some(container))?
        }
    };
    let typed = output.ask("File for the request [activation.request]")?;
    let path = if typed.is_empty() { "activation.request" } else { typed.as_str() };
    let context = container.context(root_fp, vendor::fresh_nonce()?)?;
    let context = file::write(FileKind::Context, &[container.certificate(), &context]);
    files::write_new(Path::new(path), &context)?;
    let serial = container.serial().to_string();
    let text = format!(
        "{path} is written. Carry it to a machine that reaches the vendor, and run there\n  \
         strongroom activate TICKET --gateway URL --request {path} --response activation.response\n\
         Bring the response back, and run here\n  \
         strongroom update apply activation.response --receipt activation.receipt\nand there, with \
         the receipt\n  strongroom collect --gateway URL --receipt activation.receipt"
    );
    output.data("wizard", json!({ "serial": serial, "request": path }), text);
    Ok(())
}
