use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;

/// A rule of tenant `t` for every caller, at every path.
fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        tenant: "t".to_owned(),
        issuer: None,
        claims: Vec::new(),
        paths: vec![Pattern::parse("**").unwrap()],
        allow: BTreeSet::new(),
        deny: BTreeSet::new(),
    }
}

fn wanting(claims: &[(&str, Value)]) -> Vec<(String, Wanted)> {
    claims.iter().map(|(name, value)| ((*name).to_owned(), Wanted::parse(value).unwrap())).collect()
}

fn claims(value: Value) -> Claims {
    let Value::Object(map) = value else { panic!("not an object: {value}") };
    Claims::new(map)
}

/// `allow NAME`, `deny NAME` or `deny`.
fn shown(decision: Decision<'_>) -> String {
    match decision {
        Decision::Allowed(rule) => format!("allow {}", rule.name),
        Decision::Denied(Some(rule)) => format!("deny {}", rule.name),
        Decision::Denied(None) => "deny".to_owned(),
    }
}

#[test]
fn the_first_deny_that_holds_beats_every_allow_and_nothing_is_allowed_by_itself() {
    let rules = Rules::new(vec![
        Rule { allow: [Action::Read, Action::List].into(), ..rule("all") },
        Rule { allow: [Action::Read].into(), ..rule("again") },
        Rule {
            claims: wanting(&[("roles", json!("guest")), ("grade", json!([1, 2]))]),
            paths: vec![Pattern::parse("vip/**").unwrap()],
            deny: [Action::Read].into(),
            ..rule("no guests")
        },
        Rule { issuer: Some("https://b".to_owned()), deny: [Action::List].into(), ..rule("not b") },
        Rule { tenant: "u".to_owned(), allow: Action::ALL.into(), ..rule("other") },
        Rule { allow: [Action::Write].into(), deny: [Action::Write].into(), ..rule("both") },
        Rule { paths: Vec::new(), allow: [Action::Renew, Action::Delete].into(), ..rule("renewer") },
    ]);
    let vip = SecretPath::of_canonical("vip/x").unwrap();
    let plain = SecretPath::of_canonical("x").unwrap();
    let (vip, plain) = (Target::Path(&vip), Target::Path(&plain));
    for (caller, tenant, target, action, expected) in [
        (json!({}), "t", plain, Action::Read, "allow all"),
        (json!({}), "t", plain, Action::History, "deny"),
        (json!({}), "t", plain, Action::Write, "deny both"),
        (json!({}), "u", plain, Action::Write, "allow other"),
        (json!({}), "v", plain, Action::Read, "deny"),
        (json!({"roles": "guest", "grade": 2}), "t", vip, Action::Read, "deny no guests"),
        (json!({"roles": "guest", "grade": 2}), "t", plain, Action::Read, "allow all"),
        (json!({"roles": "guest", "grade": 3}), "t", vip, Action::Read, "allow all"),
        (json!({"roles": "guest"}), "t", vip, Action::Read, "allow all"),
        (json!({"roles": {"guest": true}, "grade": 1}), "t", vip, Action::Read, "deny no guests"),
        (json!({"roles": null, "grade": "1"}), "t", vip, Action::Read, "deny no guests"),
        (json!({"roles": null, "grade": 3}), "t", vip, Action::Read, "allow all"),
        (json!({"iss": "https://b"}), "t", Target::Root, Action::List, "deny not b"),
        (json!({"iss": "https://a"}), "t", Target::Root, Action::List, "allow all"),
        (json!({}), "t", Target::Nothing, Action::Renew, "allow renewer"),
        (json!({}), "t", plain, Action::Renew, "allow renewer"),
        (json!({}), "t", plain, Action::Delete, "deny"),
        (json!({}), "t", Target::Nothing, Action::Read, "deny"),
    ] {
        let question = Question { claims: &claims(caller.clone()), tenant, target, action };
        assert_eq!(shown(rules.decide(&question)), expected, "{caller} {tenant} {target:?} {action:?}");
    }
}

#[test]
fn a_claim_that_cannot_be_compared_allows_nothing() {
    let rules =
        Rules::new(vec![Rule { claims: wanting(&[("n", json!(7))]), allow: [Action::Read].into(), ..rule("seven") }]);
    for (claim, expected) in
        [(json!(7), "allow seven"), (json!("7"), "deny"), (json!([[7]]), "deny"), (json!(null), "deny")]
    {
        let caller = claims(json!({"n": claim}));
        let question = Question { claims: &caller, tenant: "t", target: Target::Root, action: Action::Read };
        assert_eq!(shown(rules.decide(&question)), expected, "{claim}");
    }
}

