//! Fetches the keys of an issuer. It blocks, for at most five seconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use vault_client::credential::{self, Unreadable};
use vault_client::json::Bytes;
use vault_client::options::tls::roots;
use zeroize::Zeroizing;

use super::fault::{Fault, NoAnswer, Which};
use super::json;
use super::keys::KeySet;
use crate::config::{Issuer, KeySource};

/// The limit of all requests of a fetch together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of a document.
const MAX_DOCUMENT: u64 = 64 << 10;

/// The limit of a bearer token; those of Kubernetes have some thousand bytes.
const MAX_TOKEN: u64 = 16 << 10;

/// The limit of a file of certificates; all public authorities take a quarter of a megabyte.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// Where distributions keep the certificates of public authorities.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where the keys of an issuer come from. Two issuers with the same source have the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    issuer: String,
    keys: KeySource,
    ca: Option<PathBuf>,
    token_file: Option<PathBuf>,
}

impl Source {
    /// That of `issuer`.
    pub fn of(issuer: &Issuer) -> Self {
        let Issuer { url, jwks, ca, token_file, .. } = issuer;
        Self { issuer: url.clone(), keys: jwks.clone(), ca: ca.clone(), token_file: token_file.clone() }
    }

    /// The URL of the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the keys. Files are read anew each time, because others may renew them.
    ///
    /// # Errors
    ///
    /// Why there are none.
    pub fn fetch(&self) -> Result<KeySet, Fault> {
        let document = match &self.keys {
            KeySource::File(path) => Arc::new(file(path)?),
            KeySource::Url(url) => Requests::of(self)?.get(&safe(url, Which::Keys)?, Which::Keys, Bearer::Shown)?,
            KeySource::Discovery => self.discovered(&Requests::of(self)?)?,
        };
        KeySet::parse(&document).ok_or(Fault::NotThat(Which::Keys))
    }

    /// The keys that the discovery document leads to. It is not the configuration: it can lead nowhere that an issuer of
    /// https must not reach, and it does not decide who is shown the bearer token.
    fn discovered(&self, requests: &Requests) -> Result<Bytes, Fault> {
        let base = self.issuer.strip_suffix('/').unwrap_or(&self.issuer);
        let discovery = safe(&format!("{base}/.well-known/openid-configuration"), Which::Discovery)?;
        let keys = self.keys_of(&requests.get(&discovery, Which::Discovery, Bearer::Shown)?)?;
        let keys = safe(&keys, Which::Keys)?;
        if is_encrypted(&discovery) && !is_encrypted(&keys) {
            return Err(Fault::Unsafe(Which::Keys));
        }
        let bearer = if origin(&keys) == origin(&discovery) { Bearer::Shown } else { Bearer::Kept };
        requests.get(&keys, Which::Keys, bearer)
    }

    /// Where the discovery document says that the keys are.
    /// [OpenID Connect Discovery, 4](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig)
    fn keys_of(&self, document: &Bytes) -> Result<String, Fault> {
        let members = json::object(document).ok_or(Fault::NotThat(Which::Discovery))?;
        let text = |name: &str| members.get(name)?.as_str();
        let (issuer, keys) = text("issuer").zip(text("jwks_uri")).ok_or(Fault::NotThat(Which::Discovery))?;
        if issuer == self.issuer { Ok(keys.to_owned()) } else { Err(Fault::OtherIssuer) }
    }
}

/// A URL that nobody in the network can answer for another: https, or http on this machine.
fn safe(url: &str, which: Which) -> Result<Uri, Fault> {
    let uri: Uri = url.parse().map_err(|_| Fault::Unsafe(which))?;
    let is_safe = is_encrypted(&uri) || (uri.scheme_str() == Some("http") && is_local(&uri));
    if is_safe { Ok(uri) } else { Err(Fault::Unsafe(which)) }
}

fn is_encrypted(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

/// Scheme, host and port. [RFC 6454, 4](https://www.rfc-editor.org/rfc/rfc6454#section-4)
fn origin(uri: &Uri) -> (bool, String, u16) {
    let is_encrypted = is_encrypted(uri);
    let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
    (is_encrypted, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
}

/// Whether a request shows the bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearer {
    Shown,
    Kept,
}

fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    credential::read(path, MAX_DOCUMENT).map_err(|why| match why {
        Unreadable::LargerThan(_) => Fault::TooLarge(Which::Keys),
        why => Fault::File("jwks", why),
    })
}

/// The requests of one fetch.
struct Requests {
    tls: TlsConfig,
    /// The value of `Authorization`.
    bearer: Option<Zeroizing<String>>,
    end: Instant,
}

