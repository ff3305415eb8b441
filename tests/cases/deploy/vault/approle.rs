//! AppRole: what the printed commands hand out logs in, as often as it may, and whoever hands it out sees none.

use std::process::Command;

use serde_json::json;
use vault_testkit::http::Answer;
use vault_testkit::server::{Kind, Listener, on};

use super::Site;
use super::method::Method;

impl Site<'_> {
    /// What a command of the client prints for somebody with this token.
    fn client(&self, command: &str, token: &str) -> (i32, String) {
        let mut client = Command::new("sh");
        client.args(["-c", command]).env_clear().env("PATH", format!("{}:/usr/bin:/bin", self.file("").display()));
        client.env("VAULT_ADDR", self.server.addr(Listener::Plain));
        let output = client.env("VAULT_TOKEN", token).env("HOME", self.file("")).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    /// A login with a secret id.
    fn login(&self, role_id: &str, secret_id: &str) -> Answer {
        self.post("auth/approle/login", &json!({"role_id": role_id, "secret_id": secret_id}))
    }

    /// A secret id of these fields.
    fn secret_id(&self) -> String {
        let made = self.server.must_in(&self.namespace, "POST", "auth/approle/role/shop/secret-id", &json!({}));
        made["data"]["secret_id"].as_str().unwrap().to_owned()
    }

    fn role_id(&self) -> String {
        self.read("auth/approle/role/shop/role-id")["role_id"].as_str().unwrap().to_owned()
    }
}

/// The command in the line that begins so.
fn printed<'a>(lines: &'a [String], start: &str) -> &'a str {
    let line = lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {lines:?}"));
    line.rsplit_once(": ").expect("a command").1
}

#[test]
fn the_printed_commands_hand_out_what_logs_in_once_unwrapped() {
    on(Kind::OpenBao, "the_printed_commands_hand_out_what_logs_in_once_unwrapped", |server| {
        let site = Site::new(server);
        let lines = site.make("sh", Method::named("approle"), &[]);
        site.write_secrets();
        let provisioner =
            server.create_token(&site.namespace, &json!({"policies": ["shop-secret-id"], "no_default_policy": true}));
        let role_id = site.client(printed(&lines, "VAULT_APPROLE_ROLE_ID "), &provisioner);
        let wrapped =
            site.client(printed(&lines, "VAULT_APPROLE_SECRET_ID_FILE, with VAULT_UNWRAP=true"), &provisioner);
        assert_eq!((role_id.0, wrapped.0), (0, 0), "{lines:?}");
        assert_eq!(role_id.1, site.role_id());
        let looked = site.post("sys/wrapping/lookup", &json!({"token": wrapped.1}));
        let about = &looked.json()["data"];
        assert_eq!(
            (&about["creation_path"], &about["creation_ttl"]),
            (&json!("auth/approle/role/shop/secret-id"), &json!(600))
        );

        let unwrapped = site.call("POST", "sys/wrapping/unwrap", Some(&wrapped.1), None);
        let secret_id = &unwrapped.json()["data"];
        assert_eq!((&secret_id["secret_id_num_uses"], &secret_id["secret_id_ttl"]), (&json!(4), &json!(3600)));
        let secret_id = secret_id["secret_id"].as_str().unwrap();
        for _ in 0..4 {
            site.reads_its_secret_alone(&site.login(&role_id.1, secret_id), 180);
        }
        assert_eq!(site.login(&role_id.1, secret_id).status, 400, "a fifth login");
        assert_eq!(site.call("POST", "sys/wrapping/unwrap", Some(&wrapped.1), None).status, 400, "a second unwrapping");
    });
}

