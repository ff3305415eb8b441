//! The log: standard error only, text or JSON, and of this program's own records only.
//!
//! Other crates' records are dropped: `ureq` and `rustls` would show what goes over the wire.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::time::SystemTime;

use env_logger::{Builder, Target};
use log::kv::{Error, Key, ToValue, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Record};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::process::PIPE_BUF;
use vault_client::text::without_credentials;

/// Sets the log up, once in a process; a second call changes nothing.
pub fn init(level: LevelFilter, json: bool) {
    let line = if json { json_line } else { text_line };
    let _ = Builder::new()
        .filter_module("vault_exec", level)
        .filter_module("vault_client", level)
        .target(Target::Pipe(Box::new(Stderr { full: false })))
        .format(move |out, record| writeln!(out, "{}", line(record)))
        .try_init();
}

/// Standard error, but a reader who lets the pipe fill up cannot stop the start-up: what is not taken within a moment is
/// dropped, and so is what follows until there is room again.
struct Stderr {
    full: bool,
}

/// How long a full pipe is waited for, in milliseconds.
const PATIENCE: u8 = 100;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        for piece in line.chunks(PIPE_BUF) {
            let patience = if self.full { PollTimeout::ZERO } else { PATIENCE.into() };
            let mut ready = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            self.full = poll(&mut ready, patience) == Ok(0);
            if self.full {
                break;
            }
            nix::unistd::write(&stderr, piece)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now() -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(SystemTime::now())
}

/// `2026-11-22T09:48:23.123Z ERROR vault-exec: message`
fn text_line(record: &Record) -> String {
    format!("{} {:5} vault-exec: {}", now(), record.level(), message(record))
}

/// Whatever it says, and whoever put a credential into what it speaks of.
fn message(record: &Record) -> String {
    without_credentials(&record.args().to_string()).into_owned()
}

/// `{"time":…,"level":…,"message":…}` and the record's fields.
fn json_line(record: &Record) -> String {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    };
    let mut line = format!(r#"{{"time":"{}","level":"{level}","message":{}"#, now(), quoted(&message(record)));
    let _ = record.key_values().visit(&mut Fields(&mut line));
    line.push('}');
    line
}

/// A field that is neither text nor number: whoever makes it takes out of its texts what looks like a credential. In a
/// record, a value that shows itself as text without being one is always such a field.
pub struct Json(pub serde_json::Value);

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ToValue for Json {
    fn to_value(&self) -> Value<'_> {
        Value::from_display(self)
    }
}

struct Fields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(Field { line: self.0, key: key.as_str() })
    }
}

/// One field of a line; a null is left out.
struct Field<'a> {
    line: &'a mut String,
    key: &'a str,
}

impl Field<'_> {
    fn push(&mut self, value: &str) -> Result<(), Error> {
        write!(self.line, ",{}:{value}", quoted(self.key)).map_err(Error::boxed)
    }
}

impl VisitValue<'_> for Field<'_> {
    fn visit_any(&mut self, value: Value) -> Result<(), Error> {
        self.push(&value.to_string())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.push(&quoted(&without_credentials(value)))
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.push(&value.to_string())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.push(&value.to_string())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.push(&value.to_string())
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let entries = Json(serde_json::json!([{"path": "kv/\"a\"\n"}]));
        let fields: &[(&str, Value)] = &[
            ("step", "login".into()),
            ("attempt", 2.into()),
            ("done", true.into()),
            ("status", None::<u16>.to_value()),
            ("paths", entries.to_value()),
            ("token", "https://me:hunter2@vault".into()),
        ];
        let args = format_args!("two\nlines \"quoted\"");
        let record = Record::builder().level(Level::Warn).args(args).key_values(&fields).build();
        let json = json_line(&record);
        let (time, rest) = json.split_once(r#"Z","#).unwrap();
        assert!(time.starts_with(r#"{"time":"20"#), "{json}");
        assert_eq!(
            rest,
            r#""level":"warn","message":"two\nlines \"quoted\"","step":"login","attempt":2,"done":true,"paths":[{"path":"kv/\"a\"\n"}],"token":"https://***@vault"}"#
        );
    }

    const ASKED: &str = "PANIC_WITH";

    /// Started by the test below, in a process of its own: a panic ends it.
    #[test]
    fn panic_where_that_is_asked_for() {
        if let Ok(secret) = std::env::var(ASKED) {
            init(LevelFilter::Info, false);
            crate::process::on_panic_exit_with(70);
            let thread = std::thread::spawn(move || panic!("{secret}"));
            drop(thread.join());
            unreachable!("the hook ends the process from any thread");
        }
    }

    #[test]
    fn a_panic_prints_its_place_and_not_its_payload_and_exits_with_70() {
        let own = std::env::current_exe().unwrap();
        let test = "logging::tests::panic_where_that_is_asked_for";
        for backtrace in ["0", "1", "full"] {
            let mut command = Command::new(&own);
            command
                .args(["--exact", test, "--nocapture"])
                .env("RUST_BACKTRACE", backtrace)
                .env(ASKED, "a-secret-value");
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(70), "{said}");
            let place = said.split_once("Z ERROR vault-exec: internal error at src/logging.rs:").unwrap_or_default().1;
            assert!(place.ends_with("; please report it\n") && said.lines().count() == 1, "{said}");
            assert!(!said.contains("a-secret-value"), "{said}");
        }
    }
}
