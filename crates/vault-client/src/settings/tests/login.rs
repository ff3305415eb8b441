//! Which login the settings come to.

use super::{connection, faults, read};
use crate::settings::reader::tests::Pairs;
use crate::settings::{Connection, Decided, Source};

const ADDR: (&str, &str) = ("VAULT_ADDR", "http://127.0.0.1:8200");
/// No file with a pod's JWT is there, whatever machine this is.
const NO_POD: (&str, &str) = ("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
const JWT: (&str, &str) = ("VAULT_JWT", "a.b.c");
const POD: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
const ROLE: (&str, &str) = ("VAULT_ROLE", "shop");
const ROLE_ID: (&str, &str) = ("VAULT_APPROLE_ROLE_ID", "r-1");

/// The login in words, or the faults.
fn login(variables: &[(&str, &str)]) -> Result<String, String> {
    let all = [&[ADDR, NO_POD], variables].concat();
    read(&all).map(|it| format!("{:?}", it.login)).map_err(|faults| faults.to_string())
}

#[test]
fn the_first_way_that_there_is_something_for_is_taken() {
    let (alias, secret) = (("VAULT_ROLE_ID", "r-2"), ("VAULT_SECRET_ID", "s-2"));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".vault-token"), "hvs.home").unwrap();
    let home = ("HOME", home.path().to_str().unwrap());
    let token = ("VAULT_TOKEN", "hvs.x");
    for (variables, name) in [
        (&[token, ROLE_ID, JWT, POD, ROLE, home][..], "Token {"),
        (&[("VAULT_TOKEN_FILE", "/t"), ROLE_ID, JWT, POD, ROLE, home], "Token {"),
        (&[ROLE_ID, JWT, POD, ROLE, home], "AppRole {"),
        (&[JWT, POD, ROLE, home], "Jwt {"),
        (&[("VAULT_JWT_FILE", "/jwt"), POD, ROLE, home], "Jwt {"),
        (&[POD, alias, secret, home], "Kubernetes {"),
        (&[alias, secret, home], "AppRole {"),
        (&[alias, secret, ROLE, home], "Token {"),
        (&[alias, home], "Token {"),
        (&[home], "Token {"),
    ] {
        let found = login(variables).unwrap_or_else(|faults| panic!("{variables:?}: {faults}"));
        assert!(found.starts_with(name), "{variables:?}: {found}");
    }
}

#[test]
fn each_method_reads_what_belongs_to_it() {
    let method = |name| ("VAULT_AUTH_METHOD", name);
    let mount = ("VAULT_AUTH_MOUNT", "eu/ci");
    for (variables, found) in [
        (
            &[method("approle"), ("VAULT_ROLE_ID", "r"), ("VAULT_SECRET_ID", "s"), mount][..],
            "AppRole { mount: \"eu/ci\", role_id: Secret(***), secret_id: Some(Credential(given)), revoke: true }",
        ),
        (
            &[ROLE_ID, ("VAULT_APPROLE_SECRET_ID_FILE", "/s"), ("VAULT_UNWRAP", "true"), ("VAULT_REVOKE", "0")],
            "AppRole { mount: \"approle\", role_id: Secret(***), secret_id: Some(Credential(/s, wrapped)), revoke: false }",
        ),
        (&[ROLE_ID], "AppRole { mount: \"approle\", role_id: Secret(***), secret_id: None, revoke: true }"),
        (&[JWT], "Jwt { mount: \"jwt\", role: None, jwt: Credential(given), revoke: true }"),
        (
            &[("VAULT_JWT_FILE", "/jwt"), ROLE, mount],
            "Jwt { mount: \"eu/ci\", role: Some(\"shop\"), jwt: Credential(/jwt), revoke: true }",
        ),
        (&[method("none"), ("VAULT_K8S_AUTH_MOUNT_POINT", "k")], "NoLogin"),
        (
            &[method("token"), ("VAULT_TOKEN", "s.w"), ("VAULT_UNWRAP", "1"), ROLE_ID],
            "Token { token: Credential(given, wrapped), revoke: true }",
        ),
    ] {
        assert_eq!(login(variables), Ok(found.to_owned()), "{variables:?}");
    }
}

