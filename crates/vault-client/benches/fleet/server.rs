//! The server as a fleet sees it: it answers, or it does not, and it counts.

use std::time::Duration;

use vault_client::plan::Failed;

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers; of the requests in a second at most so many, and the others get 429.
    Well(Option<u32>),
    /// Nobody listens.
    Away,
    /// It is sealed.
    Sealed,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Status,
    LogIn,
    Renew,
    LookUp,
    Read,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 5;

/// What an answer is to the program.
pub(crate) enum Answer {
    Done,
    /// 403: the token is dead.
    Dead,
    Failed(Failed),
}

/// The server.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) state: State,
    /// How long its tokens live after a login and after a renewal.
    pub(crate) lease: Duration,
    /// A token of an earlier life is dead.
    pub(crate) life: u32,
    /// Requests in each second, answered or not.
    pub(crate) seconds: Vec<u32>,
    /// Those in all, by kind.
    pub(crate) kinds: [usize; KINDS],
    /// Refreshes that failed.
    pub(crate) failed_reads: usize,
}

impl Server {
    pub(crate) fn new(lease: Duration, seconds: usize) -> Self {
        let state = State::Well(None);
        Self { state, lease, life: 0, seconds: vec![0; seconds], kinds: [0; KINDS], failed_reads: 0 }
    }

    /// Counts a request with this token at `now`, and answers it.
    pub(crate) fn ask(&mut self, now: Duration, kind: Kind, token: Option<u32>) -> Answer {
        let second = &mut self.seconds[usize::try_from(now.as_secs()).expect("a second")];
        *second += 1;
        self.kinds[kind as usize] += 1;
        match self.state {
            State::Well(Some(quota)) if *second > quota => Answer::Failed(Failed::Silent),
            State::Well(_) if token.is_some_and(|life| life != self.life) => Answer::Dead,
            State::Well(_) => Answer::Done,
            State::Away => Answer::Failed(Failed::Silent),
            State::Sealed => Answer::Failed(Failed::Broken(503)),
        }
    }
}
