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
use vault_testkit::raw::{READ, Raw, Reply};
use vault_testkit::server::Server;
use vault_testkit::{kernel_lacks, on_both};

use crate::support::dry_run::assert_says;
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::launch::Inherit;
use crate::support::scenario::Scenario;
use crate::support::system::{names, strace, with_own_mounts, without_privileges};

on_both! {
    the_token_is_revoked_before_the_file_has_its_name,
    a_signal_before_the_rename_leaves_the_old_file,
    a_signal_during_the_rename_leaves_the_new_file,
    an_unchanged_file_needs_no_right_to_replace_it,
}

faults! { FAULTS, on_both;
    what_stands_in_the_way_is_named_and_left_alone: "env file: a directory, a link or a FIFO in the way, no such directory", Handover, 73, AtOnce;
    a_disk_that_is_full_or_read_only_keeps_the_old_file: "env file: a disk or a quota that is full, a disk that is read-only", Handover, 73 | 74, AtOnce;
    a_file_that_cannot_be_replaced_is_told_by_the_dry_run_too: "env file: a mount point, another user's in a sticky directory, immutable", Handover, 73, AtOnce;
    a_name_for_a_stream_is_no_file_and_the_remedy_is_a_dash: "env file: the name of a stream or device", Handover, 73, AtOnce;
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
        let found = |scenario: &Scenario| {
            let kind = |name| fs::symlink_metadata(scenario.file(name)).ok().map(|it| (it.file_type(), it.len()));
            (names(&scenario.file("")), kind(name), kind("jwt"))
        };
        let before = found(&scenario);
        let outcome = scenario.run().expect_failure(73, &format!("env file {{folder}}/{name}: {said}"));
        outcome.expect_requests(REQUESTS);
        assert_eq!(found(&scenario), before);
        let scenario = scenario.options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().code(73).any_stdout().stderr::<&str>([]));
        assert_says(&outcome.stdout, &scenario.expand(&format!("env file {{folder}}/{name}: {said}")));
        assert_eq!(found(&scenario), before);
    }
}

/// Runs it on a disk that `make` makes at `$DISK`, as `$AS` says where `make` sets that, with an `app.env` on it that holds
/// `old`; it ends with this error, and all that is there at the end is that file. The dry run says the same.
fn assert_refused_on_a_disk(scenario: Scenario, make: &str, code: i32, message: &str) {
    // The program has to be where another user can reach it.
    let reach = "AS=; chmod 0755 \"$FOLDER\"; chmod 0644 \"$VAULT_K8S_TOKEN_PATH\"; cp \"$0\" \"$FOLDER/copy\"";
    let run =
        "code=0; $AS \"$FOLDER/copy\" $CHECK || code=$?; echo $(ls -A \"$DISK\") $(cat \"$DISK/app.env\"); exit $code";
    fs::create_dir(scenario.file("disk")).expect("a directory");
    let scenario = scenario.env("FOLDER", "{folder}").env("DISK", "{folder}/disk");
    let scenario = scenario.env("VAULT_ENV_FILE", "{folder}/disk/app.env");
    let script = format!("{reach}; mount -t tmpfs -o size=64k none \"$DISK\"; {make}; {run}");
    let scenario = scenario.program("unshare").options(["-m", "sh", "-euc", &script, PROGRAM]).env("CHECK", "");
    let said = format!("env file {{folder}}/disk/app.env: {message}");
    let wanted = Expect::done().code(code).stdout("app.env old\n").stderr([format!("ERROR vault-exec: {said}")]);
    scenario.run().expect(wanted).expect_requests(REQUESTS);
    let scenario = scenario.env("CHECK", "--check");
    let outcome = scenario.run().expect(Expect::done().code(code).any_stdout().stderr::<&str>([]));
    assert_says(&outcome.stdout, &scenario.expand(&said));
    assert!(outcome.stdout.ends_with("\napp.env old\n"), "{}", outcome.stdout);
}

/// Whether this process may mount.
fn may_mount() -> bool {
    with_own_mounts("mount -t tmpfs none /mnt", &[]).is_some_and(|output| output.status.success())
}

const OLD: &str = "printf old >\"$DISK/app.env\"";

/// As a user without privileges.
const AS_NOBODY: &str = "AS='setpriv --reuid=65534 --regid=65534 --clear-groups'";

fn a_disk_that_is_full_or_read_only_keeps_the_old_file(server: &Server) {
    if !may_mount() {
        return;
    }
    let large = || scenario(server).secret(&json!({"A": "large-value".repeat(8000)}));
    let no_space =
        "No space left on device while writing a temporary file beside it; make the volume larger or free some of it";
    assert_refused_on_a_disk(large(), OLD, 74, no_space);
    let read_only = format!("{OLD}; mount -o remount,bind,ro \"$DISK\"");
    let said = "Read-only file system while creating a temporary file beside it; choose a volume that is not read-only";
    assert_refused_on_a_disk(scenario(server), &read_only, 73, said);
    let no_files = format!("mount -o remount,nr_inodes=2 \"$DISK\"; {OLD}");
    let said =
        "No space left on device while creating a temporary file beside it; make the volume larger or free some of it";
    assert_refused_on_a_disk(scenario(server), &no_files, 74, said);
    let quota =
        "umount \"$DISK\"; mount -t tmpfs -o size=1m,mode=777,usrquota,usrquota_block_hardlimit=16k none \"$DISK\"";
    if with_own_mounts("mount -t tmpfs -o usrquota none /mnt", &[]).is_some_and(|output| output.status.success()) {
        let quota = format!("{quota}; {OLD}; {AS_NOBODY}");
        let said = "Quota exceeded while writing a temporary file beside it; raise the quota or free some of it";
        assert_refused_on_a_disk(large(), &quota, 74, said);
    } else {
        kernel_lacks("quotas on tmpfs");
    }
}

