//! Strict JSON: what `serde_json` accepts, less duplicate keys and less deep nesting, with numbers as received.
//!
//! `serde_json::Value` keeps the last of two equal keys and passes numbers through `f64`; a derived struct accepts an
//! array in its place. None of that may happen to a secret, so answers are read into this small tree instead. Error
//! texts never quote the document, because `serde_json`'s own can.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Deeper documents are refused; each level is scanned once more than the one above it.
const MAX_DEPTH: usize = 64;

/// A JSON value.
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number's text, just as received, wiped on drop.
    Number(Zeroizing<String>),
    /// The decoded string, wiped on drop.
    String(Zeroizing<String>),
    /// The elements in order.
    Array(Vec<Json>),
    /// The members in the order received.
    Object(Object),
}

/// The members of an object, in the order received, each key once.
pub struct Object(Vec<(String, Json)>);

/// Why a document was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON, or it ends too early; where and of which kind.
    Syntax {
        /// The document ended in the middle of a value.
        cut_short: bool,
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
    },
    /// A string that is no Unicode text (a lone surrogate), or invalid UTF-8.
    Text,
    /// A key that stands twice in one object. The names lead to the object and end with the key; below the third
    /// level they are left out, because there they are part of a secret's value.
    Duplicate(Vec<String>),
    /// More than 64 levels.
    TooDeep,
    /// The document, or a named member of it, is not what it has to be.
    Shape {
        /// Dotted path of the member; empty for the document.
        member: String,
        /// What was expected there.
        expected: &'static str,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { cut_short, line, column } => {
                let what = if *cut_short { "JSON that ends too early" } else { "no valid JSON" };
                write!(f, "{what} (line {line}, column {column})")
            }
            Self::Text => f.write_str("JSON with a string that is not Unicode text"),
            Self::Duplicate(path) => write!(f, "JSON with a duplicate key ({})", path.join(".")),
            Self::TooDeep => write!(f, "JSON nested deeper than {MAX_DEPTH} levels"),
            Self::Shape { member, expected } if member.is_empty() => write!(f, "JSON that is not {expected}"),
            Self::Shape { member, expected } => write!(f, "JSON in which {member} is not {expected}"),
        }
    }
}

impl Object {
    /// Reads a document whose top level must be an object.
    ///
    /// # Errors
    ///
    /// The first fault found; where the document is at fault by itself, with its line and column.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_exec::json::{Fault, Object};
    ///
    /// let object = Object::parse(br#"{"data": {"price": 1.10, "note": null}}"#).unwrap();
    /// let data = object.object(&["data"]).unwrap();
    /// assert!(data.get("note").is_none());
    /// assert_eq!(data.string("price"), Err(Fault::Shape { member: "price".into(), expected: "a string" }));
    /// assert_eq!(Object::parse(br#"{"a": 1, "a": 2}"#).err(), Some(Fault::Duplicate(vec!["a".into()])));
    /// ```
    pub fn parse(document: &[u8]) -> Result<Self, Fault> {
        let raw = serde_json::from_slice::<&RawValue>(document).map_err(|e| match std::str::from_utf8(document) {
            Err(_) => Fault::Text,
            Ok(_) => Fault::Syntax { cut_short: e.is_eof(), line: e.line(), column: e.column() },
        })?;
        match read(raw, &mut Vec::new(), 0)? {
            Json::Object(object) => Ok(object),
            _ => Err(Fault::Shape { member: String::new(), expected: "an object" }),
        }
    }

    /// The member `key`; `null` counts as absent, as everywhere in Vault's answers.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(k, v)| k == key && !matches!(v, Json::Null)).map(|(_, v)| v)
    }

    /// The object at `path`, whose last name must be there and an object.
    ///
    /// # Errors
    ///
    /// [`Fault::Shape`] with the part of the path up to the first that is not there or no object.
    pub fn object(&self, path: &[&str]) -> Result<&Self, Fault> {
        path.iter().enumerate().try_fold(self, |object, (depth, key)| match object.get(key) {
            Some(Json::Object(inner)) => Ok(inner),
            _ => Err(Fault::Shape { member: path[..=depth].join("."), expected: "an object" }),
        })
    }

    /// The same, taken out of the document.
    ///
    /// # Errors
    ///
    /// As for [`Object::object`].
    pub fn into_object(self, path: &[&str]) -> Result<Self, Fault> {
        path.iter().enumerate().try_fold(self, |object, (depth, key)| {
            match object.0.into_iter().find(|(k, _)| k == key) {
                Some((_, Json::Object(inner))) => Ok(inner),
                _ => Err(Fault::Shape { member: path[..=depth].join("."), expected: "an object" }),
            }
        })
    }

    /// The boolean `key`.
    ///
    /// # Errors
    ///
    /// [`Fault::Shape`] where it is absent or something else.
    pub fn bool(&self, key: &str) -> Result<bool, Fault> {
        match self.get(key) {
            Some(Json::Bool(value)) => Ok(*value),
            _ => Err(Fault::Shape { member: key.into(), expected: "a boolean" }),
        }
    }

    /// The whole number `key`; absent counts as 0, as Go leaves out what is empty.
    ///
    /// # Errors
    ///
    /// [`Fault::Shape`] where it is something else, below zero or no whole number.
    pub fn number(&self, key: &str) -> Result<u64, Fault> {
        let fault = || Fault::Shape { member: key.into(), expected: "a whole number" };
        match self.get(key) {
            None => Ok(0),
            Some(Json::Number(text)) => text.parse().map_err(|_| fault()),
            Some(_) => Err(fault()),
        }
    }

    /// The string `key`; absent counts as empty, as Go leaves out what is empty.
    ///
    /// # Errors
    ///
    /// [`Fault::Shape`] where it is something else.
    pub fn string(&self, key: &str) -> Result<&str, Fault> {
        match self.get(key) {
            None => Ok(""),
            Some(Json::String(text)) => Ok(text),
            Some(_) => Err(Fault::Shape { member: key.into(), expected: "a string" }),
        }
    }

    /// The strings of the array `key`; absent counts as none, other elements are passed over.
    pub fn strings(&self, key: &str) -> Vec<&str> {
        let Some(Json::Array(elements)) = self.get(key) else {
            return Vec::new();
        };
        elements.iter().filter_map(|e| if let Json::String(text) = e { Some(text.as_str()) } else { None }).collect()
    }

    /// The members in the order received, `null` ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }
}

