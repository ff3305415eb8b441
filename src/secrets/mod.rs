//! From the members of secrets to variables that are safe to set. Knows neither Vault nor where the variables go.

mod denied;
pub mod name;
mod near;
mod patterns;
mod problem;
pub mod reference;
pub mod rendered;
pub mod shell;

use std::borrow::Cow;

use name::Verdict;
use near::Near;
pub use problem::{MOST_BYTES, Problem, from, list, only_missing, sentences};
use vault_client::Secret;
use vault_client::json::{Json, Object};

/// What the settings ask of the secrets.
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
    /// A folder with a file for each. No reader takes a file's name for a variable's: none is denied.
    Folder,
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
    /// The places of the secrets that give it, where there are several.
    pub places: Vec<String>,
}

/// A secret that variables are made of.
pub struct Source<'a> {
    /// Where it stands, as problems name it where there are several.
    pub place: String,
    /// What was read there.
    pub members: Members<'a>,
}

/// What was read of a secret.
#[derive(Clone, Copy)]
pub enum Members<'a> {
    /// Its members.
    All(&'a Object),
    /// The dotted path of a key in it that stands twice; nothing else is known of it.
    Twice(&'a str),
    /// Nothing, which only a dry run goes on after.
    Unread,
}

impl<'a> Source<'a> {
    /// A secret that was read.
    pub fn read(place: impl Into<String>, members: &'a Object) -> Self {
        Self { place: place.into(), members: Members::All(members) }
    }

    fn members(&self) -> Option<&'a Object> {
        if let Members::All(members) = self.members { Some(members) } else { None }
    }
}

/// Makes variables of the members of all secrets, and finds everything that forbids it. Of several secrets the variables
/// are in the order of their names, and one that two of them give with different values is a problem. What is missing is
/// missing in all of them, and is told where all were read.
///
/// # Examples
///
/// ```
/// use vault_client::json::Object;
/// use vault_exec::secrets::{Carrier, Rules, Selected, Source, collect, sentences};
///
/// let shop = Object::parse(br#"{"db-url": "postgres://db/shop", "PORT": 8080, "LD_PRELOAD": "/x.so"}"#).unwrap();
/// let key = |key: &str, name: &str| Selected { key: key.into(), name: name.into() };
/// let rules = Rules { keys: Some(vec![key("db-url", "DATABASE_URL"), key("PORT", "PORT")]), ..Rules::default() };
///
/// let one = [Source::read("kv/shop", &shop)];
/// let (variables, problems) = collect(&one, &rules, Carrier::Environment);
/// let pairs: Vec<_> = variables.iter().map(|v| (v.name.as_str(), v.value.expose())).collect();
/// assert_eq!(pairs, [("DATABASE_URL", "postgres://db/shop"), ("PORT", "8080")]);
/// assert!(problems.is_empty());
///
/// let (_, problems) = collect(&one, &Rules::default(), Carrier::Environment);
/// let denied = "denied: LD_PRELOAD (rename the key, or permit it with VAULT_ALLOW_NAMES)";
/// assert_eq!(sentences(&problems), [denied]);
///
/// let common = Object::parse(br#"{"PORT": 80}"#).unwrap();
/// let two = [Source::read("kv/shop", &shop), Source::read("kv/common", &common)];
/// let (_, problems) = collect(&two, &rules, Carrier::Environment);
/// let clash = "different values: PORT of kv/shop and kv/common (write one value, or take it out of all but one)";
/// assert_eq!(sentences(&problems), [clash]);
/// ```
pub fn collect(sources: &[Source], rules: &Rules, carrier: Carrier) -> (Vec<Variable>, Vec<Problem>) {
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        let place = Some(source.place.clone()).filter(|_| sources.len() > 1);
        match source.members {
            Members::All(members) => take(members, place.as_ref(), rules, carrier, (&mut variables, &mut problems)),
            Members::Twice(key) => problems.push(Problem::Duplicate { name: key.to_owned(), place }),
            Members::Unread => {}
        }
    }
    if sources.len() > 1 {
        let (joined, clashes) = joined(variables);
        variables = joined;
        problems.extend(clashes);
    }
    let read: Vec<_> = sources.iter().filter_map(Source::members).collect();
    if read.len() == sources.len() {
        let absent = absent(&read, rules, &variables, &problems);
        problems.extend(absent);
    }
    (variables, problems)
}

