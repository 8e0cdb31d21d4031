//! JSON with errors that name the field.

use serde::de::DeserializeOwned;

use crate::{Error, impostor};

/// Parses the content of a checkpoint's `file`. An error names the field, or the file if no field is at fault.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, json: &str) -> Result<T, Error> {
    if let Some(reason) = impostor::in_place_of_json(json.as_bytes()) {
        return Err(Error::unsupported(file, reason));
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // The root is "."; "?" stands for an incomplete name.
        let path = error.path().to_string();
        let field = match path.trim_end_matches(['.', '?']) {
            "" => file,
            field => field,
        };
        Error::unsupported(field, error.inner().to_string())
    })?;
    deserializer.end().map_err(|error| Error::unsupported(file, error.to_string()))?;
    Ok(value)
}
