//! A scenario: a secret, a login, settings; then the built program in front of the observed application.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_testkit::certs::certs;
use vault_testkit::jwt::Jwt;
use vault_testkit::raw::{self, Raw};
use vault_testkit::server::{Listener, Server};
use vault_testkit::unique;

use super::child_report::ChildReport;
use super::launch::{self, Inherit};
use super::outcome::Outcome;
use super::started::Started;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vault-exec");

/// The program of `child.rs`.
pub(crate) fn child_program() -> PathBuf {
    let program = Path::new(PROGRAM).with_file_name("examples").join("child");
    // With `--test it`, cargo builds no examples.
    assert!(program.is_file(), "{} is missing: `cargo build --example child` makes it", program.display());
    program
}

/// What to run and how. Texts given to it may hold `{addr}`, `{name}`, `{path}` and `{folder}`.
pub(crate) struct Scenario<'a> {
    pub(super) server: Option<&'a Server>,
    /// The scripted one instead.
    pub(super) raw: Option<Raw>,
    /// The name of this scenario's policy and role, and the first part of its KV path.
    pub(crate) name: String,
    /// Gone when the scenario is dropped.
    folder: TempDir,
    pub(super) namespace: String,
    addr: String,
    env: BTreeMap<String, OsString>,
    program: PathBuf,
    options: Vec<OsString>,
    /// `None`: no COMMAND at all.
    command: Option<Vec<OsString>>,
    /// What COMMAND is when it is not the observed application.
    instead: Option<Vec<OsString>>,
    inherited: Vec<Inherit>,
    /// Values that may be seen in no log line.
    secrets: Vec<String>,
    /// Whether the server is asked around each run what it has and what it was asked.
    pub(super) observed: bool,
}

impl<'a> Scenario<'a> {
    /// With `VAULT_ADDR` and `VAULT_PATH` set and a policy to read that path, but without a login.
    pub(crate) fn new(server: &'a Server) -> Self {
        Self::prepare(Some(server), "")
    }

    /// The same in a namespace of its own, which `VAULT_NAMESPACE` names.
    pub(crate) fn in_namespace(server: &'a Server) -> Self {
        let namespace = unique();
        server.create_namespace(&namespace);
        Self::prepare(Some(server), &namespace).env("VAULT_NAMESPACE", &namespace)
    }

    /// Without any server and any setting.
    pub(crate) fn offline() -> Self {
        Self::prepare(None, "")
    }

    /// Against a scripted server, with a login.
    pub(crate) fn against(raw: &Raw) -> Self {
        Self { raw: Some(raw.clone()), ..Self::offline() }
            .at(&raw.addr())
            .env("VAULT_PATH", "shop/app")
            .env("VAULT_ROLE", "shop")
            .env("VAULT_RETRY_DELAY", "0")
            .jwt(&Jwt::default())
            .hides(raw::TOKEN)
            .hides("a-raw-secret")
    }

    fn prepare(server: Option<&'a Server>, namespace: &str) -> Self {
        let scenario = Self {
            server,
            raw: None,
            name: unique(),
            folder: tempfile::tempdir().expect("a folder"),
            namespace: namespace.to_owned(),
            addr: server.map_or_else(String::new, |server| server.addr(Listener::Plain)),
            env: BTreeMap::new(),
            program: PROGRAM.into(),
            options: Vec::new(),
            command: Some(Vec::new()),
            instead: None,
            inherited: Vec::new(),
            secrets: Vec::new(),
            observed: true,
        };
        let Some(server) = server else { return scenario };
        let rules = format!("path \"kv/data/{}/*\" {{ capabilities = [\"read\"] }}", scenario.name);
        server.write_policy(namespace, &scenario.name, &rules);
        scenario.env("VAULT_ADDR", "{addr}").env("VAULT_PATH", "{path}")
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server.expect("a scenario with a server")
    }

    /// The KV path that `VAULT_PATH` names.
    pub(crate) fn path(&self) -> String {
        format!("{}/app", self.name)
    }

