//! The texts that the wrapper's own settings are written in: paths of secrets, lists of names and keys, an owner.

use crate::secrets::Selected;
use vault_client::settings::value::{is_quoted, segments};
use vault_client::text;

/// A KV path: [`segments`], and what other tools write behind it is told.
pub fn path(text: &str) -> Result<String, &'static str> {
    if text.contains('#') {
        return Err("names a key behind #; write the path alone, and the key in VAULT_KEYS");
    }
    if text.contains('?') {
        return Err("holds a query; write the path alone, and a version in VAULT_SECRET_VERSION");
    }
    segments(text)
}

/// Why an entry of a list of paths cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct PathFault<'a> {
    /// The entry; of one that is empty, the whole list.
    pub held: &'a str,
    /// What is wrong, and what to write.
    pub cause: &'static str,
}

/// More paths are a typing error, and take longer than a start may.
const MOST_PATHS: usize = 1000;

/// One path or several, comma-separated, each as [`path`]; `refused` says why an entry is no value of a setting at all.
///
/// # Errors
///
/// Every fault of every entry, an entry that stands there before included.
pub fn paths(text: &str, refused: impl Fn(&str) -> Option<&'static str>) -> Result<Vec<String>, Vec<PathFault<'_>>> {
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    let entries: Vec<_> = text.split(',').map(str::trim).collect();
    if entries.len() > MOST_PATHS {
        return Err(vec![PathFault { held: text, cause: "more than 1000 paths; write fewer" }]);
    }
    if text.contains(',') && entries.contains(&"") {
        faults.push(PathFault { held: text, cause: "a path in it is empty; take the comma beside it out" });
    }
    for held in entries.into_iter().filter(|held| !held.is_empty()) {
        match refused(held).map_or_else(|| path(held), Err) {
            Ok(path) if paths.contains(&path) => {
                faults.push(PathFault { held, cause: "named twice; name each path once" });
            }
            Ok(path) => paths.push(path),
            Err(cause) => faults.push(PathFault { held, cause }),
        }
    }
    if faults.is_empty() { Ok(paths) } else { Err(faults) }
}

/// What separates names in `text` that is not a comma: a name holds neither white space nor a semicolon.
pub fn separator(text: &str) -> Option<&'static str> {
    items(text).find_map(separator_in)
}

fn separator_in(item: &str) -> Option<&'static str> {
    if item.contains(['\n', '\r']) {
        Some("names in lines; separate them with commas")
    } else if item.contains(';') {
        Some("names separated by semicolons; write commas")
    } else if item.contains(|c: char| c.is_whitespace()) {
        Some("names separated by white space; write commas")
    } else if item.starts_with('[') || item.ends_with(']') || is_quoted(item) {
        Some("a list in brackets or quotes; write the names alone, separated by commas")
    } else {
        None
    }
}

/// The items of a comma-separated list.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `key` or `key:NAME`, comma-separated; no two may become the same variable.
pub fn keys(text: &str) -> Result<Vec<Selected>, String> {
    let mut selected: Vec<Selected> = Vec::new();
    for item in items(text) {
        // A key may hold anything: where it is renamed, nothing else can be meant.
        if item.matches(':').count() != 1
            && let Some(cause) = separator_in(item)
        {
            return Err(cause.into());
        }
        let (key, name) = item.rsplit_once(':').unwrap_or((item, item));
        let (key, name) = (key.trim(), name.trim());
        if key.is_empty() || name.is_empty() {
            return Err("a part of it is empty; write key or key:NAME, separated by commas".into());
        }
        if name.contains('=') || !name.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err("a name in it cannot be a variable's; write printable ASCII without =".into());
        }
        if selected.iter().any(|s| s.name == name) {
            return Err(format!("two keys become {}; give one of them another name", text::name(name)));
        }
        selected.push(Selected { key: key.to_owned(), name: name.to_owned() });
    }
    if selected.is_empty() {
        Err("no key in it; write key or key:NAME, separated by commas".into())
    } else {
        Ok(selected)
    }
}

