//! The file writer when the system fails it: killed, refused, out of space. Whatever happens, the old file or the
//! new one is there as a whole, and nothing else is once the next run has ended.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;
use vault_exec::sink::file::{self, Target};

use crate::support::system::{example, names, random, strace, with_own_mounts, without_privileges};

/// A directory with an `app.env`, and what to replace its content with.
struct Scene {
    directory: TempDir,
    target: PathBuf,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("app.env");
        let scene = Self { directory, target, old: vec![b'o'; 50_000], new: vec![b'n'; 60_000] };
        fs::write(&scene.target, &scene.old).unwrap();
        scene
    }

    /// Has the program write the new content, with a mode and an owner, started through `command`.
    fn write_through(&self, mut command: Command) -> Output {
        let owner = format!("{}:{}", geteuid(), getegid());
        command.arg(example("write_file")).arg(&self.target).args(["0640", &owner]);
        command.stdin(self.new_content()).output().unwrap()
    }

    fn new_content(&self) -> File {
        // Not in the directory: nothing but the program's doing is to be seen there.
        let content = tempfile::NamedTempFile::new().unwrap();
        fs::write(&content, &self.new).unwrap();
        content.reopen().unwrap()
    }

    /// strace with this `-e` option. Its log tells of the calls.
    fn traced(&self, expression: &str) -> Option<(Output, String)> {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = strace(log.path())?;
        command.args(["-e", expression]);
        let output = self.write_through(command);
        Some((output, fs::read_to_string(log.path()).unwrap()))
    }

    /// The calls of a run that nothing disturbs, each with its arguments and result.
    fn calls(&self) -> Option<Vec<(String, String)>> {
        let (output, log) = self.traced("trace=all")?;
        assert!(output.status.success());
        let calls = log.lines().filter_map(|line| {
            let (name, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
            Some((name.to_owned(), rest.to_owned()))
        });
        Some(calls.collect())
    }

    fn left_overs(&self) -> Vec<String> {
        names(self.directory.path()).into_iter().filter(|name| name != "app.env").collect()
    }
}

fn creates((_, arguments): &(String, String)) -> bool {
    arguments.contains("O_CREAT")
}

fn renames((name, _): &(String, String)) -> bool {
    name.starts_with("rename")
}

#[test]
fn a_file_loses_its_list_gets_its_group_mode_and_user_then_its_content_then_its_name_and_each_is_synced() {
    let Some(calls) = Scene::new().calls() else { return };
    let creations: Vec<_> = calls.iter().filter(|call| creates(call)).collect();
    assert_eq!(creations.len(), 1);
    for part in ["O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", ".app.env.vault-exec.", ", 0600)"] {
        assert!(creations[0].1.contains(part), "{creations:?}");
    }

    let start = calls.iter().position(creates).unwrap();
    let watched = ["xattr", "chmod", "chown", "write", "fsync", "rename", "umask"];
    let shaping: Vec<_> = calls[start..]
        .iter()
        .filter(|(name, rest)| watched.iter().any(|call| name.contains(call)) && !rest.starts_with("1, "))
        .collect();
    let order: Vec<_> = shaping.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(order, ["fremovexattr", "fchown", "fchmod", "fchown", "write", "fsync", "renameat", "fsync"]);
    assert!(shaping[2].1.contains(", 0640)"), "{shaping:?}");
}

