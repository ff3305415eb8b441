//! The rows of the report: a variable each, and what there is to say of all of them.

use super::report::Row;
use crate::config::Config;
use crate::process::environ::Environ;
use crate::secrets::{self, Problem, Variable};
use crate::sink::Sink;
use crate::sink::env_file::EnvFile;
use crate::sink::exec::{self, OnConflict};
use crate::steps;
use vault_client::text::name as shown_name;

/// The row of a variable that could be made; what its carrier says of it.
pub(super) fn row(
    variable: &Variable,
    sink: Option<&Sink>,
    shell: Option<&str>,
    config: &Config,
    environ: &Environ,
) -> Row {
    let dropped = shell.filter(|_| steps::is_droppable(variable));
    let dropped = dropped.map(|shell| format!("; {shell} drops it")).unwrap_or_default();
    let ok = |state: &str| (true, format!("{state}{dropped}"));
    let (good, state) = match sink {
        Some(Sink::EnvFile(EnvFile { format, .. })) => match format.check(&variable.name, variable.value.expose()) {
            Ok(()) => ok("ok"),
            Err(reason) => (false, format!("format {format} cannot carry {reason}")),
        },
        _ if !exec::is_in_conflict(variable, environ, config.withheld()) => ok("ok"),
        _ => match config.on_conflict {
            OnConflict::Overwrite => ok("ok, overwrites another value in the environment"),
            OnConflict::Keep => (true, "kept out: the environment has another value".to_owned()),
            OnConflict::Error => (false, "conflict: the environment has another value".to_owned()),
        },
    };
    // What a file or a command may have left there, and few applications expect.
    let newline = if variable.value.expose().ends_with('\n') { "; a newline ends the value" } else { "" };
    let state = state + newline + &secrets::from(&variable.places);
    Row { name: shown_name(&variable.name), kind: Some(variable.kind), good, state, paths: variable.places.clone() }
}

/// What there is to say of `variables`, beside which so many were kept out, and of which `shell` drops some.
pub(super) fn remark(variables: &[Variable], kept_out: usize, shell: Option<&str>) -> String {
    let dropped = variables.iter().filter(|it| steps::is_droppable(it)).count();
    let good = match (variables.len(), shell.filter(|_| dropped > 0)) {
        (0, _) => String::new(),
        (_, Some(shell)) => format!("; {shell} drops {dropped}"),
        (1, None) => ", good".to_owned(),
        (_, None) => ", all of them good".to_owned(),
    };
    let kept = if kept_out > 0 { format!("; {kept_out} kept out by VAULT_ON_CONFLICT=keep") } else { String::new() };
    good + &kept
}

/// The row of a variable that could not be made.
pub(super) fn refused_row(problem: &Problem) -> Row {
    let paths = problem.places().to_vec();
    Row { name: problem.to_string(), kind: problem.kind(), good: false, state: problem.state(), paths }
}
