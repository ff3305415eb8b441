//! Credentials written where none belongs: in any setting, flag, path or name. No output shows them.

use std::collections::BTreeSet;

use vault_exec::config::setting;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::Raw;

use crate::support::scenario::Scenario;

/// What somebody has in the clipboard. Of a key the whole is looked for, and each line of it.
fn credentials() -> Vec<Vec<String>> {
    let key = [
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgo7J9mXwQ1bZr4Kfc",
        "V3n8sPq2LxTdYwRk5uHgJ0aBiEzMoFhC1vXyWnKQlGShRANCAAQZr7t9UeOpIdNm",
    ];
    let [begin, end] = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"];
    let parts = key.map(str::to_owned);
    let written = |text: String| [vec![text], parts.to_vec()].concat();
    vec![
        vec!["hvs.CAESIJ3pVxQe1aBcDeFgHiJkLmNoPqRsTuVw".to_owned()],
        vec!["s.raPGTZdARXdY0KvHcWSpp5wWZIHNT".to_owned()],
        vec![Jwt::default().encode()],
        written(format!("{begin}\n{}\n{end}\n", key.join("\n"))),
        written(format!("{begin}\\n{}\\n{end}", key.join("\\n"))),
        written(format!("{begin} {} {end}", key.join(" "))),
        written(key.join("\n")),
        vec!["3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea".to_owned()],
    ]
}

/// What is written into a path or a role belongs into the requests, which are not looked at here.
fn at(raw: &Raw) -> Scenario<'static> {
    let scenario = Scenario::offline().at(&raw.addr()).jwt(&Jwt::default());
    scenario.env("VAULT_PATH", "shop/app").env("VAULT_ROLE", "shop").env("VAULT_RETRY_DELAY", "0")
}

fn hiding<'a>(scenario: Scenario<'a>, credential: &[String]) -> Scenario<'a> {
    let scenario = scenario.env("VAULT_TERMINATION_LOG", "{folder}/log").env("VAULT_STARTUP_TIMEOUT", "2s");
    credential.iter().fold(scenario, |scenario, secret| scenario.hides(secret))
}

#[test]
fn a_credential_in_any_setting_is_in_no_output() {
    let credentials = credentials();
    let names: BTreeSet<String> = setting::ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
    let others = ["SSL_CERT_FILE", "SSL_CERT_DIR", "VAULT_ADRR", "VAULT_HTTP_PROXY", "HOME", "PATH"].map(str::to_owned);
    for (n, name) in names.into_iter().chain(others).enumerate() {
        for (n, credential) in [n, n + 3].map(|n| (n, &credentials[n % credentials.len()])) {
            for (options, format) in
                [(&[][..], "text"), (&["--check"], "json"), (&["--check", "--report", "json"], "text")]
            {
                let raw = Raw::start([]);
                let scenario = hiding(at(&raw), credential).env("VAULT_LOG_FORMAT", format);
                let place = if n % 2 == 0 { credential[0].clone() } else { format!("/run/{}/x", credential[0]) };
                scenario.env("VAULT_LOG_LEVEL", "debug").env(&name, place).options(options).run();
            }
        }
    }
}

#[test]
fn a_credential_in_any_flag_or_name_is_in_no_output() {
    let raw = Raw::start([]);
    for credential in credentials() {
        let text = &credential[0];
        for options in [
            vec![format!("--check={text}")],
            vec![format!("--force={text}")],
            vec![format!("--{text}")],
            vec![format!("-{text}")],
            vec![format!("--token={text}")],
            vec!["--check".to_owned(), "--report".to_owned(), text.clone()],
            vec!["--wait".to_owned(), text.clone()],
            vec![format!("--keys={text}")],
            vec![format!("--require={text}")],
            vec![format!("--allow-name={text}"), format!("--require={text}")],
        ] {
            hiding(at(&raw), &credential).options(&options).run();
            hiding(Scenario::offline(), &credential).options(&options).run();
        }
        for options in [
            vec!["--env-file".to_owned(), format!("/none/{text}")],
            vec!["--env-file".to_owned(), text.clone(), "--format".to_owned(), text.clone()],
            vec!["--install".to_owned(), format!("/none/{text}")],
            vec!["--check".to_owned(), format!("--env-file=/none/{text}")],
        ] {
            hiding(at(&raw), &credential).no_command().options(&options).run();
        }
        for command in [text.clone(), format!("/none/{text}"), format!("./{text}")] {
            for options in [&[][..], &["--check"]] {
                hiding(at(&raw), &credential).options(options).command([&command]).run();
                hiding(Scenario::offline(), &credential).options(options).command([&command]).run();
            }
        }
    }
}

#[test]
fn what_is_hidden_leaves_the_message_that_names_the_setting() {
    let token = "hvs.CAESIJ3pVxQe1aBcDeFgHiJkLmNoPqRsTuVw";
    let remedy = "write a token into it, or correct VAULT_TOKEN_FILE";
    let misplaced = "it looks like a token itself: VAULT_TOKEN takes that, VAULT_TOKEN_FILE the path of a file";
    let raw = Raw::start([]);
    let scenario = || at(&raw).hides(token);
    let digest = "/images/sha256-3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea/token";
    for (place, shown, remedy) in [(token, "***", misplaced), (digest, "/images/sha256-***/token", remedy)] {
        let message = format!("token file {shown}: not found; {remedy}");
        scenario().env("VAULT_TOKEN_FILE", place).run().expect_failure(66, &message);
    }
    scenario()
        .env("VAULT_TIMEOUT", token)
        .run()
        .expect_failure(78, "VAULT_TIMEOUT = \"***\": not a duration; write one such as 500ms, 30s or 1m30s");
    scenario().options([format!("--check={token}")]).run().expect_failure(
        64,
        "unexpected value '***' for '--check' found; no more were expected; usage: vault-exec [OPTIONS] [--] COMMAND \
         [ARG]..., more by --help",
    );
    let absent = at(&raw).env("VAULT_ROLE", token).env("VAULT_PATH", format!("shop/{token}")).hides(&token[4..]);
    absent.run().expect_failure(
        66,
        "vault at {addr}: nothing at kv/shop/***; check VAULT_PATH, VAULT_SECRET_VERSION and VAULT_NAMESPACE, and that \
         VAULT_MOUNT_POINT is a KV version 2 mount",
    );
}
