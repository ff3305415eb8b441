//! Each verb of KV version 2, and what the server answers that misleads.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use vault_client::{Cas, ErrorKind, Kv, KvData, MetadataOptions, VaultError};

use crate::support::with_corner;

fn text<'a>(data: &'a KvData, key: &str) -> Option<&'a str> {
    data.text(key)
}

/// Kind, status and version of an error.
fn outline<T: std::fmt::Debug>(result: Result<T, VaultError>) -> (ErrorKind, Option<u16>, Option<u64>) {
    let error = result.expect_err("an error");
    (error.kind(), error.status(), error.version())
}

/// A mount with two versions at `a`.
fn two_versions(kv: &Kv) {
    for (version, value) in [(1, "one"), (2, "two")] {
        assert_eq!(kv.write("a", &json!({"K": value}), Cas::Any).unwrap().version, version);
    }
}

#[test]
fn what_is_written_is_read_and_each_version_stays() {
    with_corner("what_is_written_is_read_and_each_version_stays", |corner| {
        let kv = corner.client().kv(&corner.name);
        two_versions(&kv);
        let latest = kv.read("a").unwrap();
        assert_eq!((text(&latest, "K"), latest.metadata.version), (Some("two"), 2));
        assert!(latest.request_id.as_ref().is_some_and(|id| id.len() == 36), "{:?}", latest.request_id);
        let first = kv.read_version("a", 1).unwrap();
        assert_eq!((text(&first, "K"), first.metadata.version), (Some("one"), 1));
        assert_eq!(outline(kv.read_version("a", 7)), (ErrorKind::NotFound, Some(404), None));
        assert_eq!(outline(kv.read("b")), (ErrorKind::NotFound, Some(404), None));
    });
}

#[test]
fn check_and_set_refuses_what_goes_on_top_of_another_version_and_names_it() {
    with_corner("check_and_set_refuses_what_goes_on_top_of_another_version_and_names_it", |corner| {
        let kv = corner.client().kv(&corner.name);
        assert_eq!(kv.write("a", &json!({"K": "one"}), Cas::New).unwrap().version, 1);
        assert_eq!(outline(kv.write("a", &json!({}), Cas::New)), (ErrorKind::Conflict, Some(400), Some(1)));
        assert_eq!(kv.write("a", &json!({"K": "two"}), Cas::At(1)).unwrap().version, 2);
        assert_eq!(outline(kv.write("a", &json!({}), Cas::At(1))), (ErrorKind::Conflict, Some(400), Some(2)));
        assert_eq!(outline(kv.patch("a", &json!({"K": 1}), Cas::At(1))), (ErrorKind::Conflict, Some(400), Some(2)));
        // A deleted version counts as written.
        kv.delete("a").unwrap();
        assert_eq!(outline(kv.write("a", &json!({}), Cas::New)), (ErrorKind::Conflict, Some(400), Some(2)));
        let cas = MetadataOptions { cas_required: Some(true), ..MetadataOptions::default() };
        kv.set_metadata("a", &cas).unwrap();
        assert_eq!(outline(kv.write("a", &json!({}), Cas::Any)), (ErrorKind::Rejected, Some(400), None));
    });
}

#[test]
fn a_patch_merges_and_needs_something_to_merge_into() {
    with_corner("a_patch_merges_and_needs_something_to_merge_into", |corner| {
        let kv = corner.client().kv(&corner.name);
        kv.write("a", &json!({"K": "one", "L": "stays", "M": "goes"}), Cas::Any).unwrap();
        assert_eq!(kv.patch("a", &json!({"K": "two", "M": null}), Cas::At(1)).unwrap().version, 2);
        let read = kv.read("a").unwrap();
        assert_eq!(
            read.parse::<BTreeMap<String, String>>().unwrap(),
            BTreeMap::from([("K".into(), "two".into()), ("L".into(), "stays".into())])
        );
        assert_eq!(outline(kv.patch("absent", &json!({"K": 1}), Cas::Any)), (ErrorKind::NotFound, Some(404), None));
        kv.delete("a").unwrap();
        assert_eq!(outline(kv.patch("a", &json!({"K": 1}), Cas::Any)).0, ErrorKind::NotFound);
        corner.server.must("POST", &format!("{}/data/null", corner.name), &json!({"data": null}));
        assert_eq!(outline(kv.patch("null", &json!({"K": 1}), Cas::Any)).0, ErrorKind::NotFound);
    });
}

