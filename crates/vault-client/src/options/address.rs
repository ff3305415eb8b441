//! Where Vault is: the checked `VAULT_ADDR`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use ureq::http::Uri;

use super::socket;

/// A base URL: scheme, host, port and an optional path prefix, without a slash at its end. Or a unix socket on this machine,
/// `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: String,
    scheme_end: usize,
    host: String,
    port: Option<u16>,
    socket: Option<PathBuf>,
}

impl Address {
    /// Checks `text`. The error says what is wrong and what to write; it never repeats the text, which can hold a
    /// password.
    ///
    /// # Errors
    ///
    /// What is wrong with it and what to write instead: no URL, another scheme, user or password, a query or fragment, a port
    /// that is none, a path that ends with `/v1`, or that has an empty part, `.` or `..`. Of a unix socket: a path that is
    /// not absolute, longer than 107 bytes once it is percent-decoded, or with a NUL in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use vault_client::Address;
    ///
    /// let address = Address::parse("https://vault.vault.svc:8200/prefix/")?;
    /// assert_eq!(address.to_string(), "https://vault.vault.svc:8200/prefix");
    /// assert_eq!(address.authority(), "vault.vault.svc:8200");
    /// assert!(address.is_https() && !address.is_loopback());
    ///
    /// let refused = Address::parse("https://shop:password@vault.vault.svc:8200").unwrap_err();
    /// assert_eq!(refused, "a URL with a user name or password; leave them out, they are not used");
    ///
    /// let agent = Address::parse("unix:///run/vault/agent%20one.sock")?;
    /// assert_eq!(agent.socket().and_then(|path| path.to_str()), Some("/run/vault/agent one.sock"));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some((scheme, rest)) = text.split_once(':')
            && scheme.eq_ignore_ascii_case("unix")
        {
            let (socket, url) = (Some(socket::path(rest)?), format!("unix:{}", rest.trim_end_matches('/')));
            return Ok(Self { url, scheme_end: scheme.len(), host: "localhost".into(), port: None, socket });
        }
        let text = text.trim_end_matches('/');
        if !text.contains("://") {
            return Err("not a URL; write https://host:port, http://host:port or unix:///path");
        }
        if text.contains(['?', '#']) {
            return Err("a URL with a query or fragment; leave out everything from ? or # on");
        }
        let uri: Uri = text.parse().map_err(|_| "not a valid URL; write https://host:port or http://host:port")?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("neither https:// nor http:// nor unix://; Vault speaks only these"),
        };
        let authority = uri.authority().ok_or("no host; write https://host:port")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a user name or password; leave them out, they are not used");
        }
        let port = match (authority.as_str().strip_prefix(authority.host()), authority.port_u16()) {
            (Some(""), _) => None,
            (Some(rest), Some(port)) if port != 0 && rest.starts_with(':') => Some(port),
            _ => return Err("a port that is none; write a number from 1 to 65535, or leave it out"),
        };
        if authority.host().is_empty() {
            return Err("no host; write https://host:port");
        }
        if uri.path().ends_with("/v1") {
            return Err("a URL that ends with /v1; leave that out, it is added to every request");
        }
        // Servers clean a path before they look at it, or look at it as it is: either is another path than this one.
        if uri.path().trim_start_matches('/').split('/').any(|part| matches!(part, "." | ".."))
            || uri.path().contains("//")
        {
            return Err("a URL with a part of its path that is empty, . or ..; write it without these");
        }
        let scheme_end = if https { 5 } else { 4 };
        let path = uri.path().trim_end_matches('/');
        let url = format!("{}://{authority}{path}", &text[..scheme_end].to_ascii_lowercase());
        Ok(Self { url, scheme_end, host: authority.host().to_owned(), port, socket: None })
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.scheme_end == 5
    }

    /// The unix socket's path, where it is one.
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Whether the host is this machine: `localhost` or a loopback address. That of a unix socket is.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }

    /// The host, an IPv6 address in brackets; `localhost` of a unix socket.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `host[:port]`, as the `Host` header has it.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// The same URL with another host, for a certificate that carries another name; an IPv6 address needs no brackets. That
    /// of a unix socket has no host and stays as it is.
    pub fn with_host(&self, host: &str) -> String {
        if self.socket.is_some() {
            return self.url.clone();
        }
        let (scheme, rest) = (&self.url[..self.scheme_end], &self.url[self.scheme_end + 3..]);
        let [open, close] = if host.parse::<Ipv6Addr>().is_ok() { ["[", "]"] } else { ["", ""] };
        format!("{scheme}://{open}{host}{close}{}", &rest[self.host.len()..])
    }
}

/// The URL itself; it holds no credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_lose_their_last_slash_and_keep_the_rest() {
        for (text, url, loopback) in [
            ("https://vault.example:8200/", "https://vault.example:8200", false),
            ("HTTP://127.0.0.1:8200", "http://127.0.0.1:8200", true),
            ("http://[::1]:8200/prefix/", "http://[::1]:8200/prefix", true),
            ("https://vault", "https://vault", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.is_loopback()), (url, loopback));
        }
        let address = Address::parse("https://[::1]:8200/p").unwrap();
        assert_eq!(address.socket(), None);
        assert_eq!(address.with_host("vault"), "https://vault:8200/p");
        assert_eq!(address.with_host("fd00::1"), "https://[fd00::1]:8200/p");
    }

    #[test]
    fn a_unix_socket_is_this_machine_and_keeps_its_text() {
        for (text, url, path) in [
            ("unix:///run/vault.sock", "unix:///run/vault.sock", "/run/vault.sock"),
            ("UNIX:///run/a%62/", "unix:///run/a%62", "/run/ab"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.socket()), (url, Some(Path::new(path))));
            assert_eq!((address.host(), address.authority().as_str()), ("localhost", "localhost"));
            assert!(address.is_loopback() && !address.is_https());
            assert_eq!(address.with_host("vault"), url);
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_a_reason_of_their_own() {
        for (text, reason) in [
            ("vault:8200", "not a URL"),
            ("unix:/run/vault.sock", "a unix socket without an absolute path"),
            ("unix://vault.sock", "a unix socket without an absolute path"),
            ("unix:///", "a unix socket without a path"),
            ("ftp://vault", "neither https"),
            ("https://u:p@vault", "a URL with a user name"),
            ("https://vault/?a=b", "a URL with a query"),
            ("https://vault/#x", "a URL with a query"),
            ("https://vault/v1/", "a URL that ends with /v1"),
            ("https://vault/./", "a URL with a part of its path"),
            ("https://vault/a/../b", "a URL with a part of its path"),
            ("https://vault//a", "a URL with a part of its path"),
            ("https://vault:0", "a port that is none"),
            ("https://vault:99999", "a port that is none"),
            ("http://[::1]x:1", "a port that is none"),
            ("https://va ult", "not a valid URL"),
            ("https://", "not a URL"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
