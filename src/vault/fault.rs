//! The one judge of what an answer, or the lack of one, comes to: exit code, sentence, and whether to try again.

use std::io::ErrorKind;

use nix::errno::Errno;

use super::http::{Answer, Encoded, Limit, NoAnswer, Unresolved};
use super::tls;
use crate::error::{Code, Fault, Retry, Seconds};
use crate::json::{self, Object};
use crate::text::{Scrubber, escaped};

/// What was asked, with the names that its remedies speak of.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// `sys/seal-status`
    Status,
    /// A login at an auth mount.
    Login {
        /// The auth method's mount.
        mount: &'a str,
        /// The role asked for.
        role: &'a str,
    },
    /// A KV v2 read.
    Read {
        /// The KV mount.
        mount: &'a str,
        /// The path in it.
        path: &'a str,
        /// The version asked for, if one was.
        version: Option<u64>,
        /// Whether the token was handed in, and can be any.
        handed_in: bool,
    },
    /// `auth/token/lookup-self`, in a dry run.
    LookUp,
    /// `sys/internal/ui/mounts`, in a dry run.
    Preflight,
    /// `auth/token/revoke-self`
    Revoke,
}

impl Step<'_> {
    /// The word for the step in messages and log fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Login { .. } => "login",
            Self::Read { .. } => "read",
            Self::LookUp => "token",
            Self::Preflight => "preflight",
            Self::Revoke => "revoke",
        }
    }

    /// The step with its object.
    pub fn subject(self) -> String {
        match self {
            Self::Status => "the status check".into(),
            Self::Login { mount, role } => format!("the login at auth/{mount} with role {role}"),
            Self::Read { mount, path, version: None, .. } => format!("the read of {mount}/{path}"),
            Self::Read { mount, path, version: Some(version), .. } => {
                format!("the read of {mount}/{path} version {version}")
            }
            Self::LookUp => "the look-up of the token".into(),
            Self::Preflight => "the preflight".into(),
            Self::Revoke => "the revoke of the login's token".into(),
        }
    }
}

const NOT_VAULT: &str = "check that VAULT_ADDR points at Vault itself and that no proxy answers in its place";
const CUT_SHORT: &str = "the connection was closed before the answer was complete";
const UNREACHABLE: &str = "check VAULT_ADDR, and that the service is up and reachable from here";

fn unreachable(cause: String) -> Fault {
    Fault { code: Code::Unreachable, cause, remedy: UNREACHABLE.into(), retry: Retry::Soon, status: None }
}

fn not_vault(cause: String) -> Fault {
    Fault { code: Code::NotVault, cause, remedy: NOT_VAULT.into(), retry: Retry::Never, status: None }
}

/// Judges a call that gave no complete answer.
pub fn of_transport(none: &NoAnswer, scrubber: &Scrubber) -> Fault {
    let fault = of_error(&none.error, none.limit, scrubber);
    // A refusal of the proxy names it by itself.
    let named = matches!(none.error, ureq::Error::ConnectProxyFailed(_));
    if none.through_proxy && fault.code == Code::Unreachable && !named {
        return Fault {
            remedy: "check VAULT_PROXY_ADDR, which everything goes through, then VAULT_ADDR".into(),
            ..fault
        };
    }
    fault
}

fn of_error(error: &ureq::Error, limit: Limit, scrubber: &Scrubber) -> Fault {
    let clean = |text: &str| scrubber.clean(&[text]);
    match error {
        ureq::Error::Rustls(error) => tls::fault(error, scrubber),
        ureq::Error::Io(error) => of_io(error, limit, scrubber),
        ureq::Error::Other(error) if error.is::<Encoded>() => not_vault(clean(&error.to_string())),
        // The end of the connection where a chunk's length should stand.
        ureq::Error::BodyStalled => unreachable(CUT_SHORT.into()),
        ureq::Error::BodyExceedsLimit(limit) => not_vault(format!("an answer of more than {} MiB", limit >> 20)),
        ureq::Error::LargeResponseHeader(..) => not_vault("an answer with too many or too long headers".into()),
        ureq::Error::ConnectProxyFailed(reason) => Fault {
            remedy: "check VAULT_PROXY_ADDR, and that the proxy lets CONNECT through to Vault".into(),
            ..unreachable(format!("the proxy did not connect ({})", clean(reason)))
        },
        // The texts of these can quote the answer.
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => not_vault("an answer that is no valid HTTP".into()),
        other => not_vault(format!("the request failed ({})", clean(&other.to_string()))),
    }
}

