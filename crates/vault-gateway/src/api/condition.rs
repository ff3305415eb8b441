//! Conditions of a request. [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-13)

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::route::version_of;

/// The versions that a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version that can be read.
    Any,
    /// These. Weak tags, and what is no tag of a version, match nothing and are left out.
    Of(Vec<u64>),
}

impl Tags {
    /// Whether the version that can be read, where there is one, is among them.
    pub fn has(&self, current: Option<u64>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Of(versions), Some(current)) => versions.contains(&current),
        }
    }
}

/// The conditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`
    pub matching: Option<Tags>,
    /// `If-None-Match`
    pub other_than: Option<Tags>,
}

impl Conditions {
    /// Those of a request's head.
    pub fn of(headers: &HeaderMap) -> Self {
        Self { matching: tags(headers, &IF_MATCH), other_than: tags(headers, &IF_NONE_MATCH) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they hold for the version that can be read, where there is one.
    pub fn hold(&self, current: Option<u64>) -> bool {
        self.matching.as_ref().is_none_or(|tags| tags.has(current))
            && self.other_than.as_ref().is_none_or(|tags| !tags.has(current))
    }

    /// The one version that must be the latest, where that is all that is asked.
    pub fn one_version(&self) -> Option<u64> {
        match (&self.matching, &self.other_than) {
            (Some(Tags::Of(versions)), None) if versions.len() == 1 => versions.first().copied(),
            _ => None,
        }
    }

    /// Whether all that is asked is that there is no version that can be read.
    pub fn is_for_none(&self) -> bool {
        matches!((&self.matching, &self.other_than), (None, Some(Tags::Any)))
    }
}

/// The tags of a header, of all its lines; `None` where there is no line.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
    let mut versions = Vec::new();
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    for line in lines {
        // A tag may hold bytes that are no ASCII; none of ours does.
        let text = &*String::from_utf8_lossy(line.as_bytes());
        if text.trim() == "*" {
            return Some(Tags::Any);
        }
        versions.extend(members(text).filter_map(version));
    }
    Some(Tags::Of(versions))
}

/// The members of a list; a comma between quotes is part of a tag.
fn members(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let parts = text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    });
    parts.map(str::trim)
}

/// The version of a strong tag as this service writes it: `"3"`.
fn version(tag: &str) -> Option<u64> {
    version_of(tag.strip_prefix('"')?.strip_suffix('"')?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(lines: &[&str]) -> Option<Tags> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_str(line).unwrap());
        }
        Conditions::of(&headers).matching
    }

    #[test]
    fn tags_are_read_as_lists_of_strong_versions() {
        assert_eq!(read(&[]), None);
        for (lines, expected) in [
            (&[r#""3""#][..], Tags::Of(vec![3])),
            (&[r#" "3" , "4""#], Tags::Of(vec![3, 4])),
            (&[r#""3""#, r#""4""#], Tags::Of(vec![3, 4])),
            (&["*"], Tags::Any),
            (&[" * "], Tags::Any),
            (&[r#"W/"3""#], Tags::Of(vec![])),
            (&[r#""3, 4""#], Tags::Of(vec![])),
            (&[r#"3, "03", "+3", "", "0", "9223372036854775808", "99999999999999999999", "3"#], Tags::Of(vec![])),
            (&[""], Tags::Of(vec![])),
        ] {
            assert_eq!(read(lines), Some(expected), "{lines:?}");
        }
    }

    #[test]
    fn conditions_hold_as_the_standard_says() {
        let (one, none) = (Some(Tags::Of(vec![3])), Some(Tags::Of(vec![])));
        let any = Some(Tags::Any);
        for (matching, other_than, [absent, third, fourth]) in [
            (None, None, [true, true, true]),
            (one.clone(), None, [false, true, false]),
            (any.clone(), None, [false, true, true]),
            (none.clone(), None, [false, false, false]),
            (None, one.clone(), [true, false, true]),
            (None, any.clone(), [true, false, false]),
            (None, none, [true, true, true]),
            (any, one, [false, false, true]),
        ] {
            let conditions = Conditions { matching, other_than };
            let held = [None, Some(3), Some(4)].map(|current| conditions.hold(current));
            assert_eq!(held, [absent, third, fourth], "{conditions:?}");
        }
    }
}
