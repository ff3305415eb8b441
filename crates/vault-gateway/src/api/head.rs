//! The head of a request: what is refused for its form, and the token in it.

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Version};

use crate::problem::{Kind, Problem};

/// The header with a request's id, of callers and of answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids of callers are not noted.
const LONGEST_ID: usize = 128;

/// Refuses a head that is too large or ambiguous, or that says no host.
///
/// # Errors
///
/// 431 and 400.
pub fn check(head: &Parts, most: usize) -> Result<(), Problem> {
    if size(head) > most {
        let problem = Problem::new(
            Kind::TooLarge,
            format!("the head is larger than {most} bytes; send fewer or shorter headers"),
        );
        return Err(problem.with_status(431));
    }
    for name in [HOST, AUTHORIZATION] {
        if head.headers.get_all(name).iter().nth(1).is_some() {
            return Err(Problem::new(
                Kind::Path,
                "a header that counts once stands twice; send Host and Authorization once",
            ));
        }
    }
    if has_host(head) {
        Ok(())
    } else {
        Err(Problem::new(Kind::Path, "the header Host is missing or names no host; send the host of the service"))
    }
}

/// Whether `Host` names a host and perhaps a port. Only HTTP/1.0 may do without.
/// [RFC 9112, 3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)
fn has_host(head: &Parts) -> bool {
    let Some(host) = head.headers.get(HOST) else { return head.version < Version::HTTP_11 };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    // An authority may have a user before its host, and its port is looked at only here.
    let is_port = |rest: &str| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|port| {
                port.bytes().all(|it| it.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok())
            })
    };
    !name.is_empty() && authority.as_str().strip_prefix(name).is_some_and(is_port)
}

/// The bytes of a head as it came, less than a line for the method.
fn size(head: &Parts) -> usize {
    // Each has a colon, a space and a line's end.
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    head.uri.path_and_query().map_or(0, |it| it.as_str().len()) + headers.sum::<usize>()
}

/// The token of `Authorization: Bearer …`, with `Bearer` in any case.
/// [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-2.1)
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// The id that the caller gave the request, where it is short and plain.
pub fn id_of_the_caller(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then_some(id)
}

/// Whether the caller wants an answer that is read anew.
/// [RFC 9111](https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.4)
pub fn wants_anew(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(axum::http::header::CACHE_CONTROL).iter().filter_map(|it| it.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-cache"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let build = |builder: axum::http::request::Builder, (name, value): &(&str, &str)| builder.header(*name, *value);
        headers.iter().fold(Request::get("/vault/list?limit=1"), build).body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_head_is_refused_for_its_size_and_for_headers_that_stand_twice() {
        let status = |headers: &[(&str, &str)], most| check(&parts(headers), most).map_err(|problem| problem.status);
        assert_eq!(status(&[("host", "b")], 28), Ok(()));
        assert_eq!(status(&[("host", "b")], 27), Err(431));
        assert_eq!(status(&[("host", "a"), ("host", "a")], 99), Err(400));
        assert_eq!(status(&[("authorization", "a"), ("Authorization", "b")], 99), Err(400));
        assert_eq!(status(&[("host", "a"), ("accept", "a"), ("accept", "b")], 99), Ok(()));
    }

    #[test]
    fn a_head_says_a_host() {
        let outcome = |host: Option<&str>, version| {
            let mut parts = parts(&host.map(|host| ("host", host)).into_iter().collect::<Vec<_>>());
            parts.version = version;
            check(&parts, 999).map_err(|problem| problem.status)
        };
        for (host, expected) in [
            ("localhost", Ok(())),
            ("gateway.example:8443", Ok(())),
            ("127.0.0.1:8443", Ok(())),
            ("[::1]", Ok(())),
            ("[::1]:8443", Ok(())),
            ("gateway.example:", Ok(())),
            ("", Err(400)),
            (":8443", Err(400)),
            ("a b", Err(400)),
            ("a/b", Err(400)),
            ("a?b", Err(400)),
            ("a:b", Err(400)),
            ("a:65536", Err(400)),
            ("a:+1", Err(400)),
            ("a, b", Err(400)),
            ("user@a", Err(400)),
            ("http://a", Err(400)),
            ("[::1", Err(400)),
            ("é", Err(400)),
        ] {
            assert_eq!(outcome(Some(host), Version::HTTP_11), expected, "{host}");
        }
        assert_eq!([Version::HTTP_11, Version::HTTP_10].map(|it| outcome(None, it)), [Err(400), Ok(())]);
        assert_eq!(outcome(Some("a b"), Version::HTTP_10), Err(400));
    }

    #[test]
    fn a_token_is_what_stands_behind_bearer() {
        for (value, expected) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bEARER  a", Some("a")),
            ("Bearer", None),
            ("Bearera", None),
            ("Basic a", None),
            ("Bearer a b", Some("a b")),
        ] {
            assert_eq!(bearer(&parts(&[("authorization", value)]).headers), expected, "{value}");
        }
    }

    #[test]
    fn an_id_of_the_caller_is_noted_where_it_is_short_and_plain() {
        let long = "a".repeat(129);
        for (value, expected) in [("a-1", Some("a-1")), ("", None), ("a b", None), (&long, None), ("é", None)] {
            assert_eq!(id_of_the_caller(&parts(&[("x-request-id", value)]).headers), expected, "{value}");
        }
    }
}
