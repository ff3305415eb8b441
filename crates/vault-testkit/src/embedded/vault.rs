//! The server's state, and the way of a request through it: path, namespace, seal, token, policy, mount.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::Entry;
use super::kubernetes::Kubernetes;
use super::kv::{Kv1, Kv2};
use super::policy::{self, Rule};
use super::quota::Quota;
use super::reply::{Answer, Reply};
use super::sys;
use super::token::{self, Token, Tokens};

/// A request as the rest of the server sees it.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Decoded, without `/v1/`.
    pub(crate) path: Vec<u8>,
    pub(crate) query: String,
    pub(crate) namespace: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) user_agent: String,
    pub(crate) connection: u64,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// What the method asks for, in the words of policies and audit log.
    pub(crate) fn operation(&self) -> &'static str {
        match self.method.as_str() {
            "GET" if self.parameter("list") == Some("true") => "list",
            "GET" | "HEAD" => "read",
            "LIST" => "list",
            "DELETE" => "delete",
            _ => "update",
        }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|it| it.1)
    }

    /// The JSON body; an empty one is an empty object.
    pub(crate) fn json(&self) -> Result<Value, Reply> {
        if self.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        let value: Result<Value, _> = serde_json::from_slice(&self.body);
        value.map_err(|error| Reply::error(400, format!("failed to decode JSON input: {error}")))
    }
}

/// What answers below a path prefix.
pub(crate) enum Mount {
    Kv1(Kv1),
    Kv2(Kv2),
    Kubernetes(Kubernetes),
}

/// A policy as it was last written.
pub(crate) struct Policy {
    pub(crate) text: String,
    pub(crate) rules: Vec<Rule>,
    /// Counts the writes.
    pub(crate) version: u64,
    pub(crate) modified: SystemTime,
}

/// The server. Mounts, policies and rules are keyed by their path from the root namespace.
#[derive(Default)]
pub(crate) struct Vault {
    /// The key that unseals it, once it is initialised.
    pub(crate) key: Option<String>,
    pub(crate) unsealed: bool,
    /// Paths with a slash at the end.
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) mounts: BTreeMap<String, Mount>,
    pub(crate) policies: BTreeMap<String, Policy>,
    pub(crate) tokens: Tokens,
    pub(crate) quota: Option<Quota>,
    pub(crate) audit: Vec<Entry>,
}

/// Where a request goes, after its namespace was found.
pub(crate) struct Target<'a> {
    pub(crate) request: &'a Request,
    /// Empty or with a slash at the end.
    pub(crate) namespace: String,
    /// Within the namespace.
    pub(crate) path: String,
    pub(crate) body: Value,
}

impl Target<'_> {
    /// From the root namespace.
    pub(crate) fn full(&self) -> String {
        format!("{}{}", self.namespace, self.path)
    }

    pub(crate) fn operation(&self) -> &'static str {
        self.request.operation()
    }

    /// A text of the body, empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

impl Vault {
    /// Answers one request and remembers it.
    pub(crate) fn handle(&mut self, request: &Request) -> Reply {
        let used = request.token.as_deref().and_then(|id| self.tokens.find(id)).map(|it| it.policies.clone());
        let reply = self.route(request).unwrap_or_else(|error| error);
        let made = reply.body.as_ref().map_or(&Value::Null, |body| &body["auth"]["policies"]);
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.audit.push(Entry {
            method: request.method.clone(),
            operation: request.operation(),
            path: String::from_utf8_lossy(&request.path).into_owned(),
            namespace: request.namespace.clone().unwrap_or_default(),
            token: request.token.is_some(),
            policies: used.unwrap_or_else(|| strings(made)),
            role: body["role"].as_str().unwrap_or_default().to_owned(),
            user_agent: request.user_agent.clone(),
            connection: request.connection,
            status: reply.status,
            at: Instant::now(),
        });
        reply
    }

    fn route(&mut self, request: &Request) -> Answer {
        let path = str::from_utf8(&request.path).map_err(|_| Reply::empty(400))?;
        if path.chars().any(char::is_control) {
            return Err(Reply::empty(400));
        }
        let clean = clean(path);
        if clean != path {
            return Err(Reply::redirect(&clean));
        }
        self.quota.as_mut().map_or(Ok(()), |quota| quota.admit(path))?;
        if let Some(answer) = sys::before_the_seal(self, request, path) {
            return answer;
        }
        if !self.unsealed {
            return Err(Reply::error(503, "Vault is sealed"));
        }
        let mut target = self.target(request, path)?;
        if let Some(byte) = request.token.as_deref().and_then(token::malformed) {
            let text = format!("error performing token check: illegal base64 data at input byte {byte}");
            return Err(Reply::error(500, text));
        }
        if let Some(answer) = self.login(&mut target) {
            return answer;
        }
        if let Some(mount) = target.path.strip_prefix("sys/internal/ui/mounts/") {
            return sys::preflight(self, &target, mount);
        }
        let id = request.token.as_deref().unwrap_or_default();
        let (token, spent) = self.tokens.spend(id).ok_or_else(Reply::forbidden)?;
        let answer = self.authorised(&mut target, &token);
        if spent {
            self.tokens.remove(&token.id);
        }
        answer
    }

