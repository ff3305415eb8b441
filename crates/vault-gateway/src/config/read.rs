//! From the text of the file to the configuration, or to all that is wrong with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value};
use vault_client::text::{escaped, os};

use super::fault::{Bad, Fault, Faults, Found};
use super::filter::filter;
use super::lines::Lines;
use super::login::Environment;
use super::rule::Known;
use super::value::quoted;
use super::walk::Section;
use super::{
    AuditTo, CacheLimits, Config, Issuer, SchemaRule, ServiceLimits, Structure, TlsFiles, issuer, rule, tenant, value,
};
use crate::rules::{Rule, Rules};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A longer file is no configuration, and one without an end is not read.
const MOST_BYTES: u64 = 4 << 20;

/// More requests or connections than any machine has.
const MANY: u64 = 1_000_000;

impl Config {
    /// Reads this file. What it does not say of logins comes from the environment.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, or that it is missing or cannot be read.
    pub fn read(file: &Path) -> Result<Self, Faults> {
        Self::read_with(file, &|_, _| Vec::new())
    }

    /// The same; `further` looks for more faults in what could be read, and knows whether there is none so far. Then one
    /// report has both kinds. Where there is a fault, what it is about is left out of what `further` sees.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, or that it is missing or cannot be read.
    pub fn read_with(file: &Path, further: &dyn Fn(&Self, bool) -> Vec<Fault>) -> Result<Self, Faults> {
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|opened| opened.take(MOST_BYTES + 1).read_to_end(&mut bytes));
        let length = read.map_err(|error| unreadable(file, error.kind()))?;
        let wrong = |cause: String, remedy| Faults::from(Bad::new(cause, remedy).at(&os(file), None));
        if u64::try_from(length).unwrap_or(u64::MAX) > MOST_BYTES {
            let cause = format!("the configuration has more than {MOST_BYTES} bytes");
            return Err(wrong(cause, "name a shorter file with --config"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| wrong("the configuration is not UTF-8 text".to_owned(), "write it as UTF-8"))?;
        let text = Text { content: &text, file: Some(os(file)), folder: file.parent().unwrap_or(Path::new("")) };
        text.read(&of_process, further)
    }

    /// Reads this text. Relative names of files count from `folder`. What it does not say of logins comes from the
    /// environment.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Faults> {
        Self::parse_with(text, folder, &of_process)
    }

    /// The same with another environment: `variable` gives the value of the variable of this name.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn parse_with(text: &str, folder: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        Text { content: text, file: None, folder }.read(variable, &|_, _| Vec::new())
    }
}

fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A text, and where it is from.
struct Text<'a> {
    content: &'a str,
    /// Its file, as messages name it.
    file: Option<String>,
    /// The folder that relative names count from.
    folder: &'a Path,
}

impl Text<'_> {
    fn read(
        self,
        variable: &dyn Fn(&str) -> Option<String>,
        further: &dyn Fn(&Config, bool) -> Vec<Fault>,
    ) -> Result<Config, Faults> {
        let table: Table = self.content.parse().map_err(|error| self.no_toml(&error))?;
        let (lines, found) = (Lines::of(self.content), Found::default());
        let config = whole(Section::top(table, &lines, &found), self.folder, &Environment::of(variable), &found);
        let mut faults = found.faults();
        for fault in &mut faults {
            fault.file.clone_from(&self.file);
        }
        faults.extend(further(&config, faults.is_empty()));
        Faults::of(faults).map_or(Ok(config), Err)
    }

    /// The text is no TOML: where, and what the parser says, in one line.
    fn no_toml(&self, error: &toml::de::Error) -> Faults {
        let before = error.span().and_then(|span| self.content.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let said = escaped(&error.message().replace('\n', ", "));
        let bad = Bad::new(format!("the text is no TOML: {said}"), "repair it; the syntax is at https://toml.io");
        let fault = bad.at(&format!("column {column}"), Some(line));
        Fault { file: self.file.clone(), ..fault }.into()
    }
}

fn unreadable(file: &Path, kind: ErrorKind) -> Faults {
    let bad = match kind {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            Bad::missing("the configuration file is missing", "put it there, or name another one with --config")
        }
        ErrorKind::IsADirectory => Bad::new("the configuration is a folder", "name a file with --config"),
        kind => Bad::new(format!("the configuration file cannot be read: {kind}"), "let this user read it"),
    };
    bad.at(&os(file), None).into()
}

