//! Which variables hold Vault's credentials, and never reach the application.

use vault_client::AuthMethod;

/// What `BAO_X` and `VAULT_X` have in common, where either holds a credential whatever the login.
const ALWAYS: &[&str] = &["TOKEN", "APPROLE_ROLE_ID", "APPROLE_SECRET_ID", "SECRET_ID", "JWT"];

/// Which inherited variables COMMAND must not see, by the login of this run.
#[derive(Clone, Copy, Debug)]
pub struct Withheld {
    /// `VAULT_ROLE_ID` is half of a credential then, and a role's name otherwise.
    with_approle: bool,
}

impl Withheld {
    /// For a login by `method`.
    pub fn of_login(method: &str) -> Self {
        Self { with_approle: method == AuthMethod::AppRole.name() }
    }

    /// Whether the variable holds one of Vault's credentials. A proxy's address is one only if it holds a password.
    /// Names of files with credentials are none.
    pub fn covers(self, name: &[u8], value: &[u8]) -> bool {
        let Some(rest) = name.strip_prefix(b"VAULT_").or_else(|| name.strip_prefix(b"BAO_")) else { return false };
        match rest {
            b"ROLE_ID" => self.with_approle,
            b"PROXY_ADDR" => value.contains(&b'@'),
            rest => ALWAYS.iter().any(|it| it.as_bytes() == rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_withheld_by_the_login_and_other_settings_are_not() {
        for (name, value, method, withheld) in [
            ("VAULT_TOKEN", "x", "token", true),
            ("BAO_TOKEN", "x", "kubernetes", true),
            ("VAULT_APPROLE_ROLE_ID", "x", "kubernetes", true),
            ("BAO_APPROLE_SECRET_ID", "x", "kubernetes", true),
            ("BAO_SECRET_ID", "x", "kubernetes", true),
            ("VAULT_JWT", "x", "token", true),
            ("BAO_JWT", "x", "token", true),
            ("VAULT_ROLE_ID", "x", "approle", true),
            ("BAO_ROLE_ID", "x", "approle", true),
            ("VAULT_ROLE_ID", "x", "kubernetes", false),
            ("VAULT_ROLE_ID", "x", "token", false),
            ("VAULT_ROLE", "x", "approle", false),
            ("VAULT_PROXY_ADDR", "http://u:p@proxy", "token", true),
            ("BAO_PROXY_ADDR", "http://u:p@proxy", "token", true),
            ("VAULT_PROXY_ADDR", "http://proxy:3128", "token", false),
            ("VAULT_TOKEN_FILE", "/run/token", "token", false),
            ("VAULT_JWT_FILE", "/run/jwt", "token", false),
            ("VAULT_ADDR", "https://vault", "token", false),
            ("TOKEN", "x", "token", false),
            ("JWT", "x", "token", false),
            ("MY_VAULT_TOKEN", "x", "token", false),
        ] {
            let found = Withheld::of_login(method).covers(name.as_bytes(), value.as_bytes());
            assert_eq!(found, withheld, "{name} {method}");
        }
    }
}
