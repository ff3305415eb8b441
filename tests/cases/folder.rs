//! The folder writer among the things it may find, and with readers and other writers beside it.

use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;
use vault_exec::sink::file::{FileError, Kind, Target, Written};
use vault_exec::sink::folder::{self, Named};

use crate::support::system::{access, hands_down_access_for, is_root, names};

/// A data folder of a run that was killed.
const LEFT_OVER: &str = "..2026_01_31_12_00_00_0123456789abcdef";

/// Links of such a run.
const LINKS: &str = "..data_tmp_0123456789abcdef";

/// A directory, and the folder to write in it.
struct Scene {
    directory: TempDir,
    target: Target,
}

impl Scene {
    /// The folder is not there.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let target = Target::new(directory.path().join("secrets"));
        Self { directory, target }
    }

    /// The folder is there, and empty.
    fn with_folder() -> Self {
        let scene = Self::new();
        fs::create_dir(&scene.target.path).unwrap();
        scene
    }

    fn at(&self, name: &str) -> PathBuf {
        self.target.path.join(name)
    }

    fn write(&self, files: &[(&str, &str)]) -> Result<Written, FileError> {
        folder::prepare(&self.target, &named(files))?.commit()
    }

    /// The keys that have a link with what is read through it, and those in effect without one.
    fn read(&self) -> Vec<(String, Vec<u8>)> {
        let data = self.at("..data");
        let keys = names(&data);
        let linked: Vec<_> = names(&self.target.path).into_iter().filter(|name| !name.starts_with("..")).collect();
        assert_eq!(linked, keys);
        let read = |name: String| {
            assert_eq!(fs::read_link(self.at(&name)).unwrap(), Path::new("..data").join(&name));
            let content = fs::read(self.at(&name)).unwrap();
            assert_eq!(fs::read(data.join(&name)).unwrap(), content);
            (name, content)
        };
        keys.into_iter().map(read).collect()
    }

    fn assert_holds(&self, files: &[(&str, &str)]) {
        let wanted: Vec<_> =
            files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect();
        assert_eq!(self.read(), wanted);
        assert_eq!(self.ours().len(), 1, "{:?}", names(&self.target.path));
        let beside: Vec<_> = names(self.directory.path()).into_iter().filter(|name| name.starts_with('.')).collect();
        assert_eq!(beside, Vec::<String>::new());
    }

    /// What there is beside `..data` and the keys.
    fn ours(&self) -> Vec<String> {
        names(&self.target.path).into_iter().filter(|name| name.starts_with("..") && name != "..data").collect()
    }

    /// Modes and owners of the data folder and of a file in it.
    fn shapes(&self, name: &str) -> [(u32, u32, u32); 2] {
        [self.at("..data"), self.at("..data").join(name)].map(|path| shape(&path))
    }
}

fn named(files: &[(&str, &str)]) -> Vec<Named> {
    let named =
        |(name, content): &(&str, &str)| Named { name: (*name).into(), content: content.as_bytes().to_vec().into() };
    files.iter().map(named).collect()
}

/// Mode and owner of what a path leads to.
fn shape(path: &Path) -> (u32, u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.mode() & 0o7777, found.uid(), found.gid())
}

#[test]
fn a_new_folder_is_there_with_all_that_is_in_it_and_is_private() {
    let scene = Scene::new();
    let long = "n".repeat(255);
    let files = [("A", "one\0two\n"), ("PATH", ""), (&long, "x"), ("with space.é", "\u{1b}")];
    assert_eq!(scene.write(&files).unwrap(), Written::Created);
    scene.assert_holds(&files);
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    assert_eq!(shape(&scene.target.path), (0o700, uid, gid));
    assert_eq!(scene.shapes("A"), [(0o700, uid, gid), (0o600, uid, gid)]);
}

#[test]
fn a_folder_that_is_there_keeps_its_mode_and_what_is_not_ours() {
    let scene = Scene::with_folder();
    fs::set_permissions(&scene.target.path, Permissions::from_mode(0o711)).unwrap();
    fs::write(scene.at("README"), "mine").unwrap();
    fs::create_dir(scene.at("..other")).unwrap();
    symlink("README", scene.at("to")).unwrap();
    symlink("..data/ELSE", scene.at("OTHER")).unwrap();
    assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Created);
    assert_eq!(scene.write(&[("B", "2")]).unwrap(), Written::Replaced);
    assert_eq!(shape(&scene.target.path).0, 0o711);
    let found = names(&scene.target.path);
    assert_eq!(found[1..], ["..data", "..other", "B", "OTHER", "README", "to"], "{found:?}");
    assert_eq!(fs::read(scene.at("README")).unwrap(), b"mine");
}

