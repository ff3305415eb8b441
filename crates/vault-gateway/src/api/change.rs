//! Writes and deletes of a secret, under the conditions of a request.

use std::sync::Arc;

use vault_client::json::Object;
use vault_client::{Cas, KvVersion};
use zeroize::Zeroizing;

use super::Call;
use super::answer::{Answer, Outcome};
use super::apart::apart;
use super::body::Sent;
use super::merge::merged;
use super::record::Record;
use crate::action::Action;
use crate::limits::Room;
use crate::path::SecretPath;
use crate::problem::{Breach, Kind, Problem};
use crate::schema;
use crate::state::Generation;
use crate::upstream::{Current, Upstream, tag};

/// So often something is written on top of what was read, while others write in between.
const TRIES: u32 = 3;

/// Where the data of a write come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// All of them from the caller.
    Caller,
    /// Some of them from Vault.
    Vault,
}

/// What is to be written, with the memory that it was given.
pub struct Text {
    json: Zeroizing<String>,
    _room: Arc<Room>,
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.json
    }
}

/// The rules of structure of one place, for any thread.
struct Structures {
    generation: Arc<Generation>,
    tenant: Arc<Upstream>,
    path: SecretPath,
    /// Places of what the caller has not sent are told to who may read only.
    tells_places: bool,
}

impl Structures {
    fn check(&self, data: &str) -> Result<(), Problem> {
        let config = &self.generation.config;
        let errors = schema::check(&config.schemas, &config.structure, &self.tenant.tenant().name, &self.path, data);
        sound(errors)
            .map_err(|problem| if self.tells_places { problem } else { Problem { errors: Vec::new(), ..problem } })
    }

    fn check_patch(&self, patch: &Object) -> Result<(), Problem> {
        let config = &self.generation.config;
        sound(schema::check_patch(&config.schemas, &config.structure, &self.tenant.tenant().name, &self.path, patch))
    }
}

/// Refuses what breaks the rules of structure.
fn sound(errors: Vec<Breach>) -> Result<(), Problem> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Problem { errors, ..Problem::new(Kind::Schema, "correct the places that errors names") })
}

impl Call<'_> {
    /// The refusal of a condition, with the version that is there for who may read it.
    pub fn not_met(&self, found: Option<u64>) -> Problem {
        let detail = match found {
            Some(_) => "the latest version is another one; read the secret, and decide on its version",
            None => "no version can be read here; send If-None-Match: * to write the first one",
        };
        let problem = Problem::new(Kind::PreconditionFailed, detail);
        Problem { version: found.filter(|_| self.rules.allows(Action::Read)), ..problem }
    }

    /// The rules of structure of its path; `None` where it has none, which no route that writes is without.
    fn structures(&self, origin: Origin) -> Option<Structures> {
        let path = self.asked.path.clone()?;
        let (generation, tenant) = (Arc::clone(self.rules.generation), Arc::clone(self.tenant));
        let tells_places = origin == Origin::Caller || self.rules.allows(Action::Read);
        Some(Structures { generation, tenant, path, tells_places })
    }

    async fn send(&self, data: &Arc<Text>, cas: Cas, record: &mut Record) -> Result<KvVersion, Problem> {
        record.sent();
        self.tenant.write(self.path(), Arc::clone(data), cas, record.id()).await
    }
}

/// `PUT /vault/secrets/{path}`
pub async fn put(call: &Call<'_>, body: Sent, record: &mut Record) -> Outcome {
    let Sent { object, bytes, room } = body;
    let data = made(call, Origin::Caller, bytes, room, move || Ok(object.json().compact())).await?;
    write(call, &data, record).await
}

/// What is to be written: what `make` makes of some `bytes`, held against the rules of structure.
pub async fn made(
    call: &Call<'_>,
    origin: Origin,
    bytes: usize,
    room: Arc<Room>,
    make: impl FnOnce() -> Result<Zeroizing<String>, Problem> + Send + 'static,
) -> Result<Arc<Text>, Problem> {
    let structures = call.structures(origin);
    let work = move || {
        let json = make()?;
        structures.map_or(Ok(()), |rules| rules.check(&json))?;
        Ok(Arc::new(Text { json, _room: room }))
    };
    apart(bytes, work).await?
}

