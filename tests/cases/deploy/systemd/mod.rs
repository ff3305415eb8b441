//! `deploy/systemd`: taken by systemd's own tools, then started as the units say, on both servers.

mod approle;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::kubernetes::memory::pairs;
use super::{deploy, for_good, tool};
use crate::support::expect::Expect;
use crate::support::pod::cgroup::Cgroup;
use crate::support::readers::Reader;
use crate::support::scenario::{PROGRAM, Scenario};
use crate::support::system::strace;
use crate::support::vault_client;
use vault_exec::sink::format::Format;
use vault_testkit::server::{Kind, Listener, Server, on};
use vault_testkit::{on_both, openbao};

pub(super) const FILES: &[&str] = &[
    "systemd/approle/shop-secret-id.service",
    "systemd/approle/shop.service",
    "systemd/env-file/shop-env.service",
    "systemd/env-file/shop.service",
    "systemd/shop.service",
    "systemd/watch/shop-env.service",
    "systemd/watch/shop-rotated.path",
    "systemd/watch/shop-rotated.service",
    "systemd/watch/shop.service",
];

/// Those that vault-exec runs in, with a token.
const STARTED_BY_IT: [&str; 2] = ["systemd/env-file/shop-env.service", "systemd/shop.service"];

/// Exposure in tenths, the sum of what systemd thinks a unit could do without. 1.1 is what the network and the machine's
/// file system come to; another version may weigh a little otherwise, and most of the lines weigh more than that.
const EXPOSURE: u8 = 12;

/// The lines of a unit.
pub(super) struct Unit(Vec<(String, String)>);

impl Unit {
    pub(super) fn read(file: &str) -> Self {
        Self::parse(&fs::read_to_string(deploy(file)).unwrap())
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|line| line.split_once('='));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter(|(it, _)| it == key).map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn one(&self, key: &str) -> &str {
        let [value] = self.all(key)[..] else { panic!("{key} is not there once") };
        value
    }

    pub(super) fn environment(&self) -> BTreeMap<&str, &str> {
        self.all("Environment").into_iter().map(|it| it.split_once('=').unwrap()).collect()
    }

    /// What stands before `--` in the command line, and what stands behind it.
    pub(super) fn command_line(&self) -> (Vec<&str>, Vec<&str>) {
        let words: Vec<_> = self.one("ExecStart").split(' ').collect();
        let mut halves = words.split(|it| *it == "--").map(<[_]>::to_vec);
        (halves.next().unwrap(), halves.next().unwrap_or_default())
    }

    /// The scenario of this unit. The server's address, the path and the folders are those of the test.
    fn scenario<'a>(&self, server: &'a Server) -> Scenario<'a> {
        let scenario = Scenario::new(server).secret(&json!({"DATABASE_URL": URL, "API_KEY": KEY})).token(&json!({}));
        let token = scenario.given_env()["VAULT_TOKEN"].clone();
        fs::create_dir(scenario.file("credentials")).unwrap();
        let (credential, _) = self.one("LoadCredential").split_once(':').unwrap();
        fs::write(scenario.file("credentials").join(credential), token.to_str().unwrap()).unwrap();
        // As systemd makes it for a dynamic user.
        fs::create_dir_all(scenario.file("run/private/shop")).unwrap();
        symlink("private/shop", scenario.file("run/shop")).unwrap();

        let mut environment = self.environment();
        assert_eq!(environment.remove("VAULT_ADDR"), Some("https://vault.example:8200"));
        assert_eq!(environment.remove("VAULT_PATH"), Some("shop/prod"));
        let scenario = scenario.unset("VAULT_TOKEN").env("CREDENTIALS_DIRECTORY", "{folder}/credentials");
        let scenario = environment
            .into_iter()
            .fold(scenario, |scenario, (name, value)| scenario.env(name, value.replace("%d", "{folder}/credentials")));
        let (words, application) = self.command_line();
        assert_eq!(words[0], "/usr/bin/vault-exec");
        let scenario = scenario.options(words[1..].iter().map(|it| it.replace("/run/", "{folder}/run/")));
        if application.is_empty() { scenario.no_command() } else { scenario.args(&application[1..]) }
    }
}

const URL: &str = "postgres://shop@database/shop?options='-c x=\"$HOME\"'";
const KEY: &str = "two lines\nand a \\ backslash";

