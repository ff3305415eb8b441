//! An env file that cannot be written, or whose writing is cut short: the old one stays, nothing is left beside it, and
//! no token stays alive.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::Resource;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::json;

use crate::support::dry_run::assert_says;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::on_both;
use crate::support::raw::{READ, Raw, Reply};
use crate::support::scenario::Scenario;
use crate::support::server::Server;
use crate::support::system::{names, strace, with_own_mounts, without_privileges};

on_both! {
    the_token_is_revoked_before_the_file_has_its_name,
    a_signal_before_the_rename_leaves_the_old_file,
    a_signal_during_the_rename_leaves_the_new_file,
}

faults! { FAULTS, on_both;
    what_stands_in_the_way_is_named_and_left_alone: "env file: a directory, a link or a FIFO in the way, no such directory", Handover, 73, AtOnce;
    a_disk_that_is_full_or_read_only_keeps_the_old_file: "env file: a disk that is full, or read-only", Handover, 73 | 74, AtOnce;
    a_user_without_rights_is_refused_and_so_is_the_dry_run: "env file: no permission to write there, or to give it away", Handover, 73, AtOnce;
    a_standard_output_that_takes_nothing_is_an_error: "env file: a standard output that is full, closed, or without a reader", Handover, 74, AtOnce;
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

const REQUESTS: [&str; 3] = ["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"];

/// A secret, a login, and `app.env` in the folder to write.
fn scenario(server: &Server) -> Scenario<'_> {
    let scenario = Scenario::new(server).secret(&json!({"A": "new-value"})).kubernetes().no_command();
    scenario.env("VAULT_ENV_FILE", "{folder}/app.env").env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
}

fn what_stands_in_the_way_is_named_and_left_alone(server: &Server) {
    type Obstacle = fn(&PathBuf);
    let obstacles: [(&str, Obstacle, &str); 5] = [
        (
            "a",
            |path| fs::create_dir(path).expect("a directory"),
            "a directory is in the way; remove it or choose another path",
        ),
        (
            "b",
            |path| symlink("jwt", path).expect("a link"),
            "a symbolic link is in the way; remove it or choose another path",
        ),
        (
            "c",
            |path| mkfifo(path, Mode::S_IRWXU).expect("a FIFO"),
            "a FIFO is in the way; remove it or choose another path",
        ),
        (
            "none/d",
            |_| {},
            "No such file or directory while opening its directory; create the directory or mount a volume there",
        ),
        ("jwt/e", |_| {}, "Not a directory while opening its directory; a part of the path is a file"),
    ];
    for (name, put, said) in obstacles {
        let scenario = scenario(server).env("VAULT_ENV_FILE", format!("{{folder}}/{name}"));
        put(&scenario.file(name));
        let kind = |name: &str| fs::symlink_metadata(scenario.file(name)).ok().map(|it| (it.file_type(), it.len()));
        let before = (names(&scenario.file("")), kind(name), kind("jwt"));
        let outcome = scenario.run().expect_failure(73, &format!("env file {{folder}}/{name}: {said}"));
        outcome.expect_requests(REQUESTS);
        assert_eq!((names(&scenario.file("")), kind(name), kind("jwt")), before);
    }
}

/// Runs it on a disk that `make` makes at `$DISK`, with an `app.env` on it that holds `old`, and expects that to be all
/// that is there at the end.
fn assert_refused_on_a_disk(scenario: Scenario, make: &str, code: i32, message: &str) {
    let script =
        format!("{make}; code=0; \"$0\" || code=$?; echo $(ls -A \"$DISK\") $(cat \"$DISK/app.env\"); exit $code");
    fs::create_dir(scenario.file("disk")).expect("a directory");
    let scenario = scenario.env("DISK", "{folder}/disk").env("VAULT_ENV_FILE", "{folder}/disk/app.env");
    let scenario = scenario.program("unshare").options(["-m", "sh", "-euc", &script, PROGRAM]);
    let error = format!("ERROR vault-exec: env file {{folder}}/disk/app.env: {message}");
    scenario.run().expect(Expect::done().code(code).stdout("app.env old\n").stderr([error])).expect_requests(REQUESTS);
}

