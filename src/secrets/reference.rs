//! References to secrets that other start-up programs resolve, and this one does not.

/// Whether `value` is written as bank-vaults' programs have it: `vault:PATH#KEY`, `bao:PATH#KEY`, with `>>` in front where
/// the path is written to, or within a longer text as `${vault:PATH#KEY}`
/// ([syntax](https://bank-vaults.dev/docs/mutating-webhook/configuration/)). A ciphertext of Vault's transit engine,
/// `vault:v1:…`, is none.
///
/// # Examples
///
/// ```
/// use vault_exec::secrets::reference::is_reference;
///
/// assert!(is_reference(b"vault:kv/data/shop/prod#DATABASE_URL"));
/// assert!(is_reference(b"postgres://shop:${bao:kv/data/shop#PASSWORD}@db/shop"));
/// assert!(!is_reference(b"vault:v1:8SDd3WHDOjf7mq69CyCqYjBXAiQQAVZRkFM13ok481zoCmHnSeDX9vyf7w=="));
/// ```
pub fn is_reference(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let inline = |at: usize| {
        let rest = &value[at + "${".len()..];
        rest.find('}').is_some_and(|end| is_whole(&rest[..end]))
    };
    is_whole(value.trim()) || value.match_indices("${").any(|(at, _)| inline(at))
}

fn is_whole(value: &str) -> bool {
    let value = value.strip_prefix(">>").unwrap_or(value);
    let target = value.strip_prefix("vault:").or_else(|| value.strip_prefix("bao:"));
    target
        .and_then(|target| target.split_once('#'))
        .is_some_and(|(path, key)| !path.is_empty() && !key.is_empty() && !path.contains(|c: char| c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_what_only_begins_like_one() {
        for (value, reference) in [
            ("vault:kv/data/shop#KEY", true),
            ("vault:kv/data/shop#KEY#2", true),
            ("vault:kv/data/shop#${.USER}:${.PASSWORD}", true),
            (">>vault:pki/issue/shop#certificate#{\"common_name\":\"shop\"}", true),
            ("bao:kv/data/shop#KEY", true),
            (" vault:kv/data/shop#KEY\n", true),
            ("amqp://${vault:kv/data/mq#USER}:${vault:kv/data/mq#PASSWORD}@mq", true),
            ("${>>vault:db/creds/shop#password}", true),
            ("vault:v1:8SDd3WHDOjf7mq69CyCqYg==", false),
            ("vault:login", false),
            ("vault:#KEY", false),
            ("vault:kv/data/shop#", false),
            ("vault: see the handbook, #3", false),
            ("https://vault.example/ui#KEY", false),
            ("${HOME}/x#y", false),
            ("${vault:kv", false),
            ("Vault:kv/data/shop#KEY", false),
            ("", false),
        ] {
            assert_eq!(is_reference(value.as_bytes()), reference, "{value}");
        }
        assert!(!is_reference(b"vault:\xff#KEY"));
    }
}
