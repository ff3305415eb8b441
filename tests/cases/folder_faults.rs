//! The folder writer when the system fails it: killed, refused, out of space. Whatever happens, the old files or the new
//! ones are there as a whole, and nothing else is once the next run has ended.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;
use vault_exec::sink::file::Target;
use vault_exec::sink::folder::{self, Named};

use crate::support::system::{example, files, is_root, names, strace, with_own_mounts, without_privileges};

/// Keys of the old files and of the new ones: one stays, one goes, one comes.
const OLD: [&str; 2] = ["A", "B"];
const NEW: [&str; 2] = ["A", "C"];

/// What the files hold.
const CONTENTS: [char; 2] = ['o', 'n'];

/// Calls that read and write nothing of the folder.
const ELSEWHERE: [&str; 5] = ["mmap", "munmap", "brk", "sigaltstack", "rt_sigaction"];

/// A directory, and a folder in it.
struct Scene {
    directory: TempDir,
    folder: PathBuf,
    /// Whether the old files are there; otherwise no folder is.
    there: bool,
}

impl Scene {
    fn new(there: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("secrets");
        let scene = Self { directory, folder, there };
        scene.set_back();
        scene
    }

    /// Has nothing but the old files there.
    fn set_back(&self) {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
        if self.there {
            write(&self.folder, &OLD, &content(CONTENTS[0]));
        }
    }

    /// Has the program write the new files, with a mode and an owner, started through `command`.
    fn write_through(&self, mut command: Command) -> Output {
        let owner = format!("{}:{}", geteuid(), getegid());
        command.arg(example("write_folder")).arg(&self.folder).args(["0640", &owner]).args(NEW);
        command.stdin(new_content()).output().unwrap()
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
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.set_back();
        let calls = log.lines().filter_map(|line| {
            let (name, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
            Some((name.to_owned(), rest.to_owned()))
        });
        Some(calls.collect())
    }

    /// The keys in effect, all of whose files are whole and of one set, and the letter that those hold.
    fn whole(&self) -> (Vec<String>, char) {
        let data = self.folder.join("..data");
        let keys = names(&data);
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let first = keys.first().map(|name| read(data.join(name)).chars().next().expect("a content"));
        let first = first.expect("a key");
        let is_whole = |name: &String| read(data.join(name)) == content(first);
        assert!(keys.iter().all(is_whole), "{keys:?}");
        // What stays can be read by its link at any time.
        assert_eq!(read(self.folder.join("A")), content(first));
        (keys, first)
    }

    /// What there is beside the data folder in effect, and beside the folder.
    fn left_overs(&self) -> Vec<String> {
        let beside = names(self.directory.path()).into_iter().filter(|name| name != "secrets");
        let data = fs::read_link(self.folder.join("..data")).ok().map(|it| it.to_str().unwrap().to_owned());
        let within = if self.folder.exists() { names(&self.folder) } else { Vec::new() };
        let within =
            within.into_iter().filter(|it| it.starts_with("..") && it != "..data" && Some(it) != data.as_ref());
        beside.chain(within).collect()
    }

    fn assert_old(&self, what: &str) {
        assert_eq!(self.left_overs(), Vec::<String>::new(), "{what}");
        if self.there {
            assert_eq!(self.whole(), (OLD.map(str::to_owned).to_vec(), CONTENTS[0]), "{what}");
        } else {
            assert!(!self.folder.exists(), "{what}");
        }
    }

    fn assert_new(&self, what: &str) {
        assert_eq!(self.whole(), (NEW.map(str::to_owned).to_vec(), CONTENTS[1]), "{what}");
    }
}

fn content(letter: char) -> String {
    String::from(letter).repeat(5000)
}

fn new_content() -> File {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, content(CONTENTS[1])).unwrap();
    file.reopen().unwrap()
}

fn write(folder: &PathBuf, names: &[&str], content: &str) {
    let file = |name: &&str| Named { name: (*name).to_owned(), content: content.as_bytes().to_vec().into() };
    let files: Vec<_> = names.iter().map(file).collect();
    folder::prepare(&Target::new(folder), &files).unwrap().commit().unwrap();
}

/// The nth call of its name that this one is.
fn nth(calls: &[(String, String)], index: usize) -> usize {
    calls[..=index].iter().filter(|(name, _)| *name == calls[index].0).count()
}

