//! Vault is well and says no: wrong path, version, mount, policy, role, service account, JWT.

use serde_json::{Value, json};

use crate::support::embedded_vault::jwt::Jwt;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;
use crate::support::server::Server;

faults! { FAULTS, on_both;
    a_deleted_version_says_when: "a deleted version", Read, 66, AtOnce;
    a_destroyed_version_says_so: "a destroyed version", Read, 66, AtOnce;
    a_version_that_never_was_is_named: "a version that never was", Read, 66, AtOnce;
    a_path_without_a_secret_is_named: "a path without a secret", Read, 66, AtOnce;
    a_doubled_data_in_the_path_is_hinted_at: "`data/` in the path", Read, 66, AtOnce;
    a_kv_1_mount_is_suspected: "a mount of KV version 1", Read, 66, AtOnce;
    a_mount_that_is_not_there_is_denied_or_absent: "no such mount, by what the policy allows", Read, 66 | 77, AtOnce;
    a_policy_that_does_not_allow_it_is_written_out: "no rule in the policy", Read, 77, AtOnce;
    a_role_that_is_not_there_is_a_setting_to_correct: "no such role", Login, 78, AtOnce;
    a_service_account_that_the_role_does_not_know_is_denied: "a service account that the role does not know", Login, 77, AtOnce;
    a_namespace_of_the_account_that_the_role_does_not_know_is_denied: "a namespace of the account that the role does not know", Login, 77, AtOnce;
    an_expired_jwt_says_since_when: "an expired JWT", Login, 77, AtOnce;
    a_wrong_audience_is_told: "a JWT for another audience", Login, 77, AtOnce;
    a_forged_jwt_is_denied: "a forged JWT", Login, 77, AtOnce;
    an_auth_mount_that_is_not_there_is_denied: "no such auth mount", Login, 77, AtOnce;
    an_unknown_token_is_denied: "a token that nobody knows", Read, 77, AtOnce;
    a_namespace_that_is_not_there_is_told: "no such namespace, on a server that has some", Login, 78, AtOnce;
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
    server.must("PUT", &format!("sys/policies/acl/{}", scenario.name), &json!({"policy": policy}));
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
    server.must("PUT", &format!("sys/policies/acl/{}", scenario.name), &json!({"policy": policy}));
    server.must("POST", &format!("kv1/{}", scenario.path()), &json!({"A": "a-secret"}));
    scenario
        .env("VAULT_MOUNT_POINT", "kv1")
        .run()
        .expect_failure(66, &format!("vault at {{addr}}: nothing at kv1/{{path}}; {ABSENT}"))
        .expect_requests([LOGIN, "read kv1/data/{path}", "update auth/token/revoke-self"]);
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
    server.must("PUT", &format!("sys/policies/acl/{}", scenario.name), &json!({"policy": policy}));
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

fn a_forged_jwt_is_denied(server: &Server) {
    let scenario = scenario(server).jwt(&Jwt { forged: true, ..Jwt::default() });
    login_refused(&scenario, 77, "403: permission denied", DENIED, &format!("{CLUSTER}, {APP}"));
}

fn an_auth_mount_that_is_not_there_is_denied(server: &Server) {
    let scenario = scenario(server).env("VAULT_K8S_AUTH_MOUNT_POINT", "nowhere");
    scenario.run().expect_failure(
        77,
        &format!(
            "vault at {{addr}}: the login at auth/nowhere with role {{name}} was answered with 403: permission denied; \
             check that auth/nowhere is enabled and that its role {{name}} allows this service account, \
             namespace and audience; the JWT: {CLUSTER}, {APP}"
        ),
    );
}

fn an_unknown_token_is_denied(server: &Server) {
    let scenario = Scenario::new(server).env("VAULT_TOKEN", "hvs.nobody-knows-this-one").hides("hvs.nobody-knows");
    scenario.run().expect_failure(
        77,
        "vault at {addr}: the read of kv/{path} was answered with 403: permission denied; \
         check that the token is right and not expired, VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: \
         path \"kv/data/{path}\" { capabilities = [\"read\"] }",
    );
}

fn a_namespace_that_is_not_there_is_told(server: &Server) {
    let scenario = scenario(server).env("VAULT_NAMESPACE", "nowhere");
    scenario.run().expect_failure(
        78,
        "vault at {addr}: the login at auth/kubernetes with role {name} was answered with 404: {any}; \
         check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR{any}",
    );
}
