//! The login with a client certificate.

use serde_json::{Value, json};
use vault_testkit::certs::certs;
use vault_testkit::server::{Kind, Listener, Server, on};

use super::{REQUESTS, message, started};
use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, on_openbao;
    a_certificate_that_no_role_takes_is_refused: "certificate login: another CA, no certificate of a client, names that the role does not allow, no such role", Login, 77, AtOnce;
    a_certificate_that_does_not_come_is_told: "certificate login: no certificate comes to the server", Login, 77, AtOnce;
    a_mount_that_cannot_log_in_a_certificate_is_told: "certificate login: a mount of another method", Login, 78, AtOnce;
    a_cert_mount_that_is_not_there_is_denied: "certificate login: a mount that is not there", Login, 77, AtOnce;
    a_certificate_login_needs_https_and_a_certificate: "certificate login: no certificate is set, or the address is not https", Settings, 78, AtOnce;
}

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).certificate(&certs().client, &json!({}))
}

#[test]
fn a_start_with_a_certificate_needs_no_role() {
    on(Kind::OpenBao, "cert_start", |server| {
        scenario(server).run().expect(started()).expect_requests(REQUESTS);
        scenario(server).unset("VAULT_ROLE").run().expect(started()).expect_requests(REQUESTS);
        // The listener insists on one.
        let insisting = scenario(server);
        insisting.tls(Listener::MutualTls).run().expect(started()).expect_requests(REQUESTS);
    });
}

fn a_certificate_that_no_role_takes_is_refused(server: &Server) {
    let trust = "check that auth/{name} has a certificate role ROLE (VAULT_ROLE), and that it trusts the issuer of \
                 VAULT_CLIENT_CERT and allows its names";
    let refused = |scenario: Scenario, role: &str, said: &str| {
        let trust = trust.replace("ROLE (", &format!("{role} ("));
        let cause = format!("the login at auth/{{name}} with role {role} was answered with {said}");
        let scenario = scenario.env("VAULT_RETRY_DELAY", "0");
        let outcome = scenario.run().expect_failure(77, &format!("vault at {{addr}}: {cause}; {trust}"));
        outcome.expect_requests(["update auth/{name}/login"]);
    };
    let with = |client| Scenario::new(server).certificate(client, &json!({}));
    let unknown = "400: invalid certificate or no client certificate supplied";
    refused(with(&certs().stranger_client), "r", unknown);
    refused(scenario(server).env("VAULT_ROLE", "none"), "none", unknown);
    let misused = "500: failed to verify client's certificate: x509: certificate specifies an incompatible key usage";
    refused(with(&certs().good), "r", misused);
    let named = Scenario::new(server).certificate(&certs().client, &json!({"allowed_common_names": ["another"]}));
    refused(named, "r", "400: no chain matching all constraints could be found for this login certificate");
    let any = with(&certs().stranger_client).unset("VAULT_ROLE");
    any.run().expect_failure(
        77,
        "vault at {addr}: the login at auth/{name} was answered with 400: \
         invalid certificate or no client certificate supplied; \
         check that a certificate role at auth/{name} trusts the issuer of VAULT_CLIENT_CERT and allows its names",
    );
}

fn a_certificate_that_does_not_come_is_told(server: &Server) {
    // Something in between ends TLS.
    let plain = server.addr(Listener::Plain);
    let port = plain.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let front = vault_testkit::tls_front::before(port);
    let scenario = scenario(server).at(&front);
    scenario.run().expect_failure(
        77,
        &message(
            "400: no client certificate found; the certificate has not come to Vault: check that nothing in between ends \
             TLS, and that its listener does not set tls_disable_client_certs",
        ),
    );
}

fn a_mount_that_cannot_log_in_a_certificate_is_told(server: &Server) {
    for (kind, said) in [
        ("approle", "500: missing role_id"),
        ("kubernetes", "400: missing role"),
        ("jwt", "400: could not load configuration"),
    ] {
        let scenario = scenario(server);
        server.enable_auth("", &format!("{}-other", scenario.name), kind);
        let scenario = scenario.env("VAULT_AUTH_MOUNT", "{name}-other");
        let cause = format!("the login at auth/{{name}}-other with role r was answered with {said}");
        let remedy = "auth/{name}-other is not of type cert; set VAULT_AUTH_MOUNT to a mount that is";
        scenario.run().expect_failure(78, &format!("vault at {{addr}}: {cause}; {remedy}"));
    }
}

fn a_cert_mount_that_is_not_there_is_denied(server: &Server) {
    scenario(server).env("VAULT_AUTH_MOUNT", "no-{name}").run().expect_failure(
        77,
        "vault at {addr}: the login at auth/no-{name} with role r was answered with 403: permission denied; \
         Vault gives no reason: check that auth/no-{name} (VAULT_AUTH_MOUNT) is enabled, and that its role r allows this address",
    );
}

fn a_certificate_login_needs_https_and_a_certificate(server: &Server) {
    scenario(server)
        .unset("VAULT_CLIENT_CERT")
        .unset("VAULT_CLIENT_KEY")
        .run()
        .expect_failure(78, "VAULT_CLIENT_CERT: unset; the cert login needs it, and VAULT_CLIENT_KEY");
    let plain = server.addr(Listener::Plain);
    scenario(server).at(&plain).unset("VAULT_CACERT").run().expect_failure(
        78,
        "{any}VAULT_ADDR: not https, and the cert login shows its certificate in TLS alone; write an https:// URL",
    );
}

#[test]
fn a_dry_run_tells_whose_the_certificate_is_and_how_long_it_is_good() {
    on(Kind::OpenBao, "cert_check", |server| {
        let scenario = scenario(server).options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().any_stdout()).expect_requests(REQUESTS);
        assert_says(&outcome.stdout, "the client certificate of the TLS connection: subject CN=client, expires in ");
        let scenario = scenario.options(["--report", "json"]);
        let outcome = scenario.run();
        let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
        assert_known_fields(&report);
        let steps = report["steps"].as_array().expect("a list");
        let credential = steps.iter().find(|step| step["step"] == "credential").expect("a credential");
        assert_eq!(
            [&credential["path"], &credential["audience"], &credential["subject"]],
            [&Value::Null, &Value::Null, &json!("CN=client")]
        );
        assert!(credential["expires_in_seconds"].as_i64().expect("a number") > 0, "{credential}");
    });
}

#[test]
fn a_dry_run_tells_that_the_certificate_has_expired() {
    on(Kind::OpenBao, "cert_check_expired", |server| {
        let scenario = Scenario::new(server).certificate(&certs().expired_client, &json!({})).options(["--check"]);
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 77, "{}", outcome.describe());
        assert_says(&outcome.stdout, "subject CN=client, expired ");
        assert_says(&outcome.stdout, "ago by the clock here");
    });
}
