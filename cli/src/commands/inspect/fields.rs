//! An object's fields in their order: one value for scripts and one for people.

use std::fmt::Display;

use serde_json::{Map, Value, json};
use vendor::times;

/// What is shown of an object.
pub(super) struct Fields {
    object: &'static str,
    fields: Vec<(&'static str, Value, String)>,
}

impl Fields {
    /// Fields of an object that is called so.
    pub(super) fn of(object: &'static str) -> Self {
        Fields { object, fields: Vec::new() }
    }

    /// A field whose two values differ.
    pub(super) fn both(mut self, name: &'static str, value: Value, text: impl Display) -> Self {
        self.fields.push((name, value, text.to_string()));
        self
    }

    /// A number, or what else is the same for both.
    pub(super) fn number(self, name: &'static str, number: impl Into<Value> + Display) -> Self {
        let text = number.to_string();
        self.both(name, number.into(), text)
    }

    /// Text, or what is shown as text.
    pub(super) fn text(self, name: &'static str, text: impl Display) -> Self {
        let text = text.to_string();
        self.both(name, json!(text), text)
    }

    /// Bytes in hexadecimal.
    pub(super) fn hex<const N: usize>(self, name: &'static str, bytes: [u8; N]) -> Self {
        self.text(name, format!("{:?}", protocol::codec::Fixed(bytes)))
    }

    /// Unix seconds; 0 = `never`.
    pub(super) fn time(self, name: &'static str, at_s: u64, never: &str) -> Self {
        let text = if at_s == 0 { never.to_owned() } else { times::show(at_s) };
        self.both(name, json!(at_s), text)
    }

    /// Several values, each on a line of its own.
    pub(super) fn list(self, name: &'static str, list: Vec<(Value, String)>) -> Self {
        let (values, texts): (Vec<Value>, Vec<String>) = list.into_iter().unzip();
        self.both(name, Value::Array(values), texts.join("\n"))
    }

    /// The fields of `other` behind these.
    pub(super) fn and(mut self, other: Fields) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// One line for each field, the object's name first.
    pub(super) fn lines(&self) -> String {
        let mut text = self.object.to_owned();
        for (name, _, value) in &self.fields {
            let name = name.replace('_', " ");
            let value = value.replace('\n', &format!("\n{:19}", ""));
            text.push_str(format!("\n  {name:<16} {value}").trim_end());
        }
        text
    }

    /// For scripts.
    pub(super) fn into_json(self) -> Value {
        let mut map = Map::from_iter([("object".to_owned(), json!(self.object))]);
        map.extend(self.fields.into_iter().map(|(name, value, _)| (name.to_owned(), value)));
        Value::Object(map)
    }
}
