//! What a rule wants of a claim.

use std::fmt;

use serde_json::{Number, Value};

/// What a rule wants of a claim: any of these values.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted(Vec<Scalar>);

#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    Text(String),
    Number(Number),
    Flag(bool),
}

/// Why a value of the configuration is nothing that a claim can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWanted {
    /// Neither a string nor a number nor a boolean, nor a list of those.
    #[error("a claim is compared with a string, a number, a boolean or a list of them: write one of these")]
    Type,
    /// An empty list, which no claim equals.
    #[error("an empty list equals no claim: name a value, or take the claim out")]
    Empty,
    /// A number with a fraction or an exponent, at or beyond 2^53, where neighbours are read as the same.
    #[error("a number beyond 2^53 cannot be compared exactly: write a string where the claim is one")]
    Inexact,
    /// A space in a string that `scope` or `scp` is to have.
    #[error("scope and scp are split at spaces, so that no part has one: write a claim table for each part")]
    Space,
}

/// How a claim of a caller compares with what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// It is one of the wanted values, or a list that contains one.
    Equal,
    /// It surely is none of them.
    Different,
    /// The caller has no such claim.
    Absent,
    /// Nobody can say: null, an object, a list within a list, a value of a type that is not among the wanted ones, or a
    /// number that is not exact.
    Incomparable,
}

impl Wanted {
    /// What `value` of the configuration wants.
    pub fn parse(value: &Value) -> Result<Self, BadWanted> {
        let Value::Array(list) = value else { return Ok(Self(vec![scalar(value)?])) };
        if list.is_empty() {
            return Err(BadWanted::Empty);
        }
        list.iter().map(scalar).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the claim of this name can have what is wanted.
    pub fn suits(&self, name: &str) -> Result<(), BadWanted> {
        let has_space = |wanted: &Scalar| matches!(wanted, Scalar::Text(text) if text.is_empty() || text.contains(' '));
        if is_split(name) && self.0.iter().any(has_space) { Err(BadWanted::Space) } else { Ok(()) }
    }

    /// Compares with the claim of this name.
    pub(super) fn compare(&self, name: &str, claim: Option<&Value>) -> Compared {
        match claim {
            None => Compared::Absent,
            Some(Value::String(text)) if is_split(name) => self.compare_words(text),
            Some(Value::Array(list)) => any(list.iter().map(|value| self.compare_scalar(value))),
            Some(value) => self.compare_scalar(value),
        }
    }

    fn compare_scalar(&self, value: &Value) -> Compared {
        match value {
            Value::String(text) => self.compare_text(text),
            _ => self.compare_each(|wanted| same(wanted, value)),
        }
    }

    fn compare_text(&self, text: &str) -> Compared {
        self.compare_each(|wanted| match wanted {
            Scalar::Text(wanted) => Some(wanted == text),
            _ => None,
        })
    }

    /// Without a word there is nothing to compare: it is an empty list.
    fn compare_words(&self, text: &str) -> Compared {
        any(text.split(' ').filter(|word| !word.is_empty()).map(|word| self.compare_text(word)))
    }

    /// A value that one of the wanted ones can be compared with is comparable.
    fn compare_each(&self, same: impl Fn(&Scalar) -> Option<bool>) -> Compared {
        let mut found = Compared::Incomparable;
        for wanted in &self.0 {
            match same(wanted) {
                Some(true) => return Compared::Equal,
                Some(false) => found = Compared::Different,
                None => {}
            }
        }
        found
    }
}

/// That of a list: one equal member is enough, and one that cannot be compared could be the equal one.
fn any(members: impl Iterator<Item = Compared>) -> Compared {
    let mut found = Compared::Different;
    for member in members {
        match member {
            Compared::Equal => return Compared::Equal,
            Compared::Incomparable => found = Compared::Incomparable,
            Compared::Different | Compared::Absent => {}
        }
    }
    found
}

/// Whether the claim of this name is a list in one string. [RFC 8693](https://www.rfc-editor.org/rfc/rfc8693#section-4.2)
fn is_split(name: &str) -> bool {
    matches!(name, "scope" | "scp" | "/scope" | "/scp")
}

/// Whether both are the same; `None` where they cannot be compared.
fn same(wanted: &Scalar, value: &Value) -> Option<bool> {
    match (wanted, value) {
        (Scalar::Text(wanted), Value::String(text)) => Some(wanted == text),
        (Scalar::Number(wanted), Value::Number(number)) => Some(Exact::of(wanted)? == Exact::of(number)?),
        (Scalar::Flag(wanted), Value::Bool(flag)) => Some(wanted == flag),
        _ => None,
    }
}

fn scalar(value: &Value) -> Result<Scalar, BadWanted> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Bool(flag) => Ok(Scalar::Flag(*flag)),
        Value::Number(number) if Exact::of(number).is_none() => Err(BadWanted::Inexact),
        Value::Number(number) => Ok(Scalar::Number(number.clone())),
        _ => Err(BadWanted::Type),
    }
}

/// A number by its value: 1 and 1.0 are the same.
#[derive(PartialEq)]
enum Exact {
    Whole(i128),
    Fraction(f64),
}

