use serde_json::json;

use super::*;
use crate::rules::{Pattern, Wanted};

#[test]
fn faults_of_rules() {
    let rules = r#"
[[rule]]
name = "a"
tenant = "team-b"
issuer = "https://idp.exampel"
claim = { roles = { x = "y" }, born = 1979-05-27, nested = [["x"]], none = [], "/a~" = 1, nan = nan }
paths = ["a/**/b", "*x", 5, "ok/*"]
allow = ["read", "raed", "write"]
deny = ["write"]
[[rule]]
name = "a"
tenant = "team-a"
claim = { roles = "x" }
everyone = true
paths = []
allow = ["read", "write"]
deny = ["write"]
[[rule]]
tenant = "team-a"
claim = { roles = "x" }
allow = ["read", "renew"]
[[rule]]
name = "rule 3"
tenant = "team-a"
claim = "x"
allow = ["renew"]
where = "x"
[[rule]]
tenant = "team-a"
everyone = true
allow = ["renew"]
[[rule]]
tenant = "team-a"
everyone = true
deny = ["destroy"]
paths = ["**"]
"#;
    let no_value = "write a text, a number, true or false, or a list of these";
    let pattern = |text: &str| Pattern::parse(text).err().unwrap();
    let wanted = |value| Wanted::parse(&value).err().unwrap();
    assert_eq!(
        faults(&least(rules), &[]),
        [
            r#"[[rule]] "a" name: is there twice; write another one"#,
            r#"[[rule]] "rule 3" name: is there twice; write another one"#,
            r#"[[rule]] "a" tenant: "team-b" is no tenant; write one of team-a, or add [[tenant]] with this name"#,
            r#"[[rule]] "a" issuer: "https://idp.exampel" is no issuer; write https://idp.example"#,
            r#"[[rule]] "a" claim./a~: "/a~" is no JSON Pointer; write ~0 for ~ and ~1 for / inside a name"#,
            &format!(r#"[[rule]] "a" claim.born: is nothing that a claim can be; {no_value}"#),
            &format!(r#"[[rule]] "a" claim.nan: is nothing that a claim can be; {no_value}"#),
            &format!(r#"[[rule]] "a" claim.nested: is nothing that a claim can be; {}"#, wanted(json!([["x"]]))),
            &format!(r#"[[rule]] "a" claim.none: is nothing that a claim can be; {}"#, wanted(json!([]))),
            r#"[[rule]] "a" claim.roles: is a table; write a claim inside another as a JSON Pointer in quotes: "/outer/inner""#,
            r#"[[rule]] "a" allow: "raed" is no action; write read"#,
            &format!(r#"[[rule]] "a" paths: "a/**/b" cannot be used; {}"#, pattern("a/**/b")),
            &format!(r#"[[rule]] "a" paths: "*x" cannot be used; {}"#, pattern("*x")),
            r#"[[rule]] "a" paths: is a whole number; write a text in quotes"#,
            r#"[[rule]] "a" everyone: is true beside a claim; remove one of the two"#,
            r#"[[rule]] "a" deny: write is allowed by the same rule; remove it from one of the two"#,
            r#"[[rule]] "a" paths: is an empty list; write at least one element"#,
            r#"[[rule]] 3 paths: is missing; write the paths that it is about, ["**"] for all"#,
            r#"[[rule]] "rule 3" claim: is a text; write a table"#,
            r#"[[rule]] "rule 3" where: is an unknown key; remove it; the keys here are name, tenant, issuer, claim, everyone, allow, deny, paths"#,
        ]
    );
}

#[test]
fn a_word_that_is_no_action_and_a_switch_that_is_none_hide_no_other_fault() {
    let rules = r#"
[[rule]]
tenant = "team-a"
claim = { roles = { x = "y" } }
everyone = 1
allow = ["raed"]
"#;
    assert_eq!(
        faults(&least(rules), &[]),
        [
            "[[rule]] 1 everyone: is a whole number; write true or false without quotes",
            r#"[[rule]] 1 claim.roles: is a table; write a claim inside another as a JSON Pointer in quotes: "/outer/inner""#,
            r#"[[rule]] 1 allow: "raed" is no action; write read"#,
            r#"[[rule]] 1 paths: is missing; write the paths that it is about, ["**"] for all"#,
        ]
    );
}

#[test]
fn a_path_of_a_policy_is_no_pattern() {
    let more = r#"
[[tenant]]
name = "team-b"
mount = "b/kv"
role = "b"
[[rule]]
tenant = "team-a"
everyone = true
paths = ["kv/data/team-a/**", "kv/metadata/x", "data/x", "kv/x", "kv/data", "b/kv/data/x", "kv/database/x"]
allow = ["read"]
[[schema]]
tenant = "team-b"
paths = ["kv/data/x", "b/kv/data/*"]
max_keys = 1
[[schema]]
paths = ["kv/data/x"]
max_keys = 1
"#;
    let line = |place: &str, text: &str, part: &str| {
        format!("{place} paths: \"{text}\" is a path of a policy; leave mount and data/ out: write it without {part}")
    };
    assert_eq!(
        faults(&least(&format!("role = \"a\"{more}")), &[]),
        [
            line("[[rule]] 1", "kv/data/team-a/**", "kv/data/"),
            line("[[rule]] 1", "kv/metadata/x", "kv/metadata/"),
            line("[[schema]] 1", "b/kv/data/*", "b/kv/data/"),
            line("[[schema]] 2", "kv/data/x", "kv/data/"),
        ]
    );
}

#[test]
fn faults_of_schemas() {
    let schemas = r#"
[[schema]]
[[schema]]
tenant = "team-x"
paths = ["**"]
file = "nope.schema.json"
max_keys = 0
[[schema]]
paths = ["**"]
file = "broken.schema.json"
max_value_byte = 1
"#;
    assert_eq!(
        faults(&least(schemas), &[]),
        [
            r#"[[schema]] 1 paths: is missing; write the paths that it is about, ["**"] for all"#,
            "[[schema]] 1 file: is missing, and max_keys and max_value_bytes too; write one of them",
            r#"[[schema]] "nope.schema.json" tenant: "team-x" is no tenant; write one of team-a, or add [[tenant]] with this name"#,
            r#"[[schema]] "nope.schema.json" file: the file FOLDER/nope.schema.json is missing; put it there, or name another one"#,
            r#"[[schema]] "nope.schema.json" max_keys: 0 is too small; write a whole number from 1 to 1073741824"#,
            r#"[[schema]] "broken.schema.json" file: the schema FOLDER/broken.schema.json refers to "other.json", which is not in the file; repair the file"#,
            r#"[[schema]] "broken.schema.json" max_value_byte: is an unknown key; write max_value_bytes"#,
        ]
    );
}
