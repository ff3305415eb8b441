//! The names in a folder.

use serde_json::json;

use super::Call;
use super::answer::{Answer, Outcome};
use super::record::Record;
use crate::problem::{Kind, Problem};

/// `GET /vault/list/{folder}`
pub async fn names(call: &Call<'_>, record: &mut Record) -> Outcome {
    let (folder, limit) = (call.path(), call.asked.limit);
    let after = call.asked.after.as_deref();
    // One name more than asked for tells whether there is a next page.
    let page = call.tenant.list_page(folder, after, limit + 1, record.id()).await;
    let mut names = match page {
        // A server answers so to an empty page, and to a folder that is not there.
        Err(problem) if problem.kind == Kind::NotFound && after.is_some() => {
            call.tenant.list_page(folder, None, 1, record.id()).await.map(|_| Vec::new())?
        }
        page => page?,
    };
    names.sort_unstable();
    let has_more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| has_more);
    let body = serde_json::to_vec(&json!({"names": names, "next": next}));
    Ok(Answer::json(body.map_err(|_| Problem::new(Kind::Internal, "the names are no JSON"))?))
}
