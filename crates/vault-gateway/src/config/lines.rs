//! In which line of the file a key stands.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// The lines of a value: its own, those of its keys where it is a table, and those of its elements where it is a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    line: Option<usize>,
    keys: BTreeMap<String, Lines>,
    elements: Vec<Lines>,
}

/// Where each line after the first begins, as an offset in bytes.
struct Begins(Vec<usize>);

impl Lines {
    /// Those of this text; none where it is no TOML.
    pub fn of(text: &str) -> Self {
        let begins = Begins(text.match_indices('\n').map(|(at, _)| at + 1).collect());
        DeTable::parse(text).map(|table| begins.table(None, table.get_ref())).unwrap_or_default()
    }

    /// Its own, from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// Those of the value of this key.
    pub fn key(&self, key: &str) -> Option<&Self> {
        self.keys.get(key)
    }

    /// Those of the element at this place, from 0.
    pub fn element(&self, place: usize) -> Option<&Self> {
        self.elements.get(place)
    }
}

impl Begins {
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|begin| *begin <= offset) + 1
    }

    fn table(&self, line: Option<usize>, table: &DeTable) -> Lines {
        let key = |(key, value): (&toml::Spanned<toml::de::DeString>, &toml::Spanned<DeValue>)| {
            (key.get_ref().clone().into_owned(), self.value(key.span().start, value.get_ref()))
        };
        Lines { line, keys: table.iter().map(key).collect(), elements: Vec::new() }
    }

    /// That of a value is where its key or its own text begins.
    fn value(&self, begin: usize, value: &DeValue) -> Lines {
        let line = Some(self.line(begin));
        match value {
            DeValue::Table(table) => self.table(line, table),
            DeValue::Array(array) => {
                let elements = array.iter().map(|element| self.value(element.span().start, element.get_ref()));
                Lines { line, keys: BTreeMap::new(), elements: elements.collect() }
            }
            _ => Lines { line, ..Lines::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_that_of_the_key_the_element_or_the_header() {
        let lines = Lines::of(
            "a = 1\nlist = [\n  \"x\",\n  \"y\",\n]\n\n[t]\nb = { c = 1 }\n[[n]]\nd = 1\n# é\n[[n]]\n\n\"e f\" = 1\n[n.claim]\ng.h = 1",
        );
        let key = |name| lines.key(name).unwrap();
        let second = key("n").element(1).unwrap();
        for (what, found, line) in [
            ("a", key("a"), 1),
            ("list", key("list"), 2),
            ("list, the second", key("list").element(1).unwrap(), 4),
            ("t", key("t"), 7),
            ("t.b.c", key("t").key("b").unwrap().key("c").unwrap(), 8),
            ("the first n", key("n").element(0).unwrap(), 9),
            ("the second n", second, 12),
            ("e f", second.key("e f").unwrap(), 14),
            ("claim", second.key("claim").unwrap(), 15),
            ("g.h", second.key("claim").unwrap().key("g").unwrap().key("h").unwrap(), 16),
        ] {
            assert_eq!(found.line(), Some(line), "{what}");
        }
        assert_eq!((lines.line(), lines.key("z"), lines.element(0)), (None, None, None));
        assert_eq!(Lines::of("a ="), Lines::default());
    }
}
