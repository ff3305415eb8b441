//! Many programs, and the time that passes for them.

use std::ops::Range;
use std::time::Duration;

use vault_testkit::random::Random;

use crate::program::{Program, Turn, spread};
use crate::server::{KINDS, Server};

/// Many programs in virtual time.
#[derive(Clone)]
pub(crate) struct Fleet {
    /// `None`: it has not started yet.
    programs: Vec<Option<Program>>,
    /// Who does something in each second, and when.
    due: Vec<Vec<(Duration, usize)>>,
    second: usize,
    pub(crate) server: Server,
    random: Random,
}

/// What the server was asked for in some seconds.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) seconds: Vec<u32>,
    pub(crate) kinds: [usize; KINDS],
    pub(crate) failed_reads: usize,
}

impl Fleet {
    /// `size` programs that start within so many seconds, each at some moment.
    pub(crate) fn starting(size: usize, within: u32, server: Server, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut due = vec![Vec::new(); server.seconds.len()];
        for number in 0..size {
            let at = Duration::from_secs(within.into()).mul_f64(spread(&mut random));
            due[second(at)].push((at, number));
        }
        Self { programs: vec![None; size], due, second: 0, server, random }
    }

    /// Lets so many seconds pass.
    pub(crate) fn pass(&mut self, length: u32) -> Load {
        let (kinds, failed) = (self.server.kinds, self.server.failed_reads);
        let range = self.second..self.second + usize::try_from(length).expect("a length");
        range.clone().for_each(|_| self.pass_second());
        Load { failed_reads: self.server.failed_reads - failed, ..self.load(range, kinds) }
    }

    fn load(&self, range: Range<usize>, before: [usize; KINDS]) -> Load {
        let kinds = std::array::from_fn(|kind| self.server.kinds[kind] - before[kind]);
        Load { seconds: self.server.seconds[range].to_vec(), kinds, failed_reads: 0 }
    }

    fn pass_second(&mut self) {
        let mut now = std::mem::take(&mut self.due[self.second]);
        now.sort_unstable();
        let mut next = 0;
        // What follows within this second comes behind the others.
        while let Some(&(at, number)) = now.get(next) {
            next += 1;
            let mut turn = Turn { now: at, server: &mut self.server, random: &mut self.random };
            let program = match &mut self.programs[number] {
                Some(program) => {
                    program.act(&mut turn);
                    program
                }
                none => none.insert(Program::start(&mut turn)),
            };
            let due = program.due(at);
            match self.due.get_mut(second(due)) {
                Some(_) if second(due) == self.second => now.push((due, number)),
                Some(then) => then.push((due, number)),
                // After the end of time.
                None => {}
            }
        }
        self.second += 1;
    }
}

fn second(at: Duration) -> usize {
    usize::try_from(at.as_secs()).expect("a second")
}

impl Load {
    pub(crate) fn mean(&self) -> f64 {
        let length = u32::try_from(self.seconds.len()).expect("a length");
        self.seconds.iter().copied().map(f64::from).sum::<f64>() / f64::from(length)
    }

    pub(crate) fn worst(&self) -> u32 {
        self.seconds.iter().copied().max().unwrap_or_default()
    }
}
