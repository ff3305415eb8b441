//! What keeps a secret from becoming an environment, and how that is told: names, causes and remedies, never a value.

use std::fmt;

use vault_client::text::{self, escaped};

/// All names of a message together; more are counted. What the kubelet keeps of a message, see `report`, holds them with
/// their remedies.
pub const MOST_BYTES: usize = 2400;

/// Something that keeps the secret from becoming an environment. All of them are found before the first is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `VAULT_KEYS` lists a key that the secret has not.
    MissingKey {
        /// The key.
        name: String,
        /// The key that was probably meant.
        near: Option<String>,
    },
    /// `VAULT_REQUIRED_KEYS` names a variable that does not come about.
    MissingVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        near: Option<String>,
    },
    /// `VAULT_REQUIRED_KEYS` names a key of the secret that `VAULT_KEYS` leaves out, or gives another name.
    LeftOut {
        /// The key.
        name: String,
        /// Its type in the secret.
        kind: &'static str,
    },
    /// A key that no variable can be named after.
    BadName {
        /// The name.
        name: String,
        /// Its type in the secret.
        kind: &'static str,
        /// The place of that secret, where it is one of several.
        place: Option<String>,
    },
    /// A name that could get code run or trust changed in the application.
    Denied {
        /// The name.
        name: String,
        /// Its type in the secret.
        kind: &'static str,
        /// The place of that secret, where it is one of several.
        place: Option<String>,
    },
    /// A value with a NUL byte.
    Nul {
        /// The variable.
        name: String,
        /// The place of that secret, where it is one of several.
        place: Option<String>,
    },
    /// A key that stands twice.
    Duplicate {
        /// Its dotted path.
        name: String,
        /// The place of that secret, where it is one of several.
        place: Option<String>,
    },
    /// Several secrets give a variable, and not all of them the same value.
    Clash {
        /// The variable.
        name: String,
        /// The places of those secrets, two or more.
        places: Vec<String>,
    },
    /// The environment has this variable with another value, and `VAULT_ON_CONFLICT` is `error`.
    Conflict(String),
    /// `NAME=value` is longer than the kernel takes.
    TooLong {
        /// The variable.
        name: String,
        /// Length of `NAME=value` with its NUL, in bytes.
        bytes: usize,
    },
    /// The env file's format cannot carry it.
    Format {
        /// The format.
        format: &'static str,
        /// The variable, with the reason.
        name: String,
        /// What to do; the same for all of a set.
        remedy: String,
    },
    /// Arguments and environment together are longer than the kernel takes.
    TooLongInAll {
        /// All of it, in bytes.
        bytes: usize,
        /// What the kernel takes, in bytes.
        limit: usize,
    },
}

/// Whether nothing is wrong but that something is missing.
pub fn only_missing(problems: &[Problem]) -> bool {
    let missing = |problem: &Problem| {
        matches!(problem, Problem::MissingKey { .. } | Problem::MissingVariable { .. } | Problem::LeftOut { .. })
    };
    problems.iter().all(missing)
}

/// One sentence for each kind of problem, with every name it concerns.
pub fn sentences(problems: &[Problem]) -> Vec<String> {
    let mut sentences: Vec<(Problem, Vec<String>)> = Vec::new();
    for problem in problems {
        let same =
            |(first, _): &&mut (Problem, Vec<String>)| std::mem::discriminant(first) == std::mem::discriminant(problem);
        match sentences.iter_mut().find(same) {
            Some((_, names)) => names.push(problem.listed()),
            None => sentences.push((problem.clone(), vec![problem.listed()])),
        }
    }
    let share = MOST_BYTES / sentences.len().max(1);
    sentences.iter().map(|(kind, names)| kind.sentence(&list(names, share))).collect()
}