#[test]
fn files_get_their_shape_then_their_content_then_their_folder_its_own_and_the_swap_comes_when_all_is_synced() {
    let Some(calls) = Scene::new(true).calls() else { return };
    let start = calls.iter().position(|(name, _)| name == "mkdirat").unwrap();
    assert!(calls[start].1.contains(", 0700)"), "{:?}", calls[start]);
    let creations: Vec<_> = calls.iter().filter(|(_, arguments)| arguments.contains("O_CREAT")).collect();
    assert_eq!(creations.len(), NEW.len());
    for (_, arguments) in creations {
        let parts = ["O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", ", 0600)"];
        assert!(parts.iter().all(|part| arguments.contains(part)), "{arguments}");
    }
    let watched = ["mkdir", "xattr", "chmod", "chown", "write", "fsync", "symlink", "rename", "unlink"];
    let is_watched = |(name, rest): &&(String, String)| {
        watched.iter().any(|call| name.contains(call)) && !rest.starts_with("1, ") && !rest.contains("EISDIR")
    };
    let order: Vec<_> = calls[start..].iter().filter(is_watched).map(|(name, _)| name.as_str()).collect();
    let shape = ["fremovexattr", "fchown", "fchmod", "fchown"];
    let file = [&shape[..], &["write", "fsync"]].concat();
    let data = [&["mkdirat"][..], &file, &file, &shape, &["fsync"]].concat();
    let links = ["mkdirat", "symlinkat", "symlinkat", "fsync", "fsync"];
    let swap = ["renameat", "renameat", "unlinkat", "fsync"];
    let removal = ["fchmod", "unlinkat", "fchmod", "unlinkat", "unlinkat", "unlinkat"];
    assert_eq!(order, [&data[..], &links, &swap, &removal].concat());
}

#[test]
fn the_umask_takes_nothing_from_the_modes() {
    for there in [true, false] {
        let scene = Scene::new(there);
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0777; exec \"$@\"", "sh"]);
        let output = scene.write_through(command);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mode = |name: &str| fs::metadata(scene.folder.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("A"), mode("..data")), (0o640, 0o750));
        assert_eq!(mode(""), if there { 0o700 } else { 0o750 });
        scene.assert_new("umask");
    }
}

#[test]
fn a_call_that_fails_before_the_swap_leaves_the_old_files_and_nothing_beside_them() {
    for there in [true, false] {
        let scene = Scene::new(there);
        let Some(calls) = scene.calls() else { return };
        let start = calls.iter().position(|(name, _)| name == "mkdirat").unwrap();
        let swap = calls.iter().position(|(name, _)| name == "renameat").unwrap();
        let needed =
            ["mkdirat", "openat", "fremovexattr", "fchown", "fchmod", "write", "fsync", "symlinkat", "renameat"];
        for index in (start..=swap).filter(|index| needed.contains(&calls[*index].0.as_str())) {
            for (errno, code) in [("ENOSPC", 74), ("EROFS", 73)] {
                let name = &calls[index].0;
                let what = format!("{name}:error={errno}:when={}", nth(&calls, index));
                let (output, _) = scene.traced(&format!("inject={what}")).unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                let io = matches!(name.as_str(), "write" | "fsync");
                assert_eq!(output.status.code(), Some(if io { 74 } else { code }), "{what}: {said}");
                assert!(said.starts_with(&format!("{}: ", scene.folder.display())), "{what}: {said}");
                scene.assert_old(&what);
            }
        }
    }
}

/// Calls of the C library, and those whose loss costs the removal of what is out of effect.
const NO_MATTER: [&str; 4] = ["exit_group", "unlinkat", "write", "close"];

