//! `--format dir` from the server to the folder: a file for each key with its bytes, the settings, what is refused, and a
//! folder that cannot be written or whose writing is cut short.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use nix::unistd::{getegid, geteuid};
use serde_json::{Map, Value, json};
use vault_testkit::on_both;
use vault_testkit::server::Server;

use crate::support::dry_run::{assert_known_fields, assert_says};
use crate::support::expect::Expect;
use crate::support::fault_table::faults;
use crate::support::scenario::Scenario;
use crate::support::system::{is_root, names, strace, with_own_mounts};

on_both! {
    each_key_is_a_file_with_its_bytes_whatever_its_name,
    an_unchanged_folder_is_not_touched_and_a_changed_one_is_swapped,
    the_variables_choose_mode_and_owner,
    no_name_is_denied_and_keys_are_renamed,
    names_that_a_folder_cannot_have_are_refused_each_with_its_reason,
    a_missing_key_leaves_the_old_files,
    a_dry_run_says_what_the_run_does_and_writes_nothing,
    the_token_is_revoked_before_the_files_take_effect,
    a_signal_before_the_swap_leaves_the_old_files_and_one_during_it_the_new,
}

faults! { FAULTS, on_both;
    what_is_not_ours_in_a_folder_is_named_and_left_alone: "env folder: something of others under the name of a key, a file or a link in its place, no such directory", Handover, 73, AtOnce;
    a_disk_that_is_full_or_read_only_keeps_the_old_files: "env folder: a disk that is full or takes no more files, a disk that is read-only", Handover, 73 | 74, AtOnce;
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

/// The login, the read and the revoke; the status call is in no server's log.
const REQUESTS: [&str; 3] = ["update auth/kubernetes/login", "read kv/data/{path}", "update auth/token/revoke-self"];

const UNSET: &str = "INFO  vault-exec: VAULT_ADDR is unset: {folder}/secrets ";

/// A secret, a login, and `secrets` in the folder to write.
fn scenario<'a>(server: &'a Server, secret: &Value) -> Scenario<'a> {
    let scenario = Scenario::new(server).secret(secret).kubernetes().no_command();
    let scenario = scenario.env("VAULT_ENV_FILE", "{folder}/secrets").env("VAULT_ENV_FILE_FORMAT", "dir");
    scenario.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
}

/// The line at the end of a run that went well.
fn done(what: &str, end: &str) -> [String; 1] {
    let times = "status {any}, login {any}, read {any}, revoke {any}";
    [format!("INFO  vault-exec: {what} of 20{{any}}Z; {times}; token revoked; {{folder}}/secrets {end}")]
}

