//! What the sources themselves promise: where unsafe code is, and that each of it says why.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders with the sources of the wrapper and of the library under it.
const FOLDERS: [&str; 2] = ["src", "crates/vault-client/src"];

fn folders() -> impl Iterator<Item = PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The width or precision of a format that is taken from a name in lower case or from an argument: a length of data, for
/// which a formatter panics above 65,535.
fn width_from_data(line: &str) -> Option<&str> {
    let formats = line.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(format, _)| format);
    let mut widths = formats.filter_map(|format| {
        let spec = format.split_once(':')?.1;
        // `..*` is the rest of a value.
        if spec.replace("..*", "").contains(".*") { Some(spec) } else { spec.split_once('$').map(|(width, _)| width) }
    });
    let is_argument = |width: &str| !width.is_empty() && width.bytes().all(|it| it.is_ascii_digit());
    widths.find(|width| width.contains(|c: char| c.is_ascii_lowercase()) || width.contains(".*") || is_argument(width))
}

#[test]
fn no_format_takes_its_width_from_data() {
    assert_eq!(width_from_data(r#"format!("{name:names$}  {text:>w$}")"#), Some("names"));
    assert_eq!(width_from_data(r#"format!("{:1$}")"#), Some("1"));
    assert_eq!(width_from_data(r#"format!("{:.*}")"#), Some(".*"));
    assert_eq!(width_from_data("Request { call: call, ..*request }"), None);
    assert_eq!(width_from_data(r#"format!("{:0DIGITS$x} {:5} {a:?} ${b}")"#), None);
    for path in
        folders().flat_map(|folder| sources(&folder)).filter(|path| path.extension().is_some_and(|it| it == "rs"))
    {
        let text = fs::read_to_string(&path).unwrap();
        let found: Vec<_> = text.lines().filter_map(width_from_data).collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

/// Whether it is the keyword, and no part of a name or a comment.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let code = code.replace("unsafe_code", "");
    code.split(|it: char| !it.is_alphanumeric() && it != '_').any(|word| word == "unsafe")
}

#[test]
fn unsafe_code_is_in_one_file_each_block_with_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut blocks = 0;
    for path in folders().flat_map(|folder| sources(&folder)) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let places: Vec<_> = (0..lines.len()).filter(|&place| is_unsafe(lines[place])).collect();
        let own = path.strip_prefix(root).unwrap();
        assert!(places.is_empty() || own == Path::new("src/process/sys.rs"), "{}", own.display());
        for place in places {
            // A declaration alone does nothing; its use is a block of its own.
            if lines[place].contains("unsafe extern") {
                continue;
            }
            let above =
                lines[..place].iter().rev().take_while(|it| it.trim().starts_with("//") || it.trim().starts_with("#["));
            let reason = above.fold(String::new(), |reason, line| format!("{line}\n{reason}"));
            assert!(reason.contains("// SAFETY: "), "{}:{}", own.display(), place + 1);
            blocks += 1;
        }
    }
    assert!(blocks > 0, "the search finds them");
}

/// The sources without their tests, each line with its place.
fn lines_of_the_program() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_test = |path: &Path| {
        let name = path.file_name().unwrap();
        name == "tests.rs"
            || name == "canned.rs"
            || path.iter().any(|part| part == "tests")
            || path.starts_with(root.join("src/properties"))
    };
    let mut lines = Vec::new();
    let all = folders().flat_map(|folder| sources(&folder));
    for path in all.filter(|path| path.extension().is_some_and(|it| it == "rs") && !is_test(path)) {
        let own = path.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let program =
            text.lines().enumerate().take_while(|(_, line)| *line != "#[cfg(test)]" || own.ends_with("/lib.rs"));
        lines.extend(program.map(|(number, line)| (format!("{own}:{}", number + 1), line.to_owned())));
    }
    assert!(lines.len() > 5000, "the search finds them");
    lines
}

/// What stands between the colon and the brace of each `{name:spec}` in `line`.
fn specs(line: &str) -> Vec<&str> {
    let pieces = line.split('{').skip(1).filter_map(|piece| piece.split_once('}')).map(|(inner, _)| inner);
    let is_name = |name: &str| name.chars().all(|it| it.is_alphanumeric() || it == '_');
    pieces.filter_map(|inner| inner.split_once(':')).filter(|(name, _)| is_name(name)).map(|(_, spec)| spec).collect()
}

#[test]
fn no_sentence_shows_how_a_library_prints_its_own_types() {
    assert_eq!(specs("{a:?} {:#?} {b} {{c:d}}").iter().filter(|spec| spec.ends_with('?')).count(), 2);
    let debug: Vec<_> = lines_of_the_program()
        .into_iter()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| specs(line).iter().any(|spec| spec.ends_with('?')))
        .collect();
    assert!(debug.is_empty(), "{debug:#?}");
}

/// Where the library names settings: in what reads them.
const SETTINGS: &str = "crates/vault-client/src/settings/";

#[test]
fn the_library_names_no_setting_but_where_it_reads_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = sources(&root.join("crates/vault-client/src"));
    let mut named = Vec::new();
    for path in sources.iter().filter(|path| path.extension().is_some_and(|it| it == "rs")) {
        let own = path.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
        let found = lines.filter(|(_, line)| line.contains("VAULT_") && !own.starts_with(SETTINGS));
        named.extend(found.map(|(number, line)| format!("{own}:{}: {line}", number + 1)));
    }
    assert!(sources.len() > 40, "the search finds them");
    assert!(named.is_empty(), "{named:#?}");
}

/// Where a moment is shown or compared with one that a server or a credential names; nothing waits for it.
const WALL_CLOCK: [&str; 12] = [
    "crates/vault-client/src/fault/jwt.rs",
    "crates/vault-client/src/http/mod.rs",
    "crates/vault-client/src/login/cert.rs",
    "crates/vault-client/src/login/oidc/logout.rs",
    "crates/vault-client/src/login/oidc/store.rs",
    "crates/vault-client/src/login/wrapping.rs",
    "crates/vault-client/src/token.rs",
    "crates/vault-client/src/watch/entry.rs",
    "src/check/read.rs",
    "src/logging.rs",
    "src/sink/folder.rs",
    "src/watch/metrics.rs",
];

/// So a clock that is set back or forth changes no lease, no interval and no limit.
#[test]
fn the_clock_that_somebody_sets_is_read_only_where_a_moment_is_shown_or_compared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<_> = folders()
        .flat_map(|folder| sources(&folder))
        .filter(|path| !path.iter().any(|part| part == "tests" || part == "tests.rs" || part == "properties"))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().contains("SystemTime::now")
        })
        .map(|path| path.strip_prefix(root).unwrap().display().to_string())
        .collect();
    found.sort();
    let mut known = WALL_CLOCK.to_vec();
    known.sort_unstable();
    assert_eq!(found, known);
}
