//! What is noted of a request: its audit line and its metrics.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::http::{Method, Request, Response};
use ring::rand::{SecureRandom as _, SystemRandom};

use tokio::time::timeout;

use super::answer::{self, Outcome};
use super::head;
use crate::action::Action;
use crate::audit::{Line, Verdict};
use crate::cache::Lookup;
use crate::claims::Claims;
use crate::jwt::Caller;
use crate::problem::{Kind, Problem};
use crate::route::{Asked, Route};
use crate::state::Service;

/// The status in the log of a request whose caller left before there was an answer; it is none of HTTP.
const LEFT: u16 = 499;

/// A line of the audit log is waited for so long.
const LONGEST_NOTE: Duration = Duration::from_secs(5);

/// The refusal of what cannot be noted.
pub fn unnoted() -> Problem {
    Problem::new(Kind::Unavailable, "the audit log cannot be written; send it again later").after(5)
}

/// What is noted of a request. One that is dropped before its end was left by its caller, and is noted as that.
pub struct Record {
    service: Arc<Service>,
    time: SystemTime,
    begun: Instant,
    id: String,
    client_id: Option<String>,
    method: Method,
    route: Option<Route>,
    tenant: Option<String>,
    caller: Option<Arc<Caller>>,
    action: Option<Action>,
    path: Option<String>,
    version: Option<u64>,
    versions: Option<Vec<u64>>,
    rule: Option<String>,
    verdict: Verdict,
    reason: Option<&'static str>,
    lookup: Option<Lookup>,
    vault_request_id: Option<String>,
    is_sent: bool,
    is_finished: bool,
}

impl Record {
    /// A request has arrived.
    pub fn begin(service: &Arc<Service>, request: &Request<Body>) -> Self {
        Self {
            service: Arc::clone(service),
            time: SystemTime::now(),
            begun: Instant::now(),
            id: new_id(),
            client_id: head::id_of_the_caller(request.headers()).map(str::to_owned),
            method: request.method().clone(),
            route: None,
            tenant: None,
            caller: None,
            action: None,
            path: None,
            version: None,
            versions: None,
            rule: None,
            verdict: Verdict::Refuse,
            reason: None,
            lookup: None,
            vault_request_id: None,
            is_sent: false,
            is_finished: false,
        }
    }

    /// The id of the request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The caller's token is good.
    pub fn caller(&mut self, caller: &Arc<Caller>) {
        self.caller = Some(Arc::clone(caller));
    }

    /// The caller's token is refused.
    pub fn rejected(&mut self, reason: &'static str) {
        self.service.metrics.rejected_token(reason);
        self.reason = Some(reason);
    }

    /// The request is refused before the rules, for this reason.
    pub fn refused(&mut self, reason: &'static str) {
        self.reason = Some(reason);
    }

    /// The caller is of this tenant.
    pub fn tenant(&mut self, name: &str) {
        self.tenant = Some(name.to_owned());
    }

    /// The request has this route.
    pub fn route(&mut self, route: Route) {
        self.route = Some(route);
        // Also where path and query are refused afterwards.
        self.action = Some(route.action());
    }

    /// The request asks for this.
    pub fn asked(&mut self, asked: &Asked) {
        self.action = asked.actions().first().copied();
        let has_path = asked.route != Route::Renew;
        self.path = has_path.then(|| asked.path.as_ref().map(|path| path.as_str().to_owned()).unwrap_or_default());
        self.version = asked.version;
        self.versions.clone_from(&asked.versions);
    }

    /// This rule allows it.
    pub fn allowed(&mut self, rule: &str) {
        self.verdict = Verdict::Allow;
        // The first is that of the main action.
        self.rule.get_or_insert_with(|| rule.to_owned());
    }

    /// This rule denies it; `None` where none allows it.
    pub fn denied(&mut self, rule: Option<&str>) {
        self.verdict = Verdict::Deny;
        self.rule = rule.map(str::to_owned);
    }

    /// What the cache had.
    pub fn looked_up(&mut self, lookup: Lookup) {
        self.lookup = Some(lookup);
    }

    /// It is about this version.
    pub fn version(&mut self, version: u64) {
        self.version = Some(version);
    }

    /// It is about these versions.
    pub fn versions(&mut self, versions: &[u64]) {
        self.versions = Some(versions.to_vec());
    }

