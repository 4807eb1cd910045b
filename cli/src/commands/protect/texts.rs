//! The vendor's own texts for a refusal, from a TOML file.

use std::path::Path;

use protocol::codec::{List, Text};
use protocol::objects::artifact::RefusalText;
use serde::Deserialize;
use vendor::{Result, Shown, files};

/// The file: one `[[text]]` for each language; the one without a language serves all others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    text: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    language: String,
    text: String,
    #[serde(default)]
    shop: String,
    #[serde(default)]
    support: String,
}

pub(super) fn read(path: &Path) -> Result<List<RefusalText, 8>> {
    parse(&files::read(path)?).map_err(|error| error.about(path.display()))
}

/// Reads the file's bytes.
pub(crate) fn parse(bytes: &[u8]) -> Result<List<RefusalText, 8>> {
    let wrong = |why: &dyn std::fmt::Display| {
        let hint = "Write [[text]] with text, and if wanted language, shop and support.";
        Shown::usage(why, hint)
    };
    let texts: Texts = toml::from_str(files::text(bytes)?).map_err(|error| wrong(&error))?;
    let convert = |entry: Entry| {
        Some(RefusalText {
            language: Text::new(&entry.language)?,
            text: Text::new(&entry.text)?,
            shop: Text::new(&entry.shop)?,
            support: Text::new(&entry.support)?,
        })
    };
    let converted: Option<Vec<RefusalText>> = texts.text.into_iter().map(convert).collect();
    let list = converted.and_then(List::new);
    list.ok_or_else(|| {
        wrong(&"a text is too long, holds control characters, or there are more than 8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_written_or_refused() {
        let read = parse("[[text]]\ntext = \"Läuft ab\"\n".as_bytes()).unwrap();
        assert_eq!(&*read[0].text, "Läuft ab");
        for wrong in [&b"[[text]]\ntext = \"L\xe4uft ab\"\n"[..], b"", b"[[text]]\nshop = \"x\""] {
            assert_eq!(parse(wrong).unwrap_err().exit(), 2);
        }
    }
}
