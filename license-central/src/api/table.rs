//! Rows as a table in CSV (RFC 4180), which a spreadsheet shows and never computes.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and formulas
//! reach the network and other programs. Texts come from customers and shops, so such a cell is
//! written with an apostrophe in front: in every column, and also where a program that splits at
//! semicolons, tabs or line ends would let a cell begin.

use std::io;

use csv::{QuoteStyle, WriterBuilder};
use serde::Serialize;
use serde_json::Value;

/// What may be a row.
pub(super) trait Tabled: Serialize + Send + 'static {
    /// Its columns: names of its fields, with dots to those inside. A list, or an object that is
    /// a column itself, is JSON in one cell.
    const COLUMNS: &'static [&'static str];
}

/// The line of names.
pub(super) fn head<T: Tabled>() -> io::Result<Vec<u8>> {
    write([T::COLUMNS.iter().map(|name| (*name).to_owned())])
}

/// Lines of these rows.
pub(super) fn rows<T: Tabled>(rows: &[T]) -> io::Result<Vec<u8>> {
    let values: Result<Vec<Value>, _> = rows.iter().map(serde_json::to_value).collect();
    let values = values?;
    write(values.iter().map(|row| T::COLUMNS.iter().map(|column| cell(row, column))))
}

fn write<L: Iterator<Item = String>>(lines: impl IntoIterator<Item = L>) -> io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    for line in lines {
        writer.write_record(line.map(|cell| harmless(&cell)))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn cell(row: &Value, column: &str) -> String {
    match column.split('.').fold(row, |value, name| &value[name]) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A cell that no spreadsheet computes.
fn harmless(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len() + 1);
    let mut begins = true;
    for letter in cell.chars() {
        // The wide ones count in some languages.
        let computes = matches!(letter, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠');
        if begins && (computes || (text.is_empty() && matches!(letter, '\t' | '\r'))) {
            text.push('\'');
        }
        text.push(letter);
        begins = matches!(letter, ';' | '\t' | '\r' | '\n') || (begins && letter == '"');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Row(Value);

    impl Tabled for Row {
        const COLUMNS: &'static [&'static str] = &["name", "place.state", "place", "count"];
    }

    fn text(rows: &[Value]) -> String {
        let rows: Vec<Row> = rows.iter().cloned().map(Row).collect();
        String::from_utf8(super::rows(&rows).unwrap()).unwrap()
    }

    #[test]
    fn fields_inside_have_columns_and_lists_are_json() {
        assert_eq!(head::<Row>().unwrap(), b"\"name\",\"place.state\",\"place\",\"count\"\n");
        let place = json!({ "state": "held", "entry": 1 });
        let rows = [json!({ "name": "a,\"b\"", "place": place, "count": -3 }), json!({})];
        assert_eq!(
            text(&rows),
            "\"a,\"\"b\"\"\",\"held\",\"{\"\"entry\"\":1,\"\"state\"\":\"\"held\"\"}\",\"'-3\"\n\
             \"\",\"\",\"\",\"\"\n"
        );
    }

    #[test]
    fn no_cell_begins_a_formula() {
        for (plain, shown) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("a;=1", "a;'=1"),
            ("a\n=1", "a\n'=1"),
            ("\"=1", "\"'=1"),
            ("a;\"\"=1", "a;\"\"'=1"),
            ("＝1", "'＝1"),
            ("a-b=c", "a-b=c"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(harmless(plain), shown, "{plain:?}");
        }
    }

    proptest! {
        /// However a program splits what it reads: at commas as it should, or at semicolons, tabs
        /// and line ends as some do.
        #[test]
        fn no_reader_finds_a_formula(
            names in prop::collection::vec("[=+@;,\t\r\n\"'a -]{0,12}", 1..4)
        ) {
            let rows: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
            let text = text(&rows);
            let is_formula = |cell: &str| cell.starts_with(['=', '+', '-', '@']);
            for separator in [b',', b';', b'\t'] {
                let mut reader = csv::ReaderBuilder::new();
                reader.has_headers(false).flexible(true).delimiter(separator);
                for record in reader.from_reader(text.as_bytes()).records() {
                    prop_assert!(!record.unwrap().iter().any(is_formula), "{text:?}");
                }
            }
            for line in text.lines() {
                for cell in line.split([';', '\t', '\r']) {
                    prop_assert!(!is_formula(cell.trim_start_matches('"')), "{text:?}");
                }
            }
        }
    }
}
