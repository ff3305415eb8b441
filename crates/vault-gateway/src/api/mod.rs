//! The callers' listener: a request, from its head to its answer.
//!
//! `answer` is the order of refusals. What it lets pass, `act` does.

mod answer;
mod apart;
mod body;
mod change;
mod condition;
mod head;
mod history;
mod list;
mod merge;
mod read;
mod record;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::action::Action;
use crate::jwt::{Caller, NoTenant};
use crate::limits::Place;
use crate::path::SecretPath;
use crate::problem::{Kind, Problem};
use crate::route::{self, Asked, Route};
use crate::rules::{Decision, Question, Target};
use crate::state::{Generation, Service};
use crate::upstream::Upstream;
use answer::Outcome;
use body::Sent;
use condition::Conditions;
use record::Record;

/// Answers a request. One that can change something goes on where its caller leaves.
pub async fn handle(service: Arc<Service>, request: Request<Body>) -> Response<Body> {
    let record = Record::begin(&service, &request);
    if matches!(request.method().as_str(), "GET" | "HEAD") {
        return exchange(service, request, record).await;
    }
    tokio::spawn(exchange(service, request, record)).await.unwrap_or_else(|_| broken())
}

/// The answer where not even a refusal could be made.
fn broken() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

async fn exchange(service: Arc<Service>, request: Request<Body>, mut record: Record) -> Response<Body> {
    let generation = service.current();
    // It is kept until the request is noted: an audit log that stands still lets no more in.
    let place = generation.concurrent.enter();
    let answered = timeout(generation.config.limits.request, answer(&generation, request, place.as_ref(), &mut record));
    let outcome = match AssertUnwindSafe(answered).catch_unwind().await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) if record.is_sent() => {
            Err(Problem::new(Kind::OutcomeUnknown, "Vault did not answer in time; read before you write again"))
        }
        Ok(Err(_)) => Err(Problem::new(Kind::Timeout, "the request took too long; send it again later")),
        Err(_) => Err(Problem::new(Kind::Internal, "the log of the gateway has the place; the request has its id")),
    };
    let response = record.finish(outcome).await;
    drop(place);
    response
}

/// The order of refusals, and then what the request asks for.
async fn answer(
    generation: &Arc<Generation>,
    request: Request<Body>,
    place: Option<&Place>,
    record: &mut Record,
) -> Outcome {
    let (head, body) = request.into_parts();
    let limits = &generation.config.limits;
    head::check(&head, limits.header_bytes)?;
    place.ok_or_else(busy)?;
    let caller = authenticated(generation, &head, record).await?;
    let tenant = tenant(generation, &caller, record)?;
    generation.rate.check(caller.subject_key).map_err(|seconds| {
        Problem::new(Kind::RateLimited, "wait as long as Retry-After says, and send less often").after(seconds)
    })?;
    let (route, rest) = route::resolve(head.method.as_str(), head.uri.path())?;
    record.route(route);
    let asked = Asked::parse(route, rest, head.uri.query())?;
    record.asked(&asked);
    let rules = Judge { generation, caller: &caller, tenant: &tenant, path: asked.path.as_ref() };
    rules.demand(asked.actions(), record)?;
    if route.is_change() && record.cannot_be_noted() {
        return Err(record::unnoted());
    }
    let body = read_body(&head, body, route, &rules).await?;
    let conditions = Conditions::of(&head.headers);
    act(&Call { rules, head: &head, asked: &asked, conditions, tenant: &tenant }, body, record).await
}

fn busy() -> Problem {
    Problem::new(Kind::Busy, "too many requests are under way; send it again later").after(1)
}

async fn authenticated(generation: &Generation, head: &Parts, record: &mut Record) -> Result<Arc<Caller>, Problem> {
    let refused = |reason: &'static str, record: &mut Record| {
        record.rejected(reason);
        Problem::new(Kind::Unauthorized, "send a valid token of a configured issuer: Authorization: Bearer TOKEN")
    };
    let Some(token) = head::bearer(&head.headers) else { return Err(refused("missing", record)) };
    let caller = generation.verifier.verify(token).await.map_err(|why| refused(why.word(), record))?;
    record.caller(&caller);
    Ok(caller)
}

