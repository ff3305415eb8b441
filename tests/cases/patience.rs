//! Refusals that pass by themselves: how often, how soon and how long they are tried again.

use std::time::Duration;

use serde_json::{Value, json};
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{LOGIN, READ, REVOKE, Raw, Reply, STATUS, whole};
use vault_testkit::server::{Kind, Server, on};
use vault_testkit::tap::Tap;

use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;

faults! { FAULTS, scripted;
    a_rate_limit_uses_up_no_tries: "429 of a rate limit, which passes", Read, 0, Budget;
    a_rate_limit_ends_with_the_budget_alone: "429 of a rate limit, which stays", Each, 75, Budget;
    a_node_that_is_behind_is_asked_again_soon: "412, 429 without a reason or 400 of a node that has not caught up, which passes", Read, 0, Pauses;
    a_node_that_stays_behind_is_not_called_a_rate_limit: "the same, which stays", Read, 75, AtOnce;
    a_mount_that_is_being_upgraded_is_waited_for: "400 of a KV mount that is being upgraded, which passes", Read, 0, Pauses;
    an_upgrade_that_takes_too_long_is_told: "the same, which stays", Read, 75, AtOnce;
    a_denial_without_a_reason_is_tried_twice_more: "403 without a reason at a login with a good JWT, which stays", Login, 77, Pauses;
    a_token_review_that_fails_once_fails_no_start: "the same, which passes", Read, 0, Pauses;
    a_denial_with_a_reason_is_final: "403 with a reason at a login, or without one and with a JWT that has expired", Login, 77, AtOnce;
    a_standby_that_sends_logins_on_is_tried_again: "307 to the same path, as of a node that does not lead", Login, 75, Pauses;
    a_standby_that_sends_reads_on_is_tried_again: "the same", Read, 75, Pauses;
    a_leader_that_is_elected_meanwhile_is_found: "the same at login, read and revoke, which passes", Read, 0, Pauses;
}

fn refused(status: u16, headers: &str, text: Option<&str>) -> Reply {
    let body = json!({"errors": text.into_iter().collect::<Vec<_>>()});
    Reply::with(status, &format!("Content-Type: application/json\r\n{headers}"), body.to_string().as_bytes())
}

fn well() -> Reply {
    Reply::secret(r#"{"A":"a-raw-secret"}"#)
}

fn started() -> Expect {
    Expect::started().env([("A", "a-raw-secret")])
}

const DONE: &str = "INFO  vault-exec: 1 variable from kv/shop/app version 7 of {any}; {any}; token revoked";

fn busy() -> Reply {
    refused(429, "Retry-After: 0\r\n", Some("request path \"x\": rate limit quota exceeded"))
}

fn a_rate_limit_uses_up_no_tries() {
    let raw = Raw::start([(READ, vec![busy(), busy(), busy(), well()])]);
    let scenario = Scenario::against(&raw).env("VAULT_MAX_RETRIES", "0");
    let line = "WARN  vault-exec: read: the read of kv/shop/app was answered with 429: \
                request path \"x\": rate limit quota exceeded; the next try in {any}ms";
    scenario.run().expect(started().stderr([line, line, line, DONE]));
    let times: Vec<_> = raw.whole_requests().iter().map(|request| request.at).collect();
    let pauses: Vec<_> = times[2..6].windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    for (pause, longest) in pauses.iter().zip([250, 500, 1000]) {
        // A busy machine makes one longer, nothing makes one shorter.
        assert!((longest / 2..longest + 1000).contains(pause), "{pauses:?}");
    }
}

fn a_rate_limit_ends_with_the_budget_alone() {
    for step in [STATUS, LOGIN, READ] {
        let raw = Raw::start([(step, vec![busy()])]);
        let scenario = Scenario::against(&raw).env("VAULT_STARTUP_TIMEOUT", "1s").env("VAULT_LOG_LEVEL", "error");
        scenario.run().expect_failure(
            75,
            "vault at {addr}: {any} was answered with 429: request path \"x\": rate limit quota exceeded; \
             a rate limit: raise the quota, or let VAULT_STARTUP_TIMEOUT allow for it \
             ({any} in {any}; a pause of {any} is beyond VAULT_STARTUP_TIMEOUT, 1s)",
        );
    }
}

/// What a node says that does not know yet what another has done.
fn behind() -> [Reply; 3] {
    let read_only = "failed to persist lease entry: cannot write to readonly storage";
    [refused(412, "", None), refused(429, "Retry-After: 0\r\n", None), refused(400, "", Some(read_only))]
}

fn a_node_that_is_behind_is_asked_again_soon() {
    for reply in behind() {
        for (step, well) in [(READ, well()), (LOGIN, Reply::login(&json!({})))] {
            let raw = Raw::start([(step, vec![reply.clone(), reply.clone(), well])]);
            let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "1h").env("VAULT_MAX_RETRIES", "1");
            let line = "WARN  vault-exec: {any} was answered with 4{any}; the next try in {any}ms";
            scenario.run().expect(started().stderr([line, line, DONE]));
        }
    }
}

