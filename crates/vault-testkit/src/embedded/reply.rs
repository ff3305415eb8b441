//! Answers: the envelope, the errors, and JSON written the way Go writes it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::vault::random_id;

/// What goes back to the client.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// A redirect's target.
    pub(crate) location: Option<String>,
    pub(crate) body: Option<Value>,
    /// In seconds.
    pub(crate) retry_after: Option<u64>,
}

/// `Err` is an answer like any other; it only ends the handling early.
pub(crate) type Answer = Result<Reply, Reply>;

impl Reply {
    pub(crate) fn plain(status: u16, body: Value) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, location: None, body: None, retry_after: None }
    }

    pub(crate) fn redirect(path: &str) -> Self {
        Self { location: Some(format!("/v1/{path}")), ..Self::empty(307) }
    }

    /// A success with `data`.
    pub(crate) fn data(data: Value) -> Self {
        Self::envelope(200, "data", data)
    }

    /// A success with `auth`.
    pub(crate) fn auth(auth: Value) -> Self {
        Self::envelope(200, "auth", auth)
    }

    /// An answer that only carries a warning.
    pub(crate) fn warning(status: u16, warning: &str) -> Self {
        Self::envelope(status, "warnings", json!([warning]))
    }

    pub(crate) fn envelope(status: u16, field: &str, value: Value) -> Self {
        let mut body = json!({
            "request_id": random_id(), "lease_id": "", "renewable": false, "lease_duration": 0,
            "data": null, "wrap_info": null, "warnings": null, "auth": null,
        });
        body[field] = value;
        Self::plain(status, body)
    }

    pub(crate) fn error(status: u16, text: impl Into<String>) -> Self {
        Self::plain(status, json!({"errors": [text.into()]}))
    }

    /// The 404 without a reason.
    pub(crate) fn not_found() -> Self {
        Self::plain(404, json!({"errors": []}))
    }

    /// No token, or one that is not known.
    pub(crate) fn forbidden() -> Self {
        Self::error(403, "permission denied")
    }

    /// The token is good, its policies are not.
    pub(crate) fn denied() -> Self {
        Self::error(403, one_error("permission denied"))
    }
}

/// How the real server prints an error that went through its error list.
pub(crate) fn one_error(text: &str) -> String {
    format!("1 error occurred:\n\t* {text}\n\n")
}

/// Writes JSON as Go does: every number is a float64, and `<`, `>`, `&`, U+2028 and U+2029 are escaped.
pub(crate) fn go_json(value: &Value) -> String {
    match value {
        Value::Number(number) => go_number(number.as_f64().unwrap_or_default()),
        Value::String(text) => go_string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(go_json).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{}:{}", go_string(name), go_json(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

fn go_number(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

fn go_string(text: &str) -> String {
    let mut out = String::new();
    for character in Value::from(text).to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}
