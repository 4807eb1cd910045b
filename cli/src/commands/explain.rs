//! `strongroom explain CODE`.

use protocol::errors::{ErrorCode, Fault, shown_code, without_values};
use serde_json::json;

use crate::error::{CliError, Result};
use crate::output::Output;

pub(super) fn run(code: &str, output: &Output) -> Result<()> {
    let code = ErrorCode::parse(code).ok_or_else(|| {
        CliError::not_found(
            format!("{code:?} is no known code"),
            "Codes look like S0380; newer versions know more of them.",
        )
    })?;
    let row = code.row();
    let fault = match row.fault {
        Fault::License => "license",
        Fault::Message => "message or file",
        Fault::Caller => "calling program",
        Fault::Container => "container",
        Fault::Machine => "this machine",
        Fault::Vendor => "vendor",
        _ => "unknown",
    };
    let (title, next) = (without_values(row.title), without_values(row.next));
    let text = format!(
        "{} {}\n  what    {title}\n  why     {}\n  next    {next}\n  where   {fault}\n  exit    {}",
        shown_code(row.number),
        row.name,
        row.likely,
        row.exit as u8
    );
    let data = json!({
        "code": shown_code(row.number), "name": row.name, "title": title, "likely": row.likely,
        "next": next, "fault": fault, "exit": row.exit as u8,
    });
    output.data("explain", data, text);
    Ok(())
}
