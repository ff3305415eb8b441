//! What to do about a read that was refused or found nothing, and what a dry run tells of it.

use vault_client::fault::{Answered, Why};
use vault_client::kv::{Explained, Location, Mount};
use vault_client::{Step, TokenOf};

use super::{Namespace, Remedy, cause};

pub(super) const ANOTHER_VERSION: &str = "write a new version, or pin another one with VAULT_SECRET_VERSION";

/// What to do about a read of `mount` and `path` that was denied, or cannot be fulfilled as it is; with a token that is
/// the caller's, which can be any, or an agent's.
pub(super) fn refused(
    answered: &Answered,
    (mount, path): (&str, &str),
    token: TokenOf,
    namespace: Option<&Namespace>,
) -> Remedy {
    match answered.why {
        Why::DeadToken if token != TokenOf::Login => {
            "the token has expired, was revoked or is another server's; hand in one that is alive".into()
        }
        Why::DeadToken => {
            "the server does not know the token that it gave out a moment ago: check that VAULT_ADDR leads to one cluster"
                .into()
        }
        Why::Denied => {
            let doubled = doubled(mount, path).map(|hint| format!("{hint}; else ")).unwrap_or_default();
            let token = match token {
                TokenOf::Login => "",
                TokenOf::Caller => "that the token is right, not expired and not wrapped (VAULT_UNWRAP), ",
                TokenOf::Agent => "that an agent or proxy adds a token (VAULT_AUTH_METHOD is none), ",
            };
            let login_in = namespace.and_then(|it| Some((it.name.as_str(), it.login_in.as_deref()?)));
            let prefix = login_in.map(|(name, login)| beneath(name, login)).unwrap_or_default();
            let rule = rule(&prefix, mount, path);
            format!("{doubled}check {token}VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: {rule}")
                .into()
        }
        Why::NoNamespace => "check VAULT_NAMESPACE and VAULT_MOUNT_POINT, and the path in VAULT_ADDR".into(),
        Why::Malformed => "look for characters that cannot be seen in VAULT_PATH, VAULT_MOUNT_POINT and VAULT_ADDR".into(),
        _ if answered.status == 405 => "set VAULT_MOUNT_POINT to a KV version 2 mount".into(),
        _ => "check VAULT_MOUNT_POINT, VAULT_PATH and VAULT_NAMESPACE".into(),
    }
}

/// What to do about a read that found nothing.
pub(super) fn absent(step: &Step) -> Remedy {
    let doubled = if let Step::Read { mount, path, .. } = step { doubled(mount, path) } else { None };
    doubled.map_or_else(
        || {
            "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount"
                .into()
        },
        Into::into,
    )
}

/// What to leave out where a setting holds a part of the URL that is added by itself.
fn doubled(mount: &str, path: &str) -> Option<String> {
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

/// The rule of a policy that allows the read; `prefix` leads from the namespace of the policy to that of the secret.
fn rule(prefix: &str, mount: &str, path: &str) -> String {
    format!("path \"{prefix}{mount}/data/{path}\" {{ capabilities = [\"read\"] }}")
}

/// What leads from the namespace `login`, whose policies a token has, to `namespace` in it; empty where that is not in it.
/// [Namespaces](https://openbao.org/docs/concepts/namespaces/)
fn beneath(namespace: &str, login: &str) -> String {
    let rest = match (namespace, login) {
        ("root", _) => None,
        (_, "root") => Some(namespace),
        _ => namespace.strip_prefix(login).and_then(|rest| rest.strip_prefix('/')),
    };
    rest.map(|rest| format!("{rest}/")).unwrap_or_default()
}

/// The same of the namespaces that settings name; `None` is the root namespace.
pub fn rule_prefix(namespace: Option<&str>, login: Option<&str>) -> String {
    if namespace == login { String::new() } else { beneath(namespace.unwrap_or("root"), login.unwrap_or("root")) }
}

/// Which of mount, engine, path or policy is in the way of a read at `location`, which was `denied` or found nothing.
/// `prefix` is [`rule_prefix`].
pub fn explained(explained: &Explained, location: &Location, prefix: &str, denied: bool) -> String {
    let Location { mount, path, .. } = location;
    match &explained.mount {
        Mount::Hidden if denied => format!(
            "the mount {mount} is missing, or no policy of the token touches it (the server does not tell them apart); the \
             read needs {}",
            rule(prefix, mount, path)
        ),
        // A policy touches it, or the read would have been denied.
        Mount::Hidden => format!("there is no mount {mount}; check VAULT_MOUNT_POINT and VAULT_NAMESPACE"),
        Mount::Untold(fault) => format!("of the mount {mount} nothing is told: {}", cause(fault, &Step::Preflight)),
        found if found.is_version_2() => of_version_2(explained, (mount, path), prefix, denied),
        Mount::Engine { kind, .. } if kind == "kv" || kind == "generic" => {
            format!("the mount {mount} is KV version 1, and only version 2 is read")
        }
        Mount::Engine { kind, .. } => format!("the mount {mount} is of type {kind}, not KV version 2"),
    }
}

fn of_version_2(explained: &Explained, (mount, path): (&str, &str), prefix: &str, denied: bool) -> String {
    let needed = rule(prefix, mount, path);
    match doubled(mount, path) {
        Some(hint) => format!("the mount {mount} is KV version 2; {hint}"),
        None if explained.may_read == Some(true) => format!(
            "a policy of the token allows the read and demands more of it, such as min_wrapping_ttl, required parameters \
             or a control group; a plain read needs a rule without them: {needed}"
        ),
        None if denied => format!("the mount {mount} is there; VAULT_PATH is wrong, or the policy lacks {needed}"),
        None => format!("the mount {mount} is there and is KV version 2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_way_from_the_namespace_of_the_login_to_that_of_the_secret() {
        for (namespace, login, prefix) in [
            (None, None, ""),
            (Some("team"), Some("team"), ""),
            (Some("team"), None, "team/"),
            (Some("team/shop"), Some("team"), "shop/"),
            (Some("teams"), Some("team"), ""),
            // A token of a namespace never reads above it.
            (None, Some("team"), ""),
        ] {
            assert_eq!(rule_prefix(namespace, login), prefix, "{namespace:?} {login:?}");
        }
    }

    #[test]
    fn a_part_of_the_url_that_a_setting_holds_as_well_is_named() {
        for (mount, path, hint) in [
            ("kv", "shop/prod", None),
            ("kv", "kvs/prod", None),
            ("kv", "data/prod", Some("leave data/ out of VAULT_PATH: it is added by itself")),
            ("kv/data", "prod", Some("leave /data out of VAULT_MOUNT_POINT: it is added by itself")),
            (
                "kv",
                "kv/data/shop/prod",
                Some("write VAULT_PATH=shop/prod: the mount and data/ are added by themselves"),
            ),
            (
                "team/kv",
                "team/kv/data/prod",
                Some("write VAULT_PATH=prod: the mount and data/ are added by themselves"),
            ),
            ("kv", "v1/kv/metadata/prod", Some("write VAULT_PATH=prod: the mount and data/ are added by themselves")),
            (
                "kv",
                "secret/data/prod",
                Some(
                    "if secret is the mount, write VAULT_MOUNT_POINT=secret and VAULT_PATH=prod: data/ is added by itself",
                ),
            ),
            ("kv", "kv/prod", Some("leave kv/ out of VAULT_PATH: the mount is added by itself")),
        ] {
            assert_eq!(doubled(mount, path).as_deref(), hint, "{mount} {path}");
        }
    }
}
