//! `deploy/systemd/watch`: started by a systemd of the test's own, in namespaces of its own, on both servers.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;
use vault_testkit::server::{Kind, Server, on};
use vault_testkit::unshare::permitted;
use vault_testkit::{eventually, missing, on_both, unique};

use super::{KEY, URL, Unit, calls, logged};
use crate::cases::deploy::{deploy, for_good};
use crate::support::isolated::child_of;
use crate::support::scenario::{PROGRAM, Scenario};
use crate::support::system::{free_port, strace};

const FOLDER: &str = "systemd/watch";
const WATCH: &str = "systemd/watch/shop-env.service";

on_both!(
    the_application_starts_after_the_first_file_and_again_after_each_change,
    a_first_read_that_fails_starts_no_application_and_is_told_by_its_code,
);

/// Becomes a systemd with the units of a folder, whose `/run` nobody else sees. As process 1 it would be a machine's: hence
/// the shell above it. `$2` is a group of its own.
const SCRIPT: &str = r#"
    for root in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        [ -e "$root/cgroup.procs" ] || continue
        mkdir -p "$root/$2" && echo 0 >"$root/$2/cgroup.procs"
    done
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/systemd/system
    env -i PATH="$PATH" HOME="$1" XDG_RUNTIME_DIR=/run SYSTEMD_UNIT_PATH="$1" \
        "$3" --user --log-target=console --unit=multi-user.target &
    wait
"#;

/// Where Debian has it, and others.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// A running systemd; dropping it ends it with all its units.
struct Systemd {
    process: Child,
    group: String,
}

