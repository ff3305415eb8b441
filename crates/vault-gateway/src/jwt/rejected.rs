//! Why a caller's token is refused.

use std::fmt;

/// Why a caller's token is refused. The caller is told none of it; the words go into a metric and the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejected {
    /// It is longer than 16 KiB.
    TooLarge,
    /// It is not three parts in base64url without padding.
    Malformed,
    /// The header is no strict JSON object, has `crit` or `b64`, or its `alg` or `kid` is no string.
    Header,
    /// Its `typ` is not one that the issuer's tokens may have.
    Type,
    /// Its `alg` is not in the issuer's list, or not one of the key.
    Algorithm,
    /// Its `iss` is none of the issuers.
    Issuer,
    /// It names no key, or none that the issuer has.
    Key,
    /// The keys of the issuer could not be fetched yet.
    NoKeys,
    /// The signature is not of the key that it names.
    Signature,
    /// It has expired.
    Expired,
    /// Its `nbf` or `iat` lies in the future.
    NotYet,
    /// Its `aud` has none of the issuer's audiences.
    Audience,
    /// The claims are no strict JSON object, or one of them is missing or of another form.
    Claims,
}

impl Rejected {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::TooLarge,
        Self::Malformed,
        Self::Header,
        Self::Type,
        Self::Algorithm,
        Self::Issuer,
        Self::Key,
        Self::NoKeys,
        Self::Signature,
        Self::Expired,
        Self::NotYet,
        Self::Audience,
        Self::Claims,
    ];

    /// Its word in the metric and in the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::Key => "key",
            Self::NoKeys => "no_keys",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Audience => "audience",
            Self::Claims => "claims",
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let words: BTreeSet<_> = Rejected::ALL.into_iter().map(Rejected::word).collect();
        assert_eq!(words.len(), Rejected::ALL.len());
        let is_label = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(words.iter().all(is_label), "{words:?}");
    }
}
