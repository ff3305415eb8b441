//! Certificates and keys out of PEM, and what else is given in their place.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::Identity;

use crate::text;

/// Why a text or a file is of no use. Its text is the cause, without a byte of what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What was wanted.
    pub wanted: Wanted,
    /// What is there.
    pub found: Found,
}

/// What was wanted of a text or a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// At least one certificate of an authority.
    Authority,
    /// A client certificate, with its chain.
    ClientCertificate,
    /// The key of a client certificate.
    ClientKey,
}

/// What is there in place of what was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No trace of PEM, or of a kind that has nothing to do with it.
    Nothing,
    /// What was wanted, and it cannot be read.
    Damaged,
    /// Text in UTF-16.
    Utf16,
    /// PEM with `\n` in place of its line breaks.
    Escaped,
    /// PEM without its line breaks.
    Joined,
    /// PEM whose lines are indented.
    Indented,
    /// PEM, encoded in base64 once more.
    Base64OfPem,
    /// Base64 without BEGIN and END lines.
    Base64OfDer,
    /// The binary form.
    Der,
    /// PKCS#7.
    Pkcs7,
    /// PKCS#12.
    Pkcs12,
    /// A key store of Java.
    KeyStore,
    /// A certificate in OpenSSL's own form.
    Trusted,
    /// A certificate request.
    Request,
    /// A revocation list.
    RevocationList,
    /// A certificate, in the place of a key.
    Certificate,
    /// A public key.
    PublicKey,
    /// A private key, in the place of a certificate.
    PrivateKey,
    /// A key of OpenSSH.
    OpenSshKey,
    /// A private key that is encrypted.
    Encrypted,
    /// A whole key, or certificate, that the TLS library does not take.
    Unsupported,
    /// A certificate that the key does not belong to.
    OtherKey,
    /// A chain whose first certificate is not the key's.
    OtherOrder,
}

impl Unfit {
    /// Whether this belongs beside certificates, or has nothing to do with them, and is none that was meant to be read.
    pub fn is_no_certificate(self) -> bool {
        use Found as F;
        matches!(
            self.found,
            F::Nothing
                | F::Request
                | F::RevocationList
                | F::PublicKey
                | F::PrivateKey
                | F::OpenSshKey
                | F::KeyStore
                | F::Pkcs12
        )
    }
}

impl Unfit {
    /// What is wrong, without the remedy.
    pub fn cause(self) -> &'static str {
        let wanted = |certificate, key| if self.wanted == Wanted::ClientKey { key } else { certificate };
        match self.found {
            Found::Nothing => wanted("no certificate in PEM in it", "no private key in PEM in it"),
            Found::Damaged => wanted("no certificate in it can be read", "the private key in it is damaged"),
            Found::Utf16 => "text in UTF-16",
            Found::Escaped => "its line breaks are written as \\n",
            Found::Joined => "its line breaks are lost",
            Found::Indented => "its lines are indented",
            Found::Base64OfPem => "PEM in base64 once more",
            Found::Base64OfDer => "base64 without BEGIN and END lines",
            Found::Der => "DER, not PEM",
            Found::Pkcs7 => "PKCS#7, not PEM of a certificate",
            Found::Pkcs12 => "PKCS#12, not PEM",
            Found::KeyStore => "a Java key store, not PEM",
            Found::Trusted => "a certificate in OpenSSL's own form (BEGIN TRUSTED CERTIFICATE)",
            Found::Request => wanted("a certificate request, not a certificate", "a certificate request, not a key"),
            Found::RevocationList => "a revocation list, not a certificate",
            Found::Certificate => "a certificate, not a private key",
            Found::PublicKey => wanted("a public key, not a certificate", "a public key, not a private one"),
            Found::PrivateKey => "a private key, not a certificate",
            Found::OpenSshKey => "a key of OpenSSH",
            Found::Encrypted => "the key is encrypted, and no password can be given",
            Found::Unsupported => wanted(
                "the certificate is damaged, or not X.509 version 3",
                "the key is damaged, or of a kind that is not supported",
            ),
            Found::OtherKey => "the key does not belong to the certificate",
            Found::OtherOrder => "the key belongs to a later certificate of the file",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause())
    }
}

/// Which of the two is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
}