#[test]
fn what_a_method_needs_and_has_not_is_told_in_its_settings_names() {
    let method = |name| ("VAULT_AUTH_METHOD", name);
    for (variables, told) in [
        (
            &[method("approle"), ("VAULT_SECRET_ID", "s")][..],
            "VAULT_APPROLE_ROLE_ID: unset; the approle login needs the id of the role",
        ),
        (&[method("jwt")], "VAULT_JWT: unset; the jwt login needs a JWT: set it, or VAULT_JWT_FILE"),
        (&[("VAULT_JWT", "hunter2")], "VAULT_JWT: not a JWT; give the three parts with the dots between them"),
        (
            &[("VAULT_JWT", "{\"wrap_info\":{}}")],
            "VAULT_JWT: holds a wrapped token in JSON; set VAULT_UNWRAP=true, or unwrap it first",
        ),
        (
            &[ROLE_ID, ("VAULT_APPROLE_SECRET_ID", "two\nlines")],
            "VAULT_APPROLE_SECRET_ID: holds a control character; give it alone, in one line",
        ),
        (
            &[method("cert")],
            "VAULT_ADDR: not https, and the cert login shows its certificate in TLS alone; write an https:// URL\n\
             VAULT_CLIENT_CERT: unset; the cert login needs it, and VAULT_CLIENT_KEY",
        ),
        (
            &[method("kubernetes"), ROLE, ("VAULT_UNWRAP", "true")],
            "VAULT_UNWRAP: true, and the login kubernetes has nothing that comes wrapped; unset it",
        ),
        (
            &[ROLE_ID, ("VAULT_UNWRAP", "true")],
            "VAULT_APPROLE_SECRET_ID: unset; VAULT_UNWRAP is true: set it to the wrapping token, or \
             VAULT_APPROLE_SECRET_ID_FILE",
        ),
        (
            &[method("token")],
            "VAULT_AUTH_METHOD: no token: set VAULT_TOKEN or VAULT_TOKEN_FILE, or log in with the official client \
             ($HOME/.vault-token)",
        ),
    ] {
        assert_eq!(login(variables), Err(told.to_owned()), "{variables:?}");
    }
}

#[test]
fn a_token_that_is_not_sent_is_warned_about() {
    let warned = connection(&[("VAULT_AUTH_METHOD", "none")]).warnings;
    assert_eq!(warned, ["VAULT_TOKEN has no effect: VAULT_AUTH_METHOD is none, and no token is sent"]);
    let (_, said) = faults(&[ADDR, ("VAULT_TOKEN", "two words"), NO_POD]);
    assert_eq!(said, ["VAULT_TOKEN: holds bytes that no token has; give the token alone, in visible ASCII"]);
}

/// The settings at a terminal.
struct AtTerminal(Pairs);

impl Source for AtTerminal {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.0.variable(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    fn is_at_terminal(&self) -> bool {
        true
    }
}

#[test]
fn a_person_is_asked_where_it_is_said_so_or_where_one_is_and_nothing_else_is_there() {
    let at_terminal = |more: &[(&str, &str)]| {
        let source = AtTerminal(Pairs::of(&[&[ADDR, NO_POD], more].concat()));
        format!("{:?}", Connection::from_source(&source, Decided::default()).unwrap().login)
    };
    let oidc = ("VAULT_AUTH_METHOD", "oidc");
    let found = |mount: &str, role: &str, listen: &str, cache: &str| {
        format!(
            "Oidc {{ mount: \"{mount}\", role: {role}, listen: {listen}, browser: true, interactive: true, cache: {cache}, \
             revoke: true }}"
        )
    };
    let default = "At { host: \"localhost\", port: 8250 }";
    assert_eq!(at_terminal(&[]), found("oidc", "None", default, "None"));
    assert!(at_terminal(&[JWT]).starts_with("Jwt {"));
    // Without a terminal it has to be said.
    assert!(login(&[]).is_err());
    assert_eq!(login(&[oidc]), Ok(found("oidc", "None", default, "None")));
    let all = [
        oidc,
        ROLE,
        ("VAULT_AUTH_MOUNT", "people"),
        ("VAULT_OIDC_LISTEN", "none"),
        ("HOME", "/home/a"),
        ("XDG_CACHE_HOME", "/caches"),
    ];
    let cache = "Some(\"/caches/vault-client\")";
    assert_eq!(login(&all), Ok(found("people", "Some(\"shop\")", "None", cache)));
    let wrong = login(&[oidc, ("VAULT_OIDC_LISTEN", "vault.example:8250"), ("VAULT_OIDC_BROWSER", "firefox")]);
    let wrong = wrong.unwrap_err();
    let lines: Vec<_> = wrong.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(lines, ["VAULT_OIDC_LISTEN = \"vault.example", "VAULT_OIDC_BROWSER = \"firefox\""], "{wrong}");
}
