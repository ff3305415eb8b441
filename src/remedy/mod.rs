//! What an operator reads of a client's error: the cause, and what to do about it in the names of the settings.

mod answered;
mod credential;
mod login;
mod person;
mod read;
mod tls;

use std::borrow::Cow;

use vault_client::fault::{Onward, Unreachable, Wanted, Way};
use vault_client::text::shown;
use vault_client::{Effort, Fault, Kept, Limit, Seconds, Step, Stop, VaultError, What};

use crate::process::REFUSED_REMEDY;
pub use read::{explained, rule_prefix};

/// A remedy.
type Remedy = Cow<'static, str>;

const UNREACHABLE: &str = "check VAULT_ADDR, and that the service is up and reachable from here";
const NOT_VAULT: &str = "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place";

/// The whole sentence: subject, cause, remedy, effort.
pub fn sentence(error: &VaultError) -> String {
    let remedy = remedy(error).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    format!("{}{remedy}{}", subject_and_cause(error), effort(error.effort()))
}

/// The sentence without its remedy, and the remedy.
pub fn parts(error: &VaultError) -> (String, Option<String>) {
    (subject_and_cause(error) + &effort(error.effort()), remedy(error).map(Cow::into_owned))
}

/// The cause of a fault in `step`, with the setting whose limit was over.
pub fn cause(fault: &Fault, step: &Step) -> String {
    let told = fault.told(step);
    match &fault.what {
        What::Tls(fault) => tls::cause(fault).into_owned(),
        What::Unsure(what) => {
            let cause = what.to_string();
            told.replacen(&cause, &format!("{cause}{}", limit(what)), 1)
        }
        what => told + limit(what),
    }
}

/// The setting whose limit was over, behind the cause.
fn limit(what: &What) -> &'static str {
    match what {
        What::Unreachable { why: Unreachable::Late { limit, .. }, .. } | What::Unread { limit, .. } => match limit {
            Limit::Whole | Limit::Deadline => " of VAULT_STARTUP_TIMEOUT",
            Limit::Request => " (VAULT_TIMEOUT)",
            Limit::Wait | Limit::Own => "",
        },
        _ => "",
    }
}

/// Why a token is not revoked.
pub fn kept(kept: Kept) -> &'static str {
    if kept == Kept::Wanted { "VAULT_REVOKE is false" } else { kept.words() }
}

fn subject_and_cause(error: &VaultError) -> String {
    let cause = error.step().map_or_else(|| error.fault().to_string(), |step| cause(error.fault(), step));
    error.subject() + &cause
}

/// What had been tried, with the setting that forbade a further try.
fn effort(effort: Effort) -> String {
    let spent = Seconds(effort.spent);
    match effort.stopped_by {
        Some(Stop::Wait(limit)) => format!(" (waited {spent}, VAULT_WAIT is {})", Seconds(limit)),
        Some(Stop::Budget { limit, pause }) => {
            let (tries, ies) = (effort.tries, if effort.tries == 1 { "y" } else { "ies" });
            let (limit, pause) = (Seconds(limit), Seconds(pause));
            format!(" ({tries} tr{ies} in {spent}; a pause of {pause} is beyond VAULT_STARTUP_TIMEOUT, {limit})")
        }
        None => effort.to_string(),
    }
}

fn remedy(error: &VaultError) -> Option<Remedy> {
    let setting = if error.is_in_auth_namespace() { "VAULT_AUTH_NAMESPACE" } else { "VAULT_NAMESPACE" };
    let login_in = error.login_in().map(shown);
    let name = error.namespace().map(shown).or_else(|| login_in.as_ref().map(|_| "root".to_owned()));
    let namespace = name.map(|name| Namespace { name, setting, login_in });
    of(error.fault(), error.step()?, namespace.as_ref())
}

/// The namespace that was asked in, and the setting that it comes from.
struct Namespace {
    name: String,
    setting: &'static str,
    /// That of the login, where it is another.
    login_in: Option<String>,
}

