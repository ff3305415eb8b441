//! The `vault-exec` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vault_exec::run::program(std::env::args_os().collect())
}
