//! Objects of JSON, read as objects alone: serde would take a list for a structure, too, field by
//! field in their order.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

type Fields = Map<String, Value>;

/// A structure.
pub(super) fn one<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    reader: D,
) -> Result<T, D::Error> {
    read(Fields::deserialize(reader)?)
}

/// A structure, or nothing.
pub(super) fn maybe<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    reader: D,
) -> Result<Option<T>, D::Error> {
    Option::<Fields>::deserialize(reader)?.map(read).transpose()
}

/// A list of structures.
pub(super) fn many<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    reader: D,
) -> Result<Vec<T>, D::Error> {
    Vec::<Fields>::deserialize(reader)?.into_iter().map(read).collect()
}

fn read<T: DeserializeOwned, E: Error>(fields: Fields) -> Result<T, E> {
    serde_json::from_value(Value::Object(fields)).map_err(E::custom)
}
