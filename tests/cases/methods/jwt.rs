//! The login with a JWT of any issuer.

use std::fs;

use serde_json::{Value, json};
use vault_testkit::jwt::Signer;
use vault_testkit::openid::{self, Fault, OpenIdProvider};
use vault_testkit::server::{Keys, Kind, Server, on};

use super::{REQUESTS, done, message, started};
use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_openbao;
    a_jwt_with_other_claims_is_refused: "JWT: another audience, subject or issuer, expired, not valid yet, forged", Login, 77, AtOnce;
    a_role_that_cannot_log_in_a_jwt_is_told: "JWT: no such role, one for people, none and the mount has no default", Login, 78, AtOnce;
    a_mount_that_cannot_log_in_a_jwt_is_told: "JWT: a mount of another method, or one that nobody has configured", Login, 78, AtOnce;
    a_jwt_mount_that_is_not_there_is_denied: "JWT: a mount that is not there, an address that the role does not allow", Login, 77, AtOnce;
    keys_that_do_not_come_are_tried_again: "JWT: the keys of the issuer do not come; tried again", Login, 75, Pauses;
    a_jwt_file_without_one_is_named: "JWT file of the jwt login: missing, empty, garbage, no JWT, JSON", Credential, 66, AtOnce;
}

const TRUST: &str =
    "check that auth/{name} trusts the JWT's issuer, and that its role r allows its audience, subject and claims";

fn scenario<'a>(server: &'a Server, signer: &Signer) -> Scenario<'a> {
    let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
    scenario.jwt_mount(signer, &json!({})).given_jwt(&signer.sign(&json!({})))
}

#[test]
fn a_start_with_a_jwt_in_a_variable_or_a_file_takes_it_out() {
    on(Kind::OpenBao, "jwt_start", |server| {
        let signer = Signer::default();
        scenario(server, &signer).run().expect(started()).expect_requests(REQUESTS);
        let in_file = scenario(server, &signer).in_file("VAULT_JWT", "VAULT_JWT_FILE");
        in_file.run().expect(started()).expect_requests(REQUESTS);
        let official = scenario(server, &signer).env("BAO_JWT", "another");
        let unknown = "WARN  vault-exec: BAO_JWT is no setting and has no effect".to_owned();
        let [last] = done("revoked");
        official.run().expect(Expect::started().env([("A", "a-secret")]).stderr([unknown, last]));
        // The mount's default role.
        let default = scenario(server, &signer).unset("VAULT_ROLE");
        let config = json!({"jwt_validation_pubkeys": [signer.public_key()], "default_role": "r"});
        server.configure_auth("", &default.name, &config);
        default.run().expect(started()).expect_requests(REQUESTS);
    });
}

#[test]
fn a_real_provider_vouches_for_a_jwt_by_its_keys_and_by_discovery() {
    let Some(provider) = OpenIdProvider::start(openid::Settings::default()) else { return };
    on(Kind::OpenBao, "jwt_provider", |server| {
        for keys in [Keys::Jwks(&provider.jwks_url()), Keys::Discovery(provider.issuer())] {
            let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
            server.enable_jwt("", &scenario.name, keys);
            server.write_jwt_role("", &scenario.name, "r", &scenario.name, &json!({}));
            let scenario = scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r");
            scenario.given_jwt(&provider.mint(&json!({}))).run().expect(started()).expect_requests(REQUESTS);
        }
    });
}

