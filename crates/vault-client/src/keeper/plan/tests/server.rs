//! A model of a server, and a client that follows its plan, in virtual time.

use std::ops::Range;
use std::time::Duration;

use super::super::{Act, Failed, Lease, Origin, Plan, Rules};

/// More requests than any client here sends: one in three seconds for a week.
const MOST: usize = 200_000;

/// Returns a number of seconds.
pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Where the spread of each call comes from.
pub enum Spreads {
    /// The same number each time.
    Always(f64),
    /// Numbers in [0, 1) that look random and are the same in each run (splitmix64).
    Drawn(u64),
}

impl Spreads {
    pub fn draw(&mut self) -> f64 {
        let seed = match self {
            Self::Always(spread) => return *spread,
            Self::Drawn(seed) => seed,
        };
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).expect("32 bits")) / (f64::from(u32::MAX) + 1.0)
    }
}

/// What a server does for a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// It does not answer.
    Away,
    /// It answers everything with this 5xx, for example 503 while it is sealed.
    Status(u16),
    /// It answers logins with this 5xx and serves the rest.
    LoginStatus(u16),
    /// It answers renewals with this 5xx and serves the rest.
    RenewalStatus(u16),
    /// It refuses logins and serves the rest.
    LoginsRefused,
    /// It refuses renewals, as it does without the default policy.
    RenewalsRefused,
    /// It logs in and refuses each use, as it does outside of `token_bound_cidrs`.
    UsesRefused,
}

/// A server with one role and at most one token. Its leases are whole seconds, as in the real one.
#[derive(Debug, Clone)]
pub struct Server {
    pub token_ttl: u64,
    /// `None` for a periodic token.
    pub max_ttl: Option<u64>,
    pub renewable: bool,
    /// Time from a request to the server, and again for the answer.
    pub way: Duration,
    pub faults: Vec<(Range<Duration>, Fault)>,
    /// When every token is revoked, in ascending order.
    pub revocations: Vec<Duration>,
    /// When the live token began and when it ends.
    token: Option<(Duration, Duration)>,
}

impl Server {
    pub fn new(token_ttl: u64, max_ttl: Option<u64>) -> Self {
        Self {
            token_ttl,
            max_ttl,
            renewable: true,
            way: Duration::ZERO,
            faults: Vec::new(),
            revocations: Vec::new(),
            token: None,
        }
    }

    fn fault(&self, at: Duration) -> Option<Fault> {
        self.faults.iter().find(|(when, _)| when.contains(&at)).map(|(_, fault)| *fault)
    }

    /// Returns until when the token lives that was in force at this moment.
    fn lives_until(&self, at: Duration) -> Duration {
        let Some((began, ends)) = self.token else { return Duration::ZERO };
        let revoked = self.revocations.iter().find(|revoked| began < **revoked && **revoked <= at);
        revoked.map_or(ends, |revoked| ends.min(*revoked))
    }

    /// Answers a call with the token: whether it is served, or `None` without an answer about that.
    fn used(&self, at: Duration) -> Option<bool> {
        match self.fault(at) {
            Some(Fault::Away | Fault::Status(_)) => None,
            Some(Fault::UsesRefused) => Some(false),
            _ => Some(at < self.lives_until(at)),
        }
    }

    /// Answers a renewal or a login that arrives at this moment.
    fn answer(&mut self, act: Act, at: Duration) -> Result<Lease, Failed> {
        match (self.fault(at), act) {
            (Some(Fault::Away), _) => return Err(Failed::Silent),
            (Some(Fault::Status(status)), _)
            | (Some(Fault::LoginStatus(status)), Act::LogIn)
            | (Some(Fault::RenewalStatus(status)), Act::Renew) => return Err(Failed::Broken(status)),
            (Some(Fault::LoginsRefused), Act::LogIn)
            | (Some(Fault::RenewalsRefused | Fault::UsesRefused), Act::Renew) => return Err(Failed::Refused),
            _ => {}
        }
        let began = match act {
            Act::LogIn => at,
            Act::Renew if !self.renewable || self.lives_until(at) <= at => return Err(Failed::Refused),
            Act::Renew => self.token.expect("a token that lives").0,
        };
        let mut length = secs(self.token_ttl);
        if let Some(max) = self.max_ttl {
            length = length.min((began + secs(max)).saturating_sub(at));
        }
        if length.is_zero() {
            return Err(Failed::Refused);
        }
        self.token = Some((began, at + length));
        let told = secs(length.as_secs());
        Ok(if self.renewable { Lease::Renewable(told) } else { Lease::Final(told) })
    }
}

