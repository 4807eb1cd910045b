//! `strongroom central`: administration over the REST API.

mod decide;
mod import;
mod people;
mod report;
mod served;
pub(super) mod server;
mod shop;
mod soft;
mod webhook;

use std::path::{Path, PathBuf};

use protocol::errors::Shown;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vendor::times::Times;
use vendor::{OptionArgs, Result, files};
use zeroize::Zeroizing;

use crate::args::{
    AuditVerb, CentralCommand, ItemArgs, ItemVerb, ListArgs, OrderArgs, OrderVerb, ProductArgs,
    ProductVerb, TicketVerb,
};
use crate::online::Client;
use crate::output::Output;
use crate::secrets::secret;

/// Where a Central is, and the key for it. Readable by its owner only.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    admin: String,
    sales: String,
    /// File of the authority that is trusted besides the machine's.
    ca: Option<PathBuf>,
    key: String,
}

pub(super) fn run(command: &CentralCommand, output: &Output) -> Result<()> {
    match command {
        CentralCommand::Login { admin, sales, trust, key_file, dry_run } => {
            let ca = trust.ca.as_deref().map(absolute).transpose()?;
            login((admin, sales, ca), (key_file.as_deref(), *dry_run), output)
        }
        CentralCommand::Product(verb) => product(verb, output),
        CentralCommand::Item(verb) => item(verb, output),
        CentralCommand::Order(verb) => order(verb, output),
        CentralCommand::Import(verb) => import::run(verb, output),
        CentralCommand::Ticket(verb) => ticket(verb, output),
        CentralCommand::Grant(verb) => decide::grant(verb, output),
        CentralCommand::Seat(verb) => served::seat(verb, output),
        CentralCommand::Credential(verb) => served::credential(verb, output),
        CentralCommand::Device(verb) => decide::device(verb, output),
        CentralCommand::Case(verb) => decide::case(verb, output),
        CentralCommand::Soft(verb) => soft::rules(verb, output),
        CentralCommand::Authority(verb) => soft::authority(verb, output),
        CentralCommand::User(verb) => people::user(verb, output),
        CentralCommand::Key(verb) => people::key(verb, output),
        CentralCommand::Report(args) => report::run(args, output),
        CentralCommand::Shop(verb) => shop::run(verb, output),
        CentralCommand::Webhook(verb) => webhook::run(verb, output),
        CentralCommand::Serve(args) => server::run("serve", args, output),
        CentralCommand::Init(args) => server::run("init", args, output),
        CentralCommand::Migrate(args) => server::run("migrate", args, output),
        CentralCommand::Backup(args) => server::run("backup", args, output),
        CentralCommand::Restore(args) => server::run("restore", args, output),
        CentralCommand::Check(args) => server::run("check", args, output),
        CentralCommand::Audit(AuditVerb::List(args)) => {
            list(("audit", "audit-list"), args, output, &|row| {
                let at_s = row["at_ms"].as_u64().unwrap_or(0) / 1000;
                let at = vendor::times::show(at_s);
                let [actor, action, object, detail] =
                    ["actor", "action", "object", "detail"].map(|name| word(row, name));
                format!("{at}  {actor}  {action}  {object}  {detail}")
            })
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Shown::io(path, &error))
}

fn login(
    (admin, sales, ca): (&str, &str, Option<PathBuf>),
    (key_file, dry_run): (Option<&Path>, bool),
    output: &Output,
) -> Result<()> {
    let key = secret(key_file, "STRONGROOM_CENTRAL_KEY", "Key of the API: ")?;
    let key = key.ok_or_else(|| {
        let hint = "Name its file with --key-file, or set STRONGROOM_CENTRAL_KEY.";
        Shown::usage("a key of the API is needed", hint)
    })?;
    let key = Zeroizing::new(key.text().trim().to_owned());
    // Asked once, so that a wrong key is known now.
    let client = Client::new(admin, ca.as_deref(), Some(key.clone()))?;
    let _: Value = client.get("/v1/products?limit=1")?;
    let path = login_path()?;
    let shown = path.display().to_string();
    if !dry_run {
        let key = key.as_str().to_owned();
        let login = Login { admin: admin.into(), sales: sales.into(), ca, key };
        let text = Zeroizing::new(toml::to_string(&login).unwrap_or_default());
        path.parent().map(files::make_folder).transpose()?;
        files::replace(&path, text.as_bytes(), 0o600)?;
    }
    let data = json!({ "admin": admin, "sales": sales, "file": shown, "dry_run": dry_run });
    let text = match dry_run {
        true => format!("the key is right; it would be kept in {shown}"),
        false => format!("logged in; the key is kept in {shown}"),
    };
    output.data("central-login", data, text);
    Ok(())
}

fn product(verb: &ProductVerb, output: &Output) -> Result<()> {
    match verb {
        ProductVerb::Add(args) => define_product(args, output),
        ProductVerb::List(args) => list(("products", "product-list"), args, output, &|row| {
            format!("{:<10} {}", row["code"], word(row, "name"))
        }),
    }
}

fn define_product(args: &ProductArgs, output: &Output) -> Result<()> {
    let ProductArgs { code, name, terms, reclaim, restore, restore_wait, dry_run, .. } = args;
    let times = Times::here();
    let reclaim = match reclaim.as_str() {
        "soft-only" | "never" => json!(reclaim),
        span => json!({ "after": times.span_s(span)? }),
    };
    let restore = restore.as_deref().map(|rule| restore_rule(rule, restore_wait, &times));
    let body = json!({
        "code": code, "name": name, "terms": of(terms), "reclaim": reclaim,
        "restore": restore.transpose()?, "physical_tpm": args.physical_tpm.map(|own| own.is_on()),
    });
    put(
        "/v1/products",
        &body,
        (*dry_run, "central-product-add"),
        output,
        &format!("product {code}"),
    )
}

/// `2/365d`: how often within which span.
fn restore_rule(rule: &str, wait: &str, times: &Times) -> Result<Value> {
    let parts = rule.split_once('/').and_then(|(count, span)| {
        Some((count.parse::<u32>().ok()?, times.span_s(span).ok()?, times.span_s(wait).ok()?))
    });
    let (count, period_s, wait_s) = parts.ok_or_else(|| {
        let hint = "Write such as --restore 2/365d --restore-wait 7d.";
        Shown::usage(format!("{rule:?} with {wait:?} is no rule for lost containers"), hint)
    })?;
    Ok(json!({ "times": count, "period_s": period_s, "wait_s": wait_s }))
}

fn item(verb: &ItemVerb, output: &Output) -> Result<()> {
    match verb {
        ItemVerb::Add(args) => define_item(args, output),
        ItemVerb::List(args) => list(("items", "item-list"), args, output, &|row| {
            format!("{:<20} {}", word(row, "sku"), word(row, "name"))
        }),
    }
}

fn define_item(args: &ItemArgs, output: &Output) -> Result<()> {
    let ItemArgs { sku, name, product, counts, terms, dry_run } = args;
    let part = |code: &u32| json!({ "product": code, "terms": of(terms) });
    let parts: Vec<Value> = product.iter().map(part).collect();
    let counts = format!("{counts:?}").to_lowercase();
    let body = json!({ "sku": sku, "name": name, "parts": parts, "counts": counts });
    put("/v1/items", &body, (*dry_run, "central-item-add"), output, &format!("item {sku}"))
}

fn order(verb: &OrderVerb, output: &Output) -> Result<()> {
    match verb {
        OrderVerb::Add(args) => take_order(args, output),
        OrderVerb::List(args) => list(("orders", "order-list"), args, output, &order_line),
    }
}

fn take_order(args: &OrderArgs, output: &Output) -> Result<()> {
    let OrderArgs { number, line, period, sku, quantity, replaces, dry_run } = args;
    let body = json!({
        "number": number, "line": line, "period": period, "sku": sku, "quantity": quantity,
        "replaces": replaces,
    });
    if *dry_run {
        return told_only(&body, "central-order-add", "the order would be sent", output);
    }
    let client = sales()?;
    let order: Value = client.post("/v1/orders", None, &body)?;
    let text = match order["code"].as_str() {
        Some(code) => format!(
            "order {number}: ticket {code}\nit is told only once; a new one is made with \
             `strongroom central ticket replace {}`",
            word(&order, "ticket")
        ),
        None => format!(
            "order {number} is there already: ticket {}… ({})",
            word(&order, "hint"),
            word(&order, "ticket")
        ),
    };
    output.data("central-order-add", order, text);
    Ok(())
}

fn order_line(row: &Value) -> String {
    let [id, number, sku] = ["id", "number", "sku"].map(|name| word(row, name));
    let undone = word(&row["undone"], "kind");
    format!("{id}  {number}/{}  {} x {sku}  {undone}", row["line"], row["quantity"])
        .trim_end()
        .to_owned()
}

fn ticket(verb: &TicketVerb, output: &Output) -> Result<()> {
    match verb {
        TicketVerb::List(args) => list(("tickets", "ticket-list"), args, output, &|row| {
            let [id, hint, state] = ["id", "hint", "state"].map(|name| word(row, name));
            format!("{id}  {hint}…  {state}")
        }),
        TicketVerb::Show { id } => {
            let ticket: Value = admin()?.get(&format!("/v1/tickets/{id}"))?;
            let mut text = format!("{id} is {}", word(&ticket, "state"));
            for license in ticket["licenses"].as_array().into_iter().flatten() {
                let place = &license["place"];
                let (state, container) = (word(place, "state"), word(place, "container"));
                let (product, name) = (&license["product"], word(license, "name"));
                text.push_str(&format!("\n  product {product} ({name})  {state} {container}"));
            }
            output.data("central-ticket-show", ticket, text);
            Ok(())
        }
        TicketVerb::Withdraw { id, decide } => {
            let question = "every license of this ticket will be taken out of its container";
            let call = (format!("/v1/tickets/{id}/withdraw"), json!({}));
            decide::carry_out(call, "ticket-withdraw", decide, question, output)
        }
        TicketVerb::Replace { id, yes, dry_run } => {
            if *dry_run {
                let body = json!({ "id": id });
                let text = format!("{id} would get a new code");
                return told_only(&body, "central-ticket-replace", &text, output);
            }
            output.confirm("the old code will be worth nothing: go on?", *yes)?;
            let new: Value = admin()?.post(&format!("/v1/tickets/{id}/code"), None, &json!({}))?;
            let text = format!("ticket {}\nit is told only once", word(&new, "code"));
            output.data("central-ticket-replace", new, text);
            Ok(())
        }
    }
}

/// Terms as the server takes them: what was said, and nothing else.
fn of(terms: &OptionArgs) -> Value {
    let mut value = serde_json::to_value(terms).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null() && *value != json!([]));
    }
    value
}

