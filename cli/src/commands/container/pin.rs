//! `strongroom container pin`: set, take away, replace a forgotten one.

use container::Container;
use protocol::errors::ErrorCode;
use serde_json::json;
use vendor::{Passphrase, Result, Shown, files};
use zeroize::Zeroizing;

use crate::args::{Args, NewPinArgs, PinCommand};
use crate::output::Output;
use crate::secrets::{ask, secret};
use crate::{owner, reach};

pub(super) fn run(command: &PinCommand, args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    match command {
        PinCommand::Set { new, dry_run: true } | PinCommand::Reset { new, dry_run: true, .. } => {
            new_pin(new)?;
            new.recovery_out.as_deref().map(files::check_new).transpose()?;
            done(&container, "would have a new PIN", None, true, output);
            Ok(())
        }
        PinCommand::Set { new, .. } => {
            let pin = new_pin(new)?;
            owner::unlock(&container, args)?;
            set(&container, pin.text(), None, new, output)
        }
        PinCommand::Reset { new, recovery_file, .. } => {
            let pin = new_pin(new)?;
            let variable = "STRONGROOM_RECOVERY_CODE";
            let code = secret(recovery_file.as_deref(), variable, "Recovery code: ")?;
            let code = code.ok_or_else(|| {
                let hint = "Name the file that holds it with --recovery-file, or set \
                    STRONGROOM_RECOVERY_CODE.";
                Shown::usage("the recovery code is needed", hint)
            })?;
            set(&container, pin.text(), Some(parse_code(code.text())?), new, output)
        }
        PinCommand::Remove { dry_run } => {
            if container.info()?.pin_tries.is_none() {
                return Err(ErrorCode::NoPin.failure().into());
            }
            if !dry_run {
                owner::unlock(&container, args)?;
                container.set_pin("", [0; 16], None)?;
            }
            let what = if *dry_run { "would have no PIN any more" } else { "has no PIN any more" };
            done(&container, what, None, *dry_run, output);
            Ok(())
        }
    }
}

fn set(
    container: &Container,
    pin: &str,
    forgotten: Option<[u8; 16]>,
    new: &NewPinArgs,
    output: &Output,
) -> Result<()> {
    let mut recovery = Zeroizing::new([0; 16]);
    recovery.copy_from_slice(&vendor::fresh_nonce()?[..16]);
    let code = code_text(&recovery);
    // Written first: a PIN without a way back would be worse than a code that opens nothing.
    if let Some(path) = &new.recovery_out {
        files::write_private(path, format!("{}\n", *code).as_bytes())?;
    }
    container.set_pin(pin, *recovery, forgotten)?;
    let shown = new.recovery_out.is_none().then_some(&**code);
    done(container, "has a new PIN", shown, false, output);
    Ok(())
}

fn done(container: &Container, what: &str, code: Option<&str>, dry_run: bool, output: &Output) {
    let serial = container.serial().to_string();
    let mut text = format!("{serial} {what}");
    if let Some(code) = code {
        text.push_str(&format!(
            "\nrecovery code: {code}\nKeep it in a safe place: it replaces a forgotten PIN, and is \
             shown only now."
        ));
    }
    let data = json!({ "serial": serial, "recovery_code": code, "dry_run": dry_run });
    output.data("container-pin", data, text);
}

fn new_pin(new: &NewPinArgs) -> Result<Passphrase> {
    let asked = new.new_pin_file.is_none() && std::env::var_os("STRONGROOM_NEW_PIN").is_none();
    let pin = secret(new.new_pin_file.as_deref(), "STRONGROOM_NEW_PIN", "New PIN: ")?;
    let pin = pin.ok_or_else(|| {
        let hint = "Name the file that holds it with --new-pin-file, or set STRONGROOM_NEW_PIN.";
        Shown::usage("the new PIN is needed", hint)
    })?;
    if asked && pin.text() != ask("Once more: ")?.text() {
        return Err(Shown::usage("the two differ", "Try again."));
    }
    if pin.text().is_empty() {
        return Err(Shown::usage(
            "an empty PIN protects nothing",
            "To take the PIN away: strongroom container pin remove.",
        ));
    }
    Ok(pin)
}

/// Eight groups of four hexadecimal digits.
fn code_text(code: &[u8; 16]) -> Zeroizing<String> {
    let groups: Vec<String> =
        code.chunks(2).map(|pair| format!("{:02X}{:02X}", pair[0], pair[1])).collect();
    Zeroizing::new(groups.join("-"))
}

fn parse_code(text: &str) -> Result<[u8; 16]> {
    let digits: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(char::is_ascii_hexdigit).collect());
    protocol::ids::parse_hex(&digits).ok_or_else(|| {
        let hint = "It has eight groups of four digits from 0 to 9 and A to F.";
        Shown::usage("this is no recovery code", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_code_is_read_as_it_is_shown() {
        let code: [u8; 16] = core::array::from_fn(|i| i as u8 * 17);
        assert_eq!(parse_code(&code_text(&code)).unwrap(), code);
        assert_eq!(parse_code(&code_text(&code).to_lowercase().replace('-', " ")).unwrap(), code);
        assert!(parse_code("1234").is_err());
    }
}