#[test]
fn a_call_that_a_profile_denies_leaves_the_old_files_or_the_new_and_an_error_says_so() {
    for there in [true, false] {
        let scene = Scene::new(there);
        let Some(calls) = scene.calls() else { return };
        let start = calls.iter().position(|(name, _)| name == "mkdirat").unwrap();
        for index in start..calls.len() {
            let name = &calls[index].0;
            let is_first = calls[start..index].iter().all(|(other, _)| other != name);
            if !is_first || NO_MATTER.contains(&name.as_str()) || ELSEWHERE.contains(&name.as_str()) {
                continue;
            }
            for errno in ["EPERM", "ENOSYS"] {
                scene.set_back();
                let what = format!("{name}:error={errno}:when={}+", nth(&calls, index));
                let (output, _) = scene.traced(&format!("inject={what}")).unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                match output.status.code() {
                    Some(0) => scene.assert_new(&what),
                    Some(73 | 74) => {
                        assert!(said.contains(" while ") && said.contains("; "), "{what}: {said}");
                        // A run that may not ask half-way, as none is that may not ask at all.
                        let swapped = said.contains("with the new files in place");
                        if there || swapped {
                            let letter = CONTENTS[usize::from(swapped)];
                            assert_eq!(scene.whole().1, letter, "{what}: {said}");
                        } else {
                            assert!(!scene.folder.exists(), "{what}: {said}");
                        }
                    }
                    code => panic!("{what}: {code:?} {said}"),
                }
            }
        }
    }
}

