//! What to do about a person's login that came to nothing.

use vault_client::NoPerson;

/// What to do about `why`.
pub(super) fn remedy(why: &NoPerson) -> &'static str {
    match why {
        NoPerson::NoUrl { .. } => {
            "let the role allow it (allowed_redirect_uris), or correct VAULT_ROLE, and VAULT_OIDC_LISTEN for its callback_mode"
        }
        NoPerson::NotListening => "set VAULT_OIDC_LISTEN to localhost:8250",
        NoPerson::BadUrl(_) => "look at the provider that the auth mount's config names",
        NoPerson::Refused { .. } => "start again, or ask whoever runs the provider",
        NoPerson::TooLate(_) => {
            "start again, and open the URL on this machine; elsewhere VAULT_OIDC_LISTEN=none works, with a role whose \
             callback_mode is device or direct"
        }
        NoPerson::NobodyToAsk => "start it at a terminal, or set VAULT_AUTH_METHOD to a login that needs no person",
        NoPerson::NotBound { .. } => "set VAULT_OIDC_LISTEN to another port, such as localhost:8251",
        NoPerson::Cache { .. } => "make it this user's alone (mode 0700), or remove it",
        _ => "start again",
    }
}