#[test]
fn keys_come_and_go_with_their_links() {
    let scene = Scene::new();
    scene.write(&[("A", "1"), ("B", "1")]).unwrap();
    for files in [&[("A", "2"), ("C", "2")][..], &[("C", "2")], &[], &[("A", "3"), ("B", "3"), ("C", "3")]] {
        assert_eq!(scene.write(files).unwrap(), Written::Replaced);
        scene.assert_holds(files);
    }
}

#[test]
fn an_unchanged_folder_is_not_touched() {
    for scene in [Scene::new(), Scene::with_folder()] {
        let scene = Scene { target: Target { mode: 0o640, ..scene.target }, ..scene };
        let large = "x".repeat(100_000);
        let files = [("A", large.as_str()), ("B", "")];
        scene.write(&files).unwrap();
        let found = || {
            let paths = ["", "..data", "..data/A", "A"].map(|name| scene.at(name));
            paths.map(|path| fs::symlink_metadata(path).map(|it| (it.ino(), it.ctime_nsec(), it.mtime_nsec())).unwrap())
        };
        let before = found();
        assert_eq!(scene.write(&files).unwrap(), Written::Unchanged);
        assert_eq!(found(), before);
    }
}

#[test]
fn whatever_differs_is_replaced_and_then_right() {
    type Make = fn(&Scene);
    let files = [("A", "1"), ("B", "2")];
    let differences: [(&str, Make); 9] = [
        ("a longer content", |it| fs::write(it.at("A"), "12").unwrap()),
        ("a file too many", |it| fs::write(it.at("..data/C"), "").unwrap()),
        ("a missing file", |it| fs::remove_file(it.at("..data/B")).unwrap()),
        ("a missing link", |it| fs::remove_file(it.at("B")).unwrap()),
        ("a link too many", |it| symlink("..data/C", it.at("C")).unwrap()),
        ("the mode of a file", |it| fs::set_permissions(it.at("A"), Permissions::from_mode(0o644)).unwrap()),
        ("the mode of the folder", |it| fs::set_permissions(it.at("..data"), Permissions::from_mode(0o755)).unwrap()),
        ("no data folder", |it| fs::remove_dir_all(it.at(&it.ours()[0])).unwrap()),
        ("no link to it", |it| fs::remove_file(it.at("..data")).unwrap()),
    ];
    for (what, make) in differences {
        let scene = Scene::new();
        scene.write(&files).unwrap();
        make(&scene);
        let wanted = if what == "no link to it" { Written::Created } else { Written::Replaced };
        assert_eq!(scene.write(&files).unwrap(), wanted, "{what}");
        scene.assert_holds(&files);
        assert_eq!(scene.write(&files).unwrap(), Written::Unchanged, "{what}");
    }
}

#[test]
fn files_and_their_folder_have_the_mode_and_owner_that_is_asked_for() {
    let scene = Scene::with_folder();
    let mut scene = Scene { target: Target { mode: 0o640, ..scene.target }, ..scene };
    for (mode, folder) in [(0o640, 0o750), (0o444, 0o555), (0o400, 0o500), (0o600, 0o700)] {
        scene.target.mode = mode;
        assert_ne!(scene.write(&[("A", "1")]).unwrap(), Written::Unchanged);
        assert_eq!(scene.shapes("A").map(|it| it.0), [folder, mode]);
        assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Unchanged);
        scene.assert_holds(&[("A", "1")]);
    }
    if !is_root() {
        return;
    }
    for (owner, ids) in [((4242, Some(4343)), (4242, 4343)), ((4242, None), (4242, 0))] {
        scene.target.owner = Some(owner);
        assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Replaced);
        assert_eq!(scene.shapes("A"), [(0o700, ids.0, ids.1), (0o600, ids.0, ids.1)]);
        assert_eq!(shape(&scene.target.path).1, 0, "it was there");
        assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Unchanged);
    }
    let new = Scene::new();
    let new = Scene { target: Target { mode: 0o440, owner: Some((4242, Some(4343))), ..new.target }, ..new };
    new.write(&[("A", "1")]).unwrap();
    assert_eq!(shape(&new.target.path), (0o750, 4242, 4343), "its owner can change it");
    assert_eq!(new.shapes("A"), [(0o550, 4242, 4343), (0o440, 4242, 4343)]);
    assert_eq!(new.write(&[("A", "1")]).unwrap(), Written::Unchanged);
}

