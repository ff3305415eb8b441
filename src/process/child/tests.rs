//! Children that are real: shells with a few words to do.

use std::fs;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::kill;
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use super::*;
use crate::process::tests::{Fifo, children, end, is_alone, wait};

fn shell(children: &mut Children, script: &str, environment: &[CString]) -> Child {
    let argv = [c"sh", c"-c", &CString::new(script).unwrap()].map(CString::from);
    children.start(c"/bin/sh", &argv, environment).unwrap()
}

/// What a shell writes to its descriptor 3, and how it ends.
fn run(script: &str, environment: &[CString]) -> (String, Ended) {
    let (mut children, fifo) = (children(), Fifo::new());
    let environment = [environment, &[fifo.variable()]].concat();
    let child = shell(&mut children, &format!("exec 3>$FIFO\n{script}"), &environment);
    let said = fifo.open().rest();
    (said, end(&mut children, child))
}

#[test]
fn a_child_has_the_environment_that_is_given_and_ends_with_its_code() {
    let (said, ended) =
        run("tr '\\0' '\\n' </proc/$$/environ | grep -v ^FIFO= >&3; exit 7", &[c"A=b c".into(), c"odd".into()]);
    assert_eq!((said.as_str(), ended), ("A=b c\nodd\n", Ended::Code(7)));
}

#[test]
fn an_end_by_a_signal_is_told_for_real_time_signals_too() {
    assert_eq!(run("kill -KILL $$", &[]).1, Ended::Signal(9));
    assert_eq!(run("kill -34 $$", &[]).1, Ended::Signal(34));
}

#[test]
fn a_child_reads_nothing_writes_to_standard_error_and_inherits_nothing_else() {
    let ours = tempfile::NamedTempFile::new().unwrap();
    let (said, ended) = run("for it in /proc/$$/fd/*; do echo \"${it##*/} $(readlink $it)\" >&3; done", &[]);
    let link = |number: &str| {
        let start = format!("{number} ");
        said.lines().find_map(|line| line.strip_prefix(start.as_str()).map(str::to_owned)).unwrap()
    };
    let error = fs::read_link("/proc/self/fd/2").unwrap().display().to_string();
    assert_eq!((link("0"), link("1"), link("2"), ended), ("/dev/null".into(), error.clone(), error, Ended::Code(0)));
    assert!(!said.contains(ours.path().to_str().unwrap()) && !said.contains("signalfd"), "{said}");
}

#[test]
fn a_child_leads_a_process_group_of_its_own() {
    let (said, _) = run("read -r _ _ _ _ group _ < /proc/$$/stat; echo $group $$ >&3", &[]);
    let (group, own) = said.trim_end().split_once(' ').unwrap();
    assert_eq!(group, own);
}

#[test]
fn a_child_has_the_mask_that_is_given_and_the_dispositions_that_were_inherited() {
    sys::ignore_signals_of_writes().unwrap();
    let mask = SigSet::from(Signal::SIGUSR2);
    let (mut children, fifo) = (Children::watch(mask, Orphans::Leave).unwrap(), Fifo::new());
    let child = shell(&mut children, "exec cat /proc/self/status >$FIFO", &[fifo.variable()]);
    let status = fifo.open().rest();
    assert_eq!(end(&mut children, child), Ended::Code(0));
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let bit = |signal: Signal| 1_u64 << (signal as i32 - 1);
    assert_eq!(set("SigBlk:"), bit(Signal::SIGUSR2));
    let default = bit(Signal::SIGPIPE) | bit(Signal::SIGXFSZ) | bit(Signal::SIGCHLD);
    assert_eq!(set("SigIgn:") & default, 0, "{status}");
}

#[test]
fn what_cannot_be_executed_is_told_at_once() {
    let mut children = children();
    let mut start = |program: &CStr| children.start(program, &[c"it".into()], &[c"A=1"]).err();
    assert_eq!(start(c"/nowhere/it"), Some(CommandFault::Missing));
    assert_eq!(start(c"/etc/passwd"), Some(CommandFault::Permission));
    assert_eq!(children.reap(), []);
}

#[test]
fn a_signal_goes_to_the_whole_group() {
    let (mut children, fifo) = (children(), Fifo::new());
    let script = "exec 3>$FIFO; sleep 1000 & echo ready >&3; wait; sleep 1000";
    let child = shell(&mut children, script, &[fifo.variable()]);
    let mut lines = fifo.open();
    assert_eq!(lines.next(), "ready");
    children.signal(child, Signal::SIGTERM);
    // Both are gone before anything is reaped.
    assert_eq!(lines.rest(), "");
    assert_eq!(end(&mut children, child), Ended::Signal(15));
}

#[test]
fn all_who_have_ended_are_reaped_at_once() {
    let mut children = children();
    let [one, two] = ["exit 1", "exit 2"].map(|script| shell(&mut children, script, &[]));
    wait(one);
    wait(two);
    assert_eq!(children.reap(), [(one, Ended::Code(1)), (two, Ended::Code(2))]);
    assert_eq!(children.reap(), []);
}

#[test]
fn what_is_left_of_a_group_is_killed_once_its_leader_has_ended() {
    let (mut children, fifo) = (children(), Fifo::new());
    let child = shell(&mut children, "exec 3>$FIFO; trap '' TERM; sleep 1000 & exit 0", &[fifo.variable()]);
    let mut lines = fifo.open();
    wait(child);
    assert_eq!(children.reap(), [(child, Ended::Code(0))]);
    assert_eq!(lines.rest(), "");
}

#[test]
fn what_has_left_its_group_is_left() {
    let (mut children, fifo) = (children(), Fifo::new());
    let script = "exec 3>$FIFO; setsid sh -c 'echo $$ >&3; exec sleep 1000' & sleep 1000";
    let child = shell(&mut children, script, &[fifo.variable()]);
    let mut lines = fifo.open();
    let daemon = Pid::from_raw(lines.next().parse().unwrap());
    children.signal(child, Signal::SIGKILL);
    assert_eq!(end(&mut children, child), Ended::Signal(9));
    kill(daemon, Signal::SIGTERM).unwrap();
    assert_eq!(lines.rest(), "");
}

/// Waits until an end was noticed.
fn noticed(children: &Children) -> bool {
    let mut descriptors = [PollFd::new(children.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::from(20_000_u16)).unwrap() == 1
}

#[test]
fn an_end_is_noticed_and_orphans_are_reaped_even_if_sigchld_was_ignored() {
    if !is_alone("process::child::tests::an_end_is_noticed_and_orphans_are_reaped_even_if_sigchld_was_ignored") {
        return;
    }
    sys::set(libc::SIGCHLD, libc::SIG_IGN).unwrap();
    set_child_subreaper(true).unwrap();
    let mut children = Children::watch(SigSet::empty(), Orphans::Reap).unwrap();
    let fifo = Fifo::new();
    // The orphan has left the group before its parent ends, and ends when its pipe has a reader.
    let script =
        "mkfifo $FIFO.left; setsid sh -c 'echo >$FIFO.left; echo orphan >$FIFO' & read -r _ <$FIFO.left; exit 4";
    let child = shell(&mut children, script, &[fifo.variable()]);
    assert!(noticed(&children));
    assert_eq!(children.reap(), [(child, Ended::Code(4))]);
    assert_eq!(fifo.open().next(), "orphan");
    assert!(noticed(&children));
    assert_eq!(children.reap(), []);
    assert_eq!(waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG), Err(Errno::ECHILD));
}
