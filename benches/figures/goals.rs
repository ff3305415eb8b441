//! What a release has to keep to.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use vault_testkit::measure::{Cost, Spread, mebibytes, megabytes, peak, under};

use crate::others::{Entrant, Field};
use crate::subject::{Subject, Work};
use crate::support::crates;
use crate::support::system::strace;
use crate::wire::Wire;

/// Runs of each side of a passthrough.
const PASSTHROUGHS: usize = 200;

/// How long an answer is on its way at least, where distance is what is measured.
const WAY: Duration = Duration::from_millis(100);

/// Runs of each side over that distance.
const DISTANT: usize = 7;

/// One figure and its limit.
pub(crate) struct Goal {
    figure: String,
    measured: String,
    limit: String,
    pub(crate) missed: bool,
}

impl Goal {
    pub(crate) fn new(figure: &str, measured: String, limit: impl Into<String>, missed: bool) -> Self {
        Self { figure: figure.to_owned(), measured, limit: limit.into(), missed }
    }

    /// A ratio of times.
    pub(crate) fn ratio(figure: &str, ratio: Spread, limit: f64, unit: &str) -> Self {
        Self::new(figure, format!("{ratio:.2}"), format!("{limit:.2} × {unit}"), ratio.median > limit)
    }

    pub(crate) fn skipped(figure: &str, why: &str) -> Self {
        Self::new(figure, format!("skipped: {why}"), "–", false)
    }

    pub(crate) fn row(&self) -> Vec<String> {
        let measured = if self.missed { format!("**missed:** {}", self.measured) } else { self.measured.clone() };
        vec![self.figure.clone(), measured, self.limit.clone()]
    }
}

/// Measures all of them; where `steady`, those that do not depend on the machine's speed.
pub(crate) fn measure(field: &Field, work: &Work, url: &str, steady: bool) -> Vec<Goal> {
    let own = &field.entrants[0];
    let own_run = work.command(own.subject, &own.program, url);
    let run_by_name = work.command(own.subject, &own.program, &url.replace("127.0.0.1", "localhost"));
    let linked_statically = field.get(Subject::VaultExecStatic).expect("it was built");
    let mut goals = vec![
        size("size, dynamically linked", own, 2_600_000),
        size("size, statically linked", linked_statically, 3_400_000),
        memory("peak memory, dynamically linked", own),
        memory("peak memory, statically linked", linked_statically),
        requests(own),
        threads("threads started, Vault's address being an IP", &own_run, 0),
        threads("threads started, Vault's address being a name", &run_by_name, 1),
        round_trips("round trips after the TLS handshake", &own_run, own.requests),
        round_trips("the same, the login along with the read", &inline(&own_run), REQUESTS_INLINE),
        distant(&own_run),
        processes(own),
        crates(),
    ];
    if !steady {
        goals.extend(passthroughs(&own.program, &linked_statically.program));
        goals.extend(times(field));
    }
    goals
}

fn size(figure: &str, entrant: &Entrant, limit: u64) -> Goal {
    Goal::new(figure, megabytes(entrant.size), megabytes(limit), entrant.size > limit)
}

fn memory(figure: &str, entrant: &Entrant) -> Goal {
    let alone = Cost::of(&Command::new("/usr/bin/true")).peak_kib;
    let kib = peak(&entrant.costs);
    let measured = format!("{} (`true` alone: {})", mebibytes(kib), mebibytes(alone));
    Goal::new(figure, measured, "5 MiB", kib > 5 << 10)
}

fn requests(entrant: &Entrant) -> Goal {
    let (requests, connections) = (entrant.requests, entrant.connections);
    let measured = format!("{requests}, connections: {connections}");
    Goal::new("requests of a run", measured, "4, connections: 1", requests > 4 || connections > 1)
}

fn processes(entrant: &Entrant) -> Goal {
    Goal::new("processes left beside the application", entrant.processes.to_string(), "0", entrant.processes > 0)
}

/// Threads of a run, counted by the system calls that start one.
fn threads(figure: &str, run: &Command, limit: usize) -> Goal {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures.strace");
    let Some(mut traced) = strace(&log) else {
        return Goal::skipped(figure, "strace does not work here");
    };
    traced.args(["-e", "trace=clone,clone3"]);
    assert!(under(traced, run).status().expect("it starts").success());
    let trace = fs::read_to_string(&log).expect("a trace");
    let started = trace.lines().filter(|line| line.contains("clone")).count();
    Goal::new(figure, started.to_string(), limit.to_string(), started > limit)
}

/// What a run asks whose login comes along with the read: status and read.
const REQUESTS_INLINE: usize = 2;

