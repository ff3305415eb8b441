//! Reads that were refused, that found nothing, or that found something else than a version of a secret.

use super::Asked;
use super::said::Said;
use super::text::Meaning;
use crate::fault::{Fault, What, Why};
use crate::json::Object;
use crate::step::Step;
use crate::text::time;

/// A read of `version` that was answered with 400, 404 or 405.
pub(super) fn refused(version: Option<u64>, said: Said) -> Fault {
    match (said.status, said.meaning) {
        (404, Some(Meaning::NoNamespace)) => said.refused(Why::NoNamespace),
        (404, _) => absent(version, said).into(),
        (400, _) if said.document.is_none() => said.refused(Why::Malformed),
        _ => said.refused(Why::Refused),
    }
}

/// What is not there, as far as the answer tells.
pub(super) fn absent(version: Option<u64>, said: Said) -> What {
    if matches!(said.meaning, Some(Meaning::NoMount | Meaning::OtherMethod)) {
        return What::NoMount { said: said.texts };
    }
    // A deleted or destroyed version answers 404 with the whole envelope, a PATCH of one with its metadata alone.
    let data = said.document.as_ref().and_then(|it| it.object(&["data"]).ok());
    let metadata = data.map(|data| data.object(&["metadata"]).unwrap_or(data));
    let metadata = metadata.filter(|it| it.get("version").is_some());
    let Some(metadata) = metadata else { return What::Absent { version, said: said.texts } };
    let number = metadata.number("version").unwrap_or_default();
    if metadata.bool("destroyed").unwrap_or_default() {
        return What::Destroyed { number };
    }
    let at = metadata.string("deletion_time").unwrap_or_default();
    What::Deleted { number, at: time(&at).map(str::to_owned) }
}

/// What an answer is that is Vault's and not what the step wants; `None` where it is not known.
pub(super) fn of_another_shape(asked: &Asked, said: &Object) -> Option<What> {
    let is_kv_1 =
        |data: &Object| data.get("metadata").is_none() && said.string("request_id").is_ok_and(|id| !id.is_empty());
    if let Ok(wrapped) = said.object(&["wrap_info"]) {
        return Some(of_wrapped(asked, &wrapped));
    }
    let Step::Read { .. } = asked.step else { return None };
    let data = said.object(&["data"]).ok()?;
    if let (Ok(metadata), None) = (data.object(&["metadata"]), data.get("data")) {
        return Some(What::Null { number: metadata.number("version").ok()? });
    }
    is_kv_1(&data).then_some(What::Version1)
}

/// A control group of Vault Enterprise answers so until the read is approved; the same comes of a header that something
/// in between has added. [Control groups](https://developer.hashicorp.com/vault/docs/enterprise/control-groups)
fn of_wrapped(asked: &Asked, wrapped: &Object) -> What {
    asked.scrubber.learn(&wrapped.string("token").unwrap_or_default());
    let control_group = wrapped.string("creation_path").is_ok_and(|path| path.starts_with("sys/control-group"));
    What::Wrapped { control_group }
}
