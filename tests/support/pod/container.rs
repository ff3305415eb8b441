//! One container: a root of its own, its mounts, its user and its memory, as a container runtime would make them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cgroup::Cgroup;
use crate::support::child_report::ChildReport;
use crate::support::isolated::child_of;
use crate::support::scenario::child_program;
use crate::support::started::{LIMIT, Stream};

/// Puts a root together below `$1`, marks with `$2` that it is there, and becomes the rest. `$3` is `ro` for a root
/// that nobody can write, and `$4` a cgroup or nothing.
const SCRIPT: &str = r#"
    root=$1 mark=$2 access=$3 cgroup=$4; shift 4
    mount -t tmpfs -o mode=755 tmpfs "$root"
    while [ "$1" != -- ]; do
        how=$1 from=$2 to=$root$3; shift 3
        case $how in
            copy) cp -a "$from/." "$to" ;;
            link) cp -P "$from" "$to" ;;
            *) if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; : >>"$to"; fi
               mount --bind "$from" "$to"
               [ "$how" = rw ] || mount -o remount,bind,ro "$to" ;;
        esac
    done
    shift
    mkdir -p "$root/proc" && mount -t proc proc "$root/proc"
    [ "$access" = rw ] || mount -o remount,ro "$root"
    : >"$mark"
    [ -z "$cgroup" ] || echo 0 >"$cgroup/cgroup.procs"
    exec "$@"
"#;

/// In a container's folder: its termination log, and what is there once its root is made.
const LOG: &str = "termination-log";
const MARK: &str = "made";

/// How a path gets into a root.
pub(super) struct Mount {
    how: &'static str,
    from: PathBuf,
    to: String,
}

impl Mount {
    pub(super) fn new(how: &'static str, from: impl Into<PathBuf>, to: impl Into<String>) -> Self {
        Self { how, from: from.into(), to: to.into() }
    }
}

/// What a container is made of.
pub(super) struct Container<'a> {
    pub(super) name: &'a str,
    /// The process whose mounts are the pod's, and whose children are where the pod's processes are.
    pub(super) sandbox: u32,
    pub(super) processes: Processes,
    pub(super) folder: PathBuf,
    pub(super) mounts: Vec<Mount>,
    pub(super) termination_log: String,
    pub(super) read_only: bool,
    /// What it requests and what it is limited to.
    pub(super) memory: [u64; 2],
    pub(super) user: [u64; 2],
    pub(super) no_new_privileges: bool,
    pub(super) env: BTreeMap<String, String>,
    pub(super) command: Vec<String>,
    /// Whether its log stands in for a message that is missing.
    pub(super) falls_back: bool,
}

/// Whose processes a container sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Processes {
    /// Its own, of which its program is the first.
    Own,
    /// Those of the pod.
    Shared,
}

/// A container under way; dropping it ends it.
pub(super) struct Begun {
    pub(super) name: String,
    process: Child,
    output: Option<[Stream; 2]>,
    folder: PathBuf,
    cgroup: Option<Cgroup>,
    memory: [u64; 2],
    env: BTreeMap<String, String>,
    falls_back: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// What `kubectl describe` shows.
    pub(crate) message: String,
    /// The environment that it was given.
    pub(crate) given: BTreeMap<String, String>,
    /// The most memory that it took, and the memory that its manifest requests and limits it to, in bytes.
    pub(crate) memory: u64,
    pub(crate) requested: u64,
    pub(crate) limited: u64,
}

impl Ended {
    /// What the observed application printed.
    pub(crate) fn child(&self) -> ChildReport {
        assert_eq!(self.code, 0, "{self:?}");
        ChildReport::parse(&self.stdout)
    }
}

