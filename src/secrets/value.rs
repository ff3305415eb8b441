//! What a JSON value is as the text of a variable.

use crate::json::Json;
use crate::secret::Secret;

/// Strings as they are, numbers with the text received, `true` and `false`, null empty, objects and arrays as compact
/// JSON.
pub fn text(value: &Json) -> Secret {
    let text = match value {
        Json::Null => String::new(),
        Json::String(string) => string.as_str().to_owned(),
        other => {
            let mut text = String::new();
            other.write_compact(&mut text);
            text
        }
    };
    Secret::new(text)
}
