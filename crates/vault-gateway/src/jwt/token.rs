//! A token's text, taken apart. Nothing here is verified.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use vault_client::json::Bytes;
use zeroize::Zeroizing;

use super::Rejected;
use super::json;
use crate::config::Algorithm;

/// Longer tokens are refused.
pub const MAX_TOKEN: usize = 16 << 10;

/// A token's parts. [RFC 7515, 3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)
pub struct Token<'a> {
    /// What is signed: header and claims as they came.
    pub signed: &'a str,
    /// The signature as it came: canonical base64url.
    pub signature: &'a str,
    /// What the header says.
    pub header: Header,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// What counts of a header. `jku`, `x5u`, `jwk` and `x5c` are not looked at: the keys are those of the issuer.
pub struct Header {
    /// How it is signed.
    pub alg: Algorithm,
    /// The media type as it came.
    pub typ: Option<String>,
    /// The name of the key.
    pub kid: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    ///
    /// It is too long, its form is another one, or header or claims are no strict JSON objects.
    pub fn parse(token: &'a str) -> Result<Self, Rejected> {
        if token.len() > MAX_TOKEN {
            return Err(Rejected::TooLarge);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejected::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejected::Malformed)?;
        // A further point is none of the alphabet.
        let (header, claims) = (decoded(header)?, decoded(claims)?);
        decoded(signature)?;
        let header = Header::of(json::object(&header).ok_or(Rejected::Header)?)?;
        let claims = json::object(&claims).ok_or(Rejected::Claims)?;
        Ok(Self { signed, signature, header, claims })
    }
}

/// One spelling for each part: no padding, no white space, and the bits after the last byte are zero.
fn decoded(part: &str) -> Result<Bytes, Rejected> {
    URL_SAFE_NO_PAD.decode(part).map(|bytes| Arc::new(Zeroizing::new(bytes))).map_err(|_| Rejected::Malformed)
}

impl Header {
    fn of(mut members: Map<String, Value>) -> Result<Self, Rejected> {
        // None of the extensions that `crit` can name is known here, and `b64` changes what is signed.
        // [RFC 7797](https://www.rfc-editor.org/rfc/rfc7797)
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(Rejected::Header);
        }
        let mut text = |name: &str, otherwise| match members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(otherwise),
        };
        let alg = text("alg", Rejected::Header)?.ok_or(Rejected::Header)?;
        let kid = text("kid", Rejected::Header)?;
        let typ = text("typ", Rejected::Type)?;
        let alg = algorithm(&alg).ok_or(Rejected::Algorithm)?;
        Ok(Self { alg, typ, kid })
    }
}

/// The algorithm of this name; names are case-sensitive. [RFC 7515, 4.1.1](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.1)
fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::RS256,
        "RS384" => Algorithm::RS384,
        "RS512" => Algorithm::RS512,
        "PS256" => Algorithm::PS256,
        "PS384" => Algorithm::PS384,
        "PS512" => Algorithm::PS512,
        "ES256" => Algorithm::ES256,
        "ES384" => Algorithm::ES384,
        "EdDSA" => Algorithm::EdDSA,
        _ => return None,
    })
}
