//! The verified claims of a caller.

use std::fmt;

use serde_json::{Map, Value};

/// The verified claims of a caller, `iss` and `sub` included. Their `Debug` shows names only.
#[derive(Clone)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Takes the claims over.
    pub fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// The claim that `name` names: a JSON Pointer where it begins with `/`, else a name at the top.
    /// [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Some(pointer) = name.strip_prefix('/') else { return self.0.get(name) };
        let (first, rest) =
            pointer.split_once('/').map_or((pointer, ""), |(first, _)| (first, &pointer[first.len()..]));
        self.0.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }

    /// The issuer; empty where there is none.
    pub fn issuer(&self) -> &str {
        self.text("iss")
    }

    /// The subject; empty where there is none.
    pub fn subject(&self) -> &str {
        self.text("sub")
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_is_named_by_its_name_or_by_a_pointer() {
        let Value::Object(map) = json!({"a": 1, "b": {"c/d": {"e~f": 2}, "": 3}, "/a": 4}) else { panic!() };
        let claims = Claims::new(map);
        for (name, value) in [
            ("a", json!(1)),
            ("/a", json!(1)),
            ("/b/c~1d/e~0f", json!(2)),
            ("/b/", json!(3)),
            ("b/c", json!(null)),
            ("", json!(null)),
            ("/", json!(null)),
        ] {
            assert_eq!(claims.get(name).cloned().unwrap_or_default(), value, "{name}");
        }
        assert_eq!(format!("{claims:?}"), r#"{"/a", "a", "b"}"#);
    }
}
