use proptest::prelude::*;

use super::*;

#[test]
fn a_path_is_decoded_once_and_split_afterwards() {
    let longest = "a".repeat(MAX_BYTES);
    for (raw, path) in [
        ("db", Ok("db")),
        ("apps/shop/config", Ok("apps/shop/config")),
        ("apps%2Fshop%2fconfig", Ok("apps/shop/config")),
        ("%64b", Ok("db")),
        ("caf%C3%A9/%E6%97%A5%E6%9C%AC", Ok("café/日本")),
        ("café", Ok("café")),
        ("...", Ok("...")),
        ("..a/.b/c..", Ok("..a/.b/c..")),
        ("!\"$&'()+,-.:;<=>@[]^_`{|}~", Ok("!\"$&'()+,-.:;<=>@[]^_`{|}~")),
        (&longest, Ok(&longest)),
        ("", Err(BadPath::Empty)),
        ("/", Err(BadPath::Empty)),
        ("/db", Err(BadPath::Empty)),
        ("db/", Err(BadPath::Empty)),
        ("a//b", Err(BadPath::Empty)),
        ("a%2F/b", Err(BadPath::Empty)),
        (".", Err(BadPath::Dots)),
        ("a/../b", Err(BadPath::Dots)),
        ("a/%2e%2E/b", Err(BadPath::Dots)),
        ("shop%2F..%2Fother%2Fx", Err(BadPath::Dots)),
        ("%", Err(BadPath::Escape)),
        ("a%2", Err(BadPath::Escape)),
        ("a%zz", Err(BadPath::Escape)),
        ("a%+1", Err(BadPath::Escape)),
        ("%u002e", Err(BadPath::Escape)),
        ("a%%41", Err(BadPath::Escape)),
        ("a%FF", Err(BadPath::Utf8)),
        ("a%C0%AEb", Err(BadPath::Utf8)),
        ("%ED%A0%80", Err(BadPath::Utf8)),
        ("a%252Fb", Err(BadPath::Character)),
        ("a%3Fb", Err(BadPath::Character)),
        ("a%23b", Err(BadPath::Character)),
        ("a%5Cb", Err(BadPath::Character)),
        ("a*", Err(BadPath::Character)),
        ("*", Err(BadPath::Character)),
        ("a b", Err(BadPath::Character)),
        ("a%00", Err(BadPath::Character)),
        ("a%7F", Err(BadPath::Character)),
        ("a%0Ab", Err(BadPath::Character)),
        ("cafe%CC%81", Err(BadPath::Character)),
        ("%E2%80%AEa", Err(BadPath::Character)),
        (&format!("{longest}a"), Err(BadPath::Long)),
        (&"é".repeat(257), Err(BadPath::Long)),
    ] {
        assert_eq!(SecretPath::parse(raw).as_ref().map(SecretPath::as_str).map_err(|bad| *bad), path, "{raw}");
    }
}

#[test]
fn a_folder_may_end_in_one_slash_and_nothing_is_the_root() {
    for (raw, folder) in [
        ("", Ok(None)),
        ("apps", Ok(Some("apps"))),
        ("apps/", Ok(Some("apps"))),
        ("apps%2F", Ok(Some("apps"))),
        ("apps/web/", Ok(Some("apps/web"))),
        ("/", Err(BadPath::Empty)),
        ("//", Err(BadPath::Empty)),
        ("apps//", Err(BadPath::Empty)),
        ("/apps", Err(BadPath::Empty)),
        ("../", Err(BadPath::Dots)),
        ("%2E%2E%2F", Err(BadPath::Dots)),
        ("%2", Err(BadPath::Escape)),
    ] {
        let found = SecretPath::parse_folder(raw);
        let found = found.as_ref().map(|folder| folder.as_ref().map(SecretPath::as_str)).map_err(|bad| *bad);
        assert_eq!(found, folder, "{raw}");
    }
}

#[test]
fn in_the_configuration_nothing_is_decoded() {
    for (text, path) in [
        ("team/a", Ok("team/a")),
        ("team%2Fa", Err(BadPath::Character)),
        ("%61", Err(BadPath::Character)),
        ("team/", Err(BadPath::Empty)),
        ("", Err(BadPath::Empty)),
        ("a/..", Err(BadPath::Dots)),
    ] {
        assert_eq!(SecretPath::of_canonical(text).as_ref().map(SecretPath::as_str).map_err(|bad| *bad), path, "{text}");
    }
}

