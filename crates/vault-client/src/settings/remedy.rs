//! What to give in place of what a setting, or the file that it names, holds.

use crate::fault::Document;
use crate::options::tls::{Found, Unfit, Wanted};

/// What to give in place of what is no certificate or key.
pub fn of_pem(unfit: Unfit) -> &'static str {
    let give = match unfit.wanted {
        Wanted::Authority => "give PEM with at least one CA certificate",
        Wanted::ClientCertificate => "give the client certificate in PEM",
        Wanted::ClientKey => "give the client certificate's private key in PEM",
    };
    let key = unfit.wanted == Wanted::ClientKey;
    match unfit.found {
        Found::Utf16 => "write it in ASCII or UTF-8",
        Found::Escaped | Found::Joined => "put each line of the PEM on a line of its own",
        Found::Indented => "begin each line of the PEM at the margin",
        Found::Base64OfPem => "decode it with base64 -d",
        Found::Base64OfDer => "put these lines around it",
        Found::Der if key => "convert it with openssl pkey -inform der",
        Found::Der => "convert it with openssl x509 -inform der",
        Found::Pkcs7 => "convert it with openssl pkcs7 -print_certs",
        Found::Pkcs12 => "take certificate and key out of it with openssl pkcs12 -nodes",
        Found::KeyStore => "take the certificate out of it with keytool -exportcert -rfc",
        Found::Trusted => "convert it with openssl x509",
        Found::Request if !key => "give the certificate that the authority has made of it",
        Found::Encrypted => "decrypt it with openssl pkey, and protect the file by its mode",
        Found::Unsupported if key => "use a key on P-256 or P-384, Ed25519, or RSA of 2048 bits or more",
        Found::Unsupported => "issue another one for the key",
        Found::OtherKey => "give a PEM pair that matches",
        Found::OtherOrder => "put that one first, and its chain after it",
        _ => give,
    }
}

/// What to give in place of a JSON document that is no token.
pub fn of_json(document: Document) -> &'static str {
    match document {
        Document::Wrapped => "set VAULT_UNWRAP=true, or unwrap it first",
        Document::Encrypted => "have the agent write it without dh_type",
        Document::Login => "write only its auth.client_token",
        Document::Kubernetes => "write only its status.token",
        Document::Unknown => "write the token alone",
    }
}
