//! Server certificates that are refused for what is in them: a handshake for each, and the sentence that it comes to.

use vault_testkit::odd_certs::{self, OpensslServer};
use vault_testkit::server::Server;

use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS_ON_BOTH, on_both;
    a_name_that_does_not_count_is_explained: "TLS: a wildcard with less than two labels behind it, for two labels, or within a label; an address as a DNS name; a common name or a URI alone", Connect, 78, AtOnce;
    a_chain_that_does_not_hold_is_explained: "TLS: a certificate for clients, of times that are reversed, of an authority that may not issue it; a server's certificate as `VAULT_CACERT`", Connect, 78, AtOnce;
    a_signature_that_is_not_supported_is_named: "TLS: a certificate that is signed with SHA-1 or SHA-512, or by a key on P-521, Ed448, or RSA of 1024 bits", Connect, 78, AtOnce;
    a_form_that_is_not_supported_is_named: "TLS: a certificate of X.509 version 1, or with a critical extension that is not known", Connect, 78, AtOnce;
    a_key_that_is_not_supported_is_told_without_a_word_of_client_certificates: "TLS: a server's key on P-521, RSA-PSS, or RSA of 1024 bits", Connect, 78, AtOnce;
}

/// A run against a server that shows the certificate `name`: one of this kind, or openssl's where that one cannot.
fn refused(server: &Server, name: &str, asked_for: Option<&str>, message: &str) {
    let Some(odd) = odd_certs::find(name) else { return };
    let mut openssl = None;
    let addr = odd_certs::addr(server.kind(), odd).unwrap_or_else(|| {
        let weak = ["-cipher", "DEFAULT@SECLEVEL=0"];
        openssl.insert(OpensslServer::start(&odd.certificate, &odd.key, &weak)).addr.clone()
    });
    let scenario = Scenario::new(server).at(&addr).env("VAULT_CACERT", &odd.ca).env("VAULT_TOKEN", "hvs.not-sent");
    let scenario = asked_for.into_iter().fold(scenario, |it, name| it.env("VAULT_TLS_SERVER_NAME", name));
    scenario.run().expect_failure(78, &format!("vault at {{addr}}: {message}")).expect_requests([]);
}

fn a_name_that_does_not_count_is_explained(server: &Server) {
    for (name, asked_for, message) in [
        (
            "wildcard-one-label",
            Some("vault.vault"),
            "the server's certificate for *.vault is not for vault.vault: a wildcard needs two labels behind it; \
             issue one with subjectAltName DNS:vault.vault",
        ),
        (
            "wildcard-svc",
            Some("a.vault.vault.svc"),
            "the server's certificate for *.vault.svc is not for a.vault.vault.svc: a wildcard stands for exactly one label; \
             issue one with subjectAltName DNS:a.vault.vault.svc",
        ),
        (
            "wildcard-svc",
            Some("vault.svc"),
            "the server's certificate for *.vault.svc is not for vault.svc: a wildcard stands for exactly one label; \
             issue one with subjectAltName DNS:vault.svc",
        ),
        (
            "wildcard-svc",
            None,
            "the server's certificate is not for 127.0.0.1 but for *.vault.svc; \
             use a name in VAULT_ADDR that it covers, or set VAULT_TLS_SERVER_NAME to one",
        ),
        (
            "wildcard-part",
            Some("vault-0.vault.svc"),
            "the server's certificate for vault-*.vault.svc is not for vault-0.vault.svc: \
             a wildcard has to be the whole first label; issue one with subjectAltName DNS:vault-0.vault.svc",
        ),
        (
            "dot",
            Some("vault.vault.svc"),
            "the server's certificate for vault.vault.svc. is not for vault.vault.svc: \
             it ends with a dot, which names in a certificate must not; issue one with subjectAltName DNS:vault.vault.svc",
        ),
        (
            "common-name",
            None,
            "the server's certificate has no subjectAltName, and its common name does not count; \
             issue one with subjectAltName IP:127.0.0.1",
        ),
        (
            "address-as-name",
            None,
            "the server's certificate for 127.0.0.1 is not for 127.0.0.1: \
             it is there as a DNS name, and an address counts only as an IP address; \
             issue one with subjectAltName IP:127.0.0.1",
        ),
        (
            "uri",
            None,
            "the server's certificate carries neither a DNS name nor an IP address; \
             issue one with subjectAltName IP:127.0.0.1",
        ),
    ] {
        refused(server, name, asked_for, message);
    }
}

