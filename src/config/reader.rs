//! From flags, environment and defaults to one raw text per setting, with every fault collected on the way.

use super::foreign;
use super::setting::{ALL, Setting};
use super::value;
use crate::error::SettingFault;
use crate::process::environ::Environ;
use vault_client::text::{escaped, shown, without_credentials};

/// What the command line says of settings; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--keys`
    pub keys: Option<String>,
    /// `--require`, each occurrence.
    pub require: Vec<String>,
    /// `--allow-name`, each occurrence.
    pub allow_name: Vec<String>,
    /// `--wait`
    pub wait: Option<String>,
    /// `--env-file`
    pub env_file: Option<String>,
    /// `--format`
    pub format: Option<String>,
}

impl Flags {
    fn texts(&self, flag: &str) -> Vec<&str> {
        match flag {
            "keys" => self.keys.as_deref().into_iter().collect(),
            "require" => self.require.iter().map(String::as_str).collect(),
            "allow-name" => self.allow_name.iter().map(String::as_str).collect(),
            "wait" => self.wait.as_deref().into_iter().collect(),
            "env-file" => self.env_file.as_deref().into_iter().collect(),
            "format" => self.format.as_deref().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}

/// How the cause of a setting that is missing begins.
const UNSET: &str = "unset";

/// A setting's text and where it came from.
pub struct Found {
    /// The variable or flag.
    pub name: String,
    /// Trimmed, never empty.
    pub text: String,
}

/// A name in the environment that looks like a misspelt setting.
pub struct NearMiss {
    /// The name, as it may be shown.
    pub name: String,
    /// The variable that was probably meant; `None` where that setting is set.
    pub meant: Option<String>,
}

impl NearMiss {
    /// The warning.
    pub fn warning(&self) -> String {
        let hint = self.meant.as_ref().map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        format!("{} is no setting and has no effect{hint}", self.name)
    }
}

/// Reads settings.
pub struct Reader<'a> {
    environ: &'a Environ,
    flags: &'a Flags,
    /// What was wrong so far.
    pub faults: Vec<SettingFault>,
}

impl<'a> Reader<'a> {
    /// Reads from these two; the default is the caller's.
    pub fn new(environ: &'a Environ, flags: &'a Flags) -> Self {
        Self { environ, flags, faults: Vec::new() }
    }

    /// The text of `setting`: flag, else environment. Empty and blank count as unset.
    pub fn find(&mut self, setting: &Setting) -> Option<Found> {
        let flag = setting.flag.and_then(|flag| Some((flag, *self.flags.texts(flag).first()?)));
        if let Some((flag, text)) = flag.filter(|(_, text)| !text.trim().is_empty()) {
            return Some(Found { name: format!("--{flag}"), text: text.trim().to_owned() });
        }
        self.find_variable(setting)
    }

    /// Whether `setting` has no text, and none that cannot be read either.
    pub fn is_unset(&mut self, setting: &Setting) -> bool {
        self.find(setting).is_none()
            && !setting.groups().flatten().any(|name| self.faults.iter().any(|fault| fault.name == name))
    }

    fn find_variable(&mut self, setting: &Setting) -> Option<Found> {
        for group in setting.groups() {
            let present = group.into_iter().find_map(|name| self.environ.get(&name).map(|bytes| (name, bytes)));
            let Some((name, bytes)) = present else { continue };
            match std::str::from_utf8(bytes).map(str::trim) {
                Ok("") => {}
                Ok(text) => return Some(Found { name, text: text.to_owned() }),
                Err(_) => self.fault(name, None, "not UTF-8 text"),
            }
        }
        None
    }

    /// The names in a list that a flag adds to, in the order variable, flag; comma-separated, without empty ones.
    pub fn list(&mut self, setting: &Setting) -> Vec<String> {
        let variable = self.find_variable(setting);
        let flag = setting.flag.unwrap_or_default();
        let flag = |text: &str| Found { name: format!("--{flag}"), text: text.trim().to_owned() };
        let flags: Vec<_> = setting.flag.map(|flag| self.flags.texts(flag)).unwrap_or_default();
        let found: Vec<_> = variable.into_iter().chain(flags.into_iter().map(flag)).collect();
        for Found { name, text } in &found {
            if let Some(cause) = foreign::syntax(text).or_else(|| value::separator(text)) {
                self.fault(name.clone(), Some(text.clone()), cause);
            }
        }
        found.iter().flat_map(|found| value::items(&found.text)).map(str::to_owned).collect()
    }

    /// The value of `setting`, none if it is unset or cannot be used; the latter is a fault. `parse` says what is
    /// wrong and what is accepted.
    pub fn parse<T, E: Into<String>>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Found { name, text } = self.find(setting)?;
        match foreign::syntax(&text).map_or_else(|| parse(&text).map_err(Into::into), |cause| Err(cause.to_owned())) {
            Ok(value) => Some(value),
            Err(cause) => {
                self.fault(name, (!setting.credential).then_some(text), cause);
                None
            }
        }
    }

