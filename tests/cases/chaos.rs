//! Runs against the real server through a proxy to which things happen at random: each ends whole or loudly, in time,
//! and leaves no token behind that could have been revoked. `CHAOS_RUNS` and `CHAOS_SEED` say how many and which; a run
//! is repeated with its own seed and one run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::support::chaos::fault::{Fault, Moment, Plan};
use crate::support::chaos::{Chaos, Exchange};
use crate::support::endings::Endings;
use crate::support::expect::Expect;
use crate::support::outcome::Outcome;
use crate::support::random::{self, Random};
use crate::support::scenario::Scenario;
use crate::support::server::{Kind, Server, on};

/// Runs at a time; most of their time is waiting.
const WORKERS: u64 = 6;

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
        let (next, endings) = (AtomicU64::new(0), Mutex::new(Endings::default()));
        let work = || {
            while let number @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                && number < runs
            {
                let _named = Named(seed + number);
                let code = run(&mut Random::new(seed + number));
                endings.lock().expect("no panic").note(code);
            }
        };
        std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
        println!("{}", endings.into_inner().expect("no panic"));
    });
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

fn run(random: &mut Random) -> i32 {
    let plan = Plan::draw(random);
    if plan.seals {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        run_on(&SEALABLE, plan, random)
    } else {
        run_on(Server::shared(Kind::OpenBao).expect("it is there"), plan, random)
    }
}

fn run_on(server: &'static Server, plan: Plan, random: &mut Random) -> i32 {
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
    no_token_left(server, &limits, &scenario, &outcome, &story, &told);
    outcome.code()
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
fn no_token_left(
    server: &Server,
    limits: &Limits,
    scenario: &Scenario,
    outcome: &Outcome,
    story: &[Exchange],
    told: &str,
) {
    let made: Vec<_> = story.iter().enumerate().filter(|(_, it)| it.made.is_some()).collect();
    let reached = |it: &Exchange| it.is_revoke() && matches!(it.status, Some(200 | 204));
    let revoked = |token: &Option<String>| story.iter().any(|it| reached(it) && it.token == *token);
    let left: Vec<_> = made.iter().filter(|(_, login)| !revoked(&login.made)).collect();
    // A login that the seal fell upon may have made a token without a word of it.
    if !story.iter().any(|it| matches!(it.fault, Fault::Sealed(..))) {
        assert_eq!(server.live_tokens("", &scenario.name), left.len(), "live tokens\n{told}");
    }
    for (number, login) in left {
        let used = story.iter().any(|it| it.token == login.made);
        let arrived = login.fault == Fault::Nothing && login.took.is_some_and(|took| took < limits.call / 8);
        let in_hand = used || (arrived && login.signalled.is_none());
        let spoiled = story[number + 1..].iter().any(|it| it.fault != Fault::Nothing);
        assert!(!in_hand || spoiled, "a token is left without a reason\n{told}");
        assert!(!in_hand || outcome.stderr.contains("the token stays valid for"), "a token is left in silence\n{told}");
    }
    if outcome.stderr.contains("; token revoked") {
        let used: Vec<_> = made.iter().filter(|(_, login)| story.iter().any(|it| it.token == login.made)).collect();
        assert!(used.iter().all(|(_, login)| revoked(&login.made)), "it is not revoked\n{told}");
    }
}
