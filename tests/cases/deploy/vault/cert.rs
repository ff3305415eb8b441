//! A client certificate: the one with the name logs in, and no other of the same CA.

use std::process::Command;

use serde_json::{Value, json};
use vault_testkit::certs::{Pair, certs};
use vault_testkit::http::Answer;
use vault_testkit::missing;
use vault_testkit::server::{Kind, Listener, on};

use super::Site;
use super::method::Method;

impl Site<'_> {
    /// A login over TLS, with this certificate; `None` where the program that sends it is not there.
    fn certified(&self, pair: &Pair) -> Option<Answer> {
        let url = format!("{}/v1/auth/cert/login", self.server.addr(Listener::Tls));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--data", r#"{"name": "shop"}"#]);
        curl.arg("--header").arg(format!("X-Vault-Namespace: {}", self.namespace));
        curl.arg("--cacert").arg(&certs().ca.certificate_file).arg("--cert").arg(&pair.certificate_file);
        let Ok(output) = curl.arg("--key").arg(&pair.key_file).arg(url).output() else {
            missing("curl");
            return None;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        Some(Answer { status: status.parse().unwrap(), location: None, text: body.to_owned() })
    }
}

#[test]
fn the_certificate_of_the_name_logs_in_and_no_other() {
    on(Kind::OpenBao, "the_certificate_of_the_name_logs_in_and_no_other", |server| {
        let (site, method) = (Site::new(server), Method::named("cert"));
        site.make("sh", method, &[("CERT_COMMON_NAMES", "till,client")]);
        site.write_secrets();
        let Some(login) = site.certified(&certs().client) else { return };
        site.reads_its_secret_alone(&login, 180);
        for (stranger, status) in [(&certs().stranger_client, 400), (&certs().expired_client, 500)] {
            let answer = site.certified(stranger).unwrap();
            assert_eq!(answer.status, status, "{}", answer.text);
        }
        // The role's own name, where no name is given.
        for names in [&[][..], &[("CERT_DNS_SANS", "shop.example")], &[("CERT_URI_SANS", "spiffe://example/shop")]] {
            site.make("sh", method, names);
            let answer = site.certified(&certs().client).unwrap();
            assert_eq!(answer.status, 400, "{names:?}: {}", answer.text);
        }
    });
}

#[test]
fn the_names_are_those_that_are_given() {
    on(Kind::OpenBao, "the_names_are_those_that_are_given", |server| {
        let (site, method) = (Site::new(server), Method::named("cert"));
        let names = |changes: &[(&str, &str)]| {
            site.make("sh", method, changes);
            let role = site.read("auth/cert/certs/shop");
            ["allowed_common_names", "allowed_dns_sans", "allowed_uri_sans"].map(|it| role[it].clone())
        };
        let none = || json!([]);
        let lists = |seen: [Value; 3]| seen.map(|it| if it.is_null() { none() } else { it });
        assert_eq!(lists(names(&[])), [json!(["shop"]), none(), none()]);
        let dns = [("CERT_DNS_SANS", "a.example,b.example")];
        assert_eq!(lists(names(&dns)), [none(), json!(["a.example", "b.example"]), none()]);
        let uri = [("CERT_URI_SANS", "spiffe://example/shop"), ("CERT_COMMON_NAMES", "till")];
        assert_eq!(lists(names(&uri)), [json!(["till"]), none(), json!(["spiffe://example/shop"])]);

        let plain = "only letters, digits and / _ . : , @ = + ~ -, without @ in front";
        for (setting, value) in [("CERT_COMMON_NAMES", "*"), ("CERT_DNS_SANS", "*.example"), ("CERT_URI_SANS", "@file")]
        {
            assert_eq!(site.refuses(method, &[(setting, value)]), format!("setup.sh: {setting}: {plain}"));
        }
        let line = "setup.sh: CERT_CA_FILE: it is needed, the CA that signed the certificate";
        assert_eq!(site.refuses(method, &[("CERT_CA_FILE", "")]), line);
    });
}