impl Systemd {
    /// `None` where this machine does not permit it.
    fn start(test: &str, units: &Path) -> Option<Self> {
        let options = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
        if !permitted(test, &options) {
            return None;
        }
        let Some(program) = SYSTEMD.into_iter().find(|it| Path::new(it).exists()) else {
            missing("systemd itself");
            return None;
        };
        let group = format!("vault-exec-systemd-{}-{}", std::process::id(), unique());
        let mut command = Command::new("unshare");
        command.args(options).args(["sh", "-euc", SCRIPT, "sh"]).arg(units).arg(&group).arg(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let systemd = Self { process: command.spawn().unwrap(), group };
        eventually("systemd is up", || systemd.has_begun() && systemd.show("basic.target", "ActiveState") == "active");
        Some(systemd)
    }

    /// Whether its namespaces have a process.
    fn has_begun(&self) -> bool {
        let id = self.process.id();
        fs::read_to_string(format!("/proc/{id}/task/{id}/children")).is_ok_and(|it| !it.is_empty())
    }

    /// What a program in there prints.
    fn run(&self, words: &[&str]) -> String {
        let first = child_of(Pid::from_raw(self.process.id().try_into().unwrap()));
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--mount", "--pid", &format!("--target={first}"), "--"]).args(words);
        let output = nsenter.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A property of a unit.
    fn show(&self, unit: &str, property: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", property, unit]).trim_end().to_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
            let group = Path::new(root).join(&self.group);
            // Its processes are still on their way out.
            let end = Instant::now() + Duration::from_secs(5);
            while group.exists() && Instant::now() < end {
                let remove = ["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"];
                let _ = Command::new("find").arg(&group).args(remove).stderr(Stdio::null()).status();
            }
        }
    }
}

/// The units as they are, in a folder of the scenario, with its server, a port of its own and an application that prints
/// one variable. What is left out: a user of their own and its credential, for which systemd has to be the machine's; and
/// what hides the folders where the tests are.
fn units(scenario: &Scenario, keys: &str) -> PathBuf {
    let folder = scenario.file("units");
    fs::create_dir(&folder).unwrap();
    let here = |text: &str| scenario.expand(text);
    let application = "/bin/sh -c 'printf \"%%s\\\\n\" \"$$DATABASE_URL\"; exec sleep infinity'";
    let replaced = [
        ("/usr/bin/vault-exec", PROGRAM.to_owned()),
        ("/usr/bin/shop --port 8080", application.to_owned()),
        ("--watch 60s", "--watch 1s".to_owned()),
        ("localhost:8081", format!("localhost:{}", free_port())),
        ("%d/", here("{folder}/credentials/")),
        ("https://vault.example:8200", here("{addr}")),
        ("VAULT_PATH=shop/prod", here("VAULT_PATH={path}")),
        ("VAULT_KEYS=DATABASE_URL,API_KEY", format!("VAULT_KEYS={keys}")),
    ];
    let mut unused: BTreeSet<_> = replaced.iter().map(|(from, _)| *from).collect();
    let mut wanted = Vec::new();
    for entry in fs::read_dir(deploy(FOLDER)).unwrap() {
        let (path, mut text) = entry.map(|it| (it.path(), fs::read_to_string(it.path()).unwrap())).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        for (from, to) in &replaced {
            if text.contains(from) {
                unused.remove(from);
                text = text.replace(from, to);
            }
        }
        let log = scenario.file(name).display().to_string();
        text = text
            .replace("[Service]\n", &format!("[Service]\nStandardOutput=append:{log}\nStandardError=append:{log}\n"));
        let left_out = ["DynamicUser=", "LoadCredential=", "PrivateTmp=", "ProtectHome="];
        let kept: Vec<_> = text.lines().filter(|line| !left_out.iter().any(|it| line.starts_with(it))).collect();
        fs::write(folder.join(name), kept.join("\n") + "\n").unwrap();
        if text.contains("\nWantedBy=multi-user.target\n") {
            wanted.push(name.to_owned());
        }
    }
    assert_eq!(unused, BTreeSet::new(), "what is replaced is there");
    for target in ["basic", "exit", "network-online", "paths", "shutdown"] {
        fs::write(folder.join(format!("{target}.target")), "[Unit]\nDescription=A stub\n").unwrap();
    }
    let enabled = format!("[Unit]\nDescription=A stub\nWants={}\n", wanted.join(" "));
    fs::write(folder.join("multi-user.target"), enabled).unwrap();
    folder
}

fn the_application_starts_after_the_first_file_and_again_after_each_change(server: &Server) {
    let scenario = Unit::read(WATCH).scenario(server);
    let units = units(&scenario, "DATABASE_URL,API_KEY");
    let Some(systemd) = Systemd::start("the_application_starts_after_the_first_file", &units) else { return };
    let printed = || fs::read_to_string(scenario.file("shop.service")).unwrap_or_default();
    eventually("the application has started", || printed() == format!("{URL}\n"));
    let log = || fs::read_to_string(scenario.file("shop-env.service")).unwrap();
    assert_eq!(systemd.show("shop-env.service", "ActiveState"), "active", "{}", log());
    assert_eq!(systemd.run(&["stat", "--format=%a", "/run/shop/app.env"]), "600\n");
    let new = "postgres://shop@another-database/shop";
    let secret = json!({"DATABASE_URL": new, "API_KEY": KEY});
    server.write_secret("", "kv", &scenario.path(), &secret);
    eventually("the application has started again", || printed() == format!("{URL}\n{new}\n"));
    // The watch ends well, and takes its folder along; the application runs on.
    systemd.run(&["systemctl", "stop", "shop-env.service"]);
    let log = log();
    let ended = ["Result", "ExecMainStatus"].map(|it| systemd.show("shop-env.service", it));
    assert_eq!(ended, ["success", "0"], "{log}");
    assert!(
        log.ends_with("SIGTERM: ended by it; /run/shop/app.env stays; token not revoked (it was handed in)\n"),
        "{log}"
    );
    assert_eq!(systemd.run(&["ls", "/run/shop"]), "");
    // What shop-rotated.path may start then, since a file that goes is a change too.
    systemd.run(&["systemctl", "start", "shop-rotated.service"]);
    assert_eq!(systemd.show("shop-rotated.service", "ConditionResult"), "no");
    assert_eq!(systemd.show("shop.service", "ActiveState"), "active");
}

fn a_first_read_that_fails_starts_no_application_and_is_told_by_its_code(server: &Server) {
    let scenario = Unit::read(WATCH).scenario(server);
    let units = units(&scenario, "DATABASE_URL,SMTP_HOST");
    let Some(systemd) = Systemd::start("a_first_read_that_fails_starts_no_application", &units) else { return };
    eventually("the watch has failed", || systemd.show("shop-env.service", "ActiveState") == "failed");
    assert_eq!(systemd.show("shop-env.service", "ExecMainStatus"), "66");
    eventually("the application is not started", || systemd.show("shop.service", "Result") == "resources");
    assert!(!scenario.file("shop.service").exists(), "it prints what it has");
}

#[test]
fn the_wait_for_the_first_file_outlasts_the_first_read() {
    let unit = Unit::read(WATCH);
    assert_eq!((unit.one("Type"), unit.one("TimeoutStartSec")), ("exec", "2min 10s"));
    // Two minutes, the revoke of a second, and a second of the wait.
    assert!(!unit.environment().contains_key("VAULT_STARTUP_TIMEOUT"));
    let file = unit.command_line().0[2];
    assert!(unit.one("ExecStartPost").contains(&format!("test -e {file} && exit")), "{file}");
}

#[test]
fn a_watch_that_only_a_person_can_mend_is_not_repeated() {
    let unit = Unit::read(WATCH);
    assert_eq!(unit.one("Restart"), "on-failure");
    assert_eq!(unit.one("RestartPreventExitStatus").split(' ').collect::<Vec<_>>(), for_good());
    assert_eq!(unit.one("SuccessExitStatus"), (128 + Signal::SIGTERM as i32).to_string());
}

#[test]
fn the_file_that_is_looked_at_is_the_one_that_is_kept_current() {
    let [watch, shop, path, rotated] =
        ["shop-env.service", "shop.service", "shop-rotated.path", "shop-rotated.service"]
            .map(|name| Unit::read(&format!("{FOLDER}/{name}")));
    let (words, hook) = watch.command_line();
    assert_eq!((words[1], hook), ("--env-file", Vec::new()));
    let named = [words[2], path.one("PathChanged"), rotated.one("ConditionPathExists")];
    assert_eq!(named, [shop.one("EnvironmentFile"); 3]);
    assert_eq!(path.one("After"), "shop-env.service");
    // Else a watch that starts again would start the application again.
    assert_eq!(
        (shop.all("Requires"), shop.one("Wants"), shop.one("After")),
        (vec![], "shop-env.service", "shop-env.service")
    );
}

#[test]
fn no_unit_forbids_a_call_that_a_watch_makes() {
    on(Kind::Embedded, "no_unit_forbids_a_call_that_a_watch_makes", |server| {
        let unit = Unit::read(WATCH);
        let [allowed, denied] = unit.all("SystemCallFilter")[..] else { panic!("a list and an exception") };
        let (Some(allowed), Some(denied)) = (calls(allowed), calls(denied.strip_prefix('~').unwrap())) else { return };
        let text = fs::read_to_string(deploy(WATCH)).unwrap();
        let port = free_port();
        let here = text.replace("--watch 60s", "--watch 1s").replace(":8081", &format!(":{port}"));
        let scenario = Unit::parse(&here).scenario(server);
        let log = scenario.file("strace");
        if strace(&log).is_none() {
            return;
        }
        let scenario = scenario.program("/usr/bin/strace").first(["-f", "-o", "{folder}/strace", PROGRAM]);
        let mut started = scenario.start();
        started.await_log("app.env created");
        TcpStream::connect(("localhost", port)).expect("it listens");
        server.write_secret("", "kv", &scenario.path(), &json!({"DATABASE_URL": "another", "API_KEY": KEY}));
        started.await_log("app.env replaced");
        let traced = child_of(started.pid());
        started.signal_to(traced, Signal::SIGTERM);
        assert_eq!(started.finish().code(), 0);
        let made = logged(&log);
        let forbidden: Vec<_> = made.iter().filter(|it| !allowed.contains(*it) || denied.contains(*it)).collect();
        assert!(made.contains("accept4") && made.len() > 20 && forbidden.is_empty(), "{forbidden:?} of {made:?}");
    });
}