/// Each key with what is read through its link. What stands beside them is the data folder and its link alone.
fn read(scenario: &Scenario) -> Vec<(String, String)> {
    let (ours, keys): (Vec<_>, Vec<_>) =
        names(&scenario.file("secrets")).into_iter().partition(|name| name.starts_with(".."));
    assert_eq!((ours.len(), ours[1].as_str()), (2, "..data"), "{ours:?}");
    assert_eq!(names(&scenario.file("secrets/..data")), keys);
    let read = |key: String| {
        let link = fs::read_link(scenario.file("secrets").join(&key)).expect("a link");
        assert_eq!(link, Path::new("..data").join(&key));
        let content = fs::read_to_string(scenario.file("secrets").join(&key)).expect("a file");
        (key, content)
    };
    keys.into_iter().map(read).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Permission bits, user and group.
fn shape(path: &Path) -> (u32, u32, u32) {
    let found = fs::metadata(path).expect("a file");
    (found.mode() & 0o7777, found.uid(), found.gid())
}

fn each_key_is_a_file_with_its_bytes_whatever_its_name(server: &Server) {
    let (long, large) = ("n".repeat(255), "0123456789abcdef".repeat(10_000));
    let wanted = [
        (" space ", " \t"),
        (".hidden", "$(id) `id` 'x' \"y\" \\"),
        ("EMPTY", ""),
        ("NUL", "before\0after\n"),
        ("PEM", "-----BEGIN-----\r\nline\n-----END-----\n"),
        ("TREE", "{\"a\":[1,2]}"),
        ("db.password-1=é\n", "\u{1b}é\u{feff}\u{10ffff}"),
        (&long, &large),
    ];
    let mut secret: Map<String, Value> = wanted.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    secret.insert("TREE".to_owned(), json!({"a": [1, 2]}));
    secret.insert("EMPTY".to_owned(), json!(null));
    let scenario = scenario(server, &Value::Object(secret));
    let line = done("8 variables from kv/{path} version 1", "created");
    let outcome = scenario.run().expect(Expect::done().stderr(line)).expect_requests(REQUESTS);
    assert_eq!(outcome.connections(), 1);
    assert_eq!(read(&scenario), pairs(&wanted));
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    for folder in ["secrets", "secrets/..data"] {
        assert_eq!(shape(&scenario.file(folder)), (0o700, uid, gid));
    }
    assert_eq!(shape(&scenario.file("secrets/NUL")), (0o600, uid, gid));
    assert_eq!(names(&scenario.file("")), ["jwt", "secrets"]);
}

fn an_unchanged_folder_is_not_touched_and_a_changed_one_is_swapped(server: &Server) {
    let scenario = scenario(server, &json!({"A": "first-value", "B": "second-value"}));
    fs::create_dir(scenario.file("secrets")).expect("a directory");
    let runs = |scenario: &Scenario, count: &str, version: u8, end: &str| {
        let line = done(&format!("{count} from kv/{{path}} version {version}"), end);
        scenario.run().expect(Expect::done().stderr(line));
        let found = |name| fs::symlink_metadata(scenario.file(name)).expect("a file");
        ["secrets", "secrets/..data"].map(|name| (found(name).ino(), found(name).ctime(), found(name).ctime_nsec()))
    };
    let created = runs(&scenario, "2 variables", 1, "created");
    assert_eq!(runs(&scenario, "2 variables", 1, "unchanged"), created);
    // A new version with the same values.
    let scenario = scenario.secret(&json!({"B": "second-value", "A": "first-value"}));
    assert_eq!(runs(&scenario, "2 variables", 2, "unchanged"), created);

    let scenario = scenario.secret(&json!({"A": "third-value", "C": "fourth-value"}));
    runs(&scenario, "2 variables", 3, "replaced");
    assert_eq!(read(&scenario), pairs(&[("A", "third-value"), ("C", "fourth-value")]));
    fs::set_permissions(scenario.file("secrets/C"), Permissions::from_mode(0o644)).expect("a mode is set");
    runs(&scenario, "2 variables", 3, "replaced");
    assert_eq!(shape(&scenario.file("secrets/C")).0, 0o600);
}

fn the_variables_choose_mode_and_owner(server: &Server) {
    let scenario = scenario(server, &json!({"A": "a-value"})).env("VAULT_ENV_FILE_MODE", "0640");
    let (owner, ids) = if is_root() {
        ("1234:5678".to_owned(), (1234, 5678))
    } else {
        (format!("{}", geteuid()), (geteuid().as_raw(), getegid().as_raw()))
    };
    let scenario = scenario.env("VAULT_ENV_FILE_OWNER", owner);
    for end in ["created", "unchanged"] {
        scenario.run().expect(Expect::done().stderr(done("1 variable from kv/{path} version 1", end)));
        for (name, mode) in [("secrets", 0o750), ("secrets/..data", 0o750), ("secrets/A", 0o640)] {
            assert_eq!(shape(&scenario.file(name)), (mode, ids.0, ids.1), "{name}");
        }
    }
}

fn no_name_is_denied_and_keys_are_renamed(server: &Server) {
    let secret = json!({"LD_PRELOAD": "preload-value", "PATH": "path-value", "db/password": "slash-value", "x": "1"});
    let scenario = scenario(server, &secret).options(["--keys", "LD_PRELOAD,PATH,db/password:db-password"]);
    let scenario = scenario.options(["--require", "PATH"]);
    scenario.run().expect(Expect::done()).expect_requests(REQUESTS);
    let wanted = [("LD_PRELOAD", "preload-value"), ("PATH", "path-value"), ("db-password", "slash-value")];
    assert_eq!(read(&scenario), pairs(&wanted));
}

fn names_that_a_folder_cannot_have_are_refused_each_with_its_reason(server: &Server) {
    let long = "n".repeat(256);
    let mut secret = json!({"": "v", ".": "v", "..": "v", "..data": "v", "GOOD": "v", "a/b": "v", "nul\u{0}": "v"});
    secret[&long] = json!("v");
    let scenario = scenario(server, &secret);
    fs::create_dir(scenario.file("secrets")).expect("a directory");
    let none = "a name that no file can have: empty, `.`, or with a slash or NUL character";
    let dots = "a name that begins with `..`";
    let message = format!(
        "secret kv/{{path}} version 1: format dir cannot carry: \"\" ({none}), . ({none}), .. ({dots}), ..data ({dots}), \
         a/b ({none}), {}… (a name of more than 255 bytes), nul\\u{{0}} ({none}) (rename the key with VAULT_KEYS=key:NAME; json \
         can carry all of them)",
        "n".repeat(100)
    );
    scenario.run().expect_failure(65, &message).expect_requests(REQUESTS);
    assert_eq!(names(&scenario.file("secrets")), Vec::<String>::new());
    let scenario = scenario.options(["--check"]);
    let outcome = scenario.run().expect(Expect::done().code(65).any_stdout().stderr::<&str>([]));
    assert_says(&outcome.stdout, &scenario.expand(&message));
}

fn a_missing_key_leaves_the_old_files(server: &Server) {
    let scenario = scenario(server, &json!({"A": "old-value"}));
    scenario.run().expect(Expect::done());
    let scenario = scenario.secret(&json!({"A": "new-value"})).options(["--require", "A,GONE"]);
    let message =
        "secret kv/{path} version 2: missing: GONE (add it to the secret, or take it out of VAULT_REQUIRED_KEYS)";
    scenario.run().expect_failure(66, message);
    assert_eq!(read(&scenario), pairs(&[("A", "old-value")]));
}

fn a_dry_run_says_what_the_run_does_and_writes_nothing(server: &Server) {
    let scenario = scenario(server, &json!({"A": "a-value", "B": "b-value"})).options(["--check", "--report", "json"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    assert_eq!(names(&scenario.file("")), ["jwt"]);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("one JSON value");
    assert_known_fields(&report);
    let path = scenario.expand("{folder}/secrets");
    assert_eq!(report["verdict"], json!(format!("would write 2 variables to {path}")));
    let steps = report["steps"].as_array().expect("steps");
    let target = steps.iter().find(|step| step["step"] == "target").expect("a target");
    assert_eq!((&target["kind"], &target["path"], &target["format"]), (&json!("folder"), &json!(path), &json!("dir")));
}

/// The program under strace, with old files in place; `None` where strace cannot trace.
fn traced<'a>(scenario: Scenario<'a>, options: &[&str]) -> Option<Scenario<'a>> {
    strace(&scenario.file("trace"))?;
    let old = scenario.run();
    assert_eq!(old.code(), 0, "{}", old.describe());
    drop(old);
    let scenario = scenario.program("strace").options(["-f", "-s", "4096", "-o", "{folder}/trace"]).options(options);
    Some(scenario.options([PROGRAM]))
}

fn the_token_is_revoked_before_the_files_take_effect(server: &Server) {
    let Some(scenario) = traced(scenario(server, &json!({"A": "old-value"})), &["-e", "trace=write,sendto,renameat"])
    else {
        return;
    };
    let scenario = scenario.secret(&json!({"A": "new-value"}));
    let outcome = scenario.run();
    assert_eq!(outcome.code(), 0, "{}", outcome.describe());
    assert_eq!(outcome.tokens_after, outcome.tokens_before);
    assert_eq!(read(&scenario), pairs(&[("A", "new-value")]));
    let trace = fs::read_to_string(scenario.file("trace")).expect("a trace");
    let line = |text: &str| trace.lines().position(|line| line.contains(text));
    let order = [line("auth/kubernetes/login"), line("new-value"), line("auth/token/revoke-self"), line("renameat(")];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}\n{trace}");
}

