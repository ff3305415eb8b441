//! A tour of the gateway on the terminal: a secret is read, refused, written, put back, and looked up in the audit log.
//!
//! Vault, the issuer and the gateway are started here, and end with it. OpenBao is taken where `just tools` has installed
//! it, and a small Vault within this program where not.
//!
//! ```sh
//! cargo run --package vault-gateway --example tour
//! ```

mod show;
mod stage;

use std::process::ExitCode;

use serde_json::json;

use show::{audit, dry_run, exchange, heading};
use stage::{Ask, Stage};

const SECRET: &str = "/vault/secrets/apps/shop/config";
const OTHER: &str = "/vault/secrets/apps/bank/config";
const ROLLBACK: &str = "/vault/versions/apps/shop/config/rollback";

fn main() -> ExitCode {
    // The gateway is this program again, with arguments.
    if std::env::args_os().len() > 1 {
        return vault_gateway::run::program(std::env::args_os());
    }
    let stage = Stage::set();
    println!("A tour of vault-gateway, in front of {}.", stage.vault());
    println!(
        "The caller has a JWT with the tenant \"team-a\" and the role \"shop\". This is what the gateway knows:\n"
    );
    println!("{}", show::indented(&stage.rules()));

    heading("A read", "The gateway checks the JWT, asks its rules, and then Vault.");
    exchange(&stage, &Ask::get(SECRET));

    heading("The same again", "The cache has it. Rules are asked each time.");
    exchange(&stage, &Ask::get(SECRET));

    heading("A read that no rule allows", "Vault is not asked. The answer is the same for every path.");
    exchange(&stage, &Ask::get(OTHER));

    heading("Why was that?", "A dry run has the same rules and needs no token: the claims are in a file.");
    dry_run(&stage, "GET", OTHER);

    heading("A write", "It holds only if version 1 is still the latest one: ETags are versions.");
    let changed = json!({"host": "db.internal", "port": 5433});
    exchange(&stage, &Ask::put(SECRET, &changed).on("\"1\""));

    heading("The same write again", "Version 1 is not the latest one any more. Nothing is overwritten.");
    exchange(&stage, &Ask::put(SECRET, &changed).on("\"1\""));

    heading("A rollback", "The data of version 1 become version 3.");
    exchange(&stage, &Ask::post(ROLLBACK, &json!({"to": 1})));

    heading("A read after it", "Each write takes the secret out of the cache.");
    exchange(&stage, &Ask::get(SECRET));

    heading("The audit log", "A line for each request, written before its answer. No value is in it.");
    audit(&stage);
    ExitCode::SUCCESS
}
