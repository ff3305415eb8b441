//! The configuration read again: whole or not at all.

use std::path::Path;
use std::sync::Arc;

use crate::check;
use crate::config::Config;
use crate::ended::Ended;
use crate::log::Log;
use crate::state::{Generation, Service};

/// Reads `file` again. Requests under way keep the generation that they began with; where anything is wrong, all keep it.
pub async fn reload(service: &Arc<Service>, file: &Path, log: &Log) {
    let done = replace(service, file, log).await;
    service.metrics.reload(done.is_ok());
    match done {
        Ok(()) => tracing::info!("the configuration was read again"),
        Err(ended) => {
            for line in ended.lines {
                tracing::error!("the configuration stays as it was: {line}");
            }
        }
    }
}

async fn replace(service: &Arc<Service>, file: &Path, log: &Log) -> Result<(), Ended> {
    let file = file.to_owned();
    let read = tokio::task::spawn_blocking(move || check::read(&file)).await;
    let config = read.map_err(|error| Ended::system("reading", &error))??;
    let current = service.current();
    demand_the_fixed(&current.config, &config)?;
    let filter = config.log.clone();
    let generation = Generation::new(config, &service.metrics, Some(&current))?;
    drop(current);
    service.audit.reopen().map_err(|error| Ended::audit(None, &error))?;
    log.set_filter(&filter)?;
    // Its last request drops it, and with it the clients of tenants that are no more: each revokes its token.
    let before = service.replace(generation);
    before.tenants.forget(Some(&service.current().tenants));
    drop(before);
    let service = Arc::clone(service);
    tokio::spawn(async move { service.current().tenants.try_all().await });
    Ok(())
}

/// Listeners and the audit log are what they were at the start.
fn demand_the_fixed(before: &Config, after: &Config) -> Result<(), Ended> {
    let limits = |it: &Config| (it.limits.connections, it.limits.header_bytes, it.limits.head);
    let rows = [
        ("listen", before.listen == after.listen),
        ("ops", before.ops == after.ops),
        ("audit", before.audit == after.audit),
        ("tls", before.tls == after.tls),
        ("limits.connections, header_bytes and head", limits(before) == limits(after)),
    ];
    let changed = rows.into_iter().filter(|(_, is_same)| !is_same);
    let lines: Vec<_> =
        changed.map(|(name, _)| format!("{name}: changes with a restart only; restart the service")).collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.into()) }
}
