//! Strict JSON objects, as values.

use serde_json::{Map, Value};
use vault_client::json::{Bytes, Object};

/// How deep arrays and objects may lie in each other; the outermost counts.
const MAX_DEPTH: usize = 16;

/// The members of the object that `document` is. `None` where it is none, has a name twice in one object, a string that
/// is no Unicode text, or is nested deeper than 16.
pub fn object(document: &Bytes) -> Option<Map<String, Value>> {
    // `serde_json` alone keeps the last of two equal names.
    Object::read(document, || true).ok()?;
    let value = serde_json::from_slice(document).ok()?;
    match value {
        Value::Object(members) if members.values().all(|value| is_within(value, MAX_DEPTH - 1)) => Some(members),
        _ => None,
    }
}

/// Whether at most `levels` arrays and objects lie in each other. `serde_json` itself ends at 128, so this can recurse.
fn is_within(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else { return !value.is_array() && !value.is_object() };
    match value {
        Value::Array(elements) => elements.iter().all(|element| is_within(element, below)),
        Value::Object(members) => members.values().all(|member| is_within(member, below)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn only_a_strict_object_that_is_not_too_deep_is_taken() {
        let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        let lists = |levels: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        for (text, taken) in [
            ("{}", true),
            (r#" {"a": {"a": [1, null]}, "b": 1.5e3} "#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":1}"#, false),
            (r#"{"b":{"a":1,"a":2}}"#, false),
            (r#"{"b":[{"a":1,"a":2}]}"#, false),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"a":1}{"#, false),
            (r#"{"a":1,}"#, false),
            (r#"{"a":NaN}"#, false),
            ("[]", false),
            ("\"{}\"", false),
            ("null", false),
            ("", false),
            ("\u{feff}{}", false),
            (&nested(16), true),
            (&nested(17), false),
            (&nested(5000), false),
            (&lists(15), true),
            (&lists(16), false),
        ] {
            let document = Arc::new(Zeroizing::new(text.as_bytes().to_vec()));
            assert_eq!(object(&document).is_some(), taken, "{}", &text[..text.len().min(40)]);
        }
    }
}