#[test]
fn an_explanation_names_all_that_fails_and_no_value_of_the_caller() {
    let path = SecretPath::of_canonical("a/b").unwrap();
    let caller = claims(json!({"iss": "https://a", "roles": "TOPSECRET", "n": "TOPSECRET"}));
    let only = |claims| Rule { claims, allow: [Action::Read].into(), ..rule("r") };
    let rules = Rules::new(vec![
        Rule { tenant: "u".to_owned(), issuer: Some("https://b".to_owned()), ..rule("tenant") },
        Rule { issuer: Some("https://b".to_owned()), allow: [Action::Read].into(), ..rule("issuer") },
        only(wanting(&[("gone", json!(["x", 1])), ("roles", json!("reader")), ("iss", json!("https://a"))])),
        only(wanting(&[("n", json!(1))])),
        Rule {
            claims: wanting(&[("ref", json!("main"))]),
            paths: vec![Pattern::parse("a").unwrap(), Pattern::parse("c/**").unwrap()],
            allow: [Action::Write, Action::List].into(),
            deny: [Action::Destroy].into(),
            ..rule("much")
        },
        Rule { paths: Vec::new(), allow: [Action::Renew].into(), ..rule("renewer") },
        Rule { allow: [Action::Read].into(), ..rule("allow \"it\"") },
        Rule { claims: wanting(&[("n", json!(1))]), deny: [Action::Read].into(), ..rule("deny") },
    ]);
    let question = Question { claims: &caller, tenant: "t", target: Target::Path(&path), action: Action::Read };
    let explained: Vec<_> = rules.explain(&question).iter().map(ToString::to_string).collect();
    assert_eq!(
        explained,
        [
            r#"rule "tenant": the tenant is not u"#,
            r#"rule "issuer": the issuer is not https://b"#,
            r#"rule "r": the claim gone is absent, wanted is "x" or 1; the claim roles is not "reader""#,
            r#"rule "r": the claim n is of a type that cannot be compared with 1"#,
            r#"rule "much": the claim ref is absent, wanted is "main"; the path matches none of a, c/**; it allows write, list and denies destroy only"#,
            r#"rule "renewer": it has no paths; it allows renew only"#,
            r#"rule "allow \"it\"": allows it"#,
            r#"rule "deny": denies it"#,
        ]
    );
    assert_eq!(shown(rules.decide(&question)), "deny deny");
}

/// The rules once more, as plainly as they can be said: no index, no early end, all of them on plain JSON.
mod naive {
    use super::*;

    #[derive(Clone, Debug)]
    pub struct Plain {
        pub tenant: &'static str,
        pub issuer: Option<&'static str>,
        pub claims: Vec<(&'static str, Value)>,
        pub paths: Vec<String>,
        pub allow: Vec<Action>,
        pub deny: Vec<Action>,
    }

    /// Yes, no, or nobody can say.
    fn equal(a: &Value, b: &Value) -> Option<bool> {
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => Some((a.as_f64()? - b.as_f64()?).abs() < f64::EPSILON),
            (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => Some(a == b),
            _ => None,
        }
    }

    fn listed(value: &Value) -> Vec<Value> {
        value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
    }

    fn claim(name: &str, wanted: &Value, caller: &Value) -> Option<bool> {
        let Some(value) = caller.get(name) else { return Some(false) };
        let members = match value.as_str() {
            Some(text) if name == "scope" || name == "scp" => {
                text.split_ascii_whitespace().map(Value::from).collect::<Vec<_>>()
            }
            _ => listed(value),
        };
        let wanted = listed(wanted);
        if members.iter().any(|member| wanted.iter().any(|wanted| equal(wanted, member) == Some(true))) {
            return Some(true);
        }
        let all_comparable = members.iter().all(|member| wanted.iter().any(|wanted| equal(wanted, member).is_some()));
        all_comparable.then_some(false)
    }

    fn path(pattern: &[&str], at: &[&str]) -> bool {
        match (pattern, at) {
            (["**"], _) | ([], []) => true,
            ([first, pattern @ ..], [segment, rest @ ..]) => (*first == "*" || first == segment) && path(pattern, rest),
            _ => false,
        }
    }

