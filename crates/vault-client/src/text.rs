//! Texts of others, made fit for one line of a log: what a server says, flat, escaped, cut and free of every secret
//! known here; and what somebody wrote into a setting, a path or a flag, escaped and without what looks like a credential.

mod credential;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

pub use credential::without_credentials;

/// Longer texts are cut.
const MAX_CHARS: usize = 300;

/// Of longer ones nothing is shown: searching them for every secret takes too long, and one that is cut before may end in
/// the middle of a secret.
const MAX_BYTES: usize = 4 << 10;

/// Of so many secrets the pieces are remembered.
const MOST_SECRETS: usize = 32;

/// The same of tokens: the one in hand, and those that it has replaced.
const MOST_TOKENS: usize = 4;

/// Longer names are cut: whoever writes the secret must not fill a log or a screen.
const LONGEST_NAME: usize = 100;

/// Shorter pieces are no secrets worth the name, and replacing them would garble the rest.
const MIN_SECRET: usize = 6;

/// The same for parts of a secret: the parts of a JWT, the lines of a key.
const MIN_PART: usize = 16;

/// The secrets that this client has seen or sent, to be struck out of what comes back. It remembers the last 32 of them
/// (a token, a JWT, the values of one read): a client that lives for weeks is not to collect all that it has read.
///
/// # Examples
///
/// ```
/// use vault_client::text::Scrubber;
///
/// let scrubber = Scrubber::default();
/// scrubber.learn("hvs.example");
/// assert_eq!(scrubber.clean(&["1 error:\n\t* no token hvs.example"]), "1 error: * no token ***");
/// ```
#[derive(Default)]
pub struct Scrubber(Mutex<Known>);

/// The texts of one secret, as they came: they are taken apart where there is something to clean, which is seldom.
type Texts = Vec<Zeroizing<String>>;

#[derive(Default)]
struct Known {
    /// The last one last.
    secrets: VecDeque<Texts>,
    /// The same of credentials: a login is refused in words that may repeat its own, however much was read meanwhile.
    credentials: VecDeque<Texts>,
    /// The same of tokens: the one in hand is not forgotten for what is read with it.
    tokens: VecDeque<Texts>,
    /// There may be secrets that are not among them.
    incomplete: bool,
    /// Nothing that was read is forgotten.
    forgets_nothing: bool,
}

impl Scrubber {
    /// Strikes `secret` out from now on, and each long part of it: of a JWT a server may repeat the payload alone.
    pub fn learn(&self, secret: &str) {
        remember(&mut self.lock().credentials, [Zeroizing::new(secret.to_owned())], MOST_SECRETS);
    }

    /// The same of the values of one secret.
    pub fn learn_all(&self, texts: impl IntoIterator<Item = Zeroizing<String>>) {
        let mut known = self.lock();
        let most = if known.forgets_nothing { usize::MAX } else { MOST_SECRETS };
        remember(&mut known.secrets, texts, most);
    }

    /// Forgets no value from now on: for a program that reads what it needs and ends.
    pub fn forget_nothing(&self) {
        self.lock().forgets_nothing = true;
    }

