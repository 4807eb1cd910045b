//! `strongroom user`: a user's own key, for licenses that name it.

use std::path::Path;

use container::UserKey;
use serde_json::json;
use vendor::{Result, files};

use crate::args::UserCommand;
use crate::output::Output;

pub(super) fn run(command: &UserCommand, output: &Output) -> Result<()> {
    match command {
        UserCommand::New { file, dry_run } => new(file, *dry_run, output),
        UserCommand::Show { file } => {
            let key = UserKey::read(file)?;
            show(file, &key, output);
            Ok(())
        }
    }
}

fn new(path: &Path, dry_run: bool, output: &Output) -> Result<()> {
    files::check_new(path)?;
    if dry_run {
        let data = json!({ "file": path, "dry_run": true });
        output.data("user-new", data, format!("a new key would be written to {}", path.display()));
        return Ok(());
    }
    let key = UserKey::generate()?;
    files::write_private(path, key.to_text().as_bytes())?;
    output.say("Keep this file to yourself. Give the vendor the public key:");
    show(path, &key, output);
    Ok(())
}

fn show(path: &Path, key: &UserKey, output: &Output) {
    let public = format!("{:?}", key.public());
    output.data("user-show", json!({ "file": path, "public_key": public }), public);
}