#[test]
fn versions_are_deleted_brought_back_and_destroyed() {
    with_corner("versions_are_deleted_brought_back_and_destroyed", |corner| {
        let kv = corner.client().kv(&corner.name);
        two_versions(&kv);
        kv.delete("a").unwrap();
        let deleted = kv.read("a").unwrap_err();
        assert!(deleted.request_id().is_some_and(|id| id.len() == 36), "{deleted:?}");
        assert_eq!(outline::<()>(Err(deleted)), (ErrorKind::NotFound, Some(404), Some(2)));
        kv.undelete("a", &[2]).unwrap();
        assert_eq!(text(&kv.read("a").unwrap(), "K"), Some("two"));
        kv.delete_versions("a", &[1]).unwrap();
        assert_eq!(outline(kv.read_version("a", 1)), (ErrorKind::NotFound, Some(404), Some(1)));
        kv.destroy("a", &[1]).unwrap();
        kv.undelete("a", &[1]).unwrap();
        let error = kv.read_version("a", 1).unwrap_err();
        assert!(error.to_string().ends_with("version 1 was destroyed"), "{error}");
        // What is not there is no error, and no version at all is one.
        for done in [kv.delete("absent"), kv.undelete("absent", &[1]), kv.destroy("absent", &[1])] {
            done.unwrap();
        }
        assert_eq!(outline(kv.destroy("a", &[])), (ErrorKind::Rejected, Some(400), None));
    });
}

#[test]
fn a_rollback_writes_an_older_version_again_byte_for_byte() {
    with_corner("a_rollback_writes_an_older_version_again_byte_for_byte", |corner| {
        let kv = corner.client().kv(&corner.name);
        kv.write("a", &json!({"K": "one", "deep": {"n": 1.10, "list": [1, "é\n"]}}), Cas::Any).unwrap();
        kv.write("a", &json!({"K": "two"}), Cas::Any).unwrap();
        assert_eq!(kv.rollback("a", 1).unwrap().version, 3);
        let [first, third] = [1, 3].map(|version| kv.read_version("a", version).unwrap());
        assert_eq!(first.parse::<serde_json::Value>().unwrap(), third.parse::<serde_json::Value>().unwrap());
        // On top of a deleted one too; not of one that is gone.
        kv.delete("a").unwrap();
        assert_eq!(kv.rollback("a", 2).unwrap().version, 4);
        assert_eq!(outline(kv.rollback_if("a", 2, Cas::At(1))), (ErrorKind::Conflict, Some(400), Some(4)));
        kv.destroy("a", &[1]).unwrap();
        assert_eq!(outline(kv.rollback("a", 1)), (ErrorKind::NotFound, Some(404), Some(1)));
    });
}

