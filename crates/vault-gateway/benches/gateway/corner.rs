//! What a measurement has to itself: a mount with a secret, a policy, a role, a token of OpenBao, a caller's JWT.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use vault_testkit::jwt::Jwt;
use vault_testkit::openid::OpenIdProvider;
use vault_testkit::server::{Listener, Server};
use vault_testkit::{scratch, unique};

use crate::gateway::Gateway;

/// The path of the secret.
pub(crate) const PATH: &str = "apps/shop/config";

/// What a measurement has to itself.
pub(crate) struct Corner<'a> {
    server: &'a Server,
    provider: &'a OpenIdProvider,
    program: PathBuf,
    /// The name of its mount, policy and role.
    pub(crate) name: String,
    /// A token of OpenBao that may do what is measured.
    pub(crate) token: String,
    /// A JWT of a caller, signed with RS256.
    pub(crate) jwt: String,
    folder: PathBuf,
}

impl<'a> Corner<'a> {
    pub(crate) fn of(server: &'a Server, provider: &'a OpenIdProvider, program: PathBuf) -> Self {
        let name = unique();
        let folder = scratch(&name);
        server.mount_kv("", &name, 2);
        let policy = format!(
            "path \"{name}/data/*\" {{ capabilities = [\"read\"] }}\n\
             path \"auth/token/create\" {{ capabilities = [\"update\"] }}\n"
        );
        server.write_policy("", &name, &policy);
        server.write_kubernetes_role("", "kubernetes", &name, &name, &json!({"token_ttl": "1h"}));
        let value = "a value of some length";
        let secret = json!({"DATABASE_URL": value, "API_KEY": value, "SMTP_PASSWORD": value});
        server.write_secret("", &name, PATH, &secret);
        let token = server.create_token("", &json!({"policies": [name], "ttl": "1h"}));
        fs::write(folder.join("jwt"), Jwt::default().encode()).expect("the JWT is written");
        let exp = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs() + 3600;
        let claims = json!({"aud": "vault-gateway", "tenant": "team-a", "roles": ["reader"], "exp": exp});
        let jwt = provider.mint(&claims);
        Self { server, provider, program, name, token, jwt, folder }
    }

    /// The URL of OpenBao.
    pub(crate) fn url(&self) -> String {
        self.server.addr(Listener::Plain)
    }

    /// The gateway with these lines in the tables `cache` and `limits`, ready.
    pub(crate) fn gateway(&self, name: &str, cache: &str, limits: &str) -> Gateway {
        let (folder, corner) = (self.folder.display(), &self.name);
        let mut text = format!(
            "listen = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\naudit = \"{folder}/{name}.audit\"\n\
             [[issuer]]\nurl = \"{}\"\naudience = \"vault-gateway\"\nalgorithms = [\"RS256\"]\n\
             tenant = {{ claim = \"tenant\" }}\n",
            self.provider.issuer()
        );
        let _ = write!(
            text,
            "[[tenant]]\nname = \"team-a\"\nmount = \"{corner}\"\nrole = \"{corner}\"\nauth_method = \"kubernetes\"\n\
             jwt_file = \"{folder}/jwt\"\n\
             [[rule]]\nname = \"readers\"\ntenant = \"team-a\"\nclaim = {{ roles = \"reader\" }}\n\
             paths = [\"apps/*/config\"]\nallow = [\"read\"]\n\
             [cache]\n{cache}\n[limits]\n{limits}\n"
        );
        let file = self.folder.join(format!("{name}.toml"));
        fs::write(&file, text).expect("the configuration is written");
        Gateway::start(&self.program, &file, &self.url())
    }
}
