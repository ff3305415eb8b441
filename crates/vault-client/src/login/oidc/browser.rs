//! Opens the person's browser. It gets the URL as one argument, and nothing of what this program holds.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::time::Call;

/// What starts it and ends at once: nobody has to wait for the browser, whose parent is the first process then. The program
/// and its arguments are not part of the script.
const SCRIPT: &str = "\"$@\" &";

/// The shell has so long to start the browser.
const PATIENCE: Duration = Duration::from_secs(2);

/// So often the shell is asked whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// A way to open a URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Browser {
    program: PathBuf,
    /// The words behind it; the URL is in the place of `%s`, or behind them all.
    words: Vec<OsString>,
}

impl Browser {
    /// The first of what `BROWSER` names that is there; else `xdg-open`. `variable` gives the value of a variable.
    /// `BROWSER` is a list with colons: <https://manpages.debian.org/sensible-browser>
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let path = variable("PATH").unwrap_or_default();
        let list = variable("BROWSER").filter(|list| !list.is_empty()).unwrap_or_else(|| "xdg-open".into());
        list.as_bytes().split(|byte| *byte == b':').find_map(|command| {
            let mut words = command.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let program = program(OsStr::from_bytes(words.next()?), &path)?;
            Some(Self { program, words: words.map(|word| OsStr::from_bytes(word).to_owned()).collect() })
        })
    }

    /// What stands behind the program where it opens `url`.
    fn arguments(&self, url: &str) -> Vec<OsString> {
        const PLACE: &[u8] = b"%s";
        let has_place = |word: &OsStr| word.as_bytes().windows(2).any(|two| two == PLACE);
        let filled = |word: &OsString| {
            let bytes = word.as_bytes();
            let at = bytes.windows(2).position(|two| two == PLACE);
            at.map_or(word.clone(), |at| {
                OsStr::from_bytes(&[&bytes[..at], url.as_bytes(), &bytes[at + 2..]].concat()).to_owned()
            })
        };
        let mut words: Vec<_> = self.words.iter().map(filled).collect();
        if !self.words.iter().any(|word| has_place(word)) {
            words.push(url.into());
        }
        words
    }

    /// Opens `url`, and tells whether a browser was started.
    pub fn open(&self, url: &str, call: &Call) -> bool {
        let Ok(shell) = self.spawn(url) else { return false };
        let end = Instant::now() + PATIENCE;
        loop {
            match waitpid(shell, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => return code == 0,
                Ok(WaitStatus::StillAlive) if Instant::now() < end && call.pause(Instant::now() + LOOK).is_ok() => {}
                // No child is left behind, whatever it was busy with.
                Ok(WaitStatus::StillAlive) => {
                    let _ = kill(shell, Signal::SIGKILL);
                    let _ = waitpid(shell, None);
                    return false;
                }
                _ => return false,
            }
        }
    }

    /// Starts the shell. `std::process::Command` does the same and is some 15 KB larger.
    fn spawn(&self, url: &str) -> nix::Result<Pid> {
        let (mut attributes, mut actions) = (PosixSpawnAttr::init()?, PosixSpawnFileActions::init()?);
        // A group of its own: what the terminal sends to this program's is not meant for the browser.
        attributes.set_pgroup(Pid::from_raw(0))?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        for descriptor in 0..=2 {
            actions.add_open(descriptor, c"/dev/null", OFlag::O_RDWR, Mode::empty())?;
        }
        let text = |text: OsString| CString::new(text.into_vec()).map_err(|_| Errno::EINVAL);
        let script = ["sh", "-c", SCRIPT, "sh"].map(OsString::from).into_iter();
        let arguments = script.chain([self.program.clone().into()]).chain(self.arguments(url)).map(text);
        let others = std::env::vars_os().filter(|(name, _)| !is_ours(name));
        let environment = others.map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            text(variable)
        });
        let (arguments, environment) =
            (arguments.collect::<nix::Result<Vec<_>>>()?, environment.collect::<nix::Result<Vec<_>>>()?);
        posix_spawn(c"/bin/sh", &actions, &attributes, &arguments, &environment)
    }
}

/// Whether a variable can hold a credential of this program: none of its settings is a browser's business.
fn is_ours(name: &OsStr) -> bool {
    let prefix = name.as_bytes().split(|byte| *byte == b'_').next().unwrap_or_default();
    matches!(prefix, b"VAULT" | b"BAO") && prefix.len() < name.len()
}

