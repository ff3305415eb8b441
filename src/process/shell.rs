//! Whether COMMAND is a shell, or a script for one, that drops what it cannot name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::command::resolve;

use vault_client::text;

/// Shells that do not hand on variables whose names are no identifiers. dash, busybox and mksh were seen to; another that
/// is called `sh` may.
const DROP: [&str; 5] = ["dash", "ash", "mksh", "lksh", "sh"];

/// Shells that hand every variable on, as was seen of each.
const KEEP: [&str; 7] = ["bash", "rbash", "ksh", "ksh93", "rksh93", "zsh", "yash"];

/// `env`, a script for it, and a script for what that starts.
const MOST_STEPS: usize = 4;

/// The name of the shell that `program` is, with these words of the command line behind its own name, or that it has in
/// its first line; none for other programs and for shells that hand every variable on. `path` is where `env` searches.
pub fn that_drops(program: &Path, words: &[&OsStr], path: Option<&[u8]>) -> Option<String> {
    let mut program = program.to_owned();
    let mut words: Vec<OsString> = words.iter().map(|word| (*word).to_owned()).collect();
    for _ in 0..MOST_STEPS {
        let real = fs::canonicalize(&program).unwrap_or_else(|_| program.clone());
        let (mut called, real_name) = (base_name(&program), base_name(&real));
        if called == "busybox" && !words.is_empty() {
            called = base_name(Path::new(&words.remove(0)));
        }
        if KEEP.contains(&&*real_name) {
            return None;
        }
        if let Some(shell) = [&real_name, &called].into_iter().find(|name| DROP.contains(&name.as_str())) {
            return Some(shell.clone());
        }
        if called == "env" {
            words = behind_env(words);
            let first = (!words.is_empty()).then(|| words.remove(0))?;
            program = PathBuf::from(OsStr::from_bytes(resolve(&first, path).ok()?.as_bytes()));
        } else {
            let (interpreter, argument) = first_line(&real)?;
            words.splice(..0, argument.into_iter().chain([program.into_os_string()]));
            program = interpreter;
        }
    }
    None
}

fn base_name(path: &Path) -> String {
    text::lossy(path.file_name().unwrap_or_default().as_bytes()).into_owned()
}

/// What follows `#!`: a program, and all the rest as one argument, see
/// [execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html#NOTES).
fn first_line(file: &Path) -> Option<(PathBuf, Option<OsString>)> {
    let mut head = [0; 256];
    // A FIFO would not let go of who opens it.
    fs::metadata(file).is_ok_and(|it| it.is_file()).then_some(())?;
    let length = File::open(file).ok()?.read_at(&mut head, 0).ok()?;
    let line = head[..length].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let argument = line[end..].trim_ascii();
    let program = PathBuf::from(OsStr::from_bytes(&line[..end]));
    Some((program, (!argument.is_empty()).then(|| OsString::from_vec(argument.to_vec()))))
}

/// The command behind `env`'s own options and assignments:
/// <https://www.gnu.org/software/coreutils/manual/html_node/env-invocation.html>.
fn behind_env(words: Vec<OsString>) -> Vec<OsString> {
    let mut rest = std::collections::VecDeque::from(words);
    while let Some(word) = rest.pop_front() {
        let bytes = word.as_bytes();
        match bytes {
            b"--" => break,
            b"-u" | b"-C" | b"--unset" | b"--chdir" => drop(rest.pop_front()),
            [b'-', b'-', ..] | b"-" => {}
            [b'-', options @ ..] => {
                if let Some(at) = options.iter().position(|option| *option == b'S') {
                    let text = if at + 1 < options.len() { options[at + 1..].to_vec() } else { next(&mut rest) };
                    let split = text.split(u8::is_ascii_whitespace).filter(|it| !it.is_empty());
                    split.rev().for_each(|it| rest.push_front(OsString::from_vec(it.to_vec())));
                }
            }
            _ if bytes.contains(&b'=') => {}
            _ => {
                rest.push_front(word);
                break;
            }
        }
    }
    rest.into()
}

fn next(words: &mut std::collections::VecDeque<OsString>) -> Vec<u8> {
    words.pop_front().unwrap_or_default().into_vec()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder of programs that are never run, and scripts for them.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut files: Vec<_> =
            ["dash", "bash", "busybox", "env", "app"].map(|name| (name.to_owned(), String::new())).into();
        let lines = [
            ("script", "#!{}/dash"),
            ("spaced", "#! \t{}/sh -e"),
            ("by-env", "#!{}/env sh"),
            ("by-env-s", "#!{}/env -S -u X A=b dash -e"),
            ("by-script", "#!{}/by-env"),
            ("bash-script", "#!{}/env bash"),
            ("app-script", "#!{}/app"),
            ("loop", "#!{}/loop"),
        ];
        files.extend(lines.map(|(name, line)| (name.into(), line.replace("{}", folder.path().to_str().unwrap()))));
        for (name, content) in files {
            fs::write(at(&name), if content.is_empty() { "\0".into() } else { content + "\n" }).unwrap();
            fs::set_permissions(at(&name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (link, to) in [("sh", "dash"), ("bash-sh", "bash"), ("ash", "busybox"), ("link", "script")] {
            symlink(at(to), at(link)).unwrap();
        }
        folder
    }

    #[test]
    fn a_shell_is_known_by_its_file_its_name_its_first_line_and_behind_env() {
        let folder = folder();
        for (command, shell) in [
            ("dash -c x", Some("dash")),
            ("sh", Some("dash")),
            ("ash x", Some("ash")),
            ("busybox sh -c x", Some("sh")),
            ("busybox env A=b sh", Some("dash")),
            ("busybox", None),
            ("env sh -c x", Some("dash")),
            ("env -i A=b -u C -- dash", Some("dash")),
            ("env bash dash", None),
            ("env", None),
            ("env -S dash", Some("dash")),
            ("script", Some("dash")),
            ("link", Some("dash")),
            ("spaced", Some("dash")),
            ("by-env", Some("dash")),
            ("by-env-s", Some("dash")),
            ("by-script", Some("dash")),
            ("bash-script", None),
            ("bash-sh", None),
            ("app-script", None),
            ("app dash", None),
            ("loop", None),
            ("missing", None),
        ] {
            let mut words = command.split(' ').map(OsStr::new);
            let program = folder.path().join(words.next().unwrap());
            let path = Some(folder.path().as_os_str().as_bytes());
            assert_eq!(that_drops(&program, &words.collect::<Vec<_>>(), path).as_deref(), shell, "{command}");
        }
    }
}