impl Container<'_> {
    /// Starts it.
    pub(super) fn begin(mut self) -> Begun {
        let log = self.folder.join(LOG);
        fs::write(&log, "").expect("a file is written");
        // As the kubelet leaves it, for any user.
        fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).expect("a mode");
        self.mounts.push(Mount::new("rw", &log, &self.termination_log));

        let root = self.folder.join("root");
        fs::create_dir(&root).expect("a folder");
        let cgroup = Cgroup::limited(self.memory[1]);
        let folder = cgroup.as_ref().map_or(Path::new(""), Cgroup::path);
        let mut command = self.command(&root, &self.folder.join(MARK), folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("nsenter runs");
        let output = Some([Stream::of(process.stdout.take()), Stream::of(process.stderr.take())]);
        let Self { name, folder, memory, env, falls_back, .. } = self;
        Begun { name: name.to_owned(), process, output, folder, cgroup, memory, env, falls_back }
    }

    fn command(&self, root: &Path, mark: &Path, cgroup: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.env("LC_ALL", "C");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.sandbox));
        // Either way the program is the one child of what is started here.
        match self.processes {
            Processes::Own => command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child"]),
            Processes::Shared => {
                let pod = format!("--pid=/proc/{}/ns/pid_for_children", self.sandbox);
                command.args([&pod, "unshare", "--mount"])
            }
        };
        command.args(["sh", "-euc", SCRIPT, "sh"]);
        command.arg(root).arg(mark).arg(if self.read_only { "ro" } else { "rw" }).arg(cgroup);
        for Mount { how, from, to } in &self.mounts {
            command.arg(how).arg(from).arg(to);
        }
        let privileges = self.no_new_privileges.then_some("--no-new-privs");
        command.args(["--", "/usr/bin/setpriv", "--clear-groups"]).args(privileges);
        command.args(["/usr/bin/env", "-i"]).args(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        // Whoever becomes another user than root is left without capabilities.
        let [user, group] = self.user;
        command.arg("/usr/bin/unshare").arg(format!("--root={}", root.display())).arg("--wd=/");
        command.args([format!("--setuid={user}"), format!("--setgid={group}"), "--".to_owned()]).args(&self.command);
        command
    }
}

impl Begun {
    /// Waits until the program has said this, on either stream.
    pub(super) fn await_text(&self, stream: usize, text: &str) {
        self.output.as_ref().expect("it runs")[stream].await_text(text, LIMIT);
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("a child can be asked").is_some()
    }

    /// Sends its program a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let program = child_of(Pid::from_raw(self.process.id().try_into().expect("a pid")));
        kill(program, signal).expect("a signal is sent");
    }

    /// Waits for its end; an error tells why it could not be made.
    pub(super) fn finish(mut self) -> Result<Ended, String> {
        let status = self.process.wait().expect("a child can be waited for");
        let [stdout, stderr] = self.output.take().expect("it runs").map(Stream::whole);
        let stderr = String::from_utf8(stderr).expect("UTF-8");
        if !self.folder.join(MARK).exists() {
            return Err(stderr);
        }
        let code = status.code().or_else(|| status.signal().map(|number| 128 + number)).expect("an end");
        let mut message = fs::read_to_string(self.folder.join(LOG)).expect("a message");
        if self.falls_back && message.is_empty() && code != 0 {
            message.clone_from(&stderr);
        }
        let _ = fs::remove_dir_all(&self.folder);
        Ok(Ended {
            name: std::mem::take(&mut self.name),
            code,
            stdout,
            stderr,
            message,
            given: std::mem::take(&mut self.env),
            memory: self.cgroup.as_ref().map_or(0, Cgroup::peak),
            requested: self.memory[0],
            limited: self.memory[1],
        })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.has_ended() {
            // The program is killed with it, or with the pod.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The devices that every container has.
pub(super) fn devices() -> Vec<Mount> {
    let names = ["null", "zero", "full", "random", "urandom"];
    names.map(|name| Mount::new("rw", format!("/dev/{name}"), format!("/dev/{name}"))).into()
}

/// What an image holds and starts with.
pub(super) fn image(name: &str) -> (Vec<Mount>, Vec<String>) {
    match name.rsplit_once(':').expect("a tag").0 {
        "registry.example/vault-exec" => {
            (vec![Mount::new("copy", program_image(), "/")], vec!["/vault-exec".to_owned()])
        }
        // The observed application, on top of this machine's programs and libraries.
        "registry.example/shop" => {
            let system = ["/usr", "/bin", "/lib", "/lib64"].map(Path::new).into_iter().filter(|it| it.exists());
            let how = |path: &Path| if path.is_symlink() { "link" } else { "ro" };
            let mut mounts: Vec<_> =
                system.map(|path| Mount::new(how(path), path, path.to_str().expect("a text"))).collect();
            mounts.push(Mount::new("ro", child_program(), "/shop"));
            (mounts, Vec::new())
        }
        other => panic!("no such image: {other}"),
    }
}

/// The image of the program, unpacked.
pub(super) fn program_image() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image/root")
}
