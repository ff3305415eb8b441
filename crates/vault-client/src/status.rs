//! Is Vault initialised and unsealed? One call answers both, in every state of the server.

use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::error::VaultError;
use crate::fault::{Fault, Retry, What};
use crate::http::{Answer, Request};
use crate::json::{self, Object};
use crate::judge::{self, Asked};
use crate::step::Step;

/// A server that is initialised and unsealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its version; empty where the listener keeps it to itself (`redact_version`).
    pub version: String,
}

impl Endpoint {
    /// Returns the server's version once it is initialised and unsealed, or why it is not. The version is empty where the
    /// listener keeps it to itself (`redact_version`).
    /// [`GET sys/seal-status`](https://openbao.org/api-docs/system/seal-status/)
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotReady`](crate::ErrorKind::NotReady) where it is uninitialised or sealed, which only [`Limits::wait`](crate::Limits::wait) tries
    /// again; as for [`Endpoint::login`] otherwise.
    pub fn status(&self) -> Result<String, VaultError> {
        // The namespace header is refused on status paths.
        let request = Request::get("sys/seal-status");
        self.step(&Step::Status, |call| {
            judge(&self.asked(&Step::Status, &request), &self.ask(&Step::Status, &request, call)?)
        })
    }
}

impl Endpoint {
    /// As [`Endpoint::status`], and whether the server is known to take a login along with a read: it is `OpenBao`, from
    /// 2.4 on. HashiCorp's servers say of themselves what edition they are, in `enterprise`; `OpenBao` does not.
    ///
    /// # Errors
    ///
    /// As for [`Endpoint::status`].
    pub fn status_for_inline(&self) -> Result<bool, VaultError> {
        // In every state with 200.
        let path = "sys/health?standbyok=true&perfstandbyok=true&sealedcode=200&uninitcode=200&drsecondarycode=200";
        let (health, seal) = (Request::get(path), Request::get("sys/seal-status"));
        self.step(&Step::Status, |call| {
            let health = self.ask(&Step::Status, &health, call).ok();
            match health.and_then(|answer| inline_by(&answer.document().ok()?)) {
                Some(takes_it) => Ok(takes_it),
                // A server that is not ready, or keeps its health to itself, is asked as without inline authentication.
                None => judge(&self.asked(&Step::Status, &seal), &self.ask(&Step::Status, &seal, call)?).map(|_| false),
            }
        })
    }

    /// Whether the server says of itself that it is no enterprise edition. HashiCorp's Community edition has the root
    /// namespace alone and takes no notice of another; `OpenBao` has namespaces and says nothing of editions.
    /// [`GET sys/health`](https://developer.hashicorp.com/vault/api-docs/system/health), whose status is another in each
    /// state of the node.
    pub fn is_community(&self) -> bool {
        let answer = self.ask_once(&Step::Status, &Request::get("sys/health"));
        let said = answer.and_then(|answer| answer.document().ok());
        said.is_some_and(|said| said.bool("enterprise") == Ok(false))
    }
}

/// Whether a server in this state of health takes a login along with a read; `None` where it is not ready, or does not say.
fn inline_by(said: &Object) -> Option<bool> {
    let is_ready = said.bool("initialized").ok()? && !said.bool("sealed").ok()?;
    let version = said.string("version").ok()?;
    let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse::<u32>().ok());
    let version = (numbers.next().flatten().unwrap_or(0), numbers.next().flatten().unwrap_or(0));
    is_ready.then(|| said.get("enterprise").is_none() && version >= INLINE_SINCE)
}

/// The version of `OpenBao` that inline authentication came with.
const INLINE_SINCE: (u32, u32) = (2, 4);

fn judge(asked: &Asked, answer: &Answer) -> Result<String, Fault> {
    let broken = |fault: json::Malformed| judge::of_body(asked, answer, &fault);
    let status = answer.document().map_err(broken)?;
    let number = |key| status.number(key).map_err(broken);
    if !status.bool("initialized").map_err(broken)? {
        Err(Fault::new(What::NotInitialised, Retry::InWait))
    } else if status.bool("sealed").map_err(broken)? {
        let (given, needed) = (number("progress")?, number("t")?);
        Err(Fault::new(What::Sealed { given, needed }, Retry::InWait))
    } else {
        Ok(asked.scrubber.clean(&[status.string("version").map_err(broken)?]))
    }
}
