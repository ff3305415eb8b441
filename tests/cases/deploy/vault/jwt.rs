//! JWT of a CI job: the job of this repository and ref logs in, and no other.

use serde_json::{Value, json};
use vault_testkit::http::Answer;
use vault_testkit::server::{Kind, on};

use super::Site;
use super::issuer::Issuer;
use super::method::Method;

impl Site<'_> {
    fn job(&self, method: &Method, claims: &Value) -> Answer {
        let body = json!({"role": "shop", "jwt": Issuer::shared().sign(claims)});
        self.post(&format!("auth/{}/login", method.name), &body)
    }

    /// The job logs in, and each that differs in one claim does not.
    fn only(&self, method: &Method, claims: &Value, others: &[(&str, Value)]) {
        self.reads_its_secret_alone(&self.job(method, claims), 180);
        for (name, value) in others {
            let mut other = claims.clone();
            other[name] = value.clone();
            let answer = self.job(method, &other);
            assert_eq!(answer.status, 400, "{name}={value}: {}", answer.text);
            if value.is_string() {
                other[name] = Value::Null;
                assert_eq!(self.job(method, &other).status, 400, "{name} is null");
            }
        }
    }
}

fn github() -> Value {
    json!({
        "sub": "repo:acme/shop:ref:refs/heads/main", "repository": "acme/shop", "repository_owner": "acme",
        "repository_id": "74", "ref": "refs/heads/main", "ref_type": "branch", "event_name": "push", "actor": "someone",
    })
}

fn gitlab() -> Value {
    json!({
        "sub": "project_path:acme/web/shop:ref_type:branch:ref:main", "namespace_path": "acme/web",
        "project_path": "acme/web/shop", "project_id": "22", "ref": "main", "ref_type": "branch",
        "ref_protected": "true", "user_login": "someone",
    })
}

/// What no job may differ in, whichever CI it is of.
fn everywhere() -> Vec<(&'static str, Value)> {
    vec![("aud", json!("https://github.com/acme")), ("iss", json!("https://elsewhere.example")), ("exp", json!(1))]
}

#[test]
fn a_job_of_the_repository_and_ref_logs_in_and_no_other() {
    on(Kind::OpenBao, "a_job_of_the_repository_and_ref_logs_in_and_no_other", |server| {
        let (site, method) = (Site::new(server), Method::named("jwt-github"));
        site.make("sh", method, &[]);
        site.write_secrets();
        let others = [
            ("repository", json!("acme/shop-2")),
            ("repository", json!("ACME/shop")),
            ("ref", json!("refs/heads/main2")),
            ("ref", json!("refs/pull/1/merge")),
        ];
        site.only(method, &github(), &[&everywhere()[..], &others].concat());

        // By its environment, whose rules say what refs it is for; and by its id, which no later repository gets.
        site.make("sh", method, &[("JWT_ENVIRONMENT", "prod eu"), ("JWT_CLAIMS", "repository_id=74,event_name=push")]);
        let mut deploys = github();
        (deploys["environment"], deploys["ref"]) = (json!("prod eu"), json!("refs/tags/v1"));
        let others = [("environment", json!("test")), ("repository_id", json!("75")), ("event_name", json!("issues"))];
        site.only(method, &deploys, &others);
        assert_eq!(site.job(method, &github()).status, 400, "without an environment");
        site.make("sh", method, &[("JWT_ENVIRONMENT", "prod eu"), ("JWT_REF", "refs/heads/main")]);
        assert_eq!(site.job(method, &deploys).status, 400, "the ref is bound too");
    });
}

#[test]
fn a_job_of_the_project_and_its_protected_ref_logs_in_and_no_other() {
    on(Kind::OpenBao, "a_job_of_the_project_and_its_protected_ref_logs_in_and_no_other", |server| {
        let (site, method) = (Site::new(server), Method::named("jwt-gitlab"));
        site.make("sh", method, &[]);
        site.write_secrets();
        let others = [
            ("project_path", json!("acme/web/shop2")),
            ("ref", json!("next")),
            ("ref_type", json!("tag")),
            ("ref_protected", json!("false")),
        ];
        site.only(method, &gitlab(), &[&everywhere()[..], &others].concat());
        site.make(
            "sh",
            method,
            &[("JWT_REF", "release"), ("JWT_ENVIRONMENT", "prod"), ("JWT_AUDIENCE", "https://vault.example")],
        );
        let mut release = gitlab();
        (release["ref"], release["environment"]) = (json!("release"), json!("prod"));
        release["aud"] = json!("https://vault.example");
        site.only(method, &release, &[("environment", json!("test")), ("ref", json!("main")), ("aud", json!("vault"))]);
    });
}

/// For a Vault that cannot reach its issuer.
#[test]
fn keys_that_are_given_do_as_well_as_those_of_the_issuers_server() {
    on(Kind::OpenBao, "keys_that_are_given_do_as_well_as_those_of_the_issuers_server", |server| {
        let (site, method) = (Site::new(server), Method::named("jwt-github"));
        let keys = Issuer::shared().keys_file(&site);
        site.make("sh", method, &[("JWT_PUBKEYS_FILE", &keys)]);
        site.write_secrets();
        site.only(method, &github(), &everywhere());
        let config = site.read("auth/jwt-github/config");
        assert_eq!(
            (&config["oidc_discovery_url"], &config["bound_issuer"]),
            (&json!(""), &json!(Issuer::shared().url()))
        );
    });
}

