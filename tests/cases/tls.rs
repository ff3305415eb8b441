//! Trust: which certificates are good enough, what is said of those that are not, and the way through a proxy.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use vault_testkit::certs::certs;
use vault_testkit::on_both;
use vault_testkit::raw::Raw;
use vault_testkit::server::{Listener, Server};
use vault_testkit::tap::Tap;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

on_both! {
    a_private_ca_is_trusted_from_a_file_bytes_or_a_directory,
    the_first_of_the_three_ways_wins,
    the_systems_store_is_what_its_variable_says,
    the_server_name_can_be_given,
    checks_can_be_switched_off_loudly,
    a_client_certificate_opens_a_mutual_listener,
    a_proxy_is_gone_through_where_it_is_named,
    a_proxys_password_is_taken_out_of_the_environment,
    other_programs_proxy_variables_are_not_read,
    a_server_name_and_a_proxy_do_not_go_together,
}

faults! { FAULTS_ON_BOTH, on_both;
    an_unknown_ca_is_refused: "TLS: a certificate of an unknown authority", Connect, 78, AtOnce;
    an_expired_certificate_is_refused_with_both_dates: "TLS: an expired certificate", Connect, 78, AtOnce;
    a_certificate_of_the_future_is_refused: "TLS: a certificate that is not valid yet", Connect, 78, AtOnce;
    a_certificate_for_another_host_names_it: "TLS: a certificate for another name", Connect, 78, AtOnce;
    a_forged_signature_is_refused: "TLS: a forged signature under the name of the trusted authority", Connect, 78, AtOnce;
    a_ca_certificate_in_the_servers_place_is_explained: "TLS: a self-signed certificate that is its own authority", Connect, 78, AtOnce;
    a_mutual_listener_refuses_who_shows_none: "TLS: a client certificate is asked for and none is set", Connect, 78, AtOnce;
    plain_http_to_a_tls_port_is_told: "plain HTTP where TLS is spoken", Status, 76, AtOnce;
    https_to_a_plain_port_is_told: "TLS where plain HTTP is spoken", Connect, 78, AtOnce;
}

faults! { FAULTS, scripted;
    a_proxy_that_is_not_there_or_refuses_is_told_from_vault: "a proxy that refuses CONNECT", Connect, 69, Pauses;
    trust_that_cannot_be_read_is_a_setting_to_correct_before_anything_is_asked: "CA or client certificate: missing, garbage, a key that does not match", Settings, 78, AtOnce;
}

fn scenario(server: &Server, listener: Listener) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes().tls(listener)
}

const IN_PLAIN_TEXT: &str =
    "WARN  vault-exec: VAULT_ADDR {addr} is not https: token and secrets cross the network in plain text";

fn started() -> Expect {
    Expect::started().env([("A", "a-secret")])
}

/// TLS faults are final: one try, and nothing was asked.
fn refused(scenario: &Scenario, message: &str) {
    scenario.run().expect_failure(78, &format!("vault at {{addr}}: {message}")).expect_requests([]);
}

fn a_private_ca_is_trusted_from_a_file_bytes_or_a_directory(server: &Server) {
    let outcome = scenario(server, Listener::Tls);
    assert_eq!(outcome.run().expect(started()).connections(), 1);
    let ca = &certs().ca;
    let bytes = scenario(server, Listener::Tls).unset("VAULT_CACERT").env("VAULT_CACERT_BYTES", &ca.certificate);
    bytes.run().expect(started());
    let file = scenario(server, Listener::Tls).unset("VAULT_CACERT").env("VAULT_CAPATH", &ca.certificate_file);
    file.run().expect(started());
    // As the kubelet projects a ConfigMap: files are links through ..data into a dated directory.
    let folder = scenario(server, Listener::Tls).unset("VAULT_CACERT").env("VAULT_CAPATH", "{folder}/cas");
    let cas = folder.file("cas");
    fs::create_dir_all(cas.join("..2026_01_02")).expect("a directory is made");
    fs::write(cas.join("..2026_01_02/ca.crt"), &ca.certificate).expect("a file is written");
    fs::write(cas.join("..2026_01_02/other.crt"), &certs().stranger_ca.certificate).expect("a file is written");
    for (link, target) in [("..data", "..2026_01_02"), ("ca.crt", "..data/ca.crt"), ("other.crt", "..data/other.crt")] {
        symlink(target, cas.join(link)).expect("a link");
    }
    folder.run().expect(started());
}

fn the_first_of_the_three_ways_wins(server: &Server) {
    let [ca, stranger] = [&certs().ca, &certs().stranger_ca];
    let right_first = scenario(server, Listener::Tls).env("VAULT_CACERT_BYTES", &stranger.certificate);
    right_first.env("VAULT_CAPATH", "/nowhere").run().expect(started());
    let wrong_first = scenario(server, Listener::Tls).env("VAULT_CACERT_BYTES", &ca.certificate);
    refused(&wrong_first.env("VAULT_CACERT", &stranger.certificate_file), UNKNOWN_CA);
}