/// Makes variables of the members of one secret.
fn take(
    secret: &Object,
    place: Option<&String>,
    rules: &Rules,
    carrier: Carrier,
    (variables, problems): (&mut Vec<Variable>, &mut Vec<Problem>),
) {
    let in_environment = carrier == Carrier::Environment;
    let mut take = |name: &str, value: &Json| {
        let (name, kind, place) = (name.to_owned(), value.kind(), place.cloned());
        let verdict = if carrier == Carrier::Folder { Verdict::Good } else { name::judge(&name, &rules.allowed) };
        match verdict {
            Verdict::Denied => problems.push(Problem::Denied { name, kind, place }),
            Verdict::Bad if in_environment => problems.push(Problem::BadName { name, kind, place }),
            Verdict::Good | Verdict::Bad => {
                let text = rendered::text(value);
                if in_environment && text.expose().contains('\0') {
                    problems.push(Problem::Nul { name, place });
                } else {
                    variables.push(Variable { name, kind, value: text, places: place.into_iter().collect() });
                }
            }
        }
    };
    match &rules.keys {
        None => secret.iter().for_each(|(key, value)| take(&key, &value)),
        Some(selected) => {
            for Selected { key, name } in selected {
                if let Some((_, value)) = secret.iter().find(|(k, _)| k == key) {
                    take(name, &value);
                }
            }
        }
    }
}

/// The variables of several secrets in the order of their names, each once. One whose values differ is a problem instead.
fn joined(mut variables: Vec<Variable>) -> (Vec<Variable>, Vec<Problem>) {
    // The places of a name stay in the order of the secrets.
    variables.sort_by(|one, other| one.name.cmp(&other.name));
    let (mut joined, mut clashes) = (Vec::new(), Vec::new());
    let mut variables = variables.into_iter().peekable();
    while let Some(mut first) = variables.next() {
        let mut differ = false;
        while let Some(other) = variables.next_if(|it| it.name == first.name) {
            differ |= other.value.expose() != first.value.expose();
            first.places.extend(other.places);
        }
        if differ {
            clashes.push(Problem::Clash { name: first.name, places: first.places });
        } else {
            joined.push(first);
        }
    }
    (joined, clashes)
}

