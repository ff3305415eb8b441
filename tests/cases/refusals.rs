//! Vault is well and says no: wrong path, version, mount, policy, role, service account, JWT.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::on_both;
use vault_testkit::server::{Kind, Server, on};

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_both;
    a_deleted_version_says_when: "a deleted version", Read, 66, AtOnce;
    a_destroyed_version_says_so: "a destroyed version", Read, 66, AtOnce;
    a_version_that_never_was_is_named: "a version that never was", Read, 66, AtOnce;
    a_path_without_a_secret_is_named: "a path without a secret", Read, 66, AtOnce;
    a_doubled_data_in_the_path_is_hinted_at: "`data/` in the path", Read, 66, AtOnce;
    a_kv_1_mount_is_suspected: "a mount of KV version 1", Read, 66, AtOnce;
    a_kv_1_mount_that_has_something_there_is_told: "the same, with something under `data/`", Read, 78, AtOnce;
    a_mount_that_is_not_there_is_denied_or_absent: "no such mount, by what the policy allows", Read, 66 | 77, AtOnce;
    a_policy_that_does_not_allow_it_is_written_out: "no rule in the policy", Read, 77, AtOnce;
    a_role_that_is_not_there_is_a_setting_to_correct: "no such role", Login, 78, AtOnce;
    a_service_account_that_the_role_does_not_know_is_denied: "a service account that the role does not know", Login, 77, AtOnce;
    a_namespace_of_the_account_that_the_role_does_not_know_is_denied: "a namespace of the account that the role does not know", Login, 77, AtOnce;
    an_expired_jwt_says_since_when: "an expired JWT", Login, 77, AtOnce;
    a_wrong_audience_is_told: "a JWT for another audience", Login, 77, AtOnce;
    a_forged_jwt_is_denied: "a forged JWT", Login, 77, Pauses;
    an_auth_mount_that_is_not_there_is_denied: "no such auth mount", Login, 77, Pauses;
    an_unknown_token_is_denied: "a token that nobody knows", Read, 77, AtOnce;
    a_namespace_that_is_not_there_is_told: "no such namespace, on a server that has some", Login, 78, AtOnce;
}

// A real server does not log what is asked in a namespace that is none, so that the step cannot be held to a row.
on_both! {
    a_namespace_that_is_not_there_is_told_with_a_token_too,
}

const LOGIN: &str = "update auth/kubernetes/login";
const WITH_LOGIN: [&str; 3] = [LOGIN, "read kv/data/{path}", "update auth/token/revoke-self"];

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes()
}

fn read_refused(scenario: &Scenario, code: i32, message: &str) {
    scenario.run().expect_failure(code, &format!("vault at {{addr}}: {message}")).expect_requests(WITH_LOGIN);
}

fn change_versions(server: &Server, scenario: &Scenario, what: &str, versions: &Value) {
    server.must("POST", &format!("kv/{what}/{}", scenario.path()), &json!({"versions": versions}));
}

fn a_deleted_version_says_when(server: &Server) {
    let scenario = scenario(server).secret(&json!({"A": "newer-secret"}));
    change_versions(server, &scenario, "delete", &json!([2]));
    read_refused(
        &scenario,
        66,
        "kv/{path} version 2 was deleted at {any}Z; \
         undelete it, write a new version, or pin another one with VAULT_SECRET_VERSION",
    );
}

fn a_destroyed_version_says_so(server: &Server) {
    let scenario = scenario(server).secret(&json!({"A": "newer-secret"}));
    change_versions(server, &scenario, "destroy", &json!([1]));
    read_refused(
        &scenario.env("VAULT_SECRET_VERSION", "1"),
        66,
        "kv/{path} version 1 was destroyed; write a new version, or pin another one with VAULT_SECRET_VERSION",
    );
}

const ABSENT: &str =
    "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount";

fn a_version_that_never_was_is_named(server: &Server) {
    let scenario = scenario(server).env("VAULT_SECRET_VERSION", "9");
    read_refused(&scenario, 66, &format!("no version 9 at kv/{{path}}; {ABSENT}"));
}

fn a_path_without_a_secret_is_named(server: &Server) {
    let scenario = Scenario::new(server).kubernetes();
    read_refused(&scenario, 66, &format!("nothing at kv/{{path}}; {ABSENT}"));
}

