//! What a JSON value is as the text of a variable.

use crate::json::Json;
use crate::secret::Secret;

/// Strings as they are, numbers with the text received, `true` and `false`, null empty, objects and arrays as compact
/// JSON.
pub fn text(value: &Json) -> Secret {
    match value.kind() {
        "null" => Secret::new(""),
        _ => Secret::from(value.string().unwrap_or_else(|| value.compact())),
    }
}