fn a_node_that_stays_behind_is_not_called_a_rate_limit() {
    for reply in behind() {
        let raw = Raw::start([(READ, vec![reply])]);
        Scenario::against(&raw).env("VAULT_MAX_RETRIES", "0").run().expect_failure(
            75,
            "vault at {addr}: the read of kv/shop/app was answered with 4{any}; \
             the node has not caught up yet: try again, or address the active one",
        );
    }
}

const UPGRADING: &str = "Upgrading from non-versioned to versioned data. \
                         This backend will be unavailable for a brief period and will resume service shortly.";

fn a_mount_that_is_being_upgraded_is_waited_for() {
    let upgrading = || refused(400, "", Some(UPGRADING));
    let raw = Raw::start([(READ, vec![upgrading(), upgrading(), well()])]);
    let line = format!(
        "WARN  vault-exec: read: the read of kv/shop/app was answered with 400: {UPGRADING}; the next try in {{any}}ms"
    );
    let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "1h");
    scenario.run().expect(started().stderr([&line, &line, DONE]));
}

fn an_upgrade_that_takes_too_long_is_told() {
    let waiting = "Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be \
                   unavailable for a brief period and will resume service when the primary is finished.";
    for text in [UPGRADING, waiting] {
        let raw = Raw::start([(READ, vec![refused(400, "", Some(text))])]);
        Scenario::against(&raw).env("VAULT_MAX_RETRIES", "0").run().expect_failure(
            75,
            &format!(
                "vault at {{addr}}: the read of kv/shop/app was answered with 400: {text}; \
                 the KV mount becomes one of version 2: try again when the server has done that"
            ),
        );
    }
}

/// The real server makes a mount's secrets into first versions one by one, and refuses all reads meanwhile.
#[test]
fn a_real_mount_that_is_being_upgraded_is_waited_for() {
    on(Kind::OpenBao, "upgrade", |_| {
        // Where each key takes its time.
        let server = Server::durable().expect("the shared one is there").ready();
        let scenario = Scenario::new(&server).kubernetes().env("VAULT_MOUNT_POINT", "{name}");
        let name = scenario.name.clone();
        let policy = format!("path \"{name}/data/*\" {{ capabilities = [\"read\"] }}");
        server.write_policy("", &name, &policy);
        server.must("POST", &format!("sys/mounts/{name}"), &json!({"type": "kv", "options": {"version": "1"}}));
        server.must("POST", &format!("{name}/{}", scenario.path()), &json!({"A": "a-secret"}));
        for number in 0..500 {
            server.must("POST", &format!("{name}/{number}"), &json!({"A": "another"}));
        }
        server.must("POST", &format!("sys/mounts/{name}/tune"), &json!({"options": {"version": "2"}}));
        let outcome = scenario.run().expect(Expect::started().env([("A", "a-secret")]).any_stderr());
        let refused = format!("was answered with 400: {UPGRADING}; the next try in ");
        assert!(outcome.stderr.contains(&refused), "{}", outcome.describe());
    });
}

const BARE: &str = "the login at auth/kubernetes with role shop was answered with 403: permission denied";
const REVIEW: &str = "Vault gives no reason: check that auth/kubernetes is enabled, that its role shop allows this \
                      address, and that the TokenReview works: the reviewer JWT, its right system:auth-delegator, \
                      the API server as Vault reaches it";

fn denied() -> Reply {
    refused(403, "", Some("permission denied"))
}

