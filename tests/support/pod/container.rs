//! One container: a root of its own, its mounts, its user and its memory, as a container runtime would make them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cgroup::Cgroup;
use crate::support::child_report::ChildReport;
use crate::support::scenario::child_program;

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
    /// The process whose mounts are the pod's.
    pub(super) sandbox: u32,
    pub(super) folder: &'a Path,
    pub(super) mounts: Vec<Mount>,
    pub(super) termination_log: String,
    pub(super) read_only: bool,
    /// What it requests and what it is limited to.
    pub(super) memory: [u64; 2],
    pub(super) user: [u64; 2],
    pub(super) no_new_privileges: bool,
    pub(super) env: BTreeMap<String, String>,
    pub(super) command: Vec<String>,
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
    /// Runs it to its end; an error tells why it could not be made.
    pub(super) fn run(mut self, name: &str) -> Result<Ended, String> {
        let log = self.folder.join("termination-log");
        fs::write(&log, "").expect("a file is written");
        // As the kubelet leaves it, for any user.
        fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).expect("a mode");
        self.mounts.push(Mount::new("rw", &log, &self.termination_log));

        let (root, mark) = (self.folder.join("root"), self.folder.join("made"));
        fs::create_dir(&root).expect("a folder");
        let cgroup = Cgroup::limited(self.memory[1]);
        let mut command = self.command(&root, &mark, cgroup.as_ref().map_or(Path::new(""), Cgroup::path));
        let output = command.stdin(Stdio::null()).output().expect("nsenter runs");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        if !mark.exists() {
            return Err(stderr);
        }
        let code = output.status.code().or_else(|| output.status.signal().map(|number| 128 + number));
        Ok(Ended {
            name: name.to_owned(),
            code: code.expect("an end"),
            stdout: output.stdout,
            stderr,
            message: fs::read_to_string(&log).expect("a message"),
            given: self.env,
            memory: cgroup.map_or(0, |it| it.peak()),
            requested: self.memory[0],
            limited: self.memory[1],
        })
    }

    fn command(&self, root: &Path, mark: &Path, cgroup: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.env("LC_ALL", "C");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.sandbox));
        command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", SCRIPT, "sh"]);
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