#[test]
fn a_directory_that_hands_down_its_group_does_so_for_the_folder_and_its_files() {
    if !is_root() {
        return;
    }
    for scene in [Scene::new(), Scene::with_folder()] {
        for path in [scene.directory.path(), &scene.target.path] {
            if path.exists() {
                chown(path, None, Some(4242)).unwrap();
                fs::set_permissions(path, Permissions::from_mode(0o2770)).unwrap();
            }
        }
        let scene = Scene { target: Target { mode: 0o640, ..scene.target }, ..scene };
        for content in ["1", "2"] {
            scene.write(&[("A", content)]).unwrap();
            assert_eq!(scene.shapes("A"), [(0o750, 0, 4242), (0o640, 0, 4242)]);
            assert_eq!(shape(&scene.target.path).2, 4242);
            assert_eq!(scene.write(&[("A", content)]).unwrap(), Written::Unchanged);
        }
    }
}

#[test]
fn a_list_that_the_folder_hands_down_is_on_nothing_of_ours() {
    for scene in [Scene::new(), Scene::with_folder()] {
        let handing = if scene.target.path.exists() { scene.target.path.as_path() } else { scene.directory.path() };
        if !hands_down_access_for(65534, handing) {
            return;
        }
        let scene = Scene { target: Target { mode: 0o640, ..scene.target.clone() }, ..scene };
        folder::check(&scene.target, Some(&named(&[("A", "1")]))).unwrap();
        scene.write(&[("A", "1")]).unwrap();
        let listed = access(&scene.at("..data/A"));
        assert_eq!(listed, "user::rw-,group::r--,other::---");
        let folder = access(&scene.at(&scene.ours()[0]));
        assert!(folder.starts_with("user::rwx,group::r-x,other::---"), "{folder}");
        assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Unchanged);

        let mut give = Command::new("setfacl");
        give.args(["--modify", "user:65534:r"]).arg(scene.at("..data/A")).status().unwrap();
        assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Replaced);
        assert_eq!(access(&scene.at("..data/A")), listed);
    }
}

#[test]
fn what_is_not_ours_under_a_name_of_ours_is_refused_and_stays() {
    type Put = fn(&Path);
    let put: [(&str, &str, Put); 9] = [
        ("A", "a regular file", |at| fs::write(at, "precious").unwrap()),
        ("A", "a directory", |at| fs::create_dir(at).unwrap()),
        ("A", "a symbolic link", |at| symlink("..data/B", at).unwrap()),
        ("A", "a symbolic link", |at| symlink("/etc/passwd", at).unwrap()),
        ("A", "a FIFO", |at| mkfifo(at, Mode::S_IRWXU).unwrap()),
        ("..data", "a directory", |at| fs::create_dir(at).unwrap()),
        ("..data", "a symbolic link", |at| symlink(".", at).unwrap()),
        ("..data", "a symbolic link", |at| symlink(format!("../{LEFT_OVER}"), at).unwrap()),
        ("..data", "a regular file", |at| fs::write(at, "").unwrap()),
    ];
    for (name, kind, put) in put {
        let scene = Scene::with_folder();
        if name == "A" {
            scene.write(&[("B", "1")]).unwrap();
        }
        put(&scene.at(name));
        let before = (names(&scene.target.path), fs::symlink_metadata(scene.at(name)).unwrap().ino());
        let files = named(&[("A", "new"), ("B", "2")]);
        let said = format!("{}: {kind} is in the way; remove it or choose another path", scene.at(name).display());
        let refused = folder::prepare(&scene.target, &files).map(drop).unwrap_err();
        assert_eq!((refused.to_string(), refused.kind()), (said.clone(), Kind::CannotCreate));
        assert_eq!(folder::check(&scene.target, Some(&files)).unwrap_err().to_string(), said);
        assert_eq!((names(&scene.target.path), fs::symlink_metadata(scene.at(name)).unwrap().ino()), before);
    }
}

#[test]
fn a_path_that_is_no_folder_or_has_no_parent_is_an_error_that_says_so() {
    let scene = Scene::new();
    fs::write(scene.directory.path().join("file"), "").unwrap();
    fs::create_dir(scene.directory.path().join("other")).unwrap();
    symlink("other", scene.directory.path().join("link")).unwrap();
    let before = names(scene.directory.path());
    for (path, said) in [
        ("file", "a regular file is in the way; remove it or choose another path"),
        ("file/", "a regular file is in the way; remove it or choose another path"),
        ("link", "a symbolic link is in the way; remove it or choose another path"),
        ("link/", "a symbolic link is in the way; remove it or choose another path"),
        ("file/a", "Not a directory while opening its directory; a part of the path is a file"),
        (
            "none/a",
            "No such file or directory while opening its directory; create the directory or mount a volume there",
        ),
        ("none/..", "no folder can have this path; choose another"),
    ] {
        let target = Target::new(scene.directory.path().join(path));
        for refused in [folder::prepare(&target, &[]).map(drop), folder::check(&target, Some(&[]))] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), Kind::CannotCreate);
            assert_eq!(refused.to_string(), format!("{}: {said}", target.path.display()));
        }
    }
    assert_eq!(names(scene.directory.path()), before);
}