fn put(
    path: &str,
    body: &Value,
    (dry_run, schema): (bool, &str),
    output: &Output,
    what: &str,
) -> Result<()> {
    if dry_run {
        return told_only(body, schema, &format!("{what} would be defined"), output);
    }
    let stored: Value = admin()?.put(path, body)?;
    output.data(schema, stored, format!("{what} is defined"));
    Ok(())
}

/// Has something made whose secret is told once, in `field` of the answer. It goes into a file that
/// its owner alone may read: the id of what was made, and the file.
fn make_secret((path, body): (&str, &Value), field: &str, out: &Path) -> Result<(String, String)> {
    let made: Value = admin()?.post(path, None, body)?;
    let text = Zeroizing::new(format!("{}\n", word(&made, field)));
    files::write_private(out, text.as_bytes())?;
    Ok((word(&made, "id").to_owned(), out.display().to_string()))
}

fn told_only(body: &Value, schema: &str, text: &str, output: &Output) -> Result<()> {
    output.data(schema, json!({ "dry_run": true, "request": body }), text);
    Ok(())
}

/// A whole list, page by page; or as the table that the server makes of it. `schema` is that of the
/// envelope.
fn list(
    (path, schema): (&str, &str),
    args: &ListArgs,
    output: &Output,
    line: &dyn Fn(&Value) -> String,
) -> Result<()> {
    if args.csv {
        return table(&format!("/v1/{path}"), output);
    }
    let rows = rows(&admin()?, &format!("/v1/{path}?"))?;
    let lines: Vec<String> = rows.iter().map(line).collect();
    output.data(&format!("central-{schema}"), json!({ "rows": rows }), lines.join("\n"));
    Ok(())
}

