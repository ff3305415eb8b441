//! From a secret's members to variables that are safe to set. Knows neither Vault nor where the variables go.

mod denied;
pub mod name;
mod near;
mod patterns;
pub mod reference;
pub mod rendered;
pub mod shell;

use std::cell::LazyCell;
use std::fmt;

use name::Verdict;
use near::Near;
use vault_client::Secret;
use vault_client::json::{Json, Object};
use vault_client::text::{self, escaped};

/// All names of a message together; more are counted. What the kubelet keeps of a message, see `report`, holds them with
/// their remedies.
pub const MOST_BYTES: usize = 2400;

/// What the settings ask of the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Only these keys, in this order; none given: all of them.
    pub keys: Option<Vec<Selected>>,
    /// Variables that must be there.
    pub required: Vec<String>,
    /// Names that are permitted though they are denied by default.
    pub allowed: Vec<String>,
}

/// What the variables are for; a file's format has rules of its own for names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The environment of a process.
    Environment,
    /// An env file.
    File,
}

/// A key of the secret and the variable it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The key in the secret.
    pub key: String,
    /// The variable's name.
    pub name: String,
}

/// A variable to be set.
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type in the secret.
    pub kind: &'static str,
    /// Its value.
    pub value: Secret,
}

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
    },
    /// A name that could get code run or trust changed in the application.
    Denied {
        /// The name.
        name: String,
        /// Its type in the secret.
        kind: &'static str,
    },
    /// A value with a NUL byte.
    Nul(String),
    /// A key that stands twice.
    Duplicate(String),
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

/// Makes variables of the secret's members, and finds everything that forbids it.
///
/// # Examples
///
/// ```
/// use vault_client::json::Object;
/// use vault_exec::secrets::{Carrier, Rules, Selected, collect, sentences};
///
/// let secret = Object::parse(br#"{"db-url": "postgres://db/shop", "PORT": 8080, "LD_PRELOAD": "/x.so"}"#).unwrap();
/// let key = |key: &str, name: &str| Selected { key: key.into(), name: name.into() };
/// let rules = Rules { keys: Some(vec![key("db-url", "DATABASE_URL"), key("PORT", "PORT")]), ..Rules::default() };
///
/// let (variables, problems) = collect(&secret, &rules, Carrier::Environment);
/// let pairs: Vec<_> = variables.iter().map(|v| (v.name.as_str(), v.value.expose())).collect();
/// assert_eq!(pairs, [("DATABASE_URL", "postgres://db/shop"), ("PORT", "8080")]);
/// assert!(problems.is_empty());
///
/// let (_, problems) = collect(&secret, &Rules::default(), Carrier::Environment);
/// let denied = "denied: LD_PRELOAD (rename the key, or permit it with VAULT_ALLOW_NAMES)";
/// assert_eq!(sentences(&problems), [denied]);
/// ```
pub fn collect(secret: &Object, rules: &Rules, carrier: Carrier) -> (Vec<Variable>, Vec<Problem>) {
    let in_environment = carrier == Carrier::Environment;
    let mut problems = Vec::new();
    let mut variables = Vec::new();
    let mut take = |name: &str, value: &Json| match name::judge(name, &rules.allowed) {
        Verdict::Denied => problems.push(Problem::Denied { name: name.to_owned(), kind: value.kind() }),
        Verdict::Bad if in_environment => problems.push(Problem::BadName { name: name.to_owned(), kind: value.kind() }),
        Verdict::Good | Verdict::Bad => {
            let text = rendered::text(value);
            if in_environment && text.expose().contains('\0') {
                problems.push(Problem::Nul(name.to_owned()));
            } else {
                variables.push(Variable { name: name.to_owned(), kind: value.kind(), value: text });
            }
        }
    };
    match &rules.keys {
        None => secret.iter().for_each(|(key, value)| take(&key, &value)),
        Some(selected) => {
            let mut missing = Vec::new();
            let near = LazyCell::new(|| Near::new(secret.iter().map(|(key, _)| key)));
            for Selected { key, name } in selected {
                match secret.iter().find(|(k, _)| k == key) {
                    Some((_, value)) => take(name, &value),
                    None => missing.push(Problem::MissingKey { name: key.clone(), near: near.to(key) }),
                }
            }
            problems.extend(missing);
        }
    }
    // A variable that is there but cannot be set is reported for that alone.
    let judged = |problem: &Problem, name: &str| match problem {
        Problem::Denied { name: it, .. } | Problem::BadName { name: it, .. } | Problem::Nul(it) => it == name,
        _ => false,
    };
    let come_about = |name: &str| variables.iter().any(|v| v.name == name) || problems.iter().any(|p| judged(p, name));
    let (mut left_out, mut absent) = (Vec::new(), Vec::new());
    for name in rules.required.iter().filter(|name| !come_about(name)) {
        match secret.iter().find(|(key, _)| key == name) {
            Some((_, value)) => left_out.push(Problem::LeftOut { name: name.clone(), kind: value.kind() }),
            None => absent.push(name.clone()),
        }
    }
    problems.extend(left_out);
    problems.extend(missing(&absent, variables.iter().map(|variable| variable.name.as_str())));
    (variables, problems)
}

