//! What a JSON value is as the text of a variable.

use vault_client::Secret;
use vault_client::json::Json;

/// Strings as they are, numbers with the text received, `true` and `false`, null empty, objects and arrays as compact
/// JSON.
pub fn text(value: &Json) -> Secret {
    match value.kind() {
        "null" => Secret::new(""),
        _ => Secret::from(value.string().unwrap_or_else(|| value.compact())),
    }
}
