//! `central user`, `central key`: who administers, and with what.

use serde_json::{Value, json};
use vendor::{Result, files};

use super::{admin, list, make_secret, told_only, word};
use crate::args::{ApiKeyVerb, UserVerb};
use crate::output::Output;

/// People who administer.
pub(super) fn user(verb: &UserVerb, output: &Output) -> Result<()> {
    match verb {
        UserVerb::List(args) => list(("users", "user-list"), args, output, &line),
        UserVerb::Add { name, role, dry_run } => {
            let body = json!({ "name": name, "role": role.name() });
            if *dry_run {
                return told_only(&body, "central-user-add", "a user would be added", output);
            }
            let made: Value = admin()?.post("/v1/users", None, &body)?;
            let text = format!("{}\nit has no key yet: central key add --user", line(&made));
            output.data("central-user-add", made, text);
            Ok(())
        }
        UserVerb::Role { id, role, dry_run } => {
            let body = json!({ "role": role.name() });
            change((id, "role", body), ("central-user-role", *dry_run), output)
        }
        UserVerb::Disable { id, yes, dry_run } => {
            if !dry_run {
                output.confirm("all keys of this user will be refused: go on?", *yes)?;
            }
            change((id, "disable", json!({})), ("central-user-disable", *dry_run), output)
        }
        UserVerb::Enable { id, dry_run } => {
            change((id, "enable", json!({})), ("central-user-enable", *dry_run), output)
        }
    }
}

fn change(
    (id, what, body): (&str, &str, Value),
    (schema, dry_run): (&str, bool),
    output: &Output,
) -> Result<()> {
    if dry_run {
        let body = json!({ "id": id, "change": body });
        return told_only(&body, schema, &format!("{id} would be changed: {what}"), output);
    }
    let changed: Value = admin()?.post(&format!("/v1/users/{id}/{what}"), None, &body)?;
    let text = line(&changed);
    output.data(schema, changed, text);
    Ok(())
}

fn line(row: &Value) -> String {
    let [id, name, role] = ["id", "name", "role"].map(|name| word(row, name));
    let ended = if row["disabled_ms"].is_null() { "" } else { "disabled" };
    format!("{id}  {role:<12} {name}  {ended}")
}

/// Keys of the API.
pub(super) fn key(verb: &ApiKeyVerb, output: &Output) -> Result<()> {
    match verb {
        ApiKeyVerb::List(args) => list(("keys", "key-list"), args, output, &|row| {
            let [id, name, role, user] = ["id", "name", "role", "user"].map(|name| word(row, name));
            let ended = if row["revoked_ms"].is_null() { "" } else { "revoked" };
            format!("{id}  {role:<12} {name}  {user}  {ended}")
        }),
        ApiKeyVerb::Add { name, role, user, out, dry_run } => {
            files::check_new(out)?;
            let body = match (role, user) {
                (Some(role), _) => json!({ "name": name, "role": role.name() }),
                (None, user) => json!({ "name": name, "user": user }),
            };
            if *dry_run {
                return told_only(&body, "central-key-add", "a key would be made", output);
            }
            let (id, file) = make_secret(("/v1/keys", &body), "key", out)?;
            let data = json!({ "id": id, "file": file });
            output.data("central-key-add", data, format!("{id} is in {file}"));
            Ok(())
        }
        ApiKeyVerb::Revoke { id, yes, dry_run } => {
            if *dry_run {
                let text = format!("{id} would be worth nothing");
                return told_only(&json!({ "id": id }), "central-key-revoke", &text, output);
            }
            output.confirm("whoever has this key will be refused: go on?", *yes)?;
            let ended: Value = admin()?.post(&format!("/v1/keys/{id}/revoke"), None, &json!({}))?;
            output.data("central-key-revoke", ended, format!("{id} is worth nothing now"));
            Ok(())
        }
    }
}
