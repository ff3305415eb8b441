//! Trust and identity: which files, read and judged here so that their faults stand beside all others.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::reader::{Found, Reader};
use super::trust::{self, Roots};
use super::value::boolean;
use super::{ProcessEnv, TABLE, remedy, setting};
use crate::credential;
use crate::options::tls::{Half, Identity, Tls, roots};
use crate::text;

/// Where distributions keep the bundle of system roots.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The settings of TLS as they were, to read their files again: a client that lives for weeks outlives its certificates.
pub struct Material {
    variables: ProcessEnv,
    https: bool,
}

impl Material {
    /// Those that `reader` finds; the system's are read where `https` makes them matter.
    pub fn of(reader: &Reader, https: bool) -> Self {
        let settings = [
            &setting::SKIP_VERIFY,
            &setting::TLS_SERVER_NAME,
            &setting::CACERT,
            &setting::CACERT_BYTES,
            &setting::CAPATH,
            &setting::CLIENT_CERT,
            &setting::CLIENT_KEY,
        ];
        let names = settings.iter().flat_map(|setting| setting.groups().flatten());
        let names = names.chain(["SSL_CERT_FILE".to_owned(), "SSL_CERT_DIR".to_owned()]);
        Self { variables: ProcessEnv::part(names, |name| reader.bytes(name)), https }
    }

    /// What the files hold now; `None` where they cannot be used, as in the middle of their renewal.
    pub fn read(&self) -> Option<Tls> {
        let mut reader = Reader::new(&self.variables, &TABLE);
        let tls = read(&mut reader, self.https);
        reader.faults.is_empty().then_some(tls)
    }
}

/// Reads everything that TLS needs. The system's roots are read only where `https` makes them matter.
pub(super) fn read(reader: &mut Reader, https: bool) -> Tls {
    let verify = !reader.value(&setting::SKIP_VERIFY, boolean);
    let server_name = reader.parse(&setting::TLS_SERVER_NAME, |name| {
        let valid = rustls::pki_types::ServerName::try_from(name).is_ok();
        if valid {
            Ok(name.to_owned())
        } else {
            Err("neither a DNS name nor an IP address; write one that the certificate carries")
        }
    });
    let given = given_roots(reader);
    let roots = if given.is_none() && https && verify { system_roots(reader) } else { given };
    Tls { roots, identity: identity(reader), server_name, verify }
}

/// The first that is given wins; each is judged alone, so a wrong one never falls back on the next.
fn given_roots(reader: &mut Reader) -> Option<Roots> {
    for (setting, read) in [
        (&setting::CACERT, of_file as fn(&str) -> Result<Roots, String>),
        (&setting::CACERT_BYTES, of_text),
        (&setting::CAPATH, of_path),
    ] {
        let Some(Found { name, text }) = reader.find(setting) else { continue };
        let held = Some(text.clone()).filter(|text| setting.name != setting::CACERT_BYTES.name && !is_pem(text));
        return match read(&text) {
            Ok(roots) => Some(roots),
            Err(cause) => {
                reader.fault(name, held, cause);
                Some(Vec::new())
            }
        };
    }
    None
}

fn of_file(path: &str) -> Result<Roots, String> {
    if is_pem(path) {
        return Err("PEM itself, not a file's path; set VAULT_CACERT_BYTES to it".into());
    }
    trust::of_file(Path::new(path)).map_err(|unusable| unusable.sentence())
}

fn of_path(path: &str) -> Result<Roots, String> {
    if is_pem(path) {
        return Err("PEM itself, not a folder's path; set VAULT_CACERT_BYTES to it".into());
    }
    trust::of_path(Path::new(path)).map_err(|unusable| unusable.sentence())
}

fn of_text(text: &str) -> Result<Roots, String> {
    roots(text.as_bytes()).map_err(|unfit| {
        let path = text.starts_with('/') && Path::new(text).exists();
        if path {
            "a file's path, not PEM; set VAULT_CACERT to it".into()
        } else {
            format!("{unfit}; {}", remedy::of_pem(unfit))
        }
    })
}

/// Whether `text` is PEM where a path should be.
fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

/// What the application's variables say, else the distribution's bundle, else the roots built in.
fn system_roots(reader: &mut Reader) -> Option<Roots> {
    let path = |name| reader.bytes(name).map(OsStr::from_bytes);
    match trust::of_application(path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
        Ok(Some(roots)) => Some(roots),
        Ok(None) => BUNDLES.iter().find_map(|bundle| trust::of_file(Path::new(bundle)).ok()),
        Err(unusable) => {
            for (name, path, why) in unusable {
                let cause = format!("{}; correct it, or set VAULT_CACERT", why.cause());
                reader.fault(name, Some(text::lossy(path.as_os_str().as_bytes()).into_owned()), cause);
            }
            Some(Vec::new())
        }
    }
}

fn identity(reader: &mut Reader) -> Option<Identity> {
    let (certificate, key) = match (reader.find(&setting::CLIENT_CERT), reader.find(&setting::CLIENT_KEY)) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(found), None) => {
            fault(reader, found, "VAULT_CLIENT_KEY is missing; set both or neither");
            return None;
        }
        (None, Some(found)) => {
            fault(reader, found, "VAULT_CLIENT_CERT is missing; set both or neither");
            return None;
        }
    };
    let mut read = |found: &Found| {
        let cause = if is_pem(&found.text) {
            "PEM itself, not a file's path; write it into a file, and set this to the file's path".to_owned()
        } else {
            match credential::read(Path::new(&found.text), trust::MAX_FILE) {
                Ok(bytes) => return Some(bytes),
                Err(cause) => format!("{cause}; give a PEM file that this user can read"),
            }
        };
        fault(reader, found.clone(), cause);
        None
    };
    let (pem, key_pem) = (read(&certificate), read(&key));
    match Identity::from_pem(&pem?, &key_pem?) {
        Ok(identity) => Some(identity),
        Err((half, unfit)) => {
            let wrong = if half == Half::Key { key } else { certificate };
            fault(reader, wrong, format!("{unfit}; {}", remedy::of_pem(unfit)));
            None
        }
    }
}

/// Notes a fault of a setting that holds a path.
fn fault(reader: &mut Reader, found: Found, cause: impl Into<String>) {
    let held = Some(found.text).filter(|text| !is_pem(text));
    reader.fault(found.name, held, cause);
}
