//! Why the program ends early: lines for a person, and an exit code.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use vault_client::text;

use crate::cli::Stopped;
use crate::config::Faults;
pub use crate::config::{CONFIGURATION, MISSING};
use crate::log::BadLog;

/// Why the program ends, with the exit code of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// What is printed on standard error, or on standard output where the code is 0; a line each.
    pub lines: Vec<String>,
}

/// The system refuses something.
pub const SYSTEM: u8 = 71;
/// The rules deny it.
pub const DENIED: u8 = 77;

impl Ended {
    /// The configuration cannot be used, for this reason.
    pub fn configuration(line: String) -> Self {
        Self { code: CONFIGURATION, lines: vec![line] }
    }

    /// The system refuses this.
    pub fn system(what: &str, error: &impl ToString) -> Self {
        Self { code: SYSTEM, lines: vec![format!("{what}: {}; look at the limits of the process", error.to_string())] }
    }

    /// The address cannot be bound.
    pub fn bind(address: SocketAddr, error: &impl ToString) -> Self {
        let line =
            format!("{address}: cannot be bound: {}; give listen and ops addresses that are free", error.to_string());
        Self { code: SYSTEM, lines: vec![line] }
    }

    /// The audit log cannot be opened.
    pub fn audit(file: Option<&Path>, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { MISSING } else { SYSTEM };
        let shown = file.map_or("standard output".to_owned(), text::os);
        Self { code, lines: vec![format!("audit: {shown}: {error}; give a file that can be appended to")] }
    }

    /// Prints the lines, and returns the code.
    pub fn print(&self) -> ExitCode {
        for line in &self.lines {
            // What was asked for, help or version, is no error.
            if self.code == 0 {
                print!("{line}");
            } else {
                eprintln!("vault-gateway: {line}");
            }
        }
        ExitCode::from(self.code)
    }
}

impl From<Faults> for Ended {
    fn from(faults: Faults) -> Self {
        Self { code: faults.exit_code(), lines: faults.iter().map(ToString::to_string).collect() }
    }
}

impl From<BadLog> for Ended {
    fn from(error: BadLog) -> Self {
        let code = if matches!(error, BadLog::System(_)) { SYSTEM } else { CONFIGURATION };
        Self { code, lines: vec![format!("log: {error}")] }
    }
}

impl From<Stopped> for Ended {
    fn from(stopped: Stopped) -> Self {
        let code = stopped.exit_code();
        match stopped {
            Stopped::Shown(text) | Stopped::Usage(text) => Self { code, lines: vec![text] },
        }
    }
}

/// The faults of the settings of tenants.
impl From<Vec<String>> for Ended {
    fn from(lines: Vec<String>) -> Self {
        Self { code: CONFIGURATION, lines }
    }
}
