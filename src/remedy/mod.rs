//! What an operator reads of a client's error: cause, and what to do about it.

pub mod tls;

use std::borrow::Cow;

use vault_client::{Fault, Step, VaultError};

/// The whole sentence.
pub fn sentence(error: &VaultError) -> String {
    let fault = error.fault();
    placed(error, &format!("{}; {}", cause(fault), remedy(fault)))
}

/// The sentence without its remedy, and the remedy.
pub fn parts(error: &VaultError) -> (String, Option<String>) {
    let fault = error.fault();
    (placed(error, &cause(fault)), Some(remedy(fault).into_owned()))
}

/// What happened, in the names of the settings here.
pub fn cause(fault: &Fault) -> Cow<'_, str> {
    match &fault.tls {
        Some(fault) => tls::cause(fault),
        None => Cow::Borrowed(&fault.cause),
    }
}

fn remedy(fault: &Fault) -> Cow<'_, str> {
    match &fault.tls {
        Some(fault) => tls::remedy(fault),
        None => Cow::Borrowed(&fault.remedy),
    }
}

/// `said` between where and when it happened, and what had been tried.
fn placed(error: &VaultError, said: &str) -> String {
    let effort = error.effort();
    match error.step() {
        Some(Step::Credential) | None => format!("{said}{effort}"),
        Some(_) => format!("vault at {}: {}{said}{effort}", error.at(), error.during()),
    }
}
