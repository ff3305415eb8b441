//! A real server that is stopped, started and unsealed while instances with `--wait` start: none of them fails, but for
//! those that had begun to read, which may do so loudly.
//! `CHAOS_RESTARTS` says how often.

use serde_json::json;
use vault_testkit::random;
use vault_testkit::server::{Kind, Server, on};

use crate::support::endings::Endings;
use crate::support::expect::Expect;
use crate::support::scenario::Scenario;

#[test]
fn instances_that_start_at_any_moment_of_a_restart_wait_for_its_end() {
    on(Kind::OpenBao, "restart", |_| {
        let server = Server::durable().expect("the shared one is there").ready();
        let restarts = random::number("CHAOS_RESTARTS").unwrap_or(1);
        println!("restarts: {restarts}");
        let mut endings = Endings::default();
        (0..restarts).for_each(|_| restart_under(&server, &mut endings));
        println!("{endings}");
    });
}

fn restart_under(server: &Server, endings: &mut Endings) {
    let scenarios = [(); 6].map(|()| scenario(server));
    let [first, second, away, sealed, unsealed, last] = &scenarios;

    let mut starting = vec![first.start(), second.start()];
    server.stop();
    starting.push(away.start());
    starting[2].await_log("connection refused");
    server.resume();
    starting.push(sealed.start());
    starting.iter().skip(2).for_each(|it| it.await_log("sealed (0 of 1 keys given)"));
    std::thread::scope(|scope| {
        // Returns only when the server takes tokens; there is a moment in between without a leader.
        scope.spawn(|| server.unseal());
        starting.push(unsealed.start());
    });
    starting.push(last.start());

    for (number, (started, scenario)) in starting.into_iter().zip(&scenarios).enumerate() {
        let outcome = started.finish();
        // One that was cut off in its very last step is a success too, and says what it leaves. Where the server was
        // reached, the token may be gone all the same: its answer was lost, or it has lost the token soon after it started.
        let left = usize::from(outcome.stderr.contains("the token stays valid for"));
        let at_least = usize::from(outcome.stderr.contains("revoke: connection refused; the token stays valid for"));
        let expected = match outcome.code() {
            code @ (69 | 75) if number < 2 => Expect::done().code(code),
            _ => Expect::started().env([("A", "a-secret")]),
        };
        let outcome = outcome.expect(expected.any_stderr());
        // A login whose answer was cut off may have made a token that nobody knows.
        let unknown = outcome.stderr.matches("login: the connection was closed before the answer").count();
        let alive = server.live_tokens("", &scenario.name);
        assert!((at_least..=left + unknown).contains(&alive), "{alive} left: {}", outcome.describe());
        endings.note(outcome.code());
    }
}

fn scenario(server: &Server) -> Scenario<'_> {
    let scenario = Scenario::new(server).secret(&json!({"A": "a-secret"})).kubernetes().unobserved();
    scenario.options(["--wait=18s"])
}