/// What to do about a fault in `step`, which was asked in `namespace`; `None` where nothing is to be done.
fn of(fault: &Fault, step: &Step, namespace: Option<&Namespace>) -> Option<Remedy> {
    Some(match &fault.what {
        What::Unreachable { why, way } => of_unreachable(why, *way).into(),
        What::Unread { .. } => "raise the time limit, or the CPU limit of the container".into(),
        What::Forbidden(_) => REFUSED_REMEDY.into(),
        What::Exhausted(_) => "raise the limit of the container (descriptors, processes, memory)".into(),
        What::Tls(fault) => tls::remedy(fault),
        What::NotVault(_) => NOT_VAULT.into(),
        What::TooManyNodes => format!("split the secret if it is this large, else {NOT_VAULT}").into(),
        What::Redirected { onward, .. } => of_redirect(*onward).into(),
        What::NotInitialised => "run `operator init` on it, or let --wait wait for it".into(),
        What::Sealed { .. } => "unseal it, or let --wait wait for it".into(),
        What::Answered(answered) => answered::remedy(answered, step, namespace),
        What::WithoutToken => "take MFA off the role: a start-up has nobody to answer it".into(),
        What::Wrapped { control_group: true } => {
            "a control group wants each request approved, which a start-up cannot wait for: take it off this path".into()
        }
        What::Wrapped { .. } => {
            "take the control group off this path, or X-Vault-Wrap-TTL out of the proxy in between: nobody unwraps it here"
                .into()
        }
        What::NotInline { .. } => "set VAULT_INLINE_AUTH to auto or false: it needs OpenBao from 2.4 on".into(),
        What::SpentWrapping => "make a new one, and look into the audit log: somebody else may have used it; unset VAULT_UNWRAP if it was never wrapped".into(),
        What::OtherWrapping { wanted, .. } => of_other_wrapping(*wanted).into(),
        What::Unsure(_) if *step == Step::Unwrap => {
            "the wrapping token may be spent, and is not sent again: make a new one".into()
        }
        What::NoPerson(why) => person::remedy(why).into(),
        What::Version1 => "set VAULT_MOUNT_POINT to a KV version 2 mount, or upgrade this one".into(),
        What::Absent { .. } | What::NoMount { .. } => in_namespace(read::absent(step), namespace),
        What::Deleted { .. } => in_namespace(
            "undelete it, write a new version, or pin another one with VAULT_SECRET_VERSION".into(),
            namespace,
        ),
        What::Destroyed { .. } => in_namespace(read::ANOTHER_VERSION.into(), namespace),
        What::Null { .. } => read::ANOTHER_VERSION.into(),
        What::NoHeader(_) => "write VAULT_NAMESPACE without control characters".into(),
        What::NoCredential(none) => credential::remedy(none).into(),
        _ => return None,
    })
}

fn of_unreachable(why: &Unreachable, way: Way) -> &'static str {
    match why {
        Unreachable::NotPermitted if way == Way::Socket => {
            "let this user write to the socket and pass through the folders above it"
        }
        _ if way == Way::Socket => {
            "check VAULT_ADDR, that the agent or server listens on this socket, and that its volume is mounted here"
        }
        Unreachable::Proxy(_) => "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault",
        // It is nearer, whatever the cause says of names.
        _ if way == Way::Proxy => "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR",
        Unreachable::Unresolved { .. } => "check VAULT_ADDR, and the DNS of this host or pod",
        Unreachable::NotPermitted => "a firewall, a network policy or the container's seccomp profile forbids it",
        _ => UNREACHABLE,
    }
}

/// It was not spent.
fn of_other_wrapping(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::SecretId => {
            "it was not unwrapped, and may be forged: give one of auth/MOUNT/role/ROLE/secret-id, or unset VAULT_UNWRAP"
        }
        Wanted::Jwt | Wanted::PodJwt => {
            "it was not unwrapped, and may be forged: give one of identity/oidc/token/ROLE, or unset VAULT_UNWRAP"
        }
        Wanted::Token => {
            "it was not unwrapped, and may be forged: give one of auth/token/create or of a login, or unset VAULT_UNWRAP"
        }
    }
}

fn of_redirect(onward: Onward) -> &'static str {
    match onward {
        Onward::ToTheLeader => {
            "the node does not lead and sends on to one that does: try again, or look whether a leader is elected"
        }
        Onward::ToHttps => "redirects are not followed; write https:// in VAULT_ADDR",
        Onward::Moved => "redirects are not followed; write that host in VAULT_ADDR, if Vault is there",
        Onward::Elsewhere => {
            "redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself"
        }
    }
}

/// The same, with the namespace that was asked in, which may be the wrong one.
fn in_namespace(remedy: Remedy, namespace: Option<&Namespace>) -> Remedy {
    match namespace {
        Some(Namespace { name, setting, login_in: None }) => format!("{remedy}; {setting} is {name}").into(),
        Some(Namespace { name, setting, login_in: Some(login) }) => {
            format!("{remedy}; {setting} is {name}, VAULT_AUTH_NAMESPACE is {login}").into()
        }
        None => remedy,
    }
}

#[cfg(test)]
mod tests;