/// All of the file that can be used. What cannot is recorded, and left out, or has its default.
fn whole(mut top: Section, folder: &Path, environment: &Environment, found: &Found) -> Config {
    let listen = top.required("listen", "write an address with a port, 127.0.0.1:8443", value::address);
    let ops = top.or("ops", Some(SocketAddr::from(([127, 0, 0, 1], 9090))), ops);
    let audit = top.or("audit", AuditTo::Stdout, audit);
    let log = top.or("log", "info".to_owned(), filter);
    let plain = top.or("plain", false, value::flag);
    let drain = top.or("drain", 30 * SECOND, value::duration(Duration::ZERO, DAY));
    let may_be_plain = plain || top.has("tls");
    let tls = tls(&mut top, folder);
    listeners(&top, listen, ops, may_be_plain);

    if plain && top.was_set("tls") {
        top.fault("plain", Bad::new("has no effect beside [tls]", "remove one of the two"));
    }

    let (names, tenants) = tenants(&mut top, folder, environment, found);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mounts: Vec<_> = tenants.iter().filter_map(tenant::Placed::mount).collect();
    let (urls, issuers) = issuers(&mut top, folder, &names);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let known = Known { tenants: &names, issuers: &urls, mounts: &mounts };
    let rules = rules(&mut top, &known);
    let schemas = top.sections("schema", "file");
    let schemas: Vec<SchemaRule> =
        schemas.into_iter().filter_map(|section| rule::schema_rule(section, &known, folder)).collect();
    let cache = cache(top.section("cache"));
    let limits = limits(top.section("limits"));
    top.finish();
    Config {
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        ops,
        audit,
        log,
        drain,
        tls,
        issuers: issuers.into_iter().map(Arc::new).collect(),
        tenants: tenants.into_iter().filter_map(tenant::Placed::whole).map(Arc::new).collect(),
        rules: Rules::new(rules),
        schemas,
        structure: Structure::default(),
        cache,
        limits,
    }
}

fn ops(value: Value) -> Result<Option<SocketAddr>, Bad> {
    if value.as_str() == Some("off") { Ok(None) } else { value::address(value).map(Some) }
}

fn audit(value: Value) -> Result<AuditTo, Bad> {
    let text = value::filled(value)?;
    let path = PathBuf::from(&text);
    match text.as_str() {
        "stdout" => Ok(AuditTo::Stdout),
        _ if path.is_absolute() => appendable(&path).map(|()| AuditTo::File(path)),
        _ => Err(Bad::new(
            format!("{} is neither stdout nor an absolute path", quoted(&text)),
            "write stdout, or a path that begins with /",
        )),
    }
}

/// Whether a file can be made there.
fn appendable(path: &Path) -> Result<(), Bad> {
    if path.is_dir() {
        return Err(Bad::new(format!("{} is a folder", os(path)), "name a file"));
    }
    let folder = path.parent().unwrap_or(path);
    match fs::metadata(folder).map_err(|error| error.kind()) {
        Ok(found) if !found.is_dir() => Err(Bad::new(format!("{} is no folder", os(folder)), "name another file")),
        Err(ErrorKind::NotFound) => {
            Err(Bad::missing(format!("the folder {} is missing", os(folder)), "make it, or name another file"))
        }
        // Whatever else may be wrong shows when the file is opened.
        _ => Ok(()),
    }
}

fn tls(top: &mut Section, folder: &Path) -> Option<TlsFiles> {
    let is_there = top.has("tls");
    let mut section = top.section("tls");
    if !is_there {
        return None;
    }
    let cert = section.required("cert", "name the file with the certificates, PEM", value::file(folder));
    let key = section.required("key", "name the file with the key of the certificate, PEM", value::file(folder));
    let client_ca = section.optional("client_ca", value::file(folder));
    section.finish();
    Some(TlsFiles { cert: cert?, key: key?, client_ca })
}

/// Callers send tokens: only a mesh may see them pass.
fn listeners(top: &Section, listen: Option<SocketAddr>, ops: Option<SocketAddr>, may_be_plain: bool) {
    let Some(listen) = listen else { return };
    if !may_be_plain && !listen.ip().is_loopback() {
        let cause = "serves other machines without [tls], so that tokens could be read on the way";
        let remedy = "add [tls], or write plain = true where a mesh ends TLS";
        top.fault("listen", Bad::new(cause, remedy));
    }
    if ops == Some(listen) && listen.port() != 0 {
        top.fault("ops", Bad::new("is the same address as listen", "write another port, or off"));
    }
}

