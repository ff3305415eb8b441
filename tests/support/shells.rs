//! Shells, each started as its users start it, and the names of variables that they know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use vault_exec::secrets::name::is_identifier;
use vault_testkit::missing;

/// A shell: its words, where its program and what it loads lie, and what makes it list its variables.
pub(crate) struct Shell {
    pub(crate) words: &'static [&'static str],
    files: &'static [&'static str],
    list: &'static str,
}

const fn shell(words: &'static [&'static str], files: &'static [&'static str], list: &'static str) -> Shell {
    Shell { words, files, list }
}

const SHELLS: [Shell; 10] = [
    shell(&["/bin/bash", "--norc"], &["/bin/bash"], "declare -p"),
    shell(&["/bin/bash", "--norc", "--posix"], &["/bin/bash"], "declare -p"),
    shell(&["/bin/dash"], &["/bin/dash"], "set"),
    shell(&["/bin/busybox", "sh"], &[], "set"),
    shell(&["/bin/ksh93"], &["/bin/ksh93"], "typeset -p; typeset"),
    shell(&["/bin/mksh"], &["/bin/mksh"], "typeset -p"),
    shell(
        &["/bin/zsh", "-f"],
        &["/bin/zsh", "/usr/lib/x86_64-linux-gnu/zsh", "/usr/lib/aarch64-linux-gnu/zsh"],
        "typeset +",
    ),
    shell(&["/bin/zsh", "--emulate", "sh", "-f"], &[], "typeset +"),
    shell(&["/bin/zsh", "--emulate", "ksh", "-f"], &[], "typeset +"),
    shell(&["/bin/yash", "--norcfile"], &["/bin/yash"], "typeset -p"),
];

/// The shells that are installed.
pub(crate) fn installed() -> Vec<Shell> {
    let here = |shell: &Shell| {
        Path::new(shell.words[0]).exists() || missing(&format!("{} (see tests/install-tools)", shell.words[0]))
    };
    SHELLS.into_iter().filter(here).collect()
}

impl Shell {
    /// What it prints for `script` with these variables alone, and nothing on its standard error that is asked for.
    pub(crate) fn run(&self, script: &str, variables: &[(&str, &str)], folder: &Path) -> Vec<u8> {
        let mut command = Command::new(self.words[0]);
        command.args(&self.words[1..]).args(["-c", script]).env_clear().envs(variables.iter().copied());
        command.current_dir(folder).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().expect("a shell").stdout
    }

    /// The same as for somebody who types `script`.
    pub(crate) fn interact(&self, script: &str, variables: &[(&str, &str)], folder: &Path) {
        // In a session of its own, or it would wait for the terminal of the tests.
        let mut command = Command::new("/usr/bin/setsid");
        command.arg("--wait").args(self.words).arg("-i").env_clear().envs(variables.iter().copied());
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("setsid, of util-linux");
        let _ = child.stdin.take().expect("a pipe").write_all(script.as_bytes());
        child.wait().expect("an end");
    }

    /// The names of the variables that it has when it starts without any.
    pub(crate) fn variables(&self) -> BTreeSet<String> {
        let listed = self.run(self.list, &[], Path::new("/"));
        let name = |line: &[u8]| {
            let before = line.split(|byte| *byte == b'=').next()?;
            let last = before.split(|byte| *byte == b' ').rfind(|word| !word.is_empty())?;
            std::str::from_utf8(last).ok().filter(|name| is_identifier(name)).map(str::to_owned)
        };
        listed.split(|byte| *byte == b'\n').filter_map(name).collect()
    }
}

/// Every word in the shells' programs that could be the name of a variable.
pub(crate) fn words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut paths: Vec<_> =
        installed().iter().flat_map(|shell| shell.files).map(|file| Path::new(file).to_owned()).collect();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else if let Ok(program) = fs::read(&path) {
            words.extend(names_in(&program));
        }
    }
    words
}

/// Every word that ends a text in the data of a program and could be the name of a variable.
pub(crate) fn names_in(program: &[u8]) -> BTreeSet<String> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let texts = program.split(|byte| *byte == 0).filter_map(|text| {
        let begin = text.iter().rposition(|byte| !word(byte)).map_or(0, |at| at + 1);
        std::str::from_utf8(&text[begin..]).ok()
    });
    texts.filter(|text| is_identifier(text) && text.len() < 40).map(str::to_owned).collect()
}

/// What `env -0` printed.
pub(crate) fn environment(printed: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(printed);
    let pairs = text.split_terminator('\0').filter_map(|entry| entry.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
