//! The configuration with all that is wrong with it: in the file, in the files that it names, and in the environment.

use std::path::Path;

use vault_client::settings::{NearMiss, ProcessEnv, Reader, TABLE};
use vault_client::text::{os, quoted};

use crate::config::{Config, Fault, FaultKind, Faults};
use crate::jwt;
use crate::listen::Tls;
use crate::upstream::Tenants;

/// Reads this file, and looks at what needs no network.
///
/// # Errors
///
/// All that is wrong.
pub fn read(file: &Path) -> Result<Config, Faults> {
    Config::read_with(file, &|config, is_good| further(&os(file), config, is_good))
}

/// The files of TLS; `None` where there is no `[tls]`.
///
/// # Errors
///
/// A line for each file that cannot be used.
pub fn tls(config: &Config) -> Result<Option<Tls>, Vec<String>> {
    config.tls.clone().map(Tls::read).transpose()
}

/// What the names of variables look like that have no effect: a line for each.
pub fn misspelt() -> Vec<String> {
    Reader::new(&ProcessEnv::now(), &TABLE).near_misses().iter().map(NearMiss::warning).collect()
}

fn further(file: &str, config: &Config, is_good: bool) -> Vec<Fault> {
    let of_file = |text| Fault { file: Some(file.to_owned()), line: None, text, kind: FaultKind::Wrong };
    let mut faults: Vec<_> = tls(config).err().into_iter().flatten().map(of_file).collect();
    for issuer in &config.issuers {
        if let Err(why) = jwt::check_file(issuer) {
            faults.push(of_file(format!("[[issuer]] {} jwks: {why}", quoted(&issuer.url))));
        }
    }
    // Where nothing is wrong, the tenants are made next, and say it themselves.
    if !is_good || !faults.is_empty() {
        faults.extend(Tenants::faults(&config.tenants).into_iter().map(Fault::new));
    }
    faults
}