fn the_systems_store_is_what_its_variable_says(server: &Server) {
    let with = |file| scenario(server, Listener::Tls).unset("VAULT_CACERT").env("SSL_CERT_FILE", file);
    with(&certs().ca.certificate_file).run().expect(started());
    refused(&with(&certs().stranger_ca.certificate_file), UNKNOWN_CA);
}

const UNKNOWN_CA: &str = "the server's certificate comes from an unknown authority; \
                          set VAULT_CACERT to the certificate of the authority that issued it";

fn an_unknown_ca_is_refused(server: &Server) {
    refused(&scenario(server, Listener::Stranger), UNKNOWN_CA);
    // Nor is a private one trusted by itself.
    refused(&scenario(server, Listener::Tls).unset("VAULT_CACERT"), UNKNOWN_CA);
}

fn an_expired_certificate_is_refused_with_both_dates(server: &Server) {
    refused(
        &scenario(server, Listener::Expired),
        "the server's certificate expired at 2020-12-31T00:00:00Z (the clock here says 20{any}Z); \
         renew it, or correct the clock",
    );
}

fn a_certificate_of_the_future_is_refused(server: &Server) {
    refused(
        &scenario(server, Listener::NotYetValid),
        "the server's certificate begins at 2090-01-01T00:00:00Z (the clock here says 20{any}Z); \
         correct the clock, or wait",
    );
}

const ELSEWHERE: &str = "the server's certificate is not for 127.0.0.1 but for {any}elsewhere.example{any}; \
                         use that name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it";

fn a_certificate_for_another_host_names_it(server: &Server) {
    refused(&scenario(server, Listener::WrongName), ELSEWHERE);
}

fn the_server_name_can_be_given(server: &Server) {
    let named = scenario(server, Listener::WrongName).env("VAULT_TLS_SERVER_NAME", "elsewhere.example");
    assert_eq!(named.run().expect(started()).connections(), 1);
    let misnamed = scenario(server, Listener::Tls).env("VAULT_TLS_SERVER_NAME", "elsewhere.example");
    refused(
        &misnamed,
        "the server's certificate is not for elsewhere.example but for {any}localhost{any}; \
         use that name in VAULT_ADDR, or set VAULT_TLS_SERVER_NAME to it",
    );
}

fn a_forged_signature_is_refused(server: &Server) {
    refused(
        &scenario(server, Listener::Impostor),
        "the server's certificate carries a signature that does not fit the trusted authority; \
         set VAULT_CACERT to the authority's present certificate (same name, other key); \
         RSA below 2048 bits is not supported either",
    );
}

fn a_ca_certificate_in_the_servers_place_is_explained(server: &Server) {
    let own = &certs().self_signed.certificate_file;
    refused(
        &scenario(server, Listener::SelfSigned).env("VAULT_CACERT", own),
        "the server's certificate is itself an authority's, which is refused here though curl accepts it; \
         issue a server certificate with basicConstraints CA:FALSE",
    );
}

fn checks_can_be_switched_off_loudly(server: &Server) {
    for listener in [Listener::Stranger, Listener::Expired, Listener::WrongName, Listener::SelfSigned] {
        scenario(server, listener).env("VAULT_SKIP_VERIFY", "true").run().expect(started().stderr([
            "WARN  vault-exec: VAULT_SKIP_VERIFY: the server's certificate is NOT checked; \
             anybody in between can read the secrets",
            "INFO  vault-exec: {any}; token revoked",
        ]));
    }
}

fn a_client_certificate_opens_a_mutual_listener(server: &Server) {
    let client = &certs().client;
    let scenario = scenario(server, Listener::MutualTls)
        .env("VAULT_CLIENT_CERT", &client.certificate_file)
        .env("VAULT_CLIENT_KEY", &client.key_file);
    scenario.run().expect(started());
}

fn a_mutual_listener_refuses_who_shows_none(server: &Server) {
    refused(
        &scenario(server, Listener::MutualTls),
        "the server demands a client certificate; \
         set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts",
    );
}

fn plain_http_to_a_tls_port_is_told(server: &Server) {
    let scenario = scenario(server, Listener::Tls);
    let addr = scenario.expand("{addr}").replace("https:", "http:");
    scenario.at(&addr).run().expect_failure(
        76,
        "vault at {addr}: the status check was answered with 400; the port speaks TLS: write https:// in VAULT_ADDR",
    );
}

fn https_to_a_plain_port_is_told(server: &Server) {
    let scenario = scenario(server, Listener::Plain);
    let addr = scenario.expand("{addr}").replace("http:", "https:");
    refused(
        &scenario.at(&addr),
        "the port does not speak TLS; write http:// in VAULT_ADDR if that is meant, or correct the port",
    );
}

