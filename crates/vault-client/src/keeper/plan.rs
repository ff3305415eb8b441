//! When the token is renewed, and when a login replaces it.
//!
//! A [`Plan`] is told what happened and says what is due next. It sends nothing, reads no clock and draws no number.
//! A moment is a [`Duration`] since any fixed point; it must go on while the machine is suspended (`CLOCK_BOOTTIME`).
//! `spread` is a number in [0, 1), drawn anew for each call, so that clients that started together do not stay so.
//!
//! The plan does nothing before the first token: the first call of the client logs in.
//!
//! Whatever the server answers, two renewals are a second apart at least, and so are two logins. One login is free of
//! that: the one after a token was lost, if none was lost in the two minutes before.
//!
//! A renewal without an answer is repeated after pauses that double up to two minutes, a login after pauses up to one. What
//! became due for many clients during an outage is so spread over the minutes after it.
//!
//! How leases behave: <https://openbao.org/docs/concepts/lease/> and <https://openbao.org/docs/concepts/tokens/>.

use std::time::Duration;

use crate::login::Origin;
use crate::observe::Act;

/// Shortest time between a request and the next one of the same kind.
///
/// It matters for leases of less than 1.5 s only.
const LEAST_GAP: Duration = Duration::from_secs(1);
/// Longest wait after a renewal without an answer.
const LONGEST_RENEWAL_RETRY: Duration = Duration::from_secs(2 * 60);
/// Longest wait after a login without an answer, and after a token that was lost again.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Wait after the first refused login. It doubles with each further refusal.
const FIRST_REFUSAL: Duration = Duration::from_secs(60);
/// Longest wait after a refused login.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30 * 60);
/// A token lost this long after the one before is replaced at once.
const CALM: Duration = Duration::from_secs(2 * 60);

/// What the user may set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Part of a lease after which its token is renewed or replaced, between 0 and 1. Default: 0.75.
    pub threshold: f64,
    /// A lease shorter than this is replaced by a login instead of renewed. Default: 300 s.
    pub shortest: Duration,
    /// Longest wait after a first renewal that got no answer; half of it is the shortest. Default: 10 s.
    ///
    /// It is the first wait after an unanswered login, too. Both double with each further one: up to two minutes, and to one.
    pub pause: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { threshold: 0.75, shortest: Duration::from_secs(300), pause: Duration::from_secs(10) }
    }
}

/// How long a token lives, counted from the moment when the request for it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The token never ends: TTL 0 and no expiry time.
    Forever,
    /// The token lives this long and can be renewed.
    Renewable(Duration),
    /// The token lives this long and cannot be renewed.
    Final(Duration),
}

impl Lease {
    /// Returns the length, or `None` if the token never ends.
    fn length(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::Renewable(length) | Self::Final(length) => Some(length),
        }
    }

    /// Returns whether a renewal can prolong it.
    fn is_renewable(self) -> bool {
        matches!(self, Self::Renewable(_))
    }
}

/// Why an act failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The server said no: 4xx, or a 5xx that is known to be final, such as 500 `past the max TTL`.
    Refused,
    /// The server failed with this 5xx status.
    Broken(u16),
    /// The server gave no answer, or only that it is busy (412, 429).
    Silent,
}

/// The next act. It is due now if its moment has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When to send the request.
    pub at: Duration,
    /// What to send.
    pub act: Act,
}

/// The token in hand.
#[derive(Debug, Clone, Copy)]
struct Token {
    /// When the request for this lease was sent.
    sent: Duration,
    /// The lease that it brought.
    lease: Lease,
    /// Status of the last renewal, if that was a 5xx.
    broken: Option<u16>,
    /// Renewals without an answer, or with a 5xx, since the last one that succeeded.
    unanswered: u32,
}

impl Token {
    /// Returns when the token ends, or `None` if it never does.
    fn ends(&self) -> Option<Duration> {
        self.lease.length().map(|length| self.sent.saturating_add(length))
    }

    /// Returns the wait before the next renewal, after one that failed at `now`: `pause` doubled with each failure before.
    ///
    /// A fleet whose renewals became due during an outage does not come back within one such pause. At most a quarter of
    /// what is left of the lease is waited, so that some tries remain.
    fn wait(&self, pause: Duration, now: Duration) -> Duration {
        let wait = doubled(pause, self.unanswered, LONGEST_RENEWAL_RETRY);
        let most = self.ends().map_or(wait, |ends| ends.saturating_sub(now) / 4);
        wait.min(most.max(pause))
    }
}

/// What delays a login.
#[derive(Debug, Clone, Copy)]
enum Hold {
    /// Nothing does.
    Free,
    /// A login without an answer delays the plan until then. A caller may try.
    Unanswered(Duration),
    /// A refusal, or the repeated loss of a token, delays plan and callers until then.
    Barred(Duration),
    /// The credential was refused and must change first.
    Spent,
}