/// One request of the client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    pub at: Duration,
    pub act: Act,
    /// What it brought, or `None` if it failed.
    pub lease: Option<Lease>,
}

/// A client that does what its plan says and makes a call now and then.
pub struct Client {
    pub plan: Plan,
    pub server: Server,
    spreads: Spreads,
    /// Time between two calls with the token, or `None` if there are none.
    pub calls: Option<Duration>,
    /// When the machine is suspended.
    pub suspended: Range<Duration>,
    /// Each request for a token.
    pub sent: Vec<Sent>,
    /// Time without a token that the server takes, up to the last login.
    gaps: Duration,
    now: Duration,
}

impl Client {
    /// Returns a client that has logged in at the moment 0.
    pub fn new(origin: Origin, server: Server, spreads: Spreads) -> Self {
        let mut client = Self {
            plan: Plan::new(Rules::default(), origin),
            server,
            spreads,
            calls: None,
            suspended: Duration::ZERO..Duration::ZERO,
            sent: Vec::new(),
            gaps: Duration::ZERO,
            now: Duration::ZERO,
        };
        client.send(Act::LogIn);
        client
    }

    /// Makes calls that often.
    pub fn calling_every(mut self, pause: Duration) -> Self {
        self.calls = Some(pause);
        self
    }

    /// Goes on until this moment.
    pub fn run(&mut self, until: Duration) {
        let mut call = self.calls;
        loop {
            let due = self.plan.next(self.now);
            let act_at = due.map_or(Duration::MAX, |due| due.at.max(self.now));
            let call_at = call.map_or(Duration::MAX, |at| at.max(self.now));
            let next = act_at.min(call_at);
            if next >= until {
                break;
            }
            self.now = if self.suspended.contains(&next) { self.suspended.end } else { next };
            if call_at < act_at {
                call = self.calls.map(|pause| self.now + pause);
                if self.server.used(self.now) == Some(false) {
                    self.plan.lost(self.now);
                }
            } else if let Some(due) = self.plan.next(self.now) {
                self.send(due.act);
            }
        }
        self.now = self.now.max(until);
    }

    fn send(&mut self, act: Act) {
        let sent = self.now;
        let arrives = sent + self.server.way;
        let lived_until = self.server.lives_until(arrives);
        let answer = self.server.answer(act, arrives);
        self.now = arrives + self.server.way;
        assert!(self.sent.len() < MOST, "a storm");
        self.sent.push(Sent { at: sent, act, lease: answer.ok() });
        let spread = self.spreads.draw();
        match (answer, act) {
            (Ok(lease), Act::LogIn) => self.plan.obtained(sent, lease, spread),
            (Ok(lease), Act::Renew) => self.plan.renewed(sent, lease, spread),
            (Err(failed), _) => self.plan.failed(act, failed, self.now, spread),
        }
        if act == Act::LogIn && answer.is_ok() && self.sent.len() > 1 {
            self.gaps += self.now.saturating_sub(lived_until);
        }
    }

    /// Returns how long the client was without a token that the server takes.
    pub fn bare(&self) -> Duration {
        self.gaps + self.now.saturating_sub(self.server.lives_until(self.now))
    }

    /// Counts requests of one kind.
    pub fn count(&self, act: Act) -> usize {
        self.sent.iter().filter(|sent| sent.act == act).count()
    }

    /// Returns when requests of one kind were sent, in seconds.
    pub fn times(&self, act: Act) -> Vec<f64> {
        self.sent.iter().filter(|sent| sent.act == act).map(|sent| sent.at.as_secs_f64()).collect()
    }
}

/// Returns the largest number of requests within any stretch of this length.
pub fn most_within(length: Duration, times: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while *at >= times[first].saturating_add(length) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
