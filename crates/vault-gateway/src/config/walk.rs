//! A walk through the parsed table: each key is asked for by name, and what nobody asked for is a fault.

use toml::{Table, Value};
use vault_client::text;

use super::fault::{Bad, Found};
use super::lines::Lines;
use super::near::near;
use super::value;

/// A table of the file. Whatever is wrong in it is recorded, and the reading goes on.
pub(super) struct Section<'a> {
    /// As messages name it; empty for the whole file.
    place: String,
    table: Table,
    /// `None` where they are not known.
    lines: Option<&'a Lines>,
    /// What was asked for.
    keys: Vec<&'static str>,
    found: &'a Found,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn top(table: Table, lines: &'a Lines, found: &'a Found) -> Self {
        Self { place: String::new(), table, lines: Some(lines), keys: Vec::new(), found }
    }

    /// Its place, as messages name it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The line that it begins in, from 1.
    pub fn line(&self) -> Option<usize> {
        self.lines.and_then(Lines::line)
    }

    /// Whether the file has this key.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the file has this key, also where it was asked for since.
    pub fn was_set(&self, key: &str) -> bool {
        self.has(key) || self.lines_of(key).is_some()
    }

    /// The text of this key, whether it can be used or not. It does not count as asked for.
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.table.get(key).and_then(Value::as_str)
    }

    /// Whether the value of this key is a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(Value::is_table)
    }

    /// How many faults there are so far, of this table and all others.
    pub fn faults(&self) -> usize {
        self.found.len()
    }

    /// Records a fault of this key.
    pub fn fault(&self, key: &str, bad: Bad) {
        self.record(key, self.lines_of(key), bad);
    }

    /// Records a fault of the key `inner` in the table of this key.
    pub fn fault_inside(&self, key: &str, inner: &str, bad: Bad) {
        let lines = self.lines_of(key);
        let place = format!("{key}.{}", text::name(inner));
        self.record(&place, lines.and_then(|lines| lines.key(inner)).or(lines), bad);
    }

    /// Where nothing is known of the place itself, it is the line of the table.
    fn record(&self, key: &str, lines: Option<&Lines>, bad: Bad) {
        self.found.push(bad.at(&self.at(key), lines.and_then(Lines::line).or_else(|| self.line())));
    }

    fn lines_of(&self, key: &str) -> Option<&'a Lines> {
        self.lines?.key(key)
    }

    fn at(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{} {key}", self.place) }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.keys.push(key);
        self.table.remove(key)
    }

    /// The value of this key; `None` where it is not there, or cannot be used, which is a fault.
    pub fn optional<T>(&mut self, key: &'static str, read: impl FnOnce(Value) -> Result<T, Bad>) -> Option<T> {
        let value = self.take(key)?;
        read(value).map_err(|bad| self.fault(key, bad)).ok()
    }

    /// The same; it is a fault where the key is not there.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(Value) -> Result<T, Bad>,
    ) -> Option<T> {
        self.demand(key, remedy);
        self.optional(key, read)
    }

    /// Records a fault where this key is not there.
    pub fn demand(&mut self, key: &str, remedy: &str) {
        if !self.has(key) {
            self.fault(key, Bad::new("is missing", remedy));
        }
    }

    /// The value of this key, or `default`.
    pub fn or<T>(&mut self, key: &'static str, default: T, read: impl FnOnce(Value) -> Result<T, Bad>) -> T {
        self.optional(key, read).unwrap_or(default)
    }

    /// The elements of this key's list; `None` where it is not there or cannot be used. Each element is judged.
    pub fn list<T>(&mut self, key: &'static str, each: impl Fn(Value) -> Result<T, Bad>) -> Option<Vec<T>> {
        let elements = self.optional(key, value::list)?;
        self.judge(key, elements, each)
    }

    fn judge<T>(&self, key: &str, elements: Vec<Value>, each: impl Fn(Value) -> Result<T, Bad>) -> Option<Vec<T>> {
        let (all, lines) = (elements.len(), self.lines_of(key));
        let judge = |(n, element)| {
            let lines = || lines.and_then(|lines| lines.element(n)).or(lines);
            each(element).map_err(|bad| self.record(key, lines(), bad)).ok()
        };
        let read: Vec<T> = elements.into_iter().enumerate().filter_map(judge).collect();
        (read.len() == all).then_some(read)
    }

    /// The same, which must have an element where it is there.
    pub fn filled_list<T>(&mut self, key: &'static str, each: impl Fn(Value) -> Result<T, Bad>) -> Option<Vec<T>> {
        let elements = self.optional(key, value::list)?;
        self.judge_filled(key, elements, each)
    }

    /// The same; one text is a list of one.
    pub fn one_or_more<T>(&mut self, key: &'static str, each: impl Fn(Value) -> Result<T, Bad>) -> Option<Vec<T>> {
        let elements = self.optional(key, value::one_or_more)?;
        self.judge_filled(key, elements, each)
    }

    fn judge_filled<T>(
        &self,
        key: &str,
        elements: Vec<Value>,
        each: impl Fn(Value) -> Result<T, Bad>,
    ) -> Option<Vec<T>> {
        let read = self.judge(key, elements, each)?;
        if read.is_empty() {
            self.fault(key, Bad::new("is an empty list", "write at least one element"));
            return None;
        }
        Some(read)
    }

    /// The table of this key; an empty one where it is not there or no table, which is a fault.
    pub fn section(&mut self, key: &'static str) -> Self {
        let place = if self.place.is_empty() { format!("[{key}]") } else { self.at(key) };
        let table = self.optional(key, value::table).unwrap_or_default();
        Self { place, table, lines: self.lines_of(key), keys: Vec::new(), found: self.found }
    }

    /// The tables of this key, `[[key]]`; each is named by the text of its key `name`, else by its number.
    pub fn sections(&mut self, key: &'static str, name: &str) -> Vec<Self> {
        let tables = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(elements)) => elements,
            Some(Value::Table(_)) => {
                self.fault(key, Bad::new("is a single table", format!("write [[{key}]] with two brackets")));
                return Vec::new();
            }
            Some(_) => {
                self.fault(key, Bad::new("is no list of tables", format!("write [[{key}]]")));
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for (n, element) in tables.into_iter().enumerate() {
            let Value::Table(table) = element else {
                self.fault(key, Bad::new(format!("element {} is no table", n + 1), format!("write [[{key}]]")));
                continue;
            };
            let named = table.get(name).and_then(Value::as_str).filter(|name| is_showable(name)).map(value::quoted);
            let place = format!("[[{key}]] {}", named.unwrap_or_else(|| (n + 1).to_string()));
            let lines = self.lines_of(key).and_then(|lines| lines.element(n));
            sections.push(Self { place, table, lines, keys: Vec::new(), found: self.found });
        }
        sections
    }

    /// Ends the reading: a key that nobody asked for is a fault.
    pub fn finish(self) {
        for key in self.table.keys() {
            let remedy = match near(key, &self.keys) {
                Some(meant) => format!("write {meant}"),
                None => format!("remove it; the keys here are {}", self.keys.join(", ")),
            };
            self.record(&text::name(key), self.lines_of(key), Bad::new("is an unknown key", remedy));
        }
    }
}

/// Whether a name can stand in a message: a URL with a password cannot.
fn is_showable(name: &str) -> bool {
    !name.is_empty() && !name.contains('@') && text::without_credentials(name) == name
}
