//! The program: from its arguments to its end.

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::OptionFuture;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use vault_client::retry::uniform;

use crate::audit::Audit;
use crate::cli::{self, Command};
use crate::config::{AuditTo, Config};
use crate::ended::Ended;
use crate::listen::{Limits, Listener, Refused};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::state::{Generation, Service};
use crate::{api, check, explain, ops, reload};

/// `/ready` waits this long for the first logins and the first keys.
const FIRST_TRIES: Duration = Duration::from_secs(10);
/// Limits of the number of threads for calls that block. A thread is made when it is needed.
const FEWEST_THREADS: usize = 512;
const MOST_THREADS: usize = 16_384;
/// The end waits this long for tokens to be revoked, and for the last lines of the audit log.
const LAST_LINES: Duration = Duration::from_secs(10);
/// A tenant that does not work is tried again after this pause and up to [`SPREAD`] more.
const TRIES: Duration = Duration::from_secs(27);
/// Replicas that have lost the same Vault do not all come back at once.
const SPREAD: Duration = Duration::from_secs(6);
/// The time between two clean-ups of the cache.
const TIDY: Duration = Duration::from_secs(5);
/// After TERM, requests are accepted for this long: callers may not know of the end yet.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the program with these arguments, and prints why it ended where that is an error.
pub fn program(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let ended = match cli::parse(arguments) {
        Ok(Command::Serve { config }) => serve(&config),
        Ok(Command::Check { config }) => examine(&config),
        Ok(Command::Explain { config, claims, method, target }) => explain::run(&config, &claims, &method, &target),
        Err(stopped) => Err(stopped.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => ended.print(),
    }
}

/// Reads the configuration and makes of it what needs no network.
fn examine(file: &Path) -> Result<(), Ended> {
    for line in check::misspelt() {
        eprintln!("vault-gateway: warning: {line}");
    }
    let config = check::read(file)?;
    let (tenants, issuers) = (config.tenants.len(), config.issuers.len());
    runtime(&config)?.block_on(async { Generation::new(config, &new_metrics(), None).map(drop) })?;
    let plural = |count| if count == 1 { "" } else { "s" };
    println!("the configuration is good: {tenants} tenant{}, {issuers} issuer{}", plural(tenants), plural(issuers));
    Ok(())
}

fn serve(file: &Path) -> Result<(), Ended> {
    let config = check::read(file)?;
    let log = Arc::new(Log::start(&config.log)?);
    for line in check::misspelt() {
        tracing::warn!("{line}");
    }
    let ended = serve_with(file, config, &log);
    log.flush();
    ended
}

fn serve_with(file: &Path, config: Config, log: &Arc<Log>) -> Result<(), Ended> {
    // Another process of the same user must not read tokens and values from memory.
    prctl::set_dumpable(false).map_err(|error| Ended::system("prctl", &error))?;
    raise_descriptors();
    let runtime = runtime(&config)?;
    let ended = runtime.block_on(serve_until_the_end(file, config, log));
    // What still blocks is cut off: it has had its time.
    runtime.shutdown_background();
    ended
}

fn new_metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")))
}

/// As many descriptors as the system allows: each connection takes one.
fn raise_descriptors() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// A tenant whose Vault hangs holds as many threads as it has requests there. The others need theirs.
fn runtime(config: &Config) -> Result<tokio::runtime::Runtime, Ended> {
    let of_tenants = config.tenants.len().saturating_mul(config.limits.upstream_per_tenant);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.max_blocking_threads(of_tenants.saturating_mul(2).clamp(FEWEST_THREADS, MOST_THREADS));
    let built = builder.enable_all().build();
    built.map_err(|error| Ended::system("threads", &error))
}

async fn serve_until_the_end(file: &Path, config: Config, log: &Arc<Log>) -> Result<(), Ended> {
    let mut signals = Signals::new()?;
    let tls = check::tls(&config)?;
    let audit = open_audit(&config.audit)?;
    let limits = config.limits;
    let limits = Limits { connections: limits.connections, header_bytes: limits.header_bytes, head: limits.head };
    let callers = Listener::bind(config.listen, tls, limits).map_err(|error| Ended::bind(config.listen, &error))?;
    let operators = match config.ops {
        None => None,
        Some(address) => Some(Listener::bind(address, None, limits).map_err(|error| Ended::bind(address, &error))?),
    };
    let metrics = new_metrics();
    let service = Service::new(Generation::new(config, &metrics, None)?, audit, metrics);
    let (stop, _) = watch::channel(false);
    let graceful = Arc::new(GracefulShutdown::new());
    tell(&callers, operators.as_ref());
    let accepting = accept_callers(callers, &service, &graceful, &stop);
    if let Some(listener) = operators {
        accept_operators(listener, &service);
    }
    make_ready(&service);
    keep_tidy(&service);
    signals.until_the_end(|| start_reload(&service, file, log)).await;
    tracing::info!("ending: callers are served for 5 more seconds, and requests under way are finished");
    service.end_readiness();
    signals.or_another(tokio::time::sleep(FAREWELL)).await;
    let _ = stop.send(true);
    let _ = accepting.await;
    let drain = service.current().config.drain;
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        signals.or_another(async { drop(timeout(drain, graceful.shutdown()).await) }).await;
    }
    signals.or_another(async { drop(timeout(LAST_LINES, service.end()).await) }).await;
    Ok(())
}

/// On a thread for what blocks: files can hang, and the audit file is waited for.
fn start_reload(service: &Arc<Service>, file: &Path, log: &Arc<Log>) -> JoinHandle<()> {
    let (service, file, log) = (Arc::clone(service), file.to_owned(), Arc::clone(log));
    let runtime = Handle::current();
    spawn_blocking(move || runtime.block_on(reload::reload(&service, &file, &log)))
}