impl Identity {
    /// Reads both from PEM and checks that they belong together.
    ///
    /// # Errors
    ///
    /// Which of the two is at fault, and how.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, (Half, Unfit)> {
        let unfit = |half, found| {
            let wanted = if half == Half::Key { Wanted::ClientKey } else { Wanted::ClientCertificate };
            (half, Unfit { wanted, found })
        };
        let chain = certificates(certificate, Wanted::ClientCertificate).map_err(|unfit| (Half::Certificate, unfit))?;
        let der = pieces(key).into_iter().flat_map(PrivateKeyDer::pem_slice_iter).flatten().next();
        let der = der.ok_or_else(|| unfit(Half::Key, look(key, Wanted::ClientKey)))?;
        let provider = rustls::crypto::ring::default_provider();
        let key = provider.key_provider.load_private_key(der);
        let key = key.map_err(|_| unfit(Half::Key, Found::Unsupported))?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(pair)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                let fits = |other: &CertificateDer<'static>| {
                    CertifiedKey::new(vec![other.clone()], Arc::clone(&pair.key)).keys_match().is_ok()
                };
                let found = if pair.cert.iter().any(fits) { Found::OtherOrder } else { Found::OtherKey };
                Err(unfit(Half::Certificate, found))
            }
            Err(_) => Err(unfit(Half::Certificate, Found::Unsupported)),
        }
    }
}

/// The certificates in `pem`, of which at least one must be usable as a root. What else stands there is passed over,
/// as OpenSSL does.
///
/// # Errors
///
/// That there is no certificate in it, or none that can be a root, and what there is.
pub fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let certificates = certificates(pem, Wanted::Authority)?;
    let usable = |c: &CertificateDer<'static>| rustls::RootCertStore::empty().add(c.clone()).is_ok();
    if certificates.iter().any(usable) {
        Ok(certificates)
    } else {
        Err(Unfit { wanted: Wanted::Authority, found: Found::Damaged })
    }
}

fn certificates(pem: &[u8], wanted: Wanted) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    let found: Vec<_> = pieces(pem).into_iter().flat_map(CertificateDer::pem_slice_iter).flatten().collect();
    if found.is_empty() { Err(Unfit { wanted, found: look(pem, wanted) }) } else { Ok(found) }
}

/// UTF-8's byte order mark, which editors of Windows write. It would hide the line that it stands before.
const MARK: &str = "\u{feff}";

/// `pem` cut at the byte order marks, of which files that were joined have several.
fn pieces(pem: &[u8]) -> Vec<&[u8]> {
    let (first, rest) = (MARK.as_bytes()[0], &MARK.as_bytes()[1..]);
    if !pem.contains(&first) {
        return vec![pem];
    }
    pem.split(|byte| *byte == first).map(|piece| piece.strip_prefix(rest).unwrap_or(piece)).collect()
}

/// What `bytes` hold, where nothing that was wanted could be read from them.
fn look(bytes: &[u8], wanted: Wanted) -> Found {
    let bytes = bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"-\0-") {
        return Found::Utf16;
    }
    if bytes.starts_with(b"\xfe\xed\xfe\xed") {
        return Found::KeyStore;
    }
    if let Some(found) = look_at_der(bytes, wanted) {
        return found;
    }
    let text = Zeroizing::new(text::lossy(bytes).into_owned());
    if text.contains("-----BEGIN ") { look_at_pem(&text, wanted) } else { look_at_base64(&text, wanted) }
}

/// What the binary forms begin with: a sequence whose first member tells them apart, and which no text has.
fn look_at_der(bytes: &[u8], wanted: Wanted) -> Option<Found> {
    let [0x30, length, rest @ ..] = bytes else { return None };
    // From 128 bytes on, the length has some bytes of its own.
    let further = length.checked_sub(0x80).filter(|count| *count <= 4);
    match rest.get(usize::from(further.unwrap_or_default())..)? {
        [0x30, ..] if further.is_some() => Some(Found::Der),
        [0x02, 0x01, 0x03, 0x30, ..] => Some(Found::Pkcs12),
        [0x02, 0x01, 0x00 | 0x01, ..] if wanted == Wanted::ClientKey => Some(Found::Der),
        [0x02, 0x01, 0x00 | 0x01, ..] => Some(Found::PrivateKey),
        [0x06, 0x09, ..] => Some(Found::Pkcs7),
        _ => None,
    }
}

