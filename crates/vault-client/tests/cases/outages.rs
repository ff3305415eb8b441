//! What goes wrong while many threads read: no wrong value, no storm, nothing left behind.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use vault_client::{Cancel, Cas, ErrorKind, Limits, Observer, Revoked, VaultClient};
use vault_testkit::raw::{LOGIN, LOOK_UP, READ, Raw, Reply};
use vault_testkit::server::{Kind, Server, on};

use crate::support::{Corner, cutting, log, with_corner};

/// Limits under which a fault is over soon.
fn quick() -> Limits {
    let [request, delay, whole] = [2000, 50, 4000].map(Duration::from_millis);
    Limits { request, delay, whole, ..Limits::default() }
}

/// Reads `path` on `threads` threads until `during` is over; how often it went well, and how often with each kind of
/// error. A value that is not the one written fails the test.
fn read_on(client: &VaultClient, mount: &str, threads: usize, during: impl FnOnce()) -> BTreeMap<String, usize> {
    let (over, outcomes) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let outcome = match client.kv_read(mount, "a") {
                        Ok(data) => {
                            assert_eq!((data.text("K"), data.metadata.version), (Some("the value"), 1));
                            "ok".to_owned()
                        }
                        Err(error) => format!("{:?}", error.kind()),
                    };
                    *outcomes.lock().unwrap().entry(outcome).or_default() += 1;
                }
            });
        }
        // A panic in it ends the threads too.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    outcomes.into_inner().unwrap()
}

#[test]
fn sixteen_threads_read_through_a_seal_a_restart_and_a_revocation() {
    let Some(server) = Server::durable().map(Server::ready) else {
        return vault_testkit::server::skip("sixteen_threads_read_through_a_seal_a_restart_and_a_revocation");
    };
    let corner = Corner::of(&server, &json!({}));
    let client = corner.builder().limits(quick()).build().unwrap();
    let kv = client.kv(&corner.name);
    kv.write("a", &json!({"K": "the value"}), Cas::New).unwrap();
    let reads_well = || vault_testkit::eventually("a read goes well again", || kv.read("a").is_ok());
    let outcomes = read_on(&client, &corner.name, 16, || {
        server.seal();
        assert_eq!(kv.read("a").unwrap_err().kind(), ErrorKind::NotReady);
        server.unseal();
        reads_well();
        server.stop();
        assert_eq!(kv.read("a").unwrap_err().kind(), ErrorKind::Unreachable);
        server.resume();
        server.unseal();
        reads_well();
        // The node leads again a moment after it reads.
        vault_testkit::eventually("the tokens are revoked", || {
            server.admin("POST", "sys/leases/revoke-prefix/auth/kubernetes", &json!({})).0 == 204
        });
        reads_well();
    });
    let kinds: Vec<_> = outcomes.keys().map(String::as_str).collect();
    assert!(outcomes["ok"] > 16, "{outcomes:?}");
    assert!(kinds.iter().all(|kind| ["ok", "NotReady", "Unreachable"].contains(kind)), "{outcomes:?}");
    client.close();
    assert_eq!(corner.live_tokens(), 0);
}

#[test]
fn a_proxy_that_cuts_every_connection_brings_no_wrong_value() {
    with_corner("a_proxy_that_cuts_every_connection_brings_no_wrong_value", |corner| {
        let direct = corner.client();
        direct.kv(&corner.name).write("a", &json!({"K": "the value"}), Cas::New).unwrap();
        let address = cutting::before(&corner.server.addr(vault_testkit::server::Listener::Plain));
        let limits = Limits { retries: 8, delay: Duration::ZERO, ..quick() };
        let client = corner.builder().address(&address).limits(limits).build().unwrap();
        let outcomes = read_on(&client, &corner.name, 8, || {
            vault_testkit::eventually("the cuts are met", || client.kv_read(&corner.name, "a").is_ok());
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..50).for_each(|_| drop(client.kv_read(&corner.name, "a"))));
                }
            });
        });
        assert!(outcomes.get("ok").is_some_and(|ok| *ok > 50), "{outcomes:?}");
        assert!(outcomes.keys().all(|kind| ["ok", "Unreachable"].contains(&kind.as_str())), "{outcomes:?}");
    });
}

