//! How a run grows: with the number of keys, the size of a secret and the length of the way to the server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, Value, json};
use vault_testkit::measure::{Cost, Spread, mebibytes, peak, print};
use vault_testkit::server::{Listener, Server};

use crate::support::scenario::Scenario;
use crate::wire::Wire;

/// Runs of each size.
const ROUNDS: usize = 30;

const COLUMNS: [&str; 3] = ["wall time, ms", "CPU time, ms", "peak memory"];

pub(crate) fn print_all(program: &Path, server: &Server) {
    print("keys, as variables", &COLUMNS, [1, 10, 100, 1_000, 10_000].map(|keys| with_keys(program, server, keys)));
    print(
        "size of the secret, into an env file",
        &COLUMNS,
        [1, 10, 100, 900].map(|kib| with_size(program, server, kib)),
    );
    print("there and back", &["wall time, ms", "round trips"], over_distance(program, server));
}

fn scenario(server: &Server, secret: Map<String, Value>) -> Scenario<'_> {
    Scenario::new(server).secret(&Value::Object(secret)).kubernetes().tls(Listener::Tls)
}

fn run(program: &Path, scenario: &Scenario, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(scenario.given_env()).env("VAULT_LOG_LEVEL", "warn");
    command
}

fn with_keys(program: &Path, server: &Server, keys: usize) -> Vec<String> {
    let secret = (0..keys).map(|number| (format!("KEY_{number:05}"), json!("a value"))).collect();
    let scenario = scenario(server, secret);
    row(&keys.to_string(), &run(program, &scenario, &["--", "/usr/bin/true"]))
}

fn with_size(program: &Path, server: &Server, kib: usize) -> Vec<String> {
    let secret = [("VALUE".to_owned(), json!("v".repeat(kib << 10)))].into_iter().collect();
    let scenario = scenario(server, secret);
    let file = scenario.file("app.env");
    row(&format!("{kib} KiB"), &run(program, &scenario, &["--env-file", file.to_str().expect("a path of text")]))
}

fn row(what: &str, command: &Command) -> Vec<String> {
    let costs = &Cost::by_turns(std::slice::from_ref(command), ROUNDS)[0];
    let [wall, cpu] =
        [|cost: &Cost| cost.wall, |cost: &Cost| cost.cpu].map(|figure| Spread::of(costs.iter().map(figure)));
    vec![what.to_owned(), format!("{wall:.1}"), format!("{cpu:.1}"), mebibytes(peak(costs))]
}

/// How often a run waits is told by what it takes longer than over a stretch that takes no time.
fn over_distance(program: &Path, server: &Server) -> Vec<Vec<String>> {
    let secret = [("KEY".to_owned(), json!("a value"))].into_iter().collect();
    let scenario = scenario(server, secret);
    let over = |milliseconds: u32| {
        let wire = Wire::to(&server.addr(Listener::Tls), Duration::from_millis(milliseconds.into()));
        let mut command = run(program, &scenario, &["--", "/usr/bin/true"]);
        command.env("VAULT_ADDR", wire.url());
        let costs = Cost::by_turns(&[command], ROUNDS).remove(0);
        Spread::of(costs.iter().map(|cost| cost.wall))
    };
    let near = over(0).median;
    let row = |milliseconds: u32| {
        let wall = over(milliseconds);
        let trips = (wall.median - near) / f64::from(milliseconds);
        vec![format!("{milliseconds} ms"), format!("{wall:.1}"), format!("{trips:.1}")]
    };
    [1, 10, 100].map(row).into()
}
