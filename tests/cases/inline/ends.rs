//! Signals, time limits and leaks while a read with its login along is under way.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use serde_json::json;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{Gate, Reply};

use super::{MODES, along, asked, reading, secret, started};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;

faults! { FAULTS, scripted;
    a_signal_in_the_request_ends_the_run_and_leaves_nothing: "inline: a signal in the read", Read, 129 | 130 | 131 | 143, AtOnce;
    a_request_that_hangs_is_given_its_time_limit: "inline: a read that hangs", Read, 69, Tries;
    the_budget_ends_a_request: "inline: the budget ends in the read", Read, 69, Budget;
}

fn a_signal_in_the_request_ends_the_run_and_leaves_nothing() {
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        let raw = reading(vec![Reply::Hang(Vec::new())]);
        let scenario = along(&raw, "auto");
        let mut begun = scenario.start();
        raw.await_requests(2);
        begun.signal(signal);
        let line = format!("ERROR vault-exec: {signal}: ended by it during start-up");
        let outcome = begun.finish().expect(Expect::done().code(128 + signal as i32).stderr([line]));
        assert!(outcome.after_signal < Duration::from_secs(1), "{:?}", outcome.after_signal);
        assert_eq!(asked(&raw), "health inline");
    }
}

#[test]
fn a_signal_right_before_the_answer_starts_nothing() {
    let gate = Gate::default();
    let raw = reading(vec![secret().held(&gate)]);
    let scenario = along(&raw, "true");
    let begun = scenario.start();
    raw.await_requests(2);
    gate.open_after(begun.pid(), SIGTERM);
    let line = "ERROR vault-exec: SIGTERM: ended by it during start-up";
    begun.finish().expect(Expect::done().code(143).stderr([line]));
    assert_eq!(asked(&raw), "status inline");
}

fn a_request_that_hangs_is_given_its_time_limit() {
    for (how, status) in MODES {
        let raw = reading(vec![Reply::Hang(Vec::new())]);
        let scenario = along(&raw, how).env("VAULT_TIMEOUT", "300ms").env("VAULT_MAX_RETRIES", "1");
        scenario.run().expect(Expect::done().code(69).stderr([
            "WARN  vault-exec: read: {any} (VAULT_TIMEOUT); try 1 of 2, the next in 0ms",
            "ERROR vault-exec: vault at {addr}: the read of kv/shop/app: {any} (VAULT_TIMEOUT); {any} (2 tries in {any})",
        ]));
        assert_eq!(asked(&raw), format!("{status} inline inline"));
    }
}

fn the_budget_ends_a_request() {
    let raw = reading(vec![Reply::Hang(Vec::new())]);
    let scenario = along(&raw, "true").env("VAULT_STARTUP_TIMEOUT", "400ms");
    let outcome = scenario.run();
    let line = "ERROR vault-exec: vault at {addr}: the read of kv/shop/app: {any} of VAULT_STARTUP_TIMEOUT; {any}";
    outcome.expect(Expect::done().code(69).stderr([line]));
    assert_eq!(asked(&raw), "status inline");
}

/// What is sent is looked for in every outcome; here the server repeats it, in each form that it has got it in.
#[test]
fn what_came_along_is_shown_at_no_level_whatever_the_server_repeats() {
    let jwt = Jwt::default().encode();
    let parameter = BASE64_URL_SAFE_NO_PAD.encode(json!({"key": "jwt", "value": jwt}).to_string());
    let payload = jwt.split('.').nth(1).expect("a JWT");
    let mut formats = ["text", "json"].iter().cycle();
    for echo in [jwt.as_str(), payload, &parameter, &parameter[20..]] {
        for (status, header, begin) in [
            (400, "X-Vault-Inline-Auth-Failed: true\r\n", ""),
            (403, "", "failed to perform inline authentication: "),
            (403, "", "1 error occurred: "),
            (404, "", ""),
            (405, "", ""),
            (502, "", ""),
        ] {
            let body = json!({"errors": [format!("{begin}no {echo}")]}).to_string();
            let raw = reading(vec![Reply::with(status, &format!("X-Echo: {echo}\r\n{header}"), body.as_bytes())]);
            for (how, _) in MODES {
                let scenario = along(&raw, how).jwt_text(&jwt).hides(&parameter).env("VAULT_LOG_LEVEL", "debug");
                let scenario = scenario.env("VAULT_LOG_FORMAT", formats.next().expect("endless"));
                let scenario = scenario.env("VAULT_TERMINATION_LOG", "{folder}/termination-log");
                let scenario = scenario.env("RUST_LOG", "trace").env("VAULT_MAX_RETRIES", "1");
                let outcome = scenario.run();
                assert_ne!(outcome.code(), 0, "{}", outcome.describe());
            }
        }
    }
}

#[test]
fn a_file_of_variables_is_written_as_after_a_login() {
    let raw = reading(vec![]);
    let scenario = along(&raw, "auto").no_command().options(["--env-file", "{folder}/app.env"]);
    scenario.run().expect(Expect::done());
    assert_eq!(std::fs::read_to_string(scenario.file("app.env")).expect("a file"), "export A='a-raw-secret'\n");
    assert_eq!(asked(&raw), "health inline");
    along(&reading(vec![]), "auto").run().expect(started());
}
