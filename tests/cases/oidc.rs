//! A person's login: in the start of an application, in a dry run, at a terminal, and its end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use vault_testkit::browser::{DENY, browse};
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::server::{CallbackMode, Kind, Listener, Server, on};
use vault_testkit::{scratch, unique};

/// A server with a secret and a person's login, and the user's home.
struct Desk<'a> {
    server: &'a Server,
    provider: OpenIdProvider,
    name: String,
    home: PathBuf,
}

fn at_desk(scenario: &str, body: impl FnOnce(&Desk)) {
    on(Kind::OpenBao, scenario, |server| {
        let Some(provider) = OpenIdProvider::start(Settings::default()) else { return };
        let name = unique();
        server.mount_kv("", &name, 2);
        server.write_secret("", &name, "prod", &json!({"PASSWORD": "hunter2-hunter2"}));
        server.write_policy("", &name, &format!("path \"{name}/*\" {{ capabilities = [\"read\"] }}"));
        server.enable_oidc("", &name, &provider, CallbackMode::Client);
        server.write_oidc_role("", &name, "app", &name, CallbackMode::Client, &json!({}));
        let home = scratch(&format!("home-{name}"));
        body(&Desk { server, provider, name, home });
    });
}

impl Desk<'_> {
    /// The program with the settings of a person's start, and these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vault-exec"));
        command.args(arguments).env_clear().env("HOME", &self.home).env("VAULT_K8S_TOKEN_PATH", "/nowhere/token");
        command.env("VAULT_ADDR", self.server.addr(Listener::Plain)).env("VAULT_AUTH_METHOD", "oidc");
        command.env("VAULT_AUTH_MOUNT", &self.name).env("VAULT_ROLE", "app").env("VAULT_OIDC_LISTEN", "localhost:0");
        command.env("VAULT_MOUNT_POINT", &self.name).env("VAULT_PATH", "prod").env("VAULT_LOG_LEVEL", "info");
        command
    }

    /// The application that prints its environment.
    fn application(&self) -> Command {
        self.command(&["/usr/bin/env"])
    }

    /// Starts the application and signs alice in.
    fn log_in(&self) -> Said {
        let mut started = Started::of(self.application());
        browse(&started.url(), "alice", None);
        let said = started.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        said
    }

    /// The token in the one file of the cache.
    fn token(&self) -> String {
        let mut entries = std::fs::read_dir(self.home.join(".cache/vault-client")).unwrap();
        let text = std::fs::read(entries.next().unwrap().unwrap().path()).unwrap();
        let entry: serde_json::Value = serde_json::from_slice(&text).unwrap();
        entry["token"].as_str().unwrap().to_owned()
    }

    fn cached(&self) -> usize {
        std::fs::read_dir(self.home.join(".cache/vault-client")).map_or(0, Iterator::count)
    }

    /// How often a login was begun, and how many of its tokens live.
    fn logins_and_tokens(&self) -> (usize, usize) {
        let asked = self.server.asked(&self.name);
        let begun = asked.iter().filter(|asked| asked.path.ends_with("oidc/auth_url")).count();
        (begun, self.server.live_tokens("", &self.name))
    }

    /// Revokes all tokens of the login.
    fn revoke_tokens(&self) {
        self.server.must("POST", &format!("sys/leases/revoke-prefix/auth/{}", self.name), &json!({}));
    }

    /// A line of the log that names the login.
    fn line(&self, level: &str, said: &str) -> String {
        let (address, name) = (self.server.addr(Listener::Plain), &self.name);
        format!("{level:5} vault-exec: vault at {address}: the login at auth/{name} with role app{said}")
    }
}

/// How the program ended, and all that it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: Vec<String>,
}

struct Started {
    child: Child,
    lines: std::io::Lines<BufReader<File>>,
    heard: Vec<String>,
}

