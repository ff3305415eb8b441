//! The file writer among the things it may find in a directory.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use vault_exec::sink::file::{self, Kind, Target, Written};
use vault_testkit::missing;

use crate::support::system::{access, hands_down_access_for, is_root, names, without_privileges};

const LEFT_OVER: &str = ".app.env.vault-exec.0123456789abcdef";

#[test]
fn a_new_file_is_there_with_its_content_and_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    assert_eq!(file::write(&target, b"A='1'\n").unwrap(), Written::Created);
    assert_eq!(fs::read(&target.path).unwrap(), b"A='1'\n");
    assert_eq!(fs::metadata(&target.path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(names(directory.path()), ["app.env"]);
}

#[test]
fn whoever_has_the_old_file_open_goes_on_reading_it() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    file::write(&target, b"old").unwrap();
    let old = File::open(&target.path).unwrap();
    assert_eq!(file::write(&target, b"new").unwrap(), Written::Replaced);
    assert_eq!(std::io::read_to_string(old).unwrap(), "old");
    assert_eq!(fs::read(&target.path).unwrap(), b"new");
}

#[test]
fn an_unchanged_file_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target { mode: 0o640, ..Target::new(directory.path().join("app.env")) };
    let content = vec![b'x'; 100_000];
    file::write(&target, &content).unwrap();
    let before = fs::metadata(&target.path).unwrap();
    assert_eq!(file::write(&target, &content).unwrap(), Written::Unchanged);
    let after = fs::metadata(&target.path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
}

#[test]
fn an_unchanged_file_of_a_directory_that_hands_down_its_group_is_not_touched() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), None, Some(4242)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o2770)).unwrap();
    let target = Target::new(directory.path().join("app.env"));
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Created);
    assert_eq!(fs::metadata(&target.path).unwrap().gid(), 4242);
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Unchanged);
}

#[test]
fn a_file_with_a_longer_a_shorter_or_another_content_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    for content in ["abc", "abcd", "ab", "xb", ""] {
        assert_ne!(file::write(&target, content.as_bytes()).unwrap(), Written::Unchanged);
        assert_eq!(fs::read_to_string(&target.path).unwrap(), content);
    }
}

#[test]
fn a_file_with_another_mode_is_replaced_and_then_has_the_right_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut target = Target::new(directory.path().join("app.env"));
    file::write(&target, b"x").unwrap();
    for mode in [0o640, 0o444, 0o777, 0o600] {
        target.mode = mode;
        assert_eq!(file::write(&target, b"x").unwrap(), Written::Replaced);
        assert_eq!(fs::metadata(&target.path).unwrap().mode() & 0o7777, mode);
    }
}

#[test]
fn a_file_with_another_owner_is_replaced_and_then_has_the_right_one() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut target = Target::new(directory.path().join("app.env"));
    file::write(&target, b"x").unwrap();
    let mut assert_owner = |owner, uid_gid| {
        target.owner = owner;
        assert_eq!(file::write(&target, b"x").unwrap(), Written::Replaced);
        assert_eq!(file::write(&target, b"x").unwrap(), Written::Unchanged);
        let metadata = fs::metadata(&target.path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), uid_gid);
    };
    assert_owner(Some((4242, Some(4343))), (4242, 4343));
    assert_owner(Some((4242, None)), (4242, 0));
    assert_owner(None, (0, 0));
}

/// Whom no file here is for.
const NOBODY: u32 = 65534;

/// `rw-` and so on.
fn letters(bits: u32) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')].iter().map(|(bit, letter)| if bits & bit == 0 { '-' } else { *letter }).collect()
}

#[test]
fn a_list_that_the_directory_hands_down_to_its_files_is_on_no_file_of_ours() {
    for directory_mode in [0o755, 0o2775, 0o1777] {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(directory_mode)).unwrap();
        if !hands_down_access_for(NOBODY, directory.path()) {
            return;
        }
        for mode in [0o640, 0o600, 0o660, 0o644, 0o755] {
            let target = Target { mode, ..Target::new(directory.path().join(format!("{mode:o}.env"))) };
            file::check(&target, Some(b"A='1'\n")).unwrap();
            let prepared = file::prepare(&target, b"A='1'\n").unwrap();
            let by_mode_alone =
                format!("user::{},group::{},other::{}", letters(mode >> 6), letters(mode >> 3), letters(mode));
            let temporary = names(directory.path()).into_iter().find(|name| name.starts_with('.')).unwrap();
            assert_eq!(access(&directory.path().join(temporary)), by_mode_alone);
            assert_eq!(prepared.commit().unwrap(), Written::Created);
            assert_eq!(access(&target.path), by_mode_alone);
            assert_eq!(file::write(&target, b"A='1'\n").unwrap(), Written::Unchanged);
            let cat = without_privileges(Path::new("cat")).filter(|_| is_root());
            let read = cat.map(|mut cat| cat.arg(&target.path).output().unwrap().status.success());
            assert!(read.is_none_or(|read| read == (mode & 0o004 != 0)), "{mode:o}");
        }
    }
}

