//! What a caller signs, and how that is verified.

use std::fmt::Write as _;
use std::str;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ring::{digest, hmac};
use serde::Serialize;
use vault_client::Secret;

use crate::settings::is_name;

/// Who asks.
const CALLER: HeaderName = HeaderName::from_static("x-agent-caller");

/// When, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-agent-timestamp");

/// What no other request of that time has.
const NONCE: HeaderName = HeaderName::from_static("x-agent-nonce");

/// `v1=`, and the HMAC in hex.
const SIGNATURE: HeaderName = HeaderName::from_static("x-agent-signature");

/// A token has so many bytes at least: whoever sees a signature can try all shorter ones sooner.
pub const SHORTEST: usize = 16;

/// What the headers of a request say. Nothing of it is proven before [`Signed::verify`].
pub struct Signed {
    /// Who asks.
    pub caller: String,
    /// When it was signed, in seconds since 1970.
    pub timestamp: u64,
    /// What no other request of that time has.
    pub nonce: String,
    code: Vec<u8>,
}

/// What is wrong with the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// One is not there.
    Missing,
    /// One stands there twice.
    Repeated,
    /// One has another form.
    Unfit,
}

/// The token that a request was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Under {
    /// The one in hand.
    Current,
    /// The one before, within the grace time.
    Previous,
}

impl Signed {
    /// Reads the four headers. Each stands there once, and has one form only.
    ///
    /// # Errors
    ///
    /// The first that does not.
    pub fn read(headers: &HeaderMap) -> Result<Self, Malformed> {
        let caller = one(headers, &CALLER, is_name)?;
        let timestamp = one(headers, &TIMESTAMP, is_timestamp)?.parse().map_err(|_| Malformed::Unfit)?;
        let nonce = one(headers, &NONCE, is_nonce)?;
        let signature = one(headers, &SIGNATURE, |_| true)?;
        let code = signature.strip_prefix("v1=").and_then(of_hex).ok_or(Malformed::Unfit)?;
        Ok(Self { caller: caller.to_owned(), timestamp, nonce: nonce.to_owned(), code })
    }

    /// The token that the request was signed with, with this body; `None` if neither.
    ///
    /// The time that this takes does not depend on the signature: both tokens are tried in any case, in constant time.
    pub fn verify(&self, parts: &Parts, body: &[u8], current: &Secret, previous: Option<&Secret>) -> Option<Under> {
        let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
        let text = self.text(parts.method.as_str(), target, body);
        let is_signed_with = |token: &Secret| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes());
            hmac::verify(&key, text.as_bytes(), &self.code).is_ok() && is_long_enough(token)
        };
        let by_current = is_signed_with(current);
        let by_previous = previous.is_some_and(is_signed_with);
        match (by_current, by_previous) {
            (true, _) => Some(Under::Current),
            (false, true) => Some(Under::Previous),
            (false, false) => None,
        }
    }

    /// What is signed: seven lines, without a line end after the last.
    fn text(&self, method: &str, target: &str, body: &[u8]) -> String {
        let Self { caller, timestamp, nonce, .. } = self;
        let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
        format!("v1\n{method}\n{target}\n{timestamp}\n{nonce}\n{caller}\n{digest}")
    }
}

/// Whether a token can be used. White space around it does not count.
pub fn is_long_enough(token: &Secret) -> bool {
    token.expose().trim().len() >= SHORTEST
}

/// The value of a header that stands there once and fits.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName, is_fit: fn(&str) -> bool) -> Result<&'a str, Malformed> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Malformed::Missing)?;
    if values.next().is_some() {
        return Err(Malformed::Repeated);
    }
    value.to_str().ok().filter(|text| is_fit(text)).ok_or(Malformed::Unfit)
}

/// Digits without a zero in front: one spelling for each time, which is the one that is signed.
fn is_timestamp(text: &str) -> bool {
    (1..=12).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|it| it.is_ascii_digit())
}

fn is_nonce(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (16..=64).contains(&text.len()) && text.bytes().all(is_fit)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of 64 digits in lower case.
fn of_hex(text: &str) -> Option<Vec<u8>> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 64 || !text.bytes().all(is_digit) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
