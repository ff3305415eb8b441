//! What a read through the gateway costs, measured in one run and printed as tables: the goals, and the sides.
//!
//! All sides talk plain HTTP on the loopback, keep their connections, and are loaded by `wrk` with 16 of them, one side
//! after the other, round by round, since the machine's own speed drifts. What counts are ratios within a round. `wrk`,
//! OpenBao and the gateway share the cores of the machine.
//!
//! A goal that is missed fails the run, but the one that is for a quiet machine. `GATEWAY_PROGRAM` names another build of
//! the gateway to measure, and an argument the rounds.

use std::path::PathBuf;
use std::process::ExitCode;

mod corner;
mod gateway;
mod goals;
mod load;
mod sides;

use vault_testkit::measure::{built_as, print};
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::server::{Kind, Server};

use corner::Corner;
use goals::Goal;
use sides::Sides;

/// Names another build of the gateway.
const PROGRAM: &str = "GATEWAY_PROGRAM";

/// Rounds, of which each loads every side once.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let provider = OpenIdProvider::start(Settings::default());
    let parts = Server::shared(Kind::OpenBao).zip(provider).filter(|_| load::is_installed());
    let Some((server, provider)) = parts else {
        println!(
            "skipped: it needs wrk, and OpenBao and the OpenID provider in target/tools: `just tools` installs them"
        );
        return ExitCode::from(u8::from(std::env::var_os("CI").is_some()));
    };
    let given = std::env::args().nth(1).and_then(|argument| argument.parse().ok());
    let program = std::env::var_os(PROGRAM).map(PathBuf::from);
    let program = program.unwrap_or_else(|| built_as("gateway", "vault-gateway", "--bin", "vault-gateway", ""));
    let sides = Sides::measure(&Corner::of(server, &provider, program), given.unwrap_or(ROUNDS));
    let goals = goals::all(&sides);
    print("goal", &["measured", "limit"], goals.iter().map(Goal::row));
    print("side, 16 connections", &sides::COLUMNS, sides.rows());
    println!("\nAll speak plain HTTP. The gateway's build is of the profile `gateway`; its audit log goes to a file.");
    ExitCode::from(u8::from(goals.iter().any(|goal| goal.missed)))
}
