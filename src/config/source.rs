//! Where the texts of settings come from: the flags above the environment.

use super::setting::{Setting, TABLE};
use super::value;
use crate::process::environ::Environ;
use vault_client::settings::{Found, Given, Reader, Source};

/// What the command line says of settings, in its order; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<(&'static Setting, String)>);

impl Flags {
    /// The same with these texts for the flag of `setting`.
    #[must_use]
    pub fn with(mut self, setting: &'static Setting, texts: impl IntoIterator<Item = String>) -> Self {
        self.0.extend(texts.into_iter().map(|text| (setting, text)));
        self
    }
}

/// The flags above the environment.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// What was inherited.
    pub environ: &'a Environ,
    /// What the command line says.
    pub flags: &'a Flags,
}

impl Texts<'_> {
    /// Reads the settings of this program.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(self, &TABLE)
    }
}

impl Source for Texts<'_> {
    fn variable(&self, name: &str) -> Option<&[u8]> {
        self.environ.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.environ.variables().filter_map(|(name, _)| std::str::from_utf8(name).ok()).collect()
    }

    fn is_at_terminal(&self) -> bool {
        self.environ.is_at_terminal()
    }

    fn given(&self, setting: &Setting) -> Vec<Given<'_>> {
        let given = self.flags.0.iter().filter(|given| given.0.name == setting.name);
        given
            .filter_map(|(row, text)| Some(Given { name: format!("--{}", row.flag?), bytes: text.as_bytes() }))
            .collect()
    }
}

/// The names in a list that a flag adds to, in the order variable, flag; comma-separated, without empty ones.
pub fn list(reader: &mut Reader, setting: &Setting) -> Vec<String> {
    let variable = reader.find_variable(setting);
    let found: Vec<_> = variable.into_iter().chain(reader.given(setting)).collect();
    for Found { name, text } in &found {
        if let Some(cause) = reader.refused(text).or_else(|| value::separator(text)) {
            reader.fault(name.clone(), Some(text.clone()), cause);
        }
    }
    found.iter().flat_map(|found| value::items(&found.text)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::setting;
    use super::*;
    use vault_client::settings::{self, NearMiss};

    #[test]
    fn a_flag_beats_its_variable_where_it_says_something() {
        for (text, found) in [(" 3s ", "--wait=3s"), ("", "VAULT_WAIT=1s")] {
            let environ = Environ::from_pairs([("VAULT_WAIT", "1s"), ("VAULT_KEYS", "a")]);
            let flags = Flags::default().with(&setting::KEYS, ["b".into()]).with(&setting::WAIT, [text.into()]);
            let read = Texts { environ: &environ, flags: &flags }.reader().find(&setting::WAIT);
            assert_eq!(read.map(|it| format!("{}={}", it.name, it.text)).as_deref(), Some(found));
        }
    }

    #[test]
    fn flags_add_to_lists() {
        let environ = Environ::from_pairs([("VAULT_REQUIRED_KEYS", "A, B,,")]);
        let flags = Flags::default().with(&setting::REQUIRED_KEYS, ["C".into(), "D,E".into()]);
        let texts = Texts { environ: &environ, flags: &flags };
        assert_eq!(list(&mut texts.reader(), &setting::REQUIRED_KEYS), ["A", "B", "C", "D", "E"]);
    }

    #[test]
    fn misspelt_names_of_this_program_are_found() {
        for (name, meant) in [
            ("VAULT_ADR", Some("VAULT_ADDR")),
            ("BAO_ROLE", Some("VAULT_ROLE")),
            ("VAULT_MOUNT", Some("VAULT_MOUNT_POINT")),
            ("VAULT_REQUIRED_KEY", Some("VAULT_REQUIRED_KEYS")),
            ("VAULT_PATHS", Some("VAULT_PATH")),
            ("VAULT_LICENSE", None),
            ("VAULT_PATH", None),
        ] {
            let environ = Environ::from_pairs([(name, "x")]);
            let found = Texts { environ: &environ, flags: &Flags::default() }.reader().near_misses();
            assert_eq!(found.first().and_then(|it| it.meant.as_deref()), meant, "{name}");
        }
    }

    #[test]
    fn a_setting_that_is_set_is_never_suggested() {
        let warned = |name: &str, other: &str, flags: &Flags| {
            let environ = Environ::from_pairs([(name, "x"), (other, "x")]);
            let texts = Texts { environ: &environ, flags };
            texts.reader().near_misses().iter().map(NearMiss::warning).collect::<Vec<_>>()
        };
        let (none, keys) = (Flags::default(), Flags::default().with(&setting::KEYS, ["A".into()]));
        for (name, other, flags, hint) in [
            ("VAULT_ROEL", "VAULT_ROLE", &none, ""),
            ("VAULT_ROEL", "VAULT_PATH", &none, "; did you mean VAULT_ROLE?"),
            // By another of its names, and by its flag.
            ("VAULT_ADDRES", "BAO_ADDR", &none, ""),
            ("VAULT_KEY", "OTHER", &keys, ""),
            ("VAULT_KEY", "OTHER", &none, "; did you mean VAULT_KEYS?"),
        ] {
            let warning = format!("{name} is no setting and has no effect{hint}");
            assert_eq!(warned(name, other, flags), [warning], "{name} {other}");
        }
    }

    /// A program that COMMAND is may have the client too: it inherits these.
    #[test]
    fn no_setting_of_this_program_looks_like_a_misspelling_to_another_that_has_the_client() {
        for name in setting::ALL.iter().flat_map(|setting| setting.groups().flatten()) {
            let environ = Environ::from_pairs([(name.as_str(), "x")]);
            let texts = Texts { environ: &environ, flags: &Flags::default() };
            let found = Reader::new(&texts, &settings::TABLE).near_misses();
            assert!(found.is_empty(), "{name}: {:?}", found[0].meant);
        }
    }

    #[test]
    fn every_setting_of_the_client_is_one_here() {
        let ours: Vec<_> = setting::ALL.iter().map(|setting| setting.name).collect();
        let not_here = settings::setting::ALL.iter().map(|setting| setting.name).filter(|name| !ours.contains(name));
        assert_eq!(not_here.collect::<Vec<_>>(), [] as [&str; 0]);
    }
}
