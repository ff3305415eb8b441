//! The log: a line of JSON on standard error for each event. Nobody waits for standard error: see `lines`.
//!
//! Records of the crate `log` do not come here, and must not: at trace, ureq writes every byte of the wire there.

mod lines;

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

use crate::output::Output;
use lines::Lines;

/// Crates that see secrets on the wire, and the most that they may log, whatever the filter says. What begins with one of
/// these names and `::` or `_` is meant as well.
const CAPPED: [(&str, Level); 8] = [
    ("ureq", Level::WARN),
    ("rustls", Level::INFO),
    ("tokio_rustls", Level::INFO),
    ("hyper", Level::INFO),
    ("h2", Level::INFO),
    ("http", Level::INFO),
    ("axum", Level::INFO),
    ("tower", Level::INFO),
];

/// At the end of the process, what waits may take so long.
const AT_THE_END: Duration = Duration::from_secs(1);
/// So long it may take at a panic, which can be the end as well and mostly is not: others wait for this thread.
const AT_A_PANIC: Duration = Duration::from_millis(100);

/// The log of the process.
pub struct Log {
    filter: Filter,
    lines: Arc<Lines>,
}

type Filter = reload::Handle<EnvFilter, Registry>;

/// Why there is no log, or why it keeps its filter.
#[derive(Debug, thiserror::Error)]
pub enum BadLog {
    /// The text is no filter.
    #[error("the log's filter cannot be read: write a level such as info, or TARGET=LEVEL with commas between them")]
    Filter,
    /// The process has a log already.
    #[error("the log is started twice: start it once in a process")]
    Twice,
    /// There is no standard error, or no thread.
    #[error("the log cannot be started: {0}; look at the limits of the process")]
    System(std::io::ErrorKind),
    /// The log is gone.
    #[error("the log cannot take a filter any more: start the service again")]
    Gone,
}

impl Log {
    /// Starts the log of this process, with a filter as [`EnvFilter`] reads it. From then on a panic is a line of the log.
    pub fn start(filter: &str) -> Result<Self, BadLog> {
        let lines = Output::stderr().and_then(Lines::start).map_err(|error| BadLog::System(error.kind()))?;
        let (subscriber, filter) = subscriber(filter, Arc::clone(&lines))?;
        // Not `try_init`: it can also connect the crate `log`.
        tracing::subscriber::set_global_default(subscriber).map_err(|_: SetGlobalDefaultError| BadLog::Twice)?;
        let of_hook = Arc::clone(&lines);
        panic::set_hook(Box::new(move |panic| {
            on_panic(panic);
            let _ = of_hook.flush(AT_A_PANIC);
        }));
        Ok(Self { filter, lines })
    }

    /// Takes another filter. A text that is no filter changes nothing.
    pub fn set_filter(&self, filter: &str) -> Result<(), BadLog> {
        set(&self.filter, filter)
    }

    /// Returns when all lines are written, and after a second in any case: whoever reads them may stand still.
    pub fn flush(&self) {
        // Where it stands still, nobody is left who could be told.
        let _ = self.lines.flush(AT_THE_END);
    }
}

fn set(to: &Filter, filter: &str) -> Result<(), BadLog> {
    to.reload(parse(filter)?).map_err(|_| BadLog::Gone)
}

/// Whether the text is a filter.
pub fn check(filter: &str) -> Result<(), BadLog> {
    parse(filter).map(drop)
}

/// Without regular expressions: a filter looks at targets and levels.
fn parse(filter: &str) -> Result<EnvFilter, BadLog> {
    EnvFilter::builder().with_regex(false).parse(filter).map_err(|_| BadLog::Filter)
}

fn subscriber<W>(filter: &str, writer: W) -> Result<(impl Subscriber + Send + Sync + use<W>, Filter), BadLog>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        // It would be told on standard error, which is what has failed, and would panic there.
        .log_internal_errors(false)
        .with_writer(writer);
    let cap: FilterFn<fn(&Metadata<'_>) -> bool> = filter_fn(is_within_cap);
    Ok((tracing_subscriber::registry().with(filter).with(cap).with(lines), handle))
}

fn is_within_cap(event: &Metadata<'_>) -> bool {
    let is_of = |name: &str| {
        let rest = event.target().strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_'))
    };
    CAPPED.iter().all(|(name, most)| event.level() <= most || !is_of(name))
}