fn a_disk_that_is_full_or_read_only_keeps_the_old_file(server: &Server) {
    if with_own_mounts("mount -t tmpfs none /mnt", &[]).is_none_or(|output| !output.status.success()) {
        return;
    }
    let make = "mount -t tmpfs -o size=16k none \"$DISK\"; printf old >\"$DISK/app.env\"";
    let large = scenario(server).secret(&json!({"A": "large-value".repeat(2000)}));
    let said =
        "No space left on device while writing a temporary file beside it; make the volume larger or free some of it";
    assert_refused_on_a_disk(large, make, 74, said);
    let read_only = format!("{make}; mount -o remount,bind,ro \"$DISK\"");
    let said = "Read-only file system while creating a temporary file beside it; choose a volume that is not read-only";
    assert_refused_on_a_disk(scenario(server), &read_only, 73, said);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_the_end_by_sigxfsz() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).no_command().inherit([Inherit::Limit(Resource::RLIMIT_FSIZE, 4)]);
    let scenario = scenario.env("VAULT_ENV_FILE", "{folder}/app.env");
    scenario
        .run()
        .expect_failure(74, "env file {folder}/app.env: File too large while writing a temporary file beside it");
    assert_eq!(names(&scenario.file("")), ["jwt"]);
    raw.expect_whole_run();
}

fn a_user_without_rights_is_refused_and_so_is_the_dry_run(server: &Server) {
    // Only whether there is a way: the program itself has to be where that user can reach it.
    if without_privileges("true".as_ref()).is_none() {
        return;
    }
    let permission = "Permission denied while creating a temporary file beside it; let this user write to the directory \
                      (in Kubernetes: fsGroup)";
    let owner = "Operation not permitted while setting its owner; only root, or a process with CAP_CHOWN, gives files to \
                 another user or group";
    for (path, said) in [("/app.env", permission), ("{folder}/app.env", owner)] {
        let run = "chmod 0777 \"$FOLDER\" && cp \"$0\" \"$FOLDER/copy\" && chmod 0644 \"$VAULT_K8S_TOKEN_PATH\" && \
                   exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$FOLDER/copy\" $CHECK";
        let scenario = scenario(server).env("VAULT_ENV_FILE", path).env("VAULT_ENV_FILE_OWNER", "0");
        let scenario = scenario.env("FOLDER", "{folder}").program("sh").options(["-c", run, PROGRAM]);
        scenario.run().expect_failure(73, &format!("env file {path}: {said}")).expect_requests(REQUESTS);
        let scenario = scenario.env("CHECK", "--check");
        let outcome = scenario.run().expect(Expect::done().code(73).any_stdout().stderr::<&str>([]));
        assert_says(&outcome.stdout, &scenario.expand(&format!("env file {path}: {said}")));
        assert_eq!(names(&scenario.file("")), ["copy", "jwt"]);
    }
}

fn a_standard_output_that_takes_nothing_is_an_error(server: &Server) {
    for (redirection, cause) in [
        (">/dev/full", "No space left on device (os error 28)"),
        (">&-", "Bad file descriptor (os error 9)"),
        // Its reader has gone when the program writes.
        (">\"$FIFO\"", "Broken pipe (os error 32)"),
    ] {
        let run = format!("mkfifo \"$FIFO\"; exec 3<>\"$FIFO\"; exec 1{redirection} 3<&-; exec \"$0\"");
        let scenario = scenario(server).env("VAULT_ENV_FILE", "-").env("FIFO", "{folder}/fifo");
        let scenario = scenario.program("sh").options(["-c", &run, PROGRAM]);
        let message = format!("env file to standard output: {cause}; check where it goes");
        scenario.run().expect_failure(74, &message).expect_requests(REQUESTS);
    }
}