/// What is missing in all `secrets`, beside the variables and problems that they gave.
fn absent(secrets: &[&Object], rules: &Rules, variables: &[Variable], problems: &[Problem]) -> Vec<Problem> {
    let members = || secrets.iter().flat_map(|secret| secret.iter());
    let mut absent = Vec::new();
    let mut near = None;
    for Selected { key, .. } in rules.keys.iter().flatten().filter(|it| !members().any(|(key, _)| key == it.key)) {
        let near: &mut Near = near.get_or_insert_with(|| Near::new(members().map(|(key, _)| key)));
        absent.push(Problem::MissingKey { name: key.clone(), near: near.to(key) });
    }
    // A variable that is there but cannot be set is reported for that alone.
    let judged = |problem: &Problem, name: &str| match problem {
        Problem::Denied { name: it, .. }
        | Problem::BadName { name: it, .. }
        | Problem::Nul { name: it, .. }
        | Problem::Clash { name: it, .. } => it == name,
        _ => false,
    };
    let come_about = |name: &str| variables.iter().any(|v| v.name == name) || problems.iter().any(|p| judged(p, name));
    let mut nowhere = Vec::new();
    for name in rules.required.iter().filter(|name| !come_about(name)) {
        match members().find(|(key, _): &(Cow<str>, _)| key == name) {
            Some((_, value)) => absent.push(Problem::LeftOut { name: name.clone(), kind: value.kind() }),
            None => nowhere.push(name.clone()),
        }
    }
    absent.extend(missing(&nowhere, variables.iter().map(|variable| variable.name.as_str())));
    absent
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables as `NAME=value:kind`, and the problems as one text.
    fn collected(secret: &str, rules: &Rules) -> (Vec<String>, String) {
        let object = Object::parse(secret.as_bytes()).unwrap();
        told(collect(&[Source::read("kv/one", &object)], rules, Carrier::Environment))
    }

    fn told((variables, problems): (Vec<Variable>, Vec<Problem>)) -> (Vec<String>, String) {
        let variables =
            variables.iter().map(|v| format!("{}={}:{}{}", v.name, v.value.expose(), v.kind, from(&v.places)));
        (variables.collect(), sentences(&problems).join("; "))
    }

    /// The same of several secrets, `kv/0` and so on; a text that is no object is the key in it that stands twice, and none
    /// at all was not read.
    fn collected_of(secrets: &[Option<&'static str>], rules: &Rules) -> (Vec<String>, String) {
        let parsed: Vec<_> = secrets.iter().map(|it| it.and_then(|it| Object::parse(it.as_bytes()).ok())).collect();
        let source = |(n, secret): (usize, Option<&'static str>)| Source {
            place: format!("kv/{n}"),
            members: match (&parsed[n], secret) {
                (Some(object), _) => Members::All(object),
                (None, Some(key)) => Members::Twice(key),
                (None, None) => Members::Unread,
            },
        };
        let sources: Vec<_> = secrets.iter().copied().enumerate().map(source).collect();
        told(collect(&sources, rules, Carrier::Environment))
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
    fn variables_of_several_secrets_are_sorted_and_equal_values_are_one() {
        let secrets = [r#"{"Z":"z","B":"1"}"#, r#"{"A":"a","B":1}"#, r#"{"B":"1","C":{"x":[]}}"#].map(Some);
        let wanted =
            ["A=a:string; from kv/1", "B=1:string; from kv/0, kv/1 and kv/2", "C={\"x\":[]}:object; from kv/2"];
        let wanted = [&wanted[..], &["Z=z:string; from kv/0"]].concat();
        assert_eq!(
            collected_of(&secrets, &Rules::default()),
            (wanted.into_iter().map(str::to_owned).collect(), String::new())
        );
    }

    #[test]
    fn different_values_are_told_with_all_who_give_the_variable_and_with_no_value() {
        let secrets = [r#"{"A":"one","B":"x","C":"c"}"#, r#"{"B":"x ","A":"two"}"#, r#"{"A":"one"}"#].map(Some);
        let rules = Rules { required: vec!["A".into(), "C".into()], ..Rules::default() };
        let said = "different values: A of kv/0, kv/1 and kv/2, B of kv/0 and kv/1 (write one value, or take it out of all \
                    but one)";
        assert_eq!(collected_of(&secrets, &rules), (vec!["C=c:string; from kv/0".to_owned()], said.to_owned()));
    }

    #[test]
    fn keys_and_new_names_are_for_all_secrets_and_a_key_is_missing_where_none_has_it() {
        let secrets = [r#"{"db.url":"u","only0":"0","rest":"x"}"#, r#"{"db.url":"v","only1":"1"}"#].map(Some);
        let rules = |keys: &[(&str, &str)], required: &[&str]| Rules {
            keys: Some(select(keys)),
            required: required.iter().map(|it| (*it).to_owned()).collect(),
            allowed: Vec::new(),
        };
        let found = collected_of(&secrets, &rules(&[("only1", "X"), ("only0", "Y")], &["X", "Y"]));
        assert_eq!(
            found,
            (["X=1:string; from kv/1", "Y=0:string; from kv/0"].map(str::to_owned).to_vec(), String::new())
        );
        let (variables, problems) =
            collected_of(&secrets, &rules(&[("db.url", "URL"), ("only2", "Z")], &["rest", "URL", "NONE"]));
        assert_eq!(variables, Vec::<String>::new());
        assert_eq!(
            problems,
            "different values: URL of kv/0 and kv/1 (write one value, or take it out of all but one); \
             missing key: only2 (did you mean only0?) (add it to the secret, or take it out of VAULT_KEYS); \
             left out by VAULT_KEYS: rest (add it to VAULT_KEYS, or take it out of VAULT_REQUIRED_KEYS); \
             missing: NONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)"
        );
    }

    #[test]
    fn of_several_secrets_each_problem_names_the_one_that_has_it() {
        let secrets = [
            Some(r#"{"LD_PRELOAD":"x","a=b":"x"}"#),
            Some(r#"{"LD_PRELOAD":"x","N":"\u0000","A":"a"}"#),
            Some("data.data.K"),
        ];
        let rules = Rules { required: vec!["GONE".into()], ..Rules::default() };
        // What is missing may be in the one that cannot be read.
        assert_eq!(
            collected_of(&secrets, &rules),
            (
                vec!["A=a:string; from kv/1".to_owned()],
                "denied: LD_PRELOAD of kv/0, LD_PRELOAD of kv/1 (rename the key, or permit it with VAULT_ALLOW_NAMES); \
                 no name for a variable: \"a=b\" of kv/0 (rename the key, or leave it out with VAULT_KEYS); \
                 a NUL byte in: N of kv/1 (no variable can hold one; encode the value); \
                 duplicate key: data.data.K of kv/2 (write the secret again with one of the two)"
                    .to_owned()
            )
        );
        let unread = [Some(r#"{"A":"a"}"#), None];
        assert_eq!(collected_of(&unread, &rules), (vec!["A=a:string; from kv/0".to_owned()], String::new()));
    }
}
