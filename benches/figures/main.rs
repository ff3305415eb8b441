//! What the program costs, measured in one run and printed as tables: its goals, the others on the same server, growth.
//!
//! Times are ratios of runs taken by turns, since the machine's own speed drifts. A goal that is missed fails the run;
//! one that cannot be measured says why. `--steady` leaves out what depends on the speed of the machine, `--person` measures
//! the start with a person's cached token alone, `--watch` what it costs to keep a file current.

use std::process::ExitCode;

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, unused_macros, unused_imports, reason = "the tests use more of it")]
mod support;

mod goals;
mod growth;
mod others;
mod person;
mod subject;
mod watch;
mod wire;

use serde_json::json;
use support::scenario::Scenario;
use vault_testkit::measure::print;
use vault_testkit::server::{Kind, Listener, Server};

use goals::Goal;
use others::Field;
use subject::{KEYS, Subject, Work};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let is = |argument: &str| arguments.first().is_some_and(|first| first == argument);
    if is(others::COUNT_PROCESSES) {
        return others::count_processes(&arguments[1..]);
    }
    let Some(server) = Server::shared(Kind::OpenBao) else {
        println!("skipped: OpenBao is not in target/tools, `just tools` installs it");
        return ExitCode::from(u8::from(std::env::var_os("CI").is_some()));
    };
    if is("--person") {
        let program = Subject::VaultExec.program().expect("it is built");
        return judged(&[person::cached(&program, server)]);
    }
    if is("--watch") {
        return judged(&watch::print_all(server));
    }
    let steady = is("--steady");

    let secret = KEYS.map(|key| (key.to_owned(), json!("a value of some length")));
    let scenario = Scenario::new(server).secret(&secret.into_iter().collect()).kubernetes().tls(Listener::Tls);
    let program = Subject::VaultExec.program().expect("it is built");
    let work = Work::record(&scenario, &program, &server.addr(Listener::Plain));
    let field = Field::measure(&work, server, steady);
    let mut goals = goals::measure(&field, &work, &server.addr(Listener::Tls), steady);
    if steady {
        goals.extend(watch::steady(server));
    } else {
        goals.push(person::cached(&program, server));
    }
    let code = judged(&goals);
    print("started by", &others::COLUMNS, field.rows(steady));
    if !steady {
        growth::print_all(&program, server);
    }
    code
}

/// Prints the goals; the code of a run in which one is missed is 1.
fn judged(goals: &[Goal]) -> ExitCode {
    print("goal", &["measured", "at most"], goals.iter().map(Goal::row));
    ExitCode::from(u8::from(goals.iter().any(|goal| goal.missed)))
}
