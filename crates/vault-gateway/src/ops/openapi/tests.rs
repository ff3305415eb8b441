use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;
use crate::path::SecretPath;
use crate::route::resolve;

fn parsed() -> Value {
    serde_json::from_str(document()).unwrap()
}

/// Path, method and operation of each.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// Calls `look` for each value of the document.
fn each<'a>(value: &'a Value, look: &mut impl FnMut(&'a Value)) {
    look(value);
    match value {
        Value::Array(elements) => elements.iter().for_each(|it| each(it, look)),
        Value::Object(members) => members.values().for_each(|it| each(it, look)),
        _ => {}
    }
}

#[test]
fn each_operation_is_a_route_and_each_route_has_its_operations() {
    let document = parsed();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    for (path, method, operation) in operations(&document) {
        let concrete = path.replace("{path}", "a/b").replace("{folder}", "a/b");
        let (route, _) = resolve(&method.to_uppercase(), &concrete).unwrap();
        assert!([route.pattern(), "/vault/list"].contains(&path), "{path}");
        found.push(format!("{method} {path} {route:?} {}", operation["operationId"].as_str().unwrap()));
    }
    found.sort();
    let expected = [
        "delete /vault/secrets/{path} Delete deleteSecret",
        "get /vault/list List listRoot",
        "get /vault/list/{folder} List listFolder",
        "get /vault/secrets/{path} Read readSecret",
        "get /vault/versions/{path} History readVersions",
        "head /vault/secrets/{path} Read headSecret",
        "patch /vault/secrets/{path} Patch patchSecret",
        "post /vault/token/renew Renew renewToken",
        "post /vault/versions/{path}/destroy Destroy destroyVersions",
        "post /vault/versions/{path}/rollback Rollback rollbackSecret",
        "post /vault/versions/{path}/undelete Undelete undeleteVersions",
        "put /vault/secrets/{path} Write writeSecret",
    ];
    assert_eq!(found, expected);
}

#[test]
fn each_operation_names_its_statuses() {
    let every = "401 403 405 429 431 500 502 503 504";
    let document = parsed();
    for (path, method, operation) in operations(&document) {
        let own = match operation["operationId"].as_str().unwrap() {
            "readSecret" | "headSecret" => "200 304 400 404 412",
            "writeSecret" => "200 201 400 409 412 413 415 422 428",
            "patchSecret" => "200 201 400 404 409 412 413 415 422",
            "deleteSecret" => "204 400 412",
            "readVersions" | "listRoot" | "listFolder" => "200 400 404",
            "rollbackSecret" => "200 201 400 404 409 412 413 415 422 428",
            "undeleteVersions" | "destroyVersions" => "204 400 413 415",
            _ => "200 400",
        };
        let expected: BTreeSet<&str> = own.split(' ').chain(every.split(' ')).collect();
        let found: BTreeSet<&str> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, expected, "{method} {path}");
        for part in ["summary", "description"] {
            assert!(operation[part].as_str().is_some_and(|it| !it.is_empty()), "{method} {path}: {part}");
        }
        let has_body = operation["responses"].to_string().contains("application/");
        assert_eq!(has_body, method != "head", "{method} {path}");
    }
}

#[test]
fn each_kind_of_problem_is_an_answer_of_some_operation() {
    let document = parsed();
    let mut texts = String::new();
    each(&document, &mut |value| {
        if let Some(text) = value.get("description").and_then(Value::as_str) {
            texts.push_str(text);
            texts.push('\n');
        }
    });
    for kind in Kind::ALL {
        assert!(texts.contains(&format!("- `{}`: ", kind.word())), "{}", kind.word());
        assert!(document["x-problems"].to_string().contains(&format!("\"urn:vault-gateway:{}\"", kind.word())));
    }
}

#[test]
fn each_reference_leads_somewhere_and_each_component_is_used() {
    let document = parsed();
    let mut references = BTreeSet::new();
    each(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            references.insert(reference.to_owned());
        }
    });
    let mut components = BTreeSet::new();
    for (kind, all) in document["components"].as_object().unwrap().iter().filter(|(kind, _)| *kind != "securitySchemes")
    {
        components.extend(all.as_object().unwrap().keys().map(|name| format!("#/components/{kind}/{name}")));
    }
    assert_eq!(references, components);
}

#[test]
fn each_example_is_what_its_schema_says() {
    let document = parsed();
    let mut count = 0;
    let mut check = |schema: &Value, example: &Value| {
        let whole = json!({"components": document["components"], "allOf": [schema]});
        let broken = jsonschema::validator_for(&whole).unwrap().iter_errors(example).map(|it| it.to_string()).next();
        assert_eq!(broken, None, "{schema} {example}");
        count += 1;
    };
    each(&document, &mut |value| {
        if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
            check(schema, example);
        }
        if let (Some(schema), Some(examples)) = (value.get("schema"), value.get("examples").and_then(Value::as_object))
        {
            examples.values().for_each(|it| check(schema, &it["value"]));
        }
        for example in value.get("examples").and_then(Value::as_array).into_iter().flatten() {
            check(value, example);
        }
    });
    assert!(count > 50, "{count}");
}

/// Whether a text matches the pattern of paths, and that of folders.
fn matches(text: &str) -> (bool, bool) {
    static SCHEMAS: LazyLock<[jsonschema::Validator; 2]> = LazyLock::new(|| {
        [parameters::path_pattern(), parameters::folder_pattern()]
            .map(|pattern| jsonschema::validator_for(&json!({"type": "string", "pattern": pattern})).unwrap())
    });
    let [path, folder] = &*SCHEMAS;
    (path.is_valid(&json!(text)), folder.is_valid(&json!(text)))
}

#[test]
fn the_patterns_of_paths_take_what_the_service_takes() {
    for (text, is_path, is_folder) in [
        ("a", true, true),
        ("a/", false, true),
        ("a//", false, false),
        ("/", false, false),
        ("", false, false),
        (".", false, false),
        ("..", false, false),
        ("a/..", false, false),
        ("../a", false, false),
        ("...", true, true),
        (".a", true, true),
        ("..a/a./a..", true, true),
        ("a/./b", false, false),
        ("é/ж/٣/Ⅷ/漢", true, true),
        ("a\u{301}", false, false),
        ("a\u{345}", true, true),
        ("a b", false, false),
        ("a\n", false, false),
        ("a\u{ad}", false, false),
        ("!\"$&'()+,-.:;<=>@[]^_`{|}~", true, true),
        ("a*", false, false),
    ] {
        assert_eq!(matches(text), (is_path, is_folder), "{text}");
    }
}

proptest! {
    #[test]
    fn a_path_matches_its_pattern_exactly_if_the_service_takes_it(
        text in prop_oneof![r"[./a%*é]{0,8}", r"\PC{0,6}", r"[\PC\p{Cc}\p{Cf}\p{Co}]"],
    ) {
        // Letters that are newer than the pattern's tables are left out: the service knows them, the pattern does not yet.
        let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let is_folder = matches!(SecretPath::parse_folder(&encoded), Ok(Some(_)));
        prop_assert_eq!(matches(&text), (SecretPath::parse(&encoded).is_ok(), is_folder));
    }
}

#[test]
fn each_member_of_a_body_says_what_it_is() {
    let document = parsed();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for (member, of) in schema["properties"].as_object().into_iter().flatten() {
            assert!(of["description"].is_string(), "{name} {member}");
        }
        let is_of_answers = !["Breach", "Problem", "Version"].contains(&name.as_str());
        assert_eq!(schema["examples"][0].is_object(), is_of_answers || name == "Breach", "{name}");
    }
}