#[test]
fn a_path_may_end_with_slashes_or_be_the_working_directory_by_another_name() {
    for end in ["/", "//", "/.", "/../secrets"] {
        let scene = Scene::with_folder();
        let target = Target::new(format!("{}{end}", scene.target.path.display()));
        folder::prepare(&target, &named(&[("A", "1")])).unwrap().commit().unwrap();
        scene.assert_holds(&[("A", "1")]);
    }
    let scene = Scene::new();
    let target = Target::new(format!("{}/", scene.target.path.display()));
    folder::prepare(&target, &named(&[("A", "1")])).unwrap().commit().unwrap();
    scene.assert_holds(&[("A", "1")]);
}

#[test]
fn prepared_files_take_effect_with_the_commit_and_are_gone_without_it() {
    for (scene, there) in [(Scene::new(), false), (Scene::with_folder(), true)] {
        let prepared = folder::prepare(&scene.target, &named(&[("A", "1"), ("B", "1")])).unwrap();
        assert_eq!(scene.target.path.exists(), there);
        assert!(!scene.at("A").exists());
        drop(prepared);
        assert_eq!(names(scene.directory.path()), if there { vec!["secrets"] } else { vec![] });
        assert!(!there || names(&scene.target.path).is_empty());

        folder::prepare(&scene.target, &named(&[("A", "1"), ("B", "1")])).unwrap().commit().unwrap();
        let prepared = folder::prepare(&scene.target, &named(&[("B", "2"), ("C", "2")])).unwrap();
        assert_eq!(scene.read(), [("A".into(), b"1".to_vec()), ("B".into(), b"1".to_vec())]);
        prepared.commit().unwrap();
        scene.assert_holds(&[("B", "2"), ("C", "2")]);
    }
}

#[test]
fn a_folder_put_in_the_place_of_the_first_one_gets_nothing() {
    let scene = Scene::with_folder();
    let moved = scene.directory.path().join("moved");
    let prepared = folder::prepare(&scene.target, &named(&[("A", "1")])).unwrap();
    fs::rename(&scene.target.path, &moved).unwrap();
    fs::create_dir(&scene.target.path).unwrap();
    prepared.commit().unwrap();
    assert_eq!(names(&scene.target.path), Vec::<String>::new());
    assert_eq!(fs::read(moved.join("A")).unwrap(), b"1");
}

#[test]
fn what_killed_runs_left_is_removed_by_the_next_one_whatever_becomes_of_it() {
    let scene = Scene::with_folder();
    let beside = scene.directory.path().join(".secrets.vault-exec.0123456789abcdef");
    let leave = || {
        for folder in [scene.at(LEFT_OVER), scene.at(LINKS)] {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("A"), "half a sec").unwrap();
        }
        symlink("..data/A", scene.at(LINKS).join("B")).unwrap();
        fs::set_permissions(scene.at(LEFT_OVER), Permissions::from_mode(0o500)).unwrap();
    };
    leave();
    assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Created);
    scene.assert_holds(&[("A", "1")]);
    leave();
    assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Unchanged);
    scene.assert_holds(&[("A", "1")]);
    leave();
    fs::write(scene.at("C"), "").unwrap();
    scene.write(&[("C", "1")]).unwrap_err();
    assert_eq!(scene.ours().len(), 1);

    fs::remove_dir_all(&scene.target.path).unwrap();
    fs::create_dir_all(beside.join(LEFT_OVER)).unwrap();
    fs::write(beside.join(LEFT_OVER).join("A"), "half a sec").unwrap();
    assert_eq!(scene.write(&[("A", "1")]).unwrap(), Written::Created);
    scene.assert_holds(&[("A", "1")]);
}