fn of_io(error: &std::io::Error, limit: Limit, scrubber: &Scrubber) -> Fault {
    use crate::process::wait::Ended;
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return tls::fault(error, scrubber);
    }
    if let Some(error) = inner.and_then(|e| e.downcast_ref::<ureq::Error>()) {
        return of_error(error, limit, scrubber);
    }
    if let Some(unresolved) = inner.and_then(|e| e.downcast_ref::<Unresolved>()) {
        let remedy = "check VAULT_ADDR, and the DNS of this host or pod".into();
        return Fault { remedy, ..unreachable(escaped(&unresolved.to_string())) };
    }
    match inner.and_then(|e| e.downcast_ref::<Ended>()) {
        Some(Ended::Signal(signal)) => return unreachable(format!("{signal} left no time for a complete answer")),
        Some(Ended::Deadline) => return late(limit),
        None => {}
    }
    // What this process may not have more of is no fault of the server's.
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::ENOMEM, Errno::ENOBUFS];
    if error.raw_os_error().is_some_and(|errno| exhausted.contains(&Errno::from_raw(errno))) {
        let remedy = "raise the limit of the container (descriptors, processes, memory)".into();
        return Fault { code: Code::System, remedy, ..unreachable(escaped(&error.to_string())) };
    }
    unreachable(match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".into(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => "connection reset".into(),
        ErrorKind::UnexpectedEof => CUT_SHORT.into(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => "no route to it".into(),
        _ => scrubber.clean(&[&error.to_string()]),
    })
}

fn late(Limit { setting, length }: Limit) -> Fault {
    let limit = Seconds(length);
    unreachable(match setting {
        Some("VAULT_STARTUP_TIMEOUT") => format!("no complete answer in the {limit} left of VAULT_STARTUP_TIMEOUT"),
        Some(setting) => format!("no complete answer within {limit} ({setting})"),
        None => format!("no complete answer within {limit}"),
    })
}

/// Judges a complete answer whose body could not be read as the step needs it.
pub fn of_body(answer: &Answer, fault: &json::Fault, scrubber: &Scrubber) -> Fault {
    if answer.ends_with_connection && matches!(fault, json::Fault::Syntax { cut_short: true, .. }) {
        return unreachable(CUT_SHORT.into());
    }
    if *fault == json::Fault::Interrupted {
        let remedy = "raise the time limit, or the CPU limit of the container";
        return Fault { remedy: remedy.into(), ..late(answer.limit) };
    }
    let said = scrubber.clean(&[&fault.to_string()]);
    // It can name a key of the answer.
    Fault { status: Some(answer.status), ..not_vault(format!("{}: {said}", outline(answer, scrubber))) }
}

/// Judges a complete answer with another status than the step wants.
pub fn of_status(step: Step, answer: &Answer, scrubber: &Scrubber) -> Fault {
    Fault { status: Some(answer.status), ..judge(step, answer, scrubber) }
}

fn judge(step: Step, answer: &Answer, scrubber: &Scrubber) -> Fault {
    let said = answer.document();
    // Vault's own errors have this shape; a proxy's have not.
    let from_vault = said.as_ref().is_ok_and(|o| o.get("errors").is_some() || o.get("data").is_some());
    let texts = said.as_ref().map(|o| scrubber.clean(&o.strings("errors"))).unwrap_or_default();
    let reason = if texts.is_empty() { String::new() } else { format!(": {texts}") };
    let cause = format!("{} was answered with {}{reason}", step.subject(), answer.status);
    let fault = |code, remedy: String| Fault { code, cause: cause.clone(), remedy, retry: Retry::Never, status: None };
    match answer.status {
        300..400 => Fault {
            remedy: "redirects are not followed; point VAULT_ADDR at the active service".into(),
            retry: if of_a_standby(step, answer) { Retry::InWait } else { Retry::Never },
            ..not_vault(format!(
                "{} was redirected to {} ({})",
                step.subject(),
                target(&answer.location, scrubber),
                answer.status
            ))
        },
        408 | 412 | 429 | 500 | 502.. => Fault {
            code: Code::NotReady,
            remedy: not_ready(answer.status).into(),
            retry: answer.retry_after.map_or(Retry::Soon, Retry::After),
            cause,
            status: None,
        },
        401 | 403 => fault(Code::Denied, denied(step)),
        400 if from_vault => fault(Code::Config, refused(step)),
        404 if from_vault => absent(step, said.ok().as_ref(), cause, &texts, scrubber),
        _ if answer.status == 400 && answer.body.starts_with(b"Client sent an HTTP request to an HTTPS server") => {
            fault(Code::NotVault, "the port speaks TLS: write https:// in VAULT_ADDR".into())
        }
        _ => not_vault(format!("{} got {}", step.subject(), outline(answer, scrubber))),
    }
}

/// What an answer looks like, without a byte of its body.
fn outline(answer: &Answer, scrubber: &Scrubber) -> String {
    let kind = scrubber.clean(&[if answer.content_type.is_empty() { "no content type" } else { &answer.content_type }]);
    format!("an answer that is not Vault's (status {}, {kind}, {} bytes)", answer.status, answer.body.len())
}

