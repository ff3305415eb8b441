//! Names of the algorithms that certificates are signed with and keys are made for.

/// The name of a signature algorithm, from the content of its `AlgorithmIdentifier`.
pub fn of_signature(identifier: &[u8]) -> String {
    named(identifier, SIGNATURES)
}

/// The name of a kind of key. For elliptic curves that is the curve.
pub fn of_key(identifier: &[u8]) -> String {
    let curve = object(identifier).filter(|(kind, _)| *kind == ELLIPTIC).map(|(_, curve)| curve);
    named(curve.unwrap_or(identifier), KEYS)
}

fn named(identifier: &[u8], names: &[(&str, &str)]) -> String {
    let Some((content, _)) = object(identifier) else { return "an unknown algorithm".to_owned() };
    let dotted = dotted(content);
    let name = names.iter().find(|(number, _)| *number == dotted).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("algorithm {dotted}"))
}

/// The content of the object identifier at the beginning, and what comes after it. Longer ones than 32 bytes are none.
fn object(der: &[u8]) -> Option<(&[u8], &[u8])> {
    match der {
        [0x06, length @ 1..=32, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// As [X.690, 8.19](https://www.itu.int/rec/T-REC-X.690) has it, written with dots.
fn dotted(content: &[u8]) -> String {
    let mut arcs: Vec<u128> = vec![0];
    for byte in content {
        let last = arcs.last_mut().expect("there is one");
        *last = (*last << 7) | u128::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(0);
        }
    }
    arcs.pop();
    let first = arcs.first().copied().unwrap_or_default();
    let top = (first / 40).min(2);
    let rest = arcs.iter().skip(1).map(|arc| format!(".{arc}"));
    format!("{top}.{}", first - top * 40) + &rest.collect::<String>()
}

/// id-ecPublicKey, 1.2.840.10045.2.1
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

/// Those that are met, the ones that are supported too: a key that is not can sign with them.
/// [RFC 8017](https://www.rfc-editor.org/rfc/rfc8017#appendix-A), [RFC 5480](https://www.rfc-editor.org/rfc/rfc5480),
/// [RFC 5758](https://www.rfc-editor.org/rfc/rfc5758), [RFC 8410](https://www.rfc-editor.org/rfc/rfc8410),
/// [RFC 9881](https://www.rfc-editor.org/rfc/rfc9881).
const SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.10040.4.3", "dsa-with-SHA1"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.1", "dsa-with-SHA224"),
    ("2.16.840.1.101.3.4.3.2", "dsa-with-SHA256"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

const KEYS: &[(&str, &str)] = &[
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_identifiers_have_names_and_others_their_numbers() {
        let ecdsa_sha512 = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04";
        let pss = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00";
        let p521 = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23";
        let sm2 = b"\x06\x08\x2a\x81\x1c\xcf\x55\x01\x83\x75";
        assert_eq!(of_signature(ecdsa_sha512), "ecdsa-with-SHA512");
        assert_eq!(of_signature(pss), "RSASSA-PSS");
        assert_eq!(of_key(p521), "P-521");
        assert_eq!(of_signature(sm2), "algorithm 1.2.156.10197.1.501");
        for broken in [&b""[..], b"\x06", b"\x06\x05\x2a", b"\x30\x00", b"\x06\x21"] {
            assert_eq!(of_key(broken), "an unknown algorithm");
        }
        // 32 bytes of ones are no number that fits, and no reason to panic.
        let mut long = vec![0x06, 32];
        long.extend([0xff; 32]);
        assert_eq!(of_key(&long), "algorithm 0.0");
    }
}