/// Spellings of `..` and of `.`: plain, encoded in part, once or twice, overlong, look-alikes, with something after them.
const DOTS: [&str; 20] = [
    "..",
    ".",
    "%2e%2e",
    "%2E%2e",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%25%32%65%25%32%65",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%f0%80%80%ae%f0%80%80%ae",
    "%ef%bc%8e%ef%bc%8e",
    "%e2%80%a4%e2%80%a4",
    "%e2%80%a5",
    "%u002e%u002e",
    "..%00",
    "..%20",
    "..%09",
    "..;",
    "..;a=b",
];

/// Spellings of `/`.
const SLASHES: [&str; 12] =
    ["/", "%2f", "%2F", "\\", "%5c", "%252f", "%c0%af", "%e0%80%af", "%ef%bc%8f", "%e2%88%95", "//", "%u2215"];

/// What a server makes of a path that has already been accepted, at its most generous: it decodes again and again, takes
/// every look-alike for the real thing, cuts white space off and resolves dots.
fn resolved(path: &str) -> Option<Vec<String>> {
    let mut text = path.to_owned();
    for _ in 0..3 {
        text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    }
    let text = text.replace(['\\', '\u{ff0f}', '\u{2215}'], "/").replace(['\u{ff0e}', '\u{2024}'], ".");
    let mut found: Vec<String> = Vec::new();
    for segment in text.replace('\u{2025}', "..").split('/') {
        match segment.trim_matches(|c: char| c.is_whitespace() || c.is_control()) {
            "" | "." => {}
            ".." => drop(found.pop()?),
            segment => found.push(segment.to_owned()),
        }
    }
    Some(found)
}

#[test]
fn each_spelling_of_traversal_is_refused_or_stays_below_the_prefix() {
    let (mut spellings, mut accepted) = (0, Vec::new());
    for dots in DOTS {
        for slash in SLASHES {
            for raw in
                [format!("shop{slash}{dots}{slash}other"), format!("{dots}{slash}other"), format!("a{slash}{dots}")]
            {
                spellings += 1;
                let Ok(path) = SecretPath::parse(&raw) else { continue };
                let expected: Vec<_> = path.segments().map(str::to_owned).collect();
                assert_eq!(resolved(path.as_str()), Some(expected), "{raw}");
                accepted.push(raw);
            }
        }
    }
    assert_eq!(spellings, 720);
    // A segment that begins with two dots is a name like any other; nothing else gets through.
    assert!(accepted.iter().all(|raw| raw.contains("..;")), "{accepted:?}");
}

#[test]
fn the_sentences_are_one_line_and_show_nothing_of_the_path() {
    for raw in ["%zzTOPSECRET", "%FFTOPSECRET", "TOPSECRET//", "TOPSECRET/..", "TOPSECRET*", &"TOPSECRET".repeat(99)] {
        let text = SecretPath::parse(raw).unwrap_err().to_string();
        assert!(!text.contains("TOPSECRET") && text.lines().count() == 1 && text.starts_with("the path "), "{text}");
    }
}

/// Percent-encodes each byte for which `also` says so, and each that a URL cannot have.
fn encoded(path: &str, also: impl Fn(usize) -> bool) -> String {
    let encode = |(at, byte): (usize, u8)| match byte {
        b'/' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' if !also(at) => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    path.bytes().enumerate().map(encode).collect()
}

proptest! {
    #[test]
    fn what_is_a_path_is_the_same_path_when_it_is_encoded_and_read_again(
        raw in prop_oneof!["[a-c./%2eF*é-]{0,24}", "(([a-z]|%[2-7][0-9A-F]|é|日|[.]){1,5}/?){1,5}", ".{0,40}"],
        mask in any::<u64>(),
    ) {
        if let Ok(path) = SecretPath::parse(&raw) {
            prop_assert_eq!(SecretPath::of_canonical(path.as_str()), Ok(path.clone()));
            let again = encoded(path.as_str(), |at| mask >> (at % 64) & 1 == 1);
            prop_assert_eq!(SecretPath::parse(&again), Ok(path.clone()));
            prop_assert_eq!(path.segments().collect::<Vec<_>>().join("/"), path.as_str());
            for segment in path.segments() {
                prop_assert!(!["", ".", ".."].contains(&segment));
                let forbidden = ['%', '?', '#', '\\', '*', ' ', '\u{7f}'];
                prop_assert!(!segment.contains(forbidden));
                prop_assert!(!segment.chars().any(|c| c.is_control() || c.is_whitespace()));
            }
        }
    }
}
