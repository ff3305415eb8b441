use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, mpsc};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use nix::sys::stat::Mode;
use tokio::sync::oneshot;
use vault_testkit::eventually;

use super::writer::MOST_LINES;
use super::*;
use crate::action::Action;

fn line(request_id: &str) -> Line<'_> {
    Line {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_007),
        request_id,
        client_request_id: None,
        tenant: None,
        issuer: None,
        subject: None,
        action: None,
        path: None,
        version: None,
        versions: None,
        rule: None,
        decision: Verdict::Refuse,
        reason: None,
        cache: None,
        vault_request_id: None,
        status: 401,
        took: Duration::ZERO,
    }
}

/// The ids in the file, line by line; a line that is not whole is shown as it is.
fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let id =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["request_id"].as_str().map(str::to_owned);
    text.lines().map(|line| id(line).unwrap_or_else(|| line.to_owned())).collect()
}

/// Hands a line to the writer, which is called at once.
fn put(audit: &Audit, line: &Line<'_>) -> Result<oneshot::Receiver<Result<(), Unwritten>>, Unwritten> {
    audit.put(line).map(|taken| taken.written)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn a_line_has_all_members_in_their_order() {
    let full = Line {
        client_request_id: Some("a\n\"b"),
        tenant: Some("team-a"),
        issuer: Some("https://idp.example"),
        subject: Some("alice"),
        action: Some(Action::Read),
        path: Some("apps/é"),
        version: Some(3),
        versions: Some(&[1, 2]),
        rule: Some("readers"),
        decision: Verdict::Allow,
        reason: Some("denied"),
        cache: Some("hit"),
        vault_request_id: Some("v"),
        status: 200,
        took: Duration::from_nanos(1_234_567),
        ..line("id")
    };
    for (line, text) in [
        (
            line("id"),
            concat!(
                r#"{"time":"2023-11-14T22:13:20.007Z","request_id":"id","client_request_id":null,"tenant":null,"issuer":null,"#,
                r#""subject":null,"action":null,"path":null,"version":null,"versions":null,"rule":null,"decision":"refuse","reason":null,"#,
                r#""cache":null,"vault_request_id":null,"status":401,"duration_ms":0.0}"#
            ),
        ),
        (
            full,
            concat!(
                r#"{"time":"2023-11-14T22:13:20.007Z","request_id":"id","client_request_id":"a\n\"b","tenant":"team-a","#,
                r#""issuer":"https://idp.example","subject":"alice","action":"read","path":"apps/é","version":3,"versions":[1,2],"#,
                r#""rule":"readers","decision":"allow","reason":"denied","cache":"hit","vault_request_id":"v","#,
                r#""status":200,"duration_ms":1.234}"#
            ),
        ),
    ] {
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
    }
    for (time, shown) in [
        (SystemTime::UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000Z"),
        (SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 39), "9999-12-31T23:59:59.000Z"),
    ] {
        assert_eq!(serde_json::to_value(Line { time, ..line("id") }).unwrap()["time"], shown);
    }
}

#[test]
fn a_file_is_made_for_its_owner_only_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    for id in ["one", "two"] {
        let audit = Audit::open(Some(&path)).unwrap();
        assert_eq!(runtime().block_on(audit.write(&line(id))), Ok(()));
        assert!(!audit.is_failing());
        audit.close();
        assert_eq!(runtime().block_on(audit.write(&line("late"))), Err(Unwritten::Closed));
    }
    assert_eq!(ids(&path), ["one", "two"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
    for name in ["link", "dangling", "pipe", ".", "no/folder"] {
        assert!(Audit::open(Some(&at(name))).is_err(), "{name}");
    }
    assert!(!at("nowhere").exists());
}

#[test]
fn a_renamed_file_is_left_behind_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, old) = (folder.path().join("audit"), folder.path().join("audit.1"));
    let audit = Audit::open(Some(&path)).unwrap();
    let write = |id| runtime().block_on(audit.write(&line(id)));
    assert_eq!(write("one"), Ok(()));
    fs::rename(&path, &old).unwrap();
    assert_eq!(write("two"), Ok(()));
    audit.reopen().unwrap();
    assert_eq!(write("three"), Ok(()));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(audit.reopen().is_err());
    assert_eq!(write("four"), Ok(()));
    assert_eq!(ids(&old), ["one", "two"]);
    audit.close();
    fs::remove_dir(&path).unwrap();
    audit.reopen().unwrap();
}

#[test]
fn a_line_that_an_earlier_process_began_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    fs::write(&path, "whole\nhal").unwrap();
    for id in ["one", "two"] {
        let audit = Audit::open(Some(&path)).unwrap();
        assert_eq!(runtime().block_on(audit.write(&line(id))), Ok(()));
    }
    assert_eq!(ids(&path), ["whole", "hal", "one", "two"]);
}

