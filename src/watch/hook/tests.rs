//! Hooks that are real, at times that are made up.

use std::ffi::CString;

use super::*;
use crate::process::environ::Environ;
use crate::process::tests::{Fifo, Lines, children, wait};

const LIMIT: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(60);

struct Scene {
    hook: Hook,
    children: Children,
    fifo: Fifo,
    now: Instant,
}

impl Scene {
    /// A hook that writes to its descriptor 3.
    fn new(script: &str) -> Self {
        let words = ["sh", "-c", &format!("exec 3>$FIFO; {script}")].map(Into::into);
        let command = Command::find(words.into(), &Environ::from_pairs([])).unwrap();
        let hook = Hook::new(command, LIMIT, EVERY);
        Self { hook, children: children(), fifo: Fifo::new(), now: Instant::now() }
    }

    fn change(&mut self, version: &str) {
        let entries = [self.fifo.variable(), CString::new(format!("VERSION={version}")).unwrap()];
        self.hook.changed(Environ::from_entries(entries).into_entries_without(|_, _| false));
    }

    fn drive(&mut self) -> Vec<Ran> {
        self.hook.drive(&mut self.children, &[], self.now)
    }

    /// What the run that is under way writes from now on, and what became of it.
    fn end(&mut self, mut lines: Lines) -> (String, Vec<Ran>) {
        let said = lines.rest();
        // The next run must not write to this reader.
        drop(lines);
        wait(self.hook.child.unwrap());
        let ended = self.children.reap();
        (said, self.hook.drive(&mut self.children, &ended, self.now))
    }
}

#[test]
fn changes_during_a_run_become_one_run_with_the_last_environment() {
    let mut scene = Scene::new("echo $VERSION >&3; exit $((VERSION - 1))");
    assert_eq!((scene.drive(), scene.hook.is_running()), (vec![], false));
    scene.change("1");
    assert_eq!((scene.drive(), scene.hook.is_running()), (vec![], true));
    scene.change("2");
    scene.change("3");
    let lines = scene.fifo.open();
    assert_eq!((scene.end(lines), scene.hook.is_ok()), (("1\n".into(), vec![Ran::Succeeded]), Some(true)));
    let lines = scene.fifo.open();
    assert_eq!((scene.end(lines), scene.hook.is_ok()), (("3\n".into(), vec![Ran::Failed(2)]), Some(false)));
    assert_eq!((scene.hook.is_running(), scene.hook.wakes_at()), (false, Some(scene.now + EVERY)));
    // It is tried again with the same environment.
    scene.now += EVERY;
    assert_eq!((scene.drive(), scene.fifo.open().next().as_str()), (vec![], "3"));
}

#[test]
fn a_run_that_does_not_heed_term_is_killed_with_all_of_its_group() {
    let mut scene = Scene::new("trap '' TERM; echo ready >&3; sleep 1000; sleep 1000");
    scene.change("1");
    scene.drive();
    let mut lines = scene.fifo.open();
    assert_eq!(lines.next(), "ready");
    scene.now += LIMIT;
    assert_eq!((scene.drive(), scene.hook.is_running()), (vec![], true));
    scene.now += Duration::from_secs(1);
    assert_eq!(scene.drive(), []);
    assert_eq!(lines.rest(), "");
    let child = scene.hook.child.unwrap();
    wait(child);
    let ended = scene.children.reap();
    assert_eq!(ended, [(child, Ended::Signal(9))]);
    assert_eq!(scene.hook.drive(&mut scene.children, &ended, scene.now), [Ran::TimedOut]);
}

#[test]
fn our_end_ends_a_run_and_says_nothing_of_it() {
    let mut scene = Scene::new("echo ready >&3; sleep 1000");
    scene.change("1");
    scene.drive();
    let mut lines = scene.fifo.open();
    assert_eq!(lines.next(), "ready");
    scene.hook.stop(scene.now);
    assert_eq!(scene.drive(), []);
    assert_eq!(scene.end(lines), (String::new(), vec![]));
    assert_eq!((scene.hook.is_running(), scene.hook.wakes_at(), scene.hook.is_ok()), (false, None, None));
}

#[test]
fn a_command_that_is_gone_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("it");
    std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
    let command = Command::find(vec![link.clone().into()], &Environ::from_pairs([])).unwrap();
    std::fs::remove_file(&link).unwrap();
    let (mut hook, now) = (Hook::new(command, LIMIT, EVERY), Instant::now());
    hook.changed(Vec::new());
    assert_eq!(hook.drive(&mut children(), &[], now), [Ran::NotStarted(CommandFault::Missing)]);
    assert_eq!((hook.is_ok(), hook.is_running(), hook.wakes_at()), (Some(false), false, Some(now + EVERY)));
}

#[test]
fn what_became_of_a_run_is_said_in_words() {
    for (ran, words) in [
        (Ran::Succeeded, "succeeded"),
        (Ran::Failed(3), "ended with code 3"),
        (Ran::Ended(9), "ended by SIGKILL"),
        (Ran::Ended(34), "ended by signal 34"),
        (Ran::TimedOut, "took too long and was ended"),
        (
            Ran::NotStarted(CommandFault::Missing),
            "could not be started: not found; check the name and that the image holds it",
        ),
    ] {
        assert_eq!(ran.to_string(), words);
    }
}
