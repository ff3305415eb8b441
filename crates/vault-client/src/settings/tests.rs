//! Whole settings in, a whole connection or every fault out.

mod login;

use super::reader::tests::Pairs;
use super::*;
use crate::fault::ErrorKind;
use crate::login::{Kubernetes, Token};

const MINIMAL: [(&str, &str); 2] = [("VAULT_ADDR", "http://127.0.0.1:8200"), ("VAULT_TOKEN", "hvs.x")];

fn read(variables: &[(&str, &str)]) -> Result<Connection, SettingFaults> {
    Connection::from_source(&Pairs::of(variables), Decided::default())
}

/// The connection of the minimal settings with `more` before them, so that a repeated name wins.
fn connection(more: &[(&str, &str)]) -> Connection {
    read(&[more, &MINIMAL].concat()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(variables: &[(&str, &str)]) -> (ErrorKind, Vec<String>) {
    let faults = read(variables).err().expect("faults");
    (faults.kind(), faults.0.iter().map(ToString::to_string).collect())
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_limits() {
    let connection = connection(&[]);
    assert_eq!(connection.limits, Limits::default());
    assert_eq!(format!("{:?}", connection.login), format!("{:?}", Token::given("hvs.x")));
    let Options { address, namespace, tls, proxy, user_agent, lanes, auth_namespace } = connection.options;
    assert_eq!((address.to_string().as_str(), namespace, lanes), ("http://127.0.0.1:8200", None, 8));
    assert!(tls.verify && tls.roots.is_none() && tls.identity.is_none() && tls.server_name.is_none());
    assert!(proxy.is_none() && user_agent.starts_with("vault-client/"));
    assert_eq!((auth_namespace, connection.warnings), (None, Vec::new()));
}

#[test]
fn every_fault_is_reported_at_once_and_no_credential_is_shown() {
    let said = faults(&[
        ("VAULT_ADDR", "https://me:hunter2@vault"),
        ("VAULT_TOKEN", "hvs. hunter2"),
        ("VAULT_PROXY_ADDR", "socks5://me:hunter2@proxy"),
        ("VAULT_AUTH_METHOD", "ldap"),
        ("VAULT_TIMEOUT", "0s"),
        ("VAULT_WAIT", "5m"),
        ("VAULT_SKIP_VERIFY", "on"),
    ]);
    let sentences = [
        "VAULT_ADDR: a URL with a user name or password; leave them out, they are not used",
        "VAULT_SKIP_VERIFY = \"on\": not a boolean; write true or false",
        "VAULT_PROXY_ADDR: not an HTTP proxy; write http://[user:password@]host:port",
        "VAULT_TOKEN: holds bytes that no token has; give the token alone, in visible ASCII",
        "VAULT_AUTH_METHOD = \"ldap\": unknown; write token, kubernetes, approle, jwt, cert, oidc, none or auto; a mount goes into \
         VAULT_AUTH_MOUNT",
        "VAULT_TIMEOUT = \"0s\": zero; write a duration such as 500ms, 30s or 1m30s",
        "VAULT_WAIT = \"5m\": longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less",
    ];
    assert_eq!(said, (ErrorKind::Settings, sentences.map(str::to_owned).to_vec()));
}

#[test]
fn no_way_to_log_in_is_told_apart_from_a_wrong_setting() {
    let nowhere = ("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
    let none = "VAULT_AUTH_METHOD: no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_APPROLE_ROLE_ID, or \
                VAULT_JWT or VAULT_JWT_FILE, or run in a pod with a service-account token at /nowhere/token, or log in \
                with the official client ($HOME/.vault-token), or start it at a terminal (oidc), or set VAULT_AUTH_METHOD to \
                cert, oidc or none";
    let unset = "VAULT_ADDR: unset; set it to Vault's https:// URL";
    assert_eq!(faults(&[MINIMAL[0], nowhere]), (ErrorKind::NotDetected, vec![none.into()]));
    assert_eq!(faults(&[nowhere]), (ErrorKind::Settings, vec![unset.into(), none.into()]));
    // What is there and cannot be used is the only fault.
    let (kind, said) = faults(&[MINIMAL[0], nowhere, ("VAULT_TOKEN", "two words")]);
    assert_eq!((kind, said.len()), (ErrorKind::Settings, 1), "{said:?}");
}

#[test]
fn the_mount_of_the_kubernetes_login_is_its_own_setting_or_that_of_any_method() {
    for (more, mount, warned) in [
        (&[][..], "kubernetes", None),
        (&[("VAULT_AUTH_MOUNT", "clusters/eu/")], "clusters/eu", None),
        (&[("VAULT_AUTH_MOUNT", "auth/eu")], "eu", Some("VAULT_AUTH_MOUNT")),
        (&[("VAULT_AUTH_MOUNT", "eu"), ("VAULT_K8S_AUTH_MOUNT_POINT", "k8s")], "k8s", None),
        (
            &[("VAULT_AUTH_MOUNT", " "), ("VAULT_K8S_AUTH_MOUNT_POINT", "auth/k8s")],
            "k8s",
            Some("VAULT_K8S_AUTH_MOUNT_POINT"),
        ),
    ] {
        let pod = [("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_ROLE", "shop"), ("VAULT_K8S_TOKEN_PATH", "/jwt")];
        let read = connection(&[more, &pod].concat());
        let login = Kubernetes { mount: mount.into(), role: "shop".into(), jwt: "/jwt".into(), revoke: true };
        let warning = |name| format!("{name} is read as {mount}: leave auth/ out, it is added by itself");
        let warnings: Vec<_> = warned.map(warning).into_iter().collect();
        assert_eq!((format!("{:?}", read.login), read.warnings), (format!("{login:?}"), warnings), "{more:?}");
    }
}

#[test]
fn the_login_has_the_namespace_of_the_secret_unless_it_is_given_another() {
    for (namespace, of_login, read) in [
        ("", "", [None, None]),
        ("teams/shop", "", [Some("teams/shop"), Some("teams/shop")]),
        ("teams/shop", "teams", [Some("teams/shop"), Some("teams")]),
        ("teams/shop", "root", [Some("teams/shop"), None]),
        ("teams/shop", "/", [Some("teams/shop"), None]),
        ("root", "", [None, None]),
        ("/", "teams", [None, Some("teams")]),
    ] {
        let connection = connection(&[("VAULT_NAMESPACE", namespace), ("VAULT_AUTH_NAMESPACE", of_login)]);
        let found = [connection.options.namespace, connection.options.auth_namespace];
        assert_eq!(found, read.map(|it| it.map(str::to_owned)), "{namespace} {of_login}");
    }
}

#[test]
fn the_settings_of_what_is_decided_are_not_read() {
    let wrong = [
        ("VAULT_ADDR", "https://vault"),
        ("VAULT_TOKEN", "two words"),
        ("VAULT_AUTH_METHOD", "ldap"),
        ("VAULT_CACERT", "/nowhere"),
        ("VAULT_TIMEOUT", "soon"),
    ];
    let decided = || Decided {
        login: Some(Box::new(Token::file("/token"))),
        tls: Some(Tls { server_name: Some("vault.example".into()), ..Tls::default() }),
        limits: Some(Limits { retries: 0, ..Limits::default() }),
    };
    let connection = Connection::from_source(&Pairs::of(&wrong), decided()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(format!("{:?}", connection.login), "Token { token: Credential(/token), revoke: true }");
    assert_eq!(connection.options.tls.server_name.as_deref(), Some("vault.example"));
    assert_eq!(connection.limits, Limits { retries: 0, ..Limits::default() });
    let proxied = [("VAULT_PROXY_ADDR", "http://proxy:3128"), ("VAULT_ADDR", "https://vault")];
    let faults = Connection::from_source(&Pairs::of(&proxied), decided()).err().map(|faults| faults.to_string());
    let fault = "VAULT_TLS_SERVER_NAME: does not work through VAULT_PROXY_ADDR, which connects by the URL's host; unset \
                 one of them";
    assert_eq!(faults.as_deref(), Some(fault));
}

#[test]
fn a_unix_socket_is_warned_about_by_nothing_and_takes_neither_proxy_nor_tls() {
    let socket = ("VAULT_ADDR", "unix:///run/agent.sock");
    let connection = connection(&[socket]);
    assert_eq!((connection.options.address.to_string().as_str(), connection.warnings), (socket.1, Vec::new()));
    let (kind, said) = faults(&[
        socket,
        MINIMAL[1],
        ("VAULT_PROXY_ADDR", "http://me:hunter2@proxy:3128"),
        ("BAO_TLS_SERVER_NAME", "vault"),
        ("VAULT_CLIENT_CERT", "/nowhere"),
    ]);
    let instead = "on the unix socket in VAULT_ADDR; unset it, or give Vault's https:// URL there";
    let sentences = [
        "VAULT_CLIENT_CERT = \"/nowhere\": VAULT_CLIENT_KEY is missing; set both or neither".to_owned(),
        "VAULT_PROXY_ADDR: no proxy leads to the unix socket in VAULT_ADDR; unset it, or give Vault's https:// URL there"
            .to_owned(),
        format!("BAO_TLS_SERVER_NAME: no TLS is spoken {instead}"),
        format!("VAULT_CLIENT_CERT: no TLS is spoken {instead}"),
    ];
    assert_eq!((kind, said), (ErrorKind::Settings, sentences.to_vec()));

    // What a program has decided itself is judged in the place of the variables.
    let variables = [socket, MINIMAL[1], ("VAULT_TLS_SERVER_NAME", "vault")];
    for (server_name, said) in [(None, None), (Some("vault"), Some(format!("tls: no TLS is spoken {instead}")))] {
        let tls = Tls { server_name: server_name.map(str::to_owned), ..Tls::default() };
        let decided = Decided { tls: Some(tls), ..Decided::default() };
        let faults = Connection::from_source(&Pairs::of(&variables), decided).err();
        assert_eq!(faults.map(|faults| faults.to_string()), said);
    }
}

#[test]
fn what_a_program_gives_beats_the_environment_and_what_it_hides_is_unset() {
    let environment =
        || ProcessEnv::of([("VAULT_ADDR", "https://vault"), ("VAULT_TOKEN", "hvs.x"), ("VAULT_ROLE", "e")]);
    let mut layer = Layer::above(environment());
    layer.give(&setting::ADDR, "address", "http://localhost:8200");
    layer.give(&setting::TOKEN_FILE, "token_file", "/token");
    let read = |layer: &Layer| {
        let connection = Connection::from_source(layer, Decided::default()).unwrap_or_else(|faults| panic!("{faults}"));
        format!("{} {:?}", connection.options.address, connection.login)
    };
    assert_eq!(read(&layer), "http://localhost:8200 Token { token: Credential(given), revoke: true }");
    layer.hide(&setting::TOKEN);
    assert_eq!(read(&layer), "http://localhost:8200 Token { token: Credential(/token), revoke: true }");
    layer.give(&setting::TOKEN_FILE, "token_file", "/other");
    assert_eq!(read(&layer), "http://localhost:8200 Token { token: Credential(/other), revoke: true }");
    layer.give(&setting::ROLE, "role", vec![0xff]);
    let faults = Connection::from_source(&layer, Decided::default()).err().map(|faults| faults.to_string());
    assert_eq!(faults.as_deref(), Some("role: not UTF-8 text"));
}

#[test]
fn a_wrong_token_that_a_program_gives_is_the_only_fault() {
    let mut layer = Layer::default();
    layer.give(&setting::ADDR, "address", "http://localhost:8200");
    layer.give(&setting::TOKEN, "token", "two words");
    let faults = Connection::from_source(&layer, Decided::default()).err().map(|faults| faults.to_string());
    let fault = "token: holds bytes that no token has; give the token alone, in visible ASCII";
    assert_eq!(faults.as_deref(), Some(fault));
}

#[test]
fn what_weakens_a_client_is_warned_about() {
    let warned = |more| connection(more).warnings;
    assert_eq!(
        warned(&[
            ("VAULT_ADDR", "http://vault:8200"),
            ("VAULT_ADRR", "x"),
            ("VAULT_AGENT_ADDR", "http://agent:8100"),
            ("VAULT_PATH", "shop/prod"),
            ("VAULT_SKIP_VERIFY", "1")
        ]),
        [
            "VAULT_ADRR is no setting and has no effect",
            "VAULT_AGENT_ADDR has no effect here: every request goes to VAULT_ADDR; set that to the agent's address",
            "VAULT_SKIP_VERIFY: the server's certificate is NOT checked; anybody in between can read the secrets",
            "VAULT_ADDR http://vault:8200 is not https: token and secrets cross the network in plain text",
        ]
    );
}

#[test]
fn every_setting_has_a_name_of_its_own_but_for_one_that_other_tools_use_for_two() {
    let mut names: Vec<_> = setting::ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].as_str()).collect();
    assert_eq!(twice, ["VAULT_ROLE_ID"]);
}

#[test]
fn the_files_of_tls_are_read_again_and_what_cannot_be_used_changes_nothing() {
    let pem = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap().cert.pem();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let (first, second) = (pem("first"), pem("second"));
    std::fs::write(&ca, &first).unwrap();
    let https = [("VAULT_ADDR", "https://vault"), ("VAULT_CACERT", ca.to_str().unwrap())];
    let connection = connection(&https);
    let (tls, material) = (connection.options.tls, connection.material.expect("it was read from files"));
    let roots = |tls: Option<Tls>| tls.and_then(|tls| tls.roots);
    assert!(roots(material.read()) == tls.roots && tls.roots.is_some());
    std::fs::write(&ca, &second).unwrap();
    let renewed = roots(material.read());
    assert!(renewed.is_some() && renewed != tls.roots);
    std::fs::write(&ca, &second[..second.len() / 2]).unwrap();
    assert!(material.read().is_none());
}
