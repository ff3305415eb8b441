//! The dry run: every step of a run but the last, past a failure wherever that tells more.

mod json;
mod read;
mod report;
mod row;
mod text;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use crate::cli::{Request, Style};
use crate::config::{self, Config, Inspected, Plan, Watch};
use crate::error::{Code, Error};
use crate::process::environ::Environ;
use crate::process::wait::Waiter;
use crate::remedy;
use crate::secrets::{Carrier, Problem, Variable};
use crate::sink::env_file::{EnvFile, Place};
use crate::sink::format::{Content, Format};
use crate::sink::{Payload, Sink};
use crate::steps::{self, Fetched};
use crate::watch::listener::Bound;
use vault_client::login;
use vault_client::{AuthMethod, Revoked, Seconds, Session, TokenInfo, TokenOf};

pub use report::{FIELDS, STEPS};
use report::{Facts, Found, Report};
use row::{refused_row, remark, row};

const DENIED: u8 = Code::Denied as u8;

/// Goes through the steps for `request`, prints the report to standard output and returns the exit code that a real run
/// would have.
///
/// # Errors
///
/// [`Error::Output`] where the report cannot be written, and what keeps a run from beginning at all: a call of the system
/// that fails, a signal. Everything else that goes wrong is in the report.
pub fn run(mut request: Request, style: Style, environ: &Environ) -> Result<u8, Error> {
    // Nothing is written, so a terminal is as good as any other place.
    request.force = true;
    let mut settings = config::in_effect(environ, &request.flags);
    settings.retain(|setting| style.verbose || setting.from.is_some());
    let (steps, variables, warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut report = Report { settings, steps, variables, warnings, would: String::new(), explanation: None };
    report.examine(request, environ)?;
    report.hide_credentials();
    // https://no-color.org
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    steps::print(&if style.json { report.to_json() } else { report.to_text(colours) })?;
    Ok(report.code())
}

impl Report {
    /// Fails only with what ends a dry run as it ends a real one: a signal, a call of the system.
    fn examine(&mut self, mut request: Request, environ: &Environ) -> Result<(), Error> {
        let waiter = steps::guard(environ)?;
        let begun = Instant::now();
        // A run without a target ends here; its settings and its secret can be looked at all the same.
        let named = steps::demand_target(&request, environ);
        let has_target = named.is_ok();
        if let Err(error) = named {
            self.step::<()>("target", begun, Err(error))?;
        }
        let begun = Instant::now();
        let Inspected { plan, env_file, watch, faults } =
            config::inspect(environ, &request.flags, !request.command.is_empty());
        let sound = faults.is_empty();
        let usable = match plan {
            Some(Plan::Passthrough(_)) => "those that count without VAULT_ADDR can be used",
            _ => "all can be used",
        };
        let judged = if sound { Ok(Found::saying(usable)) } else { Err(Error::Settings(faults)) };
        self.step("settings", begun, judged)?;

        let begun = Instant::now();
        let mut sink = None;
        if has_target {
            let hook = std::mem::take(&mut request.hook);
            sink = self.step("target", begun, steps::sink(request, env_file, environ).map(described))?;
            if let Some(watch) = watch {
                let begun = Instant::now();
                self.step("watch", begun, watched(&watch, hook, environ))?;
            }
        }
        let file = if let Some(Sink::EnvFile(file)) = &sink { Some(file.clone()) } else { None };
        let mut content = None;
        match plan {
            None => self.skip("status", "the settings are at fault"),
            Some(Plan::Passthrough(passthrough)) => {
                self.warnings.extend(passthrough.warnings.iter().cloned());
                if let Err(missing) = steps::demand_required(&passthrough) {
                    self.step("environment", Instant::now(), Err::<Found<()>, _>(missing))?;
                }
                self.would = match &file {
                    Some(file) => format!("VAULT_ADDR is unset: would write {file} without variables"),
                    None => "VAULT_ADDR is unset: would run COMMAND with its environment as it is".into(),
                };
                content = file.as_ref().map(|file| file.format.empty());
            }
            Some(Plan::Vault(config)) if sound => content = self.ask_vault(&config, sink, environ, &waiter)?,
            Some(Plan::Vault(config)) => {
                self.skip("status", "the settings are at fault");
                self.step("credential", Instant::now(), config.auth.inspect().map(inspected).map_err(Error::Vault))?;
            }
        }
        // Whatever came before; a real run comes to it after everything else that can fail.
        if let Some(file) = file {
            self.examine_file(&file, content.as_ref())?;
        }
        Ok(())
    }

    /// Returns what the env file would hold, where all is well and there is one.
    fn ask_vault(
        &mut self,
        config: &Config,
        sink: Option<Sink>,
        environ: &Environ,
        waiter: &Arc<Waiter>,
    ) -> Result<Option<Content>, Error> {
        self.warnings.extend(config.warnings.iter().cloned());
        self.warnings.extend(steps::tracer(config.refuse_traced)?);
        let begun = Instant::now();
        let vault = steps::connect(config, begun, waiter);
        let ended = steps::ended_by(waiter);
        let up = self.step("status", begun, vault.status().map(ready).map_err(&ended))?.is_some();
        let credential =
            self.step("credential", Instant::now(), vault.inspect(&*config.auth).map(inspected).map_err(&ended))?;
        if !up || credential.is_none() {
            self.skip("login", if up { "the credential is at fault" } else { "Vault is not ready" });
            return Ok(None);
        }
        if config.vault.namespace.is_some() && vault.is_community() {
            self.warnings.push(
                "VAULT_NAMESPACE has no effect: the server says that it is no enterprise edition, which alone has \
                 namespaces; unset it, or check VAULT_ADDR"
                    .into(),
            );
        }
        if let Some(why) = config.auth.left_to_the_run(&vault) {
            self.skip("login", why);
            self.would = format!("the steps before the login go well; the rest is not tried: {why}");
            return Ok(None);
        }
        let begun = Instant::now();
        let session = match vault.login(&*config.auth).map_err(&ended) {
            // Nothing was asked: what the token is good for shows below.
            Ok(session) if session.token_of() == TokenOf::Caller => Some(session),
            Ok(session) if session.token_of() == TokenOf::Agent => {
                let facts = vec![("method", json!(config.auth.name()))];
                let said = "method none; no token is sent, an agent or a proxy has to add one".to_owned();
                self.note("login", begun, Found { said, facts, value: () });
                Some(session)
            }
            login => self.step("login", begun, login.map(|session| logged_in(config, session)))?,
        };
        let Some(session) = session else {
            self.skip("read", "there is no token to read with");
            return Ok(None);
        };
        self.warnings.extend(steps::too_few_uses(&session, &config.locations));
        let place = self.steps.len();
        let reads = self.read(&config.locations, &session, waiter)?;
        let is_good = session.token_of() != TokenOf::Caller
            || self.judge_token(place, config, &session, reads.refused(), waiter)?;
        if is_good {
            self.explain(config, &reads.failed, &session);
        }
        let content = if reads.fetched.is_empty() {
            None
        } else if reads.failed.is_empty() {
            self.judge(config, &reads.fetched, sink, environ)?
        } else {
            self.judge_some(config, &reads.fetched, sink.as_ref(), environ)?;
            None
        };
        let begun = Instant::now();
        let revoked = session.revoke();
        let facts = vec![("revoked", json!(revoked == Revoked::Yes))];
        match revoked {
            Revoked::Yes => {
                let said = "the login's token is revoked".to_owned();
                self.step("revoke", begun, Ok(Found { said, facts, value: () }))?;
            }
            Revoked::No(kept) => {
                let said = format!("the token is not revoked: {}", remedy::kept(kept));
                self.note("revoke", begun, Found { said, facts, value: () });
            }
        }
        waiter.disarm().map_err(Error::Signal)?;
        Ok(content)
    }

    /// Says whether a token that was handed in may be good, which a real run learns from the read alone. It looks itself
    /// up after the read, which may be its only use, and its step stands at `place`, before the read's. A token that may
    /// not look itself up is good enough.
    fn judge_token(
        &mut self,
        place: usize,
        config: &Config,
        session: &Session,
        refused: Option<u8>,
        waiter: &Waiter,
    ) -> Result<bool, Error> {
        let begun = Instant::now();
        let method = config.auth.name();
        let looked_up = session.look_up().map_err(steps::ended_by(waiter));
        let both_denied = refused == Some(DENIED) && looked_up.as_ref().is_err_and(|it| it.exit_code() == DENIED);
        match looked_up {
            Err(error) if !both_denied && !matches!(error, Error::Signal(_)) => {
                let good = match refused {
                    None => "the read shows that it is good, nothing more is told of it".to_owned(),
                    Some(_) => format!("whether it is good is not told: {error}"),
                };
                let facts = vec![("method", json!(method))];
                self.note("login", begun, Found { said: format!("method {method}; {good}"), facts, value: () });
            }
            looked_up => {
                self.step("login", begun, looked_up.map(|info| of_token(method, &info, ())))?;
            }
        }
        self.move_last_to(place);
        Ok(!both_denied)
    }

    /// The rows of the variables; returns those that could be made, what is wrong with others, and the shell that drops some.
    fn collect(
        &mut self,
        config: &Config,
        fetched: &[Fetched],
        sink: Option<&Sink>,
        environ: &Environ,
    ) -> (Vec<Variable>, Vec<Problem>, Option<String>) {
        let (variables, problems) = steps::collect(fetched, config, sink.map_or(Carrier::Environment, Sink::carrier));
        let shell = sink.and_then(|sink| steps::dropping_shell(sink, &variables, environ));
        self.variables = variables.iter().map(|it| row(it, sink, shell.as_deref(), config, environ)).collect();
        self.variables.extend(problems.iter().map(refused_row));
        self.warnings.extend(sink.and_then(|sink| steps::names_lost(sink, &variables, environ)));
        (variables, problems, shell)
    }

    /// What can be said of the variables where a path could not be read: not what is missing, nor what all come to.
    fn judge_some(
        &mut self,
        config: &Config,
        fetched: &[Fetched],
        sink: Option<&Sink>,
        environ: &Environ,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let (variables, problems, _) = self.collect(config, fetched, sink, environ);
        if problems.is_empty() {
            let (count, s) = (variables.len(), if variables.len() == 1 { "" } else { "s" });
            let (read, all) = (fetched.len(), config.locations.count());
            let said = format!("{count} variable{s} from {read} of {all} paths");
            self.note("secrets", begun, Found::saying(said));
        } else {
            self.step::<()>("secrets", begun, Err(steps::refused(fetched, &problems)))?;
        }
        Ok(())
    }

    /// What the variables come to, one by one and as a whole. Returns what the env file would hold, where there is one and all
    /// is well.
    fn judge(
        &mut self,
        config: &Config,
        fetched: &[Fetched],
        sink: Option<Sink>,
        environ: &Environ,
    ) -> Result<Option<Content>, Error> {
        let begun = Instant::now();
        let (variables, problems, shell) = self.collect(config, fetched, sink.as_ref(), environ);
        if let Some(Sink::Command(_)) = sink
            && let Err(left) = steps::refuse_references(environ, &variables, config)
        {
            self.step("environment", begun, Err::<Found<()>, _>(left))?;
        }
        let (would, made) = (sink.as_ref().map(would), variables.len());
        let (variables, payload) = match sink {
            Some(sink) => {
                let (variables, payload) = steps::fit((variables, problems), config, sink, environ.clone());
                (variables, payload.map(Some))
            }
            // Without a target there is nothing that they have to fit.
            None if problems.is_empty() => (variables, Ok(None)),
            None => (variables, Err(problems)),
        };
        let (count, s) = (variables.len(), if variables.len() == 1 { "" } else { "s" });
        self.would = would.map(|would| would(&format!("{count} variable{s}"))).unwrap_or_default();
        let (content, judged) = match payload {
            Err(problems) => (None, Err(steps::refused(fetched, &problems))),
            Ok(payload) => {
                let content = if let Some(Payload::File(_, content)) = payload { Some(content) } else { None };
                let facts = vec![("variables", json!(count))];
                let said = format!("{count} variable{s}{}", remark(&variables, made - count, shell.as_deref()));
                (content, Ok(Found { said, facts, value: () }))
            }
        };
        self.step("secrets", begun, judged)?;
        Ok(content)
    }

    fn examine_file(&mut self, file: &EnvFile, content: Option<&Content>) -> Result<(), Error> {
        let begun = Instant::now();
        let ready = file.check(content).map(|()| Found {
            said: format!("{file} can be written"),
            facts: if let Place::File(_) = file.place { vec![("path", json!(file.to_string()))] } else { Facts::new() },
            value: (),
        });
        self.step("file", begun, ready.map_err(Error::EnvFile))?;
        Ok(())
    }
}

fn described(sink: Sink) -> Found<Sink> {
    let (said, facts) = match &sink {
        Sink::Command(command) => {
            let program = command.program();
            (format!("COMMAND is {program}"), vec![("kind", json!("command")), ("command", json!(program))])
        }
        Sink::EnvFile(file) => {
            let kind = if file.format == Format::Dir { "folder" } else { "file" };
            let place = match file.place {
                Place::File(_) => vec![("kind", json!(kind)), ("path", json!(file.to_string()))],
                Place::Stdout => vec![("kind", json!("stdout"))],
            };
            let facts = [place, vec![("format", json!(file.format.name()))]].concat();
            (format!("env file {file}, format {}", file.format), facts)
        }
    };
    Found { said, facts, value: sink }
}

/// What a watch would do beside the first write: COMMAND is found, and the listener has its place for a moment.
fn watched(watch: &Watch, hook: Vec<OsString>, environ: &Environ) -> Result<Found<()>, Error> {
    let hook = steps::hook(hook, environ)?.map(|hook| hook.program());
    watch.listen.as_ref().map(Bound::new).transpose()?;
    let every = watch.every.length();
    let [after, at] = [
        hook.as_ref().map(|hook| format!("; {hook} runs after changes")),
        watch.listen.map(|listen| format!("; health and metrics at {listen}")),
    ]
    .map(Option::unwrap_or_default);
    let facts = vec![
        ("interval_seconds", json!(every.as_secs_f64())),
        ("command", json!(hook)),
        ("listen", json!(watch.listen.map(|listen| listen.to_string()))),
    ];
    Ok(Found { said: format!("kept current every {}{after}{at}", Seconds(every)), facts, value: () })
}

/// A server that is ready, by its version.
fn ready(version: String) -> Found<()> {
    // An operator can keep a server from telling it.
    let version = Some(version).filter(|version| !version.is_empty());
    let told = version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let said = format!("initialised and unsealed{told}");
    Found { said, facts: vec![("server_version", json!(version))], value: () }
}

/// What a run would do with so many variables.
fn would(sink: &Sink) -> impl Fn(&str) -> String + use<> {
    let (before, after) = match sink {
        Sink::Command(command) => (format!("would start {} with ", command.program()), String::new()),
        Sink::EnvFile(file) => ("would write ".to_owned(), format!(" to {file}")),
    };
    move |variables| format!("{before}{variables}{after}")
}

/// A credential, by what it says of itself.
fn inspected(credential: login::Inspected) -> Found<()> {
    let facts = vec![
        ("path", json!(credential.path)),
        ("audience", json!(credential.audience)),
        ("subject", json!(credential.subject)),
        ("expires_in_seconds", json!(credential.expires_in)),
    ];
    Found { said: credential.said, facts, value: () }
}

/// The session of a login. Of the token of an answer that was refused as a whole nothing is known.
fn logged_in(config: &Config, session: Session) -> Found<Session> {
    let (info, name) = (session.info.clone(), config.auth.name());
    let found = of_token(name, &info, session);
    // How many it has is not told before it is used.
    let spent =
        if name == AuthMethod::AppRole.name() { "; as any login, this one spent a use of the secret id" } else { "" };
    Found { said: found.said + spent, ..found }
}

/// What is known of a token.
fn of_token<T>(method: &'static str, info: &TokenInfo, value: T) -> Found<T> {
    let ttl = Some(info.lease_duration.as_secs()).filter(|seconds| *seconds > 0);
    let facts = vec![("method", json!(method)), ("policies", json!(info.policies)), ("ttl_seconds", json!(ttl))];
    Found { said: format!("method {method}; {info}"), facts, value }
}
