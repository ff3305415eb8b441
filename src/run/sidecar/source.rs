//! What a watch reads: the first time as any start does, and then in the background.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{Config, Watch};
use crate::ending::Times;
use crate::error::Error;
use crate::observer::{Bell, Log, WatchLog};
use crate::process::environ::{Entry, Environ};
use crate::process::wait::Waiter;
use crate::sink::env_file::{EnvFile, Place};
use crate::steps::{Fetched, ended_by, server, tracer};
use crate::watch::facts::Source;
use vault_client::{Endpoint, VaultClient};

/// The secrets, and the client that keeps them current. Its end is the client's, on every way out.
pub struct Watching<'a> {
    config: &'a Config,
    client: VaultClient,
    /// In the order of `VAULT_PATH`.
    pub sources: Vec<Source>,
}

impl<'a> Watching<'a> {
    /// Reads every secret, as a start does, and begins to watch it.
    ///
    /// # Errors
    ///
    /// Why the first step that failed did.
    pub fn begin(
        config: &'a Config,
        watch: &Watch,
        bell: &Bell,
        waiter: &Arc<Waiter>,
        times: &mut Times,
    ) -> Result<Self, Error> {
        for warning in config.warnings.iter().chain(&tracer(config.refuse_traced)?) {
            log::warn!("{warning}");
        }
        let log = WatchLog { log: Log(Arc::clone(waiter)), bell: bell.clone() };
        let vault = server(config, times.begun, waiter, log);
        let ended = ended_by(waiter);
        vault.status().map_err(&ended)?;
        times.lap("status");
        let material = Arc::clone(&config.material);
        let refresh = move |endpoint: &Endpoint| {
            if let Some(tls) = material.read() {
                endpoint.trust(tls);
            }
        };
        let client = VaultClient::over(&vault, Arc::clone(&config.auth), refresh).map_err(&ended)?;
        let mut watching = Self { config, client, sources: Vec::new() };
        watching.client.log_in().map_err(&ended)?;
        times.lap("login");
        for location in config.locations.iter() {
            let watched = watching.client.watch_version(location, watch.every).map_err(&ended)?;
            let (mount, path) = (location.mount.clone(), location.path.clone());
            watching.sources.push(Source { mount, path, watched });
        }
        times.lap("read");
        Ok(watching)
    }

    /// The client.
    pub fn client(&self) -> &VaultClient {
        &self.client
    }

    /// The secrets as they are now.
    pub fn fetched(&self) -> Vec<Fetched<'a>> {
        let pairs = self.config.locations.iter().zip(&self.sources);
        pairs.map(|(location, source)| Fetched { location, secret: source.watched.current() }).collect()
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.client.close();
    }
}

/// The environment of COMMAND: the inherited one, without credentials, and what it is about.
pub struct HookEnvironment {
    inherited: Vec<Entry>,
    file: Entry,
}

impl HookEnvironment {
    /// That of a watch of `file`.
    pub fn new(environ: Environ, config: &Config, file: &EnvFile) -> Self {
        let withheld = config.withheld();
        let own = |name: &[u8]| name == b"VAULT_EXEC_FILE" || name == b"VAULT_EXEC_SECRET_VERSION";
        let inherited = environ.into_entries_without(|name, value| withheld(name, value) || own(name));
        let path = if let Place::File(path) = &file.place { path.as_os_str().as_bytes() } else { b"-" };
        Self { inherited, file: entry(&[b"VAULT_EXEC_FILE=", path].concat()) }
    }

    /// The same after a change to these secrets. Of several there are several versions, in the order of `VAULT_PATH`.
    pub fn with(&self, fetched: &[Fetched]) -> Vec<Entry> {
        let versions: Vec<_> = fetched.iter().map(|it| it.secret.number.to_string()).collect();
        let versions = entry(format!("VAULT_EXEC_SECRET_VERSION={}", versions.join(",")).as_bytes());
        self.inherited.iter().cloned().chain([self.file.clone(), versions]).collect()
    }
}

/// What comes from the command line, the environment or a number has no NUL in it.
fn entry(bytes: &[u8]) -> Entry {
    Zeroizing::new(CString::new(bytes).unwrap_or_default())
}
