//! Many sidecars on the real server for a while. `HERD_SIZE` says how many, `HERD_SECONDS` for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use vault_testkit::random;
use vault_testkit::server::{Asked, Kind, on};

use crate::support::scenario::Scenario;
use crate::support::sidecars::Sidecars;

/// How much later than it is due a refresh comes on a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);

const REVOKE: &str = "auth/token/revoke-self";

#[test]
fn sidecars_refresh_as_due_without_a_failure_and_leave_no_token() {
    on(Kind::OpenBao, "herd_watch", |server| {
        let size = random::number("HERD_SIZE").map_or(30, |number| usize::try_from(number).expect("a size"));
        let seconds = random::number("HERD_SECONDS").unwrap_or(10);
        let every = (seconds / 12).max(1);
        let (length, every) = (Duration::from_secs(seconds), Duration::from_secs(every));
        let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes();
        let scenario = scenario.options(["--watch", &format!("{}s", every.as_secs())]);

        let mut sidecars = Sidecars::start(&scenario, size);
        sidecars.run_for(length);
        let tokens = server.live_tokens("", &scenario.name);
        let ended = sidecars.end();

        for (code, log) in &ended {
            assert_eq!(*code, Some(0), "{log}");
            let lines: Vec<_> = log.lines().collect();
            assert!(
                matches!(lines[..], [first, last] if first.ends_with("created") && last.ends_with("token revoked")),
                "{log}"
            );
        }
        let left = server.live_tokens("", &scenario.name);
        assert_eq!((tokens, left), (size, 0));

        let pauses = pauses(&server.asked(&scenario.name), size, &scenario.path());
        let (least, most) = (every * 13 / 12, every * 7 / 6);
        let mean =
            pauses.iter().flatten().sum::<Duration>() / u32::try_from(pauses.iter().flatten().count()).expect("few");
        let longest = pauses.iter().flatten().max().copied().unwrap_or_default();
        let refreshes = pauses.iter().map(Vec::len);
        println!(
            "{size} sidecars for {seconds} s, every {} s: {} refreshes, {} to {} each; between two {:.2} s, {:.2} s at most",
            every.as_secs(),
            refreshes.clone().sum::<usize>(),
            refreshes.clone().min().unwrap_or_default(),
            refreshes.clone().max().unwrap_or_default(),
            mean.as_secs_f64(),
            longest.as_secs_f64(),
        );
        assert!(least <= mean && mean <= most + every / 50, "{mean:?} is not between {least:?} and {most:?}");
        assert!(longest <= most + SLACK, "{longest:?}");
        let fewest = length.as_millis() / (most + SLACK / 4).as_millis();
        assert!(refreshes.clone().all(|it| it as u128 >= fewest), "fewer than {fewest}: {pauses:?}");
    });
}

/// Between the reads of each sidecar. It has one connection: a login, reads, and the end of the token, which needs another
/// connection where the signal has cut off a read.
fn pauses(asked: &[Asked], size: usize, path: &str) -> Vec<Vec<Duration>> {
    let path = format!("kv/data/{path}");
    let mut connections: BTreeMap<u64, Vec<&Asked>> = BTreeMap::new();
    for one in asked {
        connections.entry(one.connection).or_default().push(one);
    }
    let ends: usize = connections.values_mut().map(|asked| asked.extract_if(.., |it| it.path == REVOKE).count()).sum();
    connections.retain(|_, asked| !asked.is_empty());
    assert_eq!((connections.len(), ends), (size, size), "connections, and tokens that were revoked");
    let of_one = |asked: Vec<&Asked>| {
        let (login, reads) = asked.split_first().expect("a request");
        assert_eq!(login.path, "auth/kubernetes/login");
        assert!(reads.iter().all(|it| it.path == path), "{reads:?}");
        let times = reads.iter().map(|it| it.logged.expect("the real server tells"));
        times
            .clone()
            .zip(times.skip(1))
            .map(|(before, after)| after.duration_since(before).unwrap_or_default())
            .collect()
    };
    connections.into_values().map(of_one).collect()
}
