//! The one pass over a document: from its bytes to its nodes, without recursion.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use super::Malformed;

/// A larger document is refused: ten times what a secret with ten thousand keys has, so that what a server can make this
/// program do is bounded by more than the size of its answer.
pub const MAX_NODES: usize = 100_000;

/// How many values are read between two questions whether there is time for more.
const STRETCH: usize = 256;

/// So many keys of an object are compared one by one.
const FEW: usize = 16;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    True,
    False,
    Number,
    /// Without an escape in it: its text stands in the document.
    String,
    /// With an escape in it.
    Escaped,
    Array,
    Object,
}

/// A key or a value. What it holds comes right behind it.
pub struct Node {
    pub kind: Kind,
    pub is_key: bool,
    start: u32,
    end: u32,
    next: u32,
}

impl Node {
    /// Its bytes in the document, quotes and brackets included.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The index of the node that follows the last one in it.
    pub fn next(&self) -> usize {
        self.next as usize
    }
}

/// The nodes of a document, the first of which is the document itself.
pub fn scan(document: &[u8], go_on: impl Fn() -> bool) -> Result<Vec<Node>, Malformed> {
    let text = std::str::from_utf8(document).map_err(|_| Malformed::Text)?;
    // More would not fit the nodes' offsets; an answer is eight MiB at most.
    if u32::try_from(text.len()).is_err() {
        return Err(Malformed::TooMany);
    }
    // As many as an answer of this length has, and no more than a small one has.
    let nodes = Vec::with_capacity((text.len() / 16).min(64));
    let mut scanner = Scanner { text, at: 0, nodes, open: Vec::new(), keys: Vec::new() };
    let mut steps = 0_usize;
    while scanner.step()? {
        steps += 1;
        if steps.is_multiple_of(STRETCH) && !go_on() {
            return Err(Malformed::Interrupted);
        }
    }
    Ok(scanner.nodes)
}

/// The text of a string with escapes, quotes included; none where it is no Unicode text.
pub fn unescaped(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

struct Scanner<'d> {
    text: &'d str,
    at: usize,
    nodes: Vec<Node>,
    /// The arrays and objects that have not ended.
    open: Vec<Open<'d>>,
    /// The first [`FEW`] keys of each of these objects, those of the innermost last.
    keys: Vec<Cow<'d, str>>,
}

struct Open<'d> {
    node: usize,
    /// Of an object.
    members: Option<Members<'d>>,
}

/// The keys of an object so far.
struct Members<'d> {
    last: Cow<'d, str>,
    /// Where its first ones stand in the scanner's keys.
    from: usize,
    /// Those that come after [`FEW`].
    more: HashSet<Cow<'d, str>>,
}