#[test]
fn a_server_that_denies_everything_is_not_stormed() {
    let denied = || vec![Reply::json(403, &json!({"errors": ["permission denied"]}))];
    let raw = Raw::start([
        (LOGIN, vec![Reply::login(&json!({"lease_duration": 400}))]),
        (READ, denied()),
        (LOOK_UP, denied()),
        ("auth/token/renew-self", denied()),
    ]);
    let jwt = vault_testkit::scratch("storm").join("jwt");
    std::fs::write(&jwt, vault_testkit::jwt::Jwt::default().encode()).unwrap();
    let login = vault_client::Kubernetes { mount: "kubernetes".into(), role: "r".into(), jwt, revoke: true };
    let client = VaultClient::builder().address(&raw.addr()).login(login).limits(quick()).ignore_environment();
    let client = client.build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(client.kv_read("kv", "shop/app").unwrap_err().kind(), ErrorKind::Denied);
                }
            });
        }
    });
    let count = |what: &str| raw.requests().iter().filter(|it| it.contains(what)).count();
    let logins = count("auth/kubernetes/login");
    assert!((2..=3).contains(&logins), "{logins} logins");
    assert!(count("lookup-self") <= 20, "{} look-ups", count("lookup-self"));
    assert_eq!(count("renew-self"), 0);
    // A renewal that is refused is not repeated, and no more than one login follows it. Where two tokens were lost in a
    // row, neither is made.
    let renewed = client.renew();
    assert!(renewed.is_ok() || renewed.is_err_and(|it| it.kind() == ErrorKind::Denied));
    assert!(count("renew-self") <= 1 && count("auth/kubernetes/login") <= logins + 1, "{:?}", raw.requests());
}

#[test]
fn a_client_that_nobody_reaches_fails_within_its_limits_and_tries_anew_with_the_next_call() {
    let raw = Raw::start([(LOGIN, vec![Reply::Hang(Vec::new())])]);
    let jwt = vault_testkit::scratch("hang").join("jwt");
    std::fs::write(&jwt, vault_testkit::jwt::Jwt::default().encode()).unwrap();
    let login = vault_client::Kubernetes { mount: "kubernetes".into(), role: "r".into(), jwt, revoke: true };
    let limits =
        Limits { request: Duration::from_millis(200), retries: 0, whole: Duration::from_millis(400), ..quick() };
    let client = VaultClient::builder().address(&raw.addr()).login(login).limits(limits).ignore_environment();
    let client = client.build().unwrap();
    let begun = Instant::now();
    // Those who wait for the login of another thread are bounded as well.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(client.token().unwrap_err().kind(), ErrorKind::Unreachable));
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    raw.script(LOGIN, vec![Reply::login(&json!({}))]);
    raw.script(READ, vec![Reply::secret(r#"{"A":"v"}"#)]);
    assert_eq!(client.kv_read("kv", "shop/app").unwrap().text("A"), Some("v"));
}

#[test]
fn a_cancellation_ends_a_call_that_waits_for_its_answer() {
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())])]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").ignore_environment().build().unwrap();
    let cancel = Cancel::new().unwrap();
    let cancelled = client.cancelled_by(&cancel);
    let waiting = std::thread::spawn(move || cancelled.kv_read("kv", "shop/app").map(drop));
    vault_testkit::eventually("the read is under way", || raw.requests().iter().any(|it| it.contains(READ)));
    cancel.cancel();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    raw.script(READ, vec![Reply::secret(r#"{"A":"v"}"#)]);
    assert_eq!(client.kv_read("kv", "shop/app").unwrap().text("A"), Some("v"), "the other clones go on");
}

#[test]
fn a_write_whose_answer_is_lost_is_not_sent_twice() {
    let raw = Raw::start([(READ, vec![Reply::Reset(Vec::new())])]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let error = client.build().unwrap().kv("kv").write("shop/app", &json!({"K": 1}), Cas::Any).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unreachable, false));
    assert!(error.to_string().ends_with("whether it was done is not known"), "{error}");
    assert_eq!(raw.requests().iter().filter(|it| it.starts_with("POST kv/")).count(), 1);
}

#[test]
fn what_a_proxy_has_got_no_answer_to_is_sent_once_where_it_is_not_to_be_done_twice() {
    let raw = Raw::start([(READ, vec![Reply::with(504, "Content-Type: text/html\r\n", b"<html>")])]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").limits(quick()).ignore_environment();
    let kv = client.build().unwrap().kv("kv");
    for error in [kv.write("shop/app", &json!({}), Cas::Any).unwrap_err(), kv.delete("shop/app").unwrap_err()] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::NotReady, false), "{error}");
        assert!(error.to_string().ends_with("whether it was done is not known"), "{error}");
    }
    assert_eq!(raw.requests().iter().filter(|it| it.contains("kv/data")).count(), 2);
    // A read is tried again.
    assert_eq!(kv.read("shop/app").unwrap_err().kind(), ErrorKind::NotReady);
    assert_eq!(raw.requests().iter().filter(|it| it.contains("kv/data")).count(), 6);
}

