//! A tenant of servers that do what a script says, and of none.

use vault_testkit::raw::{LOGIN, READ, Raw, Reply};

use super::*;

/// A tenant without a prefix of a scripted server, whose requests may take so long.
fn scripted(raw: &Raw, request: Duration) -> (Corner, Tenants) {
    let mut corner = Corner::at(&raw.addr(), &unique());
    corner.tenant.mount = "kv".into();
    corner.tenant.prefix = String::new();
    let limits = ServiceLimits { request, upstream_per_tenant: 2, ..limits() };
    let tenants = corner.limited(slice::from_ref(&corner.tenant), cache(), limits, None).expect("tenants");
    (corner, tenants)
}

#[test]
fn a_read_whose_caller_leaves_is_cancelled_and_a_write_goes_on() {
    let hang = vec![Reply::Hang(Vec::new())];
    let raw = Raw::start([(READ, hang)]);
    let (corner, tenants) = scripted(&raw, MINUTE);
    let upstream = tenants.get("team-a").unwrap();
    // Numbers, escapes and the order of members are sent as they came.
    let first = r#"{"z":1.10,"a":"\u00e9","n":{"m":[1e3,null]}}"#;
    let runtime = runtime();
    runtime.block_on(async {
        let asked = |line: &str| raw.requests().iter().filter(|it| *it == line).count();
        let mut reading = Box::pin(upstream.read("shop/app", None, READING));
        eventually_async("Vault is asked", || {
            assert!((&mut reading).now_or_never().is_none());
            asked("GET kv/data/shop/app") == 1
        })
        .await;
        drop(reading);
        eventually("the read is cancelled", || corner.counts.of("team-a read cancelled") == 1);
        let mut writing =
            Box::pin(upstream.write("shop/app", Arc::new(Zeroizing::new(first.to_owned())), Cas::At(1), ID));
        eventually_async("Vault is asked", || {
            assert!((&mut writing).now_or_never().is_none());
            asked("POST kv/data/shop/app") == 1
        })
        .await;
        drop(writing);
        // It holds its place until it is answered.
        let inside = upstream.gate.enter().await.ok();
        let third = upstream.gate.enter();
        assert!(Box::pin(third).now_or_never().is_none());
        drop(inside);
        let request = raw.whole_requests().pop().unwrap();
        assert_eq!(request.body, format!(r#"{{"data":{first},"options":{{"cas":1}}}}"#));
        let head = request.head.to_lowercase();
        assert!(head.contains(&format!("x-correlation-id: {ID}")), "{head}");
        assert!(head.contains("user-agent: vault-gateway/"), "{head}");
    });
    // Nobody waits for the answer that does not come.
    runtime.shutdown_background();
}

/// As `eventually`, and gives other tasks their turn.
async fn eventually_async(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < end, "not in time: {what}");
        tokio::task::yield_now().await;
    }
}

#[test]
fn without_an_answer_a_read_is_late_and_the_outcome_of_a_change_is_not_known() {
    let hang = || vec![Reply::Hang(Vec::new())];
    let raw = Raw::start([(READ, hang()), ("kv/destroy/shop/app", hang())]);
    let (_corner, tenants) = scripted(&raw, Duration::from_millis(300));
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        assert_eq!(read(upstream, "shop/app", None).await, (Err("timeout"), Lookup::Miss));
        let problem = upstream.write("shop/app", body(&json!({})), Cas::Any, ID).await.unwrap_err();
        assert_eq!((problem.kind.word(), problem.status), ("outcome-unknown", 504));
        assert_eq!(word(upstream.delete("shop/app", ID).await), "outcome-unknown");
        assert_eq!(word(upstream.destroy("shop/app", &[1], ID).await), "outcome-unknown");
    });
}

