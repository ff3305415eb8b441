//! docs/logins.md: what is seen of each login that does not fit is what a run comes to, and the server's words there are
//! those of a case on the real server.

use std::fs;
use std::path::Path;

use super::login_faults::{all, refused_login};
use super::{ROOT, document, sections, table};

const NAME: &str = "docs/logins.md";

/// Where whole runs at the real server are compared.
const CASES: [&str; 3] = ["tests/cases/methods", "tests/cases/methods/oidc", "tests/cases/deploy"];

/// The sources of the cases, as the texts in them read.
fn cases() -> String {
    let entries = CASES.iter().flat_map(|folder| fs::read_dir(Path::new(ROOT).join(folder)).unwrap());
    let sources = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let text: String = sources.map(|path| fs::read_to_string(path).unwrap()).collect();
    text.replace("\\\"", "\"")
}

/// The method, the exit code and the words of each row that quotes some.
fn rows() -> Vec<(String, i32, String)> {
    let text = document(NAME);
    let of_section = sections(&text).into_iter().flat_map(|(heading, section)| {
        let method = heading.split(':').next().unwrap_or_default().to_owned();
        let quoted = table(section, "| seen | why |").into_iter().filter_map(move |row| {
            let (code, words) = row[0].split_once(", `")?;
            Some((method.clone(), code.parse().ok()?, words.trim_end_matches('`').to_owned()))
        });
        quoted.collect::<Vec<_>>()
    });
    of_section.collect()
}

#[test]
fn what_is_seen_of_a_login_is_what_a_run_comes_to() {
    let (said, cases) = (all(), cases());
    let rows = rows();
    assert!(rows.len() >= 10, "{rows:?}");
    for (method, code, words) in rows {
        assert!(cases.contains(&words), "{method}: no case has {words}");
        let known = said.iter().any(|(own, line)| *own == code && line.contains(&words));
        let [(own, line)] = &refused_login(&method, &words)[..] else { panic!("{method}: {words}: one line") };
        let is_seen = *own == code && line.contains(&words);
        assert!(known || is_seen, "{method}: {words}: {own} {line}");
    }
}

/// The rows without words: a login each that ends so.
#[test]
fn the_codes_without_words_are_those_of_runs_too() {
    let said = all();
    let text = document(NAME);
    for (heading, section) in sections(&text) {
        let method = heading.split(':').next().unwrap_or_default();
        for row in table(section, "| seen | why |") {
            let code: i32 = row[0].split(',').next().unwrap().parse().unwrap();
            let of_method = |line: &str| {
                let named = match method {
                    "approle" => ["auth/approle", "VAULT_APPROLE"],
                    "jwt" => ["auth/jwt", "VAULT_JWT"],
                    "cert" => ["auth/cert", "VAULT_CLIENT_CERT"],
                    _ => ["auth/oidc", "VAULT_OIDC"],
                };
                named.iter().any(|it| line.contains(it)) || line.contains("wrapping token")
            };
            assert!(said.iter().any(|(own, line)| *own == code && of_method(line)), "{method}: {row:?}");
        }
    }
}