#[test]
fn metadata_is_read_changed_and_deleted_with_all_versions() {
    with_corner("metadata_is_read_changed_and_deleted_with_all_versions", |corner| {
        let kv = corner.client().kv(&corner.name);
        two_versions(&kv);
        kv.destroy("a", &[1]).unwrap();
        let options = MetadataOptions {
            max_versions: Some(5),
            delete_version_after: Some(Duration::from_secs(3600)),
            custom_metadata: Some(BTreeMap::from([("owner".into(), "shop".into())])),
            ..MetadataOptions::default()
        };
        kv.set_metadata("a", &options).unwrap();
        let metadata = kv.metadata("a").unwrap();
        assert_eq!((metadata.current_version, metadata.max_versions, metadata.cas_required), (2, 5, false));
        assert_eq!(metadata.delete_version_after, Duration::from_secs(3600));
        assert_eq!(metadata.custom_metadata, options.custom_metadata.unwrap());
        let versions: Vec<_> = metadata.versions.iter().map(|it| (it.version, it.destroyed)).collect();
        assert_eq!(versions, [(1, true), (2, false)]);
        assert!(metadata.updated_time >= metadata.created_time);
        // Metadata can stand alone.
        kv.set_metadata("bare", &MetadataOptions { max_versions: Some(2), ..MetadataOptions::default() }).unwrap();
        assert_eq!(kv.metadata("bare").unwrap().versions, []);
        assert_eq!(outline(kv.read("bare")).0, ErrorKind::NotFound);
        kv.delete_all("a").unwrap();
        assert_eq!(outline(kv.metadata("a")), (ErrorKind::NotFound, Some(404), None));
        assert_eq!(kv.write("a", &json!({"K": 1}), Cas::New).unwrap().version, 1);
        let many = (0..65).map(|n| (n.to_string(), "x".into())).collect();
        let too_many = MetadataOptions { custom_metadata: Some(many), ..MetadataOptions::default() };
        assert_eq!(outline(kv.set_metadata("a", &too_many)), (ErrorKind::Rejected, Some(400), None));
    });
}

#[test]
fn folders_are_listed_whole_and_in_pages() {
    with_corner("folders_are_listed_whole_and_in_pages", |corner| {
        let kv = corner.client().kv(&corner.name);
        for path in ["s", "s/deep", "b", "c d"] {
            kv.write(path, &json!({}), Cas::Any).unwrap();
        }
        // The kit has left `ready`.
        assert_eq!(kv.list("").unwrap(), ["b", "c d", "ready", "s", "s/"]);
        assert_eq!(kv.list("s").unwrap(), ["deep"]);
        assert_eq!(kv.list("s/").unwrap(), ["deep"]);
        assert_eq!(kv.list_page("", None, 2).unwrap(), ["b", "c d"]);
        assert_eq!(kv.list_page("", Some("c d"), 2).unwrap(), ["ready", "s"]);
        assert_eq!(outline(kv.list("b")), (ErrorKind::NotFound, Some(404), None));
        assert_eq!(outline(kv.list("absent")), (ErrorKind::NotFound, Some(404), None));
    });
}

#[test]
fn the_configuration_of_the_mount_is_read() {
    with_corner("the_configuration_of_the_mount_is_read", |corner| {
        corner.server.must(
            "POST",
            &format!("{}/config", corner.name),
            &json!({"max_versions": 3, "delete_version_after": "90s"}),
        );
        let config = corner.client().kv(&corner.name).config().unwrap();
        assert_eq!(
            (config.max_versions, config.cas_required, config.delete_version_after),
            (3, false, Duration::from_secs(90))
        );
    });
}

#[test]
fn what_is_no_kv_version_2_is_told_by_each_verb() {
    with_corner("what_is_no_kv_version_2_is_told_by_each_verb", |corner| {
        let rules =
            "path \"kv1/*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\"] }";
        corner.server.write_policy("", &corner.name, rules);
        let kv = corner.client().kv("kv1");
        let path = &corner.name;
        // The server would take each of them, and store what it says as a secret of its own.
        let refused = [
            kv.write(path, &json!({"K": 1}), Cas::Any).map(drop),
            kv.delete(path),
            kv.delete_versions(path, &[1]),
            kv.undelete(path, &[1]),
            kv.destroy(path, &[1]),
            kv.set_metadata(path, &MetadataOptions::default()),
            kv.delete_all(path),
        ];
        for refused in refused {
            assert_eq!(outline(refused), (ErrorKind::Rejected, None, None));
        }
        assert_eq!(outline(kv.patch(path, &json!({"K": 1}), Cas::Any)).0, ErrorKind::Rejected);
        assert_eq!(outline(kv.read(path)).0, ErrorKind::Rejected);
        let zero = corner.client().kv(&corner.name);
        for refused in
            [zero.read_version("a", 0).map(drop), zero.rollback("a", 0).map(drop), zero.destroy("a", &[1, 0])]
        {
            assert_eq!(outline(refused), (ErrorKind::Rejected, None, None));
        }
        let absent = corner.client().kv("absent");
        assert_eq!(outline(absent.read("a")).0, ErrorKind::Denied);
    });
}

