//! docs/many-pods.md: what it says of quotas, on a real server of their own.

use serde_json::json;
use vault_testkit::server::{Kind, Listener, Server, skip};
use vault_testkit::{openbao, tally};

use super::{blocks, document, table};
use crate::support::scenario::Scenario;

const PAGE: &str = "docs/many-pods.md";

/// A quota is everybody's: nobody else is on this server.
fn alone(test: &str) -> Option<Server> {
    let server = Server::fresh(Kind::OpenBao).map(Server::ready);
    if server.is_none() {
        skip(test);
    }
    server
}

/// The codes of this many calls at once after each other, from this address.
fn codes(server: &Server, address: &str, path: &str, count: usize) -> Vec<String> {
    let url = format!("{}/v1/{path}", server.addr(Listener::Plain));
    let one = |_| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--interface", address, "--output", "/dev/null", "--write-out", "%{http_code}"]);
        let output = curl.args(["--data", r#"{"role": "shop", "jwt": "none"}"#, "--request"]);
        let method = if path.ends_with("login") { "POST" } else { "GET" };
        String::from_utf8(output.arg(method).arg(&url).output().unwrap().stdout).unwrap()
    };
    (0..count).map(one).collect()
}

#[test]
fn a_start_asks_what_the_page_says() {
    let test = "a_start_asks_what_the_page_says";
    let Some(server) = alone(test) else { return };
    let rows = table(&document(PAGE), "| request | path | counted by a quota |");
    let (counted, exempt): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[2] == "yes");
    assert_eq!((counted.len(), exempt.len()), (3, 1));
    let path = |row: &Vec<String>| row[1].trim_matches('`').replace("shop/prod", "{path}");
    let scenario = Scenario::new(&server).secret(&json!({"A": "a"})).kubernetes();
    let expected: Vec<_> = counted.into_iter().map(path).map(|it| it.replace("{path}", &scenario.path())).collect();
    let asked = |scenario: &Scenario| -> Vec<String> {
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 0, "{}", outcome.describe());
        outcome.requests().into_iter().map(|it| it.split_once(' ').unwrap().1.to_owned()).collect()
    };
    assert_eq!(asked(&scenario), expected);
    let batch = Scenario::new(&server).secret(&json!({"A": "a"})).kubernetes().role(&json!({"token_type": "batch"}));
    assert_eq!(asked(&batch).len(), 2);
    tally::note("openbao", test);
}

#[test]
fn a_quota_counts_as_the_page_says() {
    let test = "a_quota_counts_as_the_page_says";
    let Some(server) = alone(test) else { return };
    let quota = json!({"path": "auth/kubernetes/", "rate": 1, "interval": "60s"});
    server.must("POST", "sys/quotas/rate-limit/logins", &quota);
    let login = "auth/kubernetes/login";
    assert_eq!(codes(&server, "127.0.0.1", login, 3), ["400", "429", "429"]);
    // Another address has a bucket of its own.
    assert_eq!(codes(&server, "127.0.0.2", login, 2), ["400", "429"]);
    // The status call is exempt, until a write leaves the list out.
    server.must("POST", "sys/quotas/rate-limit/all", &json!({"rate": 1, "interval": "60s"}));
    let status = "sys/seal-status";
    assert_eq!(codes(&server, "127.0.0.3", status, 3), ["200", "200", "200"]);
    server.must("POST", "sys/quotas/config", &json!({"enable_rate_limit_response_headers": true}));
    assert_eq!(codes(&server, "127.0.0.3", status, 3), ["200", "429", "429"]);
    // The more specific quota is the only one for a login.
    assert_eq!(codes(&server, "127.0.0.3", login, 2), ["400", "429"]);
    tally::note("openbao", test);
}

/// Two requests, of which one is counted: as a read, and not as a login.
#[test]
fn a_login_that_comes_along_is_counted_as_the_page_says() {
    let test = "a_login_that_comes_along_is_counted_as_the_page_says";
    let Some(server) = alone(test) else { return };
    let scenario = Scenario::new(&server).secret(&json!({"A": "a"})).kubernetes().env("VAULT_INLINE_AUTH", "auto");
    let scenario = scenario.env("VAULT_STARTUP_TIMEOUT", "1s");
    for (name, path, rate) in [("logins", "auth/kubernetes/", 1), ("reads", "kv/", 3)] {
        let quota = json!({"path": path, "rate": rate, "interval": "60s"});
        server.must("POST", &format!("sys/quotas/rate-limit/{name}"), &quota);
    }
    let codes: Vec<_> = (0..4).map(|_| scenario.run().code()).collect();
    assert_eq!(codes, [0, 0, 0, 75]);
    tally::note("openbao", test);
}

/// The commands of the page, where their quota hinders nobody.
pub(super) fn quota() {
    let Some(server) = alone("the_commands_of_the_page_on_many_pods") else { return };
    let all = blocks(&[PAGE.to_owned()], &["sh"]);
    let [block] = &all[..] else { panic!("{} blocks", all.len()) };
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(openbao::program().unwrap(), folder.path().join("bao")).unwrap();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", &block.text]).env_clear().env("HOME", folder.path());
    shell.env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()));
    shell.env("VAULT_ADDR", server.addr(Listener::Plain)).env("VAULT_TOKEN", server.root_token());
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let rate = said.lines().find_map(|line| line.strip_prefix("rate ")).map(str::trim);
    assert!(rate == Some("50") && said.contains("sys/seal-status"), "{said}");
}

/// The formula, its examples and the least that the table computes.
#[test]
fn what_the_page_computes_is_right() {
    let page = document(PAGE);
    for (pods, rate) in [(300.0_f64, "23 a second for 300 pods"), (1000.0, "75 for 1,000")] {
        let needed = (9.0 * pods / 120.0).ceil();
        assert!(rate.starts_with(&format!("{needed} ")) && page.contains(rate), "{needed}: {rate}");
    }
    let heading = page.lines().find(|line| line.starts_with("| pods | rate |")).unwrap();
    for row in table(&page, heading) {
        let [pods, rate] = [&row[0], &row[1]].map(|it| it.parse::<f64>().unwrap());
        assert_eq!(row[3], format!("{} s", (3.0 * pods / rate).round()), "{row:?}");
    }
}