fn a_proxy_is_gone_through_where_it_is_named(server: &Server) {
    for listener in [Listener::Plain, Listener::Tls] {
        let proxy = Tap::proxy();
        let scenario = scenario(server, listener);
        let scenario = scenario.env("VAULT_PROXY_ADDR", format!("http://{}", proxy.authority()));
        // What is on this machine is on another one behind a proxy.
        let done = "INFO  vault-exec: 1 variable {any}; token revoked";
        let plain = (listener == Listener::Plain).then_some(IN_PLAIN_TEXT);
        scenario.run().expect(started().stderr(plain.into_iter().chain([done])));
        let target = scenario.expand("{addr}").split_once("://").expect("a URL").1.to_owned();
        let connects = proxy.connects();
        assert!(
            matches!(&connects[..], [one] if one.starts_with(&format!("CONNECT {target} HTTP/1.1"))),
            "{connects:?}"
        );
    }
}

fn a_proxys_password_is_taken_out_of_the_environment(server: &Server) {
    let proxy = Tap::proxy();
    let addr = format!("http://me:pass-word@{}", proxy.authority());
    let scenario = scenario(server, Listener::Tls).hides("pass-word").env("BAO_PROXY_ADDR", &addr);
    scenario
        .env("VAULT_PROXY_ADDR", &addr)
        .run()
        .expect(started().without("BAO_PROXY_ADDR").without("VAULT_PROXY_ADDR"));
    let connects = proxy.connects();
    assert!(connects[0].to_lowercase().contains("proxy-authorization: basic"), "{connects:?}");
}

fn other_programs_proxy_variables_are_not_read(server: &Server) {
    let nobody = "http://127.0.0.1:1";
    for listener in [Listener::Plain, Listener::Tls] {
        scenario(server, listener)
            .env("HTTP_PROXY", nobody)
            .env("http_proxy", nobody)
            .env("HTTPS_PROXY", nobody)
            .env("https_proxy", nobody)
            .env("ALL_PROXY", nobody)
            .run()
            .expect(started());
    }
}

fn a_server_name_and_a_proxy_do_not_go_together(server: &Server) {
    let scenario = scenario(server, Listener::Tls).env("VAULT_TLS_SERVER_NAME", "localhost");
    scenario.env("VAULT_PROXY_ADDR", "http://127.0.0.1:1").run().expect_failure(
        78,
        "VAULT_TLS_SERVER_NAME: does not work through VAULT_PROXY_ADDR, which connects by the URL's host; \
         unset one of them",
    );
}

fn a_proxy_that_is_not_there_or_refuses_is_told_from_vault() {
    let raw = Raw::start([]);
    let refusing = Raw::start([]);
    let scenario = Scenario::against(&raw).env("VAULT_MAX_RETRIES", "0");
    scenario.env("VAULT_PROXY_ADDR", refusing.addr()).run().expect(Expect::done().code(69).stderr([
        IN_PLAIN_TEXT,
        "ERROR vault-exec: vault at {addr}: the proxy did not connect ({any}); \
         check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault",
    ]));
    assert_eq!(raw.connections(), 0);
}

fn trust_that_cannot_be_read_is_a_setting_to_correct_before_anything_is_asked() {
    let raw = Raw::start([]);
    let [ca, client] = [&certs().ca, &certs().client];
    for (settings, message) in [
        (
            [("VAULT_CACERT", "/nowhere"), ("VAULT_CACERT_BYTES", ca.certificate.as_str())],
            "VAULT_CACERT = \"/nowhere\": not found; give PEM with at least one CA certificate",
        ),
        (
            [("VAULT_CACERT", ca.key_file.to_str().expect("a text")), ("VAULT_CAPATH", "/nowhere")],
            "VAULT_CACERT = \"{any}\": a private key, not a certificate; give PEM with at least one CA certificate",
        ),
        (
            [("VAULT_CACERT_BYTES", "garbage"), ("VAULT_CAPATH", "/nowhere")],
            "VAULT_CACERT_BYTES: no certificate in PEM in it; give PEM with at least one CA certificate",
        ),
        (
            [
                ("VAULT_CLIENT_CERT", client.certificate_file.to_str().expect("a text")),
                ("VAULT_CLIENT_KEY", ca.key_file.to_str().expect("a text")),
            ],
            "VAULT_CLIENT_CERT = \"{any}\": the key does not belong to the certificate; give a PEM pair that matches",
        ),
        (
            [("VAULT_CLIENT_CERT", client.certificate_file.to_str().expect("a text")), ("VAULT_CLIENT_KEY", "")],
            "VAULT_CLIENT_CERT = \"{any}\": VAULT_CLIENT_KEY is missing; set both or neither",
        ),
    ] {
        let scenario = settings.iter().fold(Scenario::against(&raw), |it, (name, value)| it.env(name, value));
        scenario.run().expect_failure(78, message);
    }
    assert_eq!(raw.connections(), 0);
}