/// A root of its own with the units of a file's folder, the programs that they start and what every unit depends on.
fn root(file: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let folder = root.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
    for target in ["basic", "multi-user", "network-online", "paths", "shutdown", "sysinit"] {
        let unit = folder("usr/lib/systemd/system").join(format!("{target}.target"));
        fs::write(unit, "[Unit]\nDescription=A stub\n").unwrap();
    }
    let parent = Path::new(file).parent();
    let all = FILES.iter().chain(super::gateway::FILES);
    for neighbour in all.filter(|it| Path::new(it).parent() == parent) {
        fs::copy(deploy(neighbour), folder("etc/systemd/system").join(Path::new(neighbour).file_name().unwrap()))
            .unwrap();
        if !is_service(neighbour) {
            continue;
        }
        let unit = Unit::read(neighbour);
        let (words, application) = unit.command_line();
        let beside = ["ExecStartPre", "ExecStartPost", "ExecReload"].into_iter().flat_map(|it| unit.all(it));
        let before = beside.map(|it| it.split(' ').next().unwrap());
        for program in [words.first(), application.first()].into_iter().flatten().copied().chain(before) {
            let (parent, name) = program.strip_prefix('/').unwrap().rsplit_once('/').unwrap();
            let program = folder(parent).join(name);
            fs::write(&program, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    root
}

/// Whether the unit starts something itself.
fn is_service(file: &str) -> bool {
    Path::new(file).extension() == Some("service".as_ref())
}

/// The unit with the settings that it has only as comments.
fn uncommented(file: &str) -> String {
    fs::read_to_string(deploy(file)).unwrap().replace("\n#Environment=", "\nEnvironment=")
}

/// Has systemd's own tool judge a unit, with what stands in its folder beside it.
fn analyze(file: &str, verb: &[&str]) {
    let root = root(file);
    let unit = root.path().join("etc/systemd/system").join(Path::new(file).file_name().unwrap());
    fs::write(unit, uncommented(file)).unwrap();
    let option = format!("--root={}", root.path().display());
    tool("systemd-analyze", |it| it.args(verb).arg(option).arg(Path::new(file).file_name().unwrap()));
}

pub(super) fn expect_accepted(file: &str) {
    analyze(file, &["verify"]);
}

pub(super) fn expect_confined(file: &str) {
    analyze(file, &["security", "--no-pager", "--offline=true", &format!("--threshold={EXPOSURE}")]);
}

#[test]
fn each_unit_is_accepted_without_a_word() {
    for file in FILES {
        expect_accepted(file);
    }
}

#[test]
fn each_unit_is_confined() {
    for file in FILES.iter().filter(|file| is_service(file)) {
        expect_confined(file);
    }
}

fn the_service_starts_the_application_in_its_place(server: &Server) {
    let scenario = Unit::read("systemd/shop.service").scenario(server);
    scenario.run().expect(Expect::started().env([("DATABASE_URL", URL), ("API_KEY", KEY)]));
}

fn the_env_file_holds_for_systemd_what_the_secret_does(server: &Server) {
    let application = Unit::read("systemd/env-file/shop.service");
    assert_eq!(application.one("Requires"), "shop-env.service");
    assert_eq!(application.one("After"), "shop-env.service");
    let scenario = Unit::read("systemd/env-file/shop-env.service").scenario(server);
    scenario.run().expect(Expect::done());

    let file = scenario.expand(&application.one("EnvironmentFile").replace("/run/", "{folder}/run/"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let variables =
        BTreeMap::from([("DATABASE_URL", URL), ("API_KEY", KEY)].map(|(it, value)| (it.into(), value.into())));
    for reader in Reader::of(Format::Systemd) {
        let names: Vec<_> = variables.keys().cloned().collect();
        assert_eq!(reader.read(&fs::read(&file).unwrap(), &names), Ok(variables.clone()));
    }
}

fn a_read_that_fails_leaves_no_env_file_of_an_earlier_one(server: &Server) {
    let unit = Unit::read(STARTED_BY_IT[0]);
    let scenario = unit.scenario(server);
    let before = scenario.expand(&unit.one("ExecStartPre").replace("/run/", "{folder}/run/"));
    let mut words = before.split(' ');
    let mut before = Command::new(words.next().unwrap());
    before.args(words).env_clear();
    let file = Unit::read("systemd/env-file/shop.service").one("EnvironmentFile").replace("/run/", "run/");
    let file = scenario.file(&file);
    // The first time there is none.
    assert!(before.status().unwrap().success());
    scenario.run().expect(Expect::done());
    assert!(file.exists());

    let failing = scenario.env("VAULT_REQUIRED_KEYS", "NOT_THERE");
    assert!(before.status().unwrap().success());
    assert_ne!(failing.run().code(), 0);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 0);
}

fn the_commented_ca_is_the_one_that_is_trusted(server: &Server) {
    for file in STARTED_BY_IT {
        let unit = Unit::parse(&uncommented(file));
        let named = unit.environment()["VAULT_CACERT"];
        assert_eq!(named, "/etc/shop/ca.crt");
        let scenario = unit.scenario(server).tls(Listener::Tls);
        let ca = scenario.given_env()["VAULT_CACERT"].clone();
        fs::create_dir_all(scenario.file("etc/shop")).unwrap();
        fs::copy(ca, scenario.file("etc/shop/ca.crt")).unwrap();
        let outcome = scenario.env("VAULT_CACERT", format!("{{folder}}{named}")).run().code();
        assert_eq!(outcome, 0, "{file}");
    }
}

on_both!(
    the_service_starts_the_application_in_its_place,
    the_env_file_holds_for_systemd_what_the_secret_does,
    a_read_that_fails_leaves_no_env_file_of_an_earlier_one,
    the_commented_ca_is_the_one_that_is_trusted
);

/// The command in each unit's comment makes a token that is good for start after start, and can be renewed.
#[test]
fn the_token_of_the_comment_outlives_each_start() {
    on(Kind::OpenBao, "the_token_of_the_comment_outlives_each_start", |server| {
        for file in STARTED_BY_IT {
            let scenario = Unit::read(file).scenario(server);
            let text = fs::read_to_string(deploy(file)).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("#   bao ")).unwrap();
            let other = vault_client::install(&scenario.file("")).map(|()| scenario.file("vault"));
            for client in [Some(openbao::program().unwrap().clone()), other].into_iter().flatten() {
                let mut client = Command::new(client);
                let words = line.replace("-policy=shop", &format!("-policy={}", scenario.name));
                client.args(words.split(' ')).env_clear().env("VAULT_TOKEN", server.root_token());
                client.env("VAULT_ADDR", server.addr(Listener::Plain)).env("HOME", scenario.file(""));
                let output = client.output().unwrap();
                assert!(output.status.success(), "{client:?}: {}", String::from_utf8_lossy(&output.stderr));
                fs::write(scenario.file("credentials/vault-token"), &output.stdout).unwrap();
                for _ in 0..2 {
                    assert_eq!(scenario.run().code(), 0, "{file}");
                }
                let token = json!({"token": String::from_utf8(output.stdout).unwrap().trim_end()});
                let renewed = server.must("POST", "auth/token/renew", &token);
                assert_eq!(renewed["auth"]["lease_duration"], 24 * 60 * 60, "{file}");
            }
        }
    });
}

#[test]
fn the_largest_secret_fits_into_the_memory_of_the_unit_that_writes_it() {
    on(Kind::Embedded, "the_largest_secret_fits_into_the_memory_of_the_unit_that_writes_it", |server| {
        let unit = Unit::read(STARTED_BY_IT[0]);
        let mebibytes: u64 = unit.one("MemoryMax").strip_suffix('M').unwrap().parse().unwrap();
        let Some(cgroup) = Cgroup::limited(mebibytes << 20) else { return };
        let scenario = unit.scenario(server).secret(&pairs()).env("VAULT_KEYS", "");
        let enter = "echo 0 >\"$0/cgroup.procs\" && exec \"$@\"";
        let folder = cgroup.path().to_str().unwrap();
        let scenario = scenario.program("/bin/sh").first(["-c", enter, folder, PROGRAM]);
        scenario.run().expect(Expect::done());
        // The program that is not optimised takes more.
        assert!(cgroup.peak() < (mebibytes << 20) * 3 / 4, "{}", cgroup.peak());
    });
}

/// The calls of these groups.
fn calls(groups: &str) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for name in groups.split(' ') {
        if !name.starts_with('@') {
            all.insert(name.to_owned());
            continue;
        }
        let listed = tool("systemd-analyze", |it| it.args(["--no-pager", "syscall-filter", name]))?;
        let listed = String::from_utf8(listed).unwrap();
        let members = listed.lines().skip(1).map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
        all.extend(calls(&members.collect::<Vec<_>>().join(" "))?);
    }
    Some(all)
}

#[test]
fn no_unit_forbids_a_call_that_the_start_makes() {
    on(Kind::Embedded, "no_unit_forbids_a_call_that_the_start_makes", |server| {
        for file in STARTED_BY_IT {
            let unit = Unit::read(file);
            let [allowed, denied] = unit.all("SystemCallFilter")[..] else { panic!("a list and an exception") };
            let (Some(allowed), Some(denied)) = (calls(allowed), calls(denied.strip_prefix('~').unwrap())) else {
                return;
            };
            let scenario = unit.scenario(server);
            let before = unit.all("ExecStartPre").into_iter().map(|it| it.replace("/run/", "{folder}/run/"));
            let before: Vec<_> = before.map(|it| scenario.expand(&it)).collect();
            let Some(mut made) = made(scenario) else { return };
            made.extend(before.iter().filter_map(|it| made_by(it)).flatten());
            let forbidden: Vec<_> = made.iter().filter(|it| !allowed.contains(*it) || denied.contains(*it)).collect();
            assert!(made.len() > 20 && forbidden.is_empty(), "{file}: {forbidden:?} of {made:?}");
        }
    });
}

/// The calls of a run, up to the application's start.
fn made(scenario: Scenario) -> Option<BTreeSet<String>> {
    let log = scenario.file("strace");
    strace(&log)?;
    let scenario = scenario.program("/usr/bin/strace").first(["-f", "-o", "{folder}/strace", PROGRAM]);
    assert_eq!(scenario.run().code(), 0);
    Some(logged(&log))
}

/// The calls of a command that stands before the start.
fn made_by(command: &str) -> Option<BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("strace");
    let mut traced = strace(&log)?;
    assert!(traced.args(command.split(' ')).status().unwrap().success(), "{traced:?}");
    Some(logged(&log))
}

fn logged(log: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('));
    let mut starts = 0;
    let own = lines.map(|(name, _)| name.to_owned()).take_while(|name| {
        starts += usize::from(name == "execve");
        starts < 2
    });
    own.filter(|name| name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')).collect()
}

#[test]
fn a_start_that_only_a_person_can_mend_is_not_repeated() {
    let unit = Unit::read("systemd/shop.service");
    assert_eq!(unit.one("Restart"), "on-failure");
    assert_eq!(unit.one("RestartPreventExitStatus").split(' ').collect::<Vec<_>>(), for_good());
    // Which is why the codes of an env file are not among them.
    assert!(unit.command_line().0 == ["/usr/bin/vault-exec"] && !unit.environment().contains_key("VAULT_ENV_FILE"));
}

#[test]
fn a_unit_that_is_stopped_while_it_starts_has_not_failed() {
    let unit = Unit::read("systemd/shop.service");
    assert_eq!(unit.one("SuccessExitStatus"), (128 + Signal::SIGTERM as i32).to_string());
}

/// The application starts when the file counts as written.
#[test]
fn no_code_but_0_says_that_the_env_file_was_written() {
    let unit = Unit::read(STARTED_BY_IT[0]);
    assert_eq!((unit.one("Type"), unit.all("SuccessExitStatus")), ("oneshot", vec![]));
    // Nor does the `-` that has systemd go on after a failure stand before a command.
    assert!([unit.one("ExecStartPre"), unit.one("ExecStart")].iter().all(|it| it.starts_with('/')));
}

#[test]
fn systemd_waits_longer_than_the_start_may_take() {
    for file in STARTED_BY_IT {
        let unit = Unit::read(file);
        // Its start is over when vault-exec begins.
        if unit.one("Type") == "exec" {
            assert_eq!(unit.all("TimeoutStartSec"), [""; 0], "{file}");
            continue;
        }
        let budget = unit.environment().get("VAULT_STARTUP_TIMEOUT").copied().unwrap_or("2m");
        let seconds = |span: &str| {
            let listed = String::from_utf8(tool("systemd-analyze", |it| it.args(["timespan", span]))?).unwrap();
            // The letter for "micro" depends on the locale.
            let micros = listed.lines().nth(1).unwrap().split_once(": ").unwrap().1;
            Some(micros.parse::<u64>().unwrap() / 1_000_000)
        };
        let (Some(limit), Some(budget)) = (seconds(unit.one("TimeoutStartSec")), seconds(budget)) else { return };
        // The revoke has a second of its own.
        assert!(limit > budget + 1, "{file}: {limit} s for {budget} s");
    }
}
