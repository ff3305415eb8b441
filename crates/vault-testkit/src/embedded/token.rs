//! Tokens: what they carry, how long and how often they are good, and `auth/token/`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_nanos;
use serde_json::{Value, json};

use super::reply::{Answer, Reply, one_error};
use super::vault::{Target, random_text, strings};

/// 32 days, in seconds.
pub(crate) const DEFAULT_TTL: u64 = 2_764_800;

/// A token and everything that is known about it.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) id: String,
    /// Empty for a batch token, of which the server keeps nothing.
    pub(crate) accessor: String,
    pub(crate) policies: Vec<String>,
    pub(crate) namespace: String,
    pub(crate) batch: bool,
    /// How often it was good when it was made; 0: as often as one likes.
    pub(crate) uses: u64,
    /// How often it still is.
    pub(crate) uses_left: u64,
    /// None: for ever.
    pub(crate) ttl: Option<u64>,
    pub(crate) renewable: bool,
    pub(crate) orphan: bool,
    pub(crate) display_name: String,
    pub(crate) meta: Value,
    pub(crate) entity: String,
    /// The path that made it.
    pub(crate) path: String,
    pub(crate) created: SystemTime,
    /// When it was renewed, and for how many seconds.
    pub(crate) renewed: Option<(SystemTime, u64)>,
}

impl Token {
    pub(crate) fn new(display_name: impl Into<String>, path: impl Into<String>, ttl: Option<u64>) -> Self {
        Self {
            id: String::new(),
            accessor: String::new(),
            policies: Vec::new(),
            namespace: String::new(),
            batch: false,
            uses: 0,
            uses_left: 0,
            ttl,
            renewable: ttl.is_some(),
            orphan: true,
            display_name: display_name.into(),
            meta: Value::Null,
            entity: String::new(),
            path: path.into(),
            created: SystemTime::now(),
            renewed: None,
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }

    fn expiry(&self) -> Option<SystemTime> {
        let (from, seconds) = self.renewed.unwrap_or((self.created, self.ttl?));
        Some(from + Duration::from_secs(seconds))
    }

    fn expired(&self) -> bool {
        self.expiry().is_some_and(|expiry| expiry <= SystemTime::now())
    }

    fn kind(&self) -> &'static str {
        if self.batch { "batch" } else { "service" }
    }

    /// The `auth` block that a login, a creation and a renewal answer with.
    pub(crate) fn auth(&self) -> Value {
        json!({
            "client_token": self.id, "accessor": self.accessor, "policies": self.policies,
            "token_policies": self.policies, "metadata": self.meta,
            "lease_duration": self.renewed.map(|it| it.1).or(self.ttl).unwrap_or(0),
            "renewable": self.renewable && !self.batch, "entity_id": self.entity, "token_type": self.kind(),
            "orphan": self.orphan, "mfa_requirement": null, "num_uses": self.uses,
        })
    }

    /// What a look-up tells; only one by token shows the token.
    fn lookup(&self, id: &str) -> Reply {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left =
            self.expiry().map_or(0, |expiry| expiry.duration_since(SystemTime::now()).unwrap_or_default().as_secs());
        let mut data = json!({
            "accessor": self.accessor, "creation_time": seconds(self.created),
            "creation_ttl": self.ttl.unwrap_or(0),
            "display_name": self.display_name, "entity_id": self.entity,
            "expire_time": self.expiry().map(|time| format_rfc3339_nanos(time).to_string()),
            "explicit_max_ttl": 0, "id": id, "meta": self.meta, "num_uses": self.uses_left,
            "orphan": self.orphan,
            "path": self.path, "policies": self.policies, "ttl": left, "type": self.kind(),
        });
        if self.path != "auth/token/root" {
            data["issue_time"] = json!(format_rfc3339_nanos(self.created).to_string());
            data["renewable"] = json!(self.renewable && !self.batch);
        }
        if let Some((renewed, _)) = self.renewed {
            data["last_renewal"] = json!(format_rfc3339_nanos(renewed).to_string());
            data["last_renewal_time"] = json!(seconds(renewed));
        }
        if !self.namespace.is_empty() {
            data["namespace_path"] = json!(self.namespace);
        }
        Reply::data(data)
    }
}

/// All tokens, by id.
#[derive(Default)]
pub(crate) struct Tokens(BTreeMap<String, Token>);

impl Tokens {
    /// Gives `token` an id and an accessor, and keeps it.
    pub(crate) fn insert(&mut self, mut token: Token) -> &Token {
        let kind = if token.batch { 'b' } else { 's' };
        token.uses_left = token.uses;
        token.id = format!("{kind}.{}", random_text(24));
        token.accessor = if token.batch { String::new() } else { random_text(24) };
        let id = token.id.clone();
        self.0.insert(id.clone(), token);
        &self.0[&id]
    }

    /// A token that is still good.
    pub(crate) fn find(&self, id: &str) -> Option<&Token> {
        self.0.get(id).filter(|token| !token.expired())
    }