fn a_denial_without_a_reason_is_tried_twice_more() {
    let raw = Raw::start([(LOGIN, vec![denied()])]);
    Scenario::against(&raw).run().expect(Expect::done().code(77).stderr([
        format!("WARN  vault-exec: login: {BARE}; try 1 of 3, the next in 0ms"),
        format!("WARN  vault-exec: login: {BARE}; try 2 of 3, the next in 0ms"),
        format!("ERROR vault-exec: vault at {{addr}}: {BARE}; {REVIEW}; the JWT: {{any}} (3 tries in {{any}})"),
    ]));
    raw.expect_requests([
        "GET sys/seal-status",
        "POST auth/kubernetes/login",
        "POST auth/kubernetes/login",
        "POST auth/kubernetes/login",
    ]);
}

fn a_token_review_that_fails_once_fails_no_start() {
    let raw = Raw::start([(LOGIN, vec![denied(), Reply::login(&json!({}))])]);
    let scenario = Scenario::against(&raw).env("VAULT_RETRY_DELAY", "1h");
    let line = format!("WARN  vault-exec: login: {BARE}; try 1 of 3, the next in 1s");
    let outcome = scenario.run().expect(started().stderr([&line, DONE]));
    assert!(outcome.elapsed >= Duration::from_secs(1), "{:?}", outcome.elapsed);
}

fn a_denial_with_a_reason_is_final() {
    let expired = Jwt { expires_in: -60, ..Jwt::default() };
    let reasons =
        [Some("service account name not authorized"), Some("1 error occurred:\n\t* permission denied\n\n"), None];
    for (reason, jwt) in
        reasons.map(|reason| (reason, Jwt::default())).into_iter().chain([(Some("permission denied"), expired)])
    {
        let raw = Raw::start([(LOGIN, vec![refused(403, "", reason)])]);
        let scenario = Scenario::against(&raw).jwt(&jwt);
        // The server gives no reason for one that has expired, so that stands first.
        let first = if jwt.expires_in < 0 {
            "permission denied; the JWT has expired: let the kubelet write a new one; else Vault gives no reason: {any}"
        } else {
            "{any}"
        };
        let line = format!("vault at {{addr}}: {{any}} was answered with 403{{any}}{first}; the JWT: {{any}}");
        scenario.run().expect_failure(77, &line);
        raw.expect_requests(["GET sys/seal-status", "POST auth/kubernetes/login"]);
    }
}

#[test]
fn under_a_wait_a_denial_without_a_reason_is_waited_out() {
    let raw = Raw::start([(LOGIN, vec![denied(), denied(), denied(), denied(), Reply::login(&json!({}))])]);
    let line = format!("WARN  vault-exec: login: {BARE}; waiting up to 20s (VAULT_WAIT)");
    Scenario::against(&raw).options(["--wait=20s"]).run().expect(started().stderr([&line, DONE]));
}

/// A standby's answer to this request.
fn onward(path: &str) -> Reply {
    Reply::with(307, &format!("Location: http://leader.example:8200/v1/{path}\r\n"), b"")
}

fn is_sent_on(step: &'static str) {
    let raw = Raw::start([(step, vec![onward(step)])]);
    let cause = "{any} was redirected to leader.example:8200 (307)";
    Scenario::against(&raw).env("VAULT_MAX_RETRIES", "1").run().expect(Expect::done().code(75).stderr([
        format!("WARN  vault-exec: {cause}; try 1 of 2, the next in 0ms"),
        format!(
            "ERROR vault-exec: vault at {{addr}}: {cause}; the node does not lead and sends on to one that does: \
             try again, or look whether a leader is elected (2 tries in {{any}})"
        ),
    ]));
}

fn a_standby_that_sends_logins_on_is_tried_again() {
    is_sent_on(LOGIN);
}

fn a_standby_that_sends_reads_on_is_tried_again() {
    is_sent_on(READ);
}

fn a_leader_that_is_elected_meanwhile_is_found() {
    let raw = Raw::start([
        (LOGIN, vec![onward(LOGIN), Reply::login(&json!({}))]),
        (READ, vec![onward(READ), onward(READ), well()]),
        (REVOKE, vec![onward(REVOKE), Reply::Bytes(whole(204, "", b""))]),
    ]);
    let line = "WARN  vault-exec: {any} was redirected to leader.example:8200 (307); try {any} of 4, the next in 0ms";
    Scenario::against(&raw).run().expect(started().stderr([line, line, line, DONE]));
    assert_eq!(raw.requests().len(), 8);
}