#[test]
fn the_umask_takes_nothing_from_the_mode() {
    let scene = Scene::new();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0777; exec \"$@\"", "sh"]);
    assert!(scene.write_through(command).status.success());
    assert_eq!(fs::metadata(&scene.target).unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn a_call_that_fails_leaves_the_old_file_and_nothing_beside_it() {
    for (fault, code) in [
        ("openat:error=EMFILE:when=LAST", 73),
        ("openat:error=ENOSPC:when=LAST", 74),
        ("openat:error=EROFS:when=LAST", 73),
        ("fremovexattr:error=EPERM", 73),
        ("fremovexattr:error=EIO", 74),
        ("fchown:error=EPERM:when=1", 73),
        ("fchown:error=EPERM:when=2", 73),
        ("fchmod:error=EPERM", 73),
        ("write:error=ENOSPC:when=1", 74),
        ("write:error=EIO:when=1", 74),
        ("fsync:error=EIO:when=1", 74),
        ("renameat:error=EACCES", 73),
        ("renameat:error=EBUSY", 73),
        ("renameat:error=ENOSPC", 74),
    ] {
        let scene = Scene::new();
        let Some(calls) = scene.calls() else { return };
        fs::write(&scene.target, &scene.old).unwrap();
        let last = calls.iter().filter(|(name, _)| name == "openat").count();
        let fault = fault.replace("LAST", &last.to_string());

        let (output, _) = scene.traced(&format!("inject={fault}")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{fault}: {said}");
        assert!(said.starts_with(&format!("{}: ", scene.target.display())), "{fault}: {said}");
        assert_eq!(scene.left_overs(), Vec::<String>::new(), "{fault}");
        assert!(fs::read(&scene.target).unwrap() == scene.old, "{fault}");
    }
}

#[test]
fn a_call_that_fails_without_harm_is_no_error() {
    for fault in [
        // No access control lists on this file system; none on this file.
        "fremovexattr:error=EOPNOTSUPP",
        "fremovexattr:error=ENODATA",
        // No locks on this file system; another run has it locked, as a left-over.
        "flock:error=ENOLCK",
        "flock:error=EAGAIN:when=1",
        // No left-overs to be found, no directory to be synced.
        "getdents64:error=EIO",
        "fsync:error=EINVAL:when=2",
    ] {
        let scene = Scene::new();
        let Some((output, _)) = scene.traced(&format!("inject={fault}")) else {
            return;
        };
        assert!(output.status.success(), "{fault}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(scene.left_overs(), Vec::<String>::new(), "{fault}");
        assert!(fs::read(&scene.target).unwrap() == scene.new, "{fault}");
    }
}

#[test]
fn a_directory_that_cannot_be_synced_is_an_error_that_says_the_file_is_new() {
    let scene = Scene::new();
    let Some((output, _)) = scene.traced("inject=fsync:error=EIO:when=2") else {
        return;
    };
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("with the new file in place"));
    assert!(fs::read(&scene.target).unwrap() == scene.new);
}

/// Kills the program as it enters one of these calls.
fn kill_at_call(scene: &Scene, calls: &[(String, String)], index: usize) {
    let name = &calls[index].0;
    let nth = calls[..=index].iter().filter(|(other, _)| other == name).count();
    scene.traced(&format!("inject={name}:signal=KILL:when={nth}")).unwrap();
}

/// Kills the program some time after its start.
fn kill_after(scene: &Scene, time: Duration) {
    let mut command = Command::new(example("write_file"));
    command.arg(&scene.target).arg("0640").stdin(scene.new_content()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_kill_at_any_point_leaves_the_old_file_or_the_new_and_the_next_run_removes_what_it_left() {
    let scene = Scene::new();
    let Some(calls) = scene.calls() else { return };
    let creation = calls.iter().position(creates).unwrap();
    let rename = calls.iter().position(renames).unwrap();
    let start = Instant::now();
    assert!(scene.write_through(Command::new("env")).status.success());
    let usual = start.elapsed();

    let mut between = 0;
    let mut replaced = 0;
    for run in 0..500 {
        fs::write(&scene.target, &scene.old).unwrap();
        match run % 4 {
            0 | 1 => kill_after(&scene, usual.mul_f64(f64::from(u32::try_from(random(1000)).unwrap()) / 800.0)),
            2 => kill_at_call(&scene, &calls, random(calls.len())),
            _ => kill_at_call(&scene, &calls, creation + 1 + random(rename - creation)),
        }

        let content = fs::read(&scene.target).unwrap();
        assert!(content == scene.old || content == scene.new, "{} bytes after run {run}", content.len());
        replaced += usize::from(content == scene.new);
        let left = scene.left_overs();
        assert!(left.len() <= 1, "{left:?}");
        for name in &left {
            let mode = fs::metadata(scene.directory.path().join(name)).unwrap().permissions().mode();
            assert!([0o600, 0o640].contains(&(mode & 0o7777)), "{mode:o}");
            between += 1;
        }
        file::write(&Target::new(&scene.target), b"the next run").unwrap();
        assert_eq!(scene.left_overs(), Vec::<String>::new());
    }
    println!("{between} killed between open and rename, {replaced} after the rename");
    assert!(between >= 100, "only {between} of 500 were killed between open and rename");
    assert!(replaced > 0, "none was killed after the rename");
}

/// Has the program write a file of this size over an old one, on a disk that the script makes at `$1`, and expects
/// this exit code and remedy.
fn assert_refused_on_a_disk(make: &str, size: usize, code: i32, remedy: &str) {
    let scene = Scene::new();
    let script = format!(
        r#"{make}
        code=0
        head -c {size} /dev/zero | "$2" "$1/app.env" || code=$?
        echo "$code" $(ls -A "$1") $(cat "$1/app.env")"#
    );
    let Some(output) = with_own_mounts(&script, &[scene.directory.path(), &example("write_file")]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{code} app.env old\n"), "{said}");
    assert!(said.trim_end().ends_with(remedy), "{said}");
}

#[test]
fn a_disk_with_room_for_the_old_file_only_keeps_it() {
    let make = r#"mount -t tmpfs -o size=16k none "$1"; printf old >"$1/app.env""#;
    assert_refused_on_a_disk(make, 100_000, 74, "make the volume larger or free some of it");
}

#[test]
fn a_disk_that_takes_no_further_file_keeps_the_old_one() {
    // Its root directory is the other one of the two.
    let make = r#"mount -t tmpfs -o nr_inodes=2 none "$1"; printf old >"$1/app.env""#;
    assert_refused_on_a_disk(make, 1, 74, "make the volume larger or free some of it");
}

#[test]
fn a_read_only_disk_is_said_to_be_one() {
    let make = r#"mount -t tmpfs none "$1"; printf old >"$1/app.env"; mount -o remount,bind,ro "$1""#;
    assert_refused_on_a_disk(make, 1, 73, "choose a volume that is not read-only");
}

#[test]
fn a_file_that_is_a_mount_point_is_said_to_be_one() {
    let make = r#"mount -t tmpfs none "$1"; printf old >"$1/app.env"; mount --bind "$1/app.env" "$1/app.env""#;
    assert_refused_on_a_disk(make, 1, 73, "the file is a mount point; mount its directory instead");
}

#[test]
fn a_user_who_may_not_write_there_or_give_files_away_is_told_so() {
    let scene = Scene::new();
    // The program has to be where that user can reach it. Copied by another process, which alone has it open.
    let program = scene.directory.path().join("program");
    assert!(Command::new("cp").arg(example("write_file")).arg(&program).status().unwrap().success());
    let open_to_all = scene.directory.path().join("open");
    fs::create_dir(&open_to_all).unwrap();
    let closed = scene.directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    for (path, mode) in [(scene.directory.path(), 0o755), (&open_to_all, 0o777), (&closed, 0o555)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    let remedy = "let this user write to the directory (in Kubernetes: fsGroup)";
    let give_away = "only root, or a process with CAP_CHOWN, gives files to another user or group";
    for (directory, owner, remedy) in
        [(&closed, None, remedy), (&open_to_all, Some("0"), give_away), (&open_to_all, Some("0:0"), give_away)]
    {
        let Some(mut command) = without_privileges(&program) else {
            return;
        };
        command.arg(directory.join("app.env")).arg("0600").args(owner);
        let output = command.stdin(scene.new_content()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(73), "{said}");
        assert!(said.trim_end().ends_with(remedy), "{said}");
        assert_eq!(names(directory), Vec::<String>::new());
    }
}
