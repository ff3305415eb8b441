//! A program with one watched secret and the token of a login: what it sends, as the library's plans have it.

use std::time::Duration;

use vault_client::plan::{Failed, Lease, Plan, Rules};
use vault_client::watch::{Cycle, Every};
use vault_client::{Act, Origin};
use vault_testkit::random::Random;

use crate::server::{Answer, Kind, Server};

/// How often the secret is read again.
const EVERY: u64 = 60;

/// A program that runs.
#[derive(Clone)]
pub(crate) struct Program {
    cycle: Cycle,
    plan: Plan,
    /// Of which life of the server its token is.
    token: u32,
}

/// What it does in its turn: the server, the time, the random numbers.
pub(crate) struct Turn<'a> {
    pub(crate) now: Duration,
    pub(crate) server: &'a mut Server,
    pub(crate) random: &'a mut Random,
}

impl Turn<'_> {
    fn ask(&mut self, kind: Kind, token: Option<u32>) -> Answer {
        self.server.ask(self.now, kind, token)
    }

    fn lease(&self) -> Lease {
        Lease::Renewable(self.server.lease)
    }

    /// uniform[0, 1)
    fn spread(&mut self) -> f64 {
        spread(self.random)
    }
}

/// uniform[0, 1)
pub(crate) fn spread(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.draw() >> 32).expect("32 bits")) / (f64::from(u32::MAX) + 1.0)
}

impl Program {
    /// It starts: status, login, read.
    pub(crate) fn start(turn: &mut Turn) -> Self {
        let (now, spread) = (turn.now, turn.spread());
        let cycle = Cycle::new(Every::seconds(EVERY), now, spread);
        let mut program = Self { cycle, plan: Plan::new(Rules::default(), Origin::Login), token: 0 };
        turn.ask(Kind::Status, None);
        program.log_in(turn).expect("it is started beside a server that is well");
        turn.ask(Kind::Read, Some(program.token));
        program
    }

    /// When it does something next.
    pub(crate) fn due(&self, now: Duration) -> Duration {
        let keeping = self.plan.next(now).map(|due| due.at);
        keeping.map_or(self.cycle.due(), |at| at.min(self.cycle.due())).max(now)
    }

    /// Does what is due by now.
    pub(crate) fn act(&mut self, turn: &mut Turn) {
        let now = turn.now;
        match self.plan.next(now).filter(|due| due.at <= now).map(|due| due.act) {
            Some(Act::Renew) => self.renew(turn),
            Some(Act::LogIn) => drop(self.log_in(turn)),
            None => {}
        }
        if self.cycle.due() <= now {
            let read = self.refresh(turn);
            turn.server.failed_reads += usize::from(read.is_err());
            self.cycle.tried(now, now, turn.spread());
        }
    }

    /// A refresh is one try; where a dead token is why it is refused, it is sent once more with a new one.
    fn refresh(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        if self.plan.ends().is_none_or(|ends| ends <= turn.now) {
            self.log_in_if_it_may(turn)?;
        }
        match turn.ask(Kind::Read, Some(self.token)) {
            Answer::Done => return Ok(()),
            Answer::Failed(failed) => return Err(failed),
            Answer::Dead => {}
        }
        let Answer::Dead = turn.ask(Kind::LookUp, Some(self.token)) else { return Err(Failed::Refused) };
        self.plan.lost(turn.now);
        self.log_in_if_it_may(turn)?;
        match turn.ask(Kind::Read, Some(self.token)) {
            Answer::Done => Ok(()),
            Answer::Failed(failed) => Err(failed),
            Answer::Dead => Err(Failed::Refused),
        }
    }

    fn log_in_if_it_may(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        if self.plan.may_log_in(turn.now) { self.log_in(turn) } else { Err(Failed::Refused) }
    }

    fn log_in(&mut self, turn: &mut Turn) -> Result<(), Failed> {
        let answer = turn.ask(Kind::LogIn, None);
        let (now, spread) = (turn.now, turn.spread());
        match answer {
            Answer::Done => {
                self.token = turn.server.life;
                self.plan.obtained(now, turn.lease(), spread);
                Ok(())
            }
            Answer::Dead => unreachable!("a login has no token"),
            Answer::Failed(failed) => {
                self.plan.failed(Act::LogIn, failed, now, spread);
                Err(failed)
            }
        }
    }

    fn renew(&mut self, turn: &mut Turn) {
        let answer = turn.ask(Kind::Renew, Some(self.token));
        let (now, spread) = (turn.now, turn.spread());
        match answer {
            Answer::Done => self.plan.renewed(now, turn.lease(), spread),
            Answer::Dead => self.plan.failed(Act::Renew, Failed::Refused, now, spread),
            Answer::Failed(failed) => self.plan.failed(Act::Renew, failed, now, spread),
        }
    }
}
