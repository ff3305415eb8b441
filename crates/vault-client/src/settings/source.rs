//! Where the texts of settings come from.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;

use zeroize::Zeroizing;

use super::Setting;

/// Where the texts of settings come from: an environment, and what a program gives itself beside it.
pub trait Source {
    /// The value of the variable `name`, of the first one where it is repeated. `None` where there is none.
    fn variable(&self, name: &str) -> Option<&[u8]>;

    /// The names of all variables that are UTF-8 text. Among them misspelt settings are looked for.
    fn names(&self) -> Vec<&str>;

    /// What is given to `setting` in another way than by a variable, which it beats: by a flag, or by a program itself.
    fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
        let _ = setting;
        Vec::new()
    }

    /// Whether there is a person to ask, as there is where standard error is a terminal.
    fn is_at_terminal(&self) -> bool {
        false
    }
}

/// What is given to a setting in another way than by a variable.
pub struct Given<'a> {
    /// What gives it, as a message names it: `--wait`.
    pub name: String,
    /// What is given.
    pub bytes: &'a [u8],
}

/// The variables of this process, as they were at one moment. They are wiped on drop.
pub struct ProcessEnv {
    variables: Vec<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    is_at_terminal: bool,
}

impl ProcessEnv {
    /// The variables as they are now.
    pub fn now() -> Self {
        let bytes = OsString::into_vec;
        let variables = std::env::vars_os().map(|(name, value)| (bytes(name), Zeroizing::new(bytes(value)))).collect();
        Self { variables, is_at_terminal: io::stderr().is_terminal() }
    }
}

impl ProcessEnv {
    /// Those of `names` that `value` has.
    pub(super) fn part<'a>(names: impl Iterator<Item = String>, value: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        let variable = |name: String| Some((name.clone().into(), Zeroizing::new(value(&name)?.to_vec())));
        Self { variables: names.filter_map(variable).collect(), is_at_terminal: false }
    }
}

#[cfg(test)]
impl ProcessEnv {
    pub(super) fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.into(), Zeroizing::new(value.into()))).into();
        Self { variables, is_at_terminal: false }
    }
}

impl Source for ProcessEnv {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.variables.iter().find(|variable| variable.0 == name.as_bytes()).map(|variable| variable.1.as_slice())
    }

    fn names(&self) -> Vec<&str> {
        self.variables.iter().filter_map(|variable| std::str::from_utf8(&variable.0).ok()).collect()
    }

    fn is_at_terminal(&self) -> bool {
        self.is_at_terminal
    }
}

impl fmt::Debug for ProcessEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessEnv({} variables)", self.variables.len())
    }
}

/// What a program gives itself, above an environment or alone. It is wiped on drop.
///
/// # Examples
///
/// ```
/// use vault_client::settings::{Connection, Decided, Layer, setting};
///
/// let mut layer = Layer::default();
/// layer.give(&setting::ADDR, "address", "https://vault.vault.svc:8200");
/// layer.give(&setting::TOKEN, "token", "hvs.example");
/// layer.give(&setting::ROLE, "role", "auth/kubernetes/role/shop");
/// let refused = Connection::from_source(&layer, Decided::default()).err().map(|faults| faults.to_string());
/// assert_eq!(
///     refused.as_deref(),
///     Some("role = \"auth/kubernetes/role/shop\": holds a /, which no role has; write its name alone, and the mount in \
///           VAULT_K8S_AUTH_MOUNT_POINT")
/// );
/// ```
#[derive(Default)]
pub struct Layer {
    given: Vec<Row>,
    hidden: Vec<String>,
    below: Option<ProcessEnv>,
}

struct Row {
    /// The setting's variable.
    setting: &'static str,
    name: &'static str,
    bytes: Zeroizing<Vec<u8>>,
}

impl Layer {
    /// An empty one above `environment`.
    pub fn above(environment: ProcessEnv) -> Self {
        Self { below: Some(environment), ..Self::default() }
    }

    /// Gives `setting` this value, which beats the variable and one given before. A blank one is none. Messages say
    /// `name`.
    pub fn give(&mut self, setting: &Setting, name: &'static str, value: impl Into<Vec<u8>>) {
        self.given.retain(|row| row.setting != setting.name);
        self.given.push(Row { setting: setting.name, name, bytes: Zeroizing::new(value.into()) });
    }

    /// Hides the variables of `setting`: it has the value given here, or none. A token file that a program gives is so
    /// not beaten by a token in the environment.
    pub fn hide(&mut self, setting: &Setting) {
        self.hidden.extend(setting.groups().flatten());
    }
}

impl Source for Layer {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.below.as_ref().filter(|_| !self.hidden.iter().any(|hidden| hidden == name))?.variable(name)
    }

    fn names(&self) -> Vec<&str> {
        self.below.as_ref().map(ProcessEnv::names).unwrap_or_default()
    }

    fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
        let rows = self.given.iter().filter(|row| row.setting == setting.name);
        rows.map(|row| Given { name: row.name.to_owned(), bytes: &row.bytes }).collect()
    }

    fn is_at_terminal(&self) -> bool {
        self.below.as_ref().is_some_and(ProcessEnv::is_at_terminal)
    }
}
