//! Links lead somewhere: to a file, and to a heading in it.

use std::path::Path;

use super::{ROOT, document, documents};

/// The targets of the links in a text, those of other sites left out.
fn targets(text: &str) -> Vec<&str> {
    let all = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    all.filter(|target| !target.contains("://")).collect()
}

/// What a heading is called in a link: letters, digits, `-` and `_`, in lower case, blanks as `-`.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

#[test]
fn links_between_documents_lead_to_a_file_and_a_heading() {
    for name in documents() {
        let text = document(&name);
        for target in targets(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&name).parent().expect("a folder");
            let file = if file.is_empty() { name.clone() } else { folder.join(file).display().to_string() };
            assert!(Path::new(ROOT).join(&file).exists(), "{name}: {target}: no such file");
            let known = |line: &str| line.starts_with('#') && slug(line) == heading;
            assert!(heading.is_empty() || document(&file).lines().any(known), "{name}: {target}: no such heading");
        }
    }
}
