//! A few hundred names and patterns, looked up thousands of times.

/// Names and patterns, sorted, so that a look-up compares only those with the name's first byte.
pub(super) struct Patterns(Vec<&'static str>);

impl Patterns {
    /// Patterns hold at most one `*`, for any characters, and not in front.
    pub(super) fn new(patterns: impl Iterator<Item = &'static str>) -> Self {
        let mut patterns: Vec<_> = patterns.collect();
        patterns.sort_unstable();
        Self(patterns)
    }

    /// Whether one of them is or matches `name`.
    pub(super) fn holds(&self, name: &str) -> bool {
        let Some(first) = name.as_bytes().first() else { return false };
        let begins_below = |pattern: &&str| pattern.as_bytes()[0] < *first;
        let candidates = &self.0[self.0.partition_point(begins_below)..];
        candidates.iter().take_while(|pattern| pattern.as_bytes()[0] == *first).any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((begin, end)) => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_whole_and_patterns_by_beginning_and_end() {
        let patterns = Patterns::new(["B", "A*", "AX_*_Y", "_"].into_iter());
        for (name, held) in [
            ("B", true),
            ("BB", false),
            ("A", true),
            ("AX", true),
            ("_", true),
            ("__", false),
            ("", false),
            ("C", false),
        ] {
            assert_eq!(patterns.holds(name), held, "{name}");
        }
        let patterns = Patterns::new(["AX_*_Y"].into_iter());
        for (name, held) in [("AX_1_Y", true), ("AX__Y", true), ("AX_Y", false), ("AX_1_Y2", false)] {
            assert_eq!(patterns.holds(name), held, "{name}");
        }
    }
}
