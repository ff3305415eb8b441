//! Reads of a secret and of its history.

use super::answer::{Answer, Outcome};
use super::record::Record;
use super::{Call, head};
use crate::action::Action;
use crate::problem::{Kind, Problem};
use crate::upstream::{Looked, Reading};

/// `GET /vault/secrets/{path}`
pub async fn secret(call: &Call<'_>, record: &mut Record) -> Outcome {
    let refresh = head::wants_anew(&call.head.headers) && call.rules.allows(Action::Refresh);
    let reading = Reading { refresh, id: record.id() };
    let Looked { result, lookup } = call.tenant.read(call.path(), call.asked.version, reading).await;
    record.looked_up(lookup);
    let secret = result?;
    record.version(secret.version);
    record.vault_request_id(secret.vault_request_id.as_deref());
    let (conditions, version) = (&call.conditions, secret.version);
    if conditions.matching.as_ref().is_some_and(|tags| !tags.has(Some(version))) {
        return Err(call.not_met(Some(version)));
    }
    let answer = match &conditions.other_than {
        Some(tags) if tags.has(Some(version)) => Answer::unchanged(),
        _ => Answer::json(secret.body.clone()),
    };
    Ok(answer.tagged(secret.etag.clone()).aged(secret.read.elapsed().as_secs()))
}

/// `GET /vault/versions/{path}`
pub async fn metadata(call: &Call<'_>, record: &mut Record) -> Outcome {
    let mut metadata = call.tenant.metadata(call.path(), record.id()).await?;
    record.vault_request_id(metadata.request_id.take().as_deref());
    let body = serde_json::to_vec(&metadata).map_err(|_| Problem::new(Kind::Internal, "the metadata is no JSON"))?;
    Ok(Answer::json(body))
}