impl Exact {
    /// `None` where other numbers are read as this one: a float at or beyond 2^53.
    fn of(number: &Number) -> Option<Self> {
        if let Some(whole) = number.as_i128() {
            return Some(Self::Whole(whole));
        }
        let float = number.as_f64().filter(|float| float.abs() < 9_007_199_254_740_992.0)?;
        #[allow(clippy::cast_possible_truncation, reason = "it is below 2^53 and has no fraction")]
        Some(if float.fract() == 0.0 { Self::Whole(float as i128) } else { Self::Fraction(float) })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { " or " })?;
            match value {
                Scalar::Text(text) => write!(f, "{}", Value::from(text.as_str()))?,
                Scalar::Number(number) => write!(f, "{number}")?,
                Scalar::Flag(flag) => write!(f, "{flag}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_claim_compares_by_value_and_what_cannot_be_compared_is_told_apart() {
        use Compared::{Different, Equal, Incomparable};
        for (name, wanted, claim, expected) in [
            ("r", json!("a"), json!("a"), Equal),
            ("r", json!("a"), json!("A"), Different),
            ("r", json!("a"), json!("a "), Different),
            ("r", json!("a"), json!(["b", "a"]), Equal),
            ("r", json!("a"), json!(["b", 1]), Incomparable),
            ("r", json!("a"), json!([1, "a"]), Equal),
            ("r", json!("a"), json!([["a"]]), Incomparable),
            ("r", json!("a"), json!([]), Different),
            ("r", json!("a"), json!({"a": "a"}), Incomparable),
            ("r", json!("a"), json!(null), Incomparable),
            ("r", json!("a"), json!([null]), Incomparable),
            ("r", json!("1"), json!(1), Incomparable),
            ("r", json!(1), json!("1"), Incomparable),
            ("r", json!("true"), json!(true), Incomparable),
            ("r", json!(true), json!(true), Equal),
            ("r", json!(true), json!(false), Different),
            ("r", json!(true), json!(1), Incomparable),
            ("r", json!(1), json!(1.0), Equal),
            ("r", json!(1.0), json!(1), Equal),
            ("r", json!(0), json!(-0.0), Equal),
            ("r", json!(1), json!(1.5), Different),
            ("r", json!(1.5), json!(1.5), Equal),
            ("r", json!(u64::MAX), json!(u64::MAX), Equal),
            ("r", json!(u64::MAX), json!(-1), Different),
            ("r", json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0), Incomparable),
            ("r", json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), Different),
            ("r", json!(["a", 1]), json!("b"), Different),
            ("r", json!(["a", 1]), json!(1), Equal),
            ("r", json!(["a", 1]), json!(2), Different),
            ("r", json!(["a", 1]), json!(true), Incomparable),
            ("r", json!(["a", "b"]), json!(["c", "b"]), Equal),
            ("r", json!("a"), json!("b a"), Different),
            ("scope", json!("a"), json!("b a"), Equal),
            ("/scope", json!("a"), json!("b a"), Equal),
            ("scp", json!("a"), json!(" a  b"), Equal),
            ("scp", json!("a"), json!(["a"]), Equal),
            ("scp", json!("a"), json!("ab"), Different),
            ("scp", json!("a"), json!("b\ta"), Different),
            ("scp", json!("a"), json!(""), Different),
            ("scp", json!(1), json!("1"), Incomparable),
        ] {
            assert_eq!(
                Wanted::parse(&wanted).unwrap().compare(name, Some(&claim)),
                expected,
                "{name} {wanted} {claim}"
            );
        }
        assert_eq!(Wanted::parse(&json!("a")).unwrap().compare("r", None), Compared::Absent);
    }

    #[test]
    fn what_no_claim_can_be_compared_with_is_a_fault() {
        for (value, fault) in [
            (json!(null), BadWanted::Type),
            (json!({"a": 1}), BadWanted::Type),
            (json!([["a"]]), BadWanted::Type),
            (json!(["a", null]), BadWanted::Type),
            (json!([]), BadWanted::Empty),
            (json!(1e300), BadWanted::Inexact),
            (json!([1, 9_007_199_254_740_992.0]), BadWanted::Inexact),
        ] {
            assert_eq!(Wanted::parse(&value), Err(fault), "{value}");
        }
        for (name, value, suits) in [
            ("scope", json!("read write"), Err(BadWanted::Space)),
            ("scp", json!(["a", ""]), Err(BadWanted::Space)),
            ("scope", json!("read"), Ok(())),
            ("roles", json!("read write"), Ok(())),
        ] {
            assert_eq!(Wanted::parse(&value).unwrap().suits(name), suits, "{name} {value}");
        }
    }

    #[test]
    fn what_is_wanted_is_shown_as_json() {
        for (value, text) in
            [(json!("a\"b"), r#""a\"b""#), (json!(1.5), "1.5"), (json!(["a", 1, true]), r#""a" or 1 or true"#)]
        {
            assert_eq!(Wanted::parse(&value).unwrap().to_string(), text);
        }
    }
}