    /// Takes one use off; the second value says that it was the last.
    pub(crate) fn spend(&mut self, id: &str) -> Option<(Token, bool)> {
        let token = self.0.get_mut(id).filter(|token| !token.expired())?;
        let last = token.uses_left == 1;
        token.uses_left = token.uses_left.saturating_sub(1);
        Some((token.clone(), last))
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    fn by_accessor(&self, accessor: &str) -> Option<&Token> {
        self.0.values().find(|it| !accessor.is_empty() && it.accessor == accessor && !it.expired())
    }

    /// `auth/token/<path>`, asked with the token `by`.
    pub(crate) fn handle(&mut self, target: &Target, path: &str, by: &Token) -> Answer {
        match (path.trim_end_matches('/'), target.operation()) {
            ("create", "update") => self.create(target, by),
            ("lookup-self", "read" | "update") => Ok(by.lookup(&by.id)),
            ("lookup", "update") => {
                let token = self.find(target.text("token")).ok_or_else(|| Reply::error(403, "bad token"))?;
                Ok(token.lookup(&token.id))
            }
            ("lookup-accessor", "update") => {
                let found = self.by_accessor(target.text("accessor"));
                let found = found.ok_or_else(|| Reply::error(400, one_error("invalid accessor")))?;
                Ok(found.lookup(""))
            }
            ("renew-self", "update") => self.renew(target, by),
            ("revoke-self", "update") if by.batch => Err(Reply::error(400, "batch tokens cannot be revoked")),
            ("revoke-self", "update") => Ok(self.revoke(Some(by.id.clone()))),
            ("revoke", "update") => Ok(self.revoke(Some(target.text("token").to_owned()))),
            ("revoke-accessor", "update") => {
                let id = self.by_accessor(target.text("accessor")).map(|token| token.id.clone());
                Ok(self.revoke(id))
            }
            ("accessors", "list") => {
                let kept = self.0.values().filter(|it| !it.batch && !it.expired());
                let here = kept.filter(|it| it.namespace == target.namespace);
                let accessors: Vec<_> = here.map(|it| it.accessor.as_str()).collect();
                if accessors.is_empty() { Err(Reply::not_found()) } else { Ok(Reply::data(json!({"keys": accessors}))) }
            }
            _ => Err(Reply::error(405, one_error("unsupported operation"))),
        }
    }

    fn revoke(&mut self, id: Option<String>) -> Reply {
        let Some(id) = id else {
            return Reply::warning(200, "No token found with this accessor");
        };
        self.0.remove(&id);
        Reply::empty(204)
    }

    fn renew(&mut self, target: &Target, by: &Token) -> Answer {
        if by.batch {
            return Err(Reply::error(400, "batch tokens cannot be renewed"));
        }
        let token = self.0.get_mut(&by.id).ok_or_else(Reply::forbidden)?;
        if !token.renewable {
            return Err(Reply::error(400, "lease is not renewable"));
        }
        let increment = seconds(&target.body["increment"])?.or(token.ttl).unwrap_or(DEFAULT_TTL);
        token.renewed = Some((SystemTime::now(), increment));
        Ok(Reply::auth(token.auth()))
    }

    fn create(&mut self, target: &Target, by: &Token) -> Answer {
        let mut policies = strings(&target.body["policies"]);
        if policies.is_empty() {
            policies.clone_from(&by.policies);
        }
        let root = policies.iter().any(|name| name == "root");
        if !root && target.body["no_default_policy"] != true && !policies.iter().any(|it| it == "default") {
            policies.push("default".to_owned());
        }
        policies.sort();
        let batch = match target.text("type") {
            "batch" => true,
            "" | "service" => false,
            _ => return Err(Reply::error(400, "invalid 'token_type' value")),
        };
        let ttl = seconds(&target.body["ttl"])?;
        let ttl = if root { ttl } else { ttl.or(Some(DEFAULT_TTL)) };
        let name = format!("token-{}", target.text("display_name"));
        Ok(Reply::auth(
            self.insert(Token {
                policies,
                batch,
                namespace: target.namespace.clone(),
                uses: target.body["num_uses"].as_u64().unwrap_or(0),
                renewable: ttl.is_some() && target.body["renewable"] != false,
                orphan: target.body["no_parent"] == true,
                meta: target.body["meta"].clone(),
                ..Token::new(name.trim_end_matches('-'), "auth/token/create", ttl)
            })
            .auth(),
        ))
    }
}

/// A time to live: a number of seconds, or a text like `90`, `60s`, `1h30m`; zero and nothing mean the
/// default.
pub(crate) fn seconds(value: &Value) -> Result<Option<u64>, Reply> {
    let seconds = match value {
        Value::String(text) if text.is_empty() => 0,
        Value::String(text) => match (text.parse(), humantime::parse_duration(text)) {
            (Ok(seconds), _) => seconds,
            (_, Ok(duration)) => duration.as_secs(),
            _ => return Err(Reply::error(400, format!("time: invalid duration \"{text}\""))),
        },
        value => value.as_u64().unwrap_or(0),
    };
    Ok(Some(seconds).filter(|seconds| *seconds > 0))
}

/// Where a batch token, which is encrypted data, is no base64; the real server fails on it even before a
/// login.
pub(crate) fn malformed(id: &str) -> Option<usize> {
    let data = id.strip_prefix("b.").or_else(|| id.strip_prefix("hvb."))?;
    let odd = data.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_');
    odd.or_else(|| (data.len() % 4 == 1).then(|| data.len() - 1))
}
