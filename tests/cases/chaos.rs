//! Runs against the real server through a proxy to which things happen at random: each ends whole or loudly, in time,
//! and leaves no token behind that could have been revoked. `CHAOS_RUNS` and `CHAOS_SEED` say how many and which; a run
//! is repeated with its own seed and one run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use vault_testkit::chaos::fault::{Fault, Moment, Plan};
use vault_testkit::chaos::{Chaos, Exchange};
use vault_testkit::random::{self, Random};
use vault_testkit::server::{Kind, Server, on};

use crate::support::endings::Endings;
use crate::support::expect::Expect;
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;

/// Runs at a time; most of their time is waiting.
const WORKERS: usize = 6;

/// What a start of a process and its end take on a machine that is busy.
const SLACK: Duration = Duration::from_millis(500);

/// A server for the runs in which the seal is thrown.
static SEALABLE: LazyLock<Server> =
    LazyLock::new(|| Server::fresh(Kind::OpenBao).expect("the shared one is there").ready());

/// Whose turn it is on that server.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn whatever_happens_on_the_way_a_run_ends_whole_or_loudly_in_time_and_without_a_token() {
    on(Kind::OpenBao, "chaos", |_| {
        let (seed, runs) = (random::seed("CHAOS_SEED"), random::number("CHAOS_RUNS").unwrap_or(15));
        println!("chaos: seed {seed}, {runs} runs");
        let ended = all(seed..seed + runs);
        let (mut endings, mut happened) = (Endings::default(), BTreeMap::<String, usize>::new());
        for (code, story) in ended {
            endings.note(code);
            story.iter().flat_map(Exchange::kinds).for_each(|kind| *happened.entry(kind).or_default() += 1);
        }
        println!("{endings}");
        println!("{}", happened.iter().map(|(kind, times)| format!("{kind} {times}")).collect::<Vec<_>>().join(", "));
    });
}

/// Some at a time; all of them, even if one fails.
fn all(seeds: Range<u64>) -> Vec<(i32, Vec<Exchange>)> {
    let seeds = Mutex::new(seeds);
    let work = || {
        let mut ended = Vec::new();
        loop {
            let Some(seed) = seeds.lock().expect("no panic").next() else { return ended };
            let _named = Named(seed);
            ended.push(run(&mut Random::new(seed)));
        }
    };
    std::thread::scope(|scope| {
        let workers = [(); WORKERS].map(|()| scope.spawn(work));
        workers.into_iter().flat_map(|worker| worker.join().expect("each run has passed")).collect()
    })
}

/// Says which run it was that failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was CHAOS_SEED={} CHAOS_RUNS=1", self.0);
        }
    }
}

fn run(random: &mut Random) -> (i32, Vec<Exchange>) {
    let plan = Plan::draw(random);
    if plan.seals {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        run_on(&SEALABLE, plan, random)
    } else {
        run_on(Server::shared(Kind::OpenBao).expect("it is there"), plan, random)
    }
}

fn run_on(server: &'static Server, plan: Plan, random: &mut Random) -> (i32, Vec<Exchange>) {
    let signal = plan.signal;
    let (secret, limits) = (secret(random), Limits::draw(random));
    let chaos = Chaos::before(server, plan);
    let scenario = Scenario::new(server).secret(&Value::Object(secret.clone())).kubernetes();
    let scenario = limits.set(scenario).at(&chaos.url()).unobserved();
    let begin = Instant::now();
    let started = scenario.start();
    chaos.watch(started.pid());
    let outcome = started.finish();
    let end = begin + outcome.elapsed;
    let story = chaos.end();
    let lines: Vec<_> = story.iter().map(|exchange| format!("{exchange:?}")).collect();
    let told = format!("{limits:?}, {signal:?}\n{}\n{}", lines.join("\n"), outcome.describe());
    in_time(&limits, &outcome, &story, end, &told);
    whole_or_loud(&outcome, &story, &secret, &told);
    no_token_left(server, &limits, &scenario.name, &outcome, &story, &told);
    (outcome.code(), story)
}

/// Several values, one of them larger than any piece in which they travel.
fn secret(random: &mut Random) -> Map<String, Value> {
    let mut value = |length| (0..length).map(|_| char::from(random.pick(b"abcdefgh 0123456789\"\\<>&'"))).collect();
    let lengths = [8, 8, 30, 30, 200, 9000];
    lengths.iter().enumerate().map(|(number, length)| (format!("V{number}"), Value::String(value(*length)))).collect()
}

