//! The C header, made from the functions and types of `bindings/c` and from the error table.

use std::fmt::Write;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};
use protocol::errors::ErrorCode;

use crate::{Outcome, repo};

const HEADER: &str = "bindings/c/include/strongroom.h";

/// Where functions and types are, in the order of the header.
const SOURCES: [&str; 2] = ["bindings/c/src/types.rs", "bindings/c/src/abi.rs"];

/// Structures under their names in C.
const NAMES: [(&str, &str); 9] = [
    ("ContextHandle", "strongroom_context"),
    ("SearchHandle", "strongroom_search"),
    ("ContainerHandle", "strongroom_container"),
    ("SeatHandle", "strongroom_seat"),
    ("FileHandle", "strongroom_file"),
    ("Vendor", "strongroom_vendor"),
    ("Requirement", "strongroom_requirement"),
    ("Grant", "strongroom_grant"),
    ("ErrorInfo", "strongroom_error"),
];

/// What holds for all of it.
const INTRODUCTION: &str = "\
/* Strongroom in C99 and C++11: find a license container, use a license, read protected files.
 *
 * Made by `cargo xtask header`: change the sources in bindings/c/src instead.
 *
 * Each function answers with 0, or with a number of the error table: one of STRONGROOM_ERROR_ below
 * or, from a newer container, another. strongroom_error_last and strongroom_error_text tell more
 * about the last call of the same thread.
 *
 * Handles are numbers. A handle that is zero, closed or of another kind is refused with
 * STRONGROOM_ERROR_HANDLE_UNKNOWN. All functions may be called from all threads; an object that one
 * thread closes lives on while another still uses it. A child of fork() opens its own.
 *
 * Pointers: NULL is refused where the text does not name it, and so is what is not aligned. All
 * else that a pointer says is the caller's word: it points to memory that may be written, or read
 * where it is const, for as long as the call lasts, and of the length that is named beside it. What
 * a call gives is set to zero first, so it is zero after an error. Texts are UTF-8 and end with a
 * zero; those given are of 4096 bytes at most.
 *
 * Texts come into the caller's buffer of `capacity` bytes; `needed`, if not NULL, is told how many
 * the text and its end need. With a NULL buffer only that is told. A buffer that is too small is
 * refused with STRONGROOM_ERROR_BUFFER_SMALL, and holds an empty text.
 *
 * Structures with `struct_size` grow at their end in later versions. Set them to zero first, then
 * that field.
 */";

/// `header [--check]`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let path = repo::root().join(HEADER);
    let wanted = header()?;
    if std::fs::read_to_string(&path).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    if arguments.iter().any(|argument| argument == "--check") {
        return Err(format!("{HEADER} is not up to date: `cargo xtask header`").into());
    }
    std::fs::write(&path, wanted)?;
    println!("{HEADER}: written");
    Ok(())
}

fn header() -> Outcome<String> {
    let sources = SOURCES.iter().map(|source| repo::root().join(source));
    let builder = Builder::new().with_config(config());
    let bindings = sources.fold(builder, |builder, source| builder.with_src(source)).generate()?;
    let mut out = Vec::new();
    bindings.write(&mut out);
    Ok(String::from_utf8(out)?)
}

fn config() -> Config {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Type,
        documentation_style: DocumentationStyle::Doxy,
        header: Some(INTRODUCTION.to_owned()),
        include_guard: Some("STRONGROOM_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        usize_is_size_t: true,
        line_length: 100,
        after_includes: Some(error_numbers()),
        ..Config::default()
    };
    config.export.rename.extend(NAMES.map(|(rust, c)| (rust.to_owned(), c.to_owned())));
    config
}

/// The numbers of the error table, each under its name.
fn error_numbers() -> String {
    let mut out = String::from("\n/* No error. */\n#define STRONGROOM_OK 0\n\n");
    out.push_str(
        "/* What each says and what to do: strongroom_explain_text, strongroom explain. */\n",
    );
    for code in ErrorCode::ALL {
        let row = code.row();
        let name = upper_snake(row.name);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "#define STRONGROOM_ERROR_{name} {:#06x}", row.number);
    }
    out
}

/// `NoSeat` as `NO_SEAT`.
fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_up_to_date() {
        run(&["--check".to_owned()]).unwrap();
    }

    #[test]
    fn every_structure_and_constant_has_a_name_for_c() {
        let header = header().unwrap();
        let named = |start: &'static str| header.lines().filter_map(move |l| l.strip_prefix(start));
        assert_eq!(named("} strongroom_").count(), NAMES.len());
        assert_eq!(named("} ").filter(|rest| rest.ends_with(';')).count(), NAMES.len());
        assert!(named("#define ").all(|name| name.starts_with("STRONGROOM_")));
    }

    #[test]
    fn names_are_written_as_constants() {
        assert_eq!(upper_snake("NoSeat"), "NO_SEAT");
        assert_eq!(upper_snake("_GoneOut"), "_GONE_OUT");
    }
}