    /// Finds the namespace, which the header and the path give together.
    fn target<'a>(&self, request: &'a Request, path: &str) -> Result<Target<'a>, Reply> {
        let header = request.namespace.as_deref().unwrap_or_default().trim_matches('/');
        let header = if matches!(header, "" | "root") { String::new() } else { format!("{header}/") };
        if !header.is_empty() && !self.namespaces.contains(&header) {
            return Err(Reply::error(404, "namespace not found"));
        }
        let full = header + path;
        let namespace = self.namespaces.iter().filter(|name| full.starts_with(*name)).max_by_key(|it| it.len());
        let namespace = namespace.cloned().unwrap_or_default();
        let path = full[namespace.len()..].to_owned();
        Ok(Target { request, namespace, path, body: Value::Null })
    }

    /// The one kind of request that needs no token; one that was sent is not looked at.
    fn login(&mut self, target: &mut Target) -> Option<Answer> {
        let full = target.full();
        let mount = full.strip_suffix("login")?;
        let Mount::Kubernetes(kubernetes) = self.mounts.get(mount)? else {
            return None;
        };
        if target.operation() != "update" {
            return Some(Err(Reply::error(405, "unsupported operation")));
        }
        let made = target.request.json().and_then(|body| {
            target.body = body;
            kubernetes.login(target)
        });
        Some(made.map(|token| Reply::auth(self.tokens.insert(token).auth())))
    }

    fn authorised(&mut self, target: &mut Target, token: &Token) -> Answer {
        let full = target.full();
        let wanted: &[&str] = match target.operation() {
            "update" => &["update", "create"],
            "read" => &["read"],
            "list" => &["list"],
            _ => &["delete"],
        };
        if !token.is_root() && !policy::allows(&self.rules(token), &full, wanted) {
            return Err(Reply::denied());
        }
        target.body = target.request.json()?;
        if let Some(path) = target.path.clone().strip_prefix("sys/") {
            return sys::handle(self, target, path);
        }
        if let Some(path) = target.path.clone().strip_prefix("auth/token/") {
            return self.tokens.handle(target, path, token);
        }
        let mount = self.mounts.iter_mut().filter(|(mount, _)| format!("{full}/").starts_with(*mount));
        let Some((mount, backend)) = mount.max_by_key(|(mount, _)| mount.len()) else {
            let text = format!("no handler for route \"{}\". route entry not found.", target.path);
            return Err(Reply::error(404, text));
        };
        let path = full.get(mount.len()..).unwrap_or_default();
        match backend {
            Mount::Kv1(kv) => kv.handle(target, path),
            Mount::Kv2(kv) => kv.handle(target, path),
            Mount::Kubernetes(kubernetes) => kubernetes.handle(target, path),
        }
    }

    /// Everything that the token's policies say.
    pub(crate) fn rules(&self, token: &Token) -> Vec<Rule> {
        let rules = |name: &String| match self.policies.get(&format!("{}{name}", token.namespace)) {
            Some(policy) => policy.rules.clone(),
            None if name == "default" => policy::default_rules(),
            None => Vec::new(),
        };
        token.policies.iter().flat_map(rules).map(|rule| rule.inside(&token.namespace)).collect()
    }

    /// Initialises and unseals without a request; returns the root token.
    pub(crate) fn initialise_unsealed(&mut self) -> String {
        let root = Token { policies: vec!["root".to_owned()], ..Token::new("root", "auth/token/root", None) };
        self.key = Some(random_text(32));
        self.unsealed = true;
        self.tokens.insert(root).id.clone()
    }
}

/// A path as the server wants it: no empty segment, no `.` and no `..`.
fn clean(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    segments.join("/") + slash
}

/// The texts of a JSON list, or of a comma-separated text.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let list = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        _ => Vec::new(),
    };
    list.into_iter().filter(|item: &String| !item.is_empty()).collect()
}

/// Random letters and digits, at most as hard to guess as a test needs.
pub(crate) fn random_text(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| {
        let random = RandomState::new().build_hasher().finish();
        char::from(LETTERS[usize::try_from(random % 62).unwrap_or_default()])
    };
    (0..length).map(letter).collect()
}

/// A random UUID.
pub(crate) fn random_id() -> String {
    let random = || RandomState::new().build_hasher().finish();
    let (high, low) = (random(), random());
    let (first, second) = (high >> 32, low >> 48);
    format!("{first:08x}-{:04x}-{:04x}-{second:04x}-{:012x}", high >> 16 & 0xffff, high & 0xffff, low & ((1 << 48) - 1))
}
