//! Secrets, from JSON to the bytes of an env file.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use super::{VALUE, hides, is_one_line};
use crate::secrets::shell::special_to;
use crate::secrets::{self, Carrier, Problem, Rules, Source, Variable, name, rendered};
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::folder::Named;
use crate::sink::format::{Content, Format};
use vault_client::json::Object;

/// Each member of a secret becomes a variable or a problem; each format writes the variables exactly when it carries
/// every one of them, in the same bytes whatever their order; and no message shows a value.
pub fn formats(document: &[u8]) {
    let Ok(secret) = Object::parse(document) else { return };
    let hidden: &[&str] = if secret.iter().any(|(key, _)| key.contains(VALUE)) { &[] } else { &[VALUE] };
    let presentable = |messages: Vec<String>| {
        for message in messages {
            is_one_line(&message);
            hides(hidden, &message);
        }
    };
    let collected = |carrier| {
        let (variables, problems) = secrets::collect(&[Source::read("kv", &secret)], &Rules::default(), carrier);
        assert_eq!(variables.len() + problems.len(), secret.iter().count());
        presentable(secrets::sentences(&problems));
        variables
    };
    let for_command = collected(Carrier::Environment);
    assert!(for_command.iter().all(|v| !v.value.expose().contains('\0') && !v.name.contains(['\0', '='])));
    // No name is denied to a folder.
    let for_folder = collected(Carrier::Folder);
    assert_eq!(for_folder.len(), secret.iter().count());
    rendered(Format::Dir, &for_folder, presentable);
    let variables = collected(Carrier::File);
    for variable in &variables {
        presentable(vec![name::masked(&variable.name)]);
        let (_, member) = secret.iter().find(|(key, _)| *key == variable.name).expect("a variable is named as its key");
        if matches!(member.kind(), "object" | "array") {
            keeps_its_text(variable.value.expose());
        }
    }
    for format in Format::ALL {
        rendered(format, &variables, presentable);
    }
}

/// Compact JSON is JSON, and as compact as it gets.
fn keeps_its_text(text: &str) {
    let document = format!("{{\"\":{text}}}");
    let again = Object::parse(document.as_bytes()).expect("compact JSON is JSON");
    for (_, member) in again.iter() {
        assert_eq!(rendered::text(&member).expose(), text);
    }
}

fn rendered(format: Format, variables: &[Variable], presentable: impl Fn(Vec<String>)) {
    let file = EnvFile { place: Place::File("/secrets".into()), format, mode: 0o600, owner: None };
    let mut pairs: Vec<_> = variables.iter().map(|v| (v.name.as_str(), v.value.expose())).collect();
    let refused = pairs.iter().filter(|(name, value)| format.check(name, value).is_err()).count();
    match file.render(variables) {
        Ok(content) => {
            assert_eq!(refused, 0);
            pairs.reverse();
            assert!(format.render(&pairs).is_ok_and(|again| again == content), "{format}: the order shows");
            let bytes = match content {
                Content::File(bytes) => bytes,
                Content::Folder(files) => return holds(&files, pairs),
            };
            assert!(bytes.last().is_none_or(|last| *last == b'\n'));
            let means_something = |(name, _): &(&str, &str)| special_to(name).is_some();
            assert!(format != Format::Sh || !pairs.iter().any(means_something), "a shell has a use for one of them");
            match format {
                Format::Json => {
                    let read: BTreeMap<String, String> = serde_json::from_slice(&bytes).expect("JSON is JSON");
                    let written = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
                    assert_eq!(read, written.collect());
                }
                Format::Docker => {
                    let text = std::str::from_utf8(&bytes).expect("text makes text");
                    let read =
                        text.split_terminator('\n').filter_map(|line| line.split_once('=')).collect::<BTreeMap<_, _>>();
                    assert_eq!(read, pairs.into_iter().collect());
                }
                _ => {}
            }
        }
        Err(problems) => {
            assert_eq!(problems.len(), refused);
            assert!(problems.iter().all(|problem| matches!(problem, Problem::Format { .. })));
            presentable(secrets::sentences(&problems));
        }
    }
}

/// A folder has a file for each variable, of its name and its bytes, and none with a name that is the folder's own.
fn holds(files: &[Named], mut pairs: Vec<(&str, &str)>) {
    pairs.sort_unstable();
    let files: Vec<_> = files.iter().map(|file| (file.name.as_str(), &**file.content)).collect();
    assert!(files.iter().copied().eq(pairs.iter().map(|(name, value)| (*name, value.as_bytes()))));
    let is_a_name = |name: &str| Path::new(name).components().eq([Component::Normal(name.as_ref())]);
    assert!(files.iter().all(|(name, _)| is_a_name(name) && !name.starts_with("..") && name.len() < 256));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secrets::shell::special_names;

    fn member() -> impl Strategy<Value = serde_json::Value> {
        let text = prop_oneof![
            "[\n\r\t '\"`\\\\$#{}()=a\u{1b}\u{2028}\u{feff}\u{fffe}\u{0}]{0,8}",
            any::<String>(),
            Just(VALUE.to_owned()),
        ];
        let leaf = prop_oneof![
            4 => text.prop_map(Into::into),
            1 => any::<f64>().prop_map(Into::into),
            1 => any::<bool>().prop_map(Into::into),
            1 => Just(().into()),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..3)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Keys as hostile as values.
    fn key() -> impl Strategy<Value = String> {
        let special: Vec<_> = special_names().map(str::to_owned).collect();
        prop_oneof![
            "[A-Z_]{1,4}|PATH|[a-z.=\n\u{1b} é]{0,4}",
            "(\n|x\r)?[ \t]?(LD_PRELOAD|path|GIT_TOKEN|__proto__)[=\u{0} \n\u{a0}]?[a-z'\"$`\\\\]{0,2}",
            prop::sample::select(special),
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn formats_hold_for_secrets_of_every_shape(
            members in prop::collection::btree_map(key(), member(), 0..6),
        ) {
            formats(&serde_json::to_vec(&members).unwrap());
        }
    }
}
