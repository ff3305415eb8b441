//! OIDC: what a person's login is told, and who is let in. The provider itself is no part of these tests.

use serde_json::json;
use vault_testkit::server::{Kind, Listener, on};

use super::issuer::Issuer;
use super::method::Method;
use super::{Site, said};

const ROLE: &str = "auth/oidc/role/shop";

impl Site<'_> {
    /// The URL that a browser would be sent to; empty where the redirect URI is not the role's.
    fn auth_url(&self, redirect: &str) -> String {
        let body = json!({"role": "shop", "redirect_uri": redirect, "client_nonce": "nonce"});
        let answer = self.post("auth/oidc/oidc/auth_url", &body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["data"]["auth_url"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_browser_is_sent_to_the_provider_and_comes_back_to_this_machine_alone() {
    on(Kind::OpenBao, "a_browser_is_sent_to_the_provider_and_comes_back_to_this_machine_alone", |server| {
        let (site, method) = (Site::new(server), Method::named("oidc"));
        site.make("sh", method, &[("OIDC_SCOPES", "groups,email")]);
        for host in ["localhost", "127.0.0.1"] {
            let url = site.auth_url(&format!("http://{host}:8250/oidc/callback"));
            let start = format!("{}/auth?", Issuer::shared().url());
            assert!(url.starts_with(&start), "{url}");
            assert!(url.contains("client_id=vault") && url.contains("scope=openid+groups+email"), "{url}");
        }
        for redirect in ["https://evil.example/oidc/callback", "http://localhost:8250/other"] {
            assert_eq!(site.auth_url(redirect), "", "{redirect}");
        }
        let role = site.read(ROLE);
        let fields =
            ["role_type", "user_claim", "bound_claims", "bound_claims_type", "verbose_oidc_logging", "groups_claim"];
        let seen = fields.map(|it| role[it].clone());
        let claims = json!({"groups": "shop"});
        assert_eq!(seen, [json!("oidc"), json!("sub"), claims, json!("string"), json!(false), json!("")]);
        assert_eq!(role["callback_mode"], "client");
    });
}

#[test]
fn the_browser_need_not_come_back_to_the_machine() {
    on(Kind::OpenBao, "the_browser_need_not_come_back_to_the_machine", |server| {
        let (site, method) = (Site::new(server), Method::named("oidc"));
        let callback = |changes: &[(&str, &str)]| {
            let lines = site.make("sh", method, changes);
            let role = site.read(ROLE);
            let told =
                lines.contains(&"VAULT_OIDC_LISTEN=none, for the browser does not come back to the program".to_owned());
            (role["callback_mode"].clone(), role["allowed_redirect_uris"].clone(), told)
        };
        let here = json!(["http://localhost:8250/oidc/callback", "http://127.0.0.1:8250/oidc/callback"]);
        let vault = server.addr(Listener::Plain);
        let direct = [("OIDC_CALLBACK", "direct"), ("OIDC_VAULT_URL", vault.as_str())];
        let at_vault = format!("{vault}/v1/auth/oidc/oidc/callback");
        assert_eq!(callback(&direct), (json!("direct"), json!([at_vault]), true));
        assert!(site.auth_url(&at_vault).starts_with(Issuer::shared().url()));
        assert_eq!(callback(&[("OIDC_CALLBACK", "device")]), (json!("device"), here.clone(), true));
        assert_eq!(callback(&[]), (json!("client"), here, false));

        let line = "setup.sh: OIDC_VAULT_URL: it is needed with OIDC_CALLBACK=direct";
        assert_eq!(site.refuses(method, &[("OIDC_CALLBACK", "direct")]), line);
        let line = "setup.sh: OIDC_CALLBACK: client, direct or device";
        assert_eq!(site.refuses(method, &[("OIDC_CALLBACK", "form")]), line);
    });
}

#[test]
fn nobody_is_let_in_whom_no_claim_names_unless_that_is_said() {
    on(Kind::OpenBao, "nobody_is_let_in_whom_no_claim_names_unless_that_is_said", |server| {
        let (site, method) = (Site::new(server), Method::named("oidc"));
        let line = "setup.sh: OIDC_CLAIMS: they say who may log in, such as groups=shop; OIDC_ANYONE=1 lets in whom the \
                    provider knows";
        for anyone in ["", "0", "yes"] {
            assert_eq!(site.refuses(method, &[("OIDC_CLAIMS", ""), ("OIDC_ANYONE", anyone)]), line);
        }
        site.make("sh", method, &[]);
        site.make("sh", method, &[("OIDC_CLAIMS", ""), ("OIDC_ANYONE", "1")]);
        assert_eq!(site.read(ROLE)["bound_claims"], json!({}));
    });
}

#[test]
fn the_configuration_is_the_providers_and_its_secret_is_not_lost() {
    on(Kind::OpenBao, "the_configuration_is_the_providers_and_its_secret_is_not_lost", |server| {
        let (site, method) = (Site::new(server), Method::named("oidc"));
        for setting in ["OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET_FILE"] {
            let line = format!("setup.sh: {setting}: it is needed, for configuration of oidc is not there");
            assert_eq!(site.refuses(method, &[(setting, "")]), line);
        }
        site.make("sh", method, &[]);
        let theirs = json!({
            "oidc_discovery_url": Issuer::shared().url(), "oidc_client_id": "vault", "oidc_client_secret": "theirs",
            "default_role": "theirs", "bound_issuer": Issuer::shared().url(),
        });
        server.must_in(&site.namespace, "POST", "auth/oidc/config", &theirs);
        let config = site.read("auth/oidc/config");
        let none = [("OIDC_ISSUER", ""), ("OIDC_CLIENT_ID", ""), ("OIDC_CLIENT_SECRET_FILE", "")];
        let lines = site.make("sh", method, &none);
        assert_eq!(lines[3], "configuration of oidc: there, left as it is");
        assert_eq!(site.read("auth/oidc/config"), config);
        // With the secret, what nobody gave stays too.
        site.make("sh", method, &[]);
        assert_eq!(site.read("auth/oidc/config"), config);

        let ca = site.file("ca.pem").display().to_string();
        let line = "setup.sh: configuration of oidc: it has a client secret, which cannot be read back; give \
                    OIDC_CLIENT_SECRET_FILE too";
        assert_eq!(site.refuses(method, &[("OIDC_CLIENT_SECRET_FILE", ""), ("OIDC_CA_FILE", &ca)]), line);
        let line = "setup.sh: configuration of oidc: there, for vault and not for other; give OIDC_CLIENT_ID=vault, or \
                    name another mount by VAULT_AUTH_MOUNT";
        assert_eq!(site.refuses(method, &[("OIDC_CLIENT_ID", "other")]), line);
        assert_eq!(site.read("auth/oidc/config"), config);
    });
}

#[test]
fn a_trace_of_the_script_shows_no_client_secret() {
    on(Kind::OpenBao, "a_trace_of_the_script_shows_no_client_secret", |server| {
        let (site, method) = (Site::new(server), Method::named("oidc"));
        let settings = method.settings(&site);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (code, stdout, trace) = said(&site.setup("sh -x", &settings));
        assert_eq!(code, 0, "{trace}");
        assert!(trace.contains("OIDC_CLIENT_SECRET_FILE") || trace.contains("oidc_client_secret=@"), "{trace}");
        assert!(!trace.contains("s3cret") && !stdout.contains("s3cret"), "{trace}");
    });
}