fn a_jwt_with_other_claims_is_refused(server: &Server) {
    let signer = Signer::default();
    let refused = |jwt: &str, said: &str, claims: &str| {
        let scenario = scenario(server, &signer).given_jwt(jwt).env("VAULT_RETRY_DELAY", "0").env("VAULT_WAIT", "5s");
        let expired = if said.ends_with("expired") { "the JWT has expired: get a new one; else " } else { "" };
        let told = message(&format!("400: {said}; {expired}{TRUST}; the JWT: {claims}"));
        let outcome = scenario.run().expect_failure(77, &told);
        outcome.expect_requests(["update auth/{name}/login"]);
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let audience = "error validating token: invalid audience (aud) claim: {any}";
    refused(&signer.sign(&json!({"aud": "another"})), audience, "audience another, subject ci, {any}");
    refused(
        &signer.sign(&json!({"exp": now - 3600, "nbf": now - 7200, "iat": now - 7200})),
        "error validating token: invalid expiration time (exp) claim: token is expired",
        "audience vault, subject ci, {any}expired {any} ago by the clock here",
    );
    refused(
        &signer.sign(&json!({"nbf": now + 600})),
        "error validating token: invalid not before (nbf) claim: token not yet valid",
        "audience vault, subject ci, valid (nbf) only in {any}",
    );
    refused(
        &Signer::default().sign(&json!({})),
        "error validating token: error verifying token signature: no known key successfully validated the token signature",
        "audience vault, subject ci, {any}",
    );
    let bound = scenario(server, &signer);
    server.write_jwt_role("", &bound.name, "r", &bound.name, &json!({"bound_subject": "another"}));
    let said = "400: error validating token: invalid subject (sub) claim";
    bound.run().expect_failure(77, &message(&format!("{said}; {TRUST}; the JWT: {{any}}")));
    let role = json!({"bound_subject": "", "bound_claims": {"ref": "main"}});
    server.write_jwt_role("", &bound.name, "r", &bound.name, &role);
    let said = "400: error validating claims: claim \"ref\" is missing";
    bound.run().expect_failure(77, &message(&format!("{said}; {TRUST}; the JWT: {{any}}")));
}

fn a_role_that_cannot_log_in_a_jwt_is_told(server: &Server) {
    let signer = Signer::default();
    scenario(server, &signer).env("VAULT_ROLE", "none").run().expect_failure(
        78,
        "vault at {addr}: the login at auth/{name} with role none was answered with 400: \
         role \"none\" could not be found; \
         check VAULT_ROLE (none), VAULT_AUTH_MOUNT ({name}) and the role's settings on the server; the JWT: {any}",
    );
    scenario(server, &signer).unset("VAULT_ROLE").run().expect_failure(
        78,
        "vault at {addr}: the login at auth/{name} was answered with 400: missing role; \
         set VAULT_ROLE, or a default role at auth/{name} (VAULT_AUTH_MOUNT); the JWT: {any}",
    );
    let Some(provider) = OpenIdProvider::start(openid::Settings::default()) else { return };
    let scenario = Scenario::new(server);
    let mode = vault_testkit::server::CallbackMode::Client;
    server.enable_oidc("", &scenario.name, &provider, mode);
    server.write_oidc_role("", &scenario.name, "r", &scenario.name, mode, &json!({}));
    let scenario =
        scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r").given_jwt(&provider.mint(&json!({})));
    scenario.run().expect_failure(
        78,
        &message(
            "400: role with oidc role_type is not allowed; \
             check VAULT_ROLE (r), VAULT_AUTH_MOUNT ({name}) and the role's settings on the server; the JWT: {any}",
        ),
    );
}

fn a_mount_that_cannot_log_in_a_jwt_is_told(server: &Server) {
    let signer = Signer::default();
    let other = "auth/{name} is not of type jwt; set VAULT_AUTH_MOUNT to a mount that is";
    let set_up = "write auth/{name}/config on the server: the method is enabled, but not set up";
    for (kind, said, remedy) in [
        ("approle", "500: missing role_id", other),
        ("cert", "400: no client certificate found", other),
        ("kubernetes", "400: invalid role name \"r\"", other),
        ("jwt", "400: could not load configuration", set_up),
    ] {
        let scenario = Scenario::new(server);
        server.enable_auth("", &scenario.name, kind);
        let scenario = scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r");
        let scenario = scenario.given_jwt(&signer.sign(&json!({})));
        scenario.run().expect_failure(78, &message(&format!("{said}; {remedy}; the JWT: {{any}}")));
    }
    // A mount of type kubernetes that has the role.
    let Some(provider) = OpenIdProvider::start(openid::Settings::default()) else { return };
    let scenario =
        Scenario::new(server).role(&json!({})).env("VAULT_AUTH_MOUNT", "kubernetes").env("VAULT_ROLE", "{name}");
    scenario.given_jwt(&provider.mint(&json!({}))).run().expect_failure(
        78,
        "vault at {addr}: the login at auth/kubernetes with role {name} was answered with 500: \
         decoding failed due to the following error(s): {any}; \
         auth/kubernetes is not of type jwt; set VAULT_AUTH_MOUNT to a mount that is; the JWT: {any}",
    );
}

fn a_jwt_mount_that_is_not_there_is_denied(server: &Server) {
    let signer = Signer::default();
    let scenario = Scenario::new(server).env("VAULT_AUTH_MOUNT", "no-{name}").env("VAULT_ROLE", "r");
    scenario.given_jwt(&signer.sign(&json!({}))).run().expect_failure(
        77,
        "vault at {addr}: the login at auth/no-{name} with role r was answered with 403: permission denied; \
         Vault gives no reason: check that auth/no-{name} (VAULT_AUTH_MOUNT) is enabled, and that its role r allows this address; \
         the JWT: {any}",
    );
    let elsewhere = self::scenario(server, &signer);
    server.write_jwt_role("", &elsewhere.name, "r", &elsewhere.name, &json!({"token_bound_cidrs": ["10.99.0.0/16"]}));
    let reason = "Vault gives no reason: check that auth/{name} (VAULT_AUTH_MOUNT) is enabled, and that its role r allows this address";
    let rest = format!("403: permission denied; {reason}; the JWT: {{any}}");
    elsewhere.run().expect_failure(77, &message(&rest));
}

fn keys_that_do_not_come_are_tried_again(server: &Server) {
    let Some(provider) = OpenIdProvider::start(openid::Settings::default()) else { return };
    let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"}));
    server.enable_jwt("", &scenario.name, Keys::Jwks(&provider.jwks_url()));
    server.write_jwt_role("", &scenario.name, "r", &scenario.name, &json!({}));
    let scenario = scenario.env("VAULT_AUTH_MOUNT", "{name}").env("VAULT_ROLE", "r").env("VAULT_RETRY_DELAY", "0");
    let scenario = scenario.given_jwt(&provider.mint(&json!({}))).env("VAULT_MAX_RETRIES", "1");
    provider.fault("/jwks", Fault::Status(503));
    let cause = "the login at auth/{name} with role r was answered with 400: error validating token: error verifying token \
                 signature: fetching keys oidc: get keys failed: 503 Service Unavailable";
    let keys = "auth/{name} does not get the keys that the issuer signs with: look at the issuer, as Vault reaches it";
    scenario.run().expect(Expect::done().code(75).stderr([
        format!("WARN  vault-exec: login: {cause}; try 1 of 2, the next in 0ms"),
        format!("ERROR vault-exec: vault at {{addr}}: {cause}; {keys} (2 tries in {{any}})"),
    ]));
    provider.clear_faults();
    scenario.run().expect(started());
}

fn a_jwt_file_without_one_is_named(server: &Server) {
    let write = "write a JWT into it, or correct VAULT_JWT_FILE";
    for (content, cause) in [
        (None, format!("not found; {write}")),
        (Some("\n"), format!("empty; {write}")),
        (Some("garbage\ngarbage"), format!("holds more than one line, or bytes that no token has; {write}")),
        (Some("garbage.garbage"), format!("not a JWT; {write}")),
        (
            Some(r#"{"wrap_info":{"token":"garbage-0"}}"#),
            "holds a wrapped token in JSON; set VAULT_UNWRAP=true, or unwrap it first".to_owned(),
        ),
    ] {
        let scenario = Scenario::new(server).hides("garbage").env("VAULT_JWT_FILE", "{folder}/jwt");
        if let Some(content) = content {
            fs::write(scenario.file("jwt"), content).expect("a file is written");
        }
        scenario.run().expect_failure(66, &format!("JWT file {{folder}}/jwt: {cause}")).expect_requests([]);
    }
    let jwt = Signer::default().sign(&json!({}));
    let misplaced = Scenario::new(server).hides(&jwt).env("VAULT_JWT_FILE", &jwt);
    let like = "it looks like a JWT itself: VAULT_JWT takes that, VAULT_JWT_FILE the path of a file";
    misplaced.run().expect_failure(66, &format!("JWT file ***: {{any}}; {like}"));
}

#[test]
fn a_dry_run_tells_the_claims_of_a_jwt() {
    on(Kind::OpenBao, "jwt_check", |server| {
        let signer = Signer::default();
        let scenario = scenario(server, &signer).options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().any_stdout()).expect_requests(REQUESTS);
        assert_says(&outcome.stdout, "a JWT is handed in: audience vault, subject ci, ");
        let scenario = scenario.options(["--report", "json"]);
        let outcome = scenario.run();
        let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
        assert_known_fields(&report);
        let steps = report["steps"].as_array().expect("a list");
        let credential = steps.iter().find(|step| step["step"] == "credential").expect("a credential");
        assert_eq!(
            [&credential["path"], &credential["audience"], &credential["subject"]],
            [&Value::Null, &json!(["vault"]), &json!("ci")]
        );
        assert!((1..=300).contains(&credential["expires_in_seconds"].as_i64().expect("a number")), "{credential}");
        let login = steps.iter().find(|step| step["step"] == "login").expect("a login");
        assert_eq!((&login["method"], &login["outcome"]), (&json!("jwt"), &json!("ok")));
    });
}

#[test]
fn a_jwt_that_comes_late_is_waited_for() {
    on(Kind::OpenBao, "jwt_late", |server| {
        let signer = Signer::default();
        let scenario = scenario(server, &signer).unset("VAULT_JWT").env("VAULT_JWT_FILE", "{folder}/late");
        let jwt = signer.sign(&json!({}));
        let scenario = scenario.hides(&jwt).env("VAULT_WAIT", "20s");
        let started = scenario.start();
        started.await_log("not found");
        super::put(&scenario, "late", &jwt);
        let waiting = "WARN  vault-exec: credential: JWT file {folder}/late: not found; waiting up to 20s (VAULT_WAIT)";
        let [last] = done("revoked");
        started.finish().expect(Expect::started().env([("A", "a-secret")]).stderr([waiting.to_owned(), last]));
    });
}
