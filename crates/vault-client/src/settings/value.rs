//! The texts that settings are written in: durations, booleans, parts of paths, tokens.

use std::time::Duration;

use crate::text::escaped;

/// Longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// `30` (seconds), `30s`, `500ms`, `1m30s`, `1.5s`, `2h`; not zero.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = duration_or_zero(text)?;
    if duration.is_zero() { Err("zero; write a duration such as 500ms, 30s or 1m30s") } else { Ok(duration) }
}

/// The same, zero included.
///
/// # Errors
///
/// What is wrong, and what to write.
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
///
/// # Errors
///
/// What is wrong, and what to write.
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
///
/// # Errors
///
/// What is wrong, and what to write.
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

/// A namespace; `None` is the root namespace, which is written `root` or `/`.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn namespace(text: &str) -> Result<Option<String>, &'static str> {
    if matches!(text.trim_matches('/'), "" | "root") { Ok(None) } else { segments(text).map(Some) }
}

/// A role's name. [No role has a slash](https://github.com/openbao/openbao/blob/main/sdk/framework/path.go): a whole path
/// is another tool's.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn role(text: &str) -> Result<String, &'static str> {
    let role = segments(text)?;
    if role.contains('/') {
        return Err("holds a /, which no role has; write its name alone, and the mount in VAULT_K8S_AUTH_MOUNT_POINT");
    }
    Ok(role)
}

/// Whether quotes stand around `text`.
pub fn is_quoted(text: &str) -> bool {
    ['"', '\''].iter().any(|quote| text.len() > 1 && text.starts_with(*quote) && text.ends_with(*quote))
}

/// A token as a header can carry it.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn token(text: &str) -> Result<&str, &'static str> {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err("holds bytes that no token has; give the token alone, in visible ASCII")
    }
}

/// One line, such as an id that an administrator may have made up.
///
/// # Errors
///
/// What is wrong, and what to write.
pub fn line(text: &str) -> Result<&str, &'static str> {
    if text.contains(char::is_control) {
        Err("holds a control character; give it alone, in one line")
    } else {
        Ok(text)
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
    fn a_role_tells_what_other_tools_write_into_it() {
        let cause = "holds a /, which no role has; write its name alone, and the mount in VAULT_K8S_AUTH_MOUNT_POINT";
        for (text, read) in [
            ("/shop/", Ok("shop")),
            ("auth/kubernetes/role/shop", Err(cause)),
            ("kubernetes/shop", Err(cause)),
            ("..", Err("a part of it is empty, . or ..; write it without these")),
        ] {
            assert_eq!(role(text), read.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_token_is_visible_ascii() {
        for (text, good) in [("hvs.CAES-x_y", true), ("two words", false), ("caf\u{e9}", false), ("a\nb", false)] {
            assert_eq!(token(text).is_ok(), good, "{text}");
        }
    }
}
