//! `deploy/compose`: read by Compose's own library, then started as that read it, with the programs of this machine in
//! the place of the images.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::server::skip;
use vault_testkit::{eventually, openbao, tally};

use super::{deploy, installed, tool};
use crate::support::expect::Expect;
use crate::support::isolated::{as_process_1, child_of};
use crate::support::scenario::{PROGRAM, Scenario};

pub(super) const FILES: &[&str] = &["compose/Dockerfile", "compose/compose.yaml", "compose/sidecar.yaml"];

/// What Compose makes of the file; `None` without its library.
pub(super) fn project(file: &Path) -> Option<String> {
    let json = tool(installed("readers"), |it| it.arg("project").arg(file))?;
    Some(String::from_utf8(json).unwrap())
}

#[test]
fn each_file_is_accepted_by_its_tool() {
    for file in FILES {
        let path = deploy(file);
        if path.extension() == Some("yaml".as_ref()) {
            project(&path);
        } else {
            tool(installed("hadolint"), |it| it.arg(&path));
        }
    }
}

#[test]
fn only_this_machine_reaches_the_server() {
    for file in ["compose/compose.yaml", "compose/sidecar.yaml"] {
        let Some(project) = project(&deploy(file)) else { return };
        let project: Value = serde_json::from_str(&project).unwrap();
        let services = project["services"].as_object().unwrap().values();
        let all = services.filter_map(|it| it["ports"].as_array()).flatten();
        assert_eq!(all.map(|it| &it["host_ip"]).collect::<Vec<_>>(), ["127.0.0.1"], "{file}");
    }
}

#[test]
fn the_application_starts_with_the_sample_secret() {
    let test = "the_application_starts_with_the_sample_secret";
    let (Some(_), Some(project)) = (openbao::program(), project(&deploy("compose/compose.yaml"))) else {
        return skip(test);
    };
    let mut laptop = Laptop::new(&project, 88);
    laptop.prepare("shop");
    let [program, separator, shell, arguments @ ..] = &entrypoint(&deploy("compose/Dockerfile"))[..] else {
        panic!("too short")
    };
    assert_eq!([program, separator, shell], ["/vault-exec", "--", "/bin/sh"]);
    let mut env = laptop.env("shop");
    let scenario = env.iter().fold(Scenario::offline(), |scenario, (name, value)| scenario.env(name, value));
    // The shell of the image.
    let busybox = ["/usr/bin/busybox", "sh"].into_iter().chain(arguments.iter().map(String::as_str));
    let scenario = SECRET.iter().fold(scenario.command(busybox), |scenario, (_, value)| scenario.hides(value));
    let Some(scenario) = as_process_1(test, scenario) else { return };

    let mut started = scenario.start();
    let line = "DATABASE_URL: 29 characters, API_KEY: 15\n";
    started.await_output(line);
    let process = child_of(started.pid());
    env.retain(|(name, _)| name != "VAULT_TOKEN");
    env.extend(SECRET.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let wanted: BTreeSet<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let inherited = fs::read_to_string(format!("/proc/{process}/environ")).unwrap();
    assert_eq!(inherited.split_terminator('\0').map(str::to_owned).collect::<BTreeSet<_>>(), wanted);
    // As `docker compose stop` does.
    started.signal_to(process, Signal::SIGTERM);
    started.finish().expect(Expect::done().stdout(line));
    tally::note("openbao", test);
}

#[test]
fn the_sidecar_has_the_files_there_first_and_brings_a_change_to_the_application() {
    let test = "the_sidecar_has_the_files_there_first_and_brings_a_change_to_the_application";
    let (Some(bao), Some(project)) = (openbao::program(), project(&deploy("compose/sidecar.yaml"))) else {
        return skip(test);
    };
    let volume = tempfile::tempdir().unwrap();
    let project = project
        .replace("/secrets", volume.path().to_str().unwrap())
        .replace("\"/vault-exec\"", &json!(PROGRAM).to_string());
    let mut laptop = Laptop::new(&project, 89);
    // The health check's program is in the image.
    symlink("/usr/bin/busybox", laptop.folder.path().join("wget")).unwrap();
    laptop.prepare("shop");
    let printed = laptop.folder.path().join("printed");
    let words = laptop.words("shop");
    let mut shop = laptop.command("shop", &words);
    shop.stdout(fs::File::create(&printed).unwrap());
    laptop.running.push(openbao::spawn_bound(shop));
    let printed = || fs::read_to_string(&printed).unwrap();
    eventually("the application has the first value", || printed() == "DATABASE_URL: 29 characters\n");
    // As the comment says, in the server's container.
    let put = ["bao", "kv", "put", "-mount=kv", "shop/prod", "DATABASE_URL=another", "API_KEY=another"];
    let file = fs::read_to_string(deploy("compose/sidecar.yaml")).unwrap();
    assert!(file.contains(&put.join(" ")) && bao.exists());
    assert!(laptop.command("openbao", &put.map(Value::from)).status().unwrap().success());
    eventually("the application has the second", || printed().ends_with("\nDATABASE_URL: 7 characters\n"));
    // Compose stops the application first, as it depends on the sidecar.
    for service in ["shop", "vault-exec"] {
        let mut process = laptop.running.pop().unwrap();
        kill(Pid::from_raw(process.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0), "{service}");
    }
    tally::note("openbao", test);
}

/// What the service `secret` writes.
const SECRET: [(&str, &str); 2] = [("DATABASE_URL", "postgres://shop@database/shop"), ("API_KEY", "for-trying-only")];

/// ENTRYPOINT and CMD, which is the command line of the container.
fn entrypoint(dockerfile: &Path) -> Vec<String> {
    let text = fs::read_to_string(dockerfile).unwrap();
    let words = |instruction: &str| -> Vec<String> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(instruction));
        serde_json::from_str(lines.next().unwrap()).unwrap()
    };
    [words("ENTRYPOINT "), words("CMD ")].concat()
}