/// Says when to renew and when to log in. See the [module](self) for the rules.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the user set.
    rules: Rules,
    /// Where tokens come from.
    origin: Origin,
    /// The token in hand.
    token: Option<Token>,
    /// When a renewal is wanted.
    renew: Option<Duration>,
    /// When a login is wanted. `hold` can delay it.
    login: Option<Duration>,
    /// What delays it.
    hold: Hold,
    /// Refused logins since the last login that succeeded.
    refusals: u32,
    /// Unanswered logins since the last one that was answered.
    unanswered: u32,
    /// Tokens lost one soon after the other, without the first of them.
    losses: u32,
    /// When the last token was lost.
    lost_at: Option<Duration>,
}

impl Plan {
    /// Returns a plan without a token, so nothing is due.
    #[must_use]
    pub fn new(rules: Rules, origin: Origin) -> Self {
        let (token, renew, login, lost_at) = (None, None, None, None);
        Self { rules, origin, token, renew, login, hold: Hold::Free, refusals: 0, unanswered: 0, losses: 0, lost_at }
    }

    /// A login succeeded, a token file was read, or a token handed in was looked up.
    ///
    /// `sent` is when that request was sent, not when it was answered.
    pub fn obtained(&mut self, sent: Duration, lease: Lease, spread: f64) {
        self.accepted();
        self.keep(sent, lease, false, spread);
    }

    /// A login succeeded that left no token, as one that is sent along with a request.
    pub fn accepted(&mut self) {
        self.hold = Hold::Free;
        self.refusals = 0;
        self.unanswered = 0;
    }

    /// A renewal succeeded. The lease is the one in its answer.
    ///
    /// A lease that is shorter than the one before is close to the maximum TTL. Its token is replaced.
    pub fn renewed(&mut self, sent: Duration, lease: Lease, spread: f64) {
        let Some(before) = self.token else { return };
        let shrank = matches!((lease.length(), before.lease.length()), (Some(new), Some(old)) if new < old);
        self.keep(sent, lease, shrank, spread);
    }

    /// An act failed at `now`, which is when that became known.
    ///
    /// If a login fails, the token in hand is still renewed as long as the server does so.
    pub fn failed(&mut self, act: Act, failed: Failed, now: Duration, spread: f64) {
        match act {
            Act::Renew => self.renewal_failed(failed, now, spread),
            Act::LogIn => self.login_failed(failed, now, spread),
        }
    }

    /// The token in hand is dead: a call met 403, and so did the look-up of the token.
    ///
    /// The caller makes sure that this is the token in hand and not one before. A login is due at once, unless one
    /// was refused lately. If tokens are lost one after the other, logins wait, as some servers accept every login and
    /// then refuse every use (a role whose `token_bound_cidrs` exclude this host).
    pub fn lost(&mut self, now: Duration) {
        if self.token.take().is_none() {
            return;
        }
        self.renew = None;
        self.login = Some(now);
        let calm = self.lost_at.is_none_or(|before| now.saturating_sub(before) >= CALM);
        self.losses = if calm { 0 } else { self.losses.saturating_add(1) };
        self.lost_at = Some(now);
        let wait = match self.losses {
            0 => Duration::ZERO,
            again => doubled(self.rules.pause, again - 1, LONGEST_RETRY).max(LEAST_GAP),
        };
        let from = now.saturating_add(wait);
        self.hold = match self.hold {
            Hold::Spent => Hold::Spent,
            Hold::Barred(until) => Hold::Barred(until.max(from)),
            Hold::Free | Hold::Unanswered(_) => Hold::Barred(from),
        };
    }

    /// The credential differs from the one that was tried last.
    ///
    /// A login that was refused may be tried again a second later, so that a file that is written often causes no
    /// storm. A call that repeats itself changes nothing.
    pub fn credential_changed(&mut self, now: Duration) {
        let soon = now.saturating_add(LEAST_GAP);
        self.hold = match self.hold {
            Hold::Spent => Hold::Barred(soon),
            Hold::Barred(until) => Hold::Barred(until.min(soon)),
            free @ (Hold::Free | Hold::Unanswered(_)) => free,
        };
    }

    /// Returns the next act, or `None` if nothing is due before the next event.
    ///
    /// A renewal that would be sent after the end of the lease is never returned.
    #[must_use]
    pub fn next(&self, now: Duration) -> Option<Due> {
        let ends = self.ends();
        let renew = self.renew.filter(|&at| ends.is_none_or(|ends| at.max(now) < ends));
        let login = self.login.and_then(|wanted| self.login_from(wanted));
        match (renew, login) {
            (Some(at), None) => Some(Due { at, act: Act::Renew }),
            (Some(at), Some(login)) if at < login => Some(Due { at, act: Act::Renew }),
            (_, Some(at)) => Some(Due { at, act: Act::LogIn }),
            (None, None) => None,
        }
    }

    /// Returns when the token in hand ends, or `None` if there is none or it never ends.
    ///
    /// A token handed in, or from a file, may live longer than that: somebody else may renew it.
    #[must_use]
    pub fn ends(&self) -> Option<Duration> {
        self.token.and_then(|token| token.ends())
    }