/// `uid` or `uid:gid`. The largest number means "unchanged" to the kernel and names nobody.
pub fn owner(text: &str) -> Result<(u32, Option<u32>), &'static str> {
    const WRONG: &str = "not an owner; write numbers, uid or uid:gid";
    let number = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX).ok_or(WRONG);
    match text.split_once(':') {
        None => Ok((number(text)?, None)),
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_numbers_that_name_somebody() {
        for (text, read) in [
            ("1000", Some((1000, None))),
            ("0:65534", Some((0, Some(65534)))),
            ("app", None),
            ("1000:", None),
            (":1000", None),
            ("4294967295", None),
            ("0:4294967295", None),
            ("-1", None),
        ] {
            assert_eq!(owner(text).ok(), read, "{text}");
        }
    }

    #[test]
    fn a_path_tells_what_other_tools_write_behind_it() {
        for (text, read) in [
            ("/shop/prod/", Ok("shop/prod")),
            ("shop/prod#KEY", Err("names a key behind #; write the path alone, and the key in VAULT_KEYS")),
            ("shop/prod?version=2", Err("holds a query; write the path alone, and a version in VAULT_SECRET_VERSION")),
            ("a//b", Err("a part of it is empty, . or ..; write it without these")),
        ] {
            assert_eq!(path(text), read.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn several_paths_are_separated_by_commas_and_each_fault_is_told() {
        let refused = |text: &str| text.starts_with("vault:").then_some("another tool's");
        let empty = "a path in it is empty; take the comma beside it out";
        let twice = "named twice; name each path once";
        let key = "names a key behind #; write the path alone, and the key in VAULT_KEYS";
        for (text, read) in [
            ("shop/prod", Ok(&["shop/prod"][..])),
            (" /shop/prod/ ,shop/common,\n data/x", Ok(&["shop/prod", "shop/common", "data/x"])),
            ("a b;c", Ok(&["a b;c"])),
            ("a,,b", Err(&[("a,,b", empty)][..])),
            ("a,", Err(&[("a,", empty)])),
            (",", Err(&[(",", empty)])),
            ("a,,,b#K", Err(&[("a,,,b#K", empty), ("b#K", key)])),
            ("a, /a/", Err(&[("/a/", twice)])),
            ("a,b#K,vault:x,a", Err(&[("b#K", key), ("vault:x", "another tool's"), ("a", twice)])),
        ] {
            let read = read.map(|paths| paths.iter().map(|it| (*it).to_owned()).collect());
            let read = read.map_err(|faults| faults.iter().map(|&(held, cause)| PathFault { held, cause }).collect());
            assert_eq!(paths(text, refused), read, "{text}");
        }
    }

    #[test]
    fn names_are_separated_by_commas_alone() {
        for (text, good) in [
            ("A, B,\nC,,", true),
            ("A", true),
            ("A.b-c", true),
            ("A;B", false),
            ("A B", false),
            ("A\nB", false),
            ("[\"A\"]", false),
        ] {
            assert_eq!(separator(text).is_none(), good, "{text}");
        }
    }

    #[test]
    fn key_lists_rename_and_refuse_two_keys_for_one_variable() {
        let read =
            |text| keys(text).map(|s| s.iter().map(|s| format!("{}>{}", s.key, s.name)).collect::<Vec<_>>().join(" "));
        assert_eq!(read("a, b.c:D ,x:y:Z,"), Ok("a>a b.c>D x:y>Z".into()));
        assert_eq!(read("a:X,b:X"), Err("two keys become X; give one of them another name".into()));
        assert_eq!(read("my key:MY_KEY, a;b:AB,\nc"), Ok("my key>MY_KEY a;b>AB c>c".into()));
        for text in ["A;B", "A:X;B:Y", "A B", "A:X B:Y", "A\nB", "[\"A\",\"B\"]", "\"A\",\"B\""] {
            assert!(read(text).is_err_and(|cause| cause.contains("commas")), "{text}");
        }
        for text in [",", ":A", "a:", "a:B=C", "a:É"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
