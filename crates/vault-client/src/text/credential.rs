//! What looks like a credential, wherever somebody put it by mistake: a token in `VAULT_TOKEN_FILE`, a key in
//! `VAULT_CLIENT_KEY`, a flag that takes no value.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in its place.
const MASK: &str = "***";

/// Shorter runs may be names. So many characters of hex are 16 bytes.
const SHORTEST_HEX: usize = 32;

/// The same for base64: 18 bytes.
const SHORTEST_BASE64: usize = 24;

/// `text` with `***` in the place of everything that looks like a credential:
///
/// - tokens of Vault and `OpenBao`: a prefix with enough characters behind it
///   ([prefixes](https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes),
///   [the older ones](https://openbao.org/docs/concepts/tokens/#token-prefixes), which have at least 24),
/// - a JWT: base64url parts with dots between them, the first of which is a JSON object,
/// - PEM of any kind, with its line breaks, with `\n` or with spaces in their place,
/// - a long run of base64 or hex, alone or over several lines; a SHA-256 is one, a UUID is none, and neither are the
///   short names between the slashes of a path,
/// - user and password of a URL.
///
/// # Examples
///
/// ```
/// use vault_client::text::without_credentials;
///
/// assert_eq!(without_credentials("/run/hvs.CAESIJ3pVxQe1/x"), "/run/***/x");
/// assert_eq!(without_credentials("/var/run/secrets/vault/token"), "/var/run/secrets/vault/token");
/// ```
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    let mut found = Vec::new();
    for look in [pem, user_info, tokens, jwts, runs] {
        look(text, &mut found);
    }
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    // Ranges overlap: part of a token looks like a run too.
    let mut hidden = vec![false; text.len()];
    for range in found {
        hidden[range].fill(true);
    }
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if !hidden[at] {
            out.push(c);
        } else if at == 0 || !hidden[at - 1] {
            out.push_str(MASK);
        }
    }
    Cow::Owned(out)
}

/// Where the bytes from `start` on end that `belongs` says so of. All that is looked for is ASCII, so no character is cut.
fn end_of(text: &str, start: usize, belongs: fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[start..];
    start + rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len())
}

