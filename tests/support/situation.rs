//! A situation of a start, generated: settings, credentials, a server, a secret, a target. Most parts of it are good, so
//! that a start gets far; each can be bad.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS};

use super::launch::Inherit;
use super::scenario::Scenario;

/// The texts of a setting that can be used, and those that cannot.
type Setting = (&'static str, &'static [&'static str], &'static [&'static str]);

const SETTINGS: &[Setting] = &[
    (
        "VAULT_ADDR",
        &["  ", "http://127.0.0.1:1", "unix:///nowhere/vault"],
        &["vault:8200", "https://u:p@vault", "unix://x"],
    ),
    ("VAULT_REQUIRED", &["true", "false"], &["yes"]),
    ("VAULT_ROLE", &["other"], &["", "../x"]),
    (
        "VAULT_PATH",
        &["/shop/app/", "data/shop/app", "shop/none", "shop/app,shop/none", "shop/none, shop/app"],
        &["", "../x", "shop/app,,shop/none", "shop/app,/shop/app/"],
    ),
    ("VAULT_MOUNT_POINT", &["kv", "nowhere", "kv/data"], &["a/../b"]),
    ("VAULT_SECRET_VERSION", &["latest", "7"], &["0", "x"]),
    ("VAULT_KEYS", &["A", "A:RENAMED,B", "NONE", "A:CLASSPATH", "A:a b"], &["A:", "A;B", "A:X,B:X"]),
    ("VAULT_REQUIRED_KEYS", &["A", "A,ABSENT", "CLASSPATH", ","], &[]),
    ("VAULT_ALLOW_NAMES", &["CLASSPATH", "PATH,HOME"], &[]),
    ("VAULT_ON_CONFLICT", &["overwrite", "keep", "error"], &["maybe"]),
    ("VAULT_AUTH_METHOD", &["auto", "kubernetes", "token", "approle", "jwt", "cert", "none"], &["none-such"]),
    ("VAULT_NAMESPACE", &["team", "team/one/"], &["../x"]),
    ("VAULT_TIMEOUT", &["20s"], &["0", "soon"]),
    ("VAULT_MAX_RETRIES", &["0", "2"], &["-1", "many"]),
    ("VAULT_WAIT", &["0s", "300ms"], &["5m", "later"]),
    ("VAULT_REVOKE", &["true", "false"], &["no"]),
    ("VAULT_CACERT", &[], &["{folder}/none"]),
    ("VAULT_SKIP_VERIFY", &["true"], &["perhaps"]),
    ("VAULT_PROXY_ADDR", &[], &["socks5://proxy"]),
    ("VAULT_ENV_FILE_MODE", &["0640", "0000", "444"], &["0999"]),
    ("VAULT_ENV_FILE_OWNER", &["0", "65534:65534"], &["nobody"]),
    ("VAULT_ENV_FILE_FORMAT", &["kubernetes", "docker", "compose", "systemd", "dotenv", "json"], &["yaml"]),
    ("VAULT_LOG_LEVEL", &["off", "debug"], &["loud"]),
    ("VAULT_LOG_FORMAT", &["text"], &["xml"]),
    ("VAULT_ADRR", &["http://127.0.0.1:1"], &[]),
    ("VAULT_AGENT_ADDR", &["http://127.0.0.1:1"], &[]),
    ("KUBERNETES_SERVICE_HOST", &["10.0.0.1", ""], &[]),
    ("A", &["a-raw-secret", "another", "vault:kv/data/x#Y"], &[]),
    ("Z", &["vault:kv/data/x#Y"], &[]),
    ("VAULT_ALLOW_REFERENCES", &["true", "false"], &["maybe"]),
    ("VAULT_REFUSE_TRACED", &["true"], &["maybe"]),
    ("HOME", &["{folder}", "/nowhere"], &[]),
];

/// What stands before the target on the command line.
const FLAGS: &[&[&str]] = &[
    &["--require", "A"],
    &["--require=ABSENT"],
    &["--keys", "B"],
    &["--allow-name=CLASSPATH"],
    &["--wait", "200ms"],
    &["--wait=x"],
    &["--force"],
    &["--format", "json"],
    &["--format", "dir"],
    &["--format=none"],
    &["--nope"],
];

/// How the report looks.
const STYLES: &[&[&str]] = &[&[], &["--verbose"], &["--report", "json"], &["--report=json", "--verbose"]];

/// The secret's data.
const SECRETS: &[&str] = &[
    "{}",
    r#"{"A":"a-raw-secret","B":1.50,"C":true,"D":null,"E":{"x":[1,"y"]}}"#,
    r#"{"A":"a-raw-secret","CLASSPATH":"/x.so"}"#,
    r#"{"A":"a-raw-secret","PATH":"/x"}"#,
    r#"{"A":"a-raw-secret","a b":"x"}"#,
    r#"{"A":"a-raw-secret","":"x"}"#,
    r#"{"A":"a-raw-secret","x=y":"x"}"#,
    r#"{"A":"a-raw-secret","Ä":"x"}"#,
    r#"{"A":"a-raw-secret","N":"a\u0000b"}"#,
    r#"{"A":"a-raw-secret","A":"twice"}"#,
    r#"{"A":"a-raw-secret","E":{"x":1,"x":2}}"#,
    r#"{"A":"it's","L":"two\nlines","Q":"$x `y` \"z\" \\ #","R":"\r\n","X":"${A}"}"#,
    r#"{"A":"","B":" edges "}"#,
    r#"{"VAULT_TOKEN":"mine","A":"a-raw-secret"}"#,
    r#"{"A":"vault:kv/data/x#Y"}"#,
    "LONG",
    "LONG_NAME",
];

/// What a server says instead of what it should.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Json(u16, &'static str),
    /// With this header line.
    Header(u16, &'static str),
    Page(u16),
    Plain(u16, &'static str),
    CutShort,
    Reset,
    NoHttp,
}

const ERRORS: &[Answer] = &[
    Answer::Json(400, r#"{"errors":["something is wrong"]}"#),
    Answer::Json(403, r#"{"errors":["permission denied"]}"#),
    Answer::Json(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#),
    Answer::Json(404, r#"{"errors":[]}"#),
    Answer::Json(405, r#"{"errors":["unsupported operation"]}"#),
    Answer::Json(412, r#"{"errors":[]}"#),
    Answer::Json(429, r#"{"errors":["rate limit quota exceeded"]}"#),
    Answer::Json(500, r#"{"errors":["internal error"]}"#),
    Answer::Json(503, r#"{"errors":["Vault is sealed"]}"#),
    Answer::Json(200, "{}"),
    Answer::Json(200, "[]"),
    Answer::Json(200, r#"{"data":null}"#),
    Answer::Json(200, r#"{"data":{"data":null,"metadata":{"version":1}}}"#),
    Answer::Json(200, r#"{"data":{"data":{"A":"a-raw-secret"}}}"#),
    Answer::Json(200, r#"{"data":{"data":{"A":1,},"metadata":{}}}"#),
    Answer::Json(200, r#"{"data":{"data":[],"metadata":{"version":1,"created_time":""}}}"#),
    Answer::Json(200, r#"{"wrap_info":{"token":"x","ttl":60},"data":null}"#),
    Answer::Header(307, "Location: /v1/auth/kubernetes/login\r\n"),
    Answer::Header(302, "Location: https://login.example/\r\n"),
    Answer::Header(429, "Retry-After: 0\r\n"),
    Answer::Page(200),
    Answer::Page(502),
    Answer::Plain(400, "Client sent an HTTP request to an HTTPS server.\n"),
    Answer::Plain(204, ""),
    Answer::CutShort,
    Answer::Reset,
    Answer::NoHttp,
];

const STATUSES: &[Answer] = &[
    Answer::Json(200, r#"{"initialized":false,"sealed":true}"#),
    Answer::Json(200, r#"{"initialized":true,"sealed":true,"t":3,"progress":1}"#),
    Answer::Json(200, r#"{"initialized":true,"sealed":false,"version":""}"#),
];

const LOGINS: &[Answer] = &[
    Answer::Json(200, r#"{"auth":{"client_token":"","mfa_requirement":{"mfa_request_id":"x"}}}"#),
    Answer::Json(200, r#"{"auth":{"client_token":"b.raw-token-0123456789","token_type":"batch","policies":[]}}"#),
    Answer::Json(200, r#"{"auth":{"client_token":"hvs.raw-token-0123456789","num_uses":1}}"#),
    Answer::Json(200, r#"{"auth":{"client_token":"hvs.raw-token-0123456789","lease_duration":-1}}"#),
    Answer::Json(200, r#"{"auth":null}"#),
];

const READS: &[Answer] = &[
    Answer::Json(
        404,
        r#"{"data":{"data":null,"metadata":{"version":3,"deletion_time":"2026-01-01T00:00:00Z","destroyed":false}}}"#,
    ),
    Answer::Json(404, r#"{"data":{"data":null,"metadata":{"version":3,"deletion_time":"","destroyed":true}}}"#),
    Answer::Json(404, r#"{"errors":["no handler for route \"kv/data/shop/app\". route entry not found."]}"#),
    Answer::Json(
        400,
        r#"{"errors":["Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]}"#,
    ),
];

/// What is asked in a dry run alone.
const EXTRA: &[Answer] = &[
    Answer::Json(200, r#"{"data":{"ttl":60,"policies":["default"],"type":"kv","options":{"version":"2"}}}"#),
    Answer::Json(
        200,
        r#"{"data":{"type":"kv","options":{"version":"1"},"kv/data/shop/app":["read"]},"enterprise":false}"#,
    ),
];

/// Where the variables go.
#[derive(Clone, Copy, Debug)]
enum Target {
    Child,
    /// A word in place of it; `{folder}` holds some that are no programs.
    Command(&'static str),
    File(&'static str),
    /// By the variable, with COMMAND or without.
    Variable(&'static str, bool),
    /// Without the rights of root, in a directory of mode 0555.
    Forbidden,
    Both,
    Nothing,
}

const COMMANDS: &[&str] =
    &["no-such-command", "{folder}/none", "{folder}/plain", "{folder}/bare", "{folder}/odd", "{folder}", "", "true"];

const FILES: &[&str] = &[
    "{folder}/app.env",
    "{folder}/there.env",
    "{folder}/none/app.env",
    "{folder}/plain/app.env",
    "{folder}/directory",
    "{folder}/link",
    "{folder}/",
    "/dev/stdout",
    "/dev/null",
    "/proc/app.env",
    "/sys/app.env",
    "/proc/self/fd/9",
    "LONG",
    "-",
];

/// The JWT or the token.
#[derive(Clone, Copy, Debug)]
enum Credential {
    Jwt,
    /// In place of the JWT.
    JwtText(&'static str),
    NoJwt,
    Token(&'static str),
    TokenFile(&'static str),
    NoTokenFile,
    /// The secret id.
    AppRole(&'static str),
    /// The file with it.
    AppRoleFile(&'static str),
    /// A JWT of any issuer.
    GivenJwt(&'static str),
    NoLogin,
    Home,
    Nothing,
}

const TEXTS: &[&str] = &["", "two\nlines", "no-jwt", "a.b.c", "é"];

/// Everything that a start meets.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    settings: Vec<(&'static str, &'static str)>,
    flags: Vec<&'static [&'static str]>,
    credential: Credential,
    /// Path → what is said there, the last one again and again.
    answers: Vec<(&'static str, Vec<Answer>)>,
    secret: &'static str,
    target: Target,
    /// How the report looks.
    pub(crate) style: &'static [&'static str],
}

/// Any of them.
pub(crate) fn situation() -> impl Strategy<Value = Situation> {
    let parts = (settings(), flags(), credential(), answers(), secret(), target(), select(STYLES));
    parts.prop_map(|(settings, flags, credential, answers, secret, target, style)| Situation {
        settings,
        flags,
        credential,
        answers,
        secret,
        target,
        style,
    })
}

fn settings() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = |(name, good, bad): &Setting| {
        let name = *name;
        let some = |texts: &'static [&'static str]| select(texts).prop_map(move |text| Some((name, text))).boxed();
        let mut choices = vec![(870, Just(None).boxed())];
        choices.extend((!good.is_empty()).then(|| (125, some(good))));
        choices.extend((!bad.is_empty()).then(|| (5, some(bad))));
        prop::strategy::Union::new_weighted(choices)
    };
    SETTINGS.iter().map(one).collect::<Vec<_>>().prop_map(|all| all.into_iter().flatten().collect())
}

fn flags() -> impl Strategy<Value = Vec<&'static [&'static str]>> {
    prop_oneof![9 => Just(Vec::new()), 1 => prop::collection::vec(select(FLAGS), 1..3)]
}

fn credential() -> impl Strategy<Value = Credential> {
    prop_oneof![
        12 => Just(Credential::Jwt),
        1 => select(TEXTS).prop_map(Credential::JwtText),
        1 => Just(Credential::NoJwt),
        4 => Just(Credential::Token("hvs.raw-token-0123456789")),
        1 => select(TEXTS).prop_map(Credential::Token),
        1 => Just(Credential::TokenFile("hvs.raw-token-0123456789\n")),
        1 => select(TEXTS).prop_map(Credential::TokenFile),
        1 => Just(Credential::NoTokenFile),
        3 => Just(Credential::AppRole("a-raw-secret-id")),
        1 => select(TEXTS).prop_map(Credential::AppRole),
        1 => select(TEXTS).prop_map(Credential::AppRoleFile),
        3 => Just(Credential::GivenJwt("e30.e30.c2lnbmF0dXJl")),
        1 => select(TEXTS).prop_map(Credential::GivenJwt),
        1 => Just(Credential::NoLogin),
        1 => Just(Credential::Home),
        1 => Just(Credential::Nothing),
    ]
}

fn answers() -> impl Strategy<Value = Vec<(&'static str, Vec<Answer>)>> {
    let step = |path: &'static str, own: &'static [Answer], good: u32| {
        let odd = select([ERRORS, own].concat());
        let answers = prop::collection::vec(odd, 1..3);
        prop_oneof![good => Just(None), 1 => answers.prop_map(move |answers| Some((path, answers)))]
    };
    let steps = (
        step(STATUS, STATUSES, 9),
        step(LOGIN, LOGINS, 6),
        step(READ, READS, 3),
        // One that fails is tried for two seconds.
        step(REVOKE, &[], 40),
        step("auth/token/lookup-self", EXTRA, 1),
        step("sys/internal/ui/mounts/kv/shop/app", EXTRA, 1),
        step("sys/capabilities-self", EXTRA, 1),
        step("sys/health", EXTRA, 1),
    );
    steps.prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].into_iter().flatten().collect())
}

fn secret() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(SECRETS[1]), 5 => select(SECRETS)]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        8 => Just(Target::Child),
        3 => select(COMMANDS).prop_map(Target::Command),
        8 => select(FILES).prop_map(Target::File),
        2 => (select(FILES), any::<bool>()).prop_map(|(path, command)| Target::Variable(path, command)),
        1 => Just(Target::Forbidden),
        1 => Just(Target::Both),
        1 => Just(Target::Nothing),
    ]
}

impl Answer {
    fn reply(self) -> Reply {
        let json = |status, body: &str| Reply::with(status, "Content-Type: application/json\r\n", body.as_bytes());
        match self {
            Self::Json(status, body) => json(status, body),
            Self::Header(status, header) => Reply::with(status, header, br#"{"errors":[]}"#),
            Self::Page(status) => Reply::with(status, "Content-Type: text/html\r\n", b"<html>Sign in</html>"),
            Self::Plain(204, _) => Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
            Self::Plain(status, text) => Reply::with(status, "Content-Type: text/plain\r\n", text.as_bytes()),
            Self::CutShort => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec()),
            Self::Reset => Reply::Reset(Vec::new()),
            Self::NoHttp => Reply::Last(b"\x15\x03\x01\x00\x02\x02\x16".to_vec()),
        }
    }

    fn is_429(self) -> bool {
        matches!(self, Self::Json(429, _) | Self::Header(429, _))
    }
}

impl Situation {
    /// Makes it, with a server of its own.
    pub(crate) fn make(&self) -> Scenario<'static> {
        let raw = Raw::start([]);
        raw.script(READ, vec![Reply::secret(&self.data())]);
        for (path, answers) in &self.answers {
            raw.script(path, answers.iter().map(|answer| answer.reply()).collect());
        }
        // Whatever the method, the login is answered alike.
        let login = self.answers.iter().find(|(path, _)| *path == LOGIN).map(|(_, answers)| answers);
        for path in ["auth/approle/login", "auth/jwt/login"] {
            let answers = login.map(|answers| answers.iter().map(|answer| answer.reply()).collect());
            raw.script(path, answers.unwrap_or_else(|| vec![Reply::login(&json!({}))]));
        }
        let scenario = Scenario::against(&raw).env("PATH", "/usr/bin:/bin").env("VAULT_MAX_RETRIES", "1");
        let scenario = scenario.env("VAULT_TERMINATION_LOG", "none").env("VAULT_STARTUP_TIMEOUT", self.budget());
        let scenario = self.with_credential(scenario);
        let scenario = self.settings.iter().fold(scenario, |scenario, (name, text)| scenario.env(name, text));
        self.with_target(scenario).first(self.flags.concat())
    }

    /// A rate limit that does not end is waited for until then.
    fn budget(&self) -> &'static str {
        let endless = self.answers.iter().any(|(_, answers)| answers.last().is_some_and(|last| last.is_429()));
        if endless { "1500ms" } else { "15s" }
    }

    fn data(&self) -> String {
        match self.secret {
            "LONG" => json!({"A": "x".repeat(140_000)}).to_string(),
            "LONG_NAME" => json!({"N".repeat(5000): "a-raw-secret"}).to_string(),
            data => data.to_owned(),
        }
    }

    fn with_credential(&self, scenario: Scenario<'static>) -> Scenario<'static> {
        let file = |scenario: Scenario<'static>, name: &str, text: &str| {
            fs::write(scenario.file(name), text).expect("a file is written");
            scenario
        };
        let without_jwt = |scenario: Scenario<'static>| scenario.env("VAULT_K8S_TOKEN_PATH", "{folder}/none");
        match self.credential {
            Credential::Jwt => scenario,
            Credential::JwtText(text) => file(scenario, "jwt", text),
            Credential::NoJwt => without_jwt(scenario).env("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            Credential::Token(text) => scenario.env("VAULT_TOKEN", text),
            Credential::TokenFile(text) => file(scenario, "token", text).env("VAULT_TOKEN_FILE", "{folder}/token"),
            Credential::NoTokenFile => scenario.env("VAULT_TOKEN_FILE", "{folder}/none"),
            Credential::AppRole(text) => {
                scenario.env("VAULT_APPROLE_ROLE_ID", "a-raw-role-id").env("VAULT_APPROLE_SECRET_ID", text)
            }
            Credential::AppRoleFile(text) => {
                let scenario = file(scenario, "secret-id", text).env("VAULT_APPROLE_ROLE_ID", "a-raw-role-id");
                scenario.env("VAULT_APPROLE_SECRET_ID_FILE", "{folder}/secret-id")
            }
            Credential::GivenJwt(text) => scenario.env("VAULT_JWT", text),
            Credential::NoLogin => scenario.env("VAULT_AUTH_METHOD", "none"),
            Credential::Home => {
                let scenario = file(scenario, ".vault-token", "hvs.raw-token-0123456789");
                without_jwt(scenario).env("HOME", "{folder}")
            }
            Credential::Nothing => without_jwt(scenario).unset("VAULT_ROLE"),
        }
    }

    fn with_target(&self, scenario: Scenario<'static>) -> Scenario<'static> {
        let script = |name: &str, text: &str, mode: u32| {
            fs::write(scenario.file(name), text).expect("a file is written");
            fs::set_permissions(scenario.file(name), fs::Permissions::from_mode(mode)).expect("a mode is set");
        };
        script("plain", "#!/bin/sh\n", 0o644);
        script("bare", "echo\n", 0o755);
        script("odd", "#!/bin/none\n", 0o755);
        script("there.env", "export A='a-raw-secret'\n", 0o600);
        fs::create_dir(scenario.file("directory")).expect("a directory");
        symlink("app.env", scenario.file("link")).expect("a link");
        let long = format!("{{folder}}/{}", "n".repeat(240));
        let path = |path: &'static str| if path == "LONG" { long.clone() } else { path.to_owned() };
        match self.target {
            Target::Child => scenario,
            Target::Command(word) => scenario.command([word]),
            Target::File(name) => scenario.no_command().options(["--env-file".to_owned(), path(name)]),
            Target::Variable(name, false) => scenario.no_command().env("VAULT_ENV_FILE", path(name)),
            Target::Variable(name, true) => scenario.env("VAULT_ENV_FILE", path(name)),
            Target::Forbidden => {
                let directory = scenario.file("directory");
                fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).expect("a mode is set");
                let scenario = scenario.no_command().inherit([Inherit::Unprivileged]);
                scenario.options(["--env-file", "{folder}/directory/app.env"])
            }
            Target::Both => scenario.options(["--env-file", "{folder}/app.env"]),
            Target::Nothing => scenario.no_command(),
        }
    }
}