    /// Returns whether a call that needs a new token may log in now.
    ///
    /// If not, the call fails with what the client remembers: the refusal, or that the token was lost again.
    #[must_use]
    pub fn may_log_in(&self, now: Duration) -> bool {
        self.origin != Origin::Token
            && match self.hold {
                Hold::Free | Hold::Unanswered(_) => true,
                Hold::Barred(until) => until <= now,
                Hold::Spent => false,
            }
    }

    /// Returns whether the last answer to a login was a refusal.
    ///
    /// As long as it is, the keeper watches the credential and calls [`Plan::credential_changed`].
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refusals > 0
    }

    /// Takes a token in hand and plans what follows.
    fn keep(&mut self, sent: Duration, lease: Lease, shrank: bool, spread: f64) {
        let token = Token { sent, lease, broken: None, unanswered: 0 };
        self.token = Some(token);
        self.renew = None;
        self.login = None;
        let (Some(length), Some(ends)) = (lease.length(), token.ends()) else { return };
        // A lease that shrank comes from a renewal. The login after it needs no gap, as the one before is long ago.
        let soonest = sent.saturating_add(LEAST_GAP);
        let point = sent.saturating_add(fraction(length, self.rules.threshold * (0.9 + 0.1 * spread)));
        let (replace, login) = match (shrank, self.prefers_login(lease, length)) {
            (true, _) => (true, point),
            (false, true) => (true, point.max(soonest)),
            (false, false) => (false, ends.max(soonest)),
        };
        let can_replace = self.login_from(login) == Some(login);
        self.login = Some(login);
        self.renew = (lease.is_renewable() && !(replace && can_replace)).then_some(point.max(soonest));
    }

    /// Returns whether a login is better than a renewal of a lease that did not shrink.
    ///
    /// A token file likely holds the same token still, so a token from there is used as long as it lives.
    fn prefers_login(&self, lease: Lease, length: Duration) -> bool {
        match self.origin {
            Origin::Login | Origin::LoginOnce | Origin::Browser => {
                !lease.is_renewable() || length < self.rules.shortest
            }
            Origin::TokenFile | Origin::Token => false,
        }
    }

    /// Returns when the plan can log in, at `wanted` or later, or `None` if it cannot.
    fn login_from(&self, wanted: Duration) -> Option<Duration> {
        if matches!(self.origin, Origin::Browser | Origin::Token) {
            return None;
        }
        match self.hold {
            Hold::Free => Some(wanted),
            Hold::Unanswered(until) | Hold::Barred(until) => Some(wanted.max(until)),
            Hold::Spent => None,
        }
    }

    /// Plans a login, another renewal, or both.
    fn renewal_failed(&mut self, failed: Failed, now: Duration, spread: f64) {
        let Some(token) = &mut self.token else { return };
        let status = match failed {
            Failed::Refused => {
                token.lease = token.lease.length().map_or(Lease::Forever, Lease::Final);
                self.renew = None;
                self.login = Some(now);
                return;
            }
            Failed::Broken(status) => Some(status),
            Failed::Silent => None,
        };
        if status.is_some() && status == token.broken {
            self.login = Some(now);
        }
        token.broken = status;
        let wait = token.wait(self.rules.pause, now);
        token.unanswered = token.unanswered.saturating_add(1);
        self.renew = Some(now.saturating_add(jittered(wait, spread)));
    }

    /// Delays the next login, and renews the token in hand meanwhile.
    fn login_failed(&mut self, failed: Failed, now: Duration, spread: f64) {
        self.hold = match failed {
            Failed::Refused => {
                let wait = doubled(FIRST_REFUSAL, self.refusals, LONGEST_REFUSAL);
                self.refusals = self.refusals.saturating_add(1);
                self.unanswered = 0;
                match self.origin {
                    Origin::Login | Origin::TokenFile | Origin::Token => Hold::Barred(now.saturating_add(wait)),
                    Origin::LoginOnce | Origin::Browser => Hold::Spent,
                }
            }
            Failed::Broken(_) | Failed::Silent => {
                let wait = doubled(self.rules.pause, self.unanswered, LONGEST_RETRY);
                self.unanswered = self.unanswered.saturating_add(1);
                Hold::Unanswered(now.saturating_add(jittered(wait, spread)))
            }
        };
        let is_planned = self.renew.is_some_and(|at| at > now);
        if let Some(token) = self.token.filter(|token| token.lease.is_renewable() && !is_planned) {
            self.renew = Some(now.saturating_add(jittered(token.wait(self.rules.pause, now), spread)));
        }
    }
}

/// Returns `first` doubled so many times, at most `longest`, and never less than `first`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest.max(first))
}

/// Returns between a half and the whole of a wait, at least a second.
fn jittered(wait: Duration, spread: f64) -> Duration {
    fraction(wait, 0.5 + 0.5 * spread).max(LEAST_GAP)
}

/// Returns a part of a length, or all of it if there is no such part (a factor that is negative or no number).
fn fraction(length: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(length.as_secs_f64() * factor).unwrap_or(length)
}

#[cfg(test)]
mod tests;