#[derive(Debug)]
struct Limits {
    call: Duration,
    all: Duration,
    retries: u64,
    delay: Duration,
    wait: Option<Duration>,
}

impl Limits {
    fn draw(random: &mut Random) -> Self {
        let all = random.millis(2000..=5000);
        Self {
            call: random.millis(800..=2000),
            all,
            retries: random.within(0..=5),
            delay: random.millis(0..=150),
            wait: Some(random.millis(500..=1900)).filter(|_| random.chance(40)),
        }
    }

    fn set<'a>(&self, scenario: Scenario<'a>) -> Scenario<'a> {
        let millis = |it: Duration| format!("{}ms", it.as_millis());
        scenario
            .env("VAULT_TIMEOUT", millis(self.call))
            .env("VAULT_STARTUP_TIMEOUT", millis(self.all))
            .env("VAULT_MAX_RETRIES", self.retries.to_string())
            .env("VAULT_RETRY_DELAY", millis(self.delay))
            .env("VAULT_WAIT", self.wait.map_or_else(|| "0".to_owned(), millis))
    }
}

fn in_time(limits: &Limits, outcome: &Outcome, story: &[Exchange], end: Instant, told: &str) {
    let limit = limits.all + Duration::from_secs(1) + SLACK;
    assert!(outcome.elapsed < limit, "it took {:?}\n{told}", outcome.elapsed);
    if let Some(signalled) = story.iter().find_map(|it| it.signalled).map(|it| it.1) {
        let took = end.saturating_duration_since(signalled);
        assert!(took < Duration::from_secs(1) + SLACK, "{took:?} after the signal\n{told}");
    }
}

fn whole_or_loud(outcome: &Outcome, story: &[Exchange], secret: &Map<String, Value>, told: &str) {
    let code = outcome.code();
    let signalled = story.iter().any(|it| it.signalled.is_some());
    let explained = match code {
        // One that comes before the hand-over is never lost: at this moment there always is an answer to come.
        0 => !story.iter().any(|it| it.signalled.is_some_and(|(moment, _)| moment == Moment::Asked)),
        129.. => signalled,
        code => story.iter().any(|it| it.fault.codes().contains(&code)),
    };
    assert!(explained, "exit code {code}\n{told}");
    if code == 0 {
        let env = secret.iter().map(|(name, value)| (name.clone(), value.as_str().expect("a text")));
        Expect::started().env(env).any_stderr().check(outcome);
        return;
    }
    let last = outcome.log().pop().unwrap_or_default();
    assert!(last.starts_with("ERROR vault-exec: "), "no error at the end\n{told}");
    Expect::done().code(code).any_stderr().check(outcome);
}

/// The server's view of what is left has to be the proxy's, and each token left has to have its reason.
fn no_token_left(server: &Server, limits: &Limits, name: &str, outcome: &Outcome, story: &[Exchange], told: &str) {
    let tries = |token: &Option<String>| -> Vec<&Exchange> {
        story.iter().filter(|it| it.is_revoke() && it.token == *token).collect()
    };
    let revoked = |token: &Option<String>| tries(token).iter().any(|it| matches!(it.status, Some(200 | 204)));
    let left: Vec<_> = story.iter().filter(|it| it.made.is_some() && !revoked(&it.made)).collect();
    let sealed = story.iter().any(|it| matches!(it.fault, Fault::Sealed(..)));
    // A login that the seal fell upon may have made a token without a word of it.
    assert!(sealed || server.live_tokens("", name) == left.len(), "live tokens are not {}\n{told}", left.len());
    for login in left {
        let used = story.iter().any(|it| it.token == login.made);
        let arrived = login.fault == Fault::Nothing && login.took.is_some_and(|took| took < limits.call / 8);
        if !used && (!arrived || login.signalled.is_some()) {
            continue;
        }
        let tries = tries(&login.made);
        // After a signal there is one try, which may meet a closed port.
        let signalled = story.iter().any(|it| it.signalled.is_some());
        assert!(!tries.is_empty() || signalled || sealed, "no revoke was tried\n{told}");
        assert!(
            sealed || tries.iter().all(|it| it.fault != Fault::Nothing),
            "a revoke had its way, and was none\n{told}"
        );
        assert!(outcome.stderr.contains("the token stays valid for"), "a token is left in silence\n{told}");
    }
    if outcome.stderr.contains("; token revoked") {
        let used = story.iter().filter_map(|it| it.token.clone()).next_back();
        assert!(revoked(&used), "it is not revoked\n{told}");
    }
}
