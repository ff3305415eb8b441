//! The key-value engines.

use serde_json::{Value, json};

use super::{Both, agree};

agree! {
    secrets_are_written_and_read,
    numbers_and_escapes_come_back_as_the_same_text,
    versions_are_deleted_and_destroyed,
    odd_paths_are_answered_alike,
    kv_version_1,
}

fn secrets_are_written_and_read(both: &mut Both) {
    both.get("kv/data/{n}/none");
    both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
    both.same("PUT", "kv/data/{n}/a", &json!({"data": {"A": "2"}, "options": {"cas": 1}}));
    both.post("kv/data/{n}/a", &json!({"data": {"A": "3"}, "options": {"cas": 1}}));
    both.post("kv/data/{n}/a", &json!({"A": "no data"}));
    both.post("kv/data/{n}/a", &json!({"data": "text"}));
    for version in ["", "?version=1", "?version=2", "?version=9", "?version=0", "?version=-1", "?version=x"] {
        both.get(&format!("kv/data/{{n}}/a{version}"));
    }
    both.get("kv/metadata/{n}/a");
    both.get("kv/metadata/{n}/none");
    both.same("LIST", "kv/metadata/{n}", &Value::Null);
    both.get("kv/metadata/{n}/?list=true");
    both.same("LIST", "kv/metadata/{n}/none", &Value::Null);
    both.post("kv/data/{n}/empty", &json!({"data": {}}));
    both.get("kv/data/{n}/empty");
    both.post("kv/data/{n}/null", &json!({"data": null}));
    both.get("kv/data/{n}/null");
}

fn numbers_and_escapes_come_back_as_the_same_text(both: &mut Both) {
    let data = r#"{"data":{"a":1.0,"b":1e21,"c":9007199254740993,"d":0.1,"e":1e-7,"f":-0.0,"g":123456.789e3,
        "h":"<&>\u2028\u0007é😀\"\\","i":true,"j":null,"k":{"z":[1,{}],"a":{}},"l":12345678901234567890,"m":1.5e-9,
        "":"","é":"ü"}}"#;
    both.same_text("POST", "kv/data/{n}/numbers", Some(data));
    let data = both.get("kv/data/{n}/numbers").map(|answer| {
        let start = answer.text.find(r#""data":{"data":"#).expect("an envelope") + 15;
        let end = answer.text.find(r#","metadata""#).expect("metadata");
        answer.text[start..end].to_owned()
    });
    assert_eq!(data[0], data[1]);
}

fn versions_are_deleted_and_destroyed(both: &mut Both) {
    for value in ["1", "2", "3"] {
        both.post("kv/data/{n}/a", &json!({"data": {"A": value}}));
    }
    both.same("DELETE", "kv/data/{n}/a", &Value::Null);
    both.get("kv/data/{n}/a");
    both.get("kv/data/{n}/a?version=2");
    both.post("kv/undelete/{n}/a", &json!({"versions": [3]}));
    both.get("kv/data/{n}/a");
    both.post("kv/delete/{n}/a", &json!({"versions": [1]}));
    both.post("kv/destroy/{n}/a", &json!({"versions": [1, 3]}));
    both.get("kv/data/{n}/a?version=1");
    both.get("kv/data/{n}/a");
    both.get("kv/metadata/{n}/a");
    both.post("kv/delete/{n}/a", &json!({}));
    both.post("kv/destroy/{n}/none", &json!({"versions": [1]}));
    both.same("DELETE", "kv/data/{n}/none", &Value::Null);
    both.same("DELETE", "kv/metadata/{n}/a", &Value::Null);
    both.get("kv/data/{n}/a");
    both.post("kv/metadata/{n}/tagged", &json!({"custom_metadata": {"owner": "team"}}));
    both.get("kv/data/{n}/tagged");
    both.post("kv/data/{n}/tagged", &json!({"data": {"A": "1"}}));
    both.get("kv/data/{n}/tagged");
}

fn odd_paths_are_answered_alike(both: &mut Both) {
    both.post("kv/data/{n}/a", &json!({"data": {"A": "1"}}));
    for path in [
        "kv/{n}/a",
        "kv/data/data/{n}/a",
        "kv/data/{n}",
        "kv/data/{n}/a/",
        "kv/data//{n}",
        "kv//data/{n}/a",
        "kv/data/{n}%2Fa",
        "kv/data/{n}/../x",
        "kv/data/{n}/./a",
        "kv/data/{n}%01",
        "kv/data/{n}%0a",
        "kv/data",
        "kv/data/",
        "kv",
        "kv/data/{n}/a+b",
        "kv/data/{n}/%C3%A9",
        "nomount/data/x",
        "nomount",
        "",
        "sys/nosuch",
    ] {
        both.get(path);
    }
    both.same_status("POST", "kv/data/{n}/a", &json!("no object"));
    let broken = both.send("POST", "kv/data/{n}/a", Some("{broken"));
    assert_eq!(broken.map(|answer| answer.status), [400, 400]);
}

fn kv_version_1(both: &mut Both) {
    both.post("kv1/{n}", &json!({"A": "1"}));
    for path in ["kv1/{n}", "kv1/data/{n}", "kv1/none", "kv1"] {
        both.get(path);
    }
    both.post("kv1/{n}", &json!({}));
    both.post("kv1/data/{n}", &json!({"data": {"A": "1"}}));
    both.get("kv1/data/{n}");
    both.same("DELETE", "kv1/{n}", &Value::Null);
    both.get("kv1/{n}");
}
