//! Reaching containers: which sources, which container.

use std::path::PathBuf;

use backends::{Source, configured_sources, registry};
use container::{Container, Registry};
use protocol::codec;
use protocol::errors::ErrorCode;
use protocol::ids::{FirmCode, RootFp};
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file;
use protocol::objects::statement::ContextBody;
use protocol::signed::Header;
use vendor::{Result, Shown, read_root};

use crate::args::Args;

/// Sources in order: `--source`, else what environment and configuration say.
pub(crate) fn sources(named: &[String]) -> Result<Vec<Source>> {
    if named.is_empty() {
        return Ok(configured_sources()?);
    }
    let parsed: std::result::Result<_, container::Error> =
        named.iter().map(|text| text.parse()).collect();
    Ok(parsed?)
}

/// All containers of these sources.
pub(crate) fn among(named: &[String]) -> Result<Registry> {
    Ok(registry(&sources(named)?)?)
}

/// All containers.
pub(crate) fn all(args: &Args) -> Result<Registry> {
    among(&args.source)
}

/// The one container that is meant.
pub(crate) fn one(args: &Args) -> Result<Container> {
    match &args.container {
        Some(serial) => of_serial(&args.source, serial),
        None => Ok(all(args)?.find(None)?),
    }
}

/// The container of this serial.
pub(crate) fn of_serial(named: &[String], serial: &str) -> Result<Container> {
    among(named)?.find(Some(serial)).map_err(|error| Shown::from(error).about(serial))
}

/// What a container states of itself for a firm now. It is taken at its word: the statement came
/// through its own channel.
pub(crate) fn context(container: &Container, firm: RootFp) -> Result<(Header, ContextBody)> {
    let context = container.context(firm, vendor::fresh_nonce()?)?;
    let (context, _) = file::next_object(&context, STATEMENT_BODY_LEN_MAX)?;
    let refused = ErrorCode::ContextRefused.failure();
    let body = context.body_if_intact().ok_or(refused)?;
    let body = codec::decode(body, STATEMENT_BODY_LEN_MAX).map_err(|_| refused)?;
    Ok((*context.header(), body))
}

/// A firm as it is named on the command line: a root file, a fingerprint, or a name or number found
/// in the container.
pub(crate) fn firm(named: &str, container: Option<&Container>) -> Result<RootFp> {
    if let Some(fp) = RootFp::from_hex(named) {
        return Ok(fp);
    }
    let path = PathBuf::from(named);
    if path.is_file() {
        return Ok(read_root(&path)?.1.root_fp);
    }
    if path.join(vendor::ROOT_FILE).is_file() {
        return Ok(read_root(&path.join(vendor::ROOT_FILE))?.1.root_fp);
    }
    let firms = container.map(Container::firms).transpose()?.unwrap_or_default();
    let code = named.parse().ok().map(FirmCode);
    let named_so: Vec<RootFp> = firms
        .iter()
        .filter(|firm| *firm.name == *named || Some(firm.firm_code) == code)
        .map(|firm| firm.root_fp)
        .collect();
    match named_so.as_slice() {
        [fp] => Ok(*fp),
        [] => Err(Shown::not_found(
            format!("{named:?} names no vendor"),
            "Give the vendor's root file, its fingerprint (32 hexadecimal digits), or a name or \
             number that stands in the container.",
        )),
        _ => Err(Shown::usage(
            format!("{named:?} names {} vendors", named_so.len()),
            "Numbers and names need not be unique: give the fingerprint. See: strongroom \
             container show",
        )),
    }
}