#[test]
fn a_refused_credential_is_tried_again_when_its_file_has_changed() {
    with_corner("a_refused_credential_is_tried_again_when_its_file_has_changed", |corner| {
        let login = corner.login();
        let good = std::fs::read_to_string(&login.jwt).unwrap();
        std::fs::write(&login.jwt, vault_testkit::jwt::Jwt { forged: true, ..Default::default() }.encode()).unwrap();
        let client = corner.builder().limits(Limits { retries: 0, ..quick() }).build().unwrap();
        for _ in 0..5 {
            assert_eq!(client.token().unwrap_err().kind(), ErrorKind::Denied);
        }
        assert_eq!(corner.count("auth/kubernetes/login"), 1);
        std::fs::write(&login.jwt, good).unwrap();
        vault_testkit::eventually("the new credential is used", || client.token().is_ok());
        assert_eq!(corner.count("auth/kubernetes/login"), 2);
    });
}

#[test]
fn what_a_write_has_brought_is_asked_for_by_the_reads_after_it() {
    let written = json!({"request_id": "id", "data": {"version": 1, "created_time": "2026-01-01T00:00:00Z",
        "deletion_time": "", "destroyed": false}});
    let answer = Reply::with(
        200,
        "Content-Type: application/json\r\nX-Vault-Index: state-7\r\n",
        written.to_string().as_bytes(),
    );
    let raw = Raw::start([(READ, vec![answer, Reply::secret(r#"{"A":"v"}"#)])]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").ignore_environment().build().unwrap();
    let kv = client.kv("kv");
    kv.write("shop/app", &json!({"A": "v"}), Cas::Any).unwrap();
    kv.read("shop/app").unwrap();
    let asked = raw.whole_requests().pop().unwrap().head.to_lowercase();
    for header in ["x-vault-index: state-7", "x-vault-inconsistent: forward-active-node"] {
        assert!(asked.lines().any(|line| line == header), "{asked}");
    }
}

#[test]
fn clones_have_a_namespace_and_a_correlation_of_their_own() {
    let raw = Raw::start([]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").namespace("team").ignore_environment();
    let client = client.application_name("shop/1.4").build().unwrap();
    client.kv_read("kv", "shop/app").unwrap();
    client.in_namespace("other/").correlated("id-7").kv_read("kv", "shop/app").unwrap();
    client.in_namespace("root").kv_read("kv", "shop/app").unwrap();
    let heads = raw.whole_requests().into_iter().filter(|it| it.line.contains(READ)).map(|it| it.head.to_lowercase());
    let said: Vec<_> = heads
        .map(|head| {
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            assert_eq!(header("user-agent: "), Some("shop/1.4 vault-client/0.1.0".into()));
            (header("x-vault-namespace: "), header("x-correlation-id: "))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(said, [(some("team"), None), (some("other"), some("id-7")), (None, None)]);
}

#[test]
fn a_line_break_in_a_name_becomes_no_header() {
    let raw = Raw::start([]);
    let client = VaultClient::builder().address(&raw.addr()).token("hvs.given").ignore_environment().build().unwrap();
    client.kv_read("kv", "shop/app").unwrap();
    let before = raw.requests().len();
    for hostile in ["a\r\nx-vault-token: hvs.other", "a\nb", "a\0b"] {
        for client in [client.in_namespace(hostile), client.correlated(hostile)] {
            assert_eq!(client.kv_read("kv", "shop/app").unwrap_err().kind(), ErrorKind::Rejected, "{hostile:?}");
        }
        for built in [VaultClient::builder().application_name(hostile), VaultClient::builder().namespace(hostile)] {
            let built = built.address(&raw.addr()).token("hvs.given").ignore_environment().build();
            let refused = built.and_then(|client| client.kv_read("kv", "shop/app").map(drop)).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::Settings | ErrorKind::Rejected), "{hostile:?}: {refused}");
        }
    }
    let sent = raw.whole_requests().split_off(before);
    assert!(sent.iter().all(|it| !it.head.contains("hvs.other")), "{sent:?}");
}

/// A client that logs in with Kubernetes at a scripted server.
fn scripted(raw: &Raw, limits: Limits) -> vault_client::VaultClientBuilder {
    let jwt = vault_testkit::scratch(&vault_testkit::unique()).join("jwt");
    std::fs::write(&jwt, vault_testkit::jwt::Jwt::default().encode()).unwrap();
    let login = vault_client::Kubernetes { mount: "kubernetes".into(), role: "r".into(), jwt, revoke: true };
    VaultClient::builder().address(&raw.addr()).login(login).limits(limits).ignore_environment()
}

fn refusal(status: u16) -> Reply {
    Reply::json(status, &json!({"errors": ["no"]}))
}

#[test]
fn a_refused_renewal_leaves_the_token_in_hand_until_there_is_another() {
    let logins = vec![Reply::login(&json!({"lease_duration": 3600})), refusal(400)];
    let raw = Raw::start([(LOGIN, logins), ("auth/token/renew-self", vec![refusal(400), refusal(429)])]);
    let client = scripted(&raw, quick()).build().unwrap();
    for _ in 0..2 {
        assert!(client.renew().is_err());
        client.kv_read("kv", "shop/app").unwrap();
    }
    assert_eq!(client.close(), Revoked::Yes);
}

/// Panics at what the keeper's thread does.
struct Panics;

impl Observer for Panics {
    fn note(&self, event: &vault_client::Event<'_>) {
        assert!(!matches!(event, vault_client::Event::Kept { .. }), "an observer's own fault");
    }
}

#[test]
fn an_observer_that_panics_ends_no_keeping() {
    let raw = Raw::start([(LOGIN, vec![Reply::login(&json!({"lease_duration": 2}))])]);
    let brisk = Duration::from_millis(500);
    let client = scripted(&raw, quick()).retry_interval(brisk).observer(Panics).build().unwrap();
    client.token().unwrap();
    let logins = || raw.requests().iter().filter(|it| it.contains(LOGIN)).count();
    vault_testkit::eventually("the token is replaced again and again", || logins() >= 3);
    assert_eq!(client.close(), Revoked::Yes);
}

#[test]
fn closing_revokes_though_every_connection_is_in_use() {
    let raw = Raw::start([(READ, vec![Reply::Hang(Vec::new())])]);
    let client = scripted(&raw, quick()).lanes(2).build().unwrap();
    client.token().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| client.kv_read("kv", "shop/app").unwrap_err());
        }
        let reads = || raw.requests().iter().filter(|it| it.contains(READ)).count();
        vault_testkit::eventually("both connections are in use", || reads() == 2);
        assert_eq!(client.close(), Revoked::Yes);
    });
}

#[test]
fn closing_waits_for_a_login_under_way_and_its_token_is_revoked() {
    let gate = vault_testkit::raw::Gate::default();
    let raw = Raw::start([(LOGIN, vec![Reply::login(&json!({})).held(&gate)])]);
    let client = scripted(&raw, quick()).build().unwrap();
    std::thread::scope(|scope| {
        let login = scope.spawn(|| client.token());
        raw.await_requests(1);
        let close = scope.spawn(|| client.close());
        vault_testkit::eventually("it is closed", || client.status().is_err_and(|it| it.kind() == ErrorKind::Closed));
        gate.open();
        assert_eq!(login.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(close.join().unwrap(), Revoked::Yes);
    });
}

#[test]
fn a_call_ends_within_its_limit_whatever_belongs_to_it() {
    let raw = Raw::start([(READ, vec![refusal(403)]), (LOOK_UP, vec![Reply::Hang(Vec::new())])]);
    let whole = Duration::from_millis(600);
    let limits = Limits { request: Duration::from_millis(500), whole, ..quick() };
    let client = scripted(&raw, limits).build().unwrap();
    client.token().unwrap();
    let begun = Instant::now();
    assert_eq!(client.kv_read("kv", "shop/app").unwrap_err().kind(), ErrorKind::Denied);
    assert!(begun.elapsed() < 3 * whole, "{:?}", begun.elapsed());
}

#[test]
fn limits_and_leases_that_no_clock_holds_are_as_good_as_long_ones() {
    let raw = Raw::start([(LOGIN, vec![Reply::login(&json!({"lease_duration": u64::MAX}))])]);
    let most = Duration::MAX;
    let limits = Limits { request: most, delay: most, wait: most, whole: most, ..quick() };
    let client = scripted(&raw, limits).build().unwrap();
    client.kv_read("kv", "shop/app").unwrap();
    client.within(limits).kv_read("kv", "shop/app").unwrap();
    assert_eq!(client.close(), Revoked::Yes);
}

#[test]
fn answers_to_a_login_that_are_none_cause_no_storm() {
    let raw = Raw::start([(LOGIN, vec![Reply::with(200, "Content-Type: text/html\r\n", b"<html>")])]);
    let client = scripted(&raw, quick()).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(client.token().unwrap_err().kind(), ErrorKind::NotVault)));
        }
    });
    let logins = raw.requests().iter().filter(|it| it.contains(LOGIN)).count();
    assert!(logins <= 4, "{logins} logins");
}

