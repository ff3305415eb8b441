//! Somebody who follows a document: in an empty folder, with the programs in PATH and the Vault of the example, which
//! has the secret `shop/prod` and the role `shop`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tempfile::TempDir;
use vault_testkit::jwt::Jwt;
use vault_testkit::server::{Kind, Listener, Server};
use vault_testkit::tools;

use super::faults::{ADDR, JWT_FILE};
use crate::support::scenario::PROGRAM;
use crate::support::vault_client;

/// There is one at a time: what one changes, another one would read.
pub(super) struct Reader {
    _alone: MutexGuard<'static, ()>,
    folder: TempDir,
    server: &'static Server,
}

/// The Vault of the example: the real one, where it is installed.
fn vault() -> &'static Server {
    static VAULT: LazyLock<&Server> = LazyLock::new(|| {
        let server = Server::shared(Kind::OpenBao).or_else(|| Server::shared(Kind::Embedded)).expect("a server");
        let rule = |path: &str| format!("path \"kv/data/{path}\" {{ capabilities = [\"read\"] }}\n");
        let policy = rule("shop/prod") + &rule("shop/shared");
        server.write_policy("", "shop", &policy);
        let role = json!({
            "bound_service_account_names": "shop", "bound_service_account_namespaces": "shop", "audience": "vault",
            "token_policies": "shop", "token_ttl": "10m",
        });
        server.must("POST", "auth/kubernetes/role/shop", &role);
        server.write_secret("", "kv", "shop/shared", &json!({"LOG_TOPIC": "shop"}));
        server
    });
    *VAULT
}

impl Reader {
    pub(super) fn new() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = Self { _alone: alone, folder: tempfile::tempdir().expect("a folder"), server: vault() };
        let secret = json!({"DATABASE_URL": "postgres://shop@db.shop.svc/shop", "API_KEY": "k-0123456789"});
        reader.server.must("POST", "kv/data/shop/prod", &json!({"data": &secret}));
        let shop = || "shop".to_owned();
        let jwt = Jwt { service_account: shop(), namespace: shop(), audience: json!(["vault"]), ..Jwt::default() };
        reader.write("jwt", &jwt.encode());
        // An operator who may ask anything, where a command is not run as the pod.
        reader.write(".vault-token", reader.server.root_token());
        reader.write("shop.json", &secret.to_string());
        reader.write("shop", "#!/bin/sh\necho arguments: \"$@\"\nexec env\n");
        fs::set_permissions(reader.file("shop"), fs::Permissions::from_mode(0o755)).expect("a mode");
        fs::create_dir(reader.file("secrets")).expect("a directory");
        fs::create_dir(reader.file("bin")).expect("a directory");
        reader
    }

    /// The block as somebody types it who has `vault` and not `bao`; `None` where it has no such command, or where
    /// `vault` cannot be had.
    pub(super) fn with_vault(&self, block: &str) -> Option<String> {
        let other = block.replace("bao ", "vault ");
        if other == block || !self.can(block) {
            return None;
        }
        vault_client::install(&self.file("bin"))?;
        // Whoever has one has not the other.
        self.write("bin/bao", "#!/bin/sh\necho 'bao: not found' >&2\nexit 127\n");
        fs::set_permissions(self.file("bin/bao"), fs::Permissions::from_mode(0o755)).expect("a mode");
        Some(other)
    }

    /// The token of the operator, who goes on working with it, still works.
    pub(super) fn expect_operators_token(&self, whole: &str) {
        let (status, _) = self.server.admin("GET", "auth/token/lookup-self", &serde_json::Value::Null);
        assert_eq!(status, 200, "the operator's own token is gone\n{whole}");
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.file(name), content).expect("a file is written");
    }

    /// The block with the names of the example replaced by what they are here.
    fn here(&self, block: &str) -> String {
        let folder = self.folder.path().display();
        let block = block.replace(ADDR, &self.server.addr(Listener::Plain)).replace(JWT_FILE, &format!("{folder}/jwt"));
        let tls = self.server.addr(Listener::Tls).replace("https://", "");
        let block = block.replace("vault.vault.svc:8200", &tls);
        let block = block.replace("/vault-exec/vault-exec ", &format!("{PROGRAM} "));
        // As a word of its own: `shop/prod` is a path in Vault.
        [" /shop", "\"/shop", " /secrets/", "=/secrets/"].iter().fold(block, |block, name| {
            let (mark, path) = name.split_at(1);
            block.replace(name, &format!("{mark}{folder}{path}"))
        })
    }

    /// Runs it, each line as long as nothing fails; `set`: with Vault's settings.
    pub(super) fn follow(&self, block: &str, set: bool) -> Output {
        let programs = [&self.file("bin"), Path::new(PROGRAM).parent().expect("a folder"), &tools().join("bin")];
        let system = ["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new);
        let path = std::env::join_paths(programs.into_iter().chain(system)).expect("paths");
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &self.here(block)]).env_clear().env("PATH", path).env("HOME", self.folder.path());
        if set {
            let settings = [("VAULT_ADDR", ADDR), ("VAULT_ROLE", "shop"), ("VAULT_PATH", "shop/prod")];
            shell.envs(settings.map(|(name, value)| (name, self.here(value))));
            shell.env("VAULT_K8S_TOKEN_PATH", self.file("jwt"));
        }
        shell.current_dir(self.folder.path()).output().expect("a shell runs")
    }

    /// Whether it talks to the server with the official client, which the embedded server is too small for.
    pub(super) fn can(&self, block: &str) -> bool {
        self.server.kind() == Kind::OpenBao || !block.contains("bao ")
    }
}