fn tenant(generation: &Generation, caller: &Caller, record: &mut Record) -> Result<Arc<Upstream>, Problem> {
    let found = caller.tenant().map_err(NoTenant::word);
    let found = found.and_then(|name| generation.tenants.get(name).ok_or("tenant_unknown"));
    let tenant = found.map_err(|reason| {
        record.refused(reason);
        denied()
    })?;
    record.tenant(&tenant.tenant().name);
    Ok(Arc::clone(tenant))
}

/// The same for every path and for every reason.
fn denied() -> Problem {
    Problem::new(Kind::Denied, "no rule lets this caller do this here; ask the operator of the gateway for one")
}

/// Who asks rules.
struct Judge<'a> {
    generation: &'a Arc<Generation>,
    caller: &'a Caller,
    tenant: &'a Upstream,
    path: Option<&'a SecretPath>,
}

impl Judge<'_> {
    fn decide(&self, action: Action) -> Decision<'_> {
        let target = match (action, self.path) {
            (Action::Renew, _) => Target::Nothing,
            (_, None) => Target::Root,
            (_, Some(path)) => Target::Path(path),
        };
        let claims = &self.caller.claims;
        self.generation.config.rules.decide(&Question { claims, tenant: &self.tenant.tenant().name, target, action })
    }

    /// Whether the caller may do this here.
    fn allows(&self, action: Action) -> bool {
        matches!(self.decide(action), Decision::Allowed(_))
    }

    /// Refuses what a rule does not allow. Nothing is asked upstream before.
    fn demand(&self, actions: &[Action], record: &mut Record) -> Result<(), Problem> {
        for action in actions {
            match self.decide(*action) {
                Decision::Allowed(rule) => record.allowed(&rule.name),
                Decision::Denied(rule) => {
                    record.denied(rule.map(|rule| rule.name.as_str()));
                    return Err(denied());
                }
            }
        }
        Ok(())
    }
}

/// A request that rules allow.
struct Call<'a> {
    rules: Judge<'a>,
    head: &'a Parts,
    asked: &'a Asked,
    conditions: Conditions,
    tenant: &'a Arc<Upstream>,
}

impl Call<'_> {
    /// The path; every route that has one has read it.
    fn path(&self) -> &str {
        self.asked.path.as_ref().map_or("", SecretPath::as_str)
    }
}

async fn read_body(head: &Parts, body: Body, route: Route, rules: &Judge<'_>) -> Result<Option<Sent>, Problem> {
    let most = rules.generation.config.limits.body_bytes;
    let (media, most) = match route {
        Route::Write => (body::JSON, most),
        Route::Patch => (body::MERGE_PATCH, most),
        Route::Rollback | Route::Undelete | Route::Destroy => (body::JSON, most.min(body::NUMBERS)),
        Route::Read | Route::Delete | Route::History | Route::List | Route::Renew => return Ok(None),
    };
    let room = rules.generation.bodies.room(&rules.tenant.tenant().name);
    Box::pin(body::object(&head.headers, body, media, most, room)).await.map(Some)
}

/// Futures are in boxes, so that the future of a read, the most frequent one, is small.
async fn act(call: &Call<'_>, body: Option<Sent>, record: &mut Record) -> Outcome {
    let unread = || Problem::new(Kind::Internal, "the body was not read");
    match call.asked.route {
        Route::Read => read::secret(call, record).await,
        Route::History => Box::pin(read::metadata(call, record)).await,
        Route::List => Box::pin(list::names(call, record)).await,
        Route::Renew => Box::pin(history::renew(call, record)).await,
        Route::Delete => Box::pin(change::delete(call, record)).await,
        Route::Write => Box::pin(change::put(call, body.ok_or_else(unread)?, record)).await,
        Route::Patch => Box::pin(change::patch(call, body.ok_or_else(unread)?, record)).await,
        Route::Rollback => Box::pin(history::rollback(call, body.ok_or_else(unread)?, record)).await,
        Route::Undelete => Box::pin(history::undelete(call, &body.ok_or_else(unread)?.object, record)).await,
        Route::Destroy => Box::pin(history::destroy(call, &body.ok_or_else(unread)?.object, record)).await,
    }
}