/// Writes `data` as the conditions of the request say.
pub async fn write(call: &Call<'_>, data: &Arc<Text>, record: &mut Record) -> Outcome {
    let conditions = &call.conditions;
    if conditions.is_empty() {
        return call.send(data, Cas::Any, record).await.map(|it| written(call, &it, record));
    }
    if let Some(version) = conditions.one_version() {
        let sent = call.send(data, Cas::At(version), record).await;
        return sent.map(|it| written(call, &it, record)).map_err(|problem| failed(call, problem));
    }
    if conditions.is_for_none() {
        match call.send(data, Cas::New, record).await {
            // The latest version may be one that was deleted.
            Err(problem) if problem.kind == Kind::Conflict => {}
            sent => return sent.map(|it| written(call, &it, record)),
        }
    }
    for _ in 0..TRIES {
        let current = call.tenant.current(call.path(), record.id()).await?;
        if !conditions.hold(current.readable()) {
            return Err(call.not_met(current.readable()));
        }
        match call.send(data, cas(&current), record).await {
            Err(problem) if problem.kind == Kind::Conflict => {}
            sent => return sent.map(|it| written(call, &it, record)),
        }
    }
    Err(conflict())
}

/// `PATCH /vault/secrets/{path}`
pub async fn patch(call: &Call<'_>, body: Sent, record: &mut Record) -> Outcome {
    let Sent { object: patch, bytes, room } = body;
    call.structures(Origin::Caller).map_or(Ok(()), |rules| rules.check_patch(&patch))?;
    for _ in 0..TRIES {
        let secret = call.tenant.read_now(call.path(), record.id()).await?;
        if !call.conditions.hold(Some(secret.version)) {
            return Err(call.not_met(Some(secret.version)));
        }
        let (version, bytes, patch) = (secret.version, bytes + secret.data().len(), patch.clone());
        let merge = move || {
            let target = Object::parse(secret.data())
                .map_err(|_| Problem::new(Kind::UpstreamInvalid, "what Vault holds is no JSON object"))?;
            Ok(merged(&target, &patch))
        };
        let data = made(call, Origin::Vault, bytes, Arc::clone(&room), merge).await?;
        match call.send(&data, Cas::At(version), record).await {
            Err(problem) if problem.kind == Kind::Conflict => {}
            sent => return sent.map(|it| written(call, &it, record)),
        }
    }
    Err(conflict())
}

/// `DELETE /vault/secrets/{path}`
pub async fn delete(call: &Call<'_>, record: &mut Record) -> Outcome {
    let (path, conditions) = (call.path(), &call.conditions);
    let done = match &call.asked.versions {
        Some(_) if !conditions.is_empty() => {
            return Err(Problem::new(Kind::Path, "a condition and versions do not go together; send one of them"));
        }
        Some(versions) => {
            record.sent();
            call.tenant.delete_versions(path, versions, record.id()).await?
        }
        None if conditions.is_empty() => {
            record.sent();
            call.tenant.delete(path, record.id()).await?
        }
        None => {
            let current = call.tenant.current(path, record.id()).await?.readable();
            // One that is written meanwhile stays: the version is named.
            let Some(version) = current.filter(|_| conditions.hold(current)) else {
                return Err(call.not_met(current));
            };
            record.versions(&[version]);
            record.sent();
            call.tenant.delete_versions(path, &[version], record.id()).await?
        }
    };
    record.vault_request_id(done.as_deref());
    Ok(Answer::nothing())
}

fn cas(current: &Current) -> Cas {
    if current.version == 0 { Cas::New } else { Cas::At(current.version) }
}

/// What a conflict is to who has named a version.
fn failed(call: &Call<'_>, problem: Problem) -> Problem {
    if problem.kind == Kind::Conflict { call.not_met(problem.version) } else { problem }
}

fn conflict() -> Problem {
    Problem::new(Kind::Conflict, "others wrote in between three times; send it again")
}

fn written(call: &Call<'_>, version: &KvVersion, record: &mut Record) -> Answer {
    record.version(version.version);
    record.vault_request_id(version.request_id.as_deref());
    let time = humantime::format_rfc3339_nanos(version.created_time);
    let body = format!(r#"{{"version":{},"created_time":"{time}"}}"#, version.version);
    let answer = Answer::json(body).tagged(tag(version.version));
    if version.version == 1 { answer.created(call.head.uri.path()) } else { answer }
}