#[test]
fn a_file_that_somebody_has_given_a_list_is_replaced_by_one_without() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target { mode: 0o640, ..Target::new(directory.path().join("app.env")) };
    file::write(&target, b"x").unwrap();
    let listed = Command::new("setfacl").args(["--modify", "user:65534:r"]).arg(&target.path).output();
    if !listed.is_ok_and(|output| output.status.success()) {
        missing("setfacl (package acl), on a file system with access control lists");
        return;
    }
    assert_eq!(fs::metadata(&target.path).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Replaced);
    assert_eq!(access(&target.path), "user::rw-,group::r--,other::---");
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Unchanged);
}

#[test]
fn whatever_is_no_regular_file_is_refused_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("elsewhere"), "precious").unwrap();
    symlink("elsewhere", at("link")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    symlink("/dev/null", at("to-device")).unwrap();
    mkfifo(&at("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(at("directory")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let before = names(directory.path());

    let remove = "remove it or choose another path";
    for (path, kind, remedy) in [
        (at("link"), "a symbolic link", remove),
        (at("dangling"), "a symbolic link", remove),
        (at("to-device"), "a symbolic link", remove),
        (at("fifo"), "a FIFO", remove),
        (at("directory"), "a directory", remove),
        (at("socket"), "a socket", remove),
        ("/dev/null".into(), "a device", "write - for standard output, or choose another path"),
    ] {
        let error = file::write(&Target::new(&path), b"secret").unwrap_err();
        assert_eq!(error.kind(), Kind::CannotCreate);
        assert_eq!(error.to_string(), format!("{}: {kind} is in the way; {remedy}", path.display()));
    }
    assert_eq!(names(directory.path()), before);
    assert_eq!(fs::read(at("elsewhere")).unwrap(), b"precious");
}

#[test]
fn a_directory_that_is_missing_or_a_file_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for (path, remedy) in [
        ("missing/app.env", "create the directory or mount a volume there"),
        ("file/app.env", "a part of the path is a file"),
        ("new/", "create the directory or mount a volume there"),
        ("", "add the file's name"),
    ] {
        let error = file::write(&Target::new(directory.path().join(path)), b"secret").unwrap_err();
        assert_eq!(error.kind(), Kind::CannotCreate);
        assert!(error.to_string().ends_with(remedy) || path.ends_with('/'), "{error}");
    }
    assert_eq!(names(directory.path()), ["file"]);
}

#[test]
fn a_prepared_file_appears_with_the_commit() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    fs::write(&target.path, "old").unwrap();
    let prepared = file::prepare(&target, b"new").unwrap();
    assert_eq!(fs::read(&target.path).unwrap(), b"old");
    assert_eq!(prepared.commit().unwrap(), Written::Replaced);
    assert_eq!(fs::read(&target.path).unwrap(), b"new");
    assert_eq!(names(directory.path()), ["app.env"]);
}

#[test]
fn a_prepared_file_that_is_dropped_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    fs::write(&target.path, "old").unwrap();
    drop(file::prepare(&target, b"new").unwrap());
    assert_eq!(fs::read(&target.path).unwrap(), b"old");
    assert_eq!(names(directory.path()), ["app.env"]);
}

