use std::fs;

use serde_json::json;

use super::*;

fn rule(tenant: Option<&str>, paths: &[&str], schema: Option<&Value>, structure: Structure) -> SchemaRule {
    SchemaRule {
        tenant: tenant.map(str::to_owned),
        paths: paths.iter().map(|path| Pattern::parse(path).ok().unwrap()).collect(),
        schema: schema.map(|schema| build(schema).unwrap()),
        structure,
    }
}

fn broken(rules: &[SchemaRule], defaults: Structure, path: &str, body: &str) -> Vec<String> {
    let path = SecretPath::of_canonical(path).unwrap();
    let breaches = check(rules, &defaults, "team-a", &path, body);
    breaches.into_iter().map(|breach| format!("{} {}", breach.pointer, breach.keyword)).collect()
}

fn limited(max_keys: usize, max_value_bytes: usize) -> Structure {
    Structure { max_keys, max_value_bytes }
}

#[test]
fn each_place_that_breaks_a_schema_is_named_with_its_keyword_and_without_its_value() {
    let schema = json!({
        "type": "object",
        "properties": {
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "hosts": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "uniqueItems": true},
            "a/b~c": {"const": "fixed"},
            "mode": {"enum": ["on", "off"]},
            "inner": {"$ref": "#/$defs/inner"},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["port"],
        "additionalProperties": false,
        "propertyNames": {"maxLength": 10},
        "$defs": {"inner": {"properties": {"x": false}, "dependentRequired": {"y": ["z"]}}},
    });
    let rules = [rule(None, &["**"], Some(&schema), Structure::default())];
    for (body, places) in [
        (json!({"port": 1}), &[][..]),
        (json!({"port": 1, "hosts": ["a"], "a/b~c": "fixed", "mode": "on", "either": null}), &[]),
        (json!({}), &[" required"]),
        (json!({"port": "hunter2"}), &["/port type"]),
        (json!({"port": 0}), &["/port minimum"]),
        (
            json!({"port": 1, "hosts": ["hunter2", "hunter2"]}),
            &["/hosts/0 pattern", "/hosts/1 pattern", "/hosts uniqueItems"],
        ),
        (json!({"port": 1, "a/b~c": "hunter2", "mode": "hunter2"}), &["/a~1b~0c const", "/mode enum"]),
        (json!({"port": 1, "inner": {"x": "hunter2"}}), &["/inner/x falseSchema"]),
        (json!({"port": 1, "inner": {"y": "hunter2"}}), &["/inner required"]),
        (json!({"port": 1, "either": 5}), &["/either anyOf"]),
        (json!({"port": 1, "other": "hunter2"}), &[" additionalProperties"]),
    ] {
        let mut found = broken(&rules, Structure::default(), "a", &body.to_string());
        let mut places: Vec<String> = places.iter().map(|place| (*place).to_owned()).collect();
        found.sort();
        places.sort();
        assert_eq!(found, places, "{body}");
    }
}

