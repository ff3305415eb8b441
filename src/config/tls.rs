//! Trust and identity: which files, read and judged here so that their faults stand beside all others.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::reader::{Found, Reader};
use super::setting;
use super::value::boolean;
use crate::process::environ::Environ;
use crate::text::{escaped, shown};
use crate::vault::tls::{Identity, Tls, roots};

/// Where distributions keep the bundle of system roots.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Larger files are no certificates; all public roots together take a quarter of a megabyte.
const MAX_FILE: u64 = 16 << 20;

type Roots = Vec<CertificateDer<'static>>;

/// Reads everything that TLS needs. The system's roots are read only where `https` makes them matter.
pub fn read(reader: &mut Reader, environ: &Environ, https: bool) -> Tls {
    let verify = !reader.parse(&setting::SKIP_VERIFY, boolean).unwrap_or(false);
    let server_name = reader.parse(&setting::TLS_SERVER_NAME, |name| {
        let valid = rustls::pki_types::ServerName::try_from(name).is_ok();
        if valid {
            Ok(name.to_owned())
        } else {
            Err("neither a DNS name nor an IP address; write one that the certificate carries")
        }
    });
    let given = given_roots(reader);
    let roots = if given.is_none() && https && verify { system_roots(reader, environ) } else { given };
    Tls { roots, identity: identity(reader), server_name, verify }
}

/// The first that is given wins; each is judged alone, so a wrong one never falls back on the next.
fn given_roots(reader: &mut Reader) -> Option<Roots> {
    for (setting, read) in [
        (&setting::CACERT, read_file as fn(&str) -> Result<Roots, String>),
        (&setting::CACERT_BYTES, |pem| roots(pem.as_bytes())),
        (&setting::CAPATH, read_path),
    ] {
        let Some(Found { name, text }) = reader.find(setting) else { continue };
        let held = Some(text.clone()).filter(|_| setting.name != setting::CACERT_BYTES.name);
        return match read(&text) {
            Ok(roots) => Some(roots),
            Err(cause) => {
                reader.fault(name, held, format!("{cause}; give PEM with at least one CA certificate"));
                Some(Vec::new())
            }
        };
    }
    None
}

fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let cause = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "not found".to_owned(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => escaped(&error.to_string()),
    };
    if !fs::metadata(path).map_err(cause)?.is_file() {
        return Err("not a regular file".into());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(cause)?;
    if bytes.len() as u64 > MAX_FILE { Err("larger than 16 MiB".into()) } else { Ok(bytes) }
}

fn read_file(path: &str) -> Result<Roots, String> {
    roots(&read_bytes(Path::new(path))?)
}

/// A file, or every file of a directory. Names that begin with two dots are the machinery of a `ConfigMap` volume: the
/// links beside them lead to the same files.
fn read_path(path: &str) -> Result<Roots, String> {
    if Path::new(path).is_file() {
        return read_file(path);
    }
    let mut files: Vec<PathBuf> = fs::read_dir(path)
        .map_err(|error| escaped(&error.to_string()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file() && !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("..")))
        .collect();
    files.sort();
    let mut all = Roots::new();
    for file in files {
        let name = shown(&file.to_string_lossy());
        all.extend(read_bytes(&file).and_then(|pem| roots(&pem)).map_err(|cause| format!("{name}: {cause}"))?);
    }
    if all.is_empty() { Err("no file in it".into()) } else { Ok(all) }
}

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` as OpenSSL has them, else the distribution's bundle, else the roots built in.
fn system_roots(reader: &mut Reader, environ: &Environ) -> Option<Roots> {
    let text = |name| environ.get(name).and_then(|v| std::str::from_utf8(v).ok()).filter(|v| !v.is_empty());
    let (file, directories) = (text("SSL_CERT_FILE"), text("SSL_CERT_DIR"));
    if file.is_none() && directories.is_none() {
        return BUNDLES.iter().find_map(|bundle| read_file(bundle).ok());
    }
    let mut all = Roots::new();
    if let Some(file) = file {
        match read_file(file) {
            Ok(roots) => all.extend(roots),
            Err(cause) => {
                let cause = format!("{cause}; correct it, or set VAULT_CACERT");
                reader.fault("SSL_CERT_FILE", Some(file.to_owned()), cause);
            }
        }
    }
    for directory in directories.into_iter().flat_map(|list| list.split(':')) {
        match read_path(directory) {
            Ok(roots) => all.extend(roots),
            Err(cause) => {
                let cause = format!("{cause}; correct it, or set VAULT_CACERT");
                reader.fault("SSL_CERT_DIR", Some(directory.to_owned()), cause);
            }
        }
    }
    Some(all)
}

fn identity(reader: &mut Reader) -> Option<Identity> {
    let (certificate, key) = match (reader.find(&setting::CLIENT_CERT), reader.find(&setting::CLIENT_KEY)) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(found), None) => {
            reader.fault(found.name, Some(found.text), "VAULT_CLIENT_KEY is missing; set both or neither");
            return None;
        }
        (None, Some(found)) => {
            reader.fault(found.name, Some(found.text), "VAULT_CLIENT_CERT is missing; set both or neither");
            return None;
        }
    };
    let mut read = |found: &Found| match read_bytes(Path::new(&found.text)) {
        Ok(bytes) => Some(bytes),
        Err(cause) => {
            let cause = format!("{cause}; give a PEM file that this user can read");
            reader.fault(found.name.clone(), Some(found.text.clone()), cause);
            None
        }
    };
    let (pem, key_pem) = (read(&certificate), read(&key));
    match Identity::from_pem(&pem?, &key_pem?) {
        Ok(identity) => Some(identity),
        Err(cause) => {
            reader.fault(certificate.name, Some(certificate.text), format!("{cause}; give a PEM pair that matches"));
            None
        }
    }
}
