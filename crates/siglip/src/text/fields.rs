//! Fields of a JSON object, or what is wrong with them.

use serde_json::Value;

/// The kind of a part of a tokenizer.json.
pub(super) fn kind(object: &Value) -> Result<&str, String> {
    text(object, "type")
}

pub(super) fn text<'v>(object: &'v Value, name: &str) -> Result<&'v str, String> {
    object[name].as_str().ok_or_else(|| format!("{name} is not a text"))
}

pub(super) fn flag(object: &Value, name: &str) -> Result<bool, String> {
    object[name].as_bool().ok_or_else(|| format!("{name} is neither true nor false"))
}

/// `false` where the field is missing.
pub(super) fn optional_flag(object: &Value, name: &str) -> Result<bool, String> {
    if object[name].is_null() { Ok(false) } else { flag(object, name) }
}

pub(super) fn array<'v>(object: &'v Value, name: &str) -> Result<&'v [Value], String> {
    object[name].as_array().map(Vec::as_slice).ok_or_else(|| format!("{name} is not a list"))
}

/// The parts of a sequence of parts. `null` stands for none.
pub(super) fn parts<Part>(
    object: &Value,
    name: &str,
    of: fn(&Value) -> Result<Option<Part>, String>,
) -> Result<Vec<Part>, String> {
    array(object, name)?.iter().map(of).filter_map(Result::transpose).collect()
}

/// Takes a field out of an object; `null` where it is missing.
pub(super) fn take(object: &mut Value, name: &str) -> Value {
    object.get_mut(name).map(Value::take).unwrap_or_default()
}

pub(super) fn token_id(id: &Value) -> Result<u32, String> {
    id.as_u64().and_then(|id| id.try_into().ok()).ok_or_else(|| format!("{id} is not the id of a token"))
}
