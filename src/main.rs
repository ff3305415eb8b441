//! The `vault-exec` program: parse, run, print one error, exit with its code.

use std::process::ExitCode;

use vault_exec::error::Code;
use vault_exec::process::environ::Environ;
use vault_exec::{config, logging, process, report, run};

fn main() -> ExitCode {
    process::on_panic_exit_with(Code::Internal as i32);
    let environ = Environ::inherited();
    let log = config::log(&environ);
    logging::init(log.level, log.json);
    match run::run(std::env::args_os().collect(), environ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error, log.termination_log.as_deref());
            error.exit_code().into()
        }
    }
}
