//! The values of keys: each reader takes what the file has and returns what the service uses, or what is wrong.

use std::fs::{self, File};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Uri;
use toml::{Table, Value};
use vault_client::text::{self, os};

use super::fault::Bad;
use super::near::near;
use crate::path::SecretPath;

/// What kind of value it is, as a reader of the file would call it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn other(value: &Value, remedy: impl Into<String>) -> Bad {
    Bad::new(format!("is {}", kind(value)), remedy)
}

/// A text of the file in quotes, cut where it is long. What looks like a credential is left out: whoever writes one into the
/// wrong place must not find it in a log.
pub fn quoted(text: &str) -> String {
    text::quoted(&text::without_credentials(text))
}

/// A text of any length.
pub fn text(value: Value) -> Result<String, Bad> {
    match value {
        Value::String(text) => Ok(text),
        other_kind => Err(other(&other_kind, "write a text in quotes")),
    }
}

/// A text that is not empty, has no control characters, and no white space around it.
pub fn filled(value: Value) -> Result<String, Bad> {
    let text = text(value)?;
    if text.is_empty() {
        return Err(Bad::new("is empty", "write a text, or remove it"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(Bad::new(
            format!("{} has spaces around it or control characters in it", quoted(&text)),
            "write it without them",
        ));
    }
    Ok(text)
}

/// True or false.
pub fn flag(value: Value) -> Result<bool, Bad> {
    match value {
        Value::Boolean(flag) => Ok(flag),
        other_kind => Err(other(&other_kind, "write true or false without quotes")),
    }
}

/// A list of anything.
pub fn list(value: Value) -> Result<Vec<Value>, Bad> {
    match value {
        Value::Array(list) => Ok(list),
        other_kind => Err(other(&other_kind, "write a list in [ ]")),
    }
}

/// A list of texts, or one text, which is a list of one.
pub fn one_or_more(value: Value) -> Result<Vec<Value>, Bad> {
    match value {
        Value::Array(list) => Ok(list),
        Value::String(_) => Ok(vec![value]),
        other_kind => Err(other(&other_kind, "write a text in quotes, or a list of texts in [ ]")),
    }
}

/// A table of anything.
pub fn table(value: Value) -> Result<Table, Bad> {
    match value {
        Value::Table(table) => Ok(table),
        other_kind => Err(other(&other_kind, "write a table")),
    }
}

/// A whole number from `least` to `most`.
pub fn number<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(Value) -> Result<T, Bad> {
    move |value| {
        let remedy = || format!("write a whole number from {least} to {most}");
        let Value::Integer(number) = value else { return Err(other(&value, remedy())) };
        let fits = u64::try_from(number).ok().filter(|number| (least..=most).contains(number));
        let fits = fits.and_then(|number| T::try_from(number).ok());
        let side = if number < i64::try_from(least).unwrap_or(i64::MAX) { "small" } else { "large" };
        fits.ok_or_else(|| Bad::new(format!("{number} is too {side}"), remedy()))
    }
}

/// A time from `least` to `most`, written with its unit.
pub fn duration(least: Duration, most: Duration) -> impl Fn(Value) -> Result<Duration, Bad> {
    const UNIT: &str = "write a number with its unit in quotes: \"250ms\", \"30s\" or \"1m\"";
    move |value| {
        let Value::String(text) = value else { return Err(other(&value, UNIT)) };
        let time = humantime::parse_duration(&text);
        let time = time.map_err(|_| Bad::new(format!("{} is no time", quoted(&text)), UNIT))?;
        if (least..=most).contains(&time) {
            return Ok(time);
        }
        let side = if time < least { "short" } else { "long" };
        let [least, most] = [least, most].map(humantime::format_duration);
        Err(Bad::new(format!("{} is too {side}", quoted(&text)), format!("write a time from {least} to {most}")))
    }
}

/// An address of this machine with a port.
pub fn address(value: Value) -> Result<SocketAddr, Bad> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        Bad::new(format!("{} is no address with a port", quoted(&text)), "write one like 127.0.0.1:8443 or [::]:8443")
    })
}