/// The same run, with the login along with the read.
fn inline(run: &Command) -> Command {
    with(run, "VAULT_INLINE_AUTH", "true")
}

/// The same run with this setting.
fn with(run: &Command, name: &str, value: &str) -> Command {
    let mut command = Command::new(run.get_program());
    command.args(run.get_args()).env_clear();
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?)))).env(name, value);
    command
}

/// The same run over a stretch of network to the server that it goes to.
fn over(way: Duration, run: &Command) -> Command {
    let url = run.get_envs().find(|(name, _)| *name == "VAULT_ADDR").and_then(|(_, url)| url?.to_str());
    with(run, "VAULT_ADDR", &Wire::to(url.expect("an address"), way).url())
}

/// How often a run waits for an answer, told by what it takes longer where each is long on its way.
fn round_trips(figure: &str, run: &Command, requests: usize) -> Goal {
    let fastest = |way: Duration| {
        let costs = Cost::by_turns(&[over(way, run)], 5).remove(0);
        costs.iter().map(|cost| cost.wall).fold(f64::INFINITY, f64::min)
    };
    let longer = fastest(WAY) - fastest(Duration::ZERO);
    // The connection itself is made to the near end, and the handshake takes one.
    let trips = longer / (WAY.as_secs_f64() * 1000.0) - 1.0;
    let missed = trips > f64::from(u32::try_from(requests).expect("few")) + 0.5;
    Goal::new(figure, format!("{trips:.1}"), format!("{requests}, one a request"), missed)
}

/// A full run over a distance, the login along with the read against a login of its own. What it takes is the distance,
/// whatever the speed of the machine.
fn distant(run: &Command) -> Goal {
    let [login, along] = [run, &inline(run)].map(|run| over(WAY, run));
    let costs = Cost::by_turns(&[login, along], DISTANT);
    let ratio = Spread::ratio(&costs[1], &costs[0], |cost| cost.wall);
    let figure = format!("full run over {} ms there and back, inline", WAY.as_millis());
    Goal::ratio(&figure, ratio, 0.75, "with a login")
}

fn crates() -> Goal {
    let linked = crates::foreign("vault-exec", crates::LINKED).len();
    Goal::new("crates in the binary", linked.to_string(), "as few as needed", false)
}

/// Passthrough, dynamically and statically linked, against `env`, which takes a fifth longer where there is a locale to
/// read: the goal is meant for such an environment, the other one is told beside it.
fn passthroughs(own: &Path, linked_statically: &Path) -> Vec<Goal> {
    let measure = |locale: &[(&str, &str)]| {
        let run = |program: &Path, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").envs(locale.iter().copied());
            command
        };
        let through = |program: &Path| run(program, &["--", "true"]);
        let commands = [run(Path::new("/usr/bin/env"), &["true"]), through(own), through(linked_statically)];
        let costs = Cost::by_turns(&commands, PASSTHROUGHS);
        [1, 2].map(|index| Spread::ratio(&costs[index], &costs[0], |cost| cost.wall))
    };
    let [dynamic, fixed] = measure(&[("LANG", "C.UTF-8")]);
    let [dynamic_bare, fixed_bare] = measure(&[]);
    let bare = |how: &str, ratio: Spread| {
        Goal::new(&format!("the same without LANG, {how}"), format!("{ratio:.2}"), "× `env true`", false)
    };
    vec![
        Goal::ratio("passthrough, wall time, dynamically linked", dynamic, 1.1, "`env true`"),
        Goal::ratio("passthrough, wall time, statically linked", fixed, 0.95, "`env true`"),
        bare("dynamically linked", dynamic_bare),
        bare("statically linked", fixed_bare),
    ]
}

/// A full run against the floor and against vault-env.
fn times(field: &Field) -> Vec<Goal> {
    let ours = &field.entrants[0].costs;
    let against = |figure: &str, other: Subject, measure: fn(&Cost) -> f64, limit: f64| match field.get(other) {
        Some(entrant) => {
            let unit = other.name();
            Goal::ratio(&format!("full run, {figure}"), Spread::ratio(ours, &entrant.costs, measure), limit, unit)
        }
        None => Goal::skipped(&format!("full run, {figure}"), &format!("{} is not on PATH", other.name())),
    };
    vec![
        against("wall time, against the floor", Subject::Floor, |cost| cost.wall, 1.3),
        against("CPU time, against vault-env", Subject::VaultEnv, |cost| cost.cpu, 0.125),
        against("wall time, against vault-env", Subject::VaultEnv, |cost| cost.wall, 0.333),
    ]
}
