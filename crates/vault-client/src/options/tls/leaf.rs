//! What a certificate says of itself: whose it is, and how long it is good. Only these two are looked for; whether it can be
//! used is judged by others.

use std::time::SystemTime;

use crate::text;

/// What a client certificate says of itself. [RFC 5280, 4.1](https://www.rfc-editor.org/rfc/rfc5280#section-4.1)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The attributes of the subject that have a short name, as in `O=shop, CN=till`; empty where there are none.
    pub subject: String,
    /// When it expires; `None` where it never does.
    pub not_after: Option<SystemTime>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The context's first, where it holds others: the version.
const VERSION: u8 = 0xa0;

/// "no well-defined expiration date". [RFC 5280, 4.1.2.5](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5)
const NEVER: &[u8] = b"99991231235959Z";

/// The last numbers of the attributes below 2.5.4, and their short names.
const NAMES: [(u8, &str); 7] = [(3, "CN"), (5, "serialNumber"), (6, "C"), (7, "L"), (8, "ST"), (10, "O"), (11, "OU")];

impl Leaf {
    /// Reads `der`; `None` where it is no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(der).inside(SEQUENCE)?;
        let mut signed = certificate.inside(SEQUENCE)?;
        let _version = signed.skip(VERSION);
        signed.skip(INTEGER)?;
        // The algorithm, the issuer.
        signed.skip(SEQUENCE)?;
        signed.skip(SEQUENCE)?;
        let mut validity = signed.inside(SEQUENCE)?;
        validity.any()?;
        let (kind, not_after) = validity.any()?;
        let subject = subject(signed.inside(SEQUENCE)?)?;
        let not_after = if not_after == NEVER { None } else { Some(time(kind, not_after)?) };
        Some(Self { subject, not_after })
    }
}

/// What is left of a value in DER.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value's tag and content. Tags of more than a byte, and lengths of more than four, are none of a
    /// certificate's.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ ..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next value, if it has this tag.
    fn inside(&mut self, tag: u8) -> Option<Self> {
        let mut after = *self;
        let (found, content) = after.any()?;
        if found != tag {
            return None;
        }
        *self = after;
        Some(Self(content))
    }

    /// Leaves the next value out, if it has this tag.
    fn skip(&mut self, tag: u8) -> Option<()> {
        self.inside(tag).map(drop)
    }
}

/// The attributes in the order of the certificate.
fn subject(mut names: Der) -> Option<String> {
    let mut attributes = Vec::new();
    while !names.0.is_empty() {
        let mut set = names.inside(SET)?;
        while !set.0.is_empty() {
            let mut attribute = set.inside(SEQUENCE)?;
            let kind = attribute.inside(OBJECT_IDENTIFIER)?;
            let (_, value) = attribute.any()?;
            let name = NAMES.iter().find(|(last, _)| kind.0 == [0x55, 0x04, *last]);
            attributes.extend(name.map(|(_, name)| format!("{name}={}", text::name(&text::lossy(value)))));
        }
    }
    Some(attributes.join(", "))
}

/// A time of this tag.
fn time(kind: u8, digits: &[u8]) -> Option<SystemTime> {
    let digits = std::str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits = match (kind, digits.len()) {
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        (UTC_TIME, 12) => format!("{}{digits}", if digits < "5" { "20" } else { "19" }),
        _ => return None,
    };
    let part = |from, to| &digits[from..to];
    let [year, month, day] = [part(0, 4), part(4, 6), part(6, 8)];
    let [hour, minute, second] = [part(8, 10), part(10, 12), part(12, 14)];
    humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(names: &[(DnType, &str)], year: i32) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        params.not_after = date_time_ymd(year, 1, 2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_when_it_expires() {
        let odd = DnType::CustomDnType(vec![1, 2, 3, 4]);
        for (names, year, subject, not_after) in [
            (&[(DnType::CommonName, "till")][..], 2026, "CN=till", 1_767_312_000),
            (
                &[(DnType::OrganizationName, "shop"), (odd, "x"), (DnType::CommonName, "é\u{1b}")],
                2049,
                r"O=shop, CN=é\u{1b}",
                2_493_158_400,
            ),
            (&[], 2050, "", 2_524_694_400),
            (&[(DnType::CommonName, "x")], 1999, "CN=x", 915_235_200),
        ] {
            let not_after = Some(UNIX_EPOCH + Duration::from_secs(not_after));
            let leaf = Leaf::of(&certificate(names, year));
            assert_eq!(leaf, Some(Leaf { subject: subject.to_owned(), not_after }), "{year}");
        }
    }

    #[test]
    fn a_time_is_one_of_two_kinds() {
        let seconds = |kind, digits: &str| {
            time(kind, digits.as_bytes()).map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_secs())
        };
        for (kind, digits, expected) in [
            (UTC_TIME, "700101000001Z", Some(1)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "500101000000Z", None),
            (UTC_TIME, "20500101000000Z", None),
            (UTC_TIME, "4912312359590", None),
            (UTC_TIME, "491331235959Z", None),
            (UTC_TIME, "+91231235959Z", None),
            (0x02, "491231235959Z", None),
            (UTC_TIME, "", None),
        ] {
            assert_eq!(seconds(kind, digits), expected, "{kind:x} {digits}");
        }
    }

    /// A length that goes beyond the end, a tag of another kind, a time that is none: whatever one byte can do.
    #[test]
    fn what_is_damaged_is_none_or_another_one_and_never_a_panic() {
        let good = certificate(&[(DnType::CommonName, "till")], 2026);
        for end in 0..good.len() {
            assert_eq!(Leaf::of(&good[..end]), None, "{end}");
        }
        for at in 0..good.len().min(300) {
            for byte in [0, 1, 0x30, 0x7f, 0x80, 0x81, 0x84, 0x85, 0xff] {
                let mut damaged = good.clone();
                damaged[at] = byte;
                drop(Leaf::of(&damaged));
            }
        }
        for garbage in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80\x30\x80", b"no certificate"] {
            assert_eq!(Leaf::of(garbage), None);
        }
    }
}