/// All rows of a list; `path` ends where its next query begins.
fn rows(client: &Client, path: &str) -> Result<Vec<Value>> {
    #[derive(Deserialize)]
    struct Page {
        rows: Vec<Value>,
        next: Option<String>,
    }
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page: Page = client.get(&format!("{path}limit=200{after}"))?;
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(rows),
        }
    }
}

/// A list as a table, on standard output.
fn table(path: &str, output: &Output) -> Result<()> {
    if output.is_json() {
        return Err(Shown::usage("it is printed as CSV or as JSON", "Say --csv or --json."));
    }
    admin()?.table(path, &mut std::io::stdout().lock())
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn admin() -> Result<Client> {
    let Login { admin, ca, key, .. } = read_login()?;
    Client::new(&admin, ca.as_deref(), Some(Zeroizing::new(key)))
}

fn sales() -> Result<Client> {
    let Login { sales, ca, key, .. } = read_login()?;
    Client::new(&sales, ca.as_deref(), Some(Zeroizing::new(key)))
}

fn read_login() -> Result<Login> {
    let path = login_path()?;
    if !path.exists() {
        let hint = "Log in: strongroom central login --admin URL --sales URL --key-file FILE";
        return Err(Shown::not_found("no Central is known here", hint));
    }
    let text = Zeroizing::new(files::read(&path)?);
    toml::from_str(files::text(&text)?)
        .map_err(|error| Shown::usage(error, "Log in again.").about(path.display()))
}

fn login_path() -> Result<PathBuf> {
    let places = backends::configuration_places();
    let folder = places.first().and_then(|path| path.parent()).ok_or_else(|| {
        Shown::not_found("no folder for configuration is known", "Set STRONGROOM_HOME or HOME.")
    })?;
    Ok(folder.join("central.toml"))
}
