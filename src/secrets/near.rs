//! Which name was probably meant by one that is not there.

use strsim::osa_distance;

/// Names further apart than this are other names.
const MOST_EDITS: usize = 2;

/// With more candidates than this only spellings are compared, so that nobody's typing error costs a start its time.
const MOST_CANDIDATES: usize = 1000;

/// The names that are there.
pub(super) struct Near(Vec<(String, String)>);

impl Near {
    pub(super) fn new(names: impl Iterator<Item = impl AsRef<str>>) -> Self {
        Self(names.map(|name| (plain(name.as_ref()), name.as_ref().to_owned())).collect())
    }

    /// The name that differs from `name` in case or in `-`, `_` and `.` alone, else the one that is at most two edits away.
    pub(super) fn to(&self, name: &str) -> Option<String> {
        let wanted = plain(name);
        let same = || self.0.iter().find(|(plain, _)| *plain == wanted);
        let close = |(candidate, _): &&(String, String)| {
            // Two edits make anything of a short name.
            let edits = if wanted.len().min(candidate.len()) < 5 { 1 } else { MOST_EDITS };
            candidate.len().abs_diff(wanted.len()) <= edits && osa_distance(candidate, &wanted) <= edits
        };
        let nearest = || {
            let compared = if self.0.len() <= MOST_CANDIDATES && wanted.len() > 2 { &self.0[..] } else { &[] };
            compared.iter().filter(close).min_by_key(|(plain, _)| osa_distance(plain, &wanted))
        };
        (!wanted.is_empty()).then(same).flatten().or_else(nearest).map(|(_, name)| name.clone())
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_separators_do_not_count_and_two_edits_are_near() {
        let near = Near::new(["API_KEY", "db.url", "PORT", "ID"].into_iter());
        for (name, meant) in [
            ("api_key", Some("API_KEY")),
            ("apiKey", Some("API_KEY")),
            ("API-KEY", Some("API_KEY")),
            ("API_KEYS", Some("API_KEY")),
            ("APY_KEI", Some("API_KEY")),
            ("DB_URL", Some("db.url")),
            ("PROT", Some("PORT")),
            ("POLL", None),
            ("DB_PORT", None),
            ("KEY", None),
            ("AD", None),
            ("id", Some("ID")),
            ("", None),
            ("._-", None),
        ] {
            assert_eq!(near.to(name).as_deref(), meant, "{name}");
        }
    }

    #[test]
    fn long_names_and_many_of_them_take_no_time() {
        let names: Vec<_> = (0..100_000).map(|n| format!("NAME_{n}")).collect();
        let near = Near::new(names.iter().map(String::as_str));
        assert_eq!(near.to("name-99999").as_deref(), Some("NAME_99999"));
        assert_eq!(near.to("NAMF_99999"), None);
    }
}
