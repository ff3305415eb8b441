//! From a secret's members to variables that are safe to set. Knows neither Vault nor where the variables go.

pub mod name;
pub mod reference;
pub mod value;

use std::fmt;

use crate::json::{Json, Object};
use crate::secret::Secret;
use crate::text::escaped;
use name::Verdict;

/// More names are counted and not listed: who writes the secret must not fill the log.
const MOST_NAMES: usize = 1000;

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
    MissingKey(String),
    /// `VAULT_REQUIRED_KEYS` names a variable that does not come about.
    MissingVariable(String),
    /// A key that no variable can be named after.
    BadName(String),
    /// A name that could get code run or trust changed in the application.
    Denied(String),
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
/// use vault_exec::json::Object;
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
        Verdict::Denied => problems.push(Problem::Denied(name.to_owned())),
        Verdict::Bad if in_environment => problems.push(Problem::BadName(name.to_owned())),
        Verdict::Good | Verdict::Bad => {
            let text = value::text(value);
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
            for Selected { key, name } in selected {
                match secret.iter().find(|(k, _)| k == key) {
                    Some((_, value)) => take(name, &value),
                    None => missing.push(Problem::MissingKey(key.clone())),
                }
            }
            problems.extend(missing);
        }
    }
    let judged =
        |p: &Problem, name: &str| matches!(p, Problem::Denied(n) | Problem::Nul(n) | Problem::BadName(n) if n == name);
    for name in &rules.required {
        // A variable that is there but cannot be set is reported for that alone.
        if !variables.iter().any(|v| v.name == *name) && !problems.iter().any(|p| judged(p, name)) {
            problems.push(Problem::MissingVariable(name.clone()));
        }
    }
    (variables, problems)
}

/// Whether nothing is wrong but that something is missing.
pub fn only_missing(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| matches!(problem, Problem::MissingKey(_) | Problem::MissingVariable(_)))
}

/// One sentence for each kind of problem, with every name it concerns.
pub fn sentences(problems: &[Problem]) -> Vec<String> {
    let mut sentences: Vec<(Problem, Vec<String>)> = Vec::new();
    for problem in problems {
        let same =
            |(first, _): &&mut (Problem, Vec<String>)| std::mem::discriminant(first) == std::mem::discriminant(problem);
        match sentences.iter_mut().find(same) {
            Some((_, names)) => names.push(problem.to_string()),
            None => sentences.push((problem.clone(), vec![problem.to_string()])),
        }
    }
    let list = |names: &[String]| match names.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => format!("{} and {more} more", names[..MOST_NAMES].join(", ")),
        _ => names.join(", "),
    };
    sentences.iter().map(|(kind, names)| kind.sentence(&list(names))).collect()
}

impl Problem {
    /// The problem in a word or two, for a table.
    pub fn state(&self) -> &'static str {
        match self {
            Self::MissingKey(_) | Self::MissingVariable(_) => "missing",
            Self::BadName(_) => "no name for a variable",
            Self::Denied(_) => "denied",
            Self::Nul(_) => "a NUL byte in the value",
            Self::Duplicate(_) => "duplicate key",
            Self::Conflict(_) => "conflict",
            Self::Format { .. } => "not carried by the format",
            Self::TooLong { .. } | Self::TooLongInAll { .. } => "too long",
        }
    }

    /// The sentence for `names`, all of which have this kind of problem.
    fn sentence(&self, names: &str) -> String {
        let (what, remedy) = match self {
            Self::MissingKey(_) => ("missing key", "add it to the secret, or take it out of VAULT_KEYS"),
            Self::MissingVariable(_) => ("missing", "add it to the secret, or take it out of VAULT_REQUIRED_KEYS"),
            Self::BadName(_) => ("no name for a variable", "rename the key, or leave it out with VAULT_KEYS"),
            Self::Denied(_) => ("denied", "rename the key, or permit it with VAULT_ALLOW_NAMES"),
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
            Self::BadName(name) => write!(f, "\"{}\"", name.escape_debug()),
            Self::MissingKey(name)
            | Self::MissingVariable(name)
            | Self::Denied(name)
            | Self::Nul(name)
            | Self::Duplicate(name)
            | Self::Conflict(name)
            | Self::Format { name, .. } => f.write_str(&escaped(name)),
            Self::TooLong { name, bytes } => write!(f, "{name} ({bytes} bytes)"),
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
            required: vec!["DB_URL".into(), "k".into()],
            allowed: Vec::new(),
        };
        let (variables, problems) = collected(secret, &rules);
        assert_eq!(variables, ["K=v:string", "DB_URL=u:string"]);
        assert_eq!(
            problems,
            "missing key: none (add it to the secret, or take it out of VAULT_KEYS); \
             missing: k (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)"
        );
    }

    #[test]
    fn a_name_cannot_begin_a_line_of_its_own() {
        let name = || "A\nERROR \u{1b}[31m".to_owned();
        for problem in [Problem::Duplicate(name()), Problem::MissingKey(name()), Problem::BadName(name())] {
            let sentence = sentences(&[problem]).concat();
            assert!(sentence.contains(r"A\nERROR \u{1b}[31m"), "{sentence}");
        }
    }

    #[test]
    fn a_thousand_names_are_listed_and_the_rest_is_counted() {
        let problems: Vec<_> = (0..1003).map(|n| Problem::Nul(format!("N{n}"))).collect();
        let said = sentences(&problems).join("");
        assert!(said.contains(", N999 and 3 more (no variable can hold one") && !said.contains("N1000"), "{said}");
    }

    #[test]
    fn missing_keys_alone_are_told_from_bad_data() {
        let missing = Problem::MissingVariable("A".into());
        assert!(only_missing(&[missing.clone(), Problem::MissingKey("a".into())]));
        assert!(!only_missing(&[missing, Problem::Nul("B".into())]));
    }
}
