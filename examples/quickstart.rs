//! Shows in a few seconds what an operator sees: a start that goes well, and two that do not.
//!
//! It needs nothing but cargo: a small Vault runs within it, and this same program plays `vault-exec` and the
//! application when it is started under these names.

use std::error::Error;
use std::process::{Command, ExitCode};

use serde_json::json;
use vault_testkit::sample::Sample;

/// The application's name on its command line.
const APPLICATION: &str = "--play-the-application";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if args.first().is_some_and(|name| name == "vault-exec") {
        return vault_exec::run::program(args).into();
    }
    if args.get(1).is_some_and(|argument| argument == APPLICATION) {
        application();
        return ExitCode::SUCCESS;
    }
    match demonstrate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate() -> Result<(), Box<dyn Error>> {
    let sample = Sample::start()?;
    println!("A Vault runs at {}. A pod that may read kv/myapp/prod has these settings:\n", sample.vault.http_addr());
    for (name, value) in sample.settings() {
        println!("    {name}={value}");
    }
    step("It starts its application through vault-exec:", &sample, &[])?;
    let asked = sample.vault.audit();
    let asked: Vec<_> = asked.iter().skip_while(|entry| entry.path != "sys/seal-status").collect();
    let connections: std::collections::BTreeSet<_> = asked.iter().map(|entry| entry.connection).collect();
    println!(
        "\nVault was asked {} times over {} connection; the last revoked the token:",
        asked.len(),
        connections.len()
    );
    for entry in &asked {
        println!("    {} {} -> {}", entry.method, entry.path, entry.status);
    }
    step("A key is required that the secret has not:", &sample, &[("VAULT_REQUIRED_KEYS", "SMTP_HOST")])?;
    sample.put("sys/seal", &json!({}))?;
    step("Vault has been sealed:", &sample, &[])
}

/// Runs vault-exec in front of the application and says how that ended.
fn step(title: &str, sample: &Sample, more: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
    let set: Vec<_> = more.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    println!("\n{title}\n\n$ {}vault-exec -- application", set.concat());
    let this = std::env::current_exe()?;
    let mut vault_exec = Command::new(&this);
    std::os::unix::process::CommandExt::arg0(&mut vault_exec, "vault-exec");
    vault_exec.arg("--").arg(&this).arg(APPLICATION).env_clear().envs(sample.settings()).envs(more.iter().copied());
    let mut running = vault_exec.spawn()?;
    println!("  (process {})", running.id());
    let ended = running.wait()?;
    println!("  (exit code {})", ended.code().unwrap_or_default());
    Ok(())
}

/// The application: shows that it is the process that vault-exec was, and what it found in its environment.
fn application() {
    println!("  application: process {}, with", std::process::id());
    for (name, value) in std::env::vars().filter(|(name, _)| !name.starts_with("VAULT_")) {
        let shown: String = value.chars().take(4).collect();
        println!("  application:   {name}={shown}{}", if shown.len() < value.len() { "…" } else { "" });
    }
}
