//! Shapes of JSON: keys and types without values, merged over several samples.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// What a place in a document was seen to hold.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    plain: BTreeSet<&'static str>,
    array: Option<Box<Shape>>,
    object: Option<Object>,
}

#[derive(Debug, Default)]
struct Object {
    seen: usize,
    keys: BTreeMap<String, (usize, Shape)>,
}

impl Shape {
    /// Takes in one more sample.
    pub(crate) fn add(&mut self, value: &Value) {
        match value {
            Value::Null => drop(self.plain.insert("null")),
            Value::Bool(_) => drop(self.plain.insert("bool")),
            Value::Number(_) => drop(self.plain.insert("number")),
            Value::String(_) => drop(self.plain.insert("string")),
            Value::Array(values) => {
                let array = self.array.get_or_insert_default();
                values.iter().for_each(|value| array.add(value));
            }
            Value::Object(map) => {
                let object = self.object.get_or_insert_default();
                object.seen += 1;
                for (key, value) in map {
                    let (count, shape) = object.keys.entry(key.clone()).or_default();
                    *count += 1;
                    shape.add(value);
                }
            }
        }
    }

    /// As it is kept: sorted, keys that are not always there with a question mark.
    pub(crate) fn to_json(&self) -> Value {
        let plain = (!self.plain.is_empty()).then(|| {
            let names: Vec<&str> = self.plain.iter().copied().collect();
            json!(names.join(" or "))
        });
        let array = self.array.as_ref().map(|array| match array.to_json() {
            Value::Null => json!([]),
            shape => json!([shape]),
        });
        let object = self.object.as_ref().map(Object::to_json);
        let mut all: Vec<Value> = [plain, array, object].into_iter().flatten().collect();
        match all.len() {
            0 => Value::Null,
            1 => all.remove(0),
            _ => json!({ "one of": all }),
        }
    }
}

impl Object {
    fn to_json(&self) -> Value {
        let keys = self.keys.iter().map(|(key, (count, shape))| {
            let mark = if *count < self.seen { "?" } else { "" };
            (format!("{key}{mark}"), shape.to_json())
        });
        Value::Object(keys.collect::<Map<String, Value>>())
    }
}

#[test]
fn samples_are_merged_and_what_is_not_always_there_is_marked() {
    let mut shape = Shape::default();
    shape.add(&json!({ "a": 1, "b": [], "c": [{ "x": 1 }, { "x": null, "y": "" }] }));
    shape.add(&json!({ "a": "text", "b": [], "c": [] }));
    let wanted = json!({
        "a": "number or string", "b": [], "c": [{ "x": "null or number", "y?": "string" }],
    });
    assert_eq!(shape.to_json(), wanted);
}
