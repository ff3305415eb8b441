//! A certificate for another name than the one that was asked for.

use rustls::pki_types;

use super::CertificateFault;
use crate::fault::ServerName;
use crate::text::Scrubber;

/// A name that a certificate carries.
#[derive(Clone, Copy)]
enum Name<'a> {
    Dns(&'a str),
    Ip(&'a str),
    /// A URI, a mail address, or what else never names a server.
    Other,
}

/// Reads `DnsName("vault")` or `IpAddress(127.0.0.1)`: rustls hands the names on in this form alone.
fn read(presented: &str) -> Name<'_> {
    let inner = |kind: &str| presented.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
    match (inner("DnsName"), inner("IpAddress")) {
        (Some(name), _) => Name::Dns(name.trim_matches('"')),
        (None, Some(address)) => Name::Ip(address),
        (None, None) => Name::Other,
    }
}

/// Why none of the names that are `presented` is `expected`.
pub fn fault(expected: &pki_types::ServerName, presented: &[String], scrubber: &Scrubber) -> CertificateFault {
    let expected = ServerName::from(expected);
    if presented.is_empty() {
        return CertificateFault::NoSubjectAltName { expected };
    }
    let names: Vec<_> = presented.iter().map(|name| read(name)).collect();
    for name in &names {
        let Name::Dns(name) = name else { continue };
        let near = match &expected {
            ServerName::Dns(host) => near_miss(name, host),
            ServerName::Ip(address) => (*name == address.to_string())
                .then_some("it is there as a DNS name, and an address counts only as an IP address"),
        };
        if let Some(why) = near {
            return CertificateFault::NearMiss { expected, name: scrubber.clean(&[name]), why };
        }
    }
    let shown: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            Name::Dns(name) | Name::Ip(name) => Some(*name),
            Name::Other => None,
        })
        .collect();
    if shown.is_empty() {
        return CertificateFault::NoServerName { expected };
    }
    CertificateFault::OtherNames {
        expected,
        names: scrubber.clean(&[&shown.join(", ")]),
        wildcards: shown.iter().all(|name| name.contains('*')),
    }
}

/// Why `name` does not count for `host`, where whoever issued it meant it to. The rules are webpki's, in
/// [`subject_name/dns_name.rs`](https://docs.rs/crate/rustls-webpki/latest/source/src/subject_name/dns_name.rs).
fn near_miss(name: &str, host: &str) -> Option<&'static str> {
    let (name, host) = (name.to_ascii_lowercase(), host.trim_end_matches('.').to_ascii_lowercase());
    if name.strip_suffix('.') == Some(&host) {
        return Some("it ends with a dot, which names in a certificate must not");
    }
    let (before, after) = name.split_once('*')?;
    let bare = before.is_empty() && after.strip_prefix('.') == Some(&host);
    let covers = host.len() > before.len() + after.len() && host.starts_with(before) && host.ends_with(after);
    if !covers && !bare {
        None
    } else if !before.is_empty() || !after.starts_with('.') || after.contains('*') {
        Some("a wildcard has to be the whole first label")
    } else if after.matches('.').count() < 2 {
        Some("a wildcard needs two labels behind it")
    } else {
        Some("a wildcard stands for exactly one label")
    }
}
