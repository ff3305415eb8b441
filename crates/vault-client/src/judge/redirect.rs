//! Redirects: never followed, because the token would go with them.

use ureq::http::Uri;

use super::{Asked, not_vault};
use crate::error::{ErrorKind, Fault, Retry};
use crate::http::Answer;
use crate::step::Step;
use crate::text::Scrubber;

/// Where a redirect leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    /// A node that does not lead sends the request on as it came, as one does for some seconds while none leads. A single
    /// node that was restarted does so too for a moment, to itself.
    /// [HA](https://openbao.org/docs/concepts/ha/#client-redirection)
    ToTheLeader,
    /// To the same host, in TLS.
    ToHttps,
    /// To the same path elsewhere, by somebody who is no standby.
    Moved,
    /// Anywhere else.
    Elsewhere,
}

impl Onward {
    fn of(asked: &Asked, status: u16, target: Option<&Uri>) -> Self {
        let Some(target) = target else { return Self::Elsewhere };
        let base = asked.at.parse::<Uri>().ok();
        let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
        let same_host = target.host().is_some() && base.as_ref().and_then(host) == host(target);
        let plain = base.as_ref().and_then(Uri::scheme_str) == Some("http");
        // What stands before /v1/ is a proxy's, and the node behind it does not know of it.
        let same_path = target.path().ends_with(&format!("/v1/{}", asked.path.split('?').next().unwrap_or_default()));
        if plain && same_host && target.scheme_str() == Some("https") {
            Self::ToHttps
        } else if !same_path {
            Self::Elsewhere
        } else if status == 307 && !matches!(asked.step, Step::Status) {
            Self::ToTheLeader
        } else {
            Self::Moved
        }
    }
}

pub(super) fn judge(asked: &Asked, answer: &Answer) -> Fault {
    let target = answer.location.raw().parse::<Uri>().ok();
    let onward = Onward::of(asked, answer.status, target.as_ref());
    let to = match onward {
        Onward::ToHttps => "https on the same host".into(),
        _ => host(target.as_ref(), asked.scrubber),
    };
    let fault = not_vault(format!("{} was redirected to {to} ({})", asked.step.subject(), answer.status));
    let remedy = match onward {
        Onward::ToTheLeader => {
            let remedy =
                "the node does not lead and sends on to one that does: try again, or look whether a leader is elected";
            return Fault { kind: ErrorKind::NotReady, retry: Retry::Soon, remedy: remedy.into(), ..fault };
        }
        Onward::ToHttps => "redirects are not followed; write https:// in VAULT_ADDR",
        Onward::Moved => "redirects are not followed; write that host in VAULT_ADDR, if Vault is there",
        Onward::Elsewhere => {
            "redirects are not followed; a login page or a proxy stands there: point VAULT_ADDR at Vault itself"
        }
    };
    Fault { remedy: remedy.into(), ..fault }
}

/// Host of a redirect's target; the rest of it is the server's to say and ours to keep out of the log.
fn host(target: Option<&Uri>, scrubber: &Scrubber) -> String {
    let host = target.and_then(Uri::authority).map(|it| it.as_str().rsplit('@').next().unwrap_or_default());
    host.map_or_else(|| "another path".into(), |host| scrubber.clean(&[host]))
}