/// A name of a file; a relative one counts from `folder`.
pub fn path(folder: &Path) -> impl Fn(Value) -> Result<PathBuf, Bad> {
    move |value| Ok(folder.join(filled(value)?))
}

/// The name of a file that is there and can be read; a relative one counts from `folder`.
pub fn file(folder: &Path) -> impl Fn(Value) -> Result<PathBuf, Bad> {
    move |value| {
        let path = folder.join(filled(value)?);
        readable(&path)?;
        Ok(path)
    }
}

/// Whether the file is there and can be read.
///
/// # Errors
///
/// It is missing, it is none, or it cannot be read.
pub fn readable(path: &Path) -> Result<(), Bad> {
    let refused = |error: Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Bad::missing(format!("the file {} is missing", os(path)), "put it there, or name another one")
        }
        kind => Bad::new(format!("the file {} cannot be read: {kind}", os(path)), "let this user read it"),
    };
    // What is no file is not opened: that of a pipe would wait for its writer.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(Bad::new(format!("{} is no file", os(path)), "name a file"));
    }
    File::open(path).map(drop).map_err(refused)
}

/// Whole segments of a path, without a slash at either end.
pub fn segments(value: Value) -> Result<String, Bad> {
    let text = text(value)?;
    match SecretPath::of_canonical(&text) {
        Ok(_) => Ok(text),
        Err(bad) => {
            let trimmed = text.trim_matches('/');
            let repaired = SecretPath::of_canonical(trimmed).map(|_| format!("write {trimmed}"));
            let remedy = repaired.unwrap_or_else(|_| bad.to_string());
            Err(Bad::new(format!("{} cannot be used", quoted(&text)), remedy))
        }
    }
}

/// The same, or nothing.
pub fn segments_or_none(value: Value) -> Result<String, Bad> {
    let text = text(value)?;
    if text.is_empty() { Ok(text) } else { segments(Value::String(text)) }
}

/// The URL of an issuer: no query and no fragment.
/// [OpenID Connect Discovery](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata)
pub fn issuer_url(value: Value) -> Result<String, Bad> {
    let url = url(value)?;
    if url.contains('?') {
        return Err(Bad::new("the URL has a query", "leave out everything from ? on"));
    }
    Ok(url)
}