#[test]
fn a_directory_put_in_the_place_of_the_first_one_gets_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let (first, second) = (parent.path().join("secrets"), parent.path().join("moved"));
    fs::create_dir(&first).unwrap();
    let prepared = file::prepare(&Target::new(first.join("app.env")), b"new").unwrap();
    fs::rename(&first, &second).unwrap();
    fs::create_dir(&first).unwrap();
    prepared.commit().unwrap();
    assert_eq!(names(&first), Vec::<String>::new());
    assert_eq!(names(&second), ["app.env"]);
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next_one_whatever_becomes_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let left_over = directory.path().join(LEFT_OVER);
    let leave = || fs::write(&left_over, "half a sec").unwrap();
    let target = Target::new(directory.path().join("app.env"));

    leave();
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Created);
    assert_eq!(names(directory.path()), ["app.env"]);
    leave();
    assert_eq!(file::write(&target, b"x").unwrap(), Written::Unchanged);
    assert_eq!(names(directory.path()), ["app.env"]);
    leave();
    fs::remove_file(&target.path).unwrap();
    fs::create_dir(&target.path).unwrap();
    file::write(&target, b"x").unwrap_err();
    assert_eq!(names(directory.path()), ["app.env"]);
}

#[test]
fn what_a_killed_run_gave_to_the_owner_already_is_removed_by_the_next_one() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let left_over = directory.path().join(LEFT_OVER);
    fs::write(&left_over, "half a sec").unwrap();
    std::os::unix::fs::chown(&left_over, Some(4242), None).unwrap();
    let mut target = Target::new(directory.path().join("app.env"));
    file::write(&target, b"x").unwrap();
    assert_eq!(names(directory.path()), [LEFT_OVER, "app.env"], "it belongs to somebody else");
    target.owner = Some((4242, None));
    file::write(&target, b"x").unwrap();
    assert_eq!(names(directory.path()), ["app.env"]);
}

#[test]
fn what_only_looks_like_a_left_over_or_is_in_use_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let alike = [
        ".app.env.vault-exec.0123456789abcde",
        ".app.env.vault-exec.0123456789abcdefg",
        ".app.env.vault-exec.x123456789abcdef",
        ".other.env.vault-exec.0123456789abcdef",
        "app.env.vault-exec.0123456789abcdef",
    ];
    for name in alike {
        fs::write(at(name), "").unwrap();
    }
    symlink("app.env", at(".app.env.vault-exec.1111111111111111")).unwrap();
    fs::create_dir(at(".app.env.vault-exec.2222222222222222")).unwrap();
    mkfifo(&at(".app.env.vault-exec.3333333333333333"), Mode::S_IRWXU).unwrap();
    fs::write(at(LEFT_OVER), "").unwrap();
    let in_use = Flock::lock(File::open(at(LEFT_OVER)).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();

    file::write(&Target::new(at("app.env")), b"x").unwrap();
    assert_eq!(names(directory.path()).len(), alike.len() + 5);

    drop(in_use);
    file::write(&Target::new(at("app.env")), b"x").unwrap();
    assert!(!at(LEFT_OVER).exists());
}

#[test]
fn writers_at_the_same_time_do_not_get_into_each_others_way() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    let whole = |content: &[u8]| content.len() == 5000 && content.iter().all(|byte| *byte == content[0]);
    thread::scope(|scope| {
        for letter in b'a'..=b'h' {
            let target = &target;
            scope.spawn(move || {
                for _ in 0..50 {
                    file::write(target, &[letter; 5000]).unwrap();
                    assert!(whole(&fs::read(&target.path).unwrap()));
                }
            });
        }
    });
    assert_eq!(names(directory.path()), ["app.env"]);
}

/// What a watch does, without its intervals.
#[test]
fn ten_thousand_reads_during_five_hundred_swaps_find_a_whole_file() {
    const READS: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let target = Target::new(directory.path().join("app.env"));
    let content = |number: usize| format!("export A='{number}'\nexport B='{number}'\n").repeat(200);
    file::write(&target, content(0).as_bytes()).unwrap();
    let reads = AtomicUsize::new(0);
    let swaps = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while reads.fetch_add(1, Ordering::Relaxed) < READS {
                    let read = fs::read_to_string(&target.path).expect("there is always a file");
                    let number = read.split('\'').nth(1).and_then(|it| it.parse().ok()).expect("a number");
                    assert!(read == content(number) && number >= last, "after {last}: {read}");
                    last = number;
                }
            });
        }
        let mut swaps = 0;
        while swaps < 500 || reads.load(Ordering::Relaxed) < READS {
            swaps += 1;
            assert_eq!(file::write(&target, content(swaps).as_bytes()).unwrap(), Written::Replaced);
        }
        swaps
    });
    println!("{swaps} swaps");
}

#[test]
fn a_relative_path_is_one_of_the_working_directory() {
    let missing = Target::new(Path::new("no-such-directory/app.env"));
    assert_eq!(file::write(&missing, b"x").unwrap_err().path(), Path::new("no-such-directory/app.env"));
}