/// Where `mark` is from `start` on; a search of the standard library's takes several times the code.
fn find(text: &str, start: usize, mark: &str) -> Option<usize> {
    let rest = text.as_bytes().get(start..)?;
    rest.windows(mark.len()).position(|bytes| bytes == mark.as_bytes()).map(|at| start + at)
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// As far as the parts of a token or a JWT go.
fn is_dotted(byte: u8) -> bool {
    is_base64url(byte) || byte == b'.'
}

fn is_base64(byte: u8) -> bool {
    is_base64url(byte) || byte == b'+' || byte == b'/'
}

fn is_pem(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+/=\\:,-".contains(&byte)
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

fn is_url(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !is_quote(byte)
}

/// From `-----BEGIN` to the end of its END line; where there is none, as far as PEM can go.
fn pem(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(start) = find(text, at, "-----BEGIN") {
        let body = start + "-----BEGIN".len();
        at = match find(text, body, "-----END") {
            Some(end) => find(text, end + 5, "-----").map_or(text.len(), |dashes| dashes + 5),
            None => end_of(text, body, is_pem),
        };
        found.push(start..at);
    }
}

/// What stands between `://` and the last `@` before the next white space or quote.
fn user_info(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(start) = find(text, at, "://").map(|at| at + 3) {
        at = end_of(text, start, is_url);
        let url = &text.as_bytes()[start..at];
        // `[user:password@]` is how this program writes that both may be there.
        let length =
            url.iter().rposition(|byte| *byte == b'@').filter(|length| *length > 0 && !url.starts_with(b"[user"));
        found.extend(length.map(|length| start..start + length));
    }
}

/// Tokens with the prefixes of Vault and `OpenBao`, and what stands behind a further dot: the namespace's ID.
fn tokens(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(dot) = find(text, at, ".") {
        let body = dot + 1;
        at = body;
        let before = &text.as_bytes()[..dot];
        let Some(name) = ["hvs", "hvb", "hvr", "s", "b", "r"].iter().find(|name| before.ends_with(name.as_bytes()))
        else {
            continue;
        };
        let start = dot - name.len();
        let alone = !before[..start].last().is_some_and(u8::is_ascii_alphanumeric);
        let enough = match (name.len(), alone) {
            (3, true) => end_of(text, body, is_base64url) >= body + 6,
            (3, false) => end_of(text, body, is_base64url) >= body + 20,
            (_, alone) => alone && end_of(text, body, is_alphanumeric) >= body + 24,
        };
        if enough {
            at = end_of(text, body, is_dotted);
            found.push(start..at);
        }
    }
}

/// At least three parts of base64url with dots between them: the first begins as `{"` does in base64, or the two behind
/// it look like nothing that a name has. Two parts are enough of the former: a JWT that was cut.
fn jwts(text: &str, found: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while at < text.len() {
        let start = end_of(text, at, |byte| !is_dotted(byte));
        at = end_of(text, start, is_dotted);
        let header = find(&text[..at], start, "eyJ").filter(|header| {
            let dot = end_of(text, *header, is_base64url);
            dot >= header + 10 && dot < at && end_of(text, dot + 1, is_base64url) >= dot + 5
        });
        let (mut first, mut second) = (false, false);
        let three = header.is_none()
            && text[start..at].split('.').any(|part| {
                let random = part.len() >= 16 && Piece::new(0, part).classes == [true; 3];
                let tells = second && random;
                (first, second) = (part.len() >= 10, first && random);
                tells
            });
        if three || header.is_some() {
            found.push(header.unwrap_or(start)..at);
        }
    }
}

/// A word that base64 or hex can be, and what stands between it and the one before.
struct Word {
    range: Range<usize>,
    gap: Gap,
    /// What of it is a run, or the whole of it where its neighbour is one.
    hidden: Vec<Range<usize>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gap {
    Lines,
    Spaces,
    Other,
}

/// Long runs of base64 or hex. What stands in the next line belongs to them, and so does what follows a space in the
/// place of a line break.
fn runs(text: &str, found: &mut Vec<Range<usize>>) {
    let mut words = words(text);
    let wrapped = |word: &Word| word.hidden.last().is_some_and(|hidden| hidden.end == word.range.end);
    for n in 1..words.len() {
        let length = words[n].range.len();
        let last = text.as_bytes().get(words[n].range.end).is_none_or(|byte| is_quote(*byte));
        let belongs = match words[n].gap {
            Gap::Lines => true,
            Gap::Spaces => length >= 16 || last,
            Gap::Other => false,
        };
        if belongs && wrapped(&words[n - 1]) {
            words[n].hidden = std::iter::once(words[n].range.clone()).collect();
        }
    }
    for n in (1..words.len()).rev() {
        let belongs = words[n].gap != Gap::Other && words[n - 1].range.len() >= SHORTEST_BASE64;
        if belongs && wrapped(&words[n]) {
            words[n - 1].hidden = std::iter::once(words[n - 1].range.clone()).collect();
        }
    }
    for mut word in words {
        found.append(&mut word.hidden);
    }
}

fn words(text: &str) -> Vec<Word> {
    let bytes = text.as_bytes();
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let between = at;
        let mut gap = Gap::Spaces;
        while let Some(byte) = bytes.get(at).filter(|byte| !is_base64(**byte)) {
            let written = *byte == b'\\' && matches!(bytes.get(at + 1), Some(b'n' | b'r'));
            gap = match byte {
                _ if gap == Gap::Other => Gap::Other,
                b'\n' | b'\r' => Gap::Lines,
                _ if written => Gap::Lines,
                b' ' | b'\t' => gap,
                _ => Gap::Other,
            };
            at += 1 + usize::from(written);
        }
        if at == bytes.len() {
            break;
        }
        let gap = if at == between { Gap::Other } else { gap };
        let start = at;
        at = end_of(text, start, is_base64);
        let mut hidden = in_word(text, start..at);
        let padding = end_of(text, at, |byte| byte == b'=').min(at + 2);
        if let Some(last) = hidden.last_mut().filter(|last| last.end == at) {
            last.end = padding;
        }
        at = padding;
        words.push(Word { range: start..at, gap, hidden });
    }
    words
}

/// The runs in a word. Base64 holds slashes, and so does a path: what stands before the first piece that looks random is
/// the path's, and a word of short pieces only is one.
fn in_word(text: &str, word: Range<usize>) -> Vec<Range<usize>> {
    let mut at = word.start;
    let pieces: Vec<_> = pieces(&text[word.clone()])
        .map(|text| {
            let piece = Piece::new(at, text);
            at += text.len() + 1;
            piece
        })
        .collect();
    if let Some(first) = pieces.iter().position(Piece::is_random) {
        // Back to the last name, which begins with something longer than chance leaves in base64.
        let names = pieces[..first].iter().rposition(|piece| piece.changes == 0 && piece.text.len() > 2);
        let run = &pieces[names.map_or(0, |name| name + 1)..];
        let run = &run[run.iter().position(|piece| piece.changes > 0).unwrap_or_default()..];
        let mixed = run.iter().filter(|piece| piece.changes > 0);
        if mixed.map(|piece| piece.text.len()).sum::<usize>() >= SHORTEST_BASE64 && is_random(run) {
            return std::iter::once(run[0].at..word.end).collect();
        }
    }
    let hex = |piece: &&Piece| {
        let hex = piece.text.bytes().all(|byte| byte.is_ascii_hexdigit());
        piece.text.len() >= SHORTEST_HEX && hex && piece.classes[DIGIT]
    };
    pieces.iter().filter(hex).map(|piece| piece.at..piece.at + piece.text.len()).collect()
}

/// Whether one piece is long enough to tell, or all of them together change their classes as often as chance does; where
/// there is no digit, which is rare in keys, the piece has to tell more.
fn is_random(run: &[Piece]) -> bool {
    let all = (0..3).all(|class| run.iter().any(|piece| piece.classes[class]));
    let (pairs, changes) = run
        .iter()
        .fold((0, 0), |(pairs, changes), piece| (pairs + piece.text.len().saturating_sub(1), changes + piece.changes));
    let tells = |piece: &Piece| {
        let length = piece.text.len();
        if all { length >= 12 } else { length >= 16 && 2 * piece.changes >= length }
    };
    run.iter().any(|piece| piece.is_random() && tells(piece)) || all && 100 * changes >= 55 * pairs
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}

/// Letters and digits between what separates names, and how capitals, small letters and digits follow one another in
/// them: in random base64 two of three neighbours differ in that, in names one of three at most.
struct Piece<'a> {
    at: usize,
    text: &'a str,
    /// Capital, small, digit: whether there is one.
    classes: [bool; 3],
    changes: usize,
}

const DIGIT: usize = 2;

impl<'a> Piece<'a> {
    fn new(at: usize, text: &'a str) -> Self {
        let class = |byte: u8| if byte.is_ascii_digit() { DIGIT } else { usize::from(byte.is_ascii_lowercase()) };
        let mut classes = [false; 3];
        text.bytes().for_each(|byte| classes[class(byte)] = true);
        let changes = text.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
        Self { at, text, classes, changes }
    }

    fn is_random(&self) -> bool {
        self.text.len() >= 8 && 3 * self.changes > self.text.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    const LINE: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgo7J9mXwQ1bZr4Kfc";

    #[test]
    fn what_looks_like_a_credential_is_hidden_and_what_stands_around_it_is_not() {
        let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOlsidmF1bHQiXX0.c2lnbmF0dXJl";
        let hex = "3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea";
        for (text, shown) in [
            ("hvs.CAESIJ3pVxQe1", "***"),
            ("hvb.AAAAAQL_tyer_gNuQqvQYPVQgsNxjap_YW1NB2m4CDHHadQo7rF2XLFGdw", "***"),
            ("s.raPGTZdARXdY0KvHcWSpp5wWZIHNT", "***"),
            ("b.n6keuKu5Q6pXhaIcfnC9cFNd.nAmEs", "***"),
            ("--r.JaKnR2AIHNk3fC4SGyyyDVoQ9O", "--***"),
            ("unexpected argument '--hvs.CAESIJ3pVxQe1' found", "unexpected argument '--***' found"),
            ("/run/hvs.CAESIJ3pVxQe1/x, b", "/run/***/x, b"),
            ("xhvs.CAESIJ3pVxQe1aBcDeFgHi", "x***"),
            (jwt, "***"),
            (&jwt[..jwt.len() - 13], "***"),
            (&format!("(Bearer {jwt})"), "(Bearer ***)"),
            ("https://me:hunter2@vault:8200/x", "https://***@vault:8200/x"),
            ("postgres://me:hunter/2@db", "postgres://***@db"),
            ("-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY----- x", "*** x"),
            (r"-----BEGIN KEY-----\nhunter2\n-----END KEY-----\n", r"***\n"),
            ("'-----BEGIN KEY----- hunter2 abc=' found", "'***' found"),
            (LINE, "***"),
            (&format!("{LINE}\n{LINE}\nAb1=\n"), "***\n***\n***\n"),
            (&format!(r"{LINE}\n{LINE}\nAb1="), r"***\n***\n***"),
            (&format!("'{LINE} {LINE} Ab1=' found"), "'*** *** ***' found"),
            (&format!("secret kv/{LINE} version 3"), "secret kv/*** version 3"),
            ("wJalrXUtn1EMI/K7MDENG/bPxRf2CYzXaM9LqKdY", "***"),
            ("kM3v9Zq1Xw8Lr2Tn5Bc7Yd0Fs4Gh6JpQaEuIoVxRtKw=", "***"),
            (hex, "***"),
            (&format!("/images/sha256/{hex}/rootfs"), "/images/sha256/***/rootfs"),
            (&hex[..32], "***"),
        ] {
            assert_eq!(without_credentials(text), shown, "{text}");
        }
    }

    #[test]
    fn what_settings_hold_otherwise_is_shown() {
        for text in [
            "https://vault.vault.svc.cluster.local:8200/prefix",
            "/var/run/secrets/kubernetes.io/serviceaccount/token",
            "/var/lib/kubelet/pods/123e4567-e89b-12d3-a456-426614174000/volumes/kubernetes.io~projected/vault-token",
            "/usr/local/share/applications/Product2/EuCentral1/Backend/Config/Values",
            "/Users/JohnDoe2/Projects/MyApp/K8sConfig/TlsCerts/V2/Ca1",
            "/opt/App1/V2/K8s/Eu1/Db3/X9y/Ab1/Cd2/Ef3/Gh4/Ij5",
            "kv/data/shop/prod, kv/data/shop/stage",
            "payments-service-worker-eu-central-1-production-2026-11-30",
            "ApplicationConfigurationPropertiesOfTheBackend2",
            "com.example.ShopApplication2.PaymentServiceV2.Main",
            "vaults.example.internal, hvs.io, /etc/hvs.conf",
            "API_KEY_FOR_THE_PAYMENT_PROVIDER_V2,DATABASE_URL_OF_THE_REPLICA",
            "0123456789abcdef0123456789abcde",
            "http://[user:password@]host:port",
            "a mail to me@example.com about 30s, 1m30s",
            "2026-11-30T04:34:01.123456789Z",
            "",
        ] {
            assert_eq!(without_credentials(text), text);
        }
        let long = "x".repeat(70);
        assert_eq!(without_credentials(&long), long);
    }

    #[test]
    fn a_long_text_of_short_names_is_looked_at_once() {
        for part in ["a/", "B.", "hvs.", "hvs.abcdef.", "eyJ", "eyJ.", "s.", "://", "-----BEGIN", "a b ", "=", "\\n"] {
            drop(without_credentials(&part.repeat((128 << 10) / part.len())));
        }
    }

    /// Numbers that look random and are the same in each run: <https://prng.di.unimi.it/splitmix64.c>.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn of_five_hundred_random_keys_one_at_most_is_seen_wherever_it_stands() {
        let mut state = 1;
        let mut seen = Vec::new();
        for n in 0..5_000 {
            let bytes: Vec<u8> = (0..[30, 32, 48, 64][n % 4]).map(|_| random(&mut state).to_le_bytes()[0]).collect();
            let before = ["", "/run/secrets/", "--check=", "kv/data/shop/", "'", "a, "][n % 6];
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            for secret in [BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE_NO_PAD.encode(&bytes), hex.concat()] {
                let shown = without_credentials(&format!("{before}{secret}")).into_owned();
                // Less of one is of no use.
                if secret.as_bytes().windows(12).any(|part| shown.contains(str::from_utf8(part).unwrap())) {
                    seen.push(shown);
                }
            }
        }
        assert!(seen.len() < 20, "{} {seen:#?}", seen.len());
    }
}
