//! Rotations: with a grace time, and a hundred of them under load.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use vault_testkit::eventually;

use super::{Agent, Answer, Ask, of, rotate, token};
use crate::support::with_corner;

const ROTATIONS: usize = 100;

/// Threads that sign with the newest token that they were given.
const SIGNERS: usize = 4;

#[test]
fn a_rotated_token_is_accepted_at_once_and_the_one_before_for_the_grace_time() {
    with_corner("a_rotated_token_is_accepted_at_once_and_the_one_before_for_the_grace_time", |corner| {
        rotate(corner, &token(1));
        let mut command = of(corner);
        command.env("AGENT_GRACE", "4");
        let agent = Agent::start(command);
        let status = |number| agent.send(&Ask::status(&token(number))).status;
        assert_eq!([1, 2].map(status), [200, 401]);
        rotate(corner, &token(2));
        // The agent has not read it yet.
        assert_eq!([1, 2].map(status), [200, 401]);
        agent.refresh(&token(1));
        assert_eq!([1, 2].map(status), [200, 200]);
        let under: Vec<_> = agent.decisions().iter().rev().take(2).map(|line| line["token"].clone()).collect();
        assert_eq!(under, ["current", "previous"]);
        eventually("the grace time is over", || status(1) == 401);
        assert_eq!(status(2), 200);
        rotate(corner, &token(3));
        agent.refresh(&token(2));
        assert_eq!([1, 2, 3].map(status), [401, 200, 200]);
        let lines = agent.lines_of("token");
        let told: Vec<_> = lines.iter().map(|line| json!([line["outcome"], line["from"], line["to"]])).collect();
        assert_eq!(told, [json!(["changed", 1, 2]), json!(["changed", 2, 3])]);
        agent.end(Signal::SIGTERM);

        let mut command = of(corner);
        command.env("AGENT_GRACE", "0");
        let strict = Agent::start(command);
        rotate(corner, &token(4));
        strict.refresh(&token(3));
        assert_eq!([3, 4].map(|number| strict.send(&Ask::status(&token(number))).status), [401, 200]);
        strict.end(Signal::SIGTERM);
    });
}

#[test]
fn a_short_token_that_comes_later_signs_nothing() {
    with_corner("a_short_token_that_comes_later_signs_nothing", |corner| {
        rotate(corner, &token(1));
        let agent = Agent::start(of(corner));
        rotate(corner, "fifteen letters");
        agent.refresh(&token(1));
        let status = |token: &str| agent.send(&Ask::status(token)).status;
        assert_eq!([status("fifteen letters"), status(&token(1))], [401, 200]);
        agent.end(Signal::SIGTERM);

        let again = Agent::start(of(corner));
        assert_eq!(again.at(), "", "it listens");
        let ended = again.ended();
        let said = "status_agent: the token is shorter than 16 bytes; take a longer one that is made at random\n";
        assert_eq!((ended.code, ended.lines, ended.stderr.as_str()), (Some(1), vec![], said));
        assert_eq!(corner.live_tokens(), 0);
    });
}

/// Where the rotations are, by the numbers of the tokens.
struct Progress {
    /// The newest that is written, or about to be.
    written: AtomicUsize,
    /// The newest that the agent has, for certain.
    given: AtomicUsize,
    /// The newest that each signer has had an answer with.
    answered: [AtomicUsize; SIGNERS],
    is_over: AtomicBool,
}

/// What became of the requests of a thread.
#[derive(Debug, Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    /// Either was right: a rotation came between.
    either: usize,
}

impl Progress {
    /// Sends a request signed with the token `behind` the newest, and notes what became of it.
    fn ask(&self, agent: &Agent, behind: usize, tally: &mut Tally) -> usize {
        let from = self.given.load(Ordering::SeqCst);
        let signed = from.saturating_sub(behind).max(1);
        let answer = agent.send(&Ask::status(&token(signed)));
        let to = self.written.load(Ordering::SeqCst);
        // What the agent had in hand is one of these, and it accepts that and the one before.
        let accepts = |in_hand: usize| signed == in_hand || signed + 1 == in_hand;
        let is_accepted = match answer.status {
            200 => true,
            401 => {
                assert_eq!(answer, Answer::error(401, "unauthorized"));
                false
            }
            _ => panic!("{answer:?}"),
        };
        if (from..=to).all(accepts) {
            assert!(is_accepted, "signed with {signed}, while {from} to {to} were in hand");
            tally.accepted += 1;
        } else if !(from..=to).any(accepts) {
            assert!(!is_accepted, "signed with {signed}, while {from} to {to} were in hand");
            tally.refused += 1;
        } else {
            tally.either += 1;
        }
        from
    }