fn a_doubled_data_in_the_path_is_hinted_at(server: &Server) {
    let scenario = scenario(server);
    let policy = "path \"kv/data/data/NAME/*\" { capabilities = [\"read\"] }".replace("NAME", &scenario.name);
    server.write_policy("", &scenario.name, &policy);
    scenario
        .env("VAULT_PATH", "data/{path}")
        .run()
        .expect_failure(
            66,
            "vault at {addr}: nothing at kv/data/{path}; leave data/ out of VAULT_PATH: it is added by itself",
        )
        .expect_requests([LOGIN, "read kv/data/data/{path}", "update auth/token/revoke-self"]);
}

fn a_kv_1_mount_is_suspected(server: &Server) {
    let scenario = scenario(server);
    let policy = "path \"kv1/*\" { capabilities = [\"read\"] }";
    server.write_policy("", &scenario.name, policy);
    server.must("POST", &format!("kv1/{}", scenario.path()), &json!({"A": "a-secret"}));
    scenario
        .env("VAULT_MOUNT_POINT", "kv1")
        .run()
        .expect_failure(66, &format!("vault at {{addr}}: nothing at kv1/{{path}}; {ABSENT}"))
        .expect_requests([LOGIN, "read kv1/data/{path}", "update auth/token/revoke-self"]);
}

fn a_kv_1_mount_that_has_something_there_is_told(server: &Server) {
    let policy = "path \"kv1/*\" { capabilities = [\"read\"] }";
    // The second is what a client for version 2 writes.
    for secret in [json!({"A": "a-secret"}), json!({"data": {"A": "a-secret"}, "options": {}})] {
        let scenario = scenario(server).env("VAULT_MOUNT_POINT", "kv1");
        server.write_policy("", &scenario.name, policy);
        server.must("POST", &format!("kv1/data/{}", scenario.path()), &secret);
        scenario
            .run()
            .expect_failure(
                78,
                "vault at {addr}: the read of kv1/{path} gave data without a version, as a KV version 1 mount does; \
                 set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one",
            )
            .expect_requests([LOGIN, "read kv1/data/{path}", "update auth/token/revoke-self"]);
    }
}

fn a_mount_that_is_not_there_is_denied_or_absent(server: &Server) {
    let scenario = scenario(server).env("VAULT_MOUNT_POINT", "nowhere");
    scenario.run().expect_failure(
        77,
        "vault at {addr}: the read of nowhere/{path} was answered with 403: 1 error occurred: * permission denied; \
         check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
         path \"nowhere/data/{path}\" { capabilities = [\"read\"] }",
    );
    let policy = "path \"nowhere/*\" { capabilities = [\"read\"] }";
    server.write_policy("", &scenario.name, policy);
    scenario.run().expect_failure(
        66,
        &format!("vault at {{addr}}: nothing at nowhere/{{path}} (no handler for route {{any}}); {ABSENT}"),
    );
}

fn a_policy_that_does_not_allow_it_is_written_out(server: &Server) {
    let scenario = scenario(server).role(&json!({"token_policies": "default"}));
    scenario.run().expect_failure(
        77,
        "vault at {addr}: the read of kv/{path} was answered with 403: 1 error occurred: * permission denied; \
         check VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
         path \"kv/data/{path}\" { capabilities = [\"read\"] }",
    );
}

/// A login that was refused: nothing was made, so nothing is revoked.
fn login_refused(scenario: &Scenario, code: i32, said: &str, remedy: &str, jwt: &str) {
    let message = format!(
        "vault at {{addr}}: the login at auth/kubernetes with role {{name}} was answered with {said}; \
         {remedy}; the JWT: {jwt}"
    );
    scenario.run().expect_failure(code, &message).expect_requests([LOGIN]);
}

const DENIED: &str = "check that auth/kubernetes is enabled and that its role {name} allows this service account, namespace and audience";
const CLUSTER: &str = "audience https://kubernetes.default.svc";
const APP: &str = "subject system:serviceaccount:default:app, expires in {any}";

fn a_role_that_is_not_there_is_a_setting_to_correct(server: &Server) {
    let scenario = Scenario::new(server).jwt(&Jwt::default()).env("VAULT_ROLE", "{name}");
    let remedy = "check VAULT_ROLE ({name}), VAULT_K8S_AUTH_MOUNT_POINT (kubernetes) \
                  and the role's settings on the server";
    let said = "400: invalid role name \"{name}\"";
    login_refused(&scenario, 78, said, remedy, &format!("{CLUSTER}, {APP}"));
}

