//! Client certificates: those that a server refuses, and those that it never asked for.

use vault_testkit::certs::{Pair, certs};
use vault_testkit::odd_certs::{OpensslServer, find};
use vault_testkit::raw::Raw;
use vault_testkit::server::{Listener, Server};

use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS_ON_BOTH, on_both;
    a_client_certificate_that_is_refused_is_told_as_ours: "TLS: a client certificate of another authority, expired, or made for servers", Connect, 78, AtOnce;
}

faults! { FAULTS, scripted;
    tls_1_2_says_less_of_client_certificates_and_is_understood: "TLS 1.2: a client certificate that is missing or refused", Connect, 78, AtOnce;
    a_client_key_of_a_kind_that_the_server_does_not_take_is_told: "TLS: a client certificate whose key the server does not take", Connect, 78, AtOnce;
}

/// With this client certificate.
fn shows<'a>(scenario: Scenario<'a>, client: &Pair) -> Scenario<'a> {
    scenario.env("VAULT_CLIENT_CERT", &client.certificate_file).env("VAULT_CLIENT_KEY", &client.key_file)
}

fn refused(why: &str) -> String {
    format!(
        "vault at {{addr}}: the server refuses the client certificate of VAULT_CLIENT_CERT: {why}; \
         set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts"
    )
}

const DEMANDED: &str = "vault at {addr}: the server demands a client certificate; \
                        set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that it accepts";

fn a_client_certificate_that_is_refused_is_told_as_ours(server: &Server) {
    let certs = certs();
    for (client, why) in [
        (&certs.stranger_client, "an authority that it does not know issued it"),
        (&certs.expired_client, "it has expired, or is not valid yet"),
        (&certs.good, "{any}"),
    ] {
        let scenario = shows(Scenario::new(server).tls(Listener::MutualTls), client).env("VAULT_TOKEN", "hvs.not-sent");
        // The alert comes with the answer or, where the server is quicker, before the request.
        for _ in 0..10 {
            scenario.run().expect_failure(78, &refused(why)).expect_requests([]);
        }
    }
}

/// A server that asks for a client certificate.
fn asking(options: &[&str]) -> OpensslServer {
    let certs = certs();
    let ca = certs.ca.certificate_file.to_str().expect("a text");
    let asks = ["-Verify", "1", "-verify_return_error", "-CAfile", ca];
    OpensslServer::start(&certs.good.certificate, &certs.good.key, &[&asks, options].concat())
}

fn against(server: &OpensslServer) -> Scenario<'static> {
    let raw = Raw::start([]);
    Scenario::against(&raw).at(&server.addr).env("VAULT_CACERT", &certs().ca.certificate_file)
}

fn tls_1_2_says_less_of_client_certificates_and_is_understood() {
    let Some(p521) = find("p521") else { return };
    let server = asking(&["-tls1_2"]);
    against(&server).run().expect_failure(78, DEMANDED);
    let stranger = shows(against(&server), &certs().stranger_client);
    stranger.run().expect_failure(78, &refused("an authority that it does not know issued it"));
    // None of these was asked for.
    let server = OpensslServer::start(&p521.certificate, &p521.key, &["-tls1_2"]);
    let message =
        "vault at {addr}: the server finds no TLS version, cipher or signature that both sides support; {any}";
    against(&server).run().expect_failure(78, message);
    shows(against(&server), &certs().client).run().expect_failure(78, message);
}

fn a_client_key_of_a_kind_that_the_server_does_not_take_is_told() {
    if find("p521").is_none() {
        return;
    }
    let server = asking(&["-client_sigalgs", "RSA-PSS+SHA256"]);
    shows(against(&server), &certs().client).run().expect_failure(
        78,
        "vault at {addr}: the server demands a client certificate, and takes no signature that the key in VAULT_CLIENT_KEY \
         can make; issue the client certificate for a key of another kind",
    );
}
