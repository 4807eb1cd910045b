//! Data fields as a vendor writes them: a TOML file, since hidden and secret data are nothing for a
//! command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::limits::{DATA_FIELDS_MAX, DATA_LEN_MAX};
use protocol::objects::data::DataField;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::files;
use crate::{Result, Shown};

/// What is written into one field; empty takes it away.
pub struct DataInput {
    /// Which field.
    pub field: DataField,
    /// Its code, for hidden data.
    pub access_code: u32,
    /// Its contents.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    protected: Option<Content>,
    #[serde(default)]
    extended: BTreeMap<String, Content>,
    #[serde(default)]
    hidden: BTreeMap<String, Hidden>,
    #[serde(default)]
    secret: BTreeMap<String, Content>,
}

/// Text, or bytes in one of two forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Hex(Hex),
    File(FileName),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hex {
    hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileName {
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hidden {
    #[serde(default)]
    access_code: u32,
    content: Content,
}

/// Reads a file of data fields. Files that it names are looked for beside it.
pub fn read(path: &Path) -> Result<Vec<DataInput>> {
    let bytes = Zeroizing::new(files::read(path)?);
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&bytes, &beside).map_err(|error| error.about(path.display()))
}

fn parse(bytes: &[u8], beside: &Path) -> Result<Vec<DataInput>> {
    let written: Written = toml::from_str(files::text(bytes)?).map_err(|error| {
        let hint = "Keys are: protected = \"text\", [extended] 0 = \"text\", [hidden.0] \
            access_code = 1 and content = \"text\", [secret] 0 = { hex = \"00\" } or { file = \
            \"name\" }.";
        Shown::usage(error.message(), hint)
    })?;
    let mut fields = Vec::new();
    let mut add = |field, access_code, content: &Content| -> Result<()> {
        let bytes = content.bytes(beside)?;
        if bytes.len() > DATA_LEN_MAX {
            let why = format!("{} bytes, where a field holds {DATA_LEN_MAX}", bytes.len());
            return Err(Shown::usage(why, "Split it over several fields."));
        }
        fields.push(DataInput { field, access_code, bytes });
        Ok(())
    };
    if let Some(content) = &written.protected {
        add(DataField::Protected, 0, content)?;
    }
    for (index, content) in &written.extended {
        add(DataField::ExtendedProtected(number(index)?), 0, content)?;
    }
    for (index, hidden) in &written.hidden {
        add(DataField::Hidden(number(index)?), hidden.access_code, &hidden.content)?;
    }
    for (index, content) in &written.secret {
        add(DataField::Secret(number(index)?), 0, content)?;
    }
    Ok(fields)
}

/// Reads a field as it is named on the command line: `user`, `protected`, `extended:0`, `hidden:0`,
/// `secret:0`.
pub fn field(text: &str) -> Result<DataField> {
    let wrong = || {
        let hint = format!(
            "Write user, protected, extended:N, hidden:N or secret:N, N below {DATA_FIELDS_MAX}."
        );
        Shown::usage(format!("{text:?} is no data field"), hint)
    };
    match text.split_once(':') {
        None if text == "user" => Ok(DataField::User),
        None if text == "protected" => Ok(DataField::Protected),
        Some(("extended", index)) => Ok(DataField::ExtendedProtected(number(index)?)),
        Some(("hidden", index)) => Ok(DataField::Hidden(number(index)?)),
        Some(("secret", index)) => Ok(DataField::Secret(number(index)?)),
        _ => Err(wrong()),
    }
}

fn number(text: &str) -> Result<u8> {
    text.trim().parse().ok().filter(|index| *index < DATA_FIELDS_MAX).ok_or_else(|| {
        let hint = format!("Write a number from 0 to {}.", DATA_FIELDS_MAX - 1);
        Shown::usage(format!("{text:?} is no number of a field"), hint)
    })
}

impl Content {
    fn bytes(&self, beside: &Path) -> Result<Zeroizing<Vec<u8>>> {
        match self {
            Content::Text(text) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            Content::Hex(Hex { hex }) => from_hex(hex),
            Content::File(FileName { file }) => files::read(&beside.join(file)).map(Zeroizing::new),
        }
    }
}

fn from_hex(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let wrong = || Shown::usage("this is no hexadecimal", "Write two digits for each byte.");
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(wrong());
    }
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong());
    let bytes: Result<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_fields_and_contents_are_read() {
        let text = "protected = \"open\"\n[extended]\n3 = { hex = \"00ff\" }\n[hidden.1]\n\
            access_code = 7\ncontent = \"code\"\n[secret]\n31 = \"key\"\n";
        let fields = parse(text.as_bytes(), Path::new("")).unwrap();
        let found: Vec<_> = fields.iter().map(|f| (f.field, f.access_code, &f.bytes[..])).collect();
        let expected: Vec<(DataField, u32, &[u8])> = vec![
            (DataField::Protected, 0, b"open"),
            (DataField::ExtendedProtected(3), 0, &[0, 255]),
            (DataField::Hidden(1), 7, b"code"),
            (DataField::Secret(31), 0, b"key"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let long = format!("protected = \"{}\"", "x".repeat(257));
        let wrong = [
            "protect = \"x\"",
            "[extended]\n32 = \"x\"",
            "[secret]\nx = \"x\"",
            "[secret]\n0 = { hex = \"0g\" }",
            "[hidden.0]\naccess_code = -1\ncontent = \"\"",
            &long,
        ];
        for text in wrong {
            let refused = parse(text.as_bytes(), Path::new("")).err();
            assert_eq!(refused.map(|error| error.exit()), Some(2), "{text}");
        }
        for text in ["", "hidden", "secret:32", "user:1"] {
            assert!(field(text).is_err(), "{text}");
        }
    }
}
