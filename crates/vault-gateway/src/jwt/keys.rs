//! The keys of an issuer, out of its JWK set. [RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use serde_json::Value;
use vault_client::json::Bytes;

use super::json;
use crate::config::Algorithm;

/// What is said to be broken by now, and what `ring` takes at most.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key that signs tokens.
pub struct Key {
    kind: Kind,
    /// The one algorithm that it is for; `None`: any of its kind.
    algorithm: Option<Algorithm>,
    material: DecodingKey,
}

/// Kind and curve of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Self::Rsa,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::EdDSA => Self::Ed25519,
        }
    }
}

impl Key {
    /// Whether a token that is signed with `algorithm` can be of this key.
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        self.kind == Kind::of(algorithm) && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// The key itself.
    pub fn material(&self) -> &DecodingKey {
        &self.material
    }

    /// `None` where it cannot be used for signatures of tokens.
    fn of(jwk: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let verifies = common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
        if !signs || !verifies {
            return None;
        }
        let (kind, material) = material(&jwk.algorithm)?;
        let algorithm = match common.key_algorithm {
            None => None,
            Some(name) => Some(algorithm(name).filter(|algorithm| Kind::of(*algorithm) == kind)?),
        };
        Some(Self { kind, algorithm, material })
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let same = match (self.material.kind(), other.material.kind()) {
            (SecretOrDer(one), SecretOrDer(two)) => one == two,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: other_n, e: other_e }) => {
                n == other_n && e == other_e
            }
            _ => false,
        };
        same && self.kind == other.kind && self.algorithm == other.algorithm
    }
}

fn algorithm(name: KeyAlgorithm) -> Option<Algorithm> {
    Some(match name {
        KeyAlgorithm::RS256 => Algorithm::RS256,
        KeyAlgorithm::RS384 => Algorithm::RS384,
        KeyAlgorithm::RS512 => Algorithm::RS512,
        KeyAlgorithm::PS256 => Algorithm::PS256,
        KeyAlgorithm::PS384 => Algorithm::PS384,
        KeyAlgorithm::PS512 => Algorithm::PS512,
        KeyAlgorithm::ES256 => Algorithm::ES256,
        KeyAlgorithm::ES384 => Algorithm::ES384,
        KeyAlgorithm::EdDSA => Algorithm::EdDSA,
        _ => return None,
    })
}

/// [RFC 7518, 6](https://www.rfc-editor.org/rfc/rfc7518#section-6) and [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037)
fn material(parameters: &AlgorithmParameters) -> Option<(Kind, DecodingKey)> {
    let has = |part: &str, bytes| URL_SAFE_NO_PAD.decode(part).is_ok_and(|part| part.len() == bytes);
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let [n, e] = [&rsa.n, &rsa.e].map(|part| URL_SAFE_NO_PAD.decode(part).ok());
            Some((Kind::Rsa, rsa_key(&n?, &e?)?))
        }
        AlgorithmParameters::EllipticCurve(point) => {
            let (kind, bytes) = match point.curve {
                EllipticCurve::P256 => (Kind::P256, 32),
                EllipticCurve::P384 => (Kind::P384, 48),
                _ => return None,
            };
            let fits = has(&point.x, bytes) && has(&point.y, bytes);
            let key = fits.then(|| DecodingKey::from_ec_components(&point.x, &point.y).ok())??;
            Some((kind, key))
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 && has(&pair.x, 32) => {
            Some((Kind::Ed25519, DecodingKey::from_ed_components(&pair.x).ok()?))
        }
        _ => None,
    }
}

/// Some issuers write zeros before a number, which `ring` does not take.
fn rsa_key(n: &[u8], e: &[u8]) -> Option<DecodingKey> {
    let [n, e] = [n, e].map(|number| &number[number.iter().take_while(|byte| **byte == 0).count()..]);
    let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
    (RSA_BITS.contains(&bits) && !e.is_empty()).then(|| DecodingKey::from_rsa_raw_components(n, e))
}