impl Json {
    /// Appends the value as compact JSON: order and numbers as received, strings escaped as `serde_json` does.
    pub fn write_compact(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(elements) => write_list(out, ['[', ']'], elements, Json::write_compact),
            Self::Object(object) => write_list(out, ['{', '}'], &object.0, |(key, value), out| {
                write_string(key, out);
                out.push(':');
                value.write_compact(out);
            }),
        }
    }

    /// The type's name in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

fn write_list<T>(out: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

fn write_string(text: &str, out: &mut String) {
    // Writing a str to memory cannot fail, and a panic here would be the only one that holds a secret.
    let quoted = Zeroizing::new(serde_json::to_string(text).unwrap_or_default());
    out.push_str(&quoted);
}

fn read(raw: &RawValue, path: &mut Vec<String>, depth: usize) -> Result<Json, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::TooDeep);
    }
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text).map_err(|_| Fault::Text)?;
            let mut seen = HashSet::with_capacity(members.len());
            let mut object = Vec::with_capacity(members.len());
            for (key, value) in &members {
                if depth < 3 {
                    path.push(key.clone());
                }
                if !seen.insert(key) {
                    return Err(Fault::Duplicate(std::mem::take(path)));
                }
                object.push((key.clone(), read(value, path, depth + 1)?));
                if depth < 3 {
                    path.pop();
                }
            }
            Ok(Json::Object(Object(object)))
        }
        Some(b'[') => {
            let Elements(elements) = serde_json::from_str(text).map_err(|_| Fault::Text)?;
            elements.into_iter().map(|e| read(e, path, depth + 1)).collect::<Result<_, _>>().map(Json::Array)
        }
        Some(b'"') => {
            serde_json::from_str(text).map(|text| Json::String(Zeroizing::new(text))).map_err(|_| Fault::Text)
        }
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        Some(b'n') => Ok(Json::Null),
        _ => Ok(Json::Number(Zeroizing::new(text.to_owned()))),
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(document: &str) -> Result<String, Fault> {
        let mut out = String::new();
        Json::Object(Object::parse(document.as_bytes())?).write_compact(&mut out);
        Ok(out)
    }

    #[test]
    fn order_and_numbers_come_out_as_they_came_in() {
        let document =
            r#" {"z" : [ 1.0, 1e999, -0, 12345678901234567890 ], "a" : {"\u003cb>": null, "": [] }, "t":true} "#;
        let expected = r#"{"z":[1.0,1e999,-0,12345678901234567890],"a":{"<b>":null,"":[]},"t":true}"#;
        assert_eq!(compact(document), Ok(expected.into()));
    }

    #[test]
    fn what_is_no_plain_object_is_refused_without_quoting_it() {
        let duplicate = |names: &[&str]| Fault::Duplicate(names.iter().map(ToString::to_string).collect());
        let shape = Fault::Shape { member: String::new(), expected: "an object" };
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(64), "]".repeat(64));
        for (document, fault) in [
            (r#"{"a":1,"a":2}"#, duplicate(&["a"])),
            (r#"{"data":{"data":{"k":1,"\u006b":2}}}"#, duplicate(&["data", "data", "k"])),
            (r#"{"data":{"data":{"k":[{"x":{"y":1,"y":2}}]}}}"#, duplicate(&["data", "data", "k"])),
            ("[true,false]", shape),
            ("{\"a\":\n 1", Fault::Syntax { cut_short: true, line: 2, column: 2 }),
            ("{\"a\":nope}", Fault::Syntax { cut_short: false, line: 1, column: 7 }),
            (r#"{"a":"\ud800"}"#, Fault::Text),
            (deep.as_str(), Fault::TooDeep),
        ] {
            assert_eq!(compact(document), Err(fault), "{document}");
        }
    }

    #[test]
    fn a_very_deep_document_neither_overflows_the_stack_nor_takes_long() {
        let document = format!("{{\"a\":{}", "[".repeat(1_000_000));
        assert!(matches!(compact(&document), Err(Fault::Syntax { cut_short: true, .. })));
    }
}
