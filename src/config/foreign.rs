//! Values that are written for another program.

use crate::secrets::reference::is_reference;

/// Why `text` cannot be a setting's value, where it is another tool's reference, with what to write instead.
pub fn reference(text: &str) -> Option<&'static str> {
    (is_reference(text.as_bytes()) || text == "vault:login" || text == "bao:login").then_some(
        "another tool's reference, which nothing resolves here; write the path in VAULT_PATH, the key in VAULT_KEYS",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_no_value_of_a_setting() {
        for (text, is_one) in [
            ("vault:kv/data/shop#KEY", true),
            ("x-${bao:kv/data/shop#KEY}", true),
            ("vault:login", true),
            ("bao:login", true),
            ("$(VAULT_ROLE)", false),
            ("https://vault:8200", false),
        ] {
            assert_eq!(reference(text).is_some(), is_one, "{text}");
        }
    }
}
