//! Whole settings in, whole configuration or every fault out.

use super::*;
use vault_client::Kubernetes;
use vault_client::kv::Location;

const MINIMAL: [(&str, &str); 3] = [("VAULT_ADDR", "https://vault"), ("VAULT_PATH", "app"), ("VAULT_TOKEN", "hvs.x")];

fn loaded(environ: &[(&str, &str)]) -> Result<Plan, Error> {
    load(&Environ::from_pairs(environ.iter().copied()), &Flags::default(), true).map(|settings| settings.plan)
}

fn faults(environ: &[(&str, &str)]) -> Vec<String> {
    match loaded(environ) {
        Err(Error::Settings(faults)) => faults.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// The configuration of the minimal settings with `more` before them, so that a repeated name wins.
fn config(more: &[(&str, &str)]) -> Config {
    match loaded(&[more, &MINIMAL].concat()) {
        Ok(Plan::Vault(config)) => *config,
        Ok(Plan::Passthrough(_)) => panic!("passthrough"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = config(&[]);
    let location = Location { mount: "kv".into(), path: "app".into(), version: None };
    assert_eq!((config.locations.only(), config.locations.count()), (Some(&location), 1));
    assert_eq!((config.limits, config.on_conflict), (Limits::default(), OnConflict::Overwrite));
    assert_eq!((config.rules, config.warnings), (Rules::default(), Vec::<String>::new()));
    assert!(config.vault.tls.verify && config.vault.namespace.is_none() && config.vault.proxy.is_none());
    for (setting, shown) in [
        (&setting::MOUNT_POINT, "kv"),
        (&setting::MAX_RETRIES, "3"),
        (&setting::RETRY_DELAY, "5s"),
        (&setting::TIMEOUT, "30s"),
        (&setting::WAIT, "0s"),
        (&setting::STARTUP_TIMEOUT, "2m"),
        (&setting::ON_CONFLICT, "overwrite"),
    ] {
        assert_eq!(setting.default, Some(shown), "{}", setting.name);
    }
}

#[test]
fn without_an_address_nothing_but_required_and_the_log_is_looked_at() {
    let broken = [("VAULT_TIMEOUT", "x"), ("VAULT_PATH", "a//b"), ("VAULT_ADDR", " ")];
    assert!(matches!(loaded(&broken), Ok(Plan::Passthrough(_))));
    assert!(matches!(loaded(&[("VAULT_REQUIRED", "0")]), Ok(Plan::Passthrough(_))));
    assert_eq!(
        faults(&[("VAULT_ADDR", "https://vault"), ("BAO_ADDR", ""), ("VAULT_REQUIRED", "1")]),
        ["VAULT_ADDR: hidden by BAO_ADDR, which is empty, and VAULT_REQUIRED is true; unset BAO_ADDR"]
    );
    assert_eq!(
        faults(&[("VAULT_REQUIRED", "T"), ("VAULT_LOG_LEVEL", "loud")]),
        [
            "VAULT_LOG_LEVEL = \"loud\": unknown; write off, error, warn, info, debug or trace",
            "VAULT_ADDR: unset, and VAULT_REQUIRED is true; set it to Vault's https:// URL",
        ]
    );
    assert_eq!(faults(&[("VAULT_REQUIRED", "yes")]), ["VAULT_REQUIRED = \"yes\": not a boolean; write true or false"]);
}

#[test]
fn every_fault_is_reported_at_once_and_no_credential_is_shown() {
    let said = faults(&[
        ("VAULT_ADDR", "https://me:hunter2@vault"),
        ("VAULT_TOKEN", "hvs. hunter2"),
        ("VAULT_PROXY_ADDR", "socks5://me:hunter2@proxy"),
        ("VAULT_MOUNT_POINT", "../sys"),
        ("VAULT_SECRET_VERSION", "0"),
        ("VAULT_KEYS", "a:X,b:X"),
        ("VAULT_ON_CONFLICT", "merge"),
        ("VAULT_TIMEOUT", "0s"),
        ("VAULT_MAX_RETRIES", "-1"),
        ("VAULT_RETRY_DELAY", "soon"),
        ("VAULT_WAIT", "5m"),
        ("VAULT_CACERT", "/nowhere"),
        ("VAULT_CLIENT_CERT", "/nowhere"),
        ("VAULT_SKIP_VERIFY", "on"),
        ("VAULT_TLS_SERVER_NAME", "a b"),
        ("VAULT_LOG_FORMAT", "xml"),
    ]);
    assert_eq!(
        said,
        [
            "VAULT_LOG_FORMAT = \"xml\": unknown; write text or json",
            "VAULT_ADDR: a URL with a user name or password; leave them out, they are not used",
            "VAULT_SKIP_VERIFY = \"on\": not a boolean; write true or false",
            "VAULT_TLS_SERVER_NAME = \"a b\": neither a DNS name nor an IP address; write one that the certificate carries",
            "VAULT_CACERT = \"/nowhere\": not found; give PEM with at least one CA certificate",
            "VAULT_CLIENT_CERT = \"/nowhere\": VAULT_CLIENT_KEY is missing; set both or neither",
            "VAULT_PROXY_ADDR: not an HTTP proxy; write http://[user:password@]host:port",
            "VAULT_PATH: unset; set it to the secret's path, e.g. myapp/prod",
            "VAULT_MOUNT_POINT = \"../sys\": a part of it is empty, . or ..; write it without these",
            "VAULT_SECRET_VERSION = \"0\": not a version; write a number from 1 on, or leave it out for the latest",
            "VAULT_KEYS = \"a:X,b:X\": two keys become X; give one of them another name",
            "VAULT_ON_CONFLICT = \"merge\": unknown; write overwrite, keep or error",
            "VAULT_TOKEN: holds bytes that no token has; give the token alone, in visible ASCII",
            "VAULT_TIMEOUT = \"0s\": zero; write a duration such as 500ms, 30s or 1m30s",
            "VAULT_RETRY_DELAY = \"soon\": not a duration; write one such as 500ms, 30s or 1m30s",
            "VAULT_WAIT = \"5m\": longer than VAULT_STARTUP_TIMEOUT; raise that one, or wait less",
            "VAULT_MAX_RETRIES = \"-1\": not a number of tries; write 0, 1, 2 ...",
        ]
    );
}

#[test]
fn a_private_key_in_place_of_its_path_is_shown_nowhere() {
    let pem = "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----";
    let settings = [("VAULT_ADDR", "https://vault"), ("VAULT_CLIENT_CERT", "/nowhere"), ("VAULT_CLIENT_KEY", pem)];
    let fault =
        "VAULT_CLIENT_KEY: PEM itself, not a file's path; write it into a file, and set this to the file's path";
    assert!(faults(&settings).iter().any(|it| it == fault), "{:?}", faults(&settings));
    let shown = in_effect(&Environ::from_pairs(settings), &Flags::default());
    let key = shown.iter().find(|it| it.name == "VAULT_CLIENT_KEY");
    assert_eq!(key.and_then(|it| it.value.as_deref()), Some("***"));
}

#[test]
fn the_id_of_an_approle_is_shown_by_none_of_its_names() {
    const ID: &str = "0c5e7a86-3d1f-4b8e-9a57-5f0f7f0f2d11";
    let value = |name: &str, settings: &[(&str, &str)]| {
        let shown = in_effect(&Environ::from_pairs(settings.iter().copied()), &Flags::default());
        shown.into_iter().find(|it| it.name == name).and_then(|it| it.value)
    };
    for (name, settings, shown) in [
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop")][..], "shop"),
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop"), ("VAULT_SECRET_ID", "x")], "set"),
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop"), ("VAULT_APPROLE_SECRET_ID_FILE", "/x")], "set"),
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop"), ("VAULT_APPROLE_ROLE_ID", "x")], "set"),
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop"), ("VAULT_AUTH_METHOD", "approle")], "set"),
        ("VAULT_ROLE", &[("VAULT_ROLE_ID", "shop"), ("VAULT_AUTH_METHOD", "kubernetes")], "shop"),
        ("VAULT_ROLE", &[("VAULT_ROLE", "shop"), ("VAULT_SECRET_ID", "x")], "shop"),
        ("VAULT_ROLE", &[("VAULT_ROLE", ID)], "***"),
        ("VAULT_APPROLE_ROLE_ID", &[("VAULT_ROLE_ID", "shop")], "set"),
        ("VAULT_APPROLE_SECRET_ID_FILE", &[("VAULT_APPROLE_SECRET_ID_FILE", ID)], "***"),
        ("VAULT_APPROLE_SECRET_ID_FILE", &[("VAULT_APPROLE_SECRET_ID_FILE", "/run/secret-id")], "/run/secret-id"),
    ] {
        assert_eq!(value(name, settings).as_deref(), Some(shown), "{settings:?}");
    }
}

#[test]
fn the_auth_method_is_the_one_named_or_the_first_that_there_is_something_for() {
    let home = tempfile::tempdir().unwrap();
    let home_path = home.path().to_str().unwrap();
    let chosen = |more: &[(&str, &str)]| {
        let base = [("VAULT_ADDR", "https://vault"), ("VAULT_PATH", "app"), ("HOME", home_path), ("VAULT_ROLE", "r")];
        match loaded(&[more, &base].concat()) {
            Ok(Plan::Vault(config)) => format!("{:?}", config.auth),
            Ok(Plan::Passthrough(_)) => "passthrough".into(),
            Err(error) => error.to_string(),
        }
    };
    let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    let default_jwt = setting::K8S_TOKEN_PATH.default.unwrap();
    let nothing = format!(
        "VAULT_AUTH_METHOD: no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or VAULT_APPROLE_ROLE_ID, or VAULT_JWT \
         or VAULT_JWT_FILE, or run in a pod with a service-account token at {default_jwt}, or log in with the official \
         client ($HOME/.vault-token), or start it at a terminal (oidc), or set VAULT_AUTH_METHOD to cert, oidc or none"
    );
    let kubernetes = Kubernetes { mount: "kubernetes".into(), role: "r".into(), jwt: default_jwt.into(), revoke: true };
    let kubernetes = format!("{kubernetes:?}");
    assert_eq!(chosen(&[]), nothing);
    assert_eq!(chosen(&[pod]), kubernetes);
    assert_eq!(chosen(&[pod, ("VAULT_TOKEN_FILE", "/t")]), "Token { token: Credential(/t), revoke: true }");
    assert_eq!(
        chosen(&[pod, ("VAULT_TOKEN_FILE", "/t"), ("VAULT_TOKEN", " x\n")]),
        "Token { token: Credential(given), revoke: true }"
    );
    assert_eq!(chosen(&[("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_TOKEN", "x")]), kubernetes);
    assert_eq!(
        chosen(&[("VAULT_AUTH_METHOD", "token"), pod]),
        "VAULT_AUTH_METHOD: no token: set VAULT_TOKEN or VAULT_TOKEN_FILE, or log in with the official client \
         ($HOME/.vault-token)"
    );
    assert_eq!(
        chosen(&[pod, ("VAULT_ROLE", ""), ("VAULT_ROL", "shop")]),
        "VAULT_ROLE: unset, but VAULT_ROL is set; did you mean VAULT_ROLE?"
    );
    assert_eq!(
        chosen(&[pod, ("VAULT_ROLE", ""), ("VAULT_REVOKE", "0")]),
        "VAULT_ROLE: unset; the kubernetes login needs a role, set it to the one made for this pod"
    );
    let jwt = home.path().join("jwt");
    std::fs::write(&jwt, "x.y.z").unwrap();
    let at = format!("{:?}", Kubernetes { mount: "k8s".into(), role: "r".into(), jwt: jwt.clone(), revoke: false });
    let settings = [
        ("K8S_JWT_TOKEN_PATH", jwt.to_str().unwrap()),
        ("VAULT_K8S_AUTH_MOUNT_POINT", "/k8s/"),
        ("VAULT_REVOKE", "false"),
    ];
    assert_eq!(chosen(&settings), at);
    std::fs::write(home.path().join(".vault-token"), "x").unwrap();
    assert_eq!(chosen(&[]), format!("Token {{ token: Credential({home_path}/.vault-token), revoke: true }}"));
}

#[test]
fn what_weakens_a_run_is_warned_about() {
    let warned = |more| config(more).warnings;
    assert_eq!(warned(&[("VAULT_ADDR", "http://127.0.0.1:8200")]), Vec::<String>::new());
    assert_eq!(
        warned(&[("VAULT_ADDR", "http://vault:8200"), ("VAULT_ADRR", "x"), ("VAULT_SKIP_VERIFY", "1")]),
        [
            "VAULT_ADRR is no setting and has no effect",
            "VAULT_SKIP_VERIFY: the server's certificate is NOT checked; anybody in between can read the secrets",
            "VAULT_ADDR http://vault:8200 is not https: token and secrets cross the network in plain text",
        ]
    );
}

#[test]
fn an_alias_is_read_where_the_name_is_unset() {
    let address = |more: &[(&str, &str)]| config(more).vault.address.to_string();
    assert_eq!(address(&[("VAULT_ADDR", ""), ("VAULT_ADDRESS", "https://alias")]), "https://alias");
    assert_eq!(address(&[("VAULT_ADDRESS", "https://alias")]), "https://vault");
}

#[test]
fn what_is_no_text_is_told_once() {
    let entries = ["VAULT_ADDR=https://vault", "VAULT_TOKEN=hvs.x"].map(|entry| entry.as_bytes().to_vec());
    let entries =
        entries.into_iter().chain([b"VAULT_PATH=\xff".to_vec()]).filter_map(|it| std::ffi::CString::new(it).ok());
    let faults = inspect(&Environ::from_entries(entries), &Flags::default(), true).faults;
    let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["VAULT_PATH: not UTF-8 text"]);
}

#[test]
fn of_rust_log_only_what_concerns_this_program_counts() {
    use ::log::LevelFilter::{Debug, Error, Info, Off, Trace, Warn};
    for (environ, level) in [
        (&[][..], Info),
        (&[("RUST_LOG", "debug")], Debug),
        (&[("RUST_LOG", "hyper=debug,vault_exec=error,info")], Error),
        (&[("RUST_LOG", "hyper=debug")], Info),
        (&[("RUST_LOG", "warn,vault_exec")], Trace),
        (&[("RUST_LOG", "vault_exec=")], Trace),
        (&[("RUST_LOG", "warn,vault_exec::vault=debug")], Warn),
        (&[("RUST_LOG", "garbage!!,=")], Info),
        (&[("RUST_LOG", "debug/foo"), ("VAULT_LOG_LEVEL", "warn")], Warn),
        (&[("VAULT_LOG_LEVEL", "OFF")], Off),
    ] {
        assert_eq!(log(&Environ::from_pairs(environ.iter().copied())).level, level, "{environ:?}");
    }
}

#[test]
fn several_paths_are_of_one_mount_and_in_the_order_of_the_setting() {
    let config = config(&[("VAULT_PATH", "shop/prod, /data/common/"), ("VAULT_MOUNT_POINT", "team/kv")]);
    let at = |path: &str| Location { mount: "team/kv".into(), path: path.into(), version: None };
    assert!(config.locations.iter().eq(&[at("shop/prod"), at("data/common")]));
    assert_eq!((config.locations.only(), config.locations.count()), (None, 2));
}

#[test]
fn a_version_goes_with_one_path_only_and_that_is_told_beside_the_faults_of_the_paths() {
    let base = [("VAULT_ADDR", "https://vault"), ("VAULT_TOKEN", "hvs.x")];
    let said =
        |path, version| faults(&[&base[..], &[("VAULT_PATH", path), ("VAULT_SECRET_VERSION", version)]].concat());
    let several = "the version of one secret, and VAULT_PATH names several; leave it out, or write one path";
    assert_eq!(said("a,b", "latest"), Vec::<String>::new());
    assert_eq!(said("a", "3"), Vec::<String>::new());
    assert_eq!(said("a,b", "3"), [format!("VAULT_SECRET_VERSION = \"3\": {several}")]);
    assert_eq!(
        said("a,,b?version=1,a", "3"),
        [
            "VAULT_PATH = \"a,,b?version=1,a\": a path in it is empty; take the comma beside it out".to_owned(),
            "VAULT_PATH = \"b?version=1\": holds a query; write the path alone, and a version in VAULT_SECRET_VERSION"
                .to_owned(),
            "VAULT_PATH = \"a\": named twice; name each path once".to_owned(),
            format!("VAULT_SECRET_VERSION = \"3\": {several}"),
        ]
    );
}

#[test]
fn auth_in_front_of_the_mount_is_taken_off_with_a_warning() {
    for (text, mount, warned) in [
        ("auth/kubernetes", "kubernetes", true),
        ("/auth/clusters/eu/", "clusters/eu", true),
        ("authority", "authority", false),
        ("auth", "auth", false),
    ] {
        let in_a_pod =
            [("VAULT_AUTH_METHOD", "kubernetes"), ("VAULT_ROLE", "shop"), ("VAULT_K8S_AUTH_MOUNT_POINT", text)];
        let config = config(&in_a_pod);
        let login = Kubernetes {
            mount: mount.into(),
            role: "shop".into(),
            jwt: setting::K8S_TOKEN_PATH.default.unwrap().into(),
            revoke: true,
        };
        let warning = format!("VAULT_K8S_AUTH_MOUNT_POINT is read as {mount}: leave auth/ out, it is added by itself");
        let warnings: Vec<_> = Some(warning).filter(|_| warned).into_iter().collect();
        assert_eq!((format!("{:?}", config.auth), config.warnings), (format!("{login:?}"), warnings));
    }
}