/// A panic's own text may quote what it was about: the line has the place alone.
fn on_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        place,
        thread = thread.name().unwrap_or_default(),
        "a panic: this is a fault of the program, report it"
    );
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        /// The lines since the last call, without their time, which has to be RFC 3339 in UTC.
        fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
            let line = |line: &str| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
                line
            };
            text.lines().map(line).collect()
        }
    }

    /// Does this with a log of its own.
    fn logged(filter: &str, work: impl FnOnce(&Filter, &Written)) {
        let written = Written::default();
        let to = written.clone();
        let (subscriber, filter) = subscriber(filter, move || to.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || work(&filter, &written));
    }

    #[test]
    fn an_event_is_one_line_of_json_with_its_fields() {
        logged("info", |_, written| {
            tracing::info!(target: "vault_gateway", tenant = "team-a", n = 3, "one\ntwo");
            let expected =
                json!({"level": "INFO", "target": "vault_gateway", "message": "one\ntwo", "tenant": "team-a", "n": 3});
            assert_eq!(written.lines(), [expected]);
        });
    }

    #[test]
    fn crates_that_see_secrets_are_capped_whatever_the_filter_says() {
        for filter in ["trace", "trace,ureq_proto=trace,ureq=trace,hyper=trace,rustls=trace", "ureq::run=trace,info"] {
            logged(filter, |_, written| {
                macro_rules! all_levels {
                    ($($target:literal),+) => {$(
                        tracing::trace!(target: $target, "trace");
                        tracing::debug!(target: $target, "debug");
                        tracing::info!(target: $target, "info");
                        tracing::warn!(target: $target, "warn");
                    )+};
                }
                all_levels!(
                    "ureq",
                    "ureq::run",
                    "ureq_proto",
                    "ureq_proto::client",
                    "hyper",
                    "hyper_util::rt",
                    "rustls::conn"
                );
                let lines = written.lines();
                let mut seen: Vec<_> = lines
                    .iter()
                    .map(|line| format!("{} {}", line["target"].as_str().unwrap(), line["message"].as_str().unwrap()))
                    .collect();
                let warn =
                    ["ureq", "ureq::run", "ureq_proto", "ureq_proto::client"].map(|target| format!("{target} warn"));
                let info = ["hyper", "hyper_util::rt", "rustls::conn"].map(|target| format!("{target} info"));
                let too = info.clone().map(|line| line.replace("info", "warn"));
                let mut expected: Vec<_> = warn.into_iter().chain(info).chain(too).collect();
                seen.sort();
                expected.sort();
                assert_eq!(seen, expected, "{filter}");
            });
        }
    }

    #[test]
    fn names_that_only_begin_alike_are_not_capped() {
        logged("trace", |_, written| {
            tracing::trace!(target: "hyperion", "a");
            tracing::trace!(target: "vault_gateway::ureq", "b");
            assert_eq!(written.lines().len(), 2);
        });
    }

    #[test]
    fn the_filter_can_be_replaced_and_a_bad_one_changes_nothing() {
        logged("warn", |filter, written| {
            let counts = || {
                tracing::debug!(target: "vault_gateway", "debug");
                tracing::warn!(target: "vault_gateway", "warn");
                written.lines().len()
            };
            assert_eq!(counts(), 1);
            set(filter, "vault_gateway=debug").unwrap();
            assert_eq!(counts(), 2);
            assert!(matches!(set(filter, "vault_gateway=loud"), Err(BadLog::Filter)));
            assert_eq!(counts(), 2);
            set(filter, "off").unwrap();
            assert_eq!(counts(), 0);
        });
        assert!(check("info,hyper=warn").is_ok() && check("a=b=c").is_err());
    }

    #[test]
    fn a_panic_is_a_line_with_its_place_and_without_its_text() {
        let before = Arc::new(panic::take_hook());
        logged("info", |_, written| {
            // The hook is the process's: panics of other tests go their usual way.
            let (here, usual) = (std::thread::current().id(), Arc::clone(&before));
            panic::set_hook(Box::new(
                move |panic| {
                    if std::thread::current().id() == here { on_panic(panic) } else { usual(panic) }
                },
            ));
            let ended = panic::catch_unwind(|| panic!("TOPSECRET"));
            panic::set_hook(Box::new(move |panic| before(panic)));
            assert!(ended.is_err());
            let lines = written.lines();
            let place = lines[0]["place"].as_str().unwrap();
            assert!(place.contains("log.rs:") && !lines[0].to_string().contains("TOPSECRET"), "{lines:?}");
            assert_eq!((lines.len(), &lines[0]["level"]), (1, &json!("ERROR")));
        });
    }
}