/// Does nothing with what it is told.
struct Deaf;

impl Observer for Deaf {
    fn note(&self, _: &vault_client::Event<'_>) {}
}

#[test]
fn nothing_of_a_token_is_in_a_log_an_error_or_a_debug() {
    log::collect();
    on(Kind::OpenBao, "nothing_of_a_token_is_in_a_log_an_error_or_a_debug", |server| {
        let corner = Corner::of(server, &json!({}));
        let token = server.create_token("", &json!({"policies": [corner.name], "ttl": "1h", "no_parent": true}));
        let address = server.addr(vault_testkit::server::Listener::Plain);
        let builder = VaultClient::builder().address(&address).token(&token).limits(quick()).ignore_environment();
        let client = builder.build().unwrap();
        let kv = client.kv(&corner.name);
        kv.write("a", &json!({"K": "a-value-to-hide"}), Cas::New).unwrap();
        let data = kv.read("a").unwrap();
        server.must("POST", "auth/token/revoke", &json!({"token": token}));
        let errors = [
            kv.read("a").unwrap_err(),
            kv.write("a", &json!({"K": "another-value"}), Cas::Any).unwrap_err(),
            client.renew().unwrap_err(),
            client.within(Limits { whole: Duration::ZERO, ..quick() }).kv("kv").read("x").unwrap_err(),
        ];
        let wrong = VaultClient::builder().address(&address).token("hvs.with space").ignore_environment().build();
        let shown = format!("{client:?} {kv:?} {data:?} {errors:?} {:?} {wrong:?}", client.token());
        let jwt = std::fs::read_to_string(corner.login().jwt).unwrap();
        corner.client().token().unwrap();
        for secret in [token.as_str(), "a-value-to-hide", "another-value", "with space", &jwt] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
            assert_eq!(log::lines_with(secret), Vec::<String>::new());
        }
        // An observer takes the place of the log.
        let before = log::lines_with("vault_client: ").len();
        let deaf = corner.builder().observer(Deaf).build().unwrap();
        deaf.token().unwrap();
        deaf.close();
        assert!(before > 0);
    });
}