#[test]
fn every_path_that_the_server_takes_is_written_read_and_listed() {
    with_corner("every_path_that_the_server_takes_is_written_read_and_listed", |corner| {
        let kv = corner.client().kv(&corner.name);
        for path in [
            "a b",
            "p%c",
            "%2e%2e",
            "a+b",
            "q?x=1",
            "h#x",
            "ü/é",
            "emoji-\u{1f512}",
            "quote'\"",
            "a\\b",
            "a;b",
            "a&b=c",
            "...",
            "data/x",
            "metadata",
            "{x}",
            "a:b@c",
            "~",
        ] {
            let value = format!("value of {path}");
            kv.write(path, &json!({"K": value}), Cas::New).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(text(&kv.read(path).unwrap(), "K"), Some(value.as_str()), "{path}");
            assert_eq!(kv.metadata(path).unwrap().current_version, 1, "{path}");
        }
        for path in ["", "a//b", "../x", "a/./b", "a\nb", "a\u{0}b", "a\u{7f}"] {
            assert_eq!(outline(kv.read(path)), (ErrorKind::Rejected, None, None), "{path:?}");
            assert_eq!(outline(kv.write(path, &json!({}), Cas::Any)), (ErrorKind::Rejected, None, None), "{path:?}");
        }
    });
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Database {
    user: String,
    port: u16,
    password: String,
}

#[derive(Debug, serde::Deserialize)]
struct Wrong {
    #[expect(dead_code, reason = "the test is about its type")]
    password: u16,
}

#[derive(Debug, serde::Deserialize)]
struct Missing {
    #[expect(dead_code, reason = "the test is about its type")]
    host: String,
}

#[test]
fn values_are_taken_apart_on_purpose_and_shown_nowhere() {
    with_corner("values_are_taken_apart_on_purpose_and_shown_nowhere", |corner| {
        let kv = corner.client().kv(&corner.name);
        kv.write("a", &json!({"user": "shop", "port": 5432, "password": "hunter2-hunter2"}), Cas::Any).unwrap();
        let data = kv.read("a").unwrap();
        let expected = Database { user: "shop".into(), port: 5432, password: "hunter2-hunter2".into() };
        assert_eq!(data.parse::<Database>().unwrap(), expected);
        assert_eq!((data.text("user"), data.text("port"), data.text("absent")), (Some("shop"), None, None));
        assert_eq!(data.data.keys().collect::<Vec<_>>(), ["password", "port", "user"]);
        assert_eq!(data.data.get("port").map(|port| port.json().expose().to_owned()), Some("5432".into()));
        let wrong = data.parse::<Wrong>().unwrap_err();
        let missing = data.parse::<Missing>().unwrap_err();
        assert_eq!((wrong.kind(), missing.kind()), (ErrorKind::Shape, ErrorKind::Shape));
        assert!(missing.to_string().ends_with("the key \"host\" is missing"), "{missing}");
        let shown = format!("{data:?} {wrong:?} {wrong} {missing:?}");
        for secret in ["hunter2", "5432", "shop\""] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    });
}

#[test]
fn what_is_too_large_or_no_object_is_refused() {
    with_corner("what_is_too_large_or_no_object_is_refused", |corner| {
        let kv = corner.client().kv(&corner.name);
        for kind in [outline(kv.write("a", &"text", Cas::Any)), outline(kv.write("a", &[1, 2], Cas::Any))] {
            assert_eq!(kind, (ErrorKind::Shape, None, None));
        }
        let huge = BTreeMap::from([("K", "x".repeat(33 << 20))]);
        assert_eq!(outline(kv.write("a", &huge, Cas::Any)).0, ErrorKind::Rejected);
    });
}
