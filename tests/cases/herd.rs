//! Many instances that start at once: on the real server as it is, and on the embedded one with a rate limit.
//! `HERD_SIZE` and `HERD_LIMITED_SIZE` say how many, `HERD_RATE` and `HERD_BUDGET` at which rate and within how many
//! seconds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vault_testkit::server::{Asked, Kind, Server, on};
use vault_testkit::{eventually, random};

use crate::support::herd::{self, One, Summary, densest};
use crate::support::scenario::Scenario;

/// What a start of a process and its end take on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn a_herd_on_the_real_server_succeeds_and_leaves_no_token() {
    on(Kind::OpenBao, "herd", |server| {
        let size = number("HERD_SIZE", 20);
        let scenario = scenario(server);
        println!("herd: {size} at once on OpenBao");
        let herd = herd::of(&scenario, size);
        println!("{}", Summary(&herd));
        whole_or_loud(&scenario, &herd, Duration::from_secs(120));
        assert!(herd.iter().all(|one| one.code == 0), "{}", logs(&herd));
        assert_eq!(server.live_tokens("", &scenario.name), 0);
    });
}

#[test]
fn a_herd_that_is_rate_limited_spreads_and_gets_through() {
    let (size, rate) = (number("HERD_LIMITED_SIZE", 30), number("HERD_RATE", 20));
    // Of an instance's requests three are limited. All of them at this rate, and six times that for the pauses between:
    // whoever sets a limit on starts allows for that.
    let budget = number("HERD_BUDGET", 60 + 6 * 3 * size / rate);
    let settings = [("VAULT_STARTUP_TIMEOUT", &format!("{budget}s"))];
    let budget = Duration::from_secs(budget as u64);
    let server = Server::fresh(Kind::Embedded).expect("it is built in").ready();
    let scenario = settings.iter().fold(scenario(&server), |it, (name, value)| it.env(name, *value));
    server.must("POST", "sys/quotas/rate-limit/herd", &json!({"rate": rate}));
    println!("herd: {size} at once, {rate} requests a second, Retry-After: 1");
    println!("{}", settings.map(|(name, value)| format!("{name}={value}")).join(" "));
    let herd = herd::of(&scenario, size);
    println!("{}", Summary(&herd));
    whole_or_loud(&scenario, &herd, budget);
    // Whoever is told to come again uses up no try.
    assert!(herd.iter().all(|one| one.code == 0), "{}", logs(&herd));

    let again = retried(&server.asked(""));
    let densest = densest(again.clone(), Duration::from_millis(100));
    let left = herd.iter().filter(|one| one.log.contains("the token stays valid for")).count();
    println!("retries at the server: {}, at most {densest} in 100 ms; tokens left: {left}", again.len());
    eventually("the limit is lifted", || server.admin("DELETE", "sys/quotas/rate-limit/herd", &Value::Null).0 == 204);
    assert_eq!(server.live_tokens("", &scenario.name), left);
    // Few ones come together by chance.
    assert!(densest <= (again.len() / 10).max(10), "a wave: {densest} of {}", again.len());
}

/// The real server rounds its wish down to `Retry-After: 0`, which must not use up all tries within a moment.
#[test]
fn the_real_servers_own_rate_limit_is_got_through() {
    on(Kind::OpenBao, "rate_limit", |server| {
        let scenario = scenario(server).env("VAULT_K8S_AUTH_MOUNT_POINT", "{name}").env("VAULT_RETRY_DELAY", "500ms");
        let name = &scenario.name;
        server.enable_kubernetes("", name);
        let role = server.must("GET", &format!("auth/kubernetes/role/{name}"), &Value::Null);
        server.must("POST", &format!("auth/{name}/role/{name}"), &role["data"]);
        server.must("POST", "sys/quotas/config", &json!({"enable_rate_limit_response_headers": true}));
        let quota = json!({"path": format!("auth/{name}/"), "rate": 2});
        server.must("POST", &format!("sys/quotas/rate-limit/{name}"), &quota);
        let herd = herd::of(&scenario, 4);
        whole_or_loud(&scenario, &herd, Duration::from_secs(120));
        assert!(herd.iter().all(|one| one.code == 0), "{}", logs(&herd));
        assert!(herd.iter().any(|one| one.log.contains("answered with 429")), "nothing was refused");
        assert_eq!(server.live_tokens("", name), 0);
    });
}

fn number(name: &str, default: usize) -> usize {
    random::number(name).map_or(default, |number| usize::try_from(number).expect("a size"))
}

fn scenario(server: &Server) -> Scenario<'_> {
    Scenario::new(server).secret(&json!({"A": "a-secret", "B": "b".repeat(5000)})).kubernetes()
}

fn whole_or_loud(scenario: &Scenario, herd: &[One], budget: Duration) {
    let given = scenario.given_env().into_iter().map(|(name, value)| (name, value.into_string().expect("a text")));
    let secret = [("A".to_owned(), "a-secret".to_owned()), ("B".to_owned(), "b".repeat(5000))];
    let mut wanted: Vec<_> = given.chain(secret).map(|(name, value)| format!("{name}={value}")).collect();
    wanted.sort();
    for one in herd {
        assert!(one.elapsed < budget + Duration::from_secs(1) + SLACK, "{:?}\n{}", one.elapsed, one.log);
        match &one.env {
            Some(env) => assert_eq!((one.code, env), (0, &wanted), "{}", one.log),
            None => assert!(matches!(one.code, 69 | 75) && one.log.contains("ERROR vault-exec: "), "{}", one.log),
        }
    }
}

fn logs(herd: &[One]) -> String {
    herd.iter().map(|one| one.log.as_str()).collect()
}

/// When those came that came again after a refusal: over the connection that they had, or, after a longer pause, over a
/// new one, which then does not begin with the status check.
fn retried(asked: &[Asked]) -> Vec<Instant> {
    let mut refused = HashMap::new();
    let mut again = Vec::new();
    for one in asked {
        let (status, at) = one.answered.expect("the embedded server tells");
        let begins = one.path == "sys/seal-status";
        if refused.insert(one.connection, status == 429).unwrap_or(!begins) {
            again.push(at);
        }
    }
    again
}