#[test]
fn a_standard_output_that_nobody_reads_is_waited_for_no_longer_than_anything_else() {
    let raw = Raw::start([(READ, vec![Reply::secret(&json!({"A": "x".repeat(200_000)}).to_string())])]);
    let run = "mkfifo \"$FIFO\"; exec 3<>\"$FIFO\"; exec \"$0\" >\"$FIFO\"";
    let scenario = || {
        let scenario = Scenario::against(&raw).no_command().env("VAULT_ENV_FILE", "-").env("FIFO", "{folder}/fifo");
        scenario.env("PATH", "/usr/bin:/bin").program("sh").options(["-c", run, PROGRAM])
    };
    let limited = scenario().env("VAULT_STARTUP_TIMEOUT", "500ms");
    limited.run().expect_failure(74, "env file to standard output: the time limit passed; check where it goes");

    let scenario = scenario();
    let mut started = scenario.start();
    raw.await_requests(8);
    started.signal(Signal::SIGTERM);
    let outcome = started.finish().expect_failure(143, "SIGTERM: ended by it during start-up");
    assert!(outcome.after_signal < Duration::from_secs(1), "{:?}", outcome.after_signal);
}

/// The program under strace, with an old file in place; `None` where strace cannot trace.
fn traced<'a>(scenario: Scenario<'a>, options: &[&str]) -> Option<Scenario<'a>> {
    strace(&scenario.file("trace"))?;
    fs::write(scenario.file("app.env"), "old").expect("a file is written");
    let scenario = scenario.program("strace").options(["-f", "-s", "4096", "-o", "{folder}/trace"]).options(options);
    Some(scenario.options([PROGRAM]))
}

fn the_token_is_revoked_before_the_file_has_its_name(server: &Server) {
    let Some(scenario) = traced(scenario(server), &["-e", "trace=write,sendto,renameat"]) else {
        return;
    };
    scenario.run().expect(Expect::done()).expect_requests(REQUESTS);
    let trace = fs::read_to_string(scenario.file("trace")).expect("a trace");
    let line = |text: &str| trace.lines().position(|line| line.contains(text));
    let order = [line("auth/kubernetes/login"), line("new-value"), line("auth/token/revoke-self"), line("renameat(")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}\n{trace}");
}

/// Has SIGTERM arrive as the program enters the system call; the file then holds this, and nothing is beside it.
fn assert_ended_by_a_signal_in(scenario: Scenario, call: &str, content: &str, lines: usize) {
    let signal = [format!("trace={call}"), format!("inject={call}:signal=TERM:when=1")];
    let Some(scenario) = traced(scenario, &["-e", &signal[0], "-e", &signal[1]]) else {
        return;
    };
    let outcome = scenario.run();
    let log = outcome.log();
    let error = log.last().copied().unwrap_or_default();
    assert_eq!((outcome.code(), log.len()), (143, lines), "{}", outcome.describe());
    assert!(error.starts_with("ERROR vault-exec: SIGTERM: "), "{}", outcome.describe());
    assert_eq!(outcome.tokens_after, outcome.tokens_before);
    assert_eq!(fs::read_to_string(scenario.file("app.env")).expect("a file"), content);
    let left: Vec<_> = names(&scenario.file("")).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(left, Vec::<String>::new());
}

fn a_signal_before_the_rename_leaves_the_old_file(server: &Server) {
    assert_ended_by_a_signal_in(scenario(server), "fsync", "old", 1);
}

fn a_signal_during_the_rename_leaves_the_new_file(server: &Server) {
    assert_ended_by_a_signal_in(scenario(server), "renameat", "export A='new-value'\n", 2);
}

#[test]
fn a_signal_without_an_address_ends_the_writing_in_the_same_way() {
    let scenario = || Scenario::offline().no_command().env("VAULT_ENV_FILE", "{folder}/app.env");
    assert_ended_by_a_signal_in(scenario(), "fsync", "old", 1);
    assert_ended_by_a_signal_in(scenario(), "renameat", "", 2);
}
