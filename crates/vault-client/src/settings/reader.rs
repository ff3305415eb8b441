//! From what is given, the environment and defaults to one text per setting, with every fault collected on the way.

use std::fmt::Debug;

use super::foreign;
use super::setting::{Setting, Table};
use super::source::Source;
use crate::fault::{FaultKind, SettingFault};
use crate::text::{escaped, shown, without_credentials};

/// A setting's text and where it came from.
#[derive(Clone)]
pub struct Found {
    /// The variable or flag.
    pub name: String,
    /// Trimmed, never empty.
    pub text: String,
}

/// A setting has a text that cannot be used. The fault is recorded.
pub struct Recorded;

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

/// Names near to those of settings that are no misspellings: programs around a client call a secret's path so.
const NO_MISSPELLINGS: &[&str] = &["VAULT_PATH"];

/// Reads settings.
pub struct Reader<'a> {
    source: &'a dyn Source,
    table: &'a Table,
    /// What was wrong so far.
    pub faults: Vec<SettingFault>,
}

impl<'a> Reader<'a> {
    /// Reads the settings of `table` from `source`.
    pub fn new(source: &'a dyn Source, table: &'a Table) -> Self {
        Self { source, table, faults: Vec::new() }
    }

    /// The text of `setting`: what is given, else the environment's. Empty and blank count as unset.
    pub fn find(&mut self, setting: &Setting) -> Option<Found> {
        if !self.has(setting) {
            return None;
        }
        match self.given(setting).into_iter().next() {
            Some(given) if !given.text.is_empty() => Some(given),
            _ => self.find_variable(setting),
        }
    }

    /// The text of `setting` in the environment, whatever else is given.
    pub fn find_variable(&mut self, setting: &Setting) -> Option<Found> {
        for group in setting.groups() {
            let present = group.into_iter().find_map(|name| self.bytes(&name).map(|bytes| (name, bytes)));
            let Some((name, bytes)) = present else { continue };
            match self.text(name, bytes) {
                Some(found) if !found.text.is_empty() => return Some(found),
                _ => {}
            }
        }
        None
    }

    /// The texts given to `setting` in another way than by a variable, trimmed, empty ones too.
    pub fn given(&mut self, setting: &Setting) -> Vec<Found> {
        self.source.given(setting).into_iter().filter_map(|given| self.text(given.name, given.bytes)).collect()
    }

