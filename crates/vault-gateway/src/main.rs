//! The `vault-gateway` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vault_gateway::run::program(std::env::args_os())
}
