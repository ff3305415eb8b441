//! Some thousand names and patterns, looked up for each of thousands of keys.

/// Names and patterns, each sorted: a name is searched for, and compared only with the patterns that have its first byte.
pub(super) struct Patterns {
    names: Vec<&'static str>,
    patterns: Vec<&'static str>,
}

impl Patterns {
    /// Patterns hold one `*`, for any characters, and not in front.
    pub(super) fn new(all: impl Iterator<Item = &'static str>) -> Self {
        let (mut patterns, mut names): (Vec<_>, Vec<_>) = all.partition(|it| it.contains('*'));
        names.sort_unstable();
        patterns.sort_unstable();
        Self { names, patterns }
    }

    /// Whether one of them is or matches `name`.
    pub(super) fn holds(&self, name: &str) -> bool {
        let Some(first) = name.as_bytes().first() else { return false };
        let begin = self.patterns.partition_point(|pattern| pattern.as_bytes()[0] < *first);
        let mut candidates = self.patterns[begin..].iter().take_while(|pattern| pattern.as_bytes()[0] == *first);
        self.names.binary_search(&name).is_ok() || candidates.any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.split_once('*').is_some_and(|(begin, end)| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_whole_and_patterns_by_beginning_and_end() {
        let cases = [("B", true), ("BB", false), ("A", true), ("AX", true), ("_", true), ("__", false), ("", false)];
        let patterns = Patterns::new(["B", "A*", "AX_*_Y", "_"].into_iter());
        for (name, held) in cases {
            assert_eq!(patterns.holds(name), held, "{name}");
        }
        let patterns = Patterns::new(["AX_*_Y"].into_iter());
        for (name, held) in [("AX_1_Y", true), ("AX__Y", true), ("AX_Y", false), ("AX_1_Y2", false), ("AX_", false)] {
            assert_eq!(patterns.holds(name), held, "{name}");
        }
    }
}
