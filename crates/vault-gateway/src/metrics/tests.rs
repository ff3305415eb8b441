use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Metrics with each of them used once.
fn used() -> Metrics {
    let metrics = Metrics::new("0.1.0");
    metrics.request("/vault/secrets/{path}", "GET", 200, "team-a", Duration::from_micros(700));
    metrics.request("/vault/secrets/{path}", "GET", 200, "team-a", Duration::from_secs(20));
    metrics.rejected_token("expired");
    metrics.cache_lookup("hit", "team-a");
    metrics.cache_size(1024, 3);
    metrics.upstream("read", "ok", "team-a", Duration::from_millis(2));
    metrics.token_lease("team-a", Some(Duration::from_millis(1500)));
    metrics.token_lease("team-b", None);
    metrics.jwks_age("https://idp.example", Duration::from_secs(7));
    metrics.jwks_fetch("https://idp.example", true);
    metrics.audit_error();
    metrics.reload(true);
    metrics
}

/// The samples, without their order, which is random.
fn samples(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn unused_metrics_have_zeros_where_their_labels_are_known() {
    assert_eq!(
        samples(&Metrics::new("0.1.0").render()),
        BTreeSet::from([
            r#"vault_gateway_build_info{version="0.1.0"} 1"#,
            "vault_gateway_cache_bytes 0",
            "vault_gateway_cache_entries 0",
            "vault_gateway_audit_errors_total 0",
            r#"vault_gateway_config_reloads_total{result="ok"} 0"#,
            r#"vault_gateway_config_reloads_total{result="failed"} 0"#,
        ])
    );
}

#[test]
fn each_use_is_one_sample() {
    let text = used().render();
    let buckets = |name: &str, label: &str, counts: [u8; 15]| -> Vec<String> {
        let bounds = BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        let line = |(bound, count)| format!("vault_gateway_{name}_bucket{{{label},le=\"{bound}\"}} {count}");
        bounds.zip(counts).map(line).collect()
    };
    let route = r#"route="/vault/secrets/{path}""#;
    let of_requests = buckets("request_duration_seconds", route, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    let of_upstream =
        buckets("upstream_duration_seconds", r#"operation="read""#, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let mut expected = BTreeSet::from([
        r#"vault_gateway_requests_total{route="/vault/secrets/{path}",method="GET",status="200",tenant="team-a"} 2"#,
        r#"vault_gateway_request_duration_seconds_sum{route="/vault/secrets/{path}"} 20.0007"#,
        r#"vault_gateway_request_duration_seconds_count{route="/vault/secrets/{path}"} 2"#,
        r#"vault_gateway_rejected_tokens_total{reason="expired"} 1"#,
        r#"vault_gateway_cache_lookups_total{result="hit",tenant="team-a"} 1"#,
        "vault_gateway_cache_bytes 1024",
        "vault_gateway_cache_entries 3",
        r#"vault_gateway_upstream_requests_total{operation="read",result="ok",tenant="team-a"} 1"#,
        r#"vault_gateway_upstream_duration_seconds_sum{operation="read"} 0.002"#,
        r#"vault_gateway_upstream_duration_seconds_count{operation="read"} 1"#,
        r#"vault_gateway_token_lease_seconds{tenant="team-a"} 1.5"#,
        r#"vault_gateway_token_lease_seconds{tenant="team-b"} 0"#,
        r#"vault_gateway_jwks_age_seconds{issuer="https://idp.example"} 7"#,
        r#"vault_gateway_jwks_fetches_total{issuer="https://idp.example",result="ok"} 1"#,
        "vault_gateway_audit_errors_total 1",
        r#"vault_gateway_config_reloads_total{result="ok"} 1"#,
        r#"vault_gateway_config_reloads_total{result="failed"} 0"#,
        r#"vault_gateway_build_info{version="0.1.0"} 1"#,
    ]);
    expected.extend(of_requests.iter().chain(&of_upstream).map(String::as_str));
    assert_eq!(samples(&text), expected);
    for (name, help) in HELP {
        assert_eq!(text.matches(&format!("# HELP {name} {help}\n# TYPE {name} ")).count(), 1, "{name}");
    }
}

#[test]
fn series_of_the_same_labels_are_one_and_invented_methods_too() {
    let metrics = Metrics::new("0.1.0");
    for method in ["BREW", "get", ""] {
        metrics.request("/vault/list", method, 405, "", Duration::ZERO);
    }
    let text = metrics.render();
    let counted: Vec<_> = text.lines().filter(|line| line.starts_with(REQUESTS)).collect();
    assert_eq!(
        counted,
        [r#"vault_gateway_requests_total{route="/vault/list",method="other",status="405",tenant=""} 3"#]
    );
}

#[test]
fn no_duration_is_lost_when_they_are_put_into_their_buckets_on_the_way() {
    let metrics = Metrics::new("0.1.0");
    let each = SETTLE_EVERY * 2 + 7;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..each).for_each(|_| metrics.upstream("read", "ok", "team-a", Duration::from_millis(3))));
        }
    });
    let text = metrics.render();
    assert!(
        text.contains(&format!("vault_gateway_upstream_duration_seconds_count{{operation=\"read\"}} {}\n", each * 4))
    );
}

#[test]
fn promtool_finds_nothing_to_say() {
    let mut program = Command::new("promtool");
    program.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = program.spawn() else {
        vault_testkit::missing("promtool, of the Debian package prometheus");
        return;
    };
    promtool.stdin.take().unwrap().write_all(used().render().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
}
