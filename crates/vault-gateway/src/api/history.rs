//! Earlier versions of a secret, and the token of the tenant.

use serde_json::json;
use vault_client::json::Object;
use zeroize::Zeroizing;

use super::Call;
use super::answer::{Answer, Outcome};
use super::body::Sent;
use super::change::Origin;
use super::record::Record;
use super::{body, change};
use crate::problem::{Kind, Problem};
use crate::upstream::Reading;

/// `POST /vault/versions/{path}/rollback`
pub async fn rollback(call: &Call<'_>, body: Sent, record: &mut Record) -> Outcome {
    let version = body::to(&body.object)?;
    let reading = Reading { refresh: true, id: record.id() };
    let secret = call.tenant.read(call.path(), Some(version), reading).await.result?;
    let made =
        change::made(call, Origin::Vault, secret.data().len(), body.room, move || Ok(text(secret.data()))).await?;
    change::write(call, &made, record).await
}

/// The JSON that Vault has answered, which the client has read as text.
fn text(data: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(str::from_utf8(data).unwrap_or_default().to_owned())
}

/// `POST /vault/versions/{path}/undelete`
pub async fn undelete(call: &Call<'_>, body: &Object, record: &mut Record) -> Outcome {
    let versions = unconditional(call, body)?;
    record.versions(&versions);
    record.sent();
    let done = call.tenant.undelete(call.path(), &versions, record.id()).await?;
    record.vault_request_id(done.as_deref());
    Ok(Answer::nothing())
}

/// `POST /vault/versions/{path}/destroy`
pub async fn destroy(call: &Call<'_>, body: &Object, record: &mut Record) -> Outcome {
    let versions = unconditional(call, body)?;
    record.versions(&versions);
    record.sent();
    let done = call.tenant.destroy(call.path(), &versions, record.id()).await?;
    record.vault_request_id(done.as_deref());
    Ok(Answer::nothing())
}

/// The versions of the body; a condition is refused.
fn unconditional(call: &Call<'_>, body: &Object) -> Result<Vec<u64>, Problem> {
    let versions = body::versions(body)?;
    if call.conditions.is_empty() {
        return Ok(versions);
    }
    Err(Problem::new(Kind::Path, "this request names its versions itself; leave the condition out"))
}

/// `POST /vault/token/renew`
pub async fn renew(call: &Call<'_>, record: &mut Record) -> Outcome {
    let token = call.tenant.renew(record.id()).await?;
    let (lease, renewable) = (token.lease_duration.as_secs(), token.renewable && !token.is_static());
    let body = json!({"lease_duration": lease, "renewable": renewable, "policies": token.policies});
    Ok(Answer::json(body.to_string()))
}
