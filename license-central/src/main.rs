//! `license-central`, the server.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use license_central::args::{Cli, Command, InitArgs, MigrateArgs, ServeArgs, SignerArgs};
use license_central::commands::Said;
use license_central::domain::central::Central;
use license_central::domain::refusal::Refusal;
use license_central::{commands, place, server};
use protocol::errors::{Shown, write_utc};
use serde_json::json;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (json, done) = match &cli.command {
        Command::Init(args) => (args.json, init(args)),
        Command::Serve(args) => (args.json, serve(args)),
        Command::Migrate(args) => (args.json, migrate(args)),
        Command::Signer(args) => (args.json, signer(args)),
        Command::Check(args) => (args.json, say(commands::check(args), args.json)),
        Command::Backup(args) => (args.json, say(commands::backup(args), args.json)),
        Command::Restore(args) => (args.json, say(commands::restore(args), args.json)),
    };
    match done {
        Ok(exit) => ExitCode::from(exit),
        Err(shown) => {
            tell_error(&shown, json);
            ExitCode::from(shown.exit())
        }
    }
}

fn init(args: &InitArgs) -> Result<u8, Shown> {
    let made = place::init(args)?;
    let (root, key) = (&made.root_fp, made.owner_key.display());
    let data = json!({ "vendor": args.vendor, "root_fp": root, "owner_key": key.to_string() });
    let text = format!(
        "made vendor {} with root {root}\nthe owner's key is in {key}: log in with it, and take it \
         away",
        args.vendor
    );
    tell("strongroom.central-init/v1", &data, &text, args.json)
}

fn serve(args: &ServeArgs) -> Result<u8, Shown> {
    log_to_stderr();
    let (signer, passphrase_file) = (args.signer.as_deref(), args.passphrase_file.as_deref());
    let (central, directories) = place::open(&args.place, signer, passphrase_file)?;
    let central = Arc::new(central);
    show_journals(&central);
    // Its store has threads of its own, which must not end on those of the listeners.
    let _outlives_the_runtime = central.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Shown::conflict(error, "Repeat the command."))?;
    runtime.block_on(server::serve((central, directories), args, |at| {
        let scheme = if args.tls.tls_cert.is_some() { "https" } else { "http" };
        let (sales, gateway, admin) =
            [at.sales, at.gateway, at.admin].map(|at| format!("{scheme}://{at}")).into();
        let mut data = json!({ "sales": sales, "gateway": gateway, "admin": admin });
        let mut text = format!("Sales    {sales}\nGateway  {gateway}\nAdmin    {admin}");
        if let Some(metrics) = at.metrics {
            data["metrics"] = json!(format!("{scheme}://{metrics}"));
            text.push_str(&format!("\nMetrics  {scheme}://{metrics}/metrics"));
        }
        // Whoever does not read it may still use the server.
        let _ = tell("strongroom.central-serve/v1", &data, &text, args.json);
    }))?;
    Ok(0)
}

/// Shows the signer that the database knows its journals. What disagrees issues nothing, and the
/// rest of the server works.
fn show_journals(central: &Central) {
    for tenant in central.tenants() {
        if let Err(refused) = central.agree(tenant) {
            let shown = refused.shown();
            let (why, hint) = (shown.title(&utc), shown.hint(&utc));
            tracing::error!(tenant, code = shown.code(), why, hint, "nothing is issued");
        }
    }
}

fn signer(args: &SignerArgs) -> Result<u8, Shown> {
    log_to_stderr();
    let (process, socket) = place::open_signer(args)?;
    process.listen(&socket)?;
    let at = socket.display().to_string();
    tracing::info!(id = std::process::id(), at, "the signer listens");
    tell(
        "strongroom.central-signer/v1",
        &json!({ "socket": at }),
        &format!("Signer   {at}"),
        args.json,
    )?;
    if args.held {
        std::thread::spawn(|| {
            // Whoever started it holds the other end, and closes it by ending.
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Shown::conflict(error, "Repeat the command."))?;
    runtime.block_on(process.wait())?;
    Ok(0)
}

fn migrate(args: &MigrateArgs) -> Result<u8, Shown> {
    let made = place::open_store(&args.place)?
        .migrate()
        .map_err(Refusal::Store)
        .map_err(Refusal::shown)?;
    let data = json!({ "steps": made });
    tell("strongroom.central-migrate/v1", &data, &format!("{made} steps"), args.json)
}

/// Structured logs, JSON lines; `STRONGROOM_LOG` says how much.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("STRONGROOM_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn say(said: Result<Said, Shown>, json: bool) -> Result<u8, Shown> {
    let Said { schema, data, text, exit } = said?;
    tell(schema, &data, &text, json)?;
    Ok(exit)
}

/// Prints what was done: the exit code of success.
fn tell(schema: &str, data: &serde_json::Value, text: &str, json: bool) -> Result<u8, Shown> {
    let out =
        if json { json!({ "schema": schema, "data": data }).to_string() } else { text.into() };
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{out}").and_then(|()| stdout.flush());
    written.map_err(|error| Shown::conflict(error, "Nothing reads what is printed."))?;
    Ok(0)
}

fn tell_error(shown: &Shown, json: bool) {
    let (code, title, hint) = (shown.code(), shown.title(&utc), shown.hint(&utc));
    if json {
        let error = json!({ "code": code, "title": title, "hint": hint });
        println!("{}", json!({ "schema": "strongroom.error/v1", "error": error }));
        return;
    }
    eprintln!("error {code}: {title}\n  {hint}");
}

fn utc(at_s: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(at_s, &mut text);
    text
}