#[test]
fn a_call_that_fails_after_the_swap_is_an_error_that_says_the_files_are_new() {
    let scene = Scene::new(true);
    let Some(calls) = scene.calls() else { return };
    let last_sync = calls.iter().filter(|(name, _)| name == "fsync").count();
    for (fault, code, doing) in [
        ("renameat:error=EIO:when=2".to_owned(), 74, "setting the links of its keys, with the new files in place"),
        ("renameat:error=EACCES:when=2".to_owned(), 73, "setting the links of its keys, with the new files in place"),
        (format!("fsync:error=EIO:when={last_sync}"), 74, "syncing it, with the new files in place"),
    ] {
        let (output, _) = scene.traced(&format!("inject={fault}")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{fault}: {said}");
        assert!(said.contains(doing), "{fault}: {said}");
        scene.assert_new(&fault);
        write(&scene.folder, &OLD, &content(CONTENTS[0]));
        scene.assert_old(&fault);
    }
}

#[test]
fn a_call_that_fails_without_harm_is_no_error() {
    for fault in [
        // No access control lists on this file system; none on this file.
        "fremovexattr:error=EOPNOTSUPP",
        "fremovexattr:error=ENODATA",
        // No locks on this file system; another run has one locked, as a left-over.
        "flock:error=ENOLCK",
        "flock:error=EAGAIN:when=1",
        "fsync:error=EINVAL:when=3+",
    ] {
        for there in [true, false] {
            let scene = Scene::new(there);
            let Some((output, _)) = scene.traced(&format!("inject={fault}")) else { return };
            assert!(output.status.success(), "{fault}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(scene.left_overs(), Vec::<String>::new(), "{fault}");
            scene.assert_new(fault);
        }
    }
}

#[test]
fn a_kill_at_any_call_leaves_the_old_files_or_the_new_and_the_next_run_removes_what_it_left() {
    for there in [true, false] {
        let scene = Scene::new(there);
        let Some(calls) = scene.calls() else { return };
        let start = calls.iter().position(|(name, _)| name == "mkdirat").unwrap();
        let swap = calls.iter().position(|(name, _)| name == "renameat").unwrap();
        let mut left = 0;
        for index in (start..calls.len()).filter(|index| !ELSEWHERE.contains(&calls[*index].0.as_str())) {
            scene.set_back();
            let name = &calls[index].0;
            let what = format!("{name}:signal=KILL:when={}", nth(&calls, index));
            scene.traced(&format!("inject={what}")).unwrap();
            left += scene.left_overs().len();
            if index > swap {
                scene.assert_new(&what);
            } else if there {
                assert_eq!(scene.whole(), (OLD.map(str::to_owned).to_vec(), CONTENTS[0]), "{what}");
                assert!(!scene.folder.join("C").exists(), "{what}: the link of a new key comes after the swap");
            } else {
                assert!(!scene.folder.exists(), "{what}");
            }
            // Nothing that is left lets others in.
            for (path, metadata) in files(scene.directory.path()) {
                let mode = metadata.permissions().mode() & 0o7777;
                assert!(metadata.is_symlink() || [0o600, 0o640].contains(&mode), "{what}: {path} {mode:o}");
            }
            write(&scene.folder, &["A", "D"], &content(CONTENTS[0]));
            assert_eq!(scene.left_overs(), Vec::<String>::new(), "{what}");
            assert_eq!(scene.whole().0, ["A", "D"], "{what}");
            let linked: Vec<_> = names(&scene.folder).into_iter().filter(|name| !name.starts_with("..")).collect();
            assert_eq!(linked, ["A", "D"], "{what}");
        }
        assert!(left > 20, "only {left} folders were left");
    }
}

/// Has the program write files of this size on a disk that the script makes at `$1`, where `secrets` has old ones, and
/// expects this exit code and remedy.
fn assert_refused_on_a_disk(options: &str, then: &str, size: usize, code: i32, remedy: &str) {
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        r#"mount -t tmpfs -o {options} none "$1"
        printf old | "$2" "$1/secrets" 0600 - A B >/dev/null
        {then}
        before=$(ls -AR "$1")
        code=0
        head -c {size} /dev/zero | "$2" "$1/secrets" 0600 - A C || code=$?
        [ "$before" = "$(ls -AR "$1")" ] || ls -AR "$1"
        echo "$code" $(cat "$1/secrets/A" "$1/secrets/B")"#
    );
    let Some(output) = with_own_mounts(&script, &[directory.path(), &example("write_folder")]) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{code} oldold\n"), "{said}");
    assert!(said.trim_end().ends_with(remedy), "{said}");
}

#[test]
fn a_disk_that_is_full_or_read_only_keeps_the_old_files() {
    let larger = "make the volume larger or free some of it";
    assert_refused_on_a_disk("size=32k", "", 100_000, 74, larger);
    // The second of the two new files.
    assert_refused_on_a_disk("size=32k", "", 14_000, 74, larger);
    let read_only = r#"mount -o remount,bind,ro "$1""#;
    assert_refused_on_a_disk("size=1m", read_only, 1, 73, "choose a volume that is not read-only");
    // However many files it takes beside the old ones: two folders, two files and two links would be needed.
    for more in 0..6 {
        let used = r#"used=$(($(find "$1" | wc -l) + MORE)); mount -o remount,nr_inodes=$used "$1""#;
        assert_refused_on_a_disk("size=1m", &used.replace("MORE", &more.to_string()), 1, 74, larger);
    }
}

#[test]
fn a_user_who_may_not_write_there_or_give_files_away_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    // The program has to be where that user can reach it. Copied by another process, which alone has it open.
    let program = directory.path().join("program");
    assert!(Command::new("cp").arg(example("write_folder")).arg(&program).status().unwrap().success());
    for (name, mode) in [("", 0o755), ("open", 0o777), ("closed", 0o555), ("hidden", 0o700)] {
        let path = directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    if !is_root() {
        return;
    }
    let write = "let this user write to the directory (in Kubernetes: fsGroup)";
    let open = "let this user read and write the folder";
    let give = "only root, or a process with CAP_CHOWN, gives files to another user or group";
    for (path, owner, remedy) in [
        ("closed", "-", write),
        ("closed/new", "-", write),
        ("hidden", "-", open),
        ("open", "0", give),
        ("open", "0:0", give),
        ("open/new", "0:0", give),
    ] {
        let Some(mut command) = without_privileges(&program) else { return };
        let path = directory.path().join(path);
        let output = command.arg(&path).args(["0600", owner, "A"]).stdin(new_content()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(73), "{said}");
        assert!(said.trim_end().ends_with(remedy), "{path:?} {said}");
        assert_eq!(names(&directory.path().join("open")), Vec::<String>::new());
    }
}

/// Files that their owner may not write, in a folder that it may not write, are replaced by their owner all the same,
/// whatever the umask is.
#[test]
fn a_user_without_privileges_replaces_and_removes_what_it_made_read_only() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    assert!(Command::new("cp").arg(example("write_folder")).arg(&program).status().unwrap().success());
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    let folder = directory.path().join("secrets");
    for (keys, became) in [(["A", "B"], "Created\n"), (["A", "B"], "Unchanged\n"), (["A", "C"], "Replaced\n")] {
        let Some(mut command) = without_privileges("sh".as_ref()) else { return };
        command.args(["-c", "umask 0777; exec \"$@\"", "sh"]).arg(&program);
        let output = command.arg(&folder).args(["0400", "-"]).args(keys).stdin(new_content()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), became, "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(names(&folder).len(), 4, "{:?}", names(&folder));
    }
}