    /// Strikes the token in hand out, however much is learned after it.
    pub fn learn_token(&self, token: &str) {
        remember(&mut self.lock().tokens, [Zeroizing::new(token.to_owned())], MOST_TOKENS);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows no text of the server's from now on: it has sent secrets that could not be taken apart.
    pub fn distrust(&self) {
        self.lock().incomplete = true;
    }

    /// The server's `texts` as one.
    pub fn clean(&self, texts: &[impl AsRef<str>]) -> String {
        let mut text = texts.iter().map(|text| flat(text.as_ref())).collect::<Vec<_>>().join(", ");
        let known = self.lock();
        if text.len() > MAX_BYTES || known.incomplete && !text.is_empty() {
            return format!("a text of {} bytes", text.len());
        }
        let mut pieces: Vec<_> = known
            .secrets
            .iter()
            .chain(&known.credentials)
            .chain(&known.tokens)
            .flatten()
            .flat_map(|it| pieces(it))
            .collect();
        // The longest first: one may be a part of another.
        pieces.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        pieces.dedup();
        for piece in pieces {
            text = text.replace(piece.as_str(), "***");
        }
        cut(&text, MAX_CHARS, push_escaped)
    }
}

/// A secret and its long parts, as they stand in what a server says once that is flat; in the spellings of a URL and of
/// JSON too, in which they are sent.
fn pieces(secret: &str) -> Vec<Zeroizing<String>> {
    let json = serde_json::to_string(secret).map(Zeroizing::new).unwrap_or_default();
    let in_json = Zeroizing::new(json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned());
    let in_url = Zeroizing::new(percent_encoded(secret, b"-._~"));
    let spelt = [in_json, in_url].into_iter().filter(|it| it.as_str() != secret && it.len() >= MIN_SECRET);
    let mut pieces = parts(secret);
    pieces.extend(spelt);
    pieces
}

/// `text` as a URL has it; these bytes stay as they are, and so do letters and digits.
pub(crate) fn percent_encoded(text: &str, plain: &[u8]) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn parts(secret: &str) -> Vec<Zeroizing<String>> {
    let flat = Zeroizing::new(flat(secret));
    let parts = flat.split(['.', ' ']).filter(|part| part.len() >= MIN_PART && part.len() < flat.len());
    let mut pieces: Vec<_> = parts.map(|part| Zeroizing::new(part.to_owned())).collect();
    pieces.extend(Some(flat).filter(|flat| flat.len() >= MIN_SECRET));
    pieces
}

fn remember(known: &mut VecDeque<Texts>, texts: impl IntoIterator<Item = Zeroizing<String>>, most: usize) {
    let texts: Texts = texts.into_iter().filter(|text| text.len() >= MIN_SECRET).collect();
    if texts.is_empty() {
        return;
    }
    // What is seen again is remembered from now on.
    known.retain(|before| *before != texts);
    known.push_back(texts);
    if known.len() > most {
        known.pop_front();
    }
}

/// `text` with each run of white space as one space, and none at its ends.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` with everything escaped that could move the cursor, colour the terminal or turn the line's direction.
///
/// # Examples
///
/// ```
/// assert_eq!(vault_client::text::escaped("\u{1b}[31mred, Grün"), r"\u{1b}[31mred, Grün");
/// ```
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(c, &mut out));
    out
}

/// `text`, if it is a point in time as [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) writes it in UTC.
///
/// # Examples
///
/// ```
/// use vault_client::text::time;
///
/// assert_eq!(time("2026-01-02T03:04:05.678901234Z"), Some("2026-01-02T03:04:05.678901234Z"));
/// assert_eq!(time("a-secret"), None);
/// ```
pub fn time(text: &str) -> Option<&str> {
    humantime::parse_rfc3339(text).is_ok().then_some(text)
}

/// A setting, a path, a flag or a name as it may be shown: escaped, and with `***` for what looks like a credential.
///
/// # Examples
///
/// ```
/// assert_eq!(vault_client::text::shown("/run/hvs.CAESIJ3pVxQe1\u{1b}"), r"/run/***\u{1b}");
/// ```
pub fn shown(text: &str) -> String {
    escaped(&without_credentials(text))
}

/// The same of a text that an id of an `AppRole` may stand in the place of, which is a UUID as a rule: one is hidden.
///
/// # Examples
///
/// ```
/// use vault_client::text::without_ids;
///
/// assert_eq!(without_ids("0f9a1fc5-5b3e-41f3-8f3c-0c7e6f1f8a11"), "***");
/// assert_eq!(without_ids("/run/0f9a1fc5-5b3e-41f3-8f3c-0c7e6f1f8a11"), "/run/0f9a1fc5-5b3e-41f3-8f3c-0c7e6f1f8a11");
/// ```
pub fn without_ids(text: &str) -> String {
    if is_uuid(text.trim()) { "***".to_owned() } else { shown(text) }
}

/// Whether `text` is 32 digits of hex in groups of 8, 4, 4, 4 and 12.
fn is_uuid(text: &str) -> bool {
    let is_group = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split('-').all(is_group) && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// The same as [`shown`] of a path, a word of a command line or a variable, whatever bytes it holds.
pub fn os(text: impl AsRef<OsStr>) -> String {
    shown(&lossy(text.as_ref().as_bytes()))
}

/// The text of `bytes`, raw: with a mark in the place of each byte that is no UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever calls this shows the text through `shown` or a scrubber, or not at all"
)]
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A text of a server. It has no `Display`: a message gets it from [`Scrubber::clean`] alone.
#[derive(Clone, Default)]
pub struct Foreign(String);

impl Foreign {
    /// Takes `text` as it came.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came, to be compared or taken apart.
    pub fn raw(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Foreign {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The name of a key or a variable for a message: as [`shown`] has it, and cut where it is longer than a hundred
/// characters.
///
/// # Examples
///
/// ```
/// use vault_client::text::name;
///
/// assert_eq!(name("DB\nURL"), r"DB\nURL");
/// assert_eq!(name(&"K".repeat(65_536)), format!("{}…", "K".repeat(100)));
/// ```
pub fn name(name: &str) -> String {
    cut(&without_credentials(name), LONGEST_NAME, push_escaped)
}

/// The same in double quotes, with all that does not show escaped: for what is no name.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", cut(name, LONGEST_NAME, |c, out| out.extend(c.escape_debug())))
}

/// Pushes the characters of `text` one by one, `most` of them.
fn cut(text: &str, most: usize, push: impl Fn(char, &mut String)) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == most {
            out.push('…');
            break;
        }
        push(c, &mut out);
    }
    out
}