#[test]
fn what_is_not_vault_is_told_so_and_a_server_that_is_away_is_unavailable() {
    let raw = Raw::start([(READ, vec![Reply::with(200, "Content-Type: text/html\r\n", b"<html>SAID")])]);
    let (_corner, tenants) = scripted(&raw, MINUTE);
    let away = Corner { addr: "http://127.0.0.1:1".into(), ..Corner::at("", &unique()) };
    let away = away.tenants(None);
    runtime().block_on(async {
        let read = |tenants: &Tenants| {
            let upstream = Arc::clone(tenants.get("team-a").unwrap());
            async move { upstream.read("shop/app", None, READING).await.result.unwrap_err() }
        };
        let problem = read(&tenants).await;
        assert_eq!((problem.kind.word(), problem.status), ("upstream-invalid", 502));
        assert!(!format!("{problem:?}").contains("SAID"));
        let problem = read(&away).await;
        assert_eq!((problem.kind.word(), problem.status), ("unavailable", 503));
        assert_eq!(away.states(), [("team-a".to_owned(), "unavailable")]);
    });
}

#[test]
fn a_login_that_is_refused_takes_what_was_read_with_it() {
    let denied = Reply::json(403, &json!({"errors": ["permission denied"]}));
    let raw = Raw::start([]);
    let (_corner, tenants) = scripted(&raw, MINUTE);
    let upstream = tenants.get("team-a").unwrap();
    runtime().block_on(async {
        assert_eq!(read(upstream, "shop/app", None).await.1, Lookup::Miss);
        assert_eq!(read(upstream, "shop/app", None).await.1, Lookup::Hit);
        // The token is dead, and no other one is given.
        for path in ["kv/data/other", vault_testkit::raw::LOOK_UP, LOGIN] {
            raw.script(path, vec![denied.clone()]);
        }
        assert_eq!(read(upstream, "other", None).await, (Err("upstream-identity"), Lookup::Miss));
        assert_eq!(tenants.states(), [("team-a".to_owned(), "denied")]);
        assert_eq!(read(upstream, "shop/app", None).await, (Err("upstream-identity"), Lookup::Miss));
    });
}

#[test]
fn more_than_may_wait_are_sent_away_and_other_tenants_are_not_slowed() {
    let raw = Raw::start([("kv/data/a", vec![Reply::Hang(Vec::new())])]);
    let (mut corner, _) = scripted(&raw, MINUTE);
    let second = Tenant { name: "team-b".into(), ..corner.tenant.clone() };
    corner.tenant.name = "team-a".into();
    let few = ServiceLimits { upstream_per_tenant: 1, ..limits() };
    let tenants = corner.limited(&[corner.tenant.clone(), second], cache(), few, None).expect("tenants");
    let [first, other] = ["team-a", "team-b"].map(|name| tenants.get(name).unwrap());
    runtime().block_on(async {
        let mut waiting = ["a", "b"].map(|path| Box::pin(first.read(path, None, READING)));
        for waits in &mut waiting {
            assert!(waits.now_or_never().is_none());
        }
        let problem = first.read("c", None, READING).await.result.unwrap_err();
        assert_eq!((problem.kind.word(), problem.status, problem.retry_after), ("busy", 503, Some(1)));
        assert_eq!(word(first.write("c", body(&json!({})), Cas::Any, ID).await), "busy");
        assert_eq!(read(other, "shop/app", None).await.0.map(|it| it.0), Ok(7));
    });
}

#[test]
fn faults_of_settings_name_their_tenants() {
    let corner = Corner::at("http://127.0.0.1:1", &unique());
    let wrong = |name: &str| Tenant {
        name: name.to_owned(),
        login: TenantLogin { auth_method: Some("magic".into()), ..TenantLogin::default() },
        ..corner.tenant.clone()
    };
    let faults = corner.limited(&[wrong("team-x"), corner.tenant.clone(), wrong("team-y")], cache(), limits(), None);
    let faults = faults.err().expect("faults");
    assert!(
        !faults.is_empty() && faults.iter().all(|fault| fault.starts_with("tenants team-x, team-y: ")),
        "{faults:?}"
    );
}

#[test]
fn the_prefix_stands_before_each_path() {
    let corner = Corner::at("http://127.0.0.1:1", &unique());
    for (prefix, path, full) in [("", "", ""), ("", "a/b", "a/b"), ("p/q", "", "p/q"), ("p/q", "a", "p/q/a")] {
        let tenant = Tenant { prefix: prefix.into(), ..corner.tenant.clone() };
        let tenants = corner.with(&[tenant], cache(), None);
        assert_eq!(tenants.get("team-a").unwrap().full(path), full);
    }
}