    /// A file in this scenario's folder, there or not.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a version of the secret.
    pub(crate) fn secret(self, data: &Value) -> Self {
        self.secret_at("app", data)
    }

    /// Writes a version of another secret that the scenario's policy allows: `{name}/NAME`.
    pub(crate) fn secret_at(mut self, name: &str, data: &Value) -> Self {
        self.server().write_secret(&self.namespace, "kv", &format!("{}/{name}", self.name), data);
        let texts = data.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        // Shorter ones are in every line by accident.
        self.secrets.extend(texts.filter(|text| text.len() >= 6).map(str::to_owned));
        self
    }

    /// A login with a pod's JWT.
    pub(crate) fn kubernetes(self) -> Self {
        self.role(&json!({})).jwt(&Jwt::default()).env("VAULT_ROLE", "{name}")
    }

    /// Writes the role, with these fields changed.
    pub(crate) fn role(self, changes: &Value) -> Self {
        self.server().write_kubernetes_role(&self.namespace, "kubernetes", &self.name, &self.name, changes);
        self
    }

    /// Writes the JWT file.
    pub(crate) fn jwt(self, jwt: &Jwt) -> Self {
        self.jwt_text(&jwt.encode())
    }

    /// Writes anything in place of a JWT.
    pub(crate) fn jwt_text(mut self, text: &str) -> Self {
        fs::write(self.file("jwt"), text).expect("the JWT is written");
        self.secrets.extend(Some(text.trim().to_owned()).filter(|text| text.len() >= 6));
        self.env("VAULT_K8S_TOKEN_PATH", "{folder}/jwt")
    }

    /// A token handed in, with these fields of `auth/token/create` changed.
    pub(crate) fn token(mut self, changes: &Value) -> Self {
        let mut fields = json!({"policies": [self.name], "ttl": "10m"});
        for (field, value) in changes.as_object().into_iter().flatten() {
            fields[field] = value.clone();
        }
        let token = self.server().create_token(&self.namespace, &fields);
        self.secrets.push(token.clone());
        self.env("VAULT_TOKEN", &token)
    }

    /// Goes to a TLS listener and trusts the test CA.
    pub(crate) fn tls(mut self, listener: Listener) -> Self {
        self.addr = self.server().addr(listener);
        let ca = &certs().ca.certificate_file;
        self.env("VAULT_CACERT", ca)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Goes to this address, a proxy's or a stand-in's.
    pub(crate) fn at(mut self, addr: &str) -> Self {
        addr.clone_into(&mut self.addr);
        self.env("VAULT_ADDR", "{addr}")
    }

    /// The server is left alone around each run, because it may be away or runs may be many; who counts tokens does
    /// it by hand.
    pub(crate) fn unobserved(mut self) -> Self {
        self.observed = false;
        self
    }

    /// What the program inherits beside arguments and environment.
    pub(crate) fn inherit(mut self, inherited: impl IntoIterator<Item = Inherit>) -> Self {
        self.inherited.extend(inherited);
        self
    }

    /// A text that no log line may hold.
    pub(crate) fn hides(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// Another COMMAND than the observed application.
    pub(crate) fn command<T: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.instead = Some(command.into_iter().map(|word| word.as_ref().to_owned()).collect());
        self
    }

    /// A COMMAND behind options that make it a hook.
    pub(crate) fn with_command<T: AsRef<OsStr>>(mut self, command: impl IntoIterator<Item = T>) -> Self {
        self.command = Some(Vec::new());
        self.command(command)
    }

    /// Another program in the place of the built one, a copy of it for instance.
    pub(crate) fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// What stands before COMMAND.
    pub(crate) fn options<T: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = T>) -> Self {
        self.options.extend(options.into_iter().map(|option| option.as_ref().to_owned()));
        self
    }

    /// These options in the place of all others.
    pub(crate) fn only<const N: usize>(mut self, options: [&str; N]) -> Self {
        self.options = options.map(OsString::from).to_vec();
        self
    }

    /// What stands before these options.
    pub(crate) fn first<T: AsRef<OsStr>>(mut self, options: impl IntoIterator<Item = T>) -> Self {
        self.options.splice(0..0, options.into_iter().map(|option| option.as_ref().to_owned()));
        self
    }

