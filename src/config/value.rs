//! The texts that settings are written in: durations, booleans, names in paths, key lists.

use std::time::Duration;

use crate::secrets::Selected;
use vault_client::text::{self, escaped};

/// Longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// `30` (seconds), `30s`, `500ms`, `1m30s`, `1.5s`, `2h`; not zero.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = duration_or_zero(text)?;
    if duration.is_zero() { Err("zero; write a duration such as 500ms, 30s or 1m30s") } else { Ok(duration) }
}

/// The same, zero included.
pub fn duration_or_zero(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len()));
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "" if number == text => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return Err(NO_DURATION),
        };
        let part = times(number, unit).ok_or(NO_DURATION)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST).ok_or("longer than a year; write less")?;
        rest = tail;
    }
    if text.is_empty() { Err(NO_DURATION) } else { Ok(total) }
}

const NO_DURATION: &str = "not a duration; write one such as 500ms, 30s or 1m30s";

/// `number`, digits with or without a fraction, times `unit`; in whole numbers, for reading a float takes a table larger
/// than all of the settings' code.
fn times(number: &str, unit: Duration) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What comes after that is less than a nanosecond of any unit.
    let fraction = fraction.get(..15).unwrap_or(fraction);
    let units = |digits: &str, places| Some(u128::from(digits.parse::<u64>().ok()?) * unit.as_nanos() / places);
    let places = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let nanoseconds = units(whole, 1)? + units(fraction, places)?;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)))
}

/// 1, t, true, 0, f, false, in any case.
pub fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" => Ok(true),
        "0" | "f" | "false" => Ok(false),
        _ => Err("not a boolean; write true or false"),
    }
}

/// A path, mount, role or namespace, without the slashes at both ends.
///
/// Vault decodes and cleans what it gets: `..`, `%2F` or `?` would make it another path than the one written here.
pub fn segments(text: &str) -> Result<String, &'static str> {
    let text = text.trim_matches('/');
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("a part of it is empty, . or ..; write it without these");
    }
    if text.contains(['%', '?', '#', '\\']) || escaped(text) != text {
        return Err("it holds %, ?, #, \\ or a control character; write it without these");
    }
    Ok(text.to_owned())
}

/// A KV path: the same, and what other tools write behind it is told.
pub fn path(text: &str) -> Result<String, &'static str> {
    if text.contains('#') {
        return Err("names a key behind #; write the path alone, and the key in VAULT_KEYS");
    }
    if text.contains('?') {
        return Err("holds a query; write the path alone, and a version in VAULT_SECRET_VERSION");
    }
    segments(text)
}

/// A role's name. [No role has a slash](https://github.com/openbao/openbao/blob/main/sdk/framework/path.go): a whole path
/// is another tool's.
pub fn role(text: &str) -> Result<String, &'static str> {
    let role = segments(text)?;
    if role.contains('/') {
        return Err("holds a /, which no role has; write its name alone, and the mount in VAULT_K8S_AUTH_MOUNT_POINT");
    }
    Ok(role)
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

/// Whether quotes stand around `text`.
pub fn is_quoted(text: &str) -> bool {
    ['"', '\''].iter().any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// A token as a header can carry it.
pub fn token(text: &str) -> Result<&str, &'static str> {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err("holds bytes that no token has; give the token alone, in visible ASCII")
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
    fn durations_are_read_in_each_way_of_writing_them() {
        for (text, millis) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
            ("1.5", Some(1500)),
            ("2h", Some(7_200_000)),
            ("1.0005h", Some(3_601_800)),
            ("0.00000000000000000001h", Some(0)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1 s", None),
            ("1m30", None),
            ("1.s", None),
            (".5s", None),
            ("1.2.3s", None),
            ("1.123456789012345.67.8s", None),
            ("1.000000000000000.9", None),
            ("1d", None),
            ("1e3s", None),
            ("9999h", None),
            ("99999999999999999999999999", None),
            ("३s", None),
        ] {
            assert_eq!(duration_or_zero(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
        assert!(duration("0s").is_err() && duration("0").is_err() && duration("1ms").is_ok());
    }

    #[test]
    fn booleans_are_these_and_no_others() {
        for (text, value) in [
            ("1", Some(true)),
            ("T", Some(true)),
            ("True", Some(true)),
            ("0", Some(false)),
            ("f", Some(false)),
            ("FALSE", Some(false)),
            ("yes", None),
            ("on", None),
            ("2", None),
        ] {
            assert_eq!(boolean(text).ok(), value, "{text}");
        }
    }

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
    fn paths_lose_their_outer_slashes_and_refuse_what_vault_would_read_otherwise() {
        for (text, path) in [
            ("/myapp/prod/", Some("myapp/prod")),
            ("a b/ü+~", Some("a b/ü+~")),
            ("/", None),
            ("a//b", None),
            ("a/../b", None),
            ("./a", None),
            ("a%2fb", None),
            ("a?b", None),
            ("a#b", None),
            ("a\\b", None),
            ("a\nb", None),
            ("a\u{202e}b", None),
        ] {
            assert_eq!(segments(text).ok().as_deref(), path, "{text}");
        }
    }

    #[test]
    fn a_path_and_a_role_tell_what_other_tools_write_into_them() {
        for (read, text, cause) in [
            (path as fn(&str) -> Result<String, &'static str>, "shop/prod#KEY", "names a key behind #"),
            (path, "shop/prod?version=2", "holds a query"),
            (path, "a//b", "a part of it is empty"),
            (role, "auth/kubernetes/role/shop", "holds a /"),
            (role, "kubernetes/shop", "holds a /"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(cause), "{text}: {said}");
        }
        assert_eq!((path("/shop/prod/"), role("/shop/")), (Ok("shop/prod".into()), Ok("shop".into())));
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