impl Requests {
    fn of(source: &Source) -> Result<Self, Fault> {
        let bearer = source.token_file.as_deref().map(bearer).transpose()?;
        let tls = TlsConfig::builder()
            .root_certs(trusted(source.ca.as_deref())?)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Ok(Self { tls, bearer, end: Instant::now() + TIMEOUT })
    }

    /// The body at `uri`.
    fn get(&self, uri: &Uri, which: Which, bearer: Bearer) -> Result<Bytes, Fault> {
        let no_answer = |error: &ureq::Error| Fault::NoAnswer(which, error.into());
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::NoAnswer(which, NoAnswer::Timeout));
        }
        let mut request = self.agent(is_local(uri), left).get(uri.clone()).header("Accept", "application/json");
        if let (Some(token), Bearer::Shown) = (&self.bearer, bearer) {
            request = request.header("Authorization", token.as_str());
        }
        let mut answer = request.call().map_err(|error| no_answer(&error))?;
        match answer.status().as_u16() {
            200 => {}
            status @ (401 | 403) if self.bearer.is_some() && bearer == Bearer::Kept => {
                return Err(Fault::Kept(which, status));
            }
            status => return Err(Fault::Status(which, status)),
        }
        // Versions of ureq do not agree on whether a body of exactly the limit is one too many.
        match answer.body_mut().with_config().limit(MAX_DOCUMENT + 1).read_to_vec() {
            Ok(body) if body.len() as u64 <= MAX_DOCUMENT => Ok(Arc::new(Zeroizing::new(body))),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(Fault::TooLarge(which)),
            Err(error) => Err(no_answer(&error)),
        }
    }

    /// One for each request: minutes lie between two fetches.
    fn agent(&self, local: bool, timeout: Duration) -> Agent {
        let config = Agent::config_builder()
            .tls_config(self.tls.clone())
            .timeout_global(Some(timeout))
            // A redirect would decide who may speak for the issuer, and would take the bearer token along.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .accept_encoding("identity")
            .user_agent(concat!("vault-gateway/", env!("CARGO_PKG_VERSION")));
        // The proxy is that of the environment, which knows nothing of this machine.
        let config = if local { config.proxy(None) } else { config };
        config.build().into()
    }
}

/// Whether the host is this machine.
fn is_local(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || ip.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The certificates of `ca`; without it those of the system, and where it has none those built in.
fn trusted(ca: Option<&Path>) -> Result<RootCerts, Fault> {
    if let Some(path) = ca {
        let pem = credential::read(path, MAX_CERTIFICATES).map_err(|why| Fault::File("ca", why))?;
        return specific(&pem).ok_or(Fault::NoCertificate);
    }
    let read = |path| specific(&credential::read(Path::new(path), MAX_CERTIFICATES).ok()?);
    Ok(BUNDLES.into_iter().find_map(read).unwrap_or(RootCerts::WebPki))
}

fn specific(pem: &[u8]) -> Option<RootCerts> {
    let certificates = roots(pem).ok()?;
    let certificates: Vec<_> = certificates.iter().map(|it| Certificate::from_der(it).to_owned()).collect();
    Some(RootCerts::Specific(Arc::new(certificates)))
}

/// The value of `Authorization` with the token in this file. White space around the token is not part of it.
fn bearer(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let bytes = credential::read(path, MAX_TOKEN).map_err(|why| Fault::File("token_file", why))?;
    let token = std::str::from_utf8(bytes.trim_ascii()).map_err(|_| Fault::NoToken)?;
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Zeroizing::new(["Bearer ", token].concat())) } else { Err(Fault::NoToken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for (url, local) in [
            ("http://localhost:1/x", true),
            ("http://LOCALHOST", true),
            ("http://127.0.0.1:8080/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:80/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://127.0.0.1@idp.example/", false),
            ("http://[::2]/", false),
            ("http://0.0.0.0/", false),
            ("/path", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), local, "{url}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |url: &str| origin(&url.parse().unwrap());
        let own = origin("https://idp.example/realm");
        for (url, is_own) in [
            ("https://idp.example/keys", true),
            ("https://IDP.example:443/keys", true),
            ("https://idp.example:8443/keys", false),
            ("http://idp.example/keys", false),
            ("http://idp.example:443/keys", false),
            ("https://keys.idp.example/", false),
            ("https://idp.example@evil.example/", false),
            ("https://idp.example.evil.example/", false),
        ] {
            assert_eq!(origin(url) == own, is_own, "{url}");
        }
    }

    #[test]
    fn a_bearer_token_is_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (content, expected) in [
            (&b"abc.def\n"[..], Some("Bearer abc.def")),
            (b" abc ", Some("Bearer abc")),
            (b"", None),
            (b"\n", None),
            (b"a b", None),
            (b"a\nb", None),
            (b"\xff", None),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(bearer(&path).ok().as_deref().map(String::as_str), expected);
        }
    }
}
