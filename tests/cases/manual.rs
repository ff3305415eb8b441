//! The committed manual page and completions are those that the code makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vault_exec::cli::{EXIT_CODES, definitions};
use vault_exec::config::setting;
use vault_testkit::missing;

use crate::support::system::{example, names};

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual")
}

#[test]
fn what_is_committed_is_what_the_code_makes() {
    let made = tempfile::tempdir().unwrap();
    assert!(Command::new(example("manual")).arg(made.path()).status().unwrap().success());
    assert_eq!(names(&committed()), names(made.path()));
    for name in names(made.path()) {
        let read = |folder: &Path| fs::read_to_string(folder.join(&name)).unwrap();
        assert!(read(&committed()) == read(made.path()), "{name} is out of date: cargo run --example manual");
    }
}

#[test]
fn the_page_has_every_flag_variable_alias_and_exit_code() {
    let page = fs::read_to_string(committed().join("vault-exec.1")).unwrap().replace("\\-", "-");
    let flags: Vec<_> = definitions().get_arguments().filter_map(|it| it.get_long().map(str::to_owned)).collect();
    assert!(flags.len() > 5, "{flags:?}");
    for flag in flags {
        assert!(page.contains(&format!("\\fB--{flag}\\fR")), "--{flag}");
    }
    for setting in setting::ALL {
        for name in [&setting.name].into_iter().chain(setting.aliases) {
            assert!(page.contains(name), "{name}");
        }
    }
    for (code, what) in EXIT_CODES {
        assert!(page.contains(&format!("\\fB{code}\\fR\n{what}\n")), "{code} {what}");
    }
}

#[test]
fn the_completions_are_scripts_that_their_shells_can_read_and_have_every_flag() {
    for (shell, name) in [("bash", "vault-exec.bash"), ("zsh", "_vault-exec"), ("fish", "vault-exec.fish")] {
        let path = committed().join(name);
        let script = fs::read_to_string(&path).unwrap();
        for flag in definitions().get_arguments().filter_map(|it| it.get_long()) {
            assert!(script.contains(flag), "{name}: --{flag}");
        }
        match Command::new(shell).arg("-n").arg(&path).output() {
            Ok(output) => assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr)),
            // The others of the three are rarely on a machine that builds.
            Err(_) if shell == "bash" => drop(missing("bash")),
            Err(_) => {}
        }
    }
}
