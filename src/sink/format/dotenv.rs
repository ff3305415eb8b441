//! What the dotenv readers of Node, Python, Ruby and Go all understand in the same way.
//!
//! There is no specification and no two of them agree on escapes, so nothing is ever escaped: the first of three
//! ways of quoting is taken that leaves no reader anything to interpret.
//! <https://nodejs.org/api/environment_variables.html#dotenv>, <https://github.com/motdotla/dotenv>,
//! <https://saurabh-kumar.com/python-dotenv/>, <https://github.com/bkeepers/dotenv>

use std::io::{self, Write};

use super::{Reason, identifier, refuse_if};

/// The character on both sides of a value, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    Single,
    Double,
    Bare,
}

/// The way to quote this variable, or the reason why there is none.
pub(super) fn quoting(name: &str, value: &str) -> Result<Quoting, Reason> {
    identifier(name)?;
    refuse_if(name == "__proto__", Reason::Setter)?;
    refuse_if(value.contains('\0'), Reason::Nul)?;
    refuse_if(value.contains('\r'), Reason::CarriageReturn)?;
    refuse_if(has_python_expansion(value), Reason::Expansion)?;
    if fits_single_quotes(value) {
        Ok(Quoting::Single)
    } else if fits_double_quotes(value) {
        Ok(Quoting::Double)
    } else if fits_bare(value) {
        Ok(Quoting::Bare)
    } else {
        Err(Reason::Unquotable)
    }
}

pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    match quoting(name, value).map_err(io::Error::other)? {
        Quoting::Single => writeln!(out, "{name}='{value}'"),
        Quoting::Double => writeln!(out, "{name}=\"{value}\""),
        Quoting::Bare => writeln!(out, "{name}={value}"),
    }
}

/// Python reads `\\` and `\'` as escapes even here.
fn fits_single_quotes(value: &str) -> bool {
    !value.contains('\'') && !value.contains(r"\\") && !value.ends_with('\\')
}

fn fits_double_quotes(value: &str) -> bool {
    !value.contains(['"', '\\']) && !has_ruby_expansion(value)
}

fn fits_bare(value: &str) -> bool {
    let ends_line = |c| matches!(c, '\n' | '\u{2028}' | '\u{2029}');
    // Python counts U+001C to U+001F as white space, JavaScript U+FEFF; Unicode does neither.
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}' | '\u{feff}');
    let before_last = value.strip_suffix('\\').unwrap_or(value);
    !value.contains(ends_line)
        && !value.contains('#')
        && !has_ruby_expansion(value)
        && !before_last.contains('\\')
        && !value.starts_with(['\'', '"', '`'])
        && !value.starts_with(blank)
        && !value.ends_with(blank)
}

/// `${NAME}` or `${NAME:-default}`, which python-dotenv expands even between single quotes:
/// the expression `\$\{[^}:]*(?::-[^}]*)?\}`.
fn has_python_expansion(value: &str) -> bool {
    let mut rest = value;
    // From one `}` or `:` to the next, so that the length of the value counts once.
    while let Some(at) = rest.find(['}', ':']) {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if before.contains("${") {
            match rest.as_bytes()[at] {
                b'}' => return true,
                // Without a further `}`, no other expression ends either.
                _ if after.starts_with('-') => return after.contains('}'),
                _ => {}
            }
        }
        rest = after;
    }
    false
}

/// A `$` that begins an expansion; for Ruby `$(…)` is a command to run.
fn has_ruby_expansion(value: &str) -> bool {
    let expands = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '{' | '(' | '$');
    value.match_indices('$').any(|(i, _)| value[i + 1..].starts_with(expands))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The expression, tried at each place.
    fn expands(value: &str) -> bool {
        value.match_indices("${").any(|(at, opening)| {
            let rest = &value[at + opening.len()..];
            let name = rest.find(['}', ':']).unwrap_or(rest.len());
            let after = &rest[name..];
            after.starts_with('}') || after.strip_prefix(":-").is_some_and(|default| default.contains('}'))
        })
    }

    proptest! {
        #[test]
        fn an_expression_is_found_where_python_finds_one(value in "[${}:a-]{0,12}") {
            prop_assert_eq!(has_python_expansion(&value), expands(&value), "{}", value);
        }
    }

    /// One that looked at each place anew would take hours.
    #[test]
    fn a_long_value_is_looked_through_once() {
        for piece in ["${", "${:-", ":-", "$", "'\"", "\\"] {
            let value = piece.repeat((4 << 20) / piece.len());
            assert!(!has_python_expansion(&value), "{piece}");
            let _ = quoting("A", &value);
        }
    }
}