/// A problem for each of the variables `names`, which are missing, with what was probably meant of those that are
/// `there`.
pub fn missing(names: &[String], there: impl Iterator<Item = impl AsRef<str>>) -> Vec<Problem> {
    if names.is_empty() {
        return Vec::new();
    }
    let near = Near::new(there);
    names.iter().map(|name| Problem::MissingVariable { name: name.clone(), near: near.to(name) }).collect()
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
    pub fn state(&self) -> &'static str {
        match self {
            Self::MissingKey { .. } | Self::MissingVariable { .. } => "missing",
            Self::LeftOut { .. } => "left out by VAULT_KEYS",
            Self::BadName { .. } => "no name for a variable",
            Self::Denied { .. } => "denied",
            Self::Nul(_) => "a NUL byte in the value",
            Self::Duplicate(_) => "duplicate key",
            Self::Conflict(_) => "conflict",
            Self::Format { .. } => "not carried by the format",
            Self::TooLong { .. } | Self::TooLongInAll { .. } => "too long",
        }
    }

    /// The type in the secret, where it is known.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::LeftOut { kind, .. } | Self::BadName { kind, .. } | Self::Denied { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// The name it concerns, with the one that was probably meant.
    pub fn listed(&self) -> String {
        match self {
            Self::MissingKey { near: Some(near), .. } | Self::MissingVariable { near: Some(near), .. } => {
                format!("{self} (did you mean {}?)", text::name(near))
            }
            _ => self.to_string(),
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
            Self::Nul(_) => ("a NUL byte in", "no variable can hold one; encode the value"),
            Self::Duplicate(_) => ("duplicate key", "write the secret again with one of the two"),
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

/// The name it concerns, escaped.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName { name, .. } => f.write_str(&text::quoted(name)),
            Self::MissingKey { name, .. }
            | Self::MissingVariable { name, .. }
            | Self::LeftOut { name, .. }
            | Self::Denied { name, .. }
            | Self::Nul(name)
            | Self::Duplicate(name)
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

    /// The variables as `NAME=value:kind`, and the problems as one text.
    fn collected(secret: &str, rules: &Rules) -> (Vec<String>, String) {
        let object = Object::parse(secret.as_bytes()).unwrap();
        let (variables, problems) = collect(&object, rules, Carrier::Environment);
        let variables = variables.iter().map(|v| format!("{}={}:{}", v.name, v.value.expose(), v.kind)).collect();
        (variables, sentences(&problems).join("; "))
    }

    fn select(keys: &[(&str, &str)]) -> Vec<Selected> {
        keys.iter().map(|(key, name)| Selected { key: (*key).into(), name: (*name).into() }).collect()
    }

    #[test]
    fn every_type_becomes_its_text() {
        let secret = r#"{"S":"a b","N":1.50,"B":true,"Z":null,"O":{"b":[1, "\u003c"],"a":1e3},"A":[ ],"E":""}"#;
        let expected = [
            "S=a b:string",
            "N=1.50:number",
            "B=true:boolean",
            "Z=:null",
            "O={\"b\":[1,\"<\"],\"a\":1e3}:object",
            "A=[]:array",
            "E=:string",
        ];
        assert_eq!(collected(secret, &Rules::default()), (expected.map(str::to_owned).to_vec(), String::new()));
    }

    #[test]
    fn every_problem_is_found_and_named_in_one_pass() {
        let secret = r#"{"GOOD":"1","LD_PRELOAD":"x","a=b":"x","":"x","NUL":"x\u0000y","path":"x"}"#;
        let rules =
            Rules { required: vec!["GOOD".into(), "GONE".into(), "PATH".into(), "path".into()], ..Rules::default() };
        let (variables, problems) = collected(secret, &rules);
        assert_eq!(variables, ["GOOD=1:string"]);
        assert_eq!(
            problems,
            "denied: LD_PRELOAD, path (rename the key, or permit it with VAULT_ALLOW_NAMES); \
             no name for a variable: \"a=b\", \"\" (rename the key, or leave it out with VAULT_KEYS); \
             a NUL byte in: NUL (no variable can hold one; encode the value); \
             missing: GONE, PATH (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)"
        );
    }

    #[test]
    fn listed_keys_are_renamed_and_the_others_are_not_judged() {
        let secret = r#"{"db.url":"u","LD_PRELOAD":"x","k":"v"}"#;
        let rules = Rules {
            keys: Some(select(&[("k", "K"), ("db.url", "DB_URL"), ("none", "NONE")])),
            required: ["DB_URL", "D_URL", "k", "LD_PRELOAD"].map(Into::into).into(),
            allowed: Vec::new(),
        };
        let (variables, problems) = collected(secret, &rules);
        assert_eq!(variables, ["K=v:string", "DB_URL=u:string"]);
        assert_eq!(
            problems,
            "missing key: none (add it to the secret, or take it out of VAULT_KEYS); \
             left out by VAULT_KEYS: k, LD_PRELOAD (add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS); \
             missing: D_URL (did you mean DB_URL?) (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)"
        );
    }

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let name = || "A\nERROR \u{1b}[31m".to_owned();
        let missing = Problem::MissingKey { name: name(), near: Some(name()) };
        for problem in [Problem::Duplicate(name()), missing, Problem::BadName { name: name(), kind: "null" }] {
            let sentence = sentences(&[problem]).concat();
            assert!(sentence.contains(r"A\nERROR \u{1b}[31m"), "{sentence}");
        }
    }

    #[test]
    fn names_that_do_not_fit_into_a_message_are_counted_and_long_ones_are_cut() {
        let denied = |name| Problem::Denied { name, kind: "string" };
        let mut problems: Vec<_> = (0..1003).map(|n| Problem::Nul(format!("N{n}"))).collect();
        problems.extend((0..1003).map(|n| denied(format!("{n}{}", "X".repeat(1 << 16)))));
        problems.push(Problem::Conflict("C".into()));
        let said = sentences(&problems);
        assert!(said[0].ends_with(", N150 and 852 more (no variable can hold one; encode the value)"), "{}", said[0]);
        assert!(said[1].contains(&format!("denied: 0{}…, 1XX", "X".repeat(99))), "{}", said[1]);
        assert!(said[1].contains("… and 996 more (rename the key"), "{}", said[1]);
        assert!(said[2].starts_with("already in the environment: C (") && said.join("; ").len() < 3000, "{said:?}");
        let long = Problem::Nul("é".repeat(1 << 16));
        assert!(sentences(&[long])[0].starts_with(&format!("a NUL byte in: {}… (", "é".repeat(100))));
    }

    #[test]
    fn missing_keys_alone_are_told_from_bad_data() {
        let missing = Problem::MissingVariable { name: "A".into(), near: None };
        assert!(only_missing(&[missing.clone(), Problem::MissingKey { name: "a".into(), near: None }]));
        let left_out = Problem::LeftOut { name: "A".into(), kind: "string" };
        assert!(only_missing(&[missing.clone(), left_out]));
        assert!(!only_missing(&[missing, Problem::Nul("B".into())]));
    }
}
