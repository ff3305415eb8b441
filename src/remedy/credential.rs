//! What to do about a file that gives no token or JWT.

use vault_client::fault::{NoCredential, Unusable, Wanted};
use vault_client::settings::remedy::of_json;

/// What to do about `none`.
pub(super) fn remedy(none: &NoCredential) -> &'static str {
    match (&none.why, none.wanted) {
        (Unusable::Json(document), _) => of_json(*document),
        (_, Wanted::Token) if none.misplaced => {
            "it looks like a token itself: VAULT_TOKEN takes that, VAULT_TOKEN_FILE the path of a file"
        }
        (_, Wanted::Jwt) if none.misplaced => {
            "it looks like a JWT itself: VAULT_K8S_TOKEN_PATH takes the path of its file"
        }
        (_, Wanted::Token) => "write a token into it, or correct VAULT_TOKEN_FILE",
        (Unusable::Forbidden, Wanted::Jwt) => "set fsGroup, or run as the user that the token is projected for",
        (Unusable::NoJwt, Wanted::Jwt) => "correct VAULT_K8S_TOKEN_PATH",
        (_, Wanted::Jwt) => {
            "check automountServiceAccountToken and the projected volume, or correct VAULT_K8S_TOKEN_PATH"
        }
    }
}
