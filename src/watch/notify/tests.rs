//! Signals to processes that are real, and to those of a folder that looks like `/proc`.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::unistd::{Uid, setuid};

use super::*;
use crate::process::child::Ended;
use crate::process::tests::{Fifo, children, end, is_alone};

#[test]
fn a_signal_and_a_process_are_read_and_nothing_else() {
    let no_pair = "not a signal and a process; write SIGNAL:NAME or SIGNAL:/path/of.pid, such as HUP:nginx";
    let no_target = "names no process; write its name or the path of its PID file behind the colon";
    let no_name = "not a name; write the file name of the program, or the full path of a PID file";
    let number = "a number for the signal; write its name, such as HUP";
    let useless = "a signal that no program can act on; write one that it reloads at, such as HUP";
    let no_signal = "not a signal; write its name, such as HUP, USR1 or TERM";
    for (text, read) in [
        ("HUP:nginx", Ok("HUP:nginx")),
        ("sigusr1:my app", Ok("USR1:my app")),
        ("Term:a:b", Ok("TERM:a:b")),
        ("SIGHUP:/run/nginx.pid", Ok("HUP:/run/nginx.pid")),
        ("HUP:a\u{1b}b", Ok("HUP:a\\u{1b}b")),
        ("HUP", Err(no_pair)),
        ("/run/nginx.pid", Err(no_pair)),
        ("HUP:", Err(no_target)),
        ("HUP:./nginx", Err(no_name)),
        ("1:nginx", Err(number)),
        ("SIG1:nginx", Err(number)),
        ("KILL:nginx", Err(useless)),
        ("sigstop:nginx", Err(useless)),
        (":nginx", Err(no_signal)),
        ("SIG:nginx", Err(no_signal)),
        ("RELOAD:nginx", Err(no_signal)),
        ("SIGSIGHUP:nginx", Err(no_signal)),
    ] {
        assert_eq!(Notify::parse(text).map(|notify| notify.to_string()), read.map(str::to_owned), "{text}");
    }
}

/// A folder that looks like `/proc`.
struct Proc(tempfile::TempDir);

impl Proc {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(std::process::id().to_string(), folder.path().join("self")).unwrap();
        fs::create_dir(folder.path().join("sys")).unwrap();
        Self(folder)
    }

    /// A process, with its program if that can be seen.
    fn add(&self, pid: u32, exe: Option<&str>, stat: Option<&str>) -> PathBuf {
        let folder = self.0.path().join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        if let Some(exe) = exe {
            symlink(exe, folder.join("exe")).unwrap();
        }
        if let Some(stat) = stat {
            fs::write(folder.join("stat"), format!("{pid} {stat} 1 2 3\n")).unwrap();
        }
        folder
    }

    /// Who is signalled, and what is said of it.
    fn send(&self, name: &str, answers: &[(i32, Errno)]) -> (Vec<i32>, Result<usize, Fault>) {
        let asked = RefCell::new(Vec::new());
        let sent = send_to_name(self.0.path(), name, |pid| {
            asked.borrow_mut().push(pid.as_raw());
            answers.iter().find(|(number, _)| *number == pid.as_raw()).map_or(Ok(()), |(_, errno)| Err(*errno))
        });
        let mut asked = asked.into_inner();
        asked.sort_unstable();
        (asked, sent)
    }
}

#[test]
fn every_process_of_the_name_is_signalled_but_for_this_one() {
    let proc = Proc::new();
    proc.add(1, Some("/sbin/nginx"), Some("(nginx) S"));
    proc.add(20, Some("/usr/sbin/nginx"), Some("(other) S"));
    proc.add(21, Some("/usr/sbin/nginx (deleted)"), Some("(nginx) S"));
    proc.add(22, Some("/usr/bin/python3"), Some("(nginx) S"));
    proc.add(23, Some("/nginx/other"), Some("(other) S"));
    proc.add(24, None, Some("(nginx) S"));
    proc.add(25, None, Some("(nginx) Z"));
    proc.add(26, None, None);
    proc.add(std::process::id(), Some("/usr/sbin/nginx"), Some("(nginx) S"));
    assert_eq!(proc.send("nginx", &[]), (vec![1, 20, 21, 24], Ok(4)));
}

#[test]
fn a_name_is_compared_as_the_kernel_cut_it_where_the_program_cannot_be_seen() {
    let proc = Proc::new();
    proc.add(20, None, Some("(a-name-of-16-by) S"));
    proc.add(21, Some("/bin/a-name-of-16-by"), None);
    proc.add(22, None, Some("(a) (b) R"));
    assert_eq!(proc.send("a-name-of-16-bytes", &[]), (vec![20], Ok(1)));
    assert_eq!(proc.send("a) (b", &[]), (vec![22], Ok(1)));
}

#[test]
fn who_did_not_get_the_signal_is_told() {
    let proc = Proc::new();
    for pid in 20..23 {
        proc.add(pid, Some("/bin/app"), None);
    }
    let denied = Fault::Denied { sent: 1, denied: 1 };
    assert_eq!(proc.send("app", &[(20, Errno::EPERM), (21, Errno::ESRCH)]), (vec![20, 21, 22], Err(denied)));
    assert_eq!(
        denied.to_string(),
        "no permission to signal 1 of 2; run as the same user, or add the capability CAP_KILL"
    );
    let all_ended = [20, 21, 22].map(|pid| (pid, Errno::ESRCH));
    assert_eq!(proc.send("app", &all_ended).1, Err(Fault::Nobody));
    assert_eq!(proc.send("other", &[]), (vec![], Err(Fault::Nobody)));
    assert_eq!(
        Fault::Nobody.to_string(),
        "no process of that name is found; check the name of its executable, which of a script is the interpreter's, and that \
         the processes share a PID namespace with this one"
    );
}

