//! What the program costs, measured in one run and printed as tables: its goals, the others on the same server, growth.
//!
//! Times are ratios of runs taken by turns, since the machine's own speed drifts. A goal that is missed fails the run;
//! one that cannot be measured says why. `--steady` leaves out what depends on the speed of the machine, `--person` measures
//! the start with a person's cached token alone.

use std::process::ExitCode;

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, unused_macros, unused_imports, reason = "the tests use more of it")]
mod support;

mod goals;
mod growth;
mod others;
mod person;
mod subject;
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
        let goal = person::cached(&program, server);
        print("goal", &["measured", "at most"], [goal.row()]);
        return ExitCode::from(u8::from(goal.missed));
    }
    let steady = is("--steady");

    let secret = KEYS.map(|key| (key.to_owned(), json!("a value of some length")));
    let scenario = Scenario::new(server).secret(&secret.into_iter().collect()).kubernetes().tls(Listener::Tls);
    let program = Subject::VaultExec.program().expect("it is built");
    let work = Work::record(&scenario, &program, &server.addr(Listener::Plain));
    let field = Field::measure(&work, server, steady);
    let mut goals = goals::measure(&field, &work, &server.addr(Listener::Tls), steady);
    if !steady {
        goals.push(person::cached(&program, server));
    }
    print("goal", &["measured", "at most"], goals.iter().map(Goal::row));
    print("started by", &others::COLUMNS, field.rows(steady));
    if !steady {
        growth::print_all(&program, server);
    }
    ExitCode::from(u8::from(goals.iter().any(|goal| goal.missed)))
}