/// A disk with room for so many bytes.
struct Disk {
    room: Arc<AtomicUsize>,
    file: File,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.room.load(Ordering::SeqCst));
        if length == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.fetch_sub(length, Ordering::SeqCst);
        self.file.write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_line_that_was_cut_the_next_begins_on_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let length = serde_json::to_string(&line("1")).unwrap().len() + 1;
    let room = Arc::new(AtomicUsize::new(length + 5));
    let disk = Disk { room: Arc::clone(&room), file: File::create(&path).unwrap() };
    let audit = Audit::start(Sink::of_stream(disk), None).unwrap();
    let write = |id| (runtime().block_on(audit.write(&line(id))), audit.is_failing());
    assert_eq!(write("1"), (Ok(()), false));
    assert_eq!(write("2"), (Err(Unwritten::Failed), true));
    assert_eq!(write("3"), (Err(Unwritten::Failed), true));
    // Room for the line feed alone, and then for a line.
    room.store(1, Ordering::SeqCst);
    assert_eq!(write("4"), (Err(Unwritten::Failed), true));
    room.store(length, Ordering::SeqCst);
    assert_eq!(write("5"), (Ok(()), false));
    assert_eq!(ids(&path), ["1", r#"{"tim"#, "5"]);
}

/// Holds each write up until it is told to go on, and shows what it was given.
struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
    seen: mpsc::Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.seen.send(bytes.to_vec()).unwrap();
        let (open, changed) = &*self.open;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn while_one_write_is_held_up_lines_wait_up_to_a_limit_and_then_go_in_one_write() {
    let (seen, writes) = mpsc::channel();
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let audit = Audit::start(Sink::of_stream(Gate { open: Arc::clone(&open), seen }), None).unwrap();
    let mut all = vec![put(&audit, &line("first")).unwrap()];
    let first = writes.recv().unwrap();
    all.extend((0..MOST_LINES).map(|_| put(&audit, &line("later")).unwrap()));
    assert_eq!(put(&audit, &line("too many")).map(drop), Err(Unwritten::Full));
    assert!(all.iter_mut().all(|written| written.try_recv().is_err()));
    // A caller that leaves does not take its line back.
    drop(all.pop());
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    for written in all {
        assert_eq!(written.blocking_recv(), Ok(Ok(())));
    }
    audit.close();
    let rest: Vec<_> = writes.try_iter().collect();
    let count = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').count();
    assert_eq!((count(&first), rest.iter().map(|bytes| count(bytes)).collect::<Vec<_>>()), (1, vec![MOST_LINES]));
}

#[test]
fn lines_that_wait_are_limited_in_bytes_too() {
    let (seen, writes) = mpsc::channel();
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let audit = Audit::start(Sink::of_stream(Gate { open: Arc::clone(&open), seen }), None).unwrap();
    let _first = put(&audit, &line("first")).unwrap();
    writes.recv().unwrap();
    let mebibyte = "x".repeat(1 << 20);
    let long = Line { client_request_id: Some(&mebibyte), ..line("long") };
    let taken = std::iter::repeat_with(|| put(&audit, &long)).take_while(Result::is_ok).count();
    assert_eq!((taken, put(&audit, &line("short")).map(drop)), (4, Err(Unwritten::Full)));
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    audit.close();
    assert_eq!(writes.try_iter().map(|bytes| bytes.len() >> 20).collect::<Vec<_>>(), [4]);
}

#[test]
fn lines_of_many_callers_are_all_there_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let audit = Arc::new(Audit::open(Some(&path)).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..64)
        .map(|caller| {
            let audit = Arc::clone(&audit);
            runtime.spawn(async move {
                for number in 0..100 {
                    audit.write(&line(&format!("{caller}-{number}"))).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let mut found = ids(&path);
    let mut expected: Vec<_> =
        (0..64).flat_map(|caller| (0..100).map(move |number| format!("{caller}-{number}"))).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_dropped_log_still_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let audit = Audit::open(Some(&path)).unwrap();
    let waits: Vec<_> = (0..10).map(|_| put(&audit, &line("x")).unwrap()).collect();
    drop(audit);
    eventually("all lines are written", || ids(&path).len() == waits.len());
}

#[test]
fn a_caller_that_leaves_before_it_has_called_the_writer_calls_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit");
    let audit = Audit::open(Some(&path)).unwrap();
    runtime().block_on(async {
        for number in 1..=10 {
            // The first poll ends before the writer is called.
            assert_eq!(audit.write(&line("x")).now_or_never(), None);
            eventually("the line is written", || ids(&path).len() == number);
        }
    });
}

#[test]
fn lines_of_tasks_that_are_ready_together_go_in_one_write() {
    let (seen, writes) = mpsc::channel();
    let open = Arc::new((Mutex::new(true), Condvar::new()));
    let audit = Audit::start(Sink::of_stream(Gate { open, seen }), None).unwrap();
    let one = line("x");
    let written = async || assert_eq!(audit.write(&one).await, Ok(()));
    // Before its first lines the writer may not be waiting yet.
    eventually("five lines go in one write", || {
        runtime().block_on(async { futures_util::join!(written(), written(), written(), written(), written()) });
        writes.try_iter().any(|bytes| bytes.split(|byte| *byte == b'\n').count() == 6)
    });
}
