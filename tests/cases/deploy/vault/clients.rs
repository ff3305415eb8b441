//! `deploy/vault/setup.sh` with the client `vault`, and in front of servers that have what OpenBao has not.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use vault_testkit::openbao;
use vault_testkit::server::{Kind, on};

use super::{CONFIG, MADE, ROLE, Site, expected_role, said};
use crate::support::vault_client;

/// A set-up with `vault` alone on PATH.
struct Vault<'a> {
    site: &'a Site<'a>,
    folder: std::path::PathBuf,
}

impl<'a> Vault<'a> {
    /// `None` where the client cannot be had; `server`: what its server has beside what OpenBao has.
    fn new(site: &'a Site<'a>, server: &Value) -> Option<Self> {
        let folder = site.file("vault-alone");
        fs::create_dir(&folder).unwrap();
        vault_client::install(&folder)?;
        let vault = Self { site, folder };
        fs::write(vault.state_file(), server.to_string()).unwrap();
        Some(vault)
    }

    fn state_file(&self) -> std::path::PathBuf {
        self.folder.join("state.json")
    }

    /// What the server has now beside what OpenBao has.
    fn state(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.state_file()).unwrap()).unwrap()
    }

    /// What the script comes to with these variables changed, line by line.
    fn setup(&self, changes: &[(&str, &str)]) -> Vec<String> {
        let path = format!("{}:/usr/bin:/bin", self.folder.display());
        let state = self.state_file().display().to_string();
        let own = [("PATH", path.as_str()), ("VAULT_STAND_IN", state.as_str())];
        let (code, stdout, stderr) = said(&self.site.setup("sh", &[&own, changes].concat()));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        let made = stdout.split("settings of the program: ").next().unwrap();
        made.lines().map(str::to_owned).collect()
    }
}

const NO_REVIEWER: (&str, &str) = ("K8S_REVIEWER_JWT_FILE", "");

#[test]
fn either_client_will_do_and_so_does_one_by_its_path() {
    on(Kind::OpenBao, "either_client_will_do_and_so_does_one_by_its_path", |server| {
        let site = Site::new(server);
        let Some(vault) = Vault::new(&site, &json!({})) else { return };
        let news = ["made", "made", "made", "reviewer JWT written", "made"];
        let lines =
            |news: [&str; 5]| MADE.iter().zip(news).map(|(it, news)| format!("{it}: {news}")).collect::<Vec<_>>();
        assert_eq!(vault.setup(&[]), lines(news));
        assert_eq!(site.read(ROLE), expected_role());

        let there = ["already there", "already there", "already there", "reviewer JWT written", "already there"];
        assert_eq!(vault.setup(&[]), lines(there));
        symlink(openbao::program().unwrap(), site.file("another")).unwrap();
        let named = site.file("another").display().to_string();
        assert_eq!(vault.setup(&[("PATH", "/usr/bin:/bin"), ("CLI", &named)]), lines(there));
    });
}

/// As Vault has `use_annotations_as_alias_metadata` in the configuration of the auth method, from 1.16 on, and
/// `alias_metadata` in roles: a write that does not name the first takes it back to `false`.
#[test]
fn what_a_server_reports_and_nobody_gave_is_kept() {
    on(Kind::OpenBao, "what_a_server_reports_and_nobody_gave_is_kept", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        let beside = json!({
            CONFIG: {"resets": {"use_annotations_as_alias_metadata": true, "of_a_later_server": ["a, \"b\"", "}"]}},
            ROLE: {"resets": {"alias_metadata": {"team": "shop"}}},
        });
        let Some(vault) = Vault::new(&site, &beside) else { return };
        for changes in [&[][..], &[("K8S_HOST", "https://second.example")], &[("K8S_AUDIENCE", "other")]] {
            let lines = vault.setup(changes);
            assert_eq!(lines.len(), 5, "{lines:?}");
            assert_eq!(vault.state(), beside, "{changes:?}");
        }
        assert_eq!(site.read(ROLE)["audience"], "other");
    });
}

/// As with Vault 1.15.
#[test]
fn a_server_that_does_not_tell_of_a_reviewer_is_changed_all_the_same() {
    on(Kind::OpenBao, "a_server_that_does_not_tell_of_a_reviewer_is_changed_all_the_same", |server| {
        let site = Site::new(server);
        site.setup_says("sh", ["made"; 4]);
        let Some(vault) = Vault::new(&site, &json!({CONFIG: {"hides": ["token_reviewer_jwt_set"]}})) else { return };
        let lines = vault.setup(&[("K8S_HOST", "https://second.example"), NO_REVIEWER]);
        let line = "configuration of kubernetes: written; this server does not tell whether it had a reviewer JWT: if so, \
                    give K8S_REVIEWER_JWT_FILE";
        assert_eq!(lines[3], line);
        assert_eq!(site.read(CONFIG)["kubernetes_host"], "https://second.example");
        assert_eq!(vault.setup(&[])[3], "configuration of kubernetes: reviewer JWT written");
    });
}

#[test]
fn the_type_of_the_token_is_the_one_that_is_asked_for() {
    on(Kind::OpenBao, "the_type_of_the_token_is_the_one_that_is_asked_for", |server| {
        let site = super::set_up(server);
        for type_ in ["batch", "default", "service"] {
            assert_eq!(said(&site.setup("sh", &[("TOKEN_TYPE", type_)])).0, 0, "{type_}");
            let mut role = expected_role();
            role["token_type"] = json!(type_);
            assert_eq!(site.read(ROLE), role);
            assert_eq!(site.pod().run().code(), 0, "{type_}");
            assert_eq!(site.live_tokens(), 0, "{type_}");
        }
    });
}
