//! Reads, writes, refreshes and losses in any order: what each reader gets is of its path, and not older than the last
//! write that had ended when the reader began.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const PATHS: [&str; 3] = ["a", "a/b", "b"];

#[derive(Clone, Debug)]
enum Act {
    /// A reader begins: of which path, past the cache or not, and whether Vault answers with what is there at the
    /// beginning of its read or at the end.
    Read { path: usize, refresh: bool, late: bool },
    /// The answer to this read is there, counted from the last one.
    Answer(usize),
    /// This reader leaves.
    Leave(usize),
    /// A write begins, is done by Vault, is answered: each in its turn.
    Write(usize),
    /// The next step of this write.
    GoOn(usize),
    /// The identity is lost.
    Lose,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..PATHS.len(), prop::bool::weighted(0.15), any::<bool>())
            .prop_map(|(path, refresh, late)| Act::Read { path, refresh, late }),
        5 => (0..8_usize).prop_map(Act::Answer),
        1 => (0..8_usize).prop_map(Act::Leave),
        2 => (0..PATHS.len()).prop_map(Act::Write),
        5 => (0..4_usize).prop_map(Act::GoOn),
        1 => Just(Act::Lose),
    ]
}

/// What is in Vault: how often each path was written.
type Vault = Arc<Mutex<HashMap<usize, u64>>>;
type Looking = Pin<Box<dyn Future<Output = (Result<(Found<Text>, Instant), Failure>, Lookup)>>>;

struct Reader {
    path: usize,
    /// The least that it may get.
    least: u64,
    looking: Looking,
}

struct Write {
    path: usize,
    /// What it wrote, once Vault has done it.
    number: Option<u64>,
}

#[derive(Default)]
struct World {
    vault: Vault,
    /// The last write of each path that has ended.
    ended: HashMap<usize, u64>,
    readers: Vec<Reader>,
    /// For each read that may have begun: whether its answer is there. Others may wait for the read of one who has left.
    answers: Vec<Arc<AtomicBool>>,
    writes: Vec<Write>,
}

impl World {
    fn now(vault: &Vault, path: usize) -> u64 {
        vault.lock().unwrap().get(&path).copied().unwrap_or_default()
    }

    fn reader(&mut self, place: &Place<Text>, path: usize, refresh: bool, late: bool) -> Reader {
        let ended = self.ended.get(&path).copied().unwrap_or_default();
        let least = if refresh { Self::now(&self.vault, path) } else { ended };
        let gate = Arc::new(AtomicBool::new(false));
        self.answers.push(Arc::clone(&gate));
        let (vault, place) = (Arc::clone(&self.vault), place.clone());
        let read = async move {
            let early = Self::now(&vault, path);
            poll_fn(|_| if gate.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
            match if late { Self::now(&vault, path) } else { early } {
                0 => absent(),
                number => present(&format!("{path} {number}")),
            }
        };
        let looking = Box::pin(async move { place.look_up(PATHS[path], None, refresh, || read).await });
        Reader { path, least, looking }
    }

    /// Lets every reader go on that can.
    fn poll(&mut self) {
        self.readers.retain_mut(|reader| match (&mut reader.looking).now_or_never() {
            Some((done, lookup)) => {
                let got = match word(&done).as_str() {
                    "not-found" => 0,
                    text => {
                        let (path, number) = text.split_once(' ').expect("a value");
                        assert_eq!(path, reader.path.to_string(), "of another path");
                        number.parse().expect("a number")
                    }
                };
                assert!(got >= reader.least, "{got} is older than {}: {lookup:?}", reader.least);
                false
            }
            None => true,
        });
    }

    fn go_on(&mut self, place: &Place<Text>, which: usize) {
        let Some(write) = self.writes.get_mut(which) else { return };
        match write.number {
            None => {
                let mut vault = self.vault.lock().unwrap();
                let number = vault.entry(write.path).or_default();
                *number += 1;
                write.number = Some(*number);
            }
            Some(number) => {
                place.purge(PATHS[write.path]).now_or_never().expect("a purge does not wait");
                let ended = self.ended.entry(write.path).or_default();
                *ended = number.max(*ended);
                self.writes.remove(which);
            }
        }
    }

    fn act(&mut self, place: &Place<Text>, act: &Act) {
        match *act {
            Act::Read { path, refresh, late } => {
                let reader = self.reader(place, path, refresh, late);
                self.readers.push(reader);
            }
            Act::Answer(which) => {
                self.answers
                    .iter()
                    .rev()
                    .nth(which)
                    .into_iter()
                    .for_each(|answer| answer.store(true, Ordering::SeqCst));
            }
            Act::Leave(which) if which < self.readers.len() => drop(self.readers.remove(which)),
            Act::Leave(_) => {}
            Act::Write(path) => {
                place.purge(PATHS[path]).now_or_never().expect("a purge does not wait");
                self.writes.push(Write { path, number: None });
            }
            Act::GoOn(which) => self.go_on(place, which),
            Act::Lose => place.owner.lose(),
        }
        self.poll();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_gets_what_is_of_its_path_and_not_older_than_the_last_write_that_had_ended(acts in vec(act(), 1..60)) {
        let (place, mut world) = (place(limits()), World::default());
        for act in &acts {
            world.act(&place, act);
        }
        // In the end everybody gets an answer.
        for answer in &world.answers {
            answer.store(true, Ordering::SeqCst);
        }
        world.poll();
        world.poll();
        prop_assert!(world.readers.is_empty(), "{} wait for ever", world.readers.len());
    }
}