#[test]
fn a_proc_of_another_namespace_or_none_signals_nobody() {
    let proc = Proc::new();
    proc.add(20, Some("/bin/app"), None);
    let link = proc.0.path().join("self");
    fs::remove_file(&link).unwrap();
    assert_eq!(proc.send("app", &[]), (vec![], Err(Fault::NoProc(Errno::ENOENT))));
    symlink("1", link).unwrap();
    assert_eq!(proc.send("app", &[]), (vec![], Err(Fault::Foreign)));
}

#[test]
fn processes_that_cannot_be_looked_at_are_counted() {
    if !is_alone("watch::notify::tests::processes_that_cannot_be_looked_at_are_counted") {
        return;
    }
    if Uid::effective().is_root() {
        setuid(Uid::from_raw(65534)).unwrap();
    }
    let proc = Proc::new();
    let hidden = proc.add(20, None, Some("(app) S"));
    fs::set_permissions(hidden, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(proc.send("app", &[]), (vec![], Err(Fault::Hidden(1))));
    proc.add(21, None, Some("(app) S"));
    assert_eq!(proc.send("app", &[]), (vec![21], Ok(1)));
}

#[test]
fn a_process_is_signalled_by_its_name_and_by_its_pid_file() {
    // Elsewhere another test could start a child while the program is written.
    if !is_alone("watch::notify::tests::a_process_is_signalled_by_its_name_and_by_its_pid_file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("to-be-notified-by-name");
    fs::copy("/bin/sh", &program).unwrap();
    let program = CString::new(program.as_os_str().as_bytes()).unwrap();
    for target in [":to-be-notified-by-name".to_owned(), format!(":{}/pid", folder.path().display())] {
        let (mut children, fifo) = (children(), Fifo::new());
        let argv =
            [c"sh", c"-c", c"exec 3>$FIFO; mkfifo $FIFO.never; echo $$ >&3; read -r _ <$FIFO.never"].map(CString::from);
        let child = children.start(&program, &argv, &[fifo.variable()]).unwrap();
        fs::write(folder.path().join("pid"), fifo.open().next()).unwrap();
        assert_eq!(Notify::parse(&format!("USR1{target}")).unwrap().send(None), Ok(1));
        assert_eq!(end(&mut children, child), Ended::Signal(10));
    }
    assert_eq!(Notify::parse("USR1:to-be-notified-by-name").unwrap().send(None), Err(Fault::Nobody));
}

#[test]
fn the_number_of_a_thread_is_none_of_a_process() {
    let own = i32::try_from(std::process::id()).unwrap();
    let threads =
        fs::read_dir("/proc/self/task").unwrap().filter_map(|it| it.unwrap().file_name().to_str()?.parse::<i32>().ok());
    // The test runs in one that does not lead the process.
    let (leaders, others): (Vec<i32>, Vec<i32>) = threads.partition(|thread| *thread == own);
    assert_eq!(leaders, [own]);
    assert!(!is_thread(Pid::from_raw(own)) && !others.is_empty());
    assert!(others.into_iter().any(|thread| is_thread(Pid::from_raw(thread))));
}

#[test]
fn a_pid_file_holds_one_number_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    for (content, read) in [
        ("2", Ok(2)),
        ("  4194304\r\n", Ok(4_194_304)),
        ("00000000000000000000000000000042", Ok(42)),
        ("000000000000000000000000000000042", Err(PidFault::TooLong)),
        ("", Err(PidFault::NoNumber)),
        (" \n", Err(PidFault::NoNumber)),
        ("12 13", Err(PidFault::NoNumber)),
        ("12\n/var/lib/data\n", Err(PidFault::NoNumber)),
        ("+12", Err(PidFault::NoNumber)),
        ("-12", Err(PidFault::NoNumber)),
        ("0x12", Err(PidFault::NoNumber)),
        ("12\0", Err(PidFault::NoNumber)),
        ("0", Err(PidFault::OutOfRange)),
        ("1", Err(PidFault::OutOfRange)),
        ("2147483648", Err(PidFault::OutOfRange)),
        (&std::process::id().to_string(), Err(PidFault::Ourselves)),
    ] {
        fs::write(&path, content).unwrap();
        assert_eq!(pid_in(&path).map(Pid::as_raw), read, "{content:?}");
    }
}

#[test]
fn a_pid_file_is_a_regular_file_or_a_link_to_one() {
    let (folder, fifo) = (tempfile::tempdir().unwrap(), Fifo::new());
    let (file, link, socket) = (folder.path().join("file"), folder.path().join("link"), folder.path().join("socket"));
    fs::write(&file, "42\n").unwrap();
    symlink(&file, &link).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, read) in [
        (link.as_path(), Ok(42)),
        (folder.path(), Err(PidFault::NotAFile)),
        (&fifo.path, Err(PidFault::NotAFile)),
        (&socket, Err(PidFault::NotAFile)),
        (Path::new("/dev/zero"), Err(PidFault::NotAFile)),
        (Path::new("/nowhere/pid"), Err(PidFault::Unreadable(Errno::ENOENT))),
    ] {
        assert_eq!(pid_in(path).map(Pid::as_raw), read, "{}", path.display());
    }
}

#[test]
fn the_process_of_a_stale_pid_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    // No kernel has so many.
    fs::write(&path, i32::MAX.to_string()).unwrap();
    let notify = Notify::parse(&format!("HUP:{}", path.display())).unwrap();
    assert_eq!(notify.send(None), Err(Fault::Gone(i32::MAX)));
    fs::write(&path, "none").unwrap();
    assert_eq!(
        notify.send(None).unwrap_err().to_string(),
        "the PID file does not hold one decimal number; it must hold one PID and nothing else"
    );
}
