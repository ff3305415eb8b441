//! Which way to log in: the one named, or the first that there is something for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::{setting, value};
use crate::process::environ::Environ;
use vault_client::Secret;
use vault_client::login::json_is;
use vault_client::text;
use vault_client::{Kubernetes, Login, Token, TokenSource};

/// Returns `None` only if a fault was recorded.
pub(super) fn read(reader: &mut Reader, environ: &Environ, warnings: &mut Vec<String>) -> Option<Box<dyn Login>> {
    let token = reader.parse(&setting::TOKEN, |text| {
        if text.starts_with('{') {
            let (what, remedy) = json_is(text.as_bytes());
            return Err(format!("{what}; {remedy}"));
        }
        value::token(text).map(Secret::new).map_err(str::to_owned)
    });
    let given = |token: Option<Secret>| token.map(TokenSource::Given);
    let file = reader.find(&setting::TOKEN_FILE).map(|found| TokenSource::File(found.text.into()));
    let home = environ
        .get("HOME")
        .filter(|home| !home.is_empty())
        .map(|home| Path::new(OsStr::from_bytes(home)).join(".vault-token"))
        .filter(|path| path.exists())
        .map(TokenSource::File);
    let jwt: PathBuf = reader
        .find(&setting::K8S_TOKEN_PATH)
        .map_or_else(|| setting::K8S_TOKEN_PATH.default.into(), |found| found.text.into());
    let in_pod = environ.get("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) || jwt.exists();
    // Their syntax is judged whether they are used or not.
    let role = reader.parse(&setting::ROLE, value::role);
    let mut mount =
        reader.parse(&setting::K8S_AUTH_MOUNT_POINT, value::segments).unwrap_or_else(|| "kubernetes".into());
    if mount.starts_with("auth/") {
        mount.drain(.."auth/".len());
        warnings.push(format!("VAULT_K8S_AUTH_MOUNT_POINT is read as {mount}: leave auth/ out, it is added by itself"));
    }
    let revoke = reader.parse(&setting::REVOKE, value::boolean).unwrap_or(true);
    let faults_before = reader.faults.len();
    let method = reader.parse(&setting::AUTH_METHOD, |text| match text {
        "auto" => Ok(None),
        "token" => Ok(Some(false)),
        "kubernetes" => Ok(Some(true)),
        _ => Err("unknown; write token, kubernetes or auto"),
    });
    if method.is_none() && reader.faults.len() > faults_before {
        return None;
    }
    let named = method.flatten();
    let kubernetes = match named {
        Some(kubernetes) => kubernetes,
        None => token.is_none() && file.is_none() && in_pod,
    };
    if kubernetes {
        if reader.is_unset(&setting::ROLE) {
            reader.fault(
                "VAULT_ROLE",
                None,
                "unset; the kubernetes login needs a role, set it to the one made for this pod",
            );
        }
        return Some(Box::new(Kubernetes { mount, role: role?, jwt, revoke }));
    }
    let source = given(token).or(file).or(home);
    if source.is_none() && !reader.faults.iter().any(|fault| fault.name.ends_with("_TOKEN")) {
        let jwt = text::os(&jwt);
        let pod = if named.is_some() {
            String::new()
        } else {
            format!("run in a pod with a service-account token at {jwt}, or ")
        };
        let cause = format!(
            "no way to log in: set VAULT_TOKEN or VAULT_TOKEN_FILE, or {pod}log in with the official client \
             ($HOME/.vault-token)"
        );
        reader.fault("VAULT_AUTH_METHOD", None, cause);
    }
    source.map(|source| Box::new(Token(source)) as Box<dyn Login>)
}
