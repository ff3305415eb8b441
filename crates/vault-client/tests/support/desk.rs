//! A person's desk: a program that asks for a login, a provider to log in at, and the user's cache.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};
use vault_client::{Listen, Oidc};
use vault_testkit::browser::{Visited, browse};
use vault_testkit::openid::{OpenIdProvider, Settings};
use vault_testkit::scratch;
use vault_testkit::server::{CallbackMode, Kind, Listener, Server, on};

use super::{Corner, example};

/// What a test has to itself: a corner of the server with the auth mount of its name, and the role `app` there.
pub(crate) struct Desk<'a> {
    pub corner: Corner<'a>,
    pub provider: OpenIdProvider,
    /// Where the user's caches are.
    pub caches: PathBuf,
}

/// Runs `body` at a desk with the shared real server, with a role of this mode and these fields changed.
pub(crate) fn at_desk(scenario: &str, mode: CallbackMode, role: &Value, body: impl FnOnce(&Desk)) {
    on(Kind::OpenBao, scenario, |server| {
        if let Some(desk) = Desk::of(server, mode, role, None) {
            body(&desk);
        }
    });
}

impl<'a> Desk<'a> {
    /// One at `server`; `None` where there is no provider. Where `user` is one, nobody has to sign in.
    pub fn of(server: &'a Server, mode: CallbackMode, role: &Value, user: Option<&str>) -> Option<Self> {
        let corner = Corner::of(server, &json!({}));
        let name = &corner.name;
        let redirect_uri = server.direct_callback("", name);
        let settings = Settings { redirect_uris: &[&redirect_uri], auto_login: user };
        let provider = OpenIdProvider::start(settings)?;
        server.enable_oidc("", name, &provider, mode);
        server.write_oidc_role("", name, "app", name, mode, role);
        server.write_secret("", name, "prod", &json!({"username": "shop", "password": "hunter2-hunter2"}));
        let caches = scratch(&format!("caches-{name}"));
        Some(Self { corner, provider, caches })
    }

    /// The login of its role, with a cache, a listener on any port and no browser.
    pub fn login(&self) -> Oidc {
        Oidc {
            mount: self.corner.name.clone(),
            role: Some("app".into()),
            listen: Listen::parse("localhost:0").expect("a place"),
            browser: false,
            interactive: true,
            cache: Some(self.cache()),
            revoke: true,
        }
    }

    /// The folder of cached tokens.
    pub fn cache(&self) -> PathBuf {
        self.caches.join("vault-client")
    }

    /// The files in it.
    pub fn cached(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.cache()).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The token in the one file there.
    pub fn cached_token(&self) -> String {
        let files = self.cached();
        let [file] = &files[..] else { panic!("{files:?}") };
        let entry: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
        entry["token"].as_str().expect("a token").to_owned()
    }

    /// The example `oidc`, which logs in with the role and reads the secret.
    pub fn command(&self, role: &str, listen: &str) -> Command {
        self.command_at(&self.corner.server.addr(Listener::Plain), role, listen)
    }

    /// The same at another address of the server.
    pub fn command_at(&self, address: &str, role: &str, listen: &str) -> Command {
        let name = &self.corner.name;
        let mut command = Command::new(example("oidc"));
        command.args([address, role, name, "prod", name, listen]).env_clear();
        command.env("XDG_CACHE_HOME", &self.caches);
        command
    }

    /// The same, started.
    pub fn start(&self) -> Started {
        Started::of(self.command("app", "localhost:0"))
    }

    /// How often a login was begun, and how many tokens of the role live.
    pub fn logins_and_tokens(&self) -> (usize, usize) {
        (self.corner.count("oidc/auth_url"), self.corner.live_tokens())
    }

    /// A browser that writes the URL into a file of its own in the folder.
    pub fn browser(&self) -> (PathBuf, PathBuf) {
        let folder = self.caches.join("browser");
        std::fs::create_dir_all(&folder).expect("a folder");
        let program = folder.join("browser");
        let script = format!("#!/bin/sh\necho \"$1\" > {0}/$$.new && mv {0}/$$.new {0}/$$.url\n", folder.display());
        std::fs::write(&program, script).expect("a script");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        (program, folder)
    }
}

/// The URLs that a browser was opened with.
pub(crate) fn opened(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let urls = entries.filter(|path| path.extension().is_some_and(|it| it == "url"));
    urls.map(|path| std::fs::read_to_string(path).expect("a URL").trim().to_owned()).collect()
}

/// How a program ended, and all that it said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: Vec<String>,
}

/// A program that runs.
pub(crate) struct Started {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
    reader: JoinHandle<()>,
}

impl Started {
    pub fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (said, lines) = channel();
        let reader = thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(said.send(line)));
        });
        Self { child, lines, heard: Vec::new(), reader }
    }

    /// The next line of standard error that `is` what is looked for.
    pub fn line(&mut self, is: impl Fn(&str) -> bool) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) else {
                panic!("it said {:?}", self.heard);
            };
            self.heard.push(line.clone());
            if is(&line) {
                return line;
            }
        }
    }

    /// The URL that it asks to open.
    pub fn url(&mut self) -> String {
        self.line(|line| line.starts_with("http"))
    }

    /// Signs `user` in where it asks to.
    pub fn sign_in(&mut self, user: &str) -> Visited {
        browse(&self.url(), user, None)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said until its end.
    pub fn end(mut self) -> Said {
        let mut stdout = String::new();
        self.child.stdout.take().expect("a pipe").read_to_string(&mut stdout).expect("text");
        let code = self.child.wait().expect("it ends").code();
        self.reader.join().expect("no panic");
        self.heard.extend(self.lines.iter());
        Said { code, stdout, stderr: self.heard }
    }
}
