//! What a JWT says of itself, for a dry run and beside a refusal.

use super::Inspected;
use super::request::Proof;
use crate::fault::{ErrorKind, Fault, JwtClaims, What};
use crate::judge;

/// `seen`, with what `jwt` claims.
pub(super) fn inspected(seen: Inspected, jwt: &str) -> Inspected {
    let jwt = JwtClaims::of(jwt);
    let (said, expires_in) = (format!("{}: {jwt}", seen.said), jwt.expires_in());
    let (subject, audience) = jwt.claims.map(|claims| (claims.subject, claims.audience)).unzip();
    Inspected { said, audience, subject, expires_in, ..seen }
}

/// Adds to a refused login what the JWT claims. Claims are no secret, the signature is.
pub(super) fn explained(mut fault: Fault, proof: &Proof) -> Fault {
    let refused = matches!(fault.kind(), ErrorKind::Denied | ErrorKind::Rejected);
    if let (true, What::Answered(answered), Some(jwt)) = (refused, &mut fault.what, proof.member("jwt")) {
        answered.jwt = Some(JwtClaims { young: judge::is_too_early(answered), ..JwtClaims::of(jwt.expose()) });
    }
    fault
}