/// An https URL, or an http URL of this machine. No fault shows it: it may hold a password.
pub fn url(value: Value) -> Result<String, Bad> {
    const REMEDY: &str = "write https://host or https://host/path";
    let text = filled(value)?;
    if text.contains('#') {
        return Err(Bad::new("the URL has a fragment", "leave out everything from # on"));
    }
    let uri: Uri = text.parse().map_err(|_| Bad::new("the text is no URL", REMEDY))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Bad::new("the text is no URL", REMEDY));
    };
    if authority.as_str().contains('@') {
        return Err(Bad::new("the URL has a user name or password", "leave them out"));
    }
    let port = authority.as_str().strip_prefix(authority.host());
    if authority.host().is_empty() || port.is_none_or(|port| !port.is_empty() && authority.port_u16().is_none()) {
        return Err(Bad::new("the URL has no host, or a port that is none", REMEDY));
    }
    match scheme {
        "https" => Ok(text),
        "http" if is_loopback(authority.host()) => Ok(text),
        "http" => Err(Bad::new("the URL is http to another machine", "write https")),
        _ => Err(Bad::new("the URL is neither https nor http", REMEDY)),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The name of a claim, or a JSON Pointer where it begins with `/`.
/// [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901#section-3)
pub fn claim(value: Value) -> Result<String, Bad> {
    let name = filled(value)?;
    let is_escape = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    if name.starts_with('/') && !name.split('~').skip(1).all(is_escape) {
        return Err(Bad::new(
            format!("{} is no JSON Pointer", quoted(&name)),
            "write ~0 for ~ and ~1 for / inside a name",
        ));
    }
    Ok(name)
}

/// The name of a tenant that there is. Where there is none, no fault guesses which was meant: that would be another
/// team's rights.
pub fn tenant(tenants: &[&str]) -> impl Fn(Value) -> Result<String, Bad> {
    |value| {
        let name = filled(value)?;
        if tenants.contains(&name.as_str()) {
            return Ok(name);
        }
        let remedy = match tenants {
            [] => "add [[tenant]] with this name".to_owned(),
            _ => format!("write one of {}, or add [[tenant]] with this name", few(tenants)),
        };
        Err(Bad::new(format!("{} is no tenant", quoted(&name)), remedy))
    }
}

/// These names; where they are many, the first of them.
fn few(names: &[&str]) -> String {
    const MOST: usize = 12;
    let dots = if names.len() > MOST { ", …" } else { "" };
    format!("{}{dots}", names[..names.len().min(MOST)].join(", "))
}

/// A word, and the words that there are in its place.
pub fn unknown(what: &str, word: &str, known: &[&str]) -> Bad {
    let remedy = match near(word, known) {
        Some(meant) => format!("write {meant}"),
        None if known.is_empty() => format!("add the {what}"),
        None => format!("write one of {}", few(known)),
    };
    Bad::new(format!("{} is no {what}", quoted(word)), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause<T>(read: Result<T, Bad>) -> Option<String> {
        read.err().map(|bad| bad.cause)
    }

    #[test]
    fn bounds_are_within() {
        let text = |text: &str| Value::String(text.to_owned());
        let second = Duration::from_secs(1);
        for (written, wrong) in [
            ("1s", None),
            ("1000ms", None),
            ("2s", None),
            ("999ms", Some("\"999ms\" is too short")),
            ("2s 1ns", Some("\"2s 1ns\" is too long")),
            ("0", Some("\"0\" is too short")),
            ("1", Some("\"1\" is no time")),
            ("-1s", Some("\"-1s\" is no time")),
            ("99999999999999999999y", Some("\"99999999999999999999y\" is no time")),
        ] {
            assert_eq!(cause(duration(second, 2 * second)(text(written))).as_deref(), wrong, "{written}");
        }
        for (written, wrong) in [
            (3, None),
            (5, None),
            (2, Some("2 is too small")),
            (6, Some("6 is too large")),
            (i64::MIN, Some("-9223372036854775808 is too small")),
        ] {
            assert_eq!(cause(number::<u32>(3, 5)(Value::Integer(written))).as_deref(), wrong, "{written}");
        }
        assert_eq!(cause(number::<u8>(0, 300)(Value::Integer(300))).as_deref(), Some("300 is too large"));
    }

    #[test]
    fn only_this_machine_is_asked_in_http() {
        let to_another = Some("the URL is http to another machine");
        for (written, wrong) in [
            ("https://idp.example", None),
            ("https://idp.example:8443/realms/a/", None),
            ("https://10.0.0.1", None),
            ("http://127.9.9.9:8080", None),
            ("http://[::1]:8080/x", None),
            ("http://LOCALHOST/x", None),
            ("http://idp.example", to_another),
            ("http://localhost.example", to_another),
            ("http://127.0.0.1.example", to_another),
            ("http://[::2]", to_another),
            ("http://127.0.0.1@idp.example", Some("the URL has a user name or password")),
            ("http://localhost:a@idp.example", Some("the URL has a user name or password")),
            ("https://idp.example:", Some("the URL has no host, or a port that is none")),
            ("https://idp.example:65536", Some("the URL has no host, or a port that is none")),
            ("https:idp.example", Some("the text is no URL")),
            ("//idp.example", Some("the text is no URL")),
            ("/idp", Some("the text is no URL")),
            ("file:///keys", Some("the text is no URL")),
            ("https://idp.example/a b", Some("the text is no URL")),
        ] {
            assert_eq!(cause(url(Value::String(written.to_owned()))).as_deref(), wrong, "{written}");
        }
    }
}
