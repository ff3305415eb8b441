//! Requests and their answers, and the namespace that each is asked in.

use super::Endpoint;
use crate::error::AskedIn;
use crate::fault::{Fault, Retry, What};
use crate::http::{Answer, Method, Request};
use crate::json::{Json, Malformed, Object};
use crate::judge::{self, Asked};
use crate::observe::Event;
use crate::secret::Secret;
use crate::step::{Step, Verb};
use crate::text::Scrubber;
use crate::time::Call;

impl Endpoint {
    /// The namespace that `step` is asked in. The status check refuses one. A wrapping token can be looked up in any that is
    /// there; in the login's, one that is not there shows before the token is spent.
    fn namespace_of(&self, step: &Step) -> Option<&str> {
        match step {
            Step::Status => None,
            _ if is_of_token(step) => self.auth_namespace.as_deref(),
            _ => self.namespace.as_deref(),
        }
    }

    /// The namespace that `step` is asked in, for messages.
    pub(super) fn asked_in(&self, step: &Step) -> AskedIn {
        let own = is_of_token(step) && self.auth_namespace != self.namespace;
        let login_in = self.auth_namespace_beside().filter(|_| step.place().is_some());
        AskedIn {
            namespace: self.namespace_of(step).map(str::to_owned),
            of_login: own,
            login_in: login_in.map(str::to_owned),
        }
    }

    /// `request` as this endpoint sends it: in its namespace, unless the step refuses one, and with its correlation.
    fn addressed<'a>(&'a self, step: &Step, request: &Request<'a>) -> Request<'a> {
        let (namespace, correlation) = (self.namespace_of(step), self.correlation.as_deref());
        Request { namespace, correlation, ..*request }
    }

    /// Sends `request` and returns the answer if its status is 200 or 204, else what that comes to.
    pub(crate) fn ask(&self, step: &Step, request: &Request, call: &Call) -> Result<Answer, Fault> {
        let answer = self.send(step, request, call)?;
        match answer.status {
            200 | 204 => Ok(answer),
            _ => Err(self.refusal(step, request, &answer)),
        }
    }

    /// Sends `request` and returns the answer whatever its status is, or what it comes to that there is none.
    pub(crate) fn send(&self, step: &Step, request: &Request, call: &Call) -> Result<Answer, Fault> {
        let request = self.addressed(step, request);
        let token = request.token.map(Secret::expose);
        for (what, value) in [("namespace", request.namespace), ("correlation", request.correlation), ("token", token)]
        {
            // A line break in it would be a header of its own.
            if value.is_some_and(|value| value.bytes().any(|byte| byte.is_ascii_control())) {
                return Err(What::NoHeader(what).into());
            }
        }
        self.server.http.call(&request, call, self.has_its_own_lane).map_err(|none| {
            if let Some(failed) = none.tls() {
                self.note(&Event::Tls(&self.scrubber().clean(&[failed.error.to_string()])));
            }
            let fault = judge::of_transport(&none, self.scrubber());
            if none.sent { outcome_unknown(step, request.method, fault) } else { fault }
        })
    }

    /// What `answer` to `request` comes to, whose status is not the one wanted.
    pub(crate) fn refusal(&self, step: &Step, request: &Request, answer: &Answer) -> Fault {
        let said = answer.document().ok();
        if let (Step::Read { .. }, Some(said)) = (step, &said) {
            learn(said, self.scrubber());
        }
        let fault = judge::of_status(&self.asked(step, request), answer);
        // A proxy that got no answer says nothing of what the server has done.
        let unknown = matches!(answer.status, 408 | 502 | 504);
        let fault = if unknown { outcome_unknown(step, request.method, fault) } else { fault };
        Fault { request_id: said.as_ref().and_then(request_id), ..fault }
    }

    /// The answer to `request`, whatever its status; `None` where there is none.
    pub(crate) fn ask_once(&self, step: &Step, request: &Request) -> Option<Answer> {
        self.server.http.call(&self.addressed(step, request), &self.call(), self.has_its_own_lane).ok()
    }

    /// Sends `request` once, as [`Endpoint::ask`] does, without a further try.
    pub(crate) fn try_once(&self, step: &Step, request: &Request) -> Result<Answer, Fault> {
        self.ask(step, request, &self.call())
    }

    /// What the answer to `request` is judged by.
    pub(crate) fn asked<'a>(&'a self, step: &'a Step, request: &Request<'a>) -> Asked<'a> {
        Asked { step, at: self.at(), path: request.path, scrubber: self.scrubber() }
    }

    /// What `answer` to `request` comes to, whose body is not what `step` needs.
    pub(crate) fn judge_body(&self, step: &Step, request: &Request, answer: &Answer, fault: &Malformed) -> Fault {
        judge::of_body(&self.asked(step, request), answer, fault)
    }
}

/// Whether `step` is about the login or its token, and not about a secret.
fn is_of_token(step: &Step) -> bool {
    use Step::{Login, LookUp, Renew, Revoke, Unwrap, Wrapping};
    matches!(step, Login { .. } | LookUp | Renew | Revoke | Unwrap | Wrapping)
}

/// What is not to be done twice is not tried again once it may have been done: another version may have come meanwhile,
/// and a wrapping token is good for one time.
fn outcome_unknown(step: &Step, method: Method, fault: Fault) -> Fault {
    let is_write = matches!(step, Step::Secret { verb: Verb::Write | Verb::Patch, .. });
    let is_once = is_write || *step == Step::Unwrap || method == Method::Delete;
    if is_once { Fault { what: What::Unsure(Box::new(fault.what)), retry: Retry::Never, ..fault } } else { fault }
}

/// The server's id of the request.
pub(crate) fn request_id(said: &Object) -> Option<String> {
    let id = said.string("request_id").ok()?;
    // It is a UUID; what is none is not passed on.
    let is_plain = !id.is_empty() && id.len() <= 64 && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_plain.then(|| id.to_string())
}

/// Whatever the answer comes to, what it holds may be a secret's value.
pub(crate) fn learn(answer: &Object, scrubber: &Scrubber) {
    scrubber.learn_all(answer.get("data").iter().flat_map(Json::leaves));
}