    /// A variable that is not a setting, where it is text.
    pub fn environment(&self, name: &str) -> Option<String> {
        self.environ.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned)
    }

    /// Notes a fault of `name`, which held `held`.
    pub fn fault(&mut self, name: impl Into<String>, held: Option<String>, cause: impl Into<String>) {
        let held = held.map(|text| {
            // Cut first, a credential would no longer look like one.
            let text = without_credentials(&text);
            let cut: String = text.chars().take(60).collect();
            let dots = if cut.len() < text.len() { "…" } else { "" };
            format!("\"{}{dots}\"", escaped(&cut))
        });
        let fault = SettingFault { name: name.into(), held, cause: cause.into() };
        // A setting can be looked at more than once.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Names, beside what is unset, the variable that was probably meant to set it.
    pub fn blame_misspellings(&mut self) {
        if !self.faults.iter().any(|fault| fault.cause.starts_with(UNSET)) {
            return;
        }
        for NearMiss { name, meant } in self.near_misses() {
            let Some(meant) = meant else { continue };
            let of_it = |fault: &&mut SettingFault| {
                fault.cause.starts_with(UNSET)
                    && fault.name.split_once('_').map(|it| it.1) == meant.split_once('_').map(|it| it.1)
            };
            if let Some(fault) = self.faults.iter_mut().find(of_it) {
                fault.cause = format!("{UNSET}, but {name} is set; did you mean {meant}?");
            }
        }
    }

    /// Names in the environment that look like misspelt settings.
    pub fn near_misses(&self) -> Vec<NearMiss> {
        let names = self.environ.variables().filter_map(|(name, _)| std::str::from_utf8(name).ok());
        let ours: Vec<_> = names.filter(|name| name.starts_with("VAULT_") || name.starts_with("BAO_")).collect();
        if ours.is_empty() {
            return Vec::new();
        }
        let known: Vec<String> = ALL.iter().flat_map(|setting| setting.groups().flatten()).collect();
        // Kubernetes sets these for a service that is called vault.
        let linked = |name: &str| {
            let rest = name.split_once('_').map_or("", |(_, rest)| rest);
            rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_")
        };
        // One of this program's own, with the prefix that only official names have.
        let renamed = |name: &str, known: &str| {
            name.strip_prefix("BAO_").is_some_and(|rest| known.strip_prefix("VAULT_") == Some(rest))
        };
        let near = |name: &str, known: &str| {
            let longer = |long: &str, short: &str, by| long.strip_prefix(short).is_some_and(|rest| rest.len() <= by);
            renamed(name, known)
                || strsim::osa_distance(name, known) <= 2
                || longer(known, name, 6)
                || longer(name, known, 4)
        };
        let is_set = |known: &String| {
            let setting = ALL.iter().find(|setting| setting.groups().flatten().any(|name| name == *known));
            setting.is_some_and(|setting| Reader::new(self.environ, self.flags).find(setting).is_some())
        };
        ours.into_iter()
            .filter(|name| !linked(name) && !known.iter().any(|known| known == name))
            .filter_map(|name| {
                let candidates = known.iter().filter(|known| near(name, known));
                let meant =
                    candidates.min_by_key(|known| (!renamed(name, known), strsim::osa_distance(name, known)))?;
                Some(NearMiss { name: shown(name), meant: (!is_set(meant)).then(|| meant.clone()) })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting;
    use super::*;

    fn find(setting: &Setting, environ: &[(&str, &str)], flags: &Flags) -> Option<String> {
        let environ = Environ::from_pairs(environ.iter().copied());
        Reader::new(&environ, flags).find(setting).map(|found| format!("{}={}", found.name, found.text))
    }

    #[test]
    fn flag_beats_bao_beats_vault_beats_alias_and_empty_counts_as_unset() {
        let none = Flags::default();
        let wait = Flags { wait: Some(" 3s ".into()), ..Flags::default() };
        for (setting, environ, flags, found) in [
            (&setting::WAIT, &[("VAULT_WAIT", "1s")][..], &wait, Some("--wait=3s")),
            (&setting::WAIT, &[("VAULT_WAIT", " 1s\n")], &none, Some("VAULT_WAIT=1s")),
            (&setting::ADDR, &[("VAULT_ADDR", "v"), ("BAO_ADDR", "b")], &none, Some("BAO_ADDR=b")),
            (&setting::ADDR, &[("VAULT_ADDR", "v"), ("BAO_ADDR", "")], &none, None),
            (&setting::ADDR, &[("VAULT_ADDR", "  ")], &none, None),
            (&setting::PATH, &[("VAULT_PATH", "v"), ("BAO_PATH", "b")], &none, Some("VAULT_PATH=v")),
            (&setting::ROLE, &[("VAULT_ROLE_ID", "a"), ("VAULT_ROLE", "v")], &none, Some("VAULT_ROLE=v")),
            (&setting::ROLE, &[("VAULT_ROLE_ID", "a"), ("VAULT_ROLE", " ")], &none, Some("VAULT_ROLE_ID=a")),
            (
                &setting::TIMEOUT,
                &[("VAULT_CLIENT_TIMEOUT", "1"), ("BAO_CLIENT_TIMEOUT", "2")],
                &none,
                Some("BAO_CLIENT_TIMEOUT=2"),
            ),
            (&setting::TIMEOUT, &[("VAULT_TIMEOUT", "3"), ("BAO_CLIENT_TIMEOUT", "2")], &none, Some("VAULT_TIMEOUT=3")),
        ] {
            assert_eq!(find(setting, environ, flags).as_deref(), found, "{environ:?}");
        }
    }

    #[test]
    fn flags_add_to_lists() {
        let environ = Environ::from_pairs([("VAULT_REQUIRED_KEYS", "A, B,,")]);
        let flags = Flags { require: vec!["C".into(), "D,E".into()], ..Flags::default() };
        assert_eq!(Reader::new(&environ, &flags).list(&setting::REQUIRED_KEYS), ["A", "B", "C", "D", "E"]);
    }

    #[test]
    fn a_fault_shows_what_was_held_cut_and_escaped_but_never_a_credential() {
        let long = "x".repeat(70);
        let environ =
            Environ::from_pairs([("VAULT_PATH", long.as_str()), ("VAULT_TOKEN", "secret"), ("VAULT_ROLE", "a\u{1b}b")]);
        let flags = Flags::default();
        let mut reader = Reader::new(&environ, &flags);
        for setting in [&setting::PATH, &setting::TOKEN, &setting::ROLE] {
            assert!(reader.parse(setting, |_| Err::<(), _>("bad")).is_none());
        }
        let faults: Vec<_> = reader.faults.iter().map(ToString::to_string).collect();
        let path = format!("VAULT_PATH = \"{}…\": bad", "x".repeat(60));
        assert_eq!(faults, [path.as_str(), "VAULT_TOKEN: bad", "VAULT_ROLE = \"a\\u{1b}b\": bad"]);
    }

    #[test]
    fn misspelt_names_are_found_and_those_of_kubernetes_and_other_tools_are_not() {
        let names = [
            ("VAULT_ADR", Some("VAULT_ADDR")),
            ("VAULT_ADDRES", Some("VAULT_ADDRESS")),
            ("BAO_ROLE", Some("VAULT_ROLE")),
            ("BAO_TOKEN_FILE", Some("VAULT_TOKEN_FILE")),
            ("VAULT_ADDRESS", None),
            ("VAULT_MOUNT", Some("VAULT_MOUNT_POINT")),
            ("VAULT_REQUIRED_KEY", Some("VAULT_REQUIRED_KEYS")),
            ("VAULT_PATHS", Some("VAULT_PATH")),
            ("VAULT_PORT", None),
            ("VAULT_PORT_8200_TCP_ADDR", None),
            ("VAULT_SERVICE_HOST", None),
            ("VAULT_LICENSE", None),
            ("VAULT_ADDR", None),
            ("BAO_TOKEN", None),
            ("BAO_TOKEM", Some("BAO_TOKEN")),
            ("MY_VAULT_ADDR", None),
        ];
        for (name, meant) in names {
            let environ = Environ::from_pairs([(name, "x")]);
            let flags = Flags::default();
            let found = Reader::new(&environ, &flags).near_misses();
            assert_eq!(found.first().and_then(|it| it.meant.as_deref()), meant, "{name}");
        }
    }

    #[test]
    fn a_setting_that_is_set_is_never_suggested() {
        let warned = |name: &str, other: &str, flags: &Flags| {
            let environ = Environ::from_pairs([(name, "x"), (other, "x")]);
            Reader::new(&environ, flags).near_misses().iter().map(NearMiss::warning).collect::<Vec<_>>()
        };
        let (none, keys) = (Flags::default(), Flags { keys: Some("A".into()), ..Flags::default() });
        for (name, other, flags, hint) in [
            ("VAULT_WATCH", "VAULT_PATH", &none, ""),
            ("VAULT_WATCH", "VAULT_ROLE", &none, "; did you mean VAULT_PATH?"),
            // By another of its names, and by its flag.
            ("VAULT_ADDRES", "BAO_ADDR", &none, ""),
            ("VAULT_KEY", "OTHER", &keys, ""),
            ("VAULT_KEY", "OTHER", &none, "; did you mean VAULT_KEYS?"),
        ] {
            let warning = format!("{name} is no setting and has no effect{hint}");
            assert_eq!(warned(name, other, flags), [warning], "{name} {other}");
        }
    }
}