    /// Further arguments for the observed application.
    pub(crate) fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        self.command.get_or_insert_default().extend(arguments);
        self
    }

    pub(crate) fn no_command(mut self) -> Self {
        self.command = None;
        self
    }

    /// Fills in the placeholders.
    pub(crate) fn expand(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        [("{addr}", &self.addr), ("{name}", &self.name), ("{path}", &self.path()), ("{folder}", &folder)]
            .iter()
            .fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }

    fn expand_os(&self, text: &OsStr) -> OsString {
        text.to_str().map_or_else(|| text.to_owned(), |text| self.expand(text).into())
    }

    /// The environment that the program is given.
    pub(crate) fn given_env(&self) -> BTreeMap<String, OsString> {
        self.env.iter().map(|(name, value)| (name.clone(), self.expand_os(value))).collect()
    }

    /// A further text that no log line may hold.
    pub(crate) fn hidden(mut self, text: &str) -> Self {
        self.secrets.push(text.to_owned());
        self
    }

    /// Whether what stands on standard output is the application's, or the env file itself.
    pub(super) fn prints_secrets(&self) -> bool {
        let words = self.options.iter().chain(self.env.get("VAULT_ENV_FILE"));
        self.instead.is_some()
            || words.filter_map(|it| it.to_str()).flat_map(|it| it.split([' ', '='])).any(|it| it == "-")
    }

    /// What no log line may hold.
    pub(crate) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    pub(super) fn report(&self) -> PathBuf {
        self.file("report")
    }

    /// The observed application and its arguments.
    fn application(&self) -> Vec<OsString> {
        let Some(arguments) = &self.command else {
            return Vec::new();
        };
        if let Some(command) = &self.instead {
            return command.iter().map(|it| self.expand_os(it)).collect();
        }
        let report = format!("--report={}", self.report().display());
        let fixed = [child_program().into_os_string(), report.into()];
        fixed.into_iter().chain(arguments.iter().map(|it| self.expand_os(it))).collect()
    }

    fn process(&self, program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = OsString>) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.given_env());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        launch::apply(&mut command, &self.inherited);
        command
    }

    /// One of many runs at once, with these arguments behind the options, which logs into this file.
    pub(super) fn one_of_many(&self, arguments: impl IntoIterator<Item = OsString>, log: &Path) -> Command {
        let options = self.options.iter().map(|it| self.expand_os(it));
        let mut command = self.process(&self.program, options.chain(arguments));
        command.stdout(Stdio::null()).stderr(fs::File::create(log).expect("a file is created"));
        command
    }

    /// What the application reports when nothing stands before it.
    pub(crate) fn baseline(&self) -> ChildReport {
        let application = self.application();
        let mut command = self.process(&application[0], application[1..].iter().cloned());
        assert!(command.output().expect("the child runs").status.code().is_some());
        let report = fs::read(self.report()).expect("the child reports");
        fs::remove_file(self.report()).expect("a report can be removed");
        ChildReport::parse(&report)
    }

    /// Starts the program; tests that send signals do it between this and [`Started::finish`].
    pub(crate) fn start(&self) -> Started<'_> {
        let tokens_before = self.live_tokens();
        let separator = self.command.is_some().then(|| OsString::from("--"));
        let options = self.options.iter().map(|it| self.expand_os(it));
        let arguments = options.chain(separator).chain(self.application());
        // Before the start, so that no time of the program's is left out.
        let begin = Instant::now();
        let process = self.process(&self.program, arguments).spawn().expect("the program starts");
        Started::new(self, process, begin, tokens_before)
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(&self) -> Outcome<'_> {
        self.start().finish()
    }

    /// What the scripted server was asked, where there is one.
    pub(super) fn raw_requests(&self) -> Option<Vec<String>> {
        self.raw.as_ref().map(Raw::requests)
    }

    pub(super) fn live_tokens(&self) -> usize {
        self.server.filter(|_| self.observed).map_or(0, |server| server.live_tokens(&self.namespace, &self.name))
    }
}
