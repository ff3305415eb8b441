//! Every error of the TLS library has its sentence: cause and remedy.

use std::net::{IpAddr, Ipv6Addr};

use super::*;

fn sentence(fault: &TlsFault) -> String {
    format!("{}; {}", cause(fault), remedy(fault))
}

#[test]
fn every_error_has_a_plain_sentence() {
    let sentences: Vec<_> =
        TlsFault::canned().iter().map(|(name, fault)| format!("{name}: {}", sentence(fault))).collect();
    insta::assert_snapshot!("tls_sentences", sentences.join("\n"));
}

#[test]
fn a_certificate_for_another_name_says_what_to_issue_or_to_ask_for() {
    let vault = || ServerName::Dns("vault".into());
    let loopback = ServerName::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST));
    let others =
        |names: &str, wildcards| CertificateFault::OtherNames { expected: vault(), names: names.into(), wildcards };
    for (fault, said) in [
        (
            CertificateFault::NoSubjectAltName { expected: vault() },
            "the server's certificate has no subjectAltName, and its common name does not count; issue one with \
             subjectAltName DNS:vault",
        ),
        (
            CertificateFault::NoServerName { expected: loopback },
            "the server's certificate carries neither a DNS name nor an IP address; issue one with subjectAltName IP:::1",
        ),
        (
            CertificateFault::NearMiss { expected: vault(), name: "vault.".into(), why: "it ends with a dot" },
            "the server's certificate for vault. is not for vault: it ends with a dot; issue one with subjectAltName \
             DNS:vault",
        ),
        (
            others("*.bao.example", true),
            "the server's certificate is not for vault but for *.bao.example; use a name in VAULT_ADDR that it covers, or \
             set VAULT_TLS_SERVER_NAME to one",
        ),
        (
            others("bao, *.bao.example", false),
            "the server's certificate is not for vault but for bao, *.bao.example; use that name in VAULT_ADDR, or set \
             VAULT_TLS_SERVER_NAME to it",
        ),
    ] {
        assert_eq!(sentence(&TlsFault::Certificate(fault)), said);
    }
}
