//! What to do about a file that gives no token or JWT.

use vault_client::fault::{NoCredential, Unusable, Wanted};
use vault_client::settings::remedy::of_json;

/// What to do about `none`.
pub(super) fn remedy(none: &NoCredential) -> &'static str {
    match (&none.why, none.wanted) {
        (Unusable::Json(document), _) => of_json(*document),
        (Unusable::NotWrapped, _) => "unset VAULT_UNWRAP, or write the wrapping token into it",
        (_, wanted) if none.misplaced => misplaced(wanted),
        (_, Wanted::Token) => "write a token into it, or correct VAULT_TOKEN_FILE",
        (_, Wanted::SecretId) => "write a secret id into it, or correct VAULT_APPROLE_SECRET_ID_FILE",
        (_, Wanted::Jwt) => "write a JWT into it, or correct VAULT_JWT_FILE",
        (Unusable::Forbidden, Wanted::PodJwt) => "set fsGroup, or run as the user that the token is projected for",
        (Unusable::NoJwt, Wanted::PodJwt) => "correct VAULT_K8S_TOKEN_PATH",
        (_, Wanted::PodJwt) => {
            "check automountServiceAccountToken and the projected volume, or correct VAULT_K8S_TOKEN_PATH"
        }
    }
}

/// What to do where the credential itself stands in the place of its file's path.
fn misplaced(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Token => "it looks like a token itself: VAULT_TOKEN takes that, VAULT_TOKEN_FILE the path of a file",
        Wanted::PodJwt => "it looks like a JWT itself: VAULT_K8S_TOKEN_PATH takes the path of its file",
        Wanted::Jwt => "it looks like a JWT itself: VAULT_JWT takes that, VAULT_JWT_FILE the path of a file",
        Wanted::SecretId => {
            "it looks like a credential itself: VAULT_APPROLE_SECRET_ID takes that, VAULT_APPROLE_SECRET_ID_FILE the path \
             of a file"
        }
    }
}
