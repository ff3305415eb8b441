//! Redirects: never followed, because the token would go with them.

use ureq::http::Uri;

use super::Asked;
use crate::fault::{Fault, Onward, Retry, What};
use crate::http::Answer;
use crate::step::Step;
use crate::text::Scrubber;

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
    let retry = if onward == Onward::ToTheLeader { Retry::Soon } else { Retry::Never };
    let to = host(target.as_ref(), asked.scrubber);
    Fault::new(What::Redirected { status: answer.status, to, onward }, retry)
}

/// Host of a redirect's target; the rest of it is the server's to say and ours to keep out of the log.
fn host(target: Option<&Uri>, scrubber: &Scrubber) -> Option<String> {
    let host = target.and_then(Uri::authority).map(|it| it.as_str().rsplit('@').next().unwrap_or_default());
    host.map(|host| scrubber.clean(&[host]))
}