fn a_signal_before_the_swap_leaves_the_old_files_and_one_during_it_the_new(server: &Server) {
    for (call, content) in [("mkdirat", "old-value"), ("symlinkat", "old-value"), ("renameat", "new-value")] {
        let signal = [format!("trace={call}"), format!("inject={call}:signal=TERM:when=1")];
        let old = scenario(server, &json!({"A": "old-value"}));
        let Some(scenario) = traced(old, &["-e", &signal[0], "-e", &signal[1]]) else { return };
        let scenario = scenario.secret(&json!({"A": "new-value"}));
        let outcome = scenario.run();
        assert_eq!(outcome.code(), 143, "{}", outcome.describe());
        assert_eq!(outcome.tokens_after, outcome.tokens_before);
        assert_eq!(read(&scenario), pairs(&[("A", content)]), "{call}");
    }
}

/// The run and the dry run end with this error, and what is there stays as it is.
fn assert_refused(scenario: Scenario, said: &str) {
    let found = |scenario: &Scenario| {
        let within = scenario.file("secrets");
        let inside = if within.is_dir() { names(&within) } else { Vec::new() };
        (names(&scenario.file("")), inside)
    };
    let before = found(&scenario);
    scenario.run().expect_failure(73, &format!("env file {said}")).expect_requests(REQUESTS);
    assert_eq!(found(&scenario), before);
    let scenario = scenario.options(["--check"]);
    let outcome = scenario.run().expect(Expect::done().code(73).any_stdout().stderr::<&str>([]));
    assert_says(&outcome.stdout, &scenario.expand(&format!("env file {said}")));
    assert_eq!(found(&scenario), before);
}