fn a_service_account_that_the_role_does_not_know_is_denied(server: &Server) {
    let scenario = scenario(server).jwt(&Jwt { service_account: "other".to_owned(), ..Jwt::default() });
    let jwt = format!("{CLUSTER}, subject system:serviceaccount:default:other, expires in {{any}}");
    login_refused(&scenario, 77, "403: service account name not authorized", DENIED, &jwt);
}

fn a_namespace_of_the_account_that_the_role_does_not_know_is_denied(server: &Server) {
    let scenario = scenario(server).jwt(&Jwt { namespace: "other".to_owned(), ..Jwt::default() });
    let jwt = format!("{CLUSTER}, subject system:serviceaccount:other:app, expires in {{any}}");
    login_refused(&scenario, 77, "403: namespace not authorized", DENIED, &jwt);
}

fn an_expired_jwt_says_since_when(server: &Server) {
    let scenario = scenario(server).jwt(&Jwt { expires_in: -5400, ..Jwt::default() });
    let jwt = format!("{CLUSTER}, subject system:serviceaccount:default:app, expired 90m{{any}} ago by the clock here");
    login_refused(&scenario, 77, "403: invalid expiration time (exp) claim: token is expired", DENIED, &jwt);
}

fn a_wrong_audience_is_told(server: &Server) {
    let scenario = scenario(server)
        .role(&json!({"audience": "vault"}))
        .jwt(&Jwt { audience: json!(["one", "two"]), ..Jwt::default() });
    let said = "403: invalid audience (aud) claim: audience claim does not match any expected audience";
    login_refused(&scenario, 77, said, DENIED, &format!("audience one, two, {APP}"));
}

/// A login that was refused without a reason, and tried twice more.
fn login_denied(scenario: &Scenario, mount: &str) {
    let cause = format!("the login at auth/{mount} with role {{name}} was answered with 403: permission denied");
    let try_ = |number| format!("WARN  vault-exec: login: {cause}; try {number} of 3, the next in 0ms");
    scenario.run().expect(Expect::done().code(77).stderr([
        try_(1),
        try_(2),
        format!(
            "ERROR vault-exec: vault at {{addr}}: {cause}; Vault gives no reason: check that auth/{mount} is enabled, \
             that its role {{name}} allows this address, and that the TokenReview works: the reviewer JWT, its right \
             system:auth-delegator, the API server as Vault reaches it; the JWT: {CLUSTER}, {APP} (3 tries in {{any}})"
        ),
    ]));
}

fn a_forged_jwt_is_denied(server: &Server) {
    let scenario = scenario(server).jwt(&Jwt { forged: true, ..Jwt::default() }).env("VAULT_RETRY_DELAY", "0");
    login_denied(&scenario, "kubernetes");
}

fn an_auth_mount_that_is_not_there_is_denied(server: &Server) {
    let scenario = scenario(server).env("VAULT_K8S_AUTH_MOUNT_POINT", "nowhere").env("VAULT_RETRY_DELAY", "0");
    login_denied(&scenario, "nowhere");
}

fn an_unknown_token_is_denied(server: &Server) {
    let scenario = Scenario::new(server).env("VAULT_TOKEN", "hvs.nobody-knows-this-one").hides("hvs.nobody-knows");
    scenario.run().expect_failure(
        77,
        "vault at {addr}: the read of kv/{path} was answered with 403: permission denied; \
         check that the token is right, not expired and not wrapped (VAULT_UNWRAP), VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
         path \"kv/data/{path}\" { capabilities = [\"read\"] }",
    );
}

fn a_namespace_that_is_not_there_is_told(server: &Server) {
    let scenario = scenario(server).env("VAULT_NAMESPACE", "nowhere");
    scenario.run().expect_failure(
        78,
        "vault at {addr}: the login at auth/kubernetes with role {name} was answered with 404: {any}; \
         check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR; VAULT_NAMESPACE is nowhere; \
         the JWT: {any}",
    );
}

fn a_namespace_that_is_not_there_is_told_with_a_token_too(server: &Server) {
    scenario(server).token(&json!({})).env("VAULT_NAMESPACE", "nowhere").run().expect_failure(
        78,
        "vault at {addr}: the read of kv/{path} was answered with 404: namespace not found; \
         check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR; VAULT_NAMESPACE is nowhere",
    );
}

/// What only the real server knows.
fn on_the_real_one(name: &str, test: impl FnOnce(&Server)) {
    on(Kind::OpenBao, name, test);
}

