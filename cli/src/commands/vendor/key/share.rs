//! `strongroom vendor key split` and `join`: private keys that several people keep together.

use std::path::PathBuf;

use protocol::ids::KeyId;
use protocol::objects::root::Mode;
use protocol::signed::Role;
use serde_json::json;
use vendor::trust::role_name;
use vendor::{Passphrase, Result, Shown, Vendor, files, shares};

use crate::args::{JoinArgs, SplitArgs};
use crate::output::Output;
use crate::secrets;

pub(super) fn split(args: &SplitArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    vendor.check_own()?;
    if args.threshold > args.shares {
        return Err(Shown::usage("more shares would be needed than there are", "Change K or N."));
    }
    let role = role_name(Role::from(args.role));
    // A name says which root it goes with: the root before had other keys.
    let version = vendor.root.version;
    let name = |number| format!("{role}-{version}-{number}-of-{}.share", args.shares);
    let paths: Vec<PathBuf> = (1..=args.shares).map(|n| args.out.join(name(n))).collect();
    paths.iter().try_for_each(|path| match path.exists() {
        true => files::check_new(path),
        false => Ok(()),
    })?;
    let what = format!("{} shares of the keys of the role {role}", args.shares);
    let mut data = json!({
        "role": role, "shares": args.shares, "threshold": args.threshold, "files": paths,
        "dry_run": args.dry_run,
    });
    if args.dry_run {
        output.data("vendor-key-split", data, format!("would make {what}"));
        return Ok(());
    }
    output.confirm(&format!("make {what}, and take the keys out of the directory?"), args.yes)?;
    let passphrase = vendor.passphrase(&args.store, false)?;
    let keys = vendor.keys_under(&args.store, &passphrase)?;
    let files = with_passphrases(paths, args, vendor.root.body.mode)?;
    files::make_folder(&args.out)?;
    let role = Role::from(args.role);
    let (parted, own) = vendor.split(role, args.threshold, &files, keys, &passphrase)?;
    data["keys"] = json!(parted.ids().iter().map(KeyId::to_string).collect::<Vec<_>>());
    data["removed"] = json!(own);
    let rest = match own {
        0 => "delete the key files that were named",
        _ => "the vendor directory has them no more; its copies still do",
    };
    let text = format!(
        "{what} are in {}: any {} of them sign, with --share; {rest}",
        args.out.display(),
        args.threshold
    );
    output.data("vendor-key-split", data, text);
    Ok(())
}

pub(super) fn join(args: &JoinArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    if args.store.share.is_empty() {
        return Err(Shown::usage("no shares are named", "Name them with --share."));
    }
    files::check_new(&args.output)?;
    let mode = vendor.root.body.mode;
    let keys = shares::join(&args.store, mode)?;
    let ids: Vec<String> = keys.ids().iter().map(KeyId::to_string).collect();
    let data = json!({ "file": args.output, "keys": ids, "dry_run": args.dry_run });
    let path = args.output.display();
    if args.dry_run {
        let text = format!("would write the keys {} to {path}", ids.join(", "));
        output.data("vendor-key-join", data, text);
        return Ok(());
    }
    keys.write(&args.output, &secrets::passphrase(&args.store, mode, true)?)?;
    let text = format!("the keys {} are in {path}: use them with --key-file", ids.join(", "));
    output.data("vendor-key-join", data, text);
    Ok(())
}

/// Asks for the passphrase of each share, before anything is written.
fn with_passphrases(
    paths: Vec<PathBuf>,
    args: &SplitArgs,
    mode: Mode,
) -> Result<Vec<(PathBuf, Passphrase)>> {
    let files = paths.into_iter().enumerate().map(|(at, path)| {
        let own = args.new_passphrase_file.get(at).map(PathBuf::as_path);
        let passphrase = secrets::of_share(own, &path, mode, true)?;
        Ok((path, passphrase))
    });
    files.collect()
}