/// The keys of an issuer that can be used, by their `kid`.
#[derive(Default, PartialEq)]
pub struct KeySet(BTreeMap<String, Arc<Key>>);

impl KeySet {
    /// The keys of a JWK set. Left out are those for encryption, without or with a repeated `kid`, with RSA below 2,048
    /// bits, symmetric and unknown ones. `None` where the document is no JWK set.
    pub fn parse(document: &Bytes) -> Option<Self> {
        let members = json::object(document)?;
        let keys = members.get("keys")?.as_array()?;
        let named =
            || keys.iter().filter_map(|key| Some((key.get("kid")?.as_str().filter(|kid| !kid.is_empty())?, key)));
        let mut times = HashMap::<_, usize>::new();
        for (kid, _) in named() {
            *times.entry(kid).or_default() += 1;
        }
        // Which of two keys a token means cannot be told.
        let once = named().filter(|(kid, _)| times[kid] == 1);
        Some(Self(once.filter_map(|(kid, key)| Some((kid.to_owned(), Arc::new(Key::of(key)?)))).collect()))
    }

    /// The key of this name.
    pub fn get(&self, kid: &str) -> Option<&Arc<Key>> {
        self.0.get(kid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use zeroize::Zeroizing;

    use super::*;

    fn set(document: &str) -> Option<KeySet> {
        KeySet::parse(&Arc::new(Zeroizing::new(document.as_bytes().to_vec())))
    }

    fn number(bytes: usize, first: u8) -> String {
        let mut number = vec![0x55; bytes];
        number[0] = first;
        URL_SAFE_NO_PAD.encode(number)
    }

    /// The key with these members changed.
    fn changed(key: &Value, changes: &Value) -> Value {
        let mut key = key.clone();
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    #[test]
    fn a_key_that_cannot_be_used_for_signatures_is_left_out() {
        let rsa = json!({"kid": "k", "kty": "RSA", "n": number(256, 0x80), "e": "AQAB"});
        let ec = json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": number(32, 1), "y": number(32, 1)});
        let ed = json!({"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": number(32, 1)});
        let oct = json!({"kid": "k", "kty": "oct", "k": number(32, 1)});
        for (key, changes, taken) in [
            (&rsa, json!({}), true),
            (&rsa, json!({"use": "sig", "key_ops": ["verify"], "alg": "PS512", "x5c": ["x"], "y": 1}), true),
            (&rsa, json!({"use": "enc"}), false),
            (&rsa, json!({"use": ""}), false),
            (&rsa, json!({"use": 1}), false),
            (&rsa, json!({"key_ops": ["encrypt"]}), false),
            (&rsa, json!({"key_ops": []}), false),
            (&rsa, json!({"alg": "RSA-OAEP"}), false),
            (&rsa, json!({"alg": "ES256"}), false),
            (&rsa, json!({"alg": "HS256"}), false),
            (&rsa, json!({"alg": "none"}), false),
            (&rsa, json!({"kid": ""}), false),
            (&rsa, json!({"kid": 1}), false),
            (&rsa, json!({"kid": null}), false),
            (&rsa, json!({"n": number(128, 0x80)}), false),
            (&rsa, json!({"n": number(256, 0x7f)}), false),
            (&rsa, json!({"n": number(257, 0)}), false),
            (&rsa, json!({"n": number(257, 1)}), true),
            (&rsa, json!({"n": number(1024, 0xff)}), true),
            (&rsa, json!({"n": number(1025, 1)}), false),
            (&rsa, json!({"n": ""}), false),
            (&rsa, json!({"e": ""}), false),
            (&rsa, json!({"e": "AA"}), false),
            (&rsa, json!({"e": "AQ=B"}), false),
            (&ec, json!({}), true),
            (&ec, json!({"alg": "ES256"}), true),
            (&ec, json!({"alg": "ES384"}), false),
            (&ec, json!({"crv": "P-384"}), false),
            (&ec, json!({"crv": "P-384", "x": number(48, 1), "y": number(48, 1)}), true),
            (&ec, json!({"crv": "P-521", "x": number(66, 1), "y": number(66, 1)}), false),
            (&ec, json!({"crv": "secp256k1"}), false),
            (&ec, json!({"crv": "Ed25519"}), false),
            (&ec, json!({"x": number(31, 1), "y": number(33, 1)}), false),
            (&ec, json!({"kty": "RSA"}), false),
            (&ed, json!({}), true),
            (&ed, json!({"alg": "EdDSA"}), true),
            (&ed, json!({"crv": "Ed448"}), false),
            (&ed, json!({"crv": "P-256"}), false),
            (&ed, json!({"x": number(31, 1)}), false),
            (&oct, json!({}), false),
            (&oct, json!({"alg": "HS256"}), false),
            (&oct, json!({"kty": "new"}), false),
        ] {
            let key = changed(key, &changes);
            let taken_of = |set: Option<KeySet>| set.map(|set| (set.len(), set.get("k").is_some()));
            let keys = taken_of(set(&json!({"keys": [key]}).to_string()));
            assert_eq!(keys, Some((usize::from(taken), taken)), "{key}");
        }
    }

    #[test]
    fn a_kid_that_stands_twice_names_no_key() {
        let key = |kid: &str| json!({"kid": kid, "kty": "OKP", "crv": "Ed25519", "x": number(32, 1)});
        let encrypts = json!({"kid": "b", "kty": "RSA", "use": "enc"});
        let keys = set(&json!({"keys": [key("a"), key("b"), key("a"), encrypts, key("c")]}).to_string()).unwrap();
        assert_eq!(keys.0.keys().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn a_document_that_is_no_key_set_is_refused_as_a_whole() {
        for (document, keys) in [
            (r#"{"keys":[]}"#, Some(0)),
            (r#"{"keys":[1,null,"x",{}]}"#, Some(0)),
            (r#"{"keys":{}}"#, None),
            ("{}", None),
            ("[]", None),
            (r#"{"keys":[],"keys":[]}"#, None),
            (r#"{"keys":[{"kid":"a","kid":"b"}]}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(set(document).map(|set| set.len()), keys, "{document}");
        }
    }

    #[test]
    fn sets_are_equal_where_their_keys_are() {
        let of = |keys: &[(&str, u8, Option<&str>)]| {
            let key = |(kid, first, alg): &(&str, u8, Option<&str>)| json!({"kid": kid, "kty": "RSA", "n": number(256, *first), "e": "AQAB", "alg": alg});
            set(&json!({"keys": keys.iter().map(key).collect::<Vec<_>>()}).to_string()).unwrap()
        };
        let one = of(&[("a", 0x80, None), ("b", 0x81, None)]);
        assert!(one == of(&[("b", 0x81, None), ("a", 0x80, None)]));
        for other in [
            of(&[("a", 0x80, None)]),
            of(&[("a", 0x80, None), ("b", 0x82, None)]),
            of(&[("a", 0x80, None), ("c", 0x81, None)]),
            of(&[("a", 0x80, None), ("b", 0x81, Some("RS256"))]),
        ] {
            assert!(one != other);
        }
    }

    #[test]
    fn a_key_takes_its_own_algorithm_or_any_of_its_kind() {
        use Algorithm as A;
        let all = [A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512, A::ES256, A::ES384, A::EdDSA];
        let rsa = json!({"kid": "k", "kty": "RSA", "n": number(256, 0x80), "e": "AQAB"});
        let ec = json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": number(32, 1), "y": number(32, 1)});
        let ed = json!({"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": number(32, 1)});
        for (key, taken) in [
            (rsa.clone(), &all[..6]),
            (changed(&rsa, &json!({"alg": "RS256"})), &[A::RS256]),
            (changed(&rsa, &json!({"alg": "PS384"})), &[A::PS384]),
            (ec, &[A::ES256]),
            (ed, &[A::EdDSA]),
        ] {
            let key = Key::of(&key).unwrap();
            assert_eq!(all.into_iter().filter(|algorithm| key.takes(*algorithm)).collect::<Vec<_>>(), taken);
        }
    }
}