#[test]
fn what_only_looks_like_a_left_over_is_in_use_or_belongs_to_others_stays() {
    let scene = Scene::with_folder();
    let alike =
        ["..2026_01_31_12_00_00_0123456789abcdeg", "..2026_01_31_0123456789abcdef", "..data_tmp_0", "..data_tmp"];
    for name in alike {
        fs::create_dir(scene.at(name)).unwrap();
    }
    fs::write(scene.at("..2026_01_31_12_00_00_1111111111111111"), "").unwrap();
    symlink(".", scene.at("..2026_01_31_12_00_00_2222222222222222")).unwrap();
    fs::create_dir(scene.at(LEFT_OVER)).unwrap();
    let in_use = Flock::lock(File::open(scene.at(LEFT_OVER)).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    scene.write(&[("A", "1")]).unwrap();
    assert_eq!(scene.ours().len(), alike.len() + 4, "{:?}", scene.ours());
    drop(in_use);
    if is_root() {
        chown(scene.at(LEFT_OVER), Some(4242), None).unwrap();
        scene.write(&[("A", "2")]).unwrap();
        assert!(scene.at(LEFT_OVER).exists(), "it belongs to somebody else");
        folder::prepare(&Target { owner: Some((4242, None)), ..scene.target.clone() }, &[]).map(drop).unwrap();
        assert!(!scene.at(LEFT_OVER).exists());
    } else {
        scene.write(&[("A", "2")]).unwrap();
    }
    assert!(!scene.at(LEFT_OVER).exists());
}

const KEYS: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];

/// A set in which every file holds the generation.
fn generation(number: usize) -> Vec<Named> {
    let content = number.to_string().repeat(100);
    KEYS.iter().map(|name| Named { name: (*name).into(), content: content.as_bytes().to_vec().into() }).collect()
}

/// What every file of an open folder holds; `None` where the folder has been removed meanwhile.
fn read_all(folder: &OwnedFd) -> Option<Vec<String>> {
    let read = |name: &&str| match openat(folder, *name, OFlag::O_RDONLY, Mode::empty()) {
        Err(Errno::ENOENT) => None,
        file => Some(std::io::read_to_string(File::from(file.unwrap())).unwrap()),
    };
    KEYS.iter().map(read).collect()
}

#[test]
fn a_reader_finds_all_files_of_one_generation_while_they_are_swapped() {
    let scene = Scene::new();
    let write = |number| folder::prepare(&scene.target, &generation(number)).unwrap().commit().unwrap();
    write(0);
    let over = AtomicBool::new(false);
    let (whole, linked) = thread::scope(|scope| {
        let whole = scope.spawn(|| {
            let mut whole = 0;
            while !over.load(Ordering::Relaxed) {
                let data: OwnedFd = File::open(scene.at("..data")).expect("there is always a data folder").into();
                let Some(read) = read_all(&data) else { continue };
                assert!(read.iter().all(|it| *it == read[0] && !it.is_empty()), "{read:?}");
                whole += 1;
            }
            whole
        });
        let linked = scope.spawn(|| {
            let (mut reads, mut last) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let Ok(read) = fs::read_to_string(scene.at(KEYS[reads % KEYS.len()])) else { continue };
                let number: usize = read[..read.len() / 100].parse().expect("a whole file");
                assert!(number >= last, "a reader goes back from {last} to {number}");
                (reads, last) = (reads + 1, number);
            }
            reads
        });
        assert!((1..=500).all(|number| write(number) == Written::Replaced));
        over.store(true, Ordering::Relaxed);
        (whole.join().unwrap(), linked.join().unwrap())
    });
    assert!(whole > 50 && linked > 50, "{whole} and {linked} reads");
    assert_eq!(scene.ours().len(), 1);
}

#[test]
fn writers_at_the_same_time_do_not_get_into_each_others_way() {
    let scene = Scene::with_folder();
    thread::scope(|scope| {
        for writer in 0..6 {
            let scene = &scene;
            scope.spawn(move || {
                for round in 0..40 {
                    // Some keys are in all sets, and some in one only.
                    let content = format!("{writer}.{round}");
                    let own = format!("K{}", (writer + round) % 7);
                    let files = [("A", content.as_str()), (own.as_str(), content.as_str())];
                    folder::prepare(&scene.target, &named(&files)).unwrap().commit().unwrap();
                    let data: OwnedFd = File::open(scene.at("..data")).unwrap().into();
                    drop(data);
                }
            });
        }
    });
    let last = scene.read();
    assert!(last.len() == 2 && last[0].1 == last[1].1, "{last:?}");
    assert_eq!(scene.ours().len(), 1);
}

#[test]
fn a_new_folder_that_another_run_makes_meanwhile_is_not_replaced() {
    let scene = Scene::new();
    let prepared = folder::prepare(&scene.target, &named(&[("A", "1")])).unwrap();
    scene.write(&[("A", "2")]).unwrap();
    let refused = prepared.commit().unwrap_err().to_string();
    let said = "Directory not empty while putting the new files in place; another program has made something there \
                meanwhile; try again";
    assert_eq!(refused, format!("{}: {said}", scene.target.path.display()));
    scene.assert_holds(&[("A", "2")]);
}