/// `text` where it fits into `bytes`, else its beginning with a count of what is left out.
///
/// # Examples
///
/// ```
/// assert_eq!(vault_client::text::within("kv/shop: missing: A, B, C", 24), "kv/sh… (20 bytes more)");
/// ```
pub fn within(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let rest = |kept: usize| format!("… ({} bytes more)", text.len() - kept);
    let most = bytes.saturating_sub(rest(0).len());
    let kept = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}{}", &text[..kept], rest(kept))
}

fn push_escaped(c: char, out: &mut String) {
    // Bidirectional marks: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_whole_and_in_parts_before_the_text_is_cut() {
        let scrubber = Scrubber::default();
        scrubber.learn("hvs.abcdefghijklmnopqrst");
        scrubber.learn("x");
        let text = format!("{} token hvs.abcdefghijklmnopqrst (abcdefghijklmnopqrst) x", "é".repeat(280));
        assert_eq!(scrubber.clean(&[&text]), format!("{} token *** (***) x", "é".repeat(280)));
        assert_eq!(scrubber.clean(&[&"é".repeat(301)]), format!("{}…", "é".repeat(300)));
    }

    #[test]
    fn the_last_secrets_are_remembered_and_those_before_them_are_not() {
        let scrubber = Scrubber::default();
        let secret = |n: usize| format!("secret-{n:03}");
        (0..MOST_SECRETS).for_each(|n| scrubber.learn(&secret(n)));
        // It is seen again, so the one after it is the oldest.
        scrubber.learn(&secret(0));
        scrubber.learn(&secret(MOST_SECRETS));
        let said = scrubber.clean(&[secret(0), secret(1), secret(2), secret(MOST_SECRETS)]);
        assert_eq!(said, "***, secret-001, ***, ***");

        scrubber.learn_token("hvs.in-hand");
        (0..MOST_SECRETS).for_each(|n| scrubber.learn(&secret(n)));
        assert_eq!(scrubber.clean(&["hvs.in-hand"]), "***");
    }

    #[test]
    fn a_text_is_cut_between_characters_and_never_longer_than_it_may_be() {
        for bytes in 30..130 {
            let cut = within(&"é".repeat(60), bytes);
            assert!(cut.len() <= bytes.min(120), "{bytes}: {cut}");
            let (kept, rest) = cut.split_once("… (").unwrap_or((&cut, "0 bytes more)"));
            assert_eq!(kept.len().to_string() + "+" + rest, format!("{}+{} bytes more)", kept.len(), 120 - kept.len()));
        }
    }

    #[test]
    fn a_secret_is_struck_out_in_the_spellings_that_it_is_sent_in() {
        let scrubber = Scrubber::default();
        scrubber.learn("4/0Ab+C d=x");
        scrubber.learn(r#"sid"with\esc"#);
        let said = r#"GET /cb?code=4%2F0Ab%2BC%20d%3Dx, {"secret_id":"sid\"with\\esc"}, 4/0Ab+C d=x"#;
        assert_eq!(scrubber.clean(&[said]), r#"GET /cb?code=***, {"secret_id":"***"}, ***"#);
    }

    #[test]
    fn what_is_read_does_not_push_a_credential_out_and_a_program_can_keep_all() {
        let value = |n: usize| Zeroizing::new(format!("value-of-{n:03}"));
        for forgets_nothing in [false, true] {
            let scrubber = Scrubber::default();
            if forgets_nothing {
                scrubber.forget_nothing();
            }
            scrubber.learn("the-secret-id");
            (0..=MOST_SECRETS).for_each(|n| scrubber.learn_all([value(n)]));
            let first = if forgets_nothing { "***" } else { "value-of-000" };
            assert_eq!(
                scrubber.clean(&["the-secret-id", "value-of-000", "value-of-001"]),
                format!("***, {first}, ***")
            );
        }
    }

    #[test]
    fn several_lines_become_one_and_control_characters_are_escaped() {
        let said = ["1 error occurred:\n\t* permission denied\n\n", "\u{1b}[31mred\u{202e}"];
        let expected = "1 error occurred: * permission denied, \\u{1b}[31mred\\u{202e}";
        assert_eq!(Scrubber::default().clean(&said), expected);
    }
}
