//! `strongroom license data`: read a data field of an entry, or write the owner's.

use std::path::Path;

use protocol::ids::{EntryNumber, ProductCode, hex};
use protocol::objects::data::{DataField, DataKind};
use protocol::objects::license::ItemRef;
use serde_json::json;
use vendor::{Result, Shown, files};

use super::super::shown;
use crate::args::{Args, DataArgs};
use crate::output::Output;
use crate::secrets::secret;
use crate::{owner, reach};

pub(super) fn run(command: &DataArgs, args: &Args, output: &Output) -> Result<()> {
    let field = vendor::data_field(&command.field)?;
    let container = reach::one(args)?;
    let firm = super::firm_with(&container, command.product, command.firm.as_deref())?;
    let item = ItemRef { product: ProductCode(command.product), entry: EntryNumber(command.entry) };
    let name = shown::field(field);
    if let Some(path) = &command.write {
        if field != DataField::User {
            return Err(Shown::usage(
                format!("{name} is written by the vendor alone"),
                "Only the field `user` is yours to write.",
            ));
        }
        let bytes = files::read(path)?;
        let data = json!({ "field": name, "bytes": bytes.len(), "dry_run": command.dry_run });
        if command.dry_run {
            output.data("license-data", data, format!("{name} would hold {} bytes", bytes.len()));
            return Ok(());
        }
        owner::unlock(&container, args)?;
        container.write_user_data(firm, item, &bytes)?;
        output.data("license-data", data, format!("{name} holds {} bytes", bytes.len()));
        return Ok(());
    }
    let code = match field.kind() {
        DataKind::Hidden => Some(access_code(command.access_code_file.as_deref())?),
        _ => None,
    };
    let bytes = container.data(firm, item, field, code)?;
    show(&name, &bytes, command.output.as_deref(), output)
}

fn show(name: &str, bytes: &[u8], path: Option<&Path>, output: &Output) -> Result<()> {
    if let Some(path) = path {
        files::write_new(path, bytes)?;
        let data = json!({ "field": name, "bytes": bytes.len(), "file": path });
        let text = format!("{name}: {} bytes written to {}", bytes.len(), path.display());
        output.data("license-data", data, text);
        return Ok(());
    }
    let hex = hex(bytes);
    let text = std::str::from_utf8(bytes).ok();
    let is_plain = |text: &&str| text.chars().all(|c| c == '\n' || !c.is_control());
    let shown = text.filter(is_plain).map_or_else(|| hex.clone(), str::to_owned);
    let data = json!({ "field": name, "bytes": bytes.len(), "hex": hex });
    output.data("license-data", data, shown);
    Ok(())
}

/// From a file, the environment, or the terminal: a code is no argument.
fn access_code(path: Option<&Path>) -> Result<u32> {
    let code = secret(path, "STRONGROOM_ACCESS_CODE", "Access code: ")?.ok_or_else(|| {
        Shown::usage(
            "the access code of this field is needed",
            "Name the file that holds it with --access-code-file, or set STRONGROOM_ACCESS_CODE.",
        )
    })?;
    code.text()
        .trim()
        .parse()
        .map_err(|_| Shown::usage("this is no access code", "It is a number from 0 to 4294967295."))
}
