//! Bodies of requests: their media type, their size, their JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use vault_client::json::Object;
use zeroize::Zeroizing;

use super::apart::apart;
use crate::limits::Room;
use crate::problem::{Kind, Problem};
use crate::route::{distinct, is_version};

/// Deeper objects and arrays are refused.
const DEEPEST: usize = 64;

/// A body of JSON: `application/json`, with parameters or without.
pub const JSON: &str = "application/json";
/// A merge patch. [RFC 7396](https://www.rfc-editor.org/rfc/rfc7396#section-4)
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// The most bytes of a body of some numbers of versions. It is read where all callers are served.
pub const NUMBERS: usize = 64 * 1024;

/// A body that was sent.
pub struct Sent {
    /// What it is.
    pub object: Object,
    /// How many bytes it had.
    pub bytes: usize,
    /// The memory for it and for what is sent on of it.
    pub room: Arc<Room>,
}

/// Reads a body that must be an object of this media type, of at most `most` bytes, into `room`.
///
/// # Errors
///
/// 415, 413, 400, or 503 where there is no memory for it.
pub async fn object(
    headers: &HeaderMap,
    body: Body,
    media: &'static str,
    most: usize,
    mut room: Room,
) -> Result<Sent, Problem> {
    demand_media(headers, media)?;
    let document = read(headers, body, most, &mut room).await?;
    let bytes = document.len();
    // What is made of it, to be sent on, is as large.
    take(&mut room, bytes)?;
    let object = apart(bytes, move || parse(document)).await??;
    Ok(Sent { object, bytes, room: Arc::new(room) })
}

fn parse(document: Zeroizing<Vec<u8>>) -> Result<Object, Problem> {
    if depth(&document) > DEEPEST {
        return Err(Problem::new(Kind::Body, "the body is nested deeper than 64 levels"));
    }
    // Nothing of what is wrong is repeated: it may be part of a secret.
    Object::read(&Arc::new(document), || true).map_err(|_| {
        Problem::new(Kind::Body, "the body is no JSON object, or has a name twice; send one object with distinct names")
    })
}

/// A version in a body: a number without a fraction, as the integers of JSON Schema are, so that 2.0 is 2.
/// [JSON Schema](https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.3)
#[derive(serde::Deserialize)]
#[serde(try_from = "serde_json::Number")]
struct Version(u64);

impl TryFrom<serde_json::Number> for Version {
    type Error = &'static str;

    fn try_from(number: serde_json::Number) -> Result<Self, Self::Error> {
        let of_float = |float: f64| (float.fract() == 0.0).then(|| format!("{float:.0}").parse().ok()).flatten();
        let whole = number.as_u64().or_else(|| number.as_f64().and_then(of_float));
        whole.filter(|whole| is_version(*whole)).map(Self).ok_or("no version")
    }
}

/// The versions of `{"versions":[1,2]}`.
///
/// # Errors
///
/// 400 where it is anything else.
pub fn versions(body: &Object) -> Result<Vec<u64>, Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Versions {
        versions: Vec<Version>,
    }
    let read: Option<Versions> = serde_json::from_str(&body.json().compact()).ok();
    read.and_then(|read| distinct(read.versions.into_iter().map(|version| version.0).collect()))
        .ok_or_else(|| Problem::new(Kind::Body, r#"the body is no {"versions":[1,2]} of 1 to 100 distinct versions"#))
}

/// The version of `{"to":2}`.
///
/// # Errors
///
/// 400 where it is anything else.
pub fn to(body: &Object) -> Result<u64, Problem> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct To {
        to: Version,
    }
    let read: Option<To> = serde_json::from_str(&body.json().compact()).ok();
    read.map(|read| read.to.0)
        .ok_or_else(|| Problem::new(Kind::Body, r#"the body is no {"to":2} with a version from 1 on"#))
}

fn demand_media(headers: &HeaderMap, media: &'static str) -> Result<(), Problem> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let essence =
        types.next().and_then(|it| it.to_str().ok()).map(|it| it.split(';').next().unwrap_or_default().trim());
    let is_plain = !headers.contains_key(CONTENT_ENCODING);
    if essence.is_some_and(|it| it.eq_ignore_ascii_case(media)) && types.next().is_none() && is_plain {
        return Ok(());
    }
    Err(Problem::new(Kind::MediaType, format!("send the body as {media}, without an encoding")))
}

/// All of a body, in a buffer that is wiped. It grows with what has come: a length that is told is not believed.
async fn read(
    headers: &HeaderMap,
    mut body: Body,
    most: usize,
    room: &mut Room,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let too_large = || Problem::new(Kind::TooLarge, format!("the body is larger than {most} bytes; send less"));
    let told = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > most) {
        return Err(too_large());
    }
    let most_needed = told.unwrap_or(most);
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Body, "the body ended too early"))?;
        let Some(data) = frame.data_ref() else { continue };
        if data.len() > most - bytes.len() {
            return Err(too_large());
        }
        let needed = bytes.len() + data.len();
        if needed > bytes.capacity() {
            grow(&mut bytes, (2 * needed).min(most_needed).max(needed), room)?;
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes)
}

/// Moves what is in the buffer into one of this capacity. The old one is wiped.
fn grow(bytes: &mut Zeroizing<Vec<u8>>, capacity: usize, room: &mut Room) -> Result<(), Problem> {
    let before = room.bytes();
    take(room, capacity)?;
    let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
    larger.extend_from_slice(bytes);
    *bytes = larger;
    room.give_back(before);
    Ok(())
}

fn take(room: &mut Room, bytes: usize) -> Result<(), Problem> {
    if room.take(bytes) {
        return Ok(());
    }
    Err(Problem::new(Kind::Busy, "the bodies under way take all memory that is meant for them; send it again later")
        .after(1))
}