fn what_is_not_ours_in_a_folder_is_named_and_left_alone(server: &Server) {
    type Put = fn(&Path);
    let in_the_way =
        |name: &str, kind| format!("{{folder}}/{name}: {kind} is in the way; remove it or choose another path");
    let put: [(&str, &str, Put); 7] = [
        ("secrets/A", "a regular file", |at| fs::write(at, "precious").expect("a file")),
        ("secrets/A", "a directory", |at| fs::create_dir(at).expect("a directory")),
        ("secrets/A", "a symbolic link", |at| symlink("../jwt", at).expect("a link")),
        ("secrets/..data", "a directory", |at| fs::create_dir(at).expect("a directory")),
        ("secrets/..data", "a symbolic link", |at| symlink("..", at).expect("a link")),
        ("secrets", "a symbolic link", |at| symlink("jwt", at).expect("a link")),
        ("secrets", "a regular file", |at| fs::write(at, "export A='1'\n").expect("a file")),
    ];
    for (name, kind, put) in put {
        let scenario = scenario(server, &json!({"A": "new-value"}));
        if name != "secrets" {
            fs::create_dir(scenario.file("secrets")).expect("a directory");
        }
        put(&scenario.file(name));
        assert_refused(scenario, &in_the_way(name, kind));
    }
    let scenario = scenario(server, &json!({"A": "new-value"})).env("VAULT_ENV_FILE", "{folder}/none/secrets");
    let said = "No such file or directory while opening its directory; create the directory or mount a volume there";
    assert_refused(scenario, &format!("{{folder}}/none/secrets: {said}"));
}

