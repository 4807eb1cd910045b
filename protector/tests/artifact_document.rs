//! The worked example in docs/formats/31-artifact.md is what the code writes and reads.

mod common;

use std::fmt::Write;

use common::vendor::{ISSUED_S, file_content};
use content::HEADER_LEN;
use protocol::codec::{Fixed, List, Text};
use protocol::crypto::RandomFailed;
use protocol::crypto::ecdsa::SigningKey;
use protocol::ids::{FirmCode, Generation, ProductCode};
use protocol::objects::artifact::{MAIN_PART, part_key, unwrap_content_key};
use protocol::objects::license::{AccessMode, Requirement};
use protocol::objects::root::{Mode, RoleKeys, Root, RootBody};
use protocol::signed::{HEADER_LEN as OBJECT_HEADER_LEN, Role};
use strongroom_protector::artifact::{
    Firm, Protection, Signer, SlotSpec, open_content, read_artifact_head, write_artifact,
};

const DOCUMENT: &str = include_str!("../../docs/formats/31-artifact.md");
const PLAIN: &[u8] = b"opened by one key only";
const ITEM_KEY: [u8; 32] = [5; 32];

#[test]
fn the_worked_example_holds() {
    let fields = example_fields();
    let bytes: Vec<u8> = fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let expected = described(&written());
    assert_eq!(shown(&fields), shown(&expected), "the document should say:\n{}", shown(&expected));

    let head = read_artifact_head(&&bytes[..]).unwrap();
    let slot = &head.body.slots[0];
    let (id, requirement) = (head.artifact_id, &slot.requirement);
    let key = unwrap_content_key(&ITEM_KEY, id, requirement, &slot.wrapped).unwrap();
    let content = open_content(&head, &part_key(&key, MAIN_PART), &bytes[..]).unwrap();
    let mut plain = vec![0; content.plaintext_len() as usize];
    content.read_at(0, &mut plain).unwrap();
    assert_eq!(plain, PLAIN);
}

/// The firm of the example.
fn firm() -> Firm {
    let key = |byte| SigningKey::from_bytes(&[byte; 32]).unwrap();
    let holds = |role, byte| {
        let keys = vec![Fixed(key(byte).verifying_key().to_bytes())];
        RoleKeys { role, threshold: 1, keys: List::new(keys).unwrap() }
    };
    let body = RootBody {
        mode: Mode::Test,
        name: Text::new("Example Ltd").unwrap(),
        firm_code: FirmCode(1000),
        roles: List::new(vec![holds(Role::Root, 0x11), holds(Role::Protect, 0x31)]).unwrap(),
    };
    let object = Root::write_first(&body, ISSUED_S, &[&key(0x11)], &[0; 32]).unwrap();
    Firm::new(&object).unwrap()
}

/// The artifact of the example. Its random bytes count up from 0.
fn written() -> (Vec<u8>, usize) {
    let firm = firm();
    let requirement = Requirement {
        root_fp: firm.root().root_fp,
        product: ProductCode(7),
        features: 5,
        units: 0,
        release_s: ISSUED_S,
        access: AccessMode::UserLimit,
        certified_age_s: 0,
        generation: Generation(1),
    };
    let slots = vec![SlotSpec { requirement, item_key: ITEM_KEY.into(), is_trap: false }];
    let name = Text::new("planets.db").unwrap();
    let protection = Protection { firm: &firm, name, slots, issued_s: ISSUED_S };
    let mut next = 0_u8;
    let mut random = |out: &mut [u8]| {
        for byte in out {
            *byte = next;
            next = next.wrapping_add(1);
        }
        Ok::<_, RandomFailed>(())
    };
    let key = SigningKey::from_bytes(&[0x31; 32]).unwrap();
    let mut signer = Signer { key: &key, random: &mut random };
    let mut bytes = Vec::new();
    let content = file_content(PLAIN, PLAIN.len());
    write_artifact(&protection, &mut signer, content, &mut bytes, &mut |_, _| ()).unwrap();
    (bytes, firm.object().len())
}

type Fields = Vec<(String, Vec<u8>)>;

/// Cuts an artifact into the fields that the document names.
fn described((bytes, root_len): &(Vec<u8>, usize)) -> Fields {
    let head = read_artifact_head(&&bytes[..]).unwrap();
    let mut rest = &bytes[..];
    let mut fields = Vec::new();
    let mut take = |name: &str, len: usize| {
        let (field, tail) = rest.split_at(len);
        rest = tail;
        fields.push((name.to_owned(), field.to_vec()));
    };
    let body_len = head.header.body_len as usize;
    let header_object_len = head.content_offset as usize - 10 - root_len;
    take("magic", 8);
    take("kind, version", 2);
    take("root", *root_len);
    take("header", OBJECT_HEADER_LEN);
    take("proof length", 2);
    take("proof", header_object_len - OBJECT_HEADER_LEN - 2 - body_len);
    take("body", body_len);
    take("salt, commitment", HEADER_LEN);
    take("chunk", bytes.len() - head.content_offset as usize - HEADER_LEN);
    fields
}

/// As in the document: 48 bytes a line.
fn shown(fields: &Fields) -> String {
    let mut text = String::new();
    for (name, bytes) in fields {
        for (index, line) in bytes.chunks(48).enumerate() {
            let lead = if index == 0 { format!("{name:<16} =") } else { " ".repeat(18) };
            let digits: String = line.iter().map(|b| format!("{b:02x}")).collect();
            writeln!(text, "{lead} {digits}").unwrap();
        }
    }
    text
}

/// The lines `name = hex`, continued by lines of digits alone, of the block marked `example`.
fn example_fields() -> Fields {
    let block = DOCUMENT.split("```example\n").nth(1).expect("the document has an example");
    let mut fields = Fields::new();
    for line in block.split("```").next().expect("the block ends").lines() {
        let digits = match line.split_once('=') {
            Some((name, digits)) => {
                fields.push((name.trim().to_owned(), Vec::new()));
                digits
            }
            None => line,
        };
        let (_, bytes) = fields.last_mut().expect("the first line has a name");
        bytes.extend(unhex(digits.trim()));
    }
    fields
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.as_bytes().chunks(2).map(pair).collect()
}
