//! The worked example in docs/formats/30-content.md is what the code writes and reads.

use std::collections::BTreeMap;
use std::convert::Infallible;

use strongroom_content::{RandomAccess, Sealer, seal_reader};

const DOCUMENT: &str = include_str!("../../../docs/formats/30-content.md");

#[test]
fn the_worked_example_holds() {
    let example = example_fields();
    let key: [u8; 32] = example["key"].clone().try_into().expect("32 bytes");
    let (context, plain) = (&example["context"], &example["plaintext"]);
    let salt = |out: &mut [u8]| {
        out.copy_from_slice(&example["salt"]);
        Ok::<_, Infallible>(())
    };
    let mut sealed = Vec::new();
    let sealer = Sealer::new(&key, context, salt).unwrap();
    seal_reader(sealer, &plain[..], &mut sealed).unwrap();

    let fields = ["salt", "commitment", "ciphertext", "tag"].map(|name| &example[name][..]);
    assert_eq!(hex(&sealed), hex(&fields.concat()));
    let content = RandomAccess::open(&key, context, &sealed[..]).unwrap();
    let mut out = vec![0; plain.len()];
    content.read_at(0, &mut out).unwrap();
    assert_eq!(&out, plain);
}

/// The lines `name = hex` of the document's block marked `example`.
fn example_fields() -> BTreeMap<String, Vec<u8>> {
    let block = DOCUMENT.split("```example\n").nth(1).expect("the document has an example");
    let block = block.split("```").next().expect("the block ends");
    let field = |line: &str| {
        let (name, value) = line.split_once('=').expect("name = hex");
        (name.trim().to_owned(), unhex(value))
    };
    block.lines().map(field).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