fn a_file_that_cannot_be_replaced_is_told_by_the_dry_run_too(server: &Server) {
    if !may_mount() || without_privileges("true".as_ref()).is_none() {
        return;
    }
    let mounted = format!("printf old >\"$FOLDER/other\"; {OLD}; mount --bind \"$FOLDER/other\" \"$DISK/app.env\"");
    let said = "Device or resource busy while renaming a temporary file to it; the file is a mount point; mount its \
                directory instead";
    assert_refused_on_a_disk(scenario(server), &mounted, 73, said);
    let not_permitted = "Operation not permitted while renaming a temporary file to it; the file in place is another \
                         user's in a sticky directory, or immutable: remove it, or choose another directory";
    let sticky = format!("{OLD}; chmod 0644 \"$DISK/app.env\"; chmod 1777 \"$DISK\"; {AS_NOBODY}");
    assert_refused_on_a_disk(scenario(server), &sticky, 73, not_permitted);
    let immutable = "mount -t tmpfs none /mnt; touch /mnt/a; chattr +i /mnt/a";
    if !with_own_mounts(immutable, &[]).is_some_and(|output| output.status.success()) {
        kernel_lacks("immutable files on tmpfs");
        return;
    }
    let file = format!("{OLD}; chattr +i \"$DISK/app.env\"");
    assert_refused_on_a_disk(scenario(server), &file, 73, not_permitted);
    let said = "Operation not permitted while creating a temporary file beside it; the directory is immutable, or this \
                user may not write to it (in Kubernetes: fsGroup)";
    assert_refused_on_a_disk(scenario(server), &format!("{OLD}; chattr +i \"$DISK\""), 73, said);
}

fn an_unchanged_file_needs_no_right_to_replace_it(server: &Server) {
    if !may_mount() {
        return;
    }
    let same = "printf \"export A='new-value'\\n\" >\"$DISK/app.env\"; chmod 0600 \"$DISK/app.env\"";
    let script =
        format!("mount -t tmpfs none \"$DISK\"; {same}; mount -o remount,bind,ro \"$DISK\"; exec \"$0\" $CHECK");
    for check in ["", "--check"] {
        let scenario = scenario(server).env("DISK", "{folder}/disk").env("VAULT_ENV_FILE", "{folder}/disk/app.env");
        fs::create_dir(scenario.file("disk")).expect("a directory");
        let scenario = scenario.program("unshare").options(["-m", "sh", "-euc", &script, PROGRAM]).env("CHECK", check);
        scenario.run().expect(Expect::done().any_stdout());
    }
}

fn a_name_for_a_stream_is_no_file_and_the_remedy_is_a_dash(server: &Server) {
    let remedy = "is in the way; write - for standard output, or choose another path";
    for (path, kind) in [
        ("/dev/stdout", "a symbolic link"),
        ("/dev/stderr", "a symbolic link"),
        ("/dev/fd/1", "a symbolic link"),
        ("/proc/self/fd/1", "a symbolic link"),
        ("/dev/null", "a device"),
    ] {
        let scenario = scenario(server).env("VAULT_ENV_FILE", path);
        let said = format!("env file {path}: {kind} {remedy}");
        scenario.run().expect_failure(73, &said).expect_requests(REQUESTS);
        let scenario = scenario.options(["--check"]);
        let outcome = scenario.run().expect(Expect::done().code(73).any_stdout().stderr::<&str>([]));
        assert_says(&outcome.stdout, &said);
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_the_end_by_sigxfsz() {
    let raw = Raw::start([]);
    let scenario = Scenario::against(&raw).no_command().inherit([Inherit::Limit(Resource::RLIMIT_FSIZE, 4)]);
    let scenario = scenario.env("VAULT_ENV_FILE", "{folder}/app.env");
    scenario
        .run()
        .expect_failure(74, "env file {folder}/app.env: File too large while writing a temporary file beside it; raise the limit on the size of files (ulimit -f)");
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

/// What a run under strace says first.
const TRACED: &str = "WARN  vault-exec: process {any} traces this start and can read its secrets; \
                      VAULT_REFUSE_TRACED=true makes that an error";

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
    let lines = [TRACED, "INFO  vault-exec: 1 variable from {any}; token revoked; {folder}/app.env replaced"];
    scenario.run().expect(Expect::done().stderr(lines)).expect_requests(REQUESTS);
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
    assert_ended_by_a_signal_in(scenario(server), "fsync", "old", 2);
}

fn a_signal_during_the_rename_leaves_the_new_file(server: &Server) {
    assert_ended_by_a_signal_in(scenario(server), "renameat", "export A='new-value'\n", 3);
}

#[test]
fn a_signal_without_an_address_ends_the_writing_in_the_same_way() {
    let scenario = || Scenario::offline().no_command().env("VAULT_ENV_FILE", "{folder}/app.env");
    assert_ended_by_a_signal_in(scenario(), "fsync", "old", 1);
    assert_ended_by_a_signal_in(scenario(), "renameat", "", 2);
}