impl Started {
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = File::from(child.stderr.take().unwrap().as_fd().try_clone_to_owned().unwrap());
        Self { child, lines: BufReader::new(stderr).lines(), heard: Vec::new() }
    }

    /// The URL that it asks to open.
    fn url(&mut self) -> String {
        loop {
            let line = self.lines.next().unwrap_or_else(|| panic!("{:?}", self.heard)).unwrap();
            self.heard.push(line.clone());
            if line.starts_with("http") {
                return line.trim().to_owned();
            }
        }
    }

    fn end(mut self) -> Said {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.heard.extend(self.lines.map_while(Result::ok));
        // The time stands before the level.
        let stamped = |line: &String| {
            line.split_once("Z ").filter(|(time, _)| time.starts_with("20")).map(|(_, rest)| rest.to_owned())
        };
        let heard = self.heard.iter().map(|line| stamped(line).unwrap_or_else(|| line.clone())).collect();
        let code = self.child.wait().unwrap().code();
        Said { code, stdout, stderr: heard }
    }
}

/// What the program says of itself alone.
fn run(command: Command) -> Said {
    Started::of(command).end()
}

#[test]
fn an_application_starts_with_what_its_person_may_read_and_the_next_start_asks_nobody() {
    at_desk("an_application_starts_with_what_its_person_may_read", |desk| {
        let start = || {
            let mut command = desk.application();
            command.env("VAULT_LOG_LEVEL", "debug");
            Started::of(command)
        };
        let mut first = start();
        let code = browse(&first.url(), "alice", None).parameter("code").unwrap();
        let (first, again) = (first.end(), start().end());
        let token = desk.token();
        for said in [&first, &again] {
            assert!(said.stdout.contains("PASSWORD=hunter2-hunter2\n"), "{}", said.stdout);
            assert_eq!(said.code, Some(0));
            let text = format!("{}\n{}", said.stdout, said.stderr.join("\n"));
            for secret in [&token, &code] {
                assert!(secret.len() > 20 && !text.contains(secret.as_str()), "{text}");
            }
        }
        assert!(!again.stderr.iter().any(|line| line.starts_with("http")), "{:?}", again.stderr);
        assert_eq!((desk.logins_and_tokens(), desk.cached()), ((1, 1), 1));
    });
}

#[test]
fn a_cached_token_that_was_revoked_is_replaced_in_the_same_start() {
    at_desk("a_cached_token_that_was_revoked", |desk| {
        desk.log_in();
        desk.revoke_tokens();
        let said = desk.log_in();
        assert!(said.stdout.contains("PASSWORD=hunter2-hunter2\n"), "{}", said.stdout);
        assert_eq!((desk.logins_and_tokens(), desk.cached()), ((2, 1), 1));
    });
}

#[test]
fn a_signal_ends_the_wait_for_a_person_and_leaves_nothing() {
    at_desk("a_signal_ends_the_wait_for_a_person", |desk| {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut command = desk.application();
            command.env("VAULT_OIDC_LISTEN", free.to_string());
            let mut started = Started::of(command);
            started.url();
            kill(Pid::from_raw(started.child.id().try_into().unwrap()), signal).unwrap();
            let said = started.end();
            assert_eq!((said.code, said.stdout.as_str()), (Some(128 + signal as i32), ""), "{:?}", said.stderr);
            drop(TcpListener::bind(free).unwrap());
        }
        assert_eq!((desk.logins_and_tokens(), desk.cached()), ((2, 0), 0));
    });
}

