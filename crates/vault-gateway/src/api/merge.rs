//! Merge patches, for which no number is rounded and no member moves.
//! [RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)

use std::collections::{HashMap, HashSet};

use vault_client::json::{Json, Object};
use zeroize::Zeroizing;

/// `target` with `patch` merged into it, as compact JSON.
pub fn merged(target: &Object, patch: &Object) -> Zeroizing<String> {
    // A buffer that grows would leave copies of the secret behind.
    let most = target.json().compact().len() + patch.json().compact().len() + 2;
    let mut out = Zeroizing::new(String::with_capacity(most));
    write(Some(target), patch, &mut out);
    out
}

fn write(target: Option<&Object>, patch: &Object, out: &mut String) {
    let old: Vec<_> = target.into_iter().flat_map(Object::iter).collect();
    let new: Vec<_> = patch.iter().collect();
    // Either may have many members: none is looked for one by one.
    let changes: HashMap<&str, &Json> = new.iter().map(|(key, change)| (&**key, change)).collect();
    let known: HashSet<&str> = old.iter().map(|(key, _)| &**key).collect();
    out.push('{');
    let start = out.len();
    for (key, value) in &old {
        match changes.get(&**key) {
            None => member(start, key, out, |out| out.push_str(&value.compact())),
            Some(change) if change.is_null() => {}
            Some(change) => member(start, key, out, |out| changed(Some(value), change, out)),
        }
    }
    for (key, change) in new.iter().filter(|(key, change)| !change.is_null() && !known.contains(&**key)) {
        member(start, key, out, |out| changed(None, change, out));
    }
    out.push('}');
}

fn changed(value: Option<&Json>, change: &Json, out: &mut String) {
    match change.object() {
        Some(patch) => write(value.and_then(Json::object).as_ref(), &patch, out),
        None => out.push_str(&change.compact()),
    }
}

fn member(start: usize, key: &str, out: &mut String, value: impl FnOnce(&mut String)) {
    if out.len() > start {
        out.push(',');
    }
    out.push_str(&serde_json::to_string(key).unwrap_or_default());
    out.push(':');
    value(out);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn merge(target: &str, patch: &str) -> String {
        let read = |text: &str| Object::parse(text.as_bytes()).unwrap();
        merged(&read(target), &read(patch)).to_string()
    }

    #[test]
    fn a_patch_is_merged_as_the_standards_examples_are() {
        for (target, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (
                r#"{"a":1.10,"b":12345678901234567890}"#,
                r#"{"c":1e400}"#,
                r#"{"a":1.10,"b":12345678901234567890,"c":1e400}"#,
            ),
            (r#"{"k\u0022":1}"#, r#"{"k\"":2,"é\n":[1, 2]}"#, r#"{"k\"":2,"é\n":[1,2]}"#),
            ("{}", "{}", "{}"),
        ] {
            assert_eq!(merge(target, patch), expected, "{target} {patch}");
        }
    }

    #[test]
    fn many_members_are_merged_without_a_search_for_each() {
        let object = |first: usize, after: usize, value: &str| {
            let members: Vec<_> = (first..after).map(|n| format!(r#""key {n}":{value}"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let begun = Instant::now();
        let merged = merge(&object(0, 40_000, "1"), &object(30_000, 70_000, "2"));
        assert!(merged == object(0, 30_000, "1").replace('}', ",") + &object(30_000, 70_000, "2")[1..]);
        // One by one it takes minutes.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
