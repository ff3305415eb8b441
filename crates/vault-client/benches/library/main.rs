//! What the library costs, measured in one run and printed as tables: its goals, and programs that do the same without it.
//!
//! All talk to the same OpenBao over TLS: they log in, read, and revoke their token. Times are ratios of runs taken by
//! turns, since the machine's own speed drifts. All are built in the workspace's release profile, for size; so the peer
//! has to be, which is built elsewhere.
//!
//! A goal that is missed fails the run; one that cannot be measured says why. `--steady` leaves out what depends on the
//! speed of the machine.

use std::process::ExitCode;
use std::time::Duration;

mod away;
mod corner;
mod current;
mod goals;
mod leases;
mod programs;
mod refreshes;

use vault_testkit::measure::print;
use vault_testkit::server::{Kind, Server};

use away::Away;
use corner::Corner;
use current::Readers;
use goals::Goal;
use leases::Leases;
use programs::Field;
use refreshes::Refreshes;

fn main() -> ExitCode {
    let steady = std::env::args_os().nth(1).is_some_and(|argument| argument == "--steady");
    let Some(server) = Server::shared(Kind::OpenBao) else {
        println!("skipped: OpenBao is not in target/tools, `just tools` installs it");
        return ExitCode::from(u8::from(std::env::var_os("CI").is_some()));
    };
    let field = Field::measure(&Corner::of(server, "30m", "1h"), steady);
    let (leases, away) = std::thread::scope(|scope| {
        let away = scope.spawn(|| Away::watch(server));
        (Leases::watch(server, Duration::from_secs(if steady { 10 } else { 60 })), away.join().expect("no panic"))
    });
    let readers = if steady { Vec::new() } else { Readers::watch() };
    let goals = goals::all(&field, &leases, &away, &readers, &Refreshes::watch());
    print("goal", &["measured", "at most"], goals.iter().map(Goal::row));
    print("program", &programs::COLUMNS, field.rows());
    println!("\nEach is a release build: `lto`, `opt-level = \"z\"`, `panic = \"abort\"`, one codegen unit, stripped.");
    ExitCode::from(u8::from(goals.iter().any(|goal| goal.missed)))
}