#[test]
fn under_a_wait_reads_are_waited_for_as_logins_are() {
    for reply in [onward(READ), refused(503, "", Some("Vault is sealed")), behind()[0].clone(), Reply::Last(Vec::new())]
    {
        let raw = Raw::start([(READ, vec![reply.clone(), reply, well()])]);
        let scenario = Scenario::against(&raw).options(["--wait=20s"]).env("VAULT_MAX_RETRIES", "0");
        scenario
            .run()
            .expect(started().stderr(["WARN  vault-exec: read: the {any}; waiting up to 20s (VAULT_WAIT)", DONE]));
    }
}

/// The lines of each request that tell a node what it has to know.
fn told(heads: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let tells = |line: &String| line.starts_with("x-vault-index:") || line.starts_with("x-vault-inconsistent:");
    heads.into_iter().map(|head| head.into_iter().filter(tells).collect()).collect()
}

#[test]
fn what_a_node_has_to_know_of_the_login_is_told_to_the_next_one() {
    let login = |index: &str| {
        let body = json!({"auth": {"client_token": vault_testkit::raw::TOKEN, "lease_duration": 60}});
        Reply::with(200, &format!("X-Vault-Index: {index}\r\n"), body.to_string().as_bytes())
    };
    for (index, sent) in [("eyJhIjoxfQ==", true), ("", false), ("a b", false), ("caf\u{e9}", false)] {
        let raw = Raw::start([(LOGIN, vec![denied(), login(index)])]);
        Scenario::against(&raw).run().expect(started().any_stderr());
        let heads = raw.whole_requests();
        let heads = heads.iter().map(|it| it.head.to_lowercase().lines().map(str::to_owned).collect());
        let both = vec![
            format!("x-vault-index: {}", index.to_lowercase()),
            "x-vault-inconsistent: forward-active-node".to_owned(),
        ];
        let both = if sent { both } else { vec![] };
        assert_eq!(told(heads), [vec![], vec![], vec![], both.clone(), both], "{index}");
    }
}

/// The real server gives one where its storage is replicated.
#[test]
fn the_real_server_takes_its_index_back() {
    on(Kind::OpenBao, "index", |_| {
        let server = Server::durable().expect("the shared one is there").ready();
        let scenario = Scenario::new(&server).secret(&json!({"A": "a-secret"})).kubernetes();
        let tap = Tap::before(&scenario.expand("{addr}"));
        let scenario = scenario.at(&format!("http://{}", tap.authority()));
        scenario.run().expect(Expect::started().env([("A", "a-secret")]));
        let told: Vec<_> = told(tap.requests().concat()).iter().map(Vec::len).collect();
        assert_eq!(told, [0, 0, 2, 2]);
    });
}

/// A namespace that is sealed or locked on a server that is neither.
#[test]
fn a_real_namespace_that_serves_nobody_is_told() {
    on(Kind::OpenBao, "namespace", |server| {
        let seal = json!({"seal": "seal \"shamir\" {\n shares = 1\n threshold = 1\n}"});
        let [sealed, locked] = [Scenario::new(server), Scenario::new(server)].map(|it| it.name);
        server.must("POST", &format!("sys/namespaces/{sealed}"), &seal);
        server.must("PUT", &format!("sys/namespaces/{sealed}/seal"), &Value::Null);
        server.must("POST", &format!("sys/namespaces/{locked}"), &json!({}));
        server.must_in(&locked, "POST", "sys/namespaces/api-lock/lock", &json!({}));
        for (namespace, said, remedy) in [
            (
                &sealed,
                "namespace is sealed",
                "unseal the namespace {} (VAULT_NAMESPACE): the server is unsealed, the namespace is not",
            ),
            (
                &locked,
                "API access to this namespace has been locked by an administrator{any}",
                "unlock the namespace {} (VAULT_NAMESPACE)",
            ),
        ] {
            let scenario = Scenario::new(server).jwt(&Jwt::default()).env("VAULT_ROLE", "shop");
            let scenario = scenario.env("VAULT_NAMESPACE", namespace).env("VAULT_MAX_RETRIES", "0").unobserved();
            scenario.run().expect_failure(
                75,
                &format!(
                    "vault at {{addr}}: the login at auth/kubernetes with role shop was answered with 503: {said}; {}",
                    remedy.replace("{}", namespace)
                ),
            );
        }
    });
}