/// Host of a redirect's target; the rest of it is the server's to say and ours to keep out of the log.
fn target(location: &str, scrubber: &Scrubber) -> String {
    let uri = location.parse::<ureq::http::Uri>().ok();
    let host = uri.as_ref().and_then(|u| u.authority()).map(|a| a.as_str().rsplit('@').next().unwrap_or_default());
    host.map_or_else(|| "another path".into(), |host| scrubber.clean(&[host]))
}

/// Whether a node that does not lead sends the login on as it came. A single node that was restarted does so too for a
/// moment, to itself.
fn of_a_standby(step: Step, answer: &Answer) -> bool {
    let Step::Login { mount, .. } = step else { return false };
    let uri = answer.location.parse::<ureq::http::Uri>().ok();
    answer.status == 307 && uri.is_some_and(|uri| uri.path().ends_with(&format!("/v1/auth/{mount}/login")))
}

fn not_ready(status: u16) -> &'static str {
    match status {
        429 => "a rate limit: raise the quota, or let VAULT_MAX_RETRIES and VAULT_RETRY_DELAY allow for it",
        412 => "the node has not caught up yet: try again, or address the active one",
        502 | 504 => "the proxy in front of Vault got no answer from it: look there first",
        _ => "look at the server's log: it may be starting, sealed or without a leader",
    }
}

fn denied(step: Step) -> String {
    match step {
        Step::Login { mount, .. } if mount.starts_with("auth/") => {
            "leave auth/ out of VAULT_K8S_AUTH_MOUNT_POINT: it is added by itself".into()
        }
        Step::Login { mount, role } => format!(
            "check that auth/{mount} is enabled and that its role {role} allows this service account, namespace and audience"
        ),
        Step::Read { mount, path, handed_in, .. } => {
            let doubled = doubled(mount, path).map(|hint| format!("{hint}; else ")).unwrap_or_default();
            let token = if handed_in { "that the token is right and not expired, " } else { "" };
            let rule = rule(mount, path);
            format!(
                "{doubled}check {token}VAULT_MOUNT_POINT and VAULT_PATH, and that a policy of the token has: {rule}"
            )
        }
        Step::LookUp => "the token is wrong, expired or revoked, or may not look itself up: hand in another one".into(),
        Step::Status | Step::Preflight | Step::Revoke => "check what stands between here and Vault".into(),
    }
}

/// What to leave out where a setting holds a part of the URL that is added by itself.
pub fn doubled(mount: &str, path: &str) -> Option<String> {
    if path.starts_with("data/") {
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

fn refused(step: Step) -> String {
    match step {
        Step::Login { mount, role } => {
            format!(
                "check VAULT_ROLE ({role}), VAULT_K8S_AUTH_MOUNT_POINT ({mount}) and the role's settings on the server"
            )
        }
        Step::Read { .. } => "check VAULT_MOUNT_POINT, VAULT_PATH and VAULT_NAMESPACE".into(),
        Step::Status | Step::LookUp | Step::Preflight | Step::Revoke => NOT_VAULT.into(),
    }
}

fn absent(step: Step, said: Option<&Object>, cause: String, texts: &str, scrubber: &Scrubber) -> Fault {
    let fault =
        |code, cause, remedy: &str| Fault { code, cause, remedy: remedy.to_owned(), retry: Retry::Never, status: None };
    let Step::Read { mount, path, version, .. } = step else {
        let remedy = match step {
            Step::Status => "check the path in VAULT_ADDR",
            _ => "check VAULT_NAMESPACE and VAULT_K8S_AUTH_MOUNT_POINT, and the path in VAULT_ADDR",
        };
        return fault(Code::Config, cause, remedy);
    };
    // A deleted or destroyed version answers 404 with the whole envelope.
    if let Some(metadata) = said.and_then(|o| o.object(&["data", "metadata"]).ok()) {
        let number = metadata.number("version").unwrap_or_default();
        let destroyed = metadata.bool("destroyed").unwrap_or_default();
        let (what, remedy) = if destroyed {
            ("destroyed".into(), "write a new version, or pin another one with VAULT_SECRET_VERSION")
        } else {
            let at = scrubber.clean(&[metadata.string("deletion_time").unwrap_or_default()]);
            (
                format!("deleted at {at}"),
                "undelete it, write a new version, or pin another one with VAULT_SECRET_VERSION",
            )
        };
        return fault(Code::Absent, format!("{mount}/{path} version {number} was {what}"), remedy);
    }
    let what = version.map_or_else(|| "nothing".to_owned(), |version| format!("no version {version}"));
    let said = if texts.is_empty() { String::new() } else { format!(" ({texts})") };
    let remedy = doubled(mount, path).unwrap_or_else(|| {
        "check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that VAULT_MOUNT_POINT is a KV version 2 mount"
            .into()
    });
    fault(Code::Absent, format!("{what} at {mount}/{path}{said}"), &remedy)
}

#[cfg(test)]
mod tests;