fn a_chain_that_does_not_hold_is_explained(server: &Server) {
    let name = Some("vault.vault.svc");
    for (odd, asked_for, message) in [
        (
            "client",
            None,
            "the server's certificate is not made for servers; issue one with the extended key usage serverAuth",
        ),
        (
            "empty-purpose",
            None,
            "the server's certificate has an extended key usage that is empty; \
             issue one with the extended key usage serverAuth",
        ),
        ("reversed", None, "the server's certificate ends before it begins; issue another one"),
        (
            "pinned",
            None,
            "the server's certificate comes from an unknown authority, and no certificate that is trusted here is an \
             authority's; set VAULT_CACERT to the certificate of the authority that issued it",
        ),
        (
            "too-long",
            None,
            "more authorities stand between the server's certificate and the trusted one than that one permits; \
             let one issue it that is nearer to the trusted one, or raise its pathlen",
        ),
        (
            "not-permitted",
            name,
            "the server's authority may not issue certificates for the names in the server's certificate; \
             let another one issue it, or widen the authority's nameConstraints",
        ),
        (
            "by-no-authority",
            None,
            "the server's certificate was issued by one that is no authority's; \
             let an authority issue it, whose certificate has basicConstraints CA:TRUE",
        ),
    ] {
        refused(server, odd, asked_for, message);
    }
}

const BAD_SIGNATURE: &str = "the server's certificate carries a signature that does not fit the trusted authority; \
                             set VAULT_CACERT to the authority's present certificate (same name, other key); \
                             RSA below 2048 bits is not supported either";

fn a_signature_that_is_not_supported_is_named(server: &Server) {
    let signed = |with: &str| {
        format!(
            "the server's certificate, or one between it and the authority, is signed with {with}, which is not supported; \
             let an authority sign it whose key is on P-256 or P-384, with SHA-256 or SHA-384, or is Ed25519, or RSA of \
             2048 bits or more"
        )
    };
    for (name, with) in [
        ("of-p521-ca", "ecdsa-with-SHA256 by a key of the kind P-521"),
        ("of-ed448-ca", "Ed448"),
        ("sha1", "sha1WithRSAEncryption"),
        ("sha512", "ecdsa-with-SHA512"),
    ] {
        refused(server, name, None, &signed(with));
    }
    refused(server, "of-rsa1024-ca", None, BAD_SIGNATURE);
}

fn a_form_that_is_not_supported_is_named(server: &Server) {
    refused(
        server,
        "version-1",
        None,
        "the server's certificate, or one between it and the authority, is not X.509 version 3; \
         issue one of version 3, with a subjectAltName",
    );
    refused(
        server,
        "critical",
        None,
        "the server's certificate carries a critical extension that is not supported; \
         issue one without it, or with it marked as not critical",
    );
}

fn a_key_that_is_not_supported_is_told_without_a_word_of_client_certificates(server: &Server) {
    let nothing_in_common = "the server finds no TLS version, cipher or signature that both sides support; \
                             let it offer TLS 1.2 with ECDHE, or TLS 1.3, and a certificate for a key on P-256 or P-384, \
                             Ed25519, or RSA of 2048 bits or more (not P-521, not RSA-PSS)";
    for name in ["p521", "pss"] {
        refused(server, name, None, nothing_in_common);
    }
    refused(server, "rsa1024", None, BAD_SIGNATURE);
}
