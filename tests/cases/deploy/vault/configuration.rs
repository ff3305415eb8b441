//! The auth method's configuration, which `deploy/vault/setup.sh` shares with others.

use std::path::Path;

use serde_json::{Value, json};
use vault_testkit::server::{Kind, Listener, on};

use super::{CONFIG, Site, said};

/// A public key.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEv8VBuYm+MyVS6j1sMwwQ8rTgsOOc
VAxpMLfniQasCnUVPD7+Epy2aQbOiirofeek6jpF/usdO7LpqeR8WsZsQA==
-----END PUBLIC KEY-----";

/// No variable that is about the configuration.
const NONE_GIVEN: [(&str, &str); 3] = [("K8S_HOST", ""), ("K8S_CA_CERT_FILE", ""), ("K8S_REVIEWER_JWT_FILE", "")];

impl Site<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.server.addr(Listener::Plain))
    }
}

#[test]
fn a_configuration_that_is_there_changes_in_what_is_given_only() {
    on(Kind::OpenBao, "a_configuration_that_is_there_changes_in_what_is_given_only", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        let mut config = json!({
            "kubernetes_host": "https://first.example", "kubernetes_ca_cert": "theirs\n", "issuer": "\"}, \\n theirs",
            "disable_iss_validation": false, "disable_local_ca_jwt": true, "pem_keys": [KEY],
        });
        server.must_in(&site.namespace, "POST", CONFIG, &config);
        config["token_reviewer_jwt_set"] = json!(false);
        let mut then = |given: &[(&str, &str)], news: &str, change: &[(&str, Value)]| {
            let (code, stdout, stderr) = said(&site.setup("sh", &[&NONE_GIVEN, given].concat()));
            assert_eq!((code, stderr.as_str()), (0, ""), "{given:?}");
            let line = format!("configuration of kubernetes: {news}");
            assert_eq!(stdout.lines().nth(3), Some(line.as_str()), "{given:?}");
            for (field, value) in change {
                config[*field] = value.clone();
            }
            assert_eq!(site.read(CONFIG), config, "{given:?}");
        };
        let [ca, reviewer] = ["ca.pem", "reviewer"].map(|it| site.file(it).display().to_string());
        let [ca, reviewer] = [("K8S_CA_CERT_FILE", ca.as_str()), ("K8S_REVIEWER_JWT_FILE", reviewer.as_str())];
        let host = ("K8S_HOST", "https://second.example");
        then(&[], "there, left as it is", &[]);
        then(&[host], "changed", &[("kubernetes_host", json!(host.1))]);
        then(&[host], "already there", &[]);
        then(&[ca], "changed", &[("kubernetes_ca_cert", json!("none"))]);
        then(&[reviewer], "reviewer JWT written", &[("token_reviewer_jwt_set", json!(true))]);
        then(&[], "there, left as it is", &[]);
        then(&[host, ca, reviewer], "reviewer JWT written", &[]);
    });
}

#[test]
fn what_of_a_configuration_would_be_lost_stops_the_script() {
    on(Kind::OpenBao, "what_of_a_configuration_would_be_lost_stops_the_script", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        let kept = |changes: &[(&str, &str)], cause: &str| {
            let before = site.read(CONFIG);
            let (code, _, stderr) = said(&site.setup("sh", changes));
            assert_eq!((code, stderr), (1, format!("setup.sh: {cause}\n")));
            assert_eq!(site.read(CONFIG), before);
        };
        let reviewer = "configuration of kubernetes: it has a reviewer JWT, which cannot be read back; give \
                        K8S_REVIEWER_JWT_FILE too";
        kept(&[("K8S_REVIEWER_JWT_FILE", "")], reviewer);

        // Whether there is one cannot be seen.
        let (token, url) = (site.all_but(CONFIG, "update"), site.url(CONFIG));
        let denied = format!(
            "Error reading {CONFIG}: Error making API request. Namespace: {}/ URL: GET {url} Code: 403. Errors: * 1 error \
             occurred: * permission denied ",
            site.namespace
        );
        kept(&[("VAULT_TOKEN", &token)], denied.trim_end());
    });
}

#[test]
fn a_configuration_that_is_refused_is_told_in_a_line_with_what_helps() {
    on(Kind::OpenBao, "a_configuration_that_is_refused_is_told_in_a_line_with_what_helps", |server| {
        let site = Site::new(server);
        let refused = |changes: &[(&str, &str)], cause: &str| {
            let (code, stdout, stderr) = said(&site.setup("sh", changes));
            assert_eq!((code, stdout.lines().count()), (1, 3), "{stderr}");
            let line = "setup.sh: configuration of kubernetes was refused; set K8S_HOST and K8S_CA_CERT_FILE where \
                        Vault runs outside the cluster: ";
            assert!(stderr.starts_with(line) && stderr.trim_end().ends_with(cause), "{stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        };
        refused(&[("VAULT_TOKEN", &site.all_but(CONFIG, "read"))], "* permission denied");
        // Where the server of this test runs in a cluster itself, it may take this.
        if !Path::new("/var/run/secrets/kubernetes.io/serviceaccount").exists() {
            refused(&NONE_GIVEN, "ca.crt: no such file or directory");
        }
    });
}
