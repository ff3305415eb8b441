//! Strict JSON: what [RFC 8259](https://www.rfc-editor.org/rfc/rfc8259) allows, less duplicate keys, with numbers as
//! received.
//!
//! `serde_json::Value` keeps the last of two equal keys, passes numbers through `f64`, recurses, and cannot be stopped
//! on the way. None of that may happen to a secret, so an answer is scanned here, once, into a flat list of nodes
//! over its bytes. A document costs its bytes and 16 bytes a node, however deep it is. Error texts never quote it.

mod scan;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use scan::MAX_NODES;
use scan::{Kind, Node};

/// The bytes of a document, shared by all that is read out of it, wiped with the last of them.
pub type Bytes = Arc<Zeroizing<Vec<u8>>>;

/// A value of a document. It shares the document's bytes.
#[derive(Clone)]
pub struct Json {
    document: Arc<Document>,
    at: usize,
}

/// A [`Json`] that is an object: its members in the order received, each key once.
#[derive(Clone)]
pub struct Object(Json);

/// A document: its bytes, and each key and value in it in the order received.
struct Document {
    bytes: Bytes,
    nodes: Vec<Node>,
}

/// Why a document was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not JSON, or it ends too early; where and of which kind.
    Syntax {
        /// The document ended in the middle of a value.
        cut_short: bool,
        /// 1-based.
        line: usize,
        /// In bytes, 1-based.
        column: usize,
    },
    /// A string that is no Unicode text (a lone surrogate), or invalid UTF-8.
    Text,
    /// A key that stands twice in one object. The names lead to the object and end with the key; below the third
    /// level they are left out, because there they are part of a secret's value.
    Duplicate(Vec<String>),
    /// More than [`MAX_NODES`] keys and values.
    TooMany,
    /// The caller's time was over before the document's end was seen.
    Interrupted,
    /// The document, or a named member of it, is not what it has to be.
    Shape {
        /// Dotted path of the member; empty for the document.
        member: String,
        /// What was expected there.
        expected: &'static str,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { cut_short, line, column } => {
                let what = if *cut_short { "JSON that ends too early" } else { "no valid JSON" };
                write!(f, "{what} (line {line}, column {column})")
            }
            Self::Text => f.write_str("JSON with a string that is not Unicode text"),
            Self::Duplicate(path) => write!(f, "JSON with a duplicate key ({})", path.join(".")),
            Self::TooMany => write!(f, "JSON of more than {MAX_NODES} keys and values"),
            Self::Interrupted => f.write_str("JSON that took too long to read"),
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
    /// use vault_client::json::{Malformed, Object};
    ///
    /// let object = Object::parse(br#"{"data": {"price": 1.10, "note": null}}"#).unwrap();
    /// let data = object.object(&["data"]).unwrap();
    /// assert!(data.get("note").is_none());
    /// assert_eq!(data.string("price"), Err(Malformed::Shape { member: "price".into(), expected: "a string" }));
    /// assert_eq!(Object::parse(br#"{"a": 1, "a": 2}"#).err(), Some(Malformed::Duplicate(vec!["a".into()])));
    /// ```
    pub fn parse(document: &[u8]) -> Result<Self, Malformed> {
        Self::read(&Arc::new(Zeroizing::new(document.to_vec())), || true)
    }

    /// The same without a copy of the document. `go_on` is asked every few hundred nodes whether there is time for more.
    ///
    /// # Errors
    ///
    /// As for [`Object::parse`], and [`Malformed::Interrupted`] where `go_on` returned false.
    pub fn read(bytes: &Bytes, go_on: impl Fn() -> bool) -> Result<Self, Malformed> {
        let nodes = scan::scan(bytes, go_on)?;
        let top = Json { document: Arc::new(Document { bytes: Arc::clone(bytes), nodes }), at: 0 };
        top.into_object().ok_or(Malformed::Shape { member: String::new(), expected: "an object" })
    }

    /// The member `key`; `null` counts as absent, as everywhere in Vault's answers.
    pub fn get(&self, key: &str) -> Option<Json> {
        let key = self.0.children().find(|at| self.0.document.is_text(*at, key))?;
        Some(self.0.at(key + 1)).filter(|member| member.node().kind != Kind::Null)
    }

    /// Whether the member `key` is there, `null` included.
    pub fn has(&self, key: &str) -> bool {
        self.0.children().any(|at| self.0.document.is_text(at, key))
    }

    /// The object at `path`, whose last name must be there and an object.
    ///
    /// # Errors
    ///
    /// [`Malformed::Shape`] with the part of the path up to the first that is not there or no object.
    pub fn object(&self, path: &[&str]) -> Result<Self, Malformed> {
        path.iter().enumerate().try_fold(self.clone(), |object, (depth, key)| {
            let inner = object.get(key).and_then(Json::into_object);
            inner.ok_or_else(|| Malformed::Shape { member: path[..=depth].join("."), expected: "an object" })
        })
    }

    /// The boolean `key`.
    ///
    /// # Errors
    ///
    /// [`Malformed::Shape`] where it is absent or something else.
    pub fn bool(&self, key: &str) -> Result<bool, Malformed> {
        match self.get(key).map(|member| member.node().kind) {
            Some(Kind::True) => Ok(true),
            Some(Kind::False) => Ok(false),
            _ => Err(Malformed::Shape { member: key.into(), expected: "a boolean" }),
        }
    }

    /// The whole number `key`; absent counts as 0, as Go leaves out what is empty.
    ///
    /// # Errors
    ///
    /// [`Malformed::Shape`] where it is something else, below zero or no whole number.
    pub fn number(&self, key: &str) -> Result<u64, Malformed> {
        let Some(member) = self.get(key) else { return Ok(0) };
        let number = (member.node().kind == Kind::Number).then(|| member.raw().parse().ok()).flatten();
        number.ok_or_else(|| Malformed::Shape { member: key.into(), expected: "a whole number" })
    }

    /// The string `key`; absent counts as empty, as Go leaves out what is empty.
    ///
    /// # Errors
    ///
    /// [`Malformed::Shape`] where it is something else.
    pub fn string(&self, key: &str) -> Result<Zeroizing<String>, Malformed> {
        let Some(member) = self.get(key) else { return Ok(Zeroizing::default()) };
        member.string().ok_or_else(|| Malformed::Shape { member: key.into(), expected: "a string" })
    }

    /// The strings of the array `key`; absent counts as none, other elements are passed over.
    pub fn strings(&self, key: &str) -> Vec<Zeroizing<String>> {
        let array = self.get(key).filter(|member| member.node().kind == Kind::Array);
        array.iter().flat_map(|array| array.children().filter_map(|at| array.at(at).string())).collect()
    }

    /// The object as a value.
    pub fn json(&self) -> Json {
        self.0.clone()
    }

    /// The members in the order received, `null` ones included.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Json)> {
        // A key is followed by its value.
        self.0.children().map(|key| (self.0.document.text(key), self.0.at(key + 1)))
    }
}