fn a_disk_that_is_full_or_read_only_keeps_the_old_files(server: &Server) {
    if !with_own_mounts("mount -t tmpfs none /mnt", &[]).is_some_and(|output| output.status.success()) {
        return;
    }
    let larger = "make the volume larger or free some of it";
    for (then, code, said) in [
        ("true", 74, format!("No space left on device while writing the new files; {larger}")),
        (
            "mount -o remount,nr_inodes=$(find \"$DISK\" | wc -l) \"$DISK\"",
            74,
            format!("No space left on device while creating the new files; {larger}"),
        ),
        (
            "mount -o remount,bind,ro \"$DISK\"",
            73,
            "Read-only file system while creating the new files; choose a volume that is not read-only".to_owned(),
        ),
    ] {
        // The old files are those of a run without Vault and of somebody who put one more there.
        let made =
            "mount -t tmpfs -o size=64k none \"$DISK\"; VAULT_ADDR= \"$0\" 2>/dev/null; printf old >\"$DISK/mine\"";
        let run = "code=0; \"$0\" $CHECK || code=$?; echo $(ls -A \"$DISK\" | grep -v 20) $(ls -A \"$DISK/..data\"); exit $code";
        let scenario = scenario(server, &json!({"A": "large-value".repeat(8000)}));
        fs::create_dir(scenario.file("secrets")).expect("a directory");
        let script = format!("{made}; {then}; {run}");
        let scenario = scenario.env("DISK", "{folder}/secrets").env("CHECK", "");
        let scenario = scenario.program("unshare").options(["-m", "sh", "-euc", &script, PROGRAM]);
        let said = format!("env file {{folder}}/secrets: {said}");
        let wanted = Expect::done().code(code).stdout("..data mine\n").stderr([format!("ERROR vault-exec: {said}")]);
        scenario.run().expect(wanted).expect_requests(REQUESTS);
        let scenario = scenario.env("CHECK", "--check");
        let outcome = scenario.run().expect(Expect::done().code(code).any_stdout().stderr::<&str>([]));
        assert_says(&outcome.stdout, &scenario.expand(&said));
        assert!(outcome.stdout.ends_with("\n..data mine\n"), "{}", outcome.stdout);
    }
}

#[test]
fn without_an_address_the_folder_has_no_keys() {
    let scenario = Scenario::offline().no_command().options(["--env-file", "{folder}/secrets", "--format", "dir"]);
    for end in ["created", "unchanged"] {
        scenario.run().expect(Expect::done().stderr([format!("{UNSET}{end}, without variables")]));
        assert_eq!(read(&scenario), []);
    }
    let scenario = scenario.options(["--check"]);
    let outcome = scenario.run().expect(Expect::done().any_stdout());
    assert_says(&outcome.stdout, "VAULT_ADDR is unset: would write");
}

#[test]
fn keys_that_were_there_are_gone_without_an_address() {
    let scenario = Scenario::offline().no_command().options(["--env-file", "{folder}/secrets", "--format", "dir"]);
    let data = "..2026_01_31_12_00_00_0123456789abcdef";
    fs::create_dir_all(scenario.file("secrets").join(data)).expect("a folder");
    fs::write(scenario.file("secrets").join(data).join("A"), "old").expect("a file");
    symlink(data, scenario.file("secrets/..data")).expect("a link");
    symlink("..data/A", scenario.file("secrets/A")).expect("a link");
    scenario.run().expect(Expect::done().stderr([format!("{UNSET}replaced, without variables")]));
    assert_eq!(read(&scenario), []);
}

#[test]
fn standard_output_is_no_folder() {
    let why = "format dir writes a folder, which standard output is not; name a folder, or another format";
    let usage = "usage: vault-exec [OPTIONS] [--] COMMAND [ARG]..., more by --help";
    let flags = Scenario::offline().no_command().options(["--env-file", "-", "--format", "dir"]);
    flags.run().expect_failure(64, &format!("--env-file -: {why}; {usage}"));
    let variables = Scenario::offline().no_command().env("VAULT_ENV_FILE", "-").env("VAULT_ENV_FILE_FORMAT", "dir");
    variables.run().expect_failure(78, &format!("VAULT_ENV_FILE = \"-\": {why}"));
    let both = Scenario::offline().no_command().options(["--env-file=-"]).env("VAULT_ENV_FILE_FORMAT", "dir");
    both.run().expect_failure(78, &format!("--env-file = \"-\": {why}"));
}