const ASKED: &str = "LEFT_BEHIND_BY_A_CLIENT_OF";

/// Run by the test below, in a process of its own: it counts what the process has.
#[test]
fn a_client_that_is_closed_leaves_no_descriptor_and_no_thread() {
    let Ok(address) = std::env::var(ASKED) else {
        return with_corner("a_client_that_is_closed_leaves_no_descriptor_and_no_thread", |corner| {
            let kv = corner.client().kv(&corner.name);
            kv.write("a", &json!({"K": "v"}), Cas::New).unwrap();
            let mut own = Command::new(std::env::current_exe().unwrap());
            own.args([
                "--exact",
                "cases::outages::a_client_that_is_closed_leaves_no_descriptor_and_no_thread",
                "--nocapture",
            ]);
            let login = corner.login();
            let address = corner.server.addr(vault_testkit::server::Listener::Plain);
            let text = format!("{address} {} {}", login.role, login.jwt.display());
            let output = own.env(ASKED, text).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        });
    };
    let [address, role, jwt] = address.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let before = (count("fd"), count("task"));
    for _ in 0..3 {
        let login =
            vault_client::Kubernetes { mount: "kubernetes".into(), role: role.into(), jwt: jwt.into(), revoke: true };
        let client = VaultClient::builder().address(address).login(login).ignore_environment().build().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| client.kv_read(role, "a").unwrap());
            }
        });
        client.close();
        drop(client);
        vault_testkit::eventually("all is given back", || (count("fd"), count("task")) == before);
    }
}