impl Json {
    fn node(&self) -> &Node {
        &self.document.nodes[self.at]
    }

    fn raw(&self) -> &str {
        self.document.raw(self.node().range())
    }

    /// The value as an object, where it is one.
    pub fn object(&self) -> Option<Object> {
        self.clone().into_object()
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.node().kind == Kind::Null
    }

    fn into_object(self) -> Option<Object> {
        (self.node().kind == Kind::Object).then_some(Object(self))
    }

    fn at(&self, at: usize) -> Self {
        Self { document: Arc::clone(&self.document), at }
    }

    /// The indexes of the nodes one level below: the elements of an array, the keys of an object.
    fn children(&self) -> impl Iterator<Item = usize> {
        let nodes = &self.document.nodes;
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let child = Some(at).filter(|at| *at < self.node().next())?;
            // The value of a key comes right behind it.
            at = nodes[child + usize::from(nodes[child].is_key)].next();
            Some(child)
        })
    }

    /// Every string and number in it, at any depth, without the keys; itself where it is one.
    pub fn leaves(&self) -> impl Iterator<Item = Zeroizing<String>> {
        let Self { document, at } = self;
        let nodes = &document.nodes[*at..self.node().next()];
        let is_leaf = |kind| matches!(kind, Kind::String | Kind::Escaped | Kind::Number);
        let leaves = nodes.iter().enumerate().filter(move |(_, node)| is_leaf(node.kind) && !node.is_key);
        leaves.map(move |(n, _)| Zeroizing::new(document.text(at + n).into_owned()))
    }

    /// The decoded string; none of any other value.
    pub fn string(&self) -> Option<Zeroizing<String>> {
        let is_string = matches!(self.node().kind, Kind::String | Kind::Escaped);
        is_string.then(|| Zeroizing::new(self.document.text(self.at).into_owned()))
    }

    /// The type's name in messages.
    pub fn kind(&self) -> &'static str {
        match self.node().kind {
            Kind::Null => "null",
            Kind::True | Kind::False => "boolean",
            Kind::Number => "number",
            Kind::String | Kind::Escaped => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }

    /// The value as compact JSON: order and numbers as received, strings escaped as `serde_json` does.
    pub fn compact(&self) -> Zeroizing<String> {
        let Document { nodes, .. } = &*self.document;
        let whole = self.node().range();
        // A buffer that grows would leave copies of the secret behind. No escape is longer than the one received.
        let mut out = Zeroizing::new(String::with_capacity(whole.len()));
        let mut from = whole.start;
        let structure = |range: Range<usize>, out: &mut String| {
            out.extend(self.document.raw(range).chars().filter(|c| !c.is_ascii_whitespace()));
        };
        for (n, node) in nodes[self.at..self.node().next()].iter().enumerate() {
            match node.kind {
                Kind::Array | Kind::Object => continue,
                Kind::Escaped => {
                    structure(from..node.range().start, &mut out);
                    // Writing a text to memory cannot fail, and a panic here would hold a secret.
                    let text = Zeroizing::new(self.document.text(self.at + n).into_owned());
                    out.push_str(&Zeroizing::new(serde_json::to_string(&*text).unwrap_or_default()));
                }
                _ => {
                    structure(from..node.range().start, &mut out);
                    out.push_str(self.document.raw(node.range()));
                }
            }
            from = node.range().end;
        }
        structure(from..whole.end, &mut out);
        out
    }
}

impl Document {
    fn raw(&self, range: Range<usize>) -> &str {
        // The scan has seen that all of it is UTF-8, and its ranges begin and end at ASCII.
        self.bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Whether the node at `at` is the string `text`, decoded.
    fn is_text(&self, at: usize, text: &str) -> bool {
        let node = &self.nodes[at];
        let Range { start, end } = node.range();
        match node.kind {
            // Its bytes are its text: nothing has to be checked or copied.
            Kind::String => self.bytes.get(start + 1..end - 1) == Some(text.as_bytes()),
            _ => self.text(at) == text,
        }
    }

    /// The decoded string, or the text of any other leaf.
    fn text(&self, at: usize) -> Cow<'_, str> {
        let node = &self.nodes[at];
        let raw = self.raw(node.range());
        match node.kind {
            Kind::String => raw.get(1..raw.len() - 1).unwrap_or_default().into(),
            Kind::Escaped => scan::unescaped(raw).unwrap_or_default().into(),
            _ => raw.into(),
        }
    }
}

#[cfg(test)]
mod tests;