#[test]
fn each_way_to_fail_has_its_code_and_says_what_to_do() {
    at_desk("each_way_to_fail_has_its_code", |desk| {
        let with = |name: &str, value: &str| {
            let mut command = desk.application();
            command.env(name, value);
            command
        };
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap().to_string();
        let said = run(with("VAULT_OIDC_LISTEN", &at));
        let told = format!(
            ": nothing can listen at {at}: Address already in use (os error 98); set VAULT_OIDC_LISTEN to another port, such as localhost:8251"
        );
        assert_eq!((said.code, said.stderr.last()), (Some(71), Some(&desk.line("ERROR", &told))));

        let said = run(with("VAULT_OIDC_LISTEN", "0.0.0.0:8250"));
        let told = "ERROR vault-exec: VAULT_OIDC_LISTEN = \"0.0.0.0:8250\": not a place on this machine; write localhost:8250, another port, 127.0.0.1:PORT, [::1]:PORT or none";
        assert_eq!((said.code, said.stderr.last().map(String::as_str)), (Some(78), Some(told)));

        let said = run(with("VAULT_OIDC_LISTEN", "127.0.0.2:0"));
        assert_eq!(said.code, Some(78), "{:?}", said.stderr);
        let line = said.stderr.last().unwrap();
        assert!(line.contains("the role does not allow the redirect URI http://127.0.0.2:"), "{line}");
        assert!(
            line.ends_with(
                "let the role allow it (allowed_redirect_uris), or correct VAULT_ROLE and VAULT_OIDC_LISTEN"
            ),
            "{line}"
        );

        let mut started = Started::of(desk.application());
        browse(&started.url(), DENY, None);
        let said = started.end();
        let told = ": the provider answered access_denied (the user has cancelled); start again, or ask whoever runs the provider";
        assert_eq!((said.code, said.stderr.last()), (Some(77), Some(&desk.line("ERROR", told))));
    });
}

#[test]
fn a_check_asks_nobody_and_uses_what_is_cached() {
    at_desk("a_check_asks_nobody", |desk| {
        let check = || run(desk.command(&["--check", "--", "/usr/bin/env"]));
        let without = check();
        assert!(without.stdout.contains("no token is cached, and a check asks nobody"), "{}", without.stdout);
        assert_eq!(desk.logins_and_tokens(), (0, 0));
        desk.log_in();
        let with = check();
        assert_eq!(with.code, Some(0), "{}", with.stdout);
        assert!(with.stdout.contains("one is cached for "), "{}", with.stdout);
        assert_eq!((desk.logins_and_tokens(), desk.cached()), ((1, 1), 1));
    });
}

#[test]
fn a_logout_ends_the_login_of_the_settings_or_all_of_them_and_none_is_fine() {
    at_desk("a_logout_ends_the_login_of_the_settings", |desk| {
        let log_out = || run(desk.command(&["--logout"]));
        let all = || {
            let mut command = desk.command(&["--logout"]);
            command.env_remove("VAULT_ADDR");
            run(command)
        };
        let folder = desk.home.join(".cache/vault-client");
        let none = |said: Said| (said.code, said.stderr.concat());
        assert_eq!(none(log_out()), (Some(0), desk.line("INFO", ": no token is cached")));
        assert_eq!(none(all()), (Some(0), format!("INFO  vault-exec: no token is cached in {}", folder.display())));
        for log_out in [&log_out as &dyn Fn() -> Said, &all] {
            desk.log_in();
            assert_eq!(none(log_out()), (Some(0), desk.line("INFO", ": the cached token is revoked")));
            assert_eq!((desk.logins_and_tokens().1, desk.cached()), (0, 0));
        }
    });
}

#[test]
fn at_a_terminal_a_person_is_asked_where_there_is_nothing_else_to_log_in_with() {
    at_desk("at_a_terminal_a_person_is_asked", |desk| {
        let start = |stderr: Stdio| {
            let mut command = desk.application();
            command.env_remove("VAULT_AUTH_METHOD").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
            command.spawn().unwrap()
        };
        let mut without = start(Stdio::null());
        assert_eq!(without.wait().unwrap().code(), Some(78));

        let pty = openpty(None, None).unwrap();
        let mut child = start(pty.slave.into());
        let lines = BufReader::new(File::from(pty.master)).lines();
        let url = lines.map_while(Result::ok).find(|line| line.starts_with("http")).unwrap();
        browse(url.trim(), "alice", None);
        let mut stdout = String::new();
        child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!((child.wait().unwrap().code(), stdout.contains("PASSWORD=hunter2-hunter2\n")), (Some(0), true));
        assert!(desk.provider.hits("/auth") > 0);
    });
}
