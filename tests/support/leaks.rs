//! What no log, no file, no command line and no wrong request may hold: a secret, however it is written. Every run's
//! outcome is looked through.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use vault_testkit::raw::{Raw, Request};

use super::outcome::Outcome;
use super::scenario::Scenario;

/// Longer secrets are looked for in pieces of this length as well.
const PIECE: usize = 16;

/// Of a long one, the beginning is enough.
const BEGINNING: usize = 1024;

/// How a secret is found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Written {
    Plainly,
    InPieces,
    OverLines,
    Base64,
    Hex,
    UrlEncoded,
    Escaped,
}

/// The first way in which `text` holds `secret`.
pub(crate) fn found(secret: &str, text: &str) -> Option<Written> {
    let end = (BEGINNING.min(secret.len())..=secret.len()).find(|end| secret.is_char_boundary(*end));
    let secret = &secret[..end.unwrap_or_default()];
    let holds = |needle: &str| needle.len() >= 6 && text.contains(needle);
    let pieces = || secret.as_bytes().windows(PIECE).step_by(PIECE / 2).filter_map(|it| str::from_utf8(it).ok());
    if holds(secret) {
        return Some(Written::Plainly);
    }
    if secret.len() >= 2 * PIECE && pieces().any(holds) {
        return Some(Written::InPieces);
    }
    let compact = |text: &str| text.replace("\\n", "").split_whitespace().collect::<String>();
    let compacted = compact(secret);
    if compacted.len() >= 6 && compact(text).contains(&compacted) {
        return Some(Written::OverLines);
    }
    if base64(secret).iter().any(|it| holds(it)) {
        return Some(Written::Base64);
    }
    let lower = text.to_ascii_lowercase();
    let bytes = |before: &str| spelt(secret.bytes(), |it| format!("{before}{it:02x}"));
    if ["", "\\x", ":", " ", ", 0x"].iter().any(|before| lower.contains(&bytes(before))) {
        return Some(Written::Hex);
    }
    let url_encoded = |keep: fn(u8) -> bool| -> String {
        spelt(secret.bytes(), |it| if keep(it) { char::from(it).to_string() } else { format!("%{it:02x}") })
    };
    let of_urls = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if lower.contains(&bytes("%")) || lower.contains(&url_encoded(of_urls).to_ascii_lowercase()) {
        return Some(Written::UrlEncoded);
    }
    let json = serde_json::to_string(secret).expect("JSON");
    let code_points = spelt(secret.encode_utf16(), |it| format!("\\u{it:04x}"));
    let escaped = [&json[1..json.len() - 1], &secret.escape_debug().to_string(), &secret.escape_default().to_string()];
    (escaped.iter().any(|it| holds(it)) || lower.contains(&code_points)).then_some(Written::Escaped)
}

/// Each unit as `spell` spells it.
pub(crate) fn spelt<T>(units: impl Iterator<Item = T>, spell: impl Fn(T) -> String) -> String {
    units.fold(String::new(), |mut text, unit| {
        let _ = write!(text, "{}", spell(unit));
        text
    })
}

/// The characters that stand for nothing but the secret, wherever in a longer text it begins.
pub(crate) fn base64(secret: &str) -> BTreeSet<String> {
    let mut spellings = BTreeSet::new();
    for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let text = engine.encode([&b"\0\0"[..before], secret.as_bytes()].concat());
            // What the neighbours have a part in is theirs.
            let whole = (before + secret.len()) / 3 * 4;
            spellings.insert(text[(before * 4).div_ceil(3)..whole].to_owned());
        }
    }
    // Shorter ones stand in other texts by accident.
    spellings.retain(|it| it.len() >= 6);
    spellings
}

/// Panics where the run has put a secret of its scenario where none belongs.
pub(crate) fn look_through(outcome: &Outcome) {
    let scenario = outcome.scenario;
    // The URL that a person opens has the state of the login in it.
    let said: Vec<_> = outcome.stderr.lines().filter(|line| !line.starts_with("http")).collect();
    let mut places = vec![("standard error".to_owned(), said.join("\n"))];
    if !scenario.prints_secrets() {
        places.push(("standard output".to_owned(), outcome.stdout.clone()));
    }
    if let Some(child) = &outcome.child {
        let argv: Vec<_> = child.argv.iter().map(|it| String::from_utf8_lossy(it)).collect();
        places.push(("the application's command line".to_owned(), argv.join("\n")));
    }
    places.extend(files(scenario));
    let requests = scenario.raw.iter().flat_map(Raw::whole_requests);
    places.extend(requests.map(|request| (request.line.clone(), beyond_its_due(&request))));
    for (place, text) in places {
        for secret in scenario.secrets() {
            let written = found(secret, &text);
            assert!(written.is_none(), "{place} holds {secret:?}, {written:?}:\n{text}\n{}", outcome.describe());
        }
    }
}

/// The termination log, and what the writing of an env file has left behind.
fn files(scenario: &Scenario) -> Vec<(String, String)> {
    let entries = fs::read_dir(scenario.file("")).into_iter().flatten().flatten().map(|it| it.path());
    let temporary = entries.filter(|it| it.to_string_lossy().contains(".vault-exec."));
    let termination_log = scenario.given_env().get("VAULT_TERMINATION_LOG").map(PathBuf::from);
    let read = |path: PathBuf| {
        let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (path.display().to_string(), text.unwrap_or_default())
    };
    temporary.chain(termination_log).filter(|path| path.is_file()).map(read).collect()
}

/// What a request says beside the one secret that it is there to carry: a login its credential, a read with its login along
/// the same in headers, the look-up of a wrapping token that one, the steps of a person's login what proves that they are
/// of one login, the others the token.
fn beyond_its_due(request: &Request) -> String {
    let has_body = |path: &str| request.line.starts_with("POST") && request.line.ends_with(path);
    let is_login = ["/login", "/sys/wrapping/lookup", "/oidc/auth_url", "/oidc/poll"].into_iter().any(has_body);
    let is_callback = request.line.starts_with("GET") && request.line.contains("/oidc/callback?");
    let is_open = request.line.ends_with("sys/seal-status") || request.line.contains("sys/health");
    let is_read = request.line.starts_with("GET") && !is_open && !is_callback;
    let carries = |line: &&str| {
        let line = line.to_ascii_lowercase();
        let has_token = line.starts_with("x-vault-token:") && !is_login && !is_open && !is_callback;
        has_token || is_read && line.starts_with("x-vault-inline-auth-parameter-")
    };
    let head: Vec<_> = request.head.lines().filter(|line| !carries(line)).collect();
    let body = if is_login { "" } else { &request.body };
    let line = if is_callback { request.line.split('?').next().unwrap_or_default() } else { &request.line };
    format!("{line}\n{}\n{body}", head.join("\n"))
}