/// The services, on an address of this run alone.
pub(super) struct Laptop {
    pub(super) services: Value,
    folder: TempDir,
    running: Vec<Child>,
}

impl Laptop {
    /// Each test has a `number` of its own.
    pub(super) fn new(project: &str, number: u8) -> Self {
        let [.., high, low] = std::process::id().to_be_bytes();
        let host = format!("127.{number}.{high}.{low}");
        // Where the server and the sidecar listen, and the name that the services know the server by.
        let project = ["0.0.0.0:", "127.0.0.1:", "openbao:8200"].iter().fold(project.to_owned(), |project, from| {
            let (_, port) = from.split_once(':').expect("an address");
            project.replace(from, &format!("{host}:{port}"))
        });
        let services = serde_json::from_str::<Value>(&project).unwrap()["services"].take();
        let folder = tempfile::tempdir().unwrap();
        symlink(openbao::program().unwrap(), folder.path().join("bao")).unwrap();
        Self { services, folder, running: Vec::new() }
    }

    fn env(&self, service: &str) -> Vec<(String, String)> {
        let env = self.services[service]["environment"].as_object().into_iter().flatten();
        env.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// Its command line.
    pub(super) fn words(&self, service: &str) -> Vec<Value> {
        ["entrypoint", "command"].map(|it| self.services[service][it].as_array().unwrap().clone()).concat()
    }

    pub(super) fn command(&self, service: &str, words: &[Value]) -> Command {
        let mut words = words.iter().map(|it| it.as_str().unwrap());
        // Found in the PATH of the service, not in that of the test.
        let mut command = Command::new("/usr/bin/env");
        command.arg(words.next().unwrap()).args(words).env_clear().envs(self.env(service));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.folder.path().display())).env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(self.folder.path());
        command
    }

    /// Starts what a service depends on, each until it is as the file wants it.
    pub(super) fn prepare(&mut self, service: &str) {
        let needs = self.services[service]["depends_on"].as_object().cloned().unwrap_or_default();
        for (needed, how) in needs {
            self.prepare(&needed);
            let mut command = self.command(&needed, &self.words(&needed));
            match how["condition"].as_str().unwrap() {
                "service_completed_successfully" => {
                    let output = command.stderr(Stdio::piped()).output().unwrap();
                    assert!(output.status.success(), "{needed}: {}", String::from_utf8_lossy(&output.stderr));
                }
                "service_healthy" => {
                    self.running.push(openbao::spawn_bound(command));
                    self.await_health(&needed);
                }
                other => panic!("{other}"),
            }
        }
    }

    fn await_health(&self, service: &str) {
        let words = self.services[service]["healthcheck"]["test"].as_array().unwrap();
        assert_eq!(words[0], "CMD");
        let end = Instant::now() + Duration::from_secs(30);
        while !self.command(service, &words[1..]).status().unwrap().success() {
            assert!(Instant::now() < end, "{service} does not come to health");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        for process in &mut self.running {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
