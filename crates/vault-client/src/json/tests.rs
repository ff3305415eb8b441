//! What is read, what is refused, and that neither depends on depth or size.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

fn compact(document: &str) -> Result<String, Malformed> {
    Object::parse(document.as_bytes()).map(|object| object.0.compact().to_string())
}

#[test]
fn order_and_numbers_come_out_as_they_came_in() {
    let document = r#" {"z" : [ 1.0, 1e999, -0, 12345678901234567890 ], "a" : {"\u003cb>": null, "": [] }, "t":true} "#;
    let expected = r#"{"z":[1.0,1e999,-0,12345678901234567890],"a":{"<b>":null,"":[]},"t":true}"#;
    assert_eq!(compact(document), Ok(expected.into()));
}

#[test]
fn a_member_is_found_and_read_as_what_it_is() {
    let object = Object::parse(br#"{"deep":[[{"s":"x"}],{}],"s":"\u0041\n","n":7,"t":true,"l":["a",1,"b"],"no":null}"#);
    let object = object.unwrap();
    let kinds: Vec<_> = object.iter().map(|(key, value)| format!("{key}:{}", value.kind())).collect();
    assert_eq!(kinds, ["deep:array", "s:string", "n:number", "t:boolean", "l:array", "no:null"]);
    assert_eq!(object.string("s").unwrap().as_str(), "A\n");
    assert_eq!((object.number("n"), object.number("none"), object.bool("t")), (Ok(7), Ok(0), Ok(true)));
    assert_eq!(object.strings("l").iter().map(|text| text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(object.get("no").is_none() && object.has("no") && !object.has("none"));
    let leaves: Vec<_> = object.0.leaves().map(|leaf| leaf.to_string()).collect();
    assert_eq!(leaves, ["x", "A\n", "7", "a", "1", "b"]);
}

#[test]
fn what_is_no_plain_object_is_refused_without_quoting_it() {
    let duplicate = |names: &[&str]| Malformed::Duplicate(names.iter().map(ToString::to_string).collect());
    let syntax = |cut_short, line, column| Malformed::Syntax { cut_short, line, column };
    for (document, fault) in [
        (r#"{"a":1,"a":2}"#, duplicate(&["a"])),
        (r#"{"data":{"data":{"k":1,"\u006b":2}}}"#, duplicate(&["data", "data", "k"])),
        (r#"{"data":{"data":{"k":[{"x":{"y":1,"y":2}}]}}}"#, duplicate(&["data", "data", "k"])),
        ("[true,false]", Malformed::Shape { member: String::new(), expected: "an object" }),
        ("{\"a\":\n 1", syntax(true, 2, 3)),
        ("{\"a\":nope}", syntax(false, 1, 7)),
        ("{\"a\":1}x", syntax(false, 1, 8)),
        ("{\"a\":1,}", syntax(false, 1, 8)),
        ("{\"a\":[1,]}", syntax(false, 1, 9)),
        ("{\"a\":[1}", syntax(false, 1, 8)),
        ("{\"a\" 1}", syntax(false, 1, 6)),
        ("{\"a\":01}", syntax(false, 1, 7)),
        ("{\"a\":1.}", syntax(false, 1, 8)),
        ("{\"a\":\"\n\"}", syntax(false, 1, 7)),
        (r#"{"a":"\x"}"#, syntax(false, 1, 8)),
        (r#"{"a":"\u00g0"}"#, syntax(false, 1, 11)),
        ("{", syntax(true, 1, 2)),
        ("", syntax(true, 1, 1)),
        (r#"{"a":"\ud800"}"#, Malformed::Text),
    ] {
        assert_eq!(compact(document), Err(fault), "{document}");
    }
    assert_eq!(Object::parse(b"{\"a\":\"\xff\"}").err(), Some(Malformed::Text));
}

#[test]
fn depth_is_no_fault_and_costs_no_stack() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let document = format!("{{\"a\":{}}}", nested(50_000));
    assert_eq!(compact(&document), Ok(document));
    assert_eq!(
        compact(&format!("{{\"a\":{}", "[".repeat(1000))),
        Err(Malformed::Syntax { cut_short: true, line: 1, column: 1006 })
    );
}

#[test]
fn a_document_of_too_many_values_is_refused_as_soon_as_they_are_counted() {
    // The document itself, a key and its array are nodes too.
    let document = |zeroes: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(zeroes - 1));
    assert!(compact(&document(MAX_NODES - 3)).is_ok());
    assert_eq!(compact(&document(MAX_NODES - 2)), Err(Malformed::TooMany));
    assert_eq!(compact(&format!("{{\"a\":{}", "[".repeat(8 << 20))), Err(Malformed::TooMany));
}

#[test]
fn whoever_has_no_time_left_is_not_kept_waiting() {
    let bytes: Bytes = Arc::new(Zeroizing::new(format!("{{\"a\":[{}0]}}", "0,".repeat(50_000)).into_bytes()));
    let asked = Cell::new(0);
    let read = Object::read(&bytes, || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    });
    assert_eq!((read.err(), asked.get()), (Some(Malformed::Interrupted), 3));
}

/// Documents that are JSON, or nearly.
fn documents() -> impl Strategy<Value = String> {
    let token = prop::sample::select(
        &[
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"b\\n\"",
            "\"\\ud83d\\ude00\"",
            "1",
            "-0.5e+3",
            "01",
            "true",
            "null",
            " ",
            "\n",
            "\"",
            "\\",
        ][..],
    );
    let json = any::<u64>().prop_map(|seed| {
        let value = match seed % 5 {
            0 => serde_json::json!({"a": {"b": [seed, "x\u{1}\"é", null, {"c": []}]}}),
            1 => serde_json::json!({"": {}, "d": [[], [[]], true]}),
            2 => serde_json::json!({"n": [-1, 1.5, 1e300]}),
            3 => serde_json::json!([seed]),
            _ => serde_json::json!({"\u{10ffff}": "\u{2028}"}),
        };
        value.to_string()
    });
    prop_oneof![prop::collection::vec(token, 0..12).prop_map(|tokens| format!("{{\"k\":{}", tokens.concat())), json]
}

proptest! {
    #[test]
    fn what_serde_json_reads_is_read_alike_and_nothing_else_is(document in documents(), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let document = if whole { document.as_str() } else { document.get(..cut.index(document.len() + 1)).unwrap_or_default() };
        let theirs = serde_json::from_str::<serde_json::Value>(document);
        match compact(document) {
            Ok(ours) => prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours).unwrap(), theirs.unwrap()),
            Err(Malformed::Duplicate(_)) => {}
            Err(Malformed::Shape { .. }) => prop_assert!(!theirs.unwrap().is_object()),
            Err(_) => prop_assert!(theirs.is_err(), "{}", document),
        }
    }
}
