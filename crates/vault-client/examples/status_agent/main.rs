//! The status agent of a deployment panel. It answers how the deployment is doing and takes commands, from callers that sign
//! each request with the agent's token. The token stands in Vault and is rotated while the agent runs.
//!
//! README.md beside this file has the settings, how a request is signed, and a rotation step by step.
//!
//! ```sh
//! AGENT_TOKEN=… AGENT_SCOPES='panel:status,restart,refresh' cargo run --package vault-client --example status_agent
//! ```

mod api;
mod audit;
mod gate;
mod guard;
mod server;
mod settings;
mod signature;
mod stream;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::TcpListener;
use vault_client::{AgentToken, Revoked, VaultClient};

use api::Agent;
use audit::{Audit, Line};
use settings::Settings;
use signature::SHORTEST;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                stream::say(line);
            }
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::read(|name| std::env::var_os(name))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // It blocks, and no task is there yet that it could keep waiting.
    let token = AgentToken::from_env_with(settings.every, || {
        VaultClient::builder().application_name("status-agent/0.1").observer(Audit).build()
    })?;
    if !signature::is_long_enough(&token.current()) {
        token.close();
        return Err(
            format!("the token is shorter than {SHORTEST} bytes; take a longer one that is made at random").into()
        );
    }
    let served = runtime.block_on(serve(settings, token.clone()));
    // It ends a refresh that is under way, which the drop of the runtime waits for.
    let revoked = token.close();
    let written = Line::ended(revoked == Revoked::Yes).write();
    drop(runtime);
    Ok(served.and(written)?)
}

async fn serve(settings: Settings, token: AgentToken) -> std::io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    let at = listener.local_addr()?;
    let agent = Arc::new(Agent::new(settings, token));
    let ready = async || {
        // A caller that is told so has its first request accepted.
        api::second_is_over().await;
        Line::started(at, &agent.token).write()
    };
    server::run(listener, api::router(&agent), ready).await
}
