//! Environment and command line, from their bytes to a client that can ask.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::Instant;

use super::{TOKEN, hides, is_one_line};
use crate::cli::{self, Ask};
use crate::config::{self, Config, Inspected, Plan, setting};
use crate::process::environ::Environ;
use vault_client::Endpoint;
use vault_client::ToLog;

/// Answers the status check as well as a read.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n\
    {\"initialized\":true,\"sealed\":false,\"data\":{\"data\":{},\"metadata\":{\"version\":1}}}";

/// The input is what the kernel would hand over: entries that end with NUL, the environment's first, and from the first
/// one with a dash on the command line's.
///
/// What is wrong is said in one line for each setting, which names it and shows no credential, wherever that was written; where nothing is wrong,
/// every request can be made.
pub fn settings(input: &[u8]) {
    let entries: Vec<_> = input.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).collect();
    let (environment, args) =
        entries.split_at(entries.iter().position(|e| e.starts_with(b"-")).unwrap_or(entries.len()));
    // The last entry keeps the system's certificates from being read each time; of equal names the first counts.
    let environment = environment.iter().copied().chain([&b"VAULT_SKIP_VERIFY=true"[..]]);
    let environ = Environ::from_entries(environment.filter_map(|entry| CString::new(entry).ok()));
    let args = args.iter().map(|arg| OsString::from_vec(arg.to_vec()));
    let request = match cli::parse(std::iter::once("vault-exec".into()).chain(args).collect()) {
        Ok(Ask::Run(request) | Ask::Check { request, .. }) => request,
        Ok(Ask::Install(_) | Ask::LogOut | Ask::Print(_)) => return,
        Err(usage) => {
            hides(&[TOKEN], &usage.to_string());
            return is_one_line(&usage.to_string());
        }
    };
    let secrets: &[&str] = &[TOKEN];
    for setting in config::in_effect(&environ, &request.flags) {
        for text in setting.value.into_iter().chain(setting.from) {
            is_one_line(&text);
            hides(secrets, &text);
        }
    }
    let for_command = !request.command.is_empty();
    let Inspected { plan, faults, .. } = config::inspect(&environ, &request.flags, for_command);
    for fault in &faults {
        assert!(is_setting(&fault.name), "{}", fault.name);
        is_one_line(&fault.to_string());
        hides(secrets, &fault.to_string());
    }
    match plan {
        Some(Plan::Vault(config)) if faults.is_empty() => can_ask(&config, secrets),
        None => assert!(!faults.is_empty(), "nothing is wrong, and there is nothing to do"),
        Some(_) => {}
    }
}

fn is_setting(name: &str) -> bool {
    let flag = name.strip_prefix("--");
    let variables = || setting::ALL.iter().flat_map(|setting| setting.groups().flatten());
    flag.is_some_and(|flag| setting::ALL.iter().any(|setting| setting.flag == Some(flag)))
        || variables().any(|variable| variable == name)
        || ["SSL_CERT_FILE", "SSL_CERT_DIR"].contains(&name)
}

fn can_ask(config: &Config, secrets: &[&str]) {
    for warning in &config.warnings {
        is_one_line(warning);
        hides(secrets, warning);
    }
    let client = Endpoint::canned(&config.vault, config.limits(Instant::now()), Arc::new(ToLog), ANSWER);
    client.status().expect("a status check can be made");
    if config.auth.name() == "token" {
        // A file may hold none.
        let Ok(session) = client.login(&*config.auth) else { return };
        config.locations.iter().for_each(|it| drop(session.read(it).expect("a read can be made")));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that one setting or another takes, and some that none does.
    const TEXTS: &[&str] = &[
        "https://vault:8200",
        "http://127.0.0.1:8200/prefix/",
        "http://[::1]",
        "unix:///run/vault",
        "app/prod",
        "app/prod, app/common",
        "app,,../x,app,hvs.CAESIPlantedTokenThatNobodyMaySee,hvs.CAESIPlantedTokenThatNobodyMaySee",
        "/a b/ü",
        "../x",
        "30s",
        "0",
        "1m30s",
        "-1",
        "true",
        "yes",
        "token",
        "kubernetes",
        "auto",
        "latest",
        "7",
        "/dev/null",
        "::1",
        "vault.example",
        "a:B,c",
        "json",
        "0640",
        "1000:1000",
        "debug",
        "\u{1b}[31m\n",
        "\u{202e}",
        " ",
        "-",
        TOKEN,
        "https://me:hvs.CAESIPlantedTokenThatNobodyMaySee@vault",
        "http://proxy:3128",
    ];

    fn entry() -> impl Strategy<Value = Vec<u8>> {
        let names: Vec<_> = setting::ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
        let others = ["SSL_CERT_FILE", "KUBERNETES_SERVICE_HOST", "HOME", "RUST_LOG", "VAULT_ADRR", "VAULT_\n"];
        let name = prop::sample::select([names, others.map(str::to_owned).to_vec()].concat());
        let value = prop_oneof![
            6 => prop::sample::select(TEXTS).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(1..=255_u8, 0..12),
        ];
        (name, value).prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat())
    }

    fn arg() -> impl Strategy<Value = Vec<u8>> {
        const FLAGS: &[&str] = &[
            "--keys",
            "--require",
            "--allow-name",
            "--wait",
            "--env-file",
            "--format",
            "--check",
            "--",
            "--waitt",
            "--report",
            "--force",
            "-x",
        ];
        let flag = prop::sample::select(FLAGS);
        (flag, prop::sample::select(TEXTS)).prop_map(|(flag, text)| match flag {
            "--" => flag.as_bytes().to_vec(),
            _ => format!("{flag}={text}").into_bytes(),
        })
    }

    proptest! {
        #[test]
        fn settings_hold_for_texts_of_the_right_kind_in_wrong_places(
            entries in prop::collection::vec(entry(), 0..8),
            sound in any::<bool>(),
            args in prop::collection::vec(arg(), 0..3),
        ) {
            let base = [&b"VAULT_ADDR=http://vault"[..], b"VAULT_PATH=app", b"VAULT_TOKEN=hvs.x"].map(<[u8]>::to_vec);
            let base = if sound { base.to_vec() } else { Vec::new() };
            settings(&[entries, base, args].concat().join(&0));
        }
    }
}