#[test]
fn the_strictest_limits_of_the_rules_of_a_place_hold_else_the_defaults() {
    let rules = [
        rule(None, &["wide"], None, limited(4, 100)),
        rule(None, &["a", "b/*"], None, limited(1, 8)),
        rule(None, &["b/**"], None, limited(2, 4)),
        rule(Some("team-b"), &["**"], None, limited(1, 1)),
    ];
    let defaults = limited(2, 6);
    for (path, body, places) in [
        ("other", r#"{"a":"1234","b":1}"#, &[][..]),
        ("other", r#"{"a":"12345","b":1}"#, &["/a max_value_bytes"]),
        ("other", r#"{"a":1,"b":1,"c":[1,2,3]}"#, &[" max_keys", "/c max_value_bytes"]),
        ("wide", r#"{"a":1,"b":1,"c":[1,2,3]}"#, &[]),
        ("a", r#"{"a":"123456","b":1}"#, &[" max_keys"]),
        ("b/x", r#"{"a":1,"b":"123"}"#, &[" max_keys", "/b max_value_bytes"]),
        ("b", r#"{"a":1,"b":"12"}"#, &[]),
        ("b", r#"{"~/":{"":""},"b":"12"}"#, &["/~0~1 max_value_bytes"]),
        ("b", "{}", &[]),
    ] {
        assert_eq!(broken(&rules, defaults, path, body), places, "{path} {body}");
    }
}

#[test]
fn every_schema_of_a_place_is_held_and_no_breach_is_named_twice() {
    let text = json!({"additionalProperties": {"type": "string"}});
    let short = json!({"additionalProperties": {"type": "string", "maxLength": 1}});
    let rules = [
        rule(Some("team-a"), &["a/*"], Some(&text), Structure::default()),
        rule(None, &["a/b"], Some(&short), Structure::default()),
        rule(Some("team-b"), &["**"], Some(&json!(false)).filter(|_| false), Structure::default()),
    ];
    assert_eq!(broken(&rules, Structure::default(), "a/b", r#"{"x":1,"y":"long"}"#), ["/x type", "/y maxLength"]);
    assert_eq!(broken(&rules, Structure::default(), "a/c", r#"{"x":1,"y":"long"}"#), ["/x type"]);
    assert_eq!(broken(&rules, Structure::default(), "a", r#"{"x":1,"y":"long"}"#), [""; 0]);
}

#[test]
fn a_refusal_names_twenty_places_at_most_and_no_endless_ones() {
    let schema = json!({"additionalProperties": {"additionalProperties": {"type": "string"}}});
    let rules = [rule(None, &["**"], Some(&schema), limited(10, 1 << 20))];
    let many: serde_json::Map<String, Value> = (0..30).map(|n| (format!("k{n}"), json!(1))).collect();
    let found = broken(&rules, Structure::default(), "a", &json!({"x": many}).to_string());
    assert_eq!(found.len(), 20, "{found:?}");
    let long = "k".repeat(2000);
    let found = broken(&rules, Structure::default(), "a", &json!({"x": {long: 1}}).to_string());
    assert_eq!(found, ["/x type"]);
}

#[test]
fn what_a_schema_cannot_be_held_against_is_a_breach() {
    let rules = [rule(None, &["**"], Some(&json!({})), Structure::default())];
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for body in [deep.as_str(), r#"{"a":1e999}"#, r#"{"a":1,"a":2}"#, "[]", "{"] {
        assert_eq!(broken(&rules, Structure::default(), "a", body), [" unreadable"], "{body}");
    }
}

#[test]
fn a_schema_is_read_from_its_file_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let path = folder.path().join("schema.json");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        compile(&path).err().map(|causes| causes.join("\n").replace(path.to_str().unwrap(), "FILE"))
    };
    let here = format!("file://{}/other.json", folder.path().to_str().unwrap());
    for text in [
        "{}",
        r##"{"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}"##,
        r##"{"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "definitions": {"a": {}}}"##,
        r#"{"$ref": "https://a.example/b", "$defs": {"b": {"$id": "https://a.example/b", "type": "object"}}}"#,
        r##"{"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}"##,
    ] {
        assert_eq!(refused(text), None, "{text}");
    }
    for (text, cause) in [
        (r#"{"$ref": "https://a.example/b"}"#, r#"refers to "https://a.example/b", which is not in the file"#),
        (r#"{"$ref": "other.json"}"#, r#"refers to "other.json", which is not in the file"#),
        (&format!("{{\"$ref\": \"{here}\"}}"), &format!("refers to \"{here}\", which is not in the file")),
        (
            r#"{"$defs": {"unused": {"$ref": "https://a.example/b"}}}"#,
            r#"refers to "https://a.example/b", which is not in the file"#,
        ),
        (r##"{"$ref": "#/$defs/a"}"##, r#"refers to "/$defs/a", where nothing is"#),
        (r##"{"$ref": "#a"}"##, r#"refers to the anchor "a", which it does not have"#),
        (r#"{"$schema": "https://a.example/draft"}"#, r#"has an unknown $schema: "https://a.example/draft""#),
        (
            r#"{"properties": {"a": {"type": "strin"}}}"#,
            r#"is no JSON Schema: "/properties/a/type" breaks the keyword anyOf"#,
        ),
        (r#"{"pattern": "("}"#, r#"is no JSON Schema: "/pattern" breaks the keyword format"#),
        ("true", "is no JSON object"),
        ("{", "is no JSON from line 1, column 1 on"),
    ] {
        assert_eq!(refused(text), Some(format!("the schema FILE {cause}")), "{text}");
    }
    let many = r##"{
        "properties": {"a": {"type": "strin"}, "b": {"$ref": "other.json"}, "c": {"minLength": -1}, "d": {"$ref": "#"}},
        "default": {"$ref": "value.json"}
    }"##;
    let lines = [
        r#"is no JSON Schema: "/properties/a/type" breaks the keyword anyOf"#,
        r#"is no JSON Schema: "/properties/c/minLength" breaks the keyword minimum"#,
        r#"refers to "other.json", which is not in the file"#,
    ];
    assert_eq!(refused(many), Some(lines.map(|line| format!("the schema FILE {line}")).join("\n")));
    fs::remove_file(&path).unwrap();
    let missing = compile(&path).err().map(|causes| causes.join("\n").replace(path.to_str().unwrap(), "FILE"));
    assert_eq!(missing.as_deref(), Some("the schema FILE cannot be read: entity not found"));
}

#[test]
fn the_draft_is_that_of_the_schema_and_2020_12_by_default() {
    // The keyword is one of 2020-12 and unknown to draft 7.
    let body = r#"{"a":[1]}"#;
    let items = |draft: Option<&str>| {
        let mut schema = json!({"properties": {"a": {"prefixItems": [{"type": "string"}]}}});
        if let Some(draft) = draft {
            schema["$schema"] = json!(draft);
        }
        let rules = [rule(None, &["**"], Some(&schema), Structure::default())];
        broken(&rules, Structure::default(), "a", body)
    };
    assert_eq!(items(None), ["/a/0 type"]);
    assert_eq!(items(Some("https://json-schema.org/draft/2020-12/schema")), ["/a/0 type"]);
    assert_eq!(items(Some("http://json-schema.org/draft-07/schema#")), [""; 0]);
}

#[test]
fn nothing_is_left_of_a_wiped_value() {
    let mut value = json!({"a": "hunter2", "b": ["hunter2", {"c": "hunter2"}], "d": 1});
    wipe(&mut value);
    assert_eq!(value, Value::Null);
}

#[test]
fn a_patch_with_more_members_than_there_may_be_keys_is_refused_and_nulls_do_not_count() {
    let rules = [rule(None, &["few"], None, limited(2, 10))];
    for (path, patch, expected) in [
        ("few", r#"{"a":1,"b":{"c":1,"d":2,"e":3}}"#, &[][..]),
        ("few", r#"{"a":1,"b":2,"c":3}"#, &[" max_keys"]),
        ("few", r#"{"a":1,"b":null,"c":3,"d":null}"#, &[]),
        ("other", r#"{"a":1,"b":2,"c":3}"#, &[]),
        ("other", r#"{"a":1,"b":2,"c":3,"d":4}"#, &[" max_keys"]),
    ] {
        let (place, change) = (SecretPath::of_canonical(path).unwrap(), Object::parse(patch.as_bytes()).unwrap());
        let found = check_patch(&rules, &limited(3, 10), "team-a", &place, &change);
        let found: Vec<_> = found.into_iter().map(|breach| format!("{} {}", breach.pointer, breach.keyword)).collect();
        assert_eq!(found, expected, "{path} {patch}");
    }
}