/// What PEM there is, by its labels ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468), and OpenSSL's own).
fn look_at_pem(text: &str, wanted: Wanted) -> Found {
    if text.contains("-----\\n") || text.contains("-----\\r") {
        return Found::Escaped;
    }
    let lines = text.lines().map(|line| line.trim_start_matches(MARK));
    let begins = lines.filter_map(|line| Some((line, line.find("-----BEGIN ")?)));
    let (mut joined, mut indented, mut labels) = (false, false, Vec::new());
    for (line, at) in begins {
        let (label, after) = line[at + "-----BEGIN ".len()..].split_once("-----").unwrap_or_default();
        joined |= !after.trim().is_empty();
        indented |= at > 0;
        labels.push(label);
    }
    let has = |names: &[&str]| labels.iter().any(|label| names.contains(label));
    let key = wanted == Wanted::ClientKey;
    if has(&["ENCRYPTED PRIVATE KEY"]) || text.contains("Proc-Type: 4,ENCRYPTED") {
        return if key { Found::Encrypted } else { Found::PrivateKey };
    }
    if joined || indented {
        return if joined { Found::Joined } else { Found::Indented };
    }
    let keys: &[&str] = &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    if has(if key { keys } else { &["CERTIFICATE"] }) {
        return Found::Damaged;
    }
    let kinds: [(&[&str], Found); 9] = [
        (&["DSA PRIVATE KEY"], if key { Found::Unsupported } else { Found::PrivateKey }),
        (keys, Found::PrivateKey),
        (&["TRUSTED CERTIFICATE", "X509 CERTIFICATE"], if key { Found::Certificate } else { Found::Trusted }),
        (&["CERTIFICATE"], Found::Certificate),
        (&["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"], Found::Request),
        (&["X509 CRL"], Found::RevocationList),
        (&["PUBLIC KEY", "RSA PUBLIC KEY"], Found::PublicKey),
        (&["OPENSSH PRIVATE KEY"], Found::OpenSshKey),
        (&["PKCS7", "CMS"], Found::Pkcs7),
    ];
    kinds.into_iter().find(|(names, _)| has(names)).map_or(Found::Nothing, |(_, found)| found)
}

/// What a text without PEM is once it is decoded.
fn look_at_base64(text: &str, wanted: Wanted) -> Found {
    let packed = Zeroizing::new(text.split_ascii_whitespace().collect::<String>());
    let Ok(decoded) = BASE64_STANDARD.decode(packed.as_bytes()).map(Zeroizing::new) else { return Found::Nothing };
    if decoded.starts_with(b"-----BEGIN ") {
        Found::Base64OfPem
    } else if look_at_der(&decoded, wanted).is_some() {
        Found::Base64OfDer
    } else {
        Found::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_and_certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["vault".to_owned()]).unwrap();
        (made.signing_key.serialize_pem(), made.cert.pem())
    }

    #[test]
    fn one_usable_certificate_among_garbage_is_enough_and_none_is_an_error() {
        let (_, good) = key_and_certificate();
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let read = |pem: &[u8]| roots(pem).map(|roots| roots.len()).map_err(|unfit| unfit.to_string());
        assert_eq!(read(format!("# comment\n{damaged}{good}").as_bytes()), Ok(2));
        assert_eq!(read(damaged.as_bytes()), Err("no certificate in it can be read".to_owned()));
        assert_eq!(read(b"\0\xff"), Err("no certificate in PEM in it".to_owned()));
        assert_eq!(read(b" \n"), Err("no certificate in PEM in it".to_owned()));
    }

    #[test]
    fn what_two_parts_of_a_comment_look_like_is_no_byte_order_mark() {
        let (_, good) = key_and_certificate();
        for comment in ["\u{feff}", "# \u{ff0c}\n", "# \u{feff}\n", "\u{feff}# \u{efff}\n\u{feff}"] {
            assert_eq!(roots(format!("{comment}{good}{comment}{good}").as_bytes()).map(|roots| roots.len()), Ok(2));
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_half_at_fault_named() {
        let ((key, certificate), (other, _)) = (key_and_certificate(), key_and_certificate());
        let read = |certificate: &str, key: &str| {
            let read = Identity::from_pem(certificate.as_bytes(), key.as_bytes());
            read.map(|identity| identity.0.cert.len()).map_err(|(half, unfit)| (half, unfit.cause()))
        };
        assert_eq!(read(&certificate, &key), Ok(1));
        let mismatch = "the key does not belong to the certificate";
        assert_eq!(read(&certificate, &other), Err((Half::Certificate, mismatch)));
        assert_eq!(read(&certificate, "nothing"), Err((Half::Key, "no private key in PEM in it")));
        assert_eq!(read("nothing", &key), Err((Half::Certificate, "no certificate in PEM in it")));
    }

    #[test]
    fn no_text_however_odd_is_a_reason_to_panic() {
        for text in ["-----BEGIN ", "-----BEGIN -----", "0", "0\u{2}", "-----BEGIN X", "=", "-----BEGIN A-----\\n"] {
            for end in 0..=text.len() {
                let _ = text.get(..end).map(|text| (roots(text.as_bytes()), look(text.as_bytes(), Wanted::ClientKey)));
            }
        }
        for length in 0..=255 {
            let _ = look(&[0x30, length, 0x02, 0x01, 0x03, 0x30], Wanted::Authority);
        }
    }
}