    /// Vault's id of its request.
    pub fn vault_request_id(&mut self, id: Option<&str>) {
        self.vault_request_id = id.map(str::to_owned);
    }

    /// From now on something may have been changed at Vault.
    pub fn sent(&mut self) {
        self.is_sent = true;
    }

    /// Whether something may have been changed at Vault.
    pub fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// Notes the outcome, and makes the response of it. What cannot be noted is not answered.
    pub async fn finish(mut self, outcome: Outcome) -> Response<Body> {
        self.is_finished = true;
        if let Err(problem) = &outcome {
            self.reason.get_or_insert(problem.kind.word());
            if problem.vault_request_id.is_some() {
                self.vault_request_id.clone_from(&problem.vault_request_id);
            }
        }
        let outcome = if self.note(answer::status(&outcome)).await { outcome } else { Err(self.not_noted()) };
        self.count(answer::status(&outcome));
        answer::response(outcome, &self.id, self.lookup)
    }

    /// Whether the line of the audit log is written.
    async fn note(&self, status: u16) -> bool {
        let service = &self.service;
        let why = match timeout(LONGEST_NOTE, service.audit.write(&self.line(status))).await {
            Ok(Ok(())) => return true,
            Ok(Err(why)) => why.to_string(),
            Err(_) => "a line waits for too long: see what holds up the audit log".into(),
        };
        service.metrics.audit_error();
        tracing::error!(request_id = self.id, "audit: {why}");
        false
    }

    /// What was changed is not to be changed again only because nobody could note it.
    fn not_noted(&self) -> Problem {
        if !self.is_sent {
            return unnoted();
        }
        let detail = "it may have been done, and the audit log cannot be written; read before you write again";
        Problem::new(Kind::OutcomeUnknown, detail).with_status(503)
    }

    /// Whether the last line for the audit log could not be written. The refusal's own line finds out whether it can again.
    pub fn cannot_be_noted(&self) -> bool {
        self.service.audit.is_failing()
    }

    fn line(&self, status: u16) -> Line<'_> {
        let claims = self.caller.as_ref().map(|caller| &caller.claims);
        Line {
            time: self.time,
            request_id: &self.id,
            client_request_id: self.client_id.as_deref(),
            tenant: self.tenant.as_deref(),
            issuer: claims.map(Claims::issuer),
            subject: claims.map(Claims::subject),
            action: self.action,
            path: self.path.as_deref(),
            version: self.version,
            versions: self.versions.as_deref(),
            rule: self.rule.as_deref(),
            decision: self.verdict,
            reason: self.reason,
            cache: self.lookup.map(Lookup::word),
            vault_request_id: self.vault_request_id.as_deref(),
            status,
            took: self.begun.elapsed(),
        }
    }

    fn count(&self, status: u16) {
        let route = self.route.map_or("", Route::pattern);
        let tenant = self.tenant.as_deref().unwrap_or_default();
        self.service.metrics.request(route, self.method.as_str(), status, tenant, self.begun.elapsed());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        self.reason = Some("left");
        if self.service.audit.note(&self.line(LEFT)).is_err() {
            self.service.metrics.audit_error();
        }
        self.count(LEFT);
    }
}

/// Random bytes are asked of the system for so many ids at once.
const IDS: usize = 32;

thread_local! {
    /// Random bytes of the thread, and how many of them are used.
    static RANDOM: RefCell<([u8; 16 * IDS], usize)> = const { RefCell::new(([0; 16 * IDS], 16 * IDS)) };
}

/// A random UUID. [RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#section-5.4)
fn new_id() -> String {
    let mut bytes = RANDOM.with_borrow_mut(|(random, used)| {
        if *used == random.len() {
            // The system's randomness fails before the first request or never.
            let _ = SystemRandom::new().fill(random);
            *used = 0;
        }
        *used += 16;
        <[u8; 16]>::try_from(&random[*used - 16..*used]).unwrap_or_default()
    });
    // The version, 4, and the variant.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(36);
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        id.extend([byte >> 4, byte & 0x0f].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_random_uuid() {
        let ids: Vec<_> = std::iter::repeat_with(new_id).take(100).collect();
        for id in &ids {
            let shape: String = id.chars().map(|it| if it.is_ascii_hexdigit() { 'x' } else { it }).collect();
            assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
            assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), 100);
    }
}