fn open_audit(to: &AuditTo) -> Result<Audit, Ended> {
    let file = match to {
        AuditTo::Stdout => None,
        AuditTo::File(file) => Some(file.as_path()),
    };
    Audit::open(file).map_err(|error| Ended::audit(file, &error))
}

fn tell(callers: &Listener, operators: Option<&Listener>) {
    let shown = |listener: &Listener| listener.address().map(|it| it.to_string()).unwrap_or_default();
    let (listen, ops) = (shown(callers), operators.map_or("off".to_owned(), shown));
    tracing::info!(listen, ops, version = env!("CARGO_PKG_VERSION"), "serving");
}

fn accept_callers(
    listener: Listener,
    service: &Arc<Service>,
    graceful: &Arc<GracefulShutdown>,
    stop: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let (counted, graceful, stop) = (Arc::clone(&service.metrics), Arc::clone(graceful), stop.subscribe());
    let service = Arc::clone(service);
    let answer = service_fn(move |request: Request<Incoming>| {
        // In a place of its own: an idle connection would keep room for all that a request takes.
        let answered = Box::pin(api::handle(Arc::clone(&service), request.map(Body::new)));
        async { Ok(answered.await) }
    });
    let refused = move |refused| {
        let status = match refused {
            Refused::Head => 431,
            Refused::NotHttp => 400,
            Refused::Connections => 503,
        };
        counted.request("", "", status, "", Duration::ZERO);
    };
    tokio::spawn(async move { listener.serve(answer, refused, &graceful, stop).await })
}

/// The ops listener serves until the process ends: `/ready` and `/metrics` show how it ends.
fn accept_operators(listener: Listener, service: &Arc<Service>) {
    let answer = TowerToHyperService::new(ops::router(Arc::clone(service)));
    tokio::spawn(async move {
        let (never, stop) = watch::channel(false);
        listener.serve(answer, |_| {}, &GracefulShutdown::new(), stop).await;
        drop(never);
    });
}

/// Makes `/ready` 200 once each issuer and each tenant was tried. From then on, a tenant that does not work is tried again
/// and again, so that the log says when it works.
fn make_ready(service: &Arc<Service>) {
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let generation = service.current();
        let tried = async { tokio::join!(generation.verifier.first_try(), generation.tenants.try_all()) };
        let _ = timeout(FIRST_TRIES, tried).await;
        service.set_ready();
        tracing::info!("ready");
        drop(generation);
        loop {
            tokio::time::sleep(until_the_next_try()).await;
            service.current().tenants.try_all().await;
        }
    });
}

/// The pause before a tenant that does not work is tried again.
fn until_the_next_try() -> Duration {
    TRIES + SPREAD.mul_f64(uniform())
}

/// Frees what is too old in the cache, also while nobody asks.
fn keep_tidy(service: &Arc<Service>) {
    let service = Arc::clone(service);
    tokio::spawn(async move {
        let mut rounds = tokio::time::interval(TIDY);
        loop {
            rounds.tick().await;
            service.current().tenants.tidy().await;
        }
    });
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Ended> {
        let of = |kind| signal(kind).map_err(|error| Ended::system("signals", &error));
        Ok(Self {
            hangup: of(SignalKind::hangup())?,
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
        })
    }

    /// Returns with TERM or INT, also while a reload goes on. A HUP before starts `reload`. Those that come while one goes
    /// on are one more after it.
    async fn until_the_end(&mut self, reload: impl Fn() -> JoinHandle<()>) {
        let mut going_on = None;
        let mut is_wanted = false;
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => is_wanted = true,
                // A panic in it is in the log, and the configuration stays as it was.
                Some(_) = OptionFuture::from(going_on.as_mut()) => going_on = None,
            }
            if is_wanted && going_on.is_none() {
                going_on = Some(reload());
                is_wanted = false;
            }
        }
    }

    /// Waits for `wanted`, or for another TERM or INT: who sends two does not want to wait.
    async fn or_another(&mut self, wanted: impl Future<Output = ()>) {
        tokio::select! {
            () = wanted => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nix::sys::signal::{Signal as Number, raise};
    use tokio::sync::Semaphore;

    use super::*;

    /// The signals come to this process, which hears them as long as the runtime of this test has a listener.
    #[tokio::test]
    async fn reloads_go_on_one_at_a_time_and_term_is_heard_meanwhile() {
        let mut signals = Signals::new().ok().unwrap();
        let (begun, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let reload = || {
            begun.fetch_add(1, Ordering::Relaxed);
            let may_end = Arc::clone(&may_end);
            tokio::spawn(async move { may_end.acquire().await.unwrap().forget() })
        };
        let until = async |wanted: usize| {
            while begun.load(Ordering::Relaxed) < wanted {
                tokio::task::yield_now().await;
            }
        };
        let others = async {
            raise(Number::SIGHUP).unwrap();
            until(1).await;
            // Two more, each with time to be heard alone: both are one reload.
            for _ in 0..2 {
                raise(Number::SIGHUP).unwrap();
                for _ in 0..500 {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(begun.load(Ordering::Relaxed), 1, "one at a time");
            may_end.add_permits(1);
            until(2).await;
            raise(Number::SIGTERM).unwrap();
        };
        tokio::join!(signals.until_the_end(reload), others);
        assert_eq!(begun.load(Ordering::Relaxed), 2, "the second one goes on");
    }
}
