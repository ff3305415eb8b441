//! Reads that were refused, that found nothing, or that found something else than a version of a secret.

use super::Asked;
use super::said::Said;
use super::text::Meaning;
use crate::error::{ErrorKind, Fault, Retry};
use crate::json::Object;
use crate::step::Step;
use crate::text::time;

/// What to do about a read that was denied.
pub(super) fn denied(mount: &str, path: &str, handed_in: bool, meaning: Option<Meaning>) -> String {
    if meaning == Some(Meaning::DeadToken) {
        return if handed_in {
            "the token has expired, was revoked or is another server's; hand in one that is alive".into()
        } else {
            "the server does not know the token that it gave out a moment ago: check that VAULT_ADDR leads to one cluster"
                .into()
        };
    }
    let doubled = doubled(mount, path).map(|hint| format!("{hint}; else ")).unwrap_or_default();
    let token = if handed_in { "that the token is right and not expired, " } else { "" };
    let rule = rule(mount, path);
    format!("{doubled}check {token}VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: {rule}")
}

/// What to leave out where a setting holds a part of the URL that is added by itself.
pub fn doubled(mount: &str, path: &str) -> Option<String> {
    let bare = path.strip_prefix("v1/").unwrap_or(path);
    let behind = |path: &str| Some(path.strip_prefix("data/").or_else(|| path.strip_prefix("metadata/"))?.to_owned());
    let behind_mount = bare.strip_prefix(mount).and_then(|rest| behind(rest.strip_prefix('/')?));
    if let Some(rest) = behind_mount {
        Some(format!("write VAULT_PATH={rest}: the mount and data/ are added by themselves"))
    } else if let Some((first, rest)) = bare.split_once('/').and_then(|(first, rest)| Some((first, behind(rest)?))) {
        Some(format!(
            "if {first} is the mount, write VAULT_MOUNT_POINT={first} and VAULT_PATH={rest}: data/ is added by itself"
        ))
    } else if path.starts_with("data/") {
        Some("leave data/ out of VAULT_PATH: it is added by itself".into())
    } else if mount.ends_with("/data") {
        Some("leave /data out of VAULT_MOUNT_POINT: it is added by itself".into())
    } else if path.strip_prefix(mount).is_some_and(|rest| rest.starts_with('/')) {
        Some(format!("leave {mount}/ out of VAULT_PATH: the mount is added by itself"))
    } else {
        None
    }
}

/// The rule of a policy that allows the read.
pub fn rule(mount: &str, path: &str) -> String {
    format!("path \"{mount}/data/{path}\" {{ capabilities = [\"read\"] }}")
}

/// A read of `mount`, path and version that was answered with 400, 404 or 405.
pub(super) fn refused(location: (&str, &str, Option<u64>), said: Said) -> Fault {
    match (said.status, said.meaning) {
        (404, Some(Meaning::NoNamespace)) => {
            said.refused(ErrorKind::Rejected, "check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR")
        }
        (404, _) => absent(location, &said),
        (405, _) => said.refused(ErrorKind::Rejected, "set VAULT_MOUNT_POINT to a KV version 2 mount"),
        _ if said.document.is_none() => said.refused(
            ErrorKind::Rejected,
            "look for characters that cannot be seen in VAULT_PATH, VAULT_MOUNT_POINT and VAULT_ADDR",
        ),
        _ => said.refused(ErrorKind::Rejected, "check VAULT_MOUNT_POINT, VAULT_PATH and VAULT_NAMESPACE"),
    }
}

fn absent((mount, path, version): (&str, &str, Option<u64>), said: &Said) -> Fault {
    // A deleted or destroyed version answers 404 with the whole envelope.
    if let Some(metadata) = said.document.as_ref().and_then(|it| it.object(&["data", "metadata"]).ok()) {
        let number = metadata.number("version").unwrap_or_default();
        let destroyed = metadata.bool("destroyed").unwrap_or_default();
        let (what, remedy) = if destroyed {
            ("destroyed".into(), "write a new version, or pin another one with VAULT_SECRET_VERSION")
        } else {
            let at = metadata.string("deletion_time").unwrap_or_default();
            (
                time(&at).map_or_else(|| "deleted".into(), |at| format!("deleted at {at}")),
                "undelete it, write a new version, or pin another one with VAULT_SECRET_VERSION",
            )
        };
        return fault(ErrorKind::NotFound, format!("{mount}/{path} version {number} was {what}"), remedy);
    }
    let what = version.map_or_else(|| "nothing".to_owned(), |version| format!("no version {version}"));
    let texts = if said.texts.is_empty() { String::new() } else { format!(" ({})", said.texts) };
    let remedy = doubled(mount, path).unwrap_or_else(|| {
        "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount"
            .into()
    });
    fault(ErrorKind::NotFound, format!("{what} at {mount}/{path}{texts}"), &remedy)
}

fn fault(kind: ErrorKind, cause: String, remedy: &str) -> Fault {
    Fault { kind, cause, remedy: remedy.into(), retry: Retry::Never, status: None, tls: None }
}

/// What an answer is that is Vault's and not what the step wants; `None` where it is not known.
pub(super) fn of_another_shape(asked: &Asked, said: &Object) -> Option<Fault> {
    let is_kv_1 =
        |data: &Object| data.get("metadata").is_none() && said.string("request_id").is_ok_and(|id| !id.is_empty());
    if let Ok(wrapped) = said.object(&["wrap_info"]) {
        return Some(of_wrapped(asked, &wrapped));
    }
    let Step::Read { mount, path, .. } = asked.step else { return None };
    let data = said.object(&["data"]).ok()?;
    if let (Ok(metadata), None) = (data.object(&["metadata"]), data.get("data")) {
        let version = metadata.number("version").ok()?;
        let cause = format!("{mount}/{path} version {version} holds nothing: null was written");
        return Some(fault(
            ErrorKind::NotFound,
            cause,
            "write a new version, or pin another one with VAULT_SECRET_VERSION",
        ));
    }
    is_kv_1(&data).then(|| {
        let cause = format!("{} gave data without a version, as a KV version 1 mount does", asked.step.subject());
        fault(ErrorKind::Rejected, cause, "set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one")
    })
}

/// A control group of Vault Enterprise answers so until the read is approved; the same comes of a header that something
/// in between has added. [Control groups](https://developer.hashicorp.com/vault/docs/enterprise/control-groups)
fn of_wrapped(asked: &Asked, wrapped: &Object) -> Fault {
    asked.scrubber.learn(&wrapped.string("token").unwrap_or_default());
    let approved = wrapped.string("creation_path").is_ok_and(|path| path.starts_with("sys/control-group"));
    let cause = format!("{} was answered with a wrapped token instead", asked.step.subject());
    let remedy = if approved {
        "a control group wants each request approved, which a start-up cannot wait for: take it off this path"
    } else {
        "take the control group off this path, or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here"
    };
    fault(ErrorKind::Denied, cause, remedy)
}