#[test]
fn whoever_hands_out_secret_ids_sees_none_and_can_do_nothing_else() {
    on(Kind::OpenBao, "whoever_hands_out_secret_ids_sees_none_and_can_do_nothing_else", |server| {
        let site = Site::new(server);
        site.make("sh", Method::named("approle"), &[("WRAP_TTL", "2m")]);
        site.write_secrets();
        let token =
            server.create_token(&site.namespace, &json!({"policies": ["shop-secret-id"], "no_default_policy": true}));
        let secret_id = |ttl: &str| {
            site.client(
                &format!("bao write -f -namespace={} {ttl} auth/approle/role/shop/secret-id", site.namespace),
                &token,
            )
            .0
        };
        assert_eq!([secret_id(""), secret_id("-wrap-ttl=3m"), secret_id("-wrap-ttl=2m")], [2, 2, 0]);
        let denied = [
            ("GET", "kv/data/shop/prod"),
            ("GET", "auth/approle/role/shop"),
            ("POST", "auth/approle/role/shop"),
            ("POST", "auth/approle/role/shop/custom-secret-id"),
            ("GET", "auth/approle/role/shop/secret-id?list=true"),
            ("POST", "auth/approle/role/shop/role-id"),
        ];
        for (method, path) in denied {
            let body = (method == "POST").then(|| json!({"role_id": "a", "secret_id": "b"}));
            assert_eq!(site.call(method, path, Some(&token), body.as_ref()).status, 403, "{method} {path}");
        }
    });
}

#[test]
fn a_secret_id_lasts_as_long_and_comes_from_where_it_is_said() {
    on(Kind::OpenBao, "a_secret_id_lasts_as_long_and_comes_from_where_it_is_said", |server| {
        let (site, method) = (Site::new(server), Method::named("approle"));
        site.make(
            "sh",
            method,
            &[("SECRET_ID_NUM_USES", "1"), ("SECRET_ID_TTL", "90"), ("BOUND_CIDRS", "127.0.0.0/8")],
        );
        site.write_secrets();
        let role = site.read("auth/approle/role/shop");
        let fields = ["bind_secret_id", "secret_id_ttl", "secret_id_num_uses", "secret_id_bound_cidrs"];
        let seen = fields.map(|it| role[it].clone());
        assert_eq!(seen, [json!(true), json!(90), json!(1), json!(["127.0.0.0/8"])]);
        let (role_id, secret_id) = (site.role_id(), site.secret_id());
        site.reads_its_secret_alone(&site.login(&role_id, &secret_id), 180);
        assert_eq!(site.login(&role_id, &secret_id).status, 400);
        assert_eq!(site.login(&role_id, "").status, 400, "without one");

        site.make("sh", method, &[("BOUND_CIDRS", "192.0.2.0/24")]);
        let elsewhere = site.login(&role_id, &site.secret_id());
        assert!(elsewhere.status == 400 && elsewhere.text.contains("unauthorized by CIDR"), "{elsewhere:?}");
    });
}

#[test]
fn settings_that_would_mean_more_than_they_say_are_refused() {
    on(Kind::OpenBao, "settings_that_would_mean_more_than_they_say_are_refused", |server| {
        let (site, method) = (Site::new(server), Method::named("approle"));
        let time = "a time in seconds, or with s, m or h behind it: 3m";
        let cases = [
            ("SECRET_ID_TTL", "0", time),
            ("SECRET_ID_TTL", "3ms", time),
            ("WRAP_TTL", "1h30m", time),
            ("TOKEN_TTL", "-1", time),
            ("TOKEN_MAX_TTL", "@file", time),
            ("SECRET_ID_NUM_USES", "-1", "a number of logins; 0 is any number"),
            ("BOUND_CIDRS", "example.com", "networks such as 192.0.2.0/24, with commas between"),
            (
                "METHOD",
                "userpass",
                "userpass is unknown; it is kubernetes, approle, jwt-github, jwt-gitlab, cert or oidc",
            ),
        ];
        for (setting, value, line) in cases {
            assert_eq!(site.refuses(method, &[(setting, value)]), format!("setup.sh: {setting}: {line}"));
        }
        // Somebody else's policy of the name that this script uses.
        let foreign = r#"path "kv/*" { capabilities = ["read"] }"#;
        server.write_policy(&site.namespace, "shop-secret-id", foreign);
        let line =
            "setup.sh: policy shop-secret-id: there, with other rules than this script's; REPLACE=1 overwrites them";
        assert_eq!(site.refuses(method, &[]), line);
        assert_eq!(site.read("sys/policies/acl/shop-secret-id")["policy"], foreign);
        let lines = site.make("sh", method, &[("REPLACE", "1")]);
        assert!(lines.contains(&"policy shop-secret-id: changed".to_owned()), "{lines:?}");
        // Another time for wrapped ones is this script's own doing.
        let lines = site.make("sh", method, &[("WRAP_TTL", "5m")]);
        assert!(lines.contains(&"policy shop-secret-id: changed".to_owned()), "{lines:?}");
    });
}