/// The names that the file gives to tenants, and the tenants that can be used.
fn tenants(
    top: &mut Section,
    folder: &Path,
    environment: &Environment,
    found: &Found,
) -> (Vec<String>, Vec<tenant::Placed>) {
    let before = top.faults();
    let sections = top.sections("tenant", "name");
    if sections.is_empty() && top.faults() == before {
        top.fault("tenant", Bad::new("is missing", "add [[tenant]] with its name and mount"));
    }
    let names = unique(&sections, "name", |_| None);
    let tenants: Vec<_> = sections.into_iter().filter_map(|section| tenant::tenant(section, folder)).collect();
    tenant::apart(&tenants, environment, found);
    (names, tenants)
}

/// The URLs that the file gives to issuers, and the issuers that can be used.
fn issuers(top: &mut Section, folder: &Path, tenants: &[&str]) -> (Vec<String>, Vec<Issuer>) {
    let before = top.faults();
    let sections = top.sections("issuer", "url");
    if sections.is_empty() && top.faults() == before {
        top.fault("issuer", Bad::new("is missing", "add [[issuer]] with its url and audience"));
    }
    let urls = unique(&sections, "url", |_| None);
    let is_one_of_many = sections.len() > 1;
    let read = |section| issuer::issuer(section, tenants, folder, is_one_of_many);
    (urls, sections.into_iter().filter_map(read).collect())
}

fn rules(top: &mut Section, known: &Known) -> Vec<Rule> {
    let sections = top.sections("rule", "name");
    unique(&sections, "name", |n| Some(format!("rule {n}")));
    let numbered = sections.into_iter().enumerate();
    numbered.filter_map(|(n, section)| rule::rule(section, n + 1, known)).collect()
}

/// The texts of `key` in all sections, or what `default` has for a section's number, from 1; one that is there twice is a
/// fault.
fn unique(sections: &[Section], key: &str, default: impl Fn(usize) -> Option<String>) -> Vec<String> {
    let mut texts = BTreeSet::new();
    for (n, section) in sections.iter().enumerate() {
        let text = section.peek(key).map(str::to_owned).or_else(|| default(n + 1));
        if text.is_some_and(|text| !texts.insert(text)) {
            section.fault(key, Bad::new("is there twice", "write another one"));
        }
    }
    texts.into_iter().collect()
}

fn cache(mut section: Section) -> CacheLimits {
    let time = || value::duration(Duration::ZERO, 365 * DAY);
    let limits = CacheLimits {
        ttl: section.or("ttl", 60 * SECOND, time()),
        max_bytes: section.or("max_bytes", 67_108_864, value::number(1, 1 << 40)),
        negative_ttl: section.or("negative_ttl", 2 * SECOND, time()),
        stale_if_error: section.or("stale_if_error", Duration::ZERO, time()),
    };
    section.finish();
    limits
}

fn limits(mut section: Section) -> ServiceLimits {
    let least = Duration::from_millis(1);
    let before = section.faults();
    let rate = section.or("rate", 0, value::number(0, MANY));
    let is_off = rate == 0 && section.faults() == before;
    let limits = ServiceLimits {
        rate,
        burst: section.or("burst", 0, value::number(0, MANY)),
        concurrent: section.or("concurrent", 1024, value::number(1, MANY)),
        upstream_per_tenant: section.or("upstream_per_tenant", 32, value::number(1, 1024)),
        connections: section.or("connections", 10_000, value::number(1, MANY)),
        header_bytes: section.or("header_bytes", 16_384, value::number(1024, 1 << 20)),
        body_bytes: section.or("body_bytes", 1_048_576, value::number(1, 1 << 30)),
        request: section.or("request", 10 * SECOND, value::duration(least, DAY)),
        head: section.or("head", 5 * SECOND, value::duration(least, DAY)),
        remember_tokens: section.or("remember_tokens", 60 * SECOND, value::duration(Duration::ZERO, DAY)),
    };
    if is_off && limits.burst > 0 {
        section.fault("burst", Bad::new("has no effect without rate", "write rate, or remove it"));
    }
    section.finish();
    limits
}