/// As many of `names` as `bytes` hold, one at least, and the number of the others.
pub fn list(names: &[impl AsRef<str>], bytes: usize) -> String {
    let mut left = bytes;
    let fits = |name: &&str| {
        let fits = name.len() + ", ".len() <= left;
        left = left.saturating_sub(name.len() + ", ".len());
        fits
    };
    let fitting = names.iter().map(AsRef::as_ref).take_while(fits).count().max(1).min(names.len());
    let listed = names[..fitting].iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match names.len() - fitting {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

impl Problem {
    /// The problem in a word or two, for a table.
    pub fn state(&self) -> String {
        let state = match self {
            Self::MissingKey { .. } | Self::MissingVariable { .. } => "missing",
            Self::LeftOut { .. } => "left out by VAULT_KEYS",
            Self::BadName { .. } => "no name for a variable",
            Self::Denied { .. } => "denied",
            Self::Nul { .. } => "a NUL byte in the value",
            Self::Duplicate { .. } => "duplicate key",
            Self::Clash { .. } => "different values",
            Self::Conflict(_) => "conflict",
            Self::Format { .. } => "not carried by the format",
            Self::TooLong { .. } | Self::TooLongInAll { .. } => "too long",
        };
        format!("{state}{}", from(self.places()))
    }

    /// The places of the secrets that have it, where there are several.
    pub fn places(&self) -> &[String] {
        match self {
            Self::BadName { place, .. }
            | Self::Denied { place, .. }
            | Self::Nul { place, .. }
            | Self::Duplicate { place, .. } => place.as_slice(),
            Self::Clash { places, .. } => places,
            _ => &[],
        }
    }

    /// The type in the secret, where it is known.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::LeftOut { kind, .. } | Self::BadName { kind, .. } | Self::Denied { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// The name it concerns, with the one that was probably meant, or where it stands.
    pub fn listed(&self) -> String {
        match self {
            Self::MissingKey { near: Some(near), .. } | Self::MissingVariable { near: Some(near), .. } => {
                format!("{self} (did you mean {}?)", text::name(near))
            }
            _ if self.places().is_empty() => self.to_string(),
            _ => format!("{self} of {}", and(self.places())),
        }
    }

    /// The sentence for `names`, all of which have this kind of problem.
    fn sentence(&self, names: &str) -> String {
        let (what, remedy) = match self {
            Self::MissingKey { .. } => ("missing key", "add it to the secret, or take it out of VAULT_KEYS"),
            Self::MissingVariable { .. } => ("missing", "add it to the secret, or take it out of VAULT_REQUIRED_KEYS"),
            Self::LeftOut { .. } => {
                ("left out by VAULT_KEYS", "add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS")
            }
            Self::BadName { .. } => ("no name for a variable", "rename the key, or leave it out with VAULT_KEYS"),
            Self::Denied { .. } => ("denied", "rename the key, or permit it with VAULT_ALLOW_NAMES"),
            Self::Nul { .. } => ("a NUL byte in", "no variable can hold one; encode the value"),
            Self::Duplicate { .. } => ("duplicate key", "write the secret again with one of the two"),
            Self::Clash { .. } => ("different values", "write one value, or take it out of all but one"),
            Self::Conflict(_) => ("already in the environment", "take it out there, or change VAULT_ON_CONFLICT"),
            Self::TooLong { .. } => ("too long for the kernel", "131072 bytes fit; use --env-file, or VAULT_KEYS"),
            Self::Format { format, remedy, .. } => {
                return format!("format {format} cannot carry: {names} ({remedy})");
            }
            Self::TooLongInAll { .. } => {
                ("too long in all for the kernel", "use --env-file, or fewer keys (VAULT_KEYS)")
            }
        };
        format!("{what}: {names} ({remedy})")
    }
}

/// Behind the state of a variable in a table: the places of the secrets that have it, where there are several.
pub fn from(places: &[String]) -> String {
    if places.is_empty() { String::new() } else { format!("; from {}", and(places)) }
}

/// The places in words, each cut where it is long.
fn and(places: &[String]) -> String {
    let shown: Vec<_> = places.iter().map(|place| text::name(place)).collect();
    match &shown[..] {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        one => one.concat(),
    }
}

/// The name it concerns, escaped.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name, .. } => f.write_str(&text::quoted(name)),
            Self::MissingKey { name, .. }
            | Self::MissingVariable { name, .. }
            | Self::LeftOut { name, .. }
            | Self::Denied { name, .. }
            | Self::Nul { name, .. }
            | Self::Duplicate { name, .. }
            | Self::Clash { name, .. }
            | Self::Conflict(name) => f.write_str(&text::name(name)),
            // With the reason, and cut by the format.
            Self::Format { name, .. } => f.write_str(&escaped(name)),
            Self::TooLong { name, bytes } => write!(f, "{} ({bytes} bytes)", text::name(name)),
            Self::TooLongInAll { bytes, limit } => write!(f, "{bytes} of {limit} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let name = || "A\nERROR \u{1b}[31m".to_owned();
        let missing = Problem::MissingKey { name: name(), near: Some(name()) };
        let bad = Problem::BadName { name: name(), kind: "null", place: None };
        for problem in [Problem::Duplicate { name: name(), place: None }, missing, bad] {
            let sentence = sentences(&[problem]).concat();
            assert!(sentence.contains(r"A\nERROR \u{1b}[31m"), "{sentence}");
        }
    }

    #[test]
    fn names_that_do_not_fit_into_a_message_are_counted_and_long_ones_are_cut() {
        let denied = |name| Problem::Denied { name, kind: "string", place: None };
        let nul = |name| Problem::Nul { name, place: None };
        let mut problems: Vec<_> = (0..1003).map(|n| nul(format!("N{n}"))).collect();
        problems.extend((0..1003).map(|n| denied(format!("{n}{}", "X".repeat(1 << 16)))));
        problems.push(Problem::Conflict("C".into()));
        let said = sentences(&problems);
        assert!(said[0].ends_with(", N150 and 852 more (no variable can hold one; encode the value)"), "{}", said[0]);
        assert!(said[1].contains(&format!("denied: 0{}…, 1XX", "X".repeat(99))), "{}", said[1]);
        assert!(said[1].contains("… and 996 more (rename the key"), "{}", said[1]);
        assert!(said[2].starts_with("already in the environment: C (") && said.join("; ").len() < 3000, "{said:?}");
        let long = nul("é".repeat(1 << 16));
        assert!(sentences(&[long])[0].starts_with(&format!("a NUL byte in: {}… (", "é".repeat(100))));
    }

    #[test]
    fn missing_keys_alone_are_told_from_bad_data() {
        let missing = Problem::MissingVariable { name: "A".into(), near: None };
        assert!(only_missing(&[missing.clone(), Problem::MissingKey { name: "a".into(), near: None }]));
        let left_out = Problem::LeftOut { name: "A".into(), kind: "string" };
        assert!(only_missing(&[missing.clone(), left_out]));
        let clash = Problem::Clash { name: "A".into(), places: vec!["kv/a".into(), "kv/b".into()] };
        for other in [Problem::Nul { name: "B".into(), place: None }, clash] {
            assert!(!only_missing(&[missing.clone(), other]));
        }
    }
}