impl<'d> Scanner<'d> {
    /// Reads the next value as far as its first member or element, and whatever ends behind it. Returns false once the
    /// document has ended.
    fn step(&mut self) -> Result<bool, Malformed> {
        let opened = match self.next() {
            Some(b'[') => self.open(Kind::Array)?,
            Some(b'{') => self.open(Kind::Object)?,
            Some(b'"') => {
                self.string(false)?;
                false
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Kind::True)?,
            Some(b'f') => self.literal("false", Kind::False)?,
            Some(b'n') => self.literal("null", Kind::Null)?,
            _ => return Err(self.syntax()),
        };
        if opened {
            return Ok(true);
        }
        loop {
            let next = self.next();
            let is_object = match self.open.last() {
                None if next.is_none() => return Ok(false),
                None => return Err(self.syntax()),
                Some(open) => open.members.is_some(),
            };
            match (next, is_object) {
                (Some(b','), _) => {
                    self.at += 1;
                    if is_object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                _ => return Err(self.syntax()),
            }
        }
    }

    /// Begins an array or object. Returns false where it is empty and has ended.
    fn open(&mut self, kind: Kind) -> Result<bool, Malformed> {
        let is_object = kind == Kind::Object;
        let members = || Members { last: Cow::Borrowed(""), from: self.keys.len(), more: HashSet::new() };
        self.open.push(Open { node: self.nodes.len(), members: is_object.then(members) });
        self.push(kind, self.at, false)?;
        self.at += 1;
        match self.next() {
            Some(b']') if !is_object => self.close(),
            Some(b'}') if is_object => self.close(),
            _ if is_object => return self.key().map(|()| true),
            _ => return Ok(true),
        }
        Ok(false)
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(Open { node, members }) = self.open.pop() {
            (self.nodes[node].end, self.nodes[node].next) = (offset(self.at), offset(self.nodes.len()));
            self.keys.truncate(members.map_or(self.keys.len(), |members| members.from));
        }
    }

    /// Reads a key and the colon behind it.
    fn key(&mut self) -> Result<(), Malformed> {
        if self.next() != Some(b'"') {
            return Err(self.syntax());
        }
        let key = self.string(true)?;
        if !self.is_new(key) {
            let named = self.open.iter().take(3).filter_map(|open| open.members.as_ref());
            return Err(Malformed::Duplicate(named.map(|members| members.last.clone().into_owned()).collect()));
        }
        if self.next() != Some(b':') {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    /// Notes a key of the innermost object; returns whether it is the first of its name there. A few are compared, which
    /// takes less time and memory than hashes.
    fn is_new(&mut self, key: Cow<'d, str>) -> bool {
        let Some(Open { members: Some(members), .. }) = self.open.last_mut() else { return true };
        members.last.clone_from(&key);
        let few = &self.keys[members.from..];
        if few.contains(&key) {
            return false;
        }
        if few.len() < FEW {
            self.keys.push(key);
            return true;
        }
        members.more.insert(key)
    }

    /// Reads a string; returns its text where it is a key, which is no secret.
    fn string(&mut self, is_key: bool) -> Result<Cow<'d, str>, Malformed> {
        let (text, start) = (self.text, self.at);
        let mut kind = Kind::String;
        self.at += 1;
        loop {
            let rest = &text.as_bytes()[self.at..];
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                _ => return Err(self.syntax()),
            }
        }
        self.at += 1;
        // What is no key and has no escape stays where it is.
        let text = match (kind, is_key) {
            (Kind::Escaped, _) => {
                let decoded = Zeroizing::new(unescaped(&text[start..self.at]).ok_or(Malformed::Text)?);
                if is_key { Cow::Owned((*decoded).clone()) } else { Cow::Borrowed("") }
            }
            (_, true) => Cow::Borrowed(&text[start + 1..self.at - 1]),
            (_, false) => Cow::Borrowed(""),
        };
        self.push(kind, start, is_key)?;
        Ok(text)
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        let digits = match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        for _ in 0..digits {
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.syntax());
            }
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<bool, Malformed> {
        let start = self.at;
        self.skip(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        self.push(Kind::Number, start, false)
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Malformed> {
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        if !is_digit(self.peek()) {
            return Err(self.syntax());
        }
        while is_digit(self.peek()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str, kind: Kind) -> Result<bool, Malformed> {
        let start = self.at;
        for byte in word.bytes() {
            if !self.skip(&[byte]) {
                return Err(self.syntax());
            }
        }
        self.push(kind, start, false)
    }

    /// Notes a node that ends here; an array or object ends later. Returns false: nothing was opened.
    fn push(&mut self, kind: Kind, start: usize, is_key: bool) -> Result<bool, Malformed> {
        if self.nodes.len() == MAX_NODES {
            return Err(Malformed::TooMany);
        }
        let next = offset(self.nodes.len() + 1);
        self.nodes.push(Node { kind, is_key, start: offset(start), end: offset(self.at), next });
        Ok(false)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over one of `bytes`, if one comes next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| bytes.contains(&byte));
        self.at += usize::from(found);
        found
    }

    /// Passes over white space and returns what stands behind it.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// The fault of what stands here.
    fn syntax(&self) -> Malformed {
        let before = &self.text.as_bytes()[..self.at];
        let mut lines = before.split(|byte| *byte == b'\n');
        let column = lines.next_back().unwrap_or_default().len() + 1;
        let line = lines.count() + 1;
        Malformed::Syntax { cut_short: self.at == self.text.len(), line, column }
    }
}

/// An index or a length, of which the scan has seen that it fits.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