    fn text(&mut self, name: String, bytes: &[u8]) -> Option<Found> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.fault(name, None, "not UTF-8 text");
            return None;
        };
        Some(Found { name, text: text.trim().to_owned() })
    }

    /// Whether the program has `setting`.
    fn has(&self, setting: &Setting) -> bool {
        self.table.rows.iter().any(|row| row.name == setting.name)
    }

    /// Whether a fault of `setting` is recorded, of a variable or of what is given.
    pub fn is_faulty(&self, setting: &Setting) -> bool {
        let given = self.source.given(setting).into_iter().map(|given| given.name);
        setting.groups().flatten().chain(given).any(|name| self.faults.iter().any(|fault| fault.name == name))
    }

    /// Whether `setting` has no text, and none that cannot be read either.
    pub fn is_unset(&mut self, setting: &Setting) -> bool {
        self.find(setting).is_none() && !self.is_faulty(setting)
    }

    /// The value of `setting`; `None` where it is unset or cannot be used. The latter is a fault: `parse` says what is
    /// wrong and what is accepted.
    pub fn parse<T, E: Into<String>>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.try_parse(setting, parse).ok().flatten()
    }

    /// The same; `None` where it is unset.
    ///
    /// # Errors
    ///
    /// It cannot be used.
    pub fn try_parse<T, E: Into<String>>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Recorded> {
        let Some(Found { name, text }) = self.find(setting) else {
            return if self.is_faulty(setting) { Err(Recorded) } else { Ok(None) };
        };
        let cause = match self.refused(&text) {
            Some(cause) => cause.to_owned(),
            None => match parse(&text) {
                Ok(value) => return Ok(Some(value)),
                Err(cause) => cause.into(),
            },
        };
        self.fault(name, (!setting.credential).then_some(text), cause);
        Err(Recorded)
    }

    /// The value of `setting`, or that of its default where it is unset or cannot be used.
    ///
    /// # Panics
    ///
    /// `setting` has no default that `parse` reads.
    pub fn value<T, E: Into<String> + Debug>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, E>) -> T {
        self.parse(setting, &parse)
            .unwrap_or_else(|| parse(setting.default.unwrap_or_default()).expect("the default can be read"))
    }

    /// Why `text` cannot be any setting's value: it is written as for another program.
    pub fn refused(&self, text: &str) -> Option<&'static str> {
        foreign::quoted(text).or_else(|| (self.table.foreign)(text)).or_else(|| foreign::placeholder(text))
    }

    /// Whether there is a person to ask.
    pub fn is_at_terminal(&self) -> bool {
        self.source.is_at_terminal()
    }

    /// A variable's bytes, a setting's or another's.
    pub fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.source.variable(name)
    }

    /// Records a fault of `name`, which held `held`: it cannot be used.
    pub fn fault(&mut self, name: impl Into<String>, held: Option<String>, cause: impl Into<String>) {
        self.record(FaultKind::Unusable, name.into(), held, cause.into());
    }

    /// Records that `setting` is needed and unset, unless it has a text or a fault.
    pub fn demand(&mut self, setting: &Setting, remedy: &str) {
        if self.is_unset(setting) {
            self.unset(setting, format!("unset; {remedy}"));
        }
    }

    /// Records that `setting` is needed and unset.
    pub fn unset(&mut self, setting: &Setting, cause: impl Into<String>) {
        self.record(FaultKind::Unset, setting.name.into(), None, cause.into());
    }

    pub(super) fn record(&mut self, kind: FaultKind, name: String, held: Option<String>, cause: String) {
        let held = held.map(|text| {
            // Cut first, a credential would no longer look like one.
            let text = without_credentials(&text);
            let cut: String = text.chars().take(60).collect();
            let dots = if cut.len() < text.len() { "…" } else { "" };
            format!("\"{}{dots}\"", escaped(&cut))
        });
        let fault = SettingFault { name, held, kind, cause };
        // A setting can be looked at more than once.
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Names, beside what is unset, the variable that was probably meant to set it.
    pub fn blame_misspellings(&mut self) {
        if !self.faults.iter().any(|fault| fault.kind == FaultKind::Unset) {
            return;
        }
        let rest = |name: &str| name.split_once('_').map(|it| it.1.to_owned());
        for NearMiss { name, meant } in self.near_misses() {
            let Some(meant) = meant else { continue };
            let of_it = |fault: &&mut SettingFault| fault.kind == FaultKind::Unset && rest(&fault.name) == rest(&meant);
            if let Some(fault) = self.faults.iter_mut().find(of_it) {
                fault.cause = format!("unset, but {name} is set; did you mean {meant}?");
            }
        }
    }

    /// Names in the environment that look like misspelt settings.
    pub fn near_misses(&self) -> Vec<NearMiss> {
        let names = self.source.names().into_iter();
        let ours: Vec<_> = names.filter(|name| name.starts_with("VAULT_") || name.starts_with("BAO_")).collect();
        if ours.is_empty() {
            return Vec::new();
        }
        let known: Vec<String> = self.table.rows.iter().flat_map(|setting| setting.groups().flatten()).collect();
        // Kubernetes sets these for a service that is called vault.
        let linked = |name: &str| {
            let rest = name.split_once('_').map_or("", |(_, rest)| rest);
            rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_")
        };
        // A name that is not the official clients', with the prefix that only theirs have.
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
            let rows = &mut self.table.rows.iter();
            let setting = rows.find(|setting| setting.groups().flatten().any(|name| name == *known));
            setting.is_some_and(|setting| Reader::new(self.source, self.table).find(setting).is_some())
        };
        ours.into_iter()
            .filter(|name| !linked(name) && !NO_MISSPELLINGS.contains(name) && !known.iter().any(|known| known == name))
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
pub(super) mod tests {
    use super::super::setting::{self, TABLE};
    use super::super::source::Given;
    use super::*;

    /// Variables, and what is given beside them, by a setting's name.
    pub struct Pairs {
        variables: Vec<(String, String)>,
        given: Vec<(&'static str, &'static str)>,
    }

    impl Pairs {
        pub fn of(variables: &[(&str, &str)]) -> Self {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Self { variables, given: Vec::new() }
        }

        fn giving(self, given: &[(&'static str, &'static str)]) -> Self {
            Self { given: given.to_vec(), ..self }
        }
    }

    impl Source for Pairs {
        fn variable(&self, name: &str) -> Option<&[u8]> {
            self.variables.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_bytes())
        }

        fn names(&self) -> Vec<&str> {
            self.variables.iter().map(|pair| pair.0.as_str()).collect()
        }

        fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
            let given = self.given.iter().filter(|given| given.0 == setting.name);
            given.map(|given| Given { name: "given".into(), bytes: given.1.as_bytes() }).collect()
        }
    }

    #[test]
    fn what_is_given_beats_bao_beats_vault_beats_alias_and_empty_counts_as_unset() {
        for (setting, variables, given, found) in [
            (&setting::WAIT, &[("VAULT_WAIT", "1s")][..], &[("VAULT_WAIT", " 3s ")][..], Some("given=3s")),
            (&setting::WAIT, &[("VAULT_WAIT", "1s")], &[("VAULT_WAIT", " ")], Some("VAULT_WAIT=1s")),
            (&setting::WAIT, &[("VAULT_WAIT", " 1s\n")], &[("VAULT_ROLE", "x")], Some("VAULT_WAIT=1s")),
            (&setting::ADDR, &[("VAULT_ADDR", "v"), ("BAO_ADDR", "b")], &[], Some("BAO_ADDR=b")),
            (&setting::ADDR, &[("VAULT_ADDR", "v"), ("BAO_ADDR", "")], &[], None),
            (&setting::ADDR, &[("VAULT_ADDR", "  ")], &[], None),
            (&setting::REVOKE, &[("VAULT_REVOKE", "v"), ("BAO_REVOKE", "b")], &[], Some("VAULT_REVOKE=v")),
            (&setting::ROLE, &[("VAULT_ROLE_ID", "a"), ("VAULT_ROLE", "v")], &[], Some("VAULT_ROLE=v")),
            (&setting::ROLE, &[("VAULT_ROLE_ID", "a"), ("VAULT_ROLE", " ")], &[], Some("VAULT_ROLE_ID=a")),
            (
                &setting::TIMEOUT,
                &[("VAULT_CLIENT_TIMEOUT", "1"), ("BAO_CLIENT_TIMEOUT", "2")],
                &[],
                Some("BAO_CLIENT_TIMEOUT=2"),
            ),
            (&setting::TIMEOUT, &[("VAULT_TIMEOUT", "3"), ("BAO_CLIENT_TIMEOUT", "2")], &[], Some("VAULT_TIMEOUT=3")),
        ] {
            let source = Pairs::of(variables).giving(given);
            let text = Reader::new(&source, &TABLE).find(setting).map(|found| format!("{}={}", found.name, found.text));
            assert_eq!(text.as_deref(), found, "{variables:?} {given:?}");
        }
    }

    #[test]
    fn a_setting_that_is_not_in_the_table_is_unset() {
        let source = Pairs::of(&[("VAULT_ROLE", "shop")]).giving(&[("VAULT_ROLE", "other")]);
        let table = Table { rows: &[&setting::ADDR], ..TABLE };
        assert!(Reader::new(&source, &table).find(&setting::ROLE).is_none());
        assert!(Reader::new(&source, &TABLE).find(&setting::ROLE).is_some());
    }

    #[test]
    fn a_fault_shows_what_was_held_cut_and_escaped_but_never_a_credential() {
        let long = "x".repeat(70);
        let source = Pairs::of(&[("VAULT_CACERT", &long), ("VAULT_TOKEN", "secret"), ("VAULT_ROLE", "a\u{1b}b")]);
        let mut reader = Reader::new(&source, &TABLE);
        for setting in [&setting::CACERT, &setting::TOKEN, &setting::ROLE] {
            assert!(reader.parse(setting, |_| Err::<(), _>("bad")).is_none());
        }
        let faults: Vec<_> = reader.faults.iter().map(ToString::to_string).collect();
        let cacert = format!("VAULT_CACERT = \"{}…\": bad", "x".repeat(60));
        assert_eq!(faults, [cacert.as_str(), "VAULT_TOKEN: bad", "VAULT_ROLE = \"a\\u{1b}b\": bad"]);
    }

    #[test]
    fn a_value_is_that_of_the_default_where_the_text_is_unset_or_wrong() {
        for (variables, value, faults) in [
            (&[][..], 3, 0),
            (&[("VAULT_MAX_RETRIES", "7")], 7, 0),
            (&[("VAULT_MAX_RETRIES", "many")], 3, 1),
            (&[("VAULT_MAX_RETRIES", "'7'")], 3, 1),
        ] {
            let source = Pairs::of(variables);
            let mut reader = Reader::new(&source, &TABLE);
            let read = reader.value(&setting::MAX_RETRIES, |text| text.parse().map_err(|_| "wrong"));
            assert_eq!((read, reader.faults.len()), (value, faults), "{variables:?}");
        }
    }

    #[test]
    fn misspelt_names_are_found_and_those_of_kubernetes_and_other_tools_are_not() {
        let names = [
            ("VAULT_ADR", Some("VAULT_ADDR")),
            ("VAULT_ADDRES", Some("VAULT_ADDRESS")),
            ("BAO_ROLE", Some("VAULT_ROLE")),
            ("BAO_TOKEN_FILE", Some("VAULT_TOKEN_FILE")),
            ("VAULT_AUTH_MOUNTS", Some("VAULT_AUTH_MOUNT")),
            ("VAULT_ADDRESS", None),
            ("VAULT_PORT", None),
            ("VAULT_PORT_8200_TCP_ADDR", None),
            ("VAULT_SERVICE_HOST", None),
            ("VAULT_LICENSE", None),
            ("VAULT_PATH", None),
            ("VAULT_ADDR", None),
            ("BAO_TOKEN", None),
            ("BAO_TOKEM", Some("BAO_TOKEN")),
            ("MY_VAULT_ADDR", None),
        ];
        for (name, meant) in names {
            let source = Pairs::of(&[(name, "x")]);
            let found = Reader::new(&source, &TABLE).near_misses();
            assert_eq!(found.first().and_then(|it| it.meant.as_deref()), meant, "{name}");
        }
    }

    #[test]
    fn what_is_unset_names_the_variable_that_was_probably_meant_to_set_it() {
        let source = Pairs::of(&[("VAULT_ADRESS", "x"), ("BAO_ROLE", "shop")]);
        let mut reader = Reader::new(&source, &TABLE);
        reader.demand(&setting::ADDR, "set it");
        reader.demand(&setting::ROLE, "set it");
        reader.blame_misspellings();
        let faults: Vec<_> = reader.faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            ["VAULT_ADDR: unset; set it", "VAULT_ROLE: unset, but BAO_ROLE is set; did you mean VAULT_ROLE?"]
        );
    }
}
