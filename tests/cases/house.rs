//! The house is as CONTRIBUTING.md draws it: a module uses only modules in the lines below its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate: the line of CONTRIBUTING.md above its picture, and the folder of its sources.
struct Crate {
    heading: &'static str,
    folder: &'static str,
}

const PROGRAM: Crate = Crate { heading: "The program, `src/`:", folder: "src" };

const LIBRARY: Crate = Crate { heading: "The library, `crates/vault-client/src/`:", folder: "crates/vault-client/src" };

const GATEWAY: Crate =
    Crate { heading: "The service, `crates/vault-gateway/src/`:", folder: "crates/vault-gateway/src" };

/// What a module imports that stands beside or above it.
type Import = (String, String);

impl Crate {
    /// The modules as CONTRIBUTING.md has them, the highest line first.
    fn picture(&self) -> Vec<Vec<String>> {
        let text = read(&root().join("CONTRIBUTING.md"));
        let behind = text.split_once(self.heading).map(|(_, behind)| behind).expect("the picture has its heading");
        let block = behind.split("```").nth(1).and_then(|block| block.split_once('\n')).expect("a block").1;
        let names = |line: &str| {
            let list = line.split("  ").next().unwrap_or_default();
            list.split(", ").map(str::to_owned).collect()
        };
        block.lines().map(names).collect()
    }

    /// The modules at the top of the crate.
    fn modules(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(root().join(self.folder)).expect("a folder").map(|entry| entry.expect("an entry"));
        let stems = entries.map(|entry| entry.path().file_stem().expect("a name").to_string_lossy().into_owned());
        stems.filter(|stem| !matches!(stem.as_str(), "lib" | "main")).collect()
    }

    /// Every import that goes beside or above the module that has it, as file and imported module.
    fn forbidden(&self) -> BTreeSet<Import> {
        let (folder, picture) = (root().join(self.folder), self.picture());
        let level = |module: &str| picture.iter().position(|line| line.iter().any(|name| name == module));
        let mut forbidden = BTreeSet::new();
        let mut seen = 0;
        for path in sources(&folder) {
            let own = path.strip_prefix(&folder).expect("it is in the folder").display().to_string();
            let module = own.split('/').next().unwrap_or_default().trim_end_matches(".rs");
            // They declare the modules, and stand above them all.
            if matches!(module, "lib" | "main") {
                continue;
            }
            for imported in imports(&program(&read(&path)), depth(&own)) {
                seen += 1;
                // What is no module is a name that `lib.rs` hands on.
                let target = level(&imported).map_or("lib", |_| &imported);
                let is_below = matches!((level(module), level(target)), (Some(own), Some(used)) if used > own);
                if target != module && !is_below {
                    forbidden.insert((own.clone(), target.to_owned()));
                }
            }
        }
        assert!(seen > 50, "the search finds them");
        forbidden
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources in a folder and below, without those that hold tests alone.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let all = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    let is_program = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs");
    all.filter(|path| is_program(path) && !path.iter().any(|part| part == "tests")).collect()
}

/// A source without comments and without the module of tests at its end.
fn program(source: &str) -> String {
    let lines: Vec<_> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {");
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    lines[..end].join("\n")
}

/// How many modules a file's content is deep in: 1 for `a.rs` and `a/mod.rs`, 2 for `a/b.rs`.
fn depth(own: &str) -> usize {
    own.trim_end_matches("/mod.rs").split('/').count()
}

/// What stands first behind each `crate::`, or behind as many `super::` as lead there from this depth.
fn imports(source: &str, depth: usize) -> BTreeSet<String> {
    let supers = "super::".repeat(depth);
    let roots = ["crate::", supers.as_str()];
    let found = roots.iter().flat_map(|root| {
        let starts = source.match_indices(root).filter(|(at, _)| {
            let before = source[..*at].chars().next_back();
            !before.is_some_and(|it| it.is_alphanumeric() || it == '_' || it == ':')
        });
        starts.flat_map(|(at, _)| firsts(&source[at + root.len()..])).collect::<Vec<_>>()
    });
    found.collect()
}

/// The first name of a path, or of each path of a group in braces.
fn firsts(path: &str) -> Vec<String> {
    let name = |path: &str| path.trim_start().chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut open = 0;
    let mut starts = vec![0];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => open += 1,
            '}' if open == 0 => break,
            '}' => open -= 1,
            ',' if open == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|at| name(&group[at..])).filter(|name: &String| !name.is_empty()).collect()
}

#[test]
fn imports_are_found_however_they_are_written() {
    let source = "use crate::a::{B, C};\nuse crate::{d::E, f::{g, h}, i,\n};\nlet x = crate::k::l(); // crate::m\n\
                  use super::super::n;\nuse super::o;\n#[cfg(test)]\nfn p() {}\nuse crate::q;\n#[cfg(test)]\n\
                  mod tests {\n    use crate::r;\n}\n";
    let found = |depth| imports(&program(source), depth).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!((depth("a.rs"), depth("a/mod.rs"), depth("a/b.rs")), (1, 1, 2));
    assert_eq!(found(2), "a d f i k n q");
    assert_eq!(found(1), "a d f i k o q super");
}

#[test]
fn the_picture_has_every_module_once() {
    for krate in [PROGRAM, LIBRARY, GATEWAY] {
        let drawn: Vec<_> = krate.picture().into_iter().flatten().collect();
        let modules = krate.modules();
        assert_eq!(drawn.iter().cloned().collect::<BTreeSet<_>>(), modules, "{}", krate.folder);
        assert_eq!(drawn.len(), modules.len(), "{}: a module stands in two lines", krate.folder);
    }
}

#[test]
fn modules_use_only_what_stands_below_them() {
    for krate in [PROGRAM, LIBRARY, GATEWAY] {
        let forbidden = krate.forbidden();
        let lines = forbidden.iter().map(|(file, used)| format!("{}/{file}: {used}", krate.folder));
        let list = lines.collect::<Vec<_>>().join("\n");
        assert!(list.is_empty(), "these import what the picture in CONTRIBUTING.md has beside or above them:\n{list}");
    }
}

#[test]
fn the_test_kit_uses_no_other_crate_of_the_workspace() {
    let manifest = read(&root().join("crates/vault-testkit/Cargo.toml"));
    assert!(!manifest.contains("path = \".."), "{manifest}");
    assert!(!manifest.contains("vault-client") && !manifest.contains("vault-exec"), "{manifest}");
}