#[test]
fn the_configuration_that_other_roles_count_on_stays() {
    on(Kind::OpenBao, "the_configuration_that_other_roles_count_on_stays", |server| {
        let (site, method) = (Site::new(server), Method::named("jwt-github"));
        site.make("sh", method, &[]);
        let issuer = Issuer::shared().url();
        let theirs = json!({
            "oidc_discovery_url": issuer, "bound_issuer": issuer, "default_role": "theirs", "jwt_supported_algs": ["EdDSA"],
        });
        server.must_in(&site.namespace, "POST", "auth/jwt-github/config", &theirs);
        let before = site.read("auth/jwt-github/config");
        site.make("sh", method, &[]);
        assert_eq!(site.read("auth/jwt-github/config"), before);

        let line = format!(
            "setup.sh: configuration of jwt-github: there, for {issuer} and not for https://git.example; give \
             JWT_ISSUER={issuer}, or name another mount by VAULT_AUTH_MOUNT"
        );
        assert_eq!(site.refuses(method, &[("JWT_ISSUER", "https://git.example")]), line);
        let line = line.replace("https://git.example", "https://token.actions.githubusercontent.com");
        assert_eq!(site.refuses(method, &[("JWT_ISSUER", "")]), line);

        // An issuer that is not written out is the one whose keys are fetched.
        server.must_in(&site.namespace, "POST", "auth/jwt-github/config", &json!({"oidc_discovery_url": issuer}));
        site.make("sh", method, &[]);
        assert_eq!(site.read("auth/jwt-github/config")["bound_issuer"], "");
        server.must_in(&site.namespace, "POST", "auth/jwt-github/config", &theirs);

        // New keys change the keys alone.
        let keys = Issuer::shared().keys_file(&site);
        site.make("sh", method, &[("JWT_PUBKEYS_FILE", &keys)]);
        let mut after = before;
        after["jwt_validation_pubkeys"] = json!([std::fs::read_to_string(keys).unwrap().trim_end().replace('\r', "")]);
        after["oidc_discovery_url"] = json!("");
        assert_eq!(site.read("auth/jwt-github/config"), after);
    });
}

#[test]
fn settings_that_would_let_in_other_jobs_are_refused() {
    on(Kind::OpenBao, "settings_that_would_let_in_other_jobs_are_refused", |server| {
        let site = Site::new(server);
        let one = "one value, without comma, *, quotation mark and backslash";
        let (repository, project) = ("OWNER/REPOSITORY is needed", "GROUP/PROJECT is needed");
        let pair = "NAME=VALUE, the name of lower case letters, digits and _";
        let cases = [
            ("jwt-github", "JWT_REPOSITORY", "", repository),
            ("jwt-github", "JWT_REPOSITORY", "acme", repository),
            ("jwt-github", "JWT_REPOSITORY", "acme/*", repository),
            ("jwt-github", "JWT_REPOSITORY", "/shop", repository),
            ("jwt-github", "JWT_REF", "refs/heads/*", one),
            ("jwt-github", "JWT_REF", "a\",\"b\":\"c", one),
            ("jwt-github", "JWT_ENVIRONMENT", "prod,test", one),
            ("jwt-github", "JWT_CLAIMS", "repository=evil/shop", "repository is bound already"),
            ("jwt-github", "JWT_CLAIMS", "actor", pair),
            ("jwt-github", "JWT_CLAIMS", "=a", pair),
            ("jwt-github", "JWT_CLAIMS", "a\"b=c", pair),
            ("jwt-github", "JWT_CLAIMS", "actor=", one),
            ("jwt-github", "JWT_AUDIENCE", "a,b", "one audience, without @ in front, comma, space or *"),
            ("jwt-github", "JWT_ISSUER", "gitlab.com", "a URL begins with https:// or http://"),
            ("jwt-gitlab", "JWT_PROJECT", "", project),
            ("jwt-gitlab", "JWT_PROJECT", "acme/", project),
        ];
        for (method, setting, value, line) in cases {
            let refused = site.refuses(Method::named(method), &[(setting, value)]);
            assert_eq!(refused, format!("setup.sh: {setting}: {line}"), "{value}");
        }
        let line = site.refuses(Method::named("jwt-github"), &[("JWT_CA_FILE", "/nowhere")]);
        assert_eq!(line, "setup.sh: /nowhere cannot be read");
        // Nothing listens there.
        let line = site.refuses(Method::named("jwt-github"), &[("JWT_ISSUER", "http://127.0.0.1:1")]);
        let start = "setup.sh: configuration of jwt-github was refused; give JWT_PUBKEYS_FILE where Vault cannot reach the \
                     issuer, JWT_CA_FILE where it does not know its CA: ";
        assert!(line.starts_with(start), "{line}");
    });
}