    /// Allowed or not, and the rule that says so. `at`: `None` for no path, empty for the root.
    pub fn decide(
        rules: &[Plain],
        caller: &Value,
        tenant: &str,
        at: Option<&[&str]>,
        action: Action,
    ) -> (bool, Option<usize>) {
        let holds = |rule: &Plain, unknown: bool| {
            rule.tenant == tenant
                && rule.issuer.is_none_or(|issuer| caller["iss"] == issuer)
                && rule.claims.iter().all(|(name, wanted)| claim(name, wanted, caller).unwrap_or(unknown))
                && (action == Action::Renew
                    || at.is_some_and(|at| {
                        rule.paths.iter().any(|pattern| path(&pattern.split('/').collect::<Vec<_>>(), at))
                    }))
        };
        let denies = rules.iter().position(|rule| rule.deny.contains(&action) && holds(rule, true));
        let allows = rules.iter().position(|rule| rule.allow.contains(&action) && holds(rule, false));
        match (denies, allows) {
            (None, Some(place)) => (true, Some(place)),
            (denies, _) => (false, denies),
        }
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    select(vec![
        json!("a"),
        json!("b"),
        json!("a b"),
        json!(1),
        json!(1.0),
        json!(2),
        json!(0.5),
        json!(true),
        json!(false),
    ])
}

fn callers() -> impl Strategy<Value = Value> {
    let odd = select(vec![json!(null), json!({"a": "a"}), json!([["a"]]), json!([null]), json!([])]);
    let value =
        prop_oneof![3 => scalars(), 2 => prop::collection::vec(scalars(), 0..3).prop_map(Value::from), 1 => odd];
    let names = select(vec!["roles", "scope", "scp", "n"]);
    (prop::collection::hash_map(names, value, 0..4), select(vec!["x", "y"])).prop_map(|(found, issuer)| {
        let mut caller = json!({"iss": issuer});
        for (name, value) in found {
            caller[name] = value;
        }
        caller
    })
}

fn plain_rules() -> impl Strategy<Value = naive::Plain> {
    let wanted = prop_oneof![scalars(), prop::collection::vec(scalars(), 1..3).prop_map(Value::from)];
    let segments = select(vec!["a", "b", "*"]);
    let pattern = (prop::collection::vec(segments, 0..3), any::<bool>()).prop_map(|(mut pieces, open)| {
        pieces.extend((open || pieces.is_empty()).then_some("**"));
        pieces.join("/")
    });
    (
        select(vec!["t", "t", "u"]),
        select(vec![None, None, Some("x"), Some("y")]),
        prop::collection::vec((select(vec!["roles", "scope", "scp", "n"]), wanted), 0..3),
        prop::collection::vec(pattern, 0..3),
        subsequence(Action::ALL.to_vec(), 0..=9),
        subsequence(Action::ALL.to_vec(), 0..=3),
    )
        .prop_map(|(tenant, issuer, claims, paths, allow, deny)| naive::Plain {
            tenant,
            issuer,
            claims,
            paths,
            allow,
            deny,
        })
}

fn built(place: usize, plain: &naive::Plain) -> Rule {
    Rule {
        name: place.to_string(),
        tenant: plain.tenant.to_owned(),
        issuer: plain.issuer.map(str::to_owned),
        claims: wanting(&plain.claims),
        paths: plain.paths.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        allow: plain.allow.iter().copied().collect(),
        deny: plain.deny.iter().copied().collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_rules_decide_as_the_naive_model_does(
        plain in prop::collection::vec(plain_rules(), 0..6),
        caller in callers(),
        tenant in select(vec!["t", "u", "v"]),
        at in prop::option::weighted(0.9, prop::collection::vec(select(vec!["a", "b", "c"]), 0..4)),
        action in select(Action::ALL.to_vec()),
    ) {
        let rules = Rules::new(plain.iter().enumerate().map(|(place, plain)| built(place, plain)).collect());
        let path = at.as_ref().filter(|at| !at.is_empty()).map(|at| SecretPath::of_canonical(&at.join("/")).unwrap());
        let target = match (&at, &path) {
            (None, _) => Target::Nothing,
            (Some(_), None) => Target::Root,
            (Some(_), Some(path)) => Target::Path(path),
        };
        let known = claims(caller.clone());
        let question = Question { claims: &known, tenant, target, action };
        let decided = match rules.decide(&question) {
            Decision::Allowed(rule) => (true, rule.name.parse().ok()),
            Decision::Denied(rule) => (false, rule.and_then(|rule| rule.name.parse().ok())),
        };
        prop_assert_eq!(decided, naive::decide(&plain, &caller, tenant, at.as_deref(), action));
        let explained = rules.explain(&question);
        let said = |effect| explained.iter().position(|explained| explained.outcome == Outcome::Matched(effect));
        let denies = said(Effect::Deny);
        prop_assert_eq!(decided, (denies.is_none() && said(Effect::Allow).is_some(), denies.or_else(|| said(Effect::Allow))));
    }
}
