//! Makes a client without the environment: address, login, trust, limits and an observer are set by the program.
//!
//! ```sh
//! cargo run --package vault-client --example builder https://vault.vault.svc:8200 shop jwt kv shop/prod ca.crt
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use vault_client::options::tls;
use vault_client::{Event, Kubernetes, Limits, Observer, Revoked, Tls, VaultClient};

fn main() -> ExitCode {
    match read() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("builder: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what the client does. It is called on the thread that does it, and must not block for long.
struct Printer;

impl Observer for Printer {
    fn note(&self, event: &Event<'_>) {
        match event {
            Event::Done { step, .. } => println!("{}: done", step.name()),
            Event::Retrying { step, fault, attempt, .. } => {
                println!("{}: try {attempt} failed: {}", step.name(), fault.told(step));
            }
            Event::Warning(warning) => println!("warning: {warning}"),
            Event::Kept { act, lease } => println!("{}: the token lives for {} s", act.name(), lease.as_secs()),
            Event::KeepFailed { act, step, fault } => println!("{}: failed: {}", act.name(), fault.told(step)),
            // There are more, and later versions may add some.
            _ => {}
        }
    }
}

fn read() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let ([address, role, jwt, mount, path], ca) = (match &arguments[..] {
        [five @ .., ca] if five.len() == 5 => (five, Some(ca)),
        five => (five, None),
    }) else {
        return Err("usage: builder ADDRESS ROLE JWT_FILE MOUNT PATH [CA_FILE]".into());
    };
    // Without roots of its own the client trusts the roots that are built in.
    let roots = match ca {
        Some(file) => Some(tls::roots(&std::fs::read(file)?).map_err(|unfit| format!("{file}: {unfit}"))?),
        None => None,
    };
    let vault = VaultClient::builder()
        .address(address)
        .login(Kubernetes { mount: "kubernetes".into(), role: role.into(), jwt: jwt.into(), revoke: true })
        .tls(Tls { roots, ..Tls::default() })
        .limits(Limits { retries: 1, delay: Duration::from_secs(1), ..Limits::default() })
        .application_name("builder-example/1.0")
        .observer(Printer)
        .ignore_environment()
        .build()?;
    // One call may have less time than the others.
    let quick = vault.within(Limits { whole: Duration::from_secs(5), ..Limits::default() });
    let read = quick.kv_read(mount, path).map(|secret| println!("{mount}/{path}: {} keys", secret.data.len()));
    // It ends all clones.
    match vault.close() {
        Revoked::Yes => println!("the token is revoked"),
        Revoked::No(why) => println!("the token is not revoked: {}", why.words()),
    }
    Ok(read?)
}