/// How deep objects and arrays are nested, as far as it is JSON.
fn depth(document: &[u8]) -> usize {
    let (mut open, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => open += 1,
            b'}' | b']' if !is_text => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use bytes::Bytes;
    use futures_util::{FutureExt as _, StreamExt as _, stream};

    use super::*;
    use crate::limits::Bodies;

    async fn outcome(media: &[&'static str], text: &'static str) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        for media in media {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        let read = object(&headers, Body::from(text), JSON, 40, Bodies::new(1000).room("team-a")).await;
        read.map(|it| it.object.json().compact().to_string()).map_err(|problem| problem.status)
    }

    #[tokio::test]
    async fn a_body_is_one_strict_object_of_the_right_type_and_size() {
        for (media, text, expected) in [
            (&[JSON][..], r#"{"a": 1.10}"#, Ok(r#"{"a":1.10}"#.to_owned())),
            (&["application/JSON ; charset=utf-8"], "{}", Ok("{}".to_owned())),
            (&[], "{}", Err(415)),
            (&["text/json"], "{}", Err(415)),
            (&[MERGE_PATCH], "{}", Err(415)),
            (&[JSON, JSON], "{}", Err(415)),
            (&[JSON], "[]", Err(400)),
            (&[JSON], "", Err(400)),
            (&[JSON], r#"{"a":1,"\u0061":2}"#, Err(400)),
            (&[JSON], r#"{"a":{"b":1,"b":2}}"#, Err(400)),
            (
                &[JSON],
                r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1}"#,
                Ok(r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1}"#.to_owned()),
            ),
            (&[JSON], r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1}"#, Err(413)),
        ] {
            assert_eq!(outcome(media, text).await, expected, "{media:?} {text}");
        }
    }

    /// These parts, and then nothing more: the rest does not come.
    fn held(parts: &[usize]) -> Body {
        let parts: Vec<_> = parts.iter().map(|len| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; *len]))).collect();
        Body::from_stream(stream::iter(parts).chain(stream::pending()))
    }

    #[test]
    fn a_body_takes_the_memory_of_what_has_come_and_not_of_the_length_that_is_told() {
        let bodies = Bodies::new(1000);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("300"));
        let upload = |parts: &[usize]| {
            let (headers, room, body) = (headers.clone(), bodies.room("team-a"), held(parts));
            Box::pin(async move { object(&headers, body, JSON, 400, room).await.map(drop) })
        };
        let mut uploads = Vec::new();
        for (parts, taken) in [(&[][..], 0), (&[10], 20), (&[10, 5, 5], 40), (&[10, 20], 100), (&[160], 400)] {
            let mut upload = upload(parts);
            assert!((&mut upload).now_or_never().is_none(), "{parts:?}");
            assert_eq!(bodies.taken(), taken, "{parts:?}");
            uploads.push(upload);
        }
        // Half of all is what one tenant has.
        let refused = upload(&[60]).now_or_never().unwrap().err().unwrap();
        assert_eq!((refused.kind, refused.status, refused.retry_after), (Kind::Busy, 503, Some(1)));
        assert_eq!(bodies.taken(), 400);
        drop(uploads);
        assert_eq!(bodies.taken(), 0);
    }

    #[tokio::test]
    async fn a_body_that_was_read_keeps_memory_for_itself_and_for_what_is_sent_on_of_it() {
        let bodies = Bodies::new(1000);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(192));
        let read = |room| object(&headers, Body::from(text.clone()), JSON, 200, room);
        let first = read(bodies.room("team-a")).await.ok().unwrap();
        assert_eq!((first.bytes, first.room.bytes(), bodies.taken()), (200, 400, 400));
        assert_eq!(read(bodies.room("team-a")).await.err().map(|it| it.kind), Some(Kind::Busy));
        assert!(read(bodies.room("team-b")).await.is_ok());
        drop(first);
        assert_eq!(bodies.taken(), 0);
    }

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        for (text, expected) in [("{}", 1), (r#"{"[[[":"]\"[["}"#, 1), (r#"{"a":[[1],{"b":[]}]}"#, 4), ("]]]{", 1)] {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn versions_and_their_kin_are_taken_whole_or_refused() {
        let parse = |text: &str| Object::parse(text.as_bytes()).unwrap();
        for (text, expected) in [
            (r#"{"versions":[2,1]}"#, Some(vec![2, 1])),
            (r#"{"versions":[]}"#, None),
            (r#"{"versions":[0]}"#, None),
            (r#"{"versions":[1,1]}"#, None),
            (r#"{"versions":["1"]}"#, None),
            (r#"{"versions":[1.0,2e1]}"#, Some(vec![1, 20])),
            (r#"{"versions":[1,1.0]}"#, None),
            (r#"{"versions":[1.5]}"#, None),
            (r#"{"versions":[9223372036854775807]}"#, Some(vec![9_223_372_036_854_775_807])),
            (r#"{"versions":[9223372036854775808]}"#, None),
            (r#"{"versions":[1e30]}"#, None),
            (r#"{"versions":[1],"x":1}"#, None),
            ("{}", None),
        ] {
            assert_eq!(versions(&parse(text)).ok(), expected, "{text}");
        }
        for (text, expected) in [
            (r#"{"to":2}"#, Some(2)),
            (r#"{"to":0}"#, None),
            (r#"{"to":2.0}"#, Some(2)),
            (r#"{"to":-1}"#, None),
            (r#"{"to":-0.0}"#, None),
            ("{}", None),
        ] {
            assert_eq!(to(&parse(text)).ok(), expected, "{text}");
        }
    }
}