    fn is_under_way(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    /// Whether each signer has had an answer with the token of this number.
    fn is_answered(&self, number: usize) -> bool {
        self.answered.iter().all(|it| it.load(Ordering::SeqCst) >= number)
    }
}

/// Ends the other threads, also where this one has panicked.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_hundred_rotations_under_load_refuse_no_token_of_its_time_and_accept_no_older_one() {
    with_corner("a_hundred_rotations_under_load_refuse_no_token_of_its_time_and_accept_no_older_one", |corner| {
        rotate(corner, &token(1));
        let mut command = of(corner);
        // It reads the token by itself as well.
        command.env("AGENT_REFRESH", "1").env("AGENT_GRACE", "3600").env("AGENT_NONCES", "1000000");
        let agent = Agent::start(command);
        let progress = Progress {
            written: AtomicUsize::new(1),
            given: AtomicUsize::new(1),
            answered: Default::default(),
            is_over: AtomicBool::new(false),
        };
        let (newest, older) = thread::scope(|scope| {
            let newest: Vec<_> = (0..SIGNERS)
                .map(|signer| {
                    let (progress, agent) = (&progress, &agent);
                    scope.spawn(move || {
                        let mut tally = Tally::default();
                        while progress.is_under_way() {
                            let given = progress.ask(agent, 0, &mut tally);
                            progress.answered[signer].store(given, Ordering::SeqCst);
                        }
                        tally
                    })
                })
                .collect();
            let older: Vec<_> = (1..=3)
                .map(|behind| {
                    let (progress, agent) = (&progress, &agent);
                    scope.spawn(move || {
                        let mut tally = Tally::default();
                        while progress.is_under_way() {
                            progress.ask(agent, behind, &mut tally);
                        }
                        tally
                    })
                })
                .collect();
            let over = Over(&progress.is_over);
            for number in 2..=ROTATIONS + 1 {
                progress.written.store(number, Ordering::SeqCst);
                rotate(corner, &token(number));
                agent.refresh(&token(number - 1));
                progress.given.store(number, Ordering::SeqCst);
                // No signer is left behind by two rotations: its token would rightly be refused.
                eventually("each signer has had an answer", || progress.is_answered(number));
            }
            drop(over);
            let tallies = |threads: Vec<thread::ScopedJoinHandle<Tally>>| -> Vec<Tally> {
                threads.into_iter().map(|it| it.join().expect("no request was judged wrongly")).collect()
            };
            (tallies(newest), tallies(older))
        });
        println!("{newest:?} {older:?}");
        for tally in &newest {
            assert!(tally.accepted >= ROTATIONS && (tally.refused, tally.either) == (0, 0), "{tally:?}");
        }
        // One rotation behind: accepted or either. Two: refused or, in the first moments, the oldest that there is. Three: refused.
        assert!(older[0].accepted > 0 && older[0].refused == 0, "{older:?}");
        assert!(older[1].refused > 0 && older[2].refused > 0, "{older:?}");

        let changes: Vec<_> = agent.lines_of("token").iter().map(|it| json!([it["from"], it["to"]])).collect();
        let expected: Vec<_> = (1..=ROTATIONS).map(|from| json!([from, from + 1])).collect();
        assert_eq!(changes, expected);
        let decisions = agent.decisions();
        let count = |token: &Value| decisions.iter().filter(|line| line["token"] == *token).count();
        assert!(count(&json!("previous")) > 0 && count(&json!("current")) > ROTATIONS);
        let refused = decisions.iter().filter(|line| line["decision"] == "refused");
        assert!(refused.clone().count() > 0 && refused.clone().all(|line| line["reason"] == "signature"));
        assert_eq!(agent.health().body["version"], json!(ROTATIONS + 1));
        agent.end(Signal::SIGTERM);
        assert_eq!(corner.live_tokens(), 0);
    });
}