/// The file of a program's name, as a shell finds it.
fn program(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        let found = std::fs::metadata(file);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    // An empty or relative folder is whatever this program was started in.
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| Path::new(&folder).join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::time::Cancel;

    fn call() -> Call {
        Call::until(Instant::now() + Duration::from_secs(60), Cancel::never())
    }

    /// A folder with programs of these names, each of which is the script.
    fn programs(names: &[&str], script: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let file = folder.path().join(name);
            fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(folder.path().join("no-program"), "").unwrap();
        folder
    }

    #[test]
    fn the_first_browser_of_the_list_is_taken_that_is_there() {
        let folder = programs(&["xdg-open", "firefox", "kiosk"], "");
        let path = folder.path();
        let find = |browser: Option<&str>| {
            let found = Browser::find(|name| match name {
                "PATH" => Some(format!("relative::/nowhere:{}", path.display()).into()),
                _ => browser.map(Into::into),
            })?;
            let program = found.program.strip_prefix(path).unwrap().to_str().unwrap().to_owned();
            Some((program, found.arguments("http://u/?a=%s").join(OsStr::new(" ")).into_string().unwrap()))
        };
        let absolute = format!("{}/firefox -new-tab", path.display());
        for (browser, expected) in [
            (None, Some(("xdg-open", "http://u/?a=%s"))),
            (Some(""), Some(("xdg-open", "http://u/?a=%s"))),
            (Some("firefox"), Some(("firefox", "http://u/?a=%s"))),
            (Some("absent:no-program::firefox -P work"), Some(("firefox", "-P work http://u/?a=%s"))),
            (Some("kiosk --url=%s --full"), Some(("kiosk", "--url=http://u/?a=%s --full"))),
            (Some(&absolute), Some(("firefox", "-new-tab http://u/?a=%s"))),
            (Some("absent"), None),
            (Some("/absent/firefox"), None),
        ] {
            let expected = expected.map(|(program, words): (&str, &str)| (program.to_owned(), words.to_owned()));
            assert_eq!(find(browser), expected, "{browser:?}");
        }
    }

    #[test]
    fn a_browser_gets_the_url_as_one_word_and_no_descriptor_and_no_blocked_signal() {
        let script = "out=${0%/*}/out; { echo \"$#\"; echo \"$1\"; ls -l /proc/self/fd | grep -c socket: ; \
                      grep SigBlk /proc/self/status; } > \"$out.new\"; mv \"$out.new\" \"$out\"";
        let folder = programs(&["browser"], script);
        let browser = Browser { program: folder.path().join("browser"), words: Vec::new() };
        let _open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = "http://idp.example/?a=$(touch /tmp/x)&b=';`\"";
        // As a program has it that waits for its signals.
        SigSet::all().thread_block().unwrap();
        assert!(browser.open(url, &call()));
        let out = folder.path().join("out");
        vault_testkit::eventually("the browser has run", || out.exists());
        assert_eq!(fs::read_to_string(out).unwrap(), format!("1\n{url}\n0\nSigBlk:\t0000000000000000\n"));
    }

    #[test]
    fn a_browser_that_stays_open_is_not_waited_for() {
        let folder = programs(
            &["browser"],
            "echo $$ > \"${0%/*}/pid.new\"; mv \"${0%/*}/pid.new\" \"${0%/*}/pid\"; exec sleep 600",
        );
        let browser = Browser { program: folder.path().join("browser"), words: Vec::new() };
        assert!(browser.open("http://idp.example/", &call()));
        let pid = folder.path().join("pid");
        vault_testkit::eventually("the browser has run", || pid.exists());
        let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap();
        assert_ne!(parent, std::process::id().to_string());
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }

    #[test]
    fn what_the_settings_are_named_by_is_kept_from_the_browser() {
        let ours = ["VAULT", "BAO"].map(|prefix| [format!("{prefix}_TOKEN"), format!("{prefix}_")]).concat();
        let others = ["VAULT", "BAO", "BAOBAB_X", "VAULTS_X", "XBAO_TOKEN", "DISPLAY", ""].map(str::to_owned);
        assert!(ours.iter().all(|name| is_ours(OsStr::new(name))), "{ours:?}");
        assert!(!others.iter().any(|name| is_ours(OsStr::new(name))), "{others:?}");
    }
}
