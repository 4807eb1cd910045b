//! `strongroom central shop`: shops whose webhooks become orders.

use serde_json::{Value, json};
use vendor::{Result, files};
use zeroize::Zeroizing;

use super::{admin, list, read_login, told_only, word};
use crate::args::{ShopArgs, ShopVerb};
use crate::output::Output;

pub(super) fn run(verb: &ShopVerb, output: &Output) -> Result<()> {
    match verb {
        ShopVerb::Add(args) => add(args, output),
        ShopVerb::List(args) => list(("shops", "shop-list"), args, output, &|row| {
            let [id, name, kind, path] = ["id", "name", "kind", "path"].map(|name| word(row, name));
            let mapped = row["mapped"].as_array().map_or(0, Vec::len);
            format!("{id}  {name}  {kind}  {mapped} products mapped  {path}")
        }),
        ShopVerb::Lines(args) => list(("shop-lines", "shop-lines"), args, output, &line),
        ShopVerb::Map { id, product, sku, none: _, dry_run } => {
            let body = json!({ "mapped": [{ "product": product, "item": sku }] });
            let text = match sku {
                Some(sku) => format!("{product} is item {sku}"),
                None => format!("{product} is none of yours"),
            };
            if *dry_run {
                return told_only(&body, "central-shop-map", &text, output);
            }
            let shop: Value = admin()?.post(&format!("/v1/shops/{id}/map"), None, &body)?;
            let next = format!("strongroom central shop replay {id}");
            output.data(
                "central-shop-map",
                shop,
                format!("{text}; what waits is tried by: {next}"),
            );
            Ok(())
        }
        ShopVerb::Replay { id, dry_run } => {
            if *dry_run {
                let text = "what waits would be tried again";
                return told_only(&json!({ "id": id }), "central-shop-replay", text, output);
            }
            let path = format!("/v1/shops/{id}/replay");
            let done: Value = admin()?.post(&path, None, &json!({}))?;
            let lines = done["lines"].as_array().cloned().unwrap_or_default();
            let still = lines.iter().filter(|one| word(one, "state") == "waiting").count();
            let text = format!("{} lines were tried; {still} of them wait still", lines.len());
            output.data("central-shop-replay", done, text);
            Ok(())
        }
        ShopVerb::Remove { id, yes, dry_run } => {
            if *dry_run {
                let text = format!("messages of {id} would be refused");
                return told_only(&json!({ "id": id }), "central-shop-remove", &text, output);
            }
            output.confirm("messages of this shop will be refused: go on?", *yes)?;
            let gone: Value = admin()?.delete(&format!("/v1/shops/{id}"))?;
            output.data("central-shop-remove", gone, format!("{id} is removed"));
            Ok(())
        }
    }
}

fn add(args: &ShopArgs, output: &Output) -> Result<()> {
    let ShopArgs { name, kind, secret_file, out, suspend, dry_run } = args;
    out.as_deref().map(files::check_new).transpose()?;
    let secret = secret_file.as_deref().map(files::read).transpose()?.map(Zeroizing::new);
    let secret = secret.as_ref().map(|bytes| files::text(bytes)).transpose()?.map(str::trim);
    let kind = format!("{kind:?}").to_lowercase();
    let on_refund = if *suspend { "suspend" } else { "show" };
    let mut body = json!({ "name": name, "kind": kind, "on_refund": on_refund });
    if *dry_run {
        let text = format!("shop {name} would be registered");
        return told_only(&body, "central-shop-add", &text, output);
    }
    body["secret"] = json!(secret);
    let made: Value = admin()?.post("/v1/shops", None, &body)?;
    let (id, path) = (word(&made, "id"), word(&made, "path"));
    let mut text = format!("{id}: its webhooks go to {}{path}", read_login()?.sales);
    if let Some(out) = out {
        let secret = Zeroizing::new(format!("{}\n", word(&made, "secret")));
        files::write_private(out, secret.as_bytes())?;
        text.push_str(&format!("\ntheir secret is in {}", out.display()));
    }
    let file = out.as_ref().map(|out| out.display().to_string());
    output.data("central-shop-add", json!({ "id": id, "path": path, "file": file }), text);
    Ok(())
}

fn line(row: &Value) -> String {
    let [id, order, name, state] =
        ["id", "shop_order", "name", "state"].map(|name| word(row, name));
    let notes = [word(row, "undone"), word(row, "why")];
    format!(
        "{id}  {order}/{}  {} x {name}  {state}  {}",
        row["line"],
        row["quantity"],
        notes.join(" ")
    )
    .trim_end()
    .to_owned()
}