#[test]
fn auth_mounts_that_cannot_log_in_a_pod_say_which_kind_they_are_of() {
    on_the_real_one("auth_mounts", |server| {
        let scenario = |mount: &str| {
            let scenario = Scenario::new(server).jwt(&Jwt::default()).env("VAULT_ROLE", "shop");
            scenario.env("VAULT_MAX_RETRIES", "0").env("VAULT_K8S_AUTH_MOUNT_POINT", mount)
        };
        for (kind, code, said) in [
            (
                "kubernetes",
                78,
                "500: could not load backend configuration; \
                 write auth/{name}/config on the server: the method is enabled, but not set up",
            ),
            ("approle", 78, "500: missing role_id; OTHER"),
            ("jwt", 78, "400: could not load configuration; OTHER"),
            ("cert", 78, "400: no client certificate found; OTHER"),
            // These do not tell themselves from a mount that is not there.
            ("userpass", 77, "403: permission denied; Vault gives no reason: {any}"),
        ] {
            let scenario = scenario("{name}");
            server.must("POST", &format!("sys/auth/{}", scenario.name), &json!({"type": kind}));
            if kind == "kubernetes" {
                let role = json!({"bound_service_account_names": "*", "bound_service_account_namespaces": "*"});
                server.must("POST", &format!("auth/{}/role/shop", scenario.name), &role);
            }
            let other = "auth/{name} is not of type kubernetes; set VAULT_K8S_AUTH_MOUNT_POINT to a mount that is";
            let message = format!(
                "vault at {{addr}}: the login at auth/{{name}} with role shop was answered with {}; the JWT: {{any}}",
                said.replace("OTHER", other)
            );
            scenario.run().expect_failure(code, &message);
        }
    });
}

#[test]
fn a_jwt_that_is_not_valid_yet_is_told_with_its_times() {
    on_the_real_one("jwt_too_early", |server| {
        let claims = |early: &str| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
            let mut claims = json!({
                "aud": "vault", "sub": "system:serviceaccount:default:app", "exp": now + 3600, "iat": now, "nbf": now,
                "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "app", "uid": "u"}},
            });
            claims[early] = json!(now + 600);
            format!("eyJhbGciOiJSUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims.to_string()))
        };
        for (early, said, times) in [
            ("nbf", "invalid not before (nbf) claim: {any}", "valid (nbf) only in {any}, issued (iat) since {any}"),
            ("iat", "invalid issued at (iat) claim: {any}", "valid (nbf) since {any}, issued (iat) only in {any}"),
        ] {
            let scenario = scenario(server).jwt_text(&claims(early));
            let jwt = format!(
                "audience vault, subject system:serviceaccount:default:app, {times} by the clock here, expires in {{any}}"
            );
            login_refused(&scenario, 77, &format!("403: {said}"), DENIED, &jwt);
        }
    });
}

#[test]
fn a_version_that_holds_null_is_told_and_one_that_will_be_deleted_is_read() {
    on_the_real_one("odd_versions", |server| {
        let scenario = scenario(server);
        let path = scenario.path();
        server.must("POST", &format!("kv/metadata/{path}"), &json!({"delete_version_after": "1h"}));
        let scenario = scenario.secret(&json!({"A": "newer-secret"}));
        scenario.run().expect(Expect::started().env([("A", "newer-secret")]));
        server.must("POST", &format!("kv/data/{path}"), &json!({"data": null}));
        scenario.run().expect_failure(
            66,
            "vault at {addr}: kv/{path} version 3 holds nothing: null was written; \
             write a new version, or pin another one with VAULT_SECRET_VERSION",
        );
    });
}

#[test]
fn characters_that_cannot_be_seen_are_suspected_where_the_server_says_nothing() {
    on_the_real_one("invisible", |server| {
        let path = scenario(server).env("VAULT_PATH", "{path}\u{200b}");
        path.run().expect_failure(
            78,
            "vault at {addr}: the read of kv/{path}\u{200b} was answered with 400; \
             look for characters that cannot be seen in VAULT_PATH, VAULT_MOUNT_POINT and VAULT_ADDR",
        );
        let mount = scenario(server).env("VAULT_K8S_AUTH_MOUNT_POINT", "kubernetes\u{200b}");
        mount.run().expect_failure(
            78,
            "vault at {addr}: the login at auth/kubernetes\u{200b} with role {name} was answered with 400; \
             look for characters that cannot be seen in VAULT_K8S_AUTH_MOUNT_POINT (kubernetes\u{200b}) and VAULT_ADDR; \
             the JWT: {any}",
        );
    });
}
