//! What can go wrong between the program and the server, drawn at random.

use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::random::Random;

/// How a connection ends in the middle of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a reset.
    Reset,
    /// With an orderly end.
    Close,
    /// Not at all: nothing comes any more.
    Hang,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`.
    Length,
    /// By the last chunk.
    Chunks,
    /// By the end of the connection.
    UntilClose,
}

/// What happens to one request and its answer. Shares are in percent of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer arrives as it is.
    Nothing,
    /// Only this share of the request arrives.
    RequestCut(u64, End),
    /// Only this share of the answer arrives; the server has done what was asked.
    AnswerCut(u64, End),
    /// This share of the body arrives as if it were all of it.
    Shortened(u64),
    /// The answer arrives, and then the connection is closed.
    HungUp,
    /// The connection is reset, and nobody listens for so long.
    Refused(Duration),
    /// The answer comes so much later.
    Late(Duration),
    /// The answer comes in pieces of so many bytes, with such pauses.
    Dripped(usize, Duration),
    /// Something in between answers, with this status and `Retry-After`.
    Busy(u16, Option<&'static str>),
    /// Something in between answers with a page.
    Page(u16),
    /// The seal is thrown so long before the request is handed on, and lifted so long after.
    Sealed(Duration, Duration),
}

const RETRY_AFTER: [Option<&str>; 7] =
    [None, Some("0"), Some("1"), Some("2"), Some("3600"), Some("Fri, 31 Dec 2100 23:59:59 GMT"), Some("soon")];

impl Fault {
    fn draw(random: &mut Random, seals: bool) -> Self {
        let end = random.pick(&[End::Reset, End::Close, End::Hang]);
        let share = random.within(0..=100);
        // Where seals are thrown, half of the faults are one.
        match random.within(if seals { 0 } else { 11 }..=21) {
            0..=10 => Self::Sealed(random.millis(0..=20), random.millis(0..=900)),
            11 | 12 => Self::RequestCut(share, end),
            13 | 14 => Self::AnswerCut(share, end),
            15 => Self::Shortened(share),
            16 => Self::HungUp,
            17 => Self::Refused(random.millis(0..=150)),
            18 => Self::Late(random.millis(0..=1500)),
            19 => Self::Dripped(random.pick(&[1, 7, 64]), random.millis(1..=40)),
            20 => Self::Busy(random.pick(&[408, 412, 429, 500, 502, 503, 504]), random.pick(&RETRY_AFTER)),
            _ => Self::Page(random.pick(&[200, 404, 502, 503])),
        }
    }

    /// Whether the program gets something else than the server's answer, or gets it otherwise.
    pub fn spoils(self) -> bool {
        !matches!(self, Self::Nothing | Self::HungUp)
    }

    /// The exit codes of a run that it is the end of.
    pub fn codes(self) -> &'static [i32] {
        match self {
            Self::Nothing => &[],
            Self::Busy(..) | Self::Sealed(..) | Self::Page(502 | 503) => &[75],
            Self::Page(_) => &[76],
            // What ends with the connection is not told from what was cut off.
            Self::Shortened(_) => &[69, 76],
            _ => &[69],
        }
    }
}

/// When a signal is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Between the request and its answer.
    Asked,
    /// So long after a try that went wrong.
    After(Duration),
}

/// What happens in one run.
#[derive(Clone)]
pub struct Plan {
    random: Random,
    /// How many requests in a hundred something happens to.
    roughness: u64,
    /// Whether the seal is thrown.
    pub seals: bool,
    /// This signal is sent at this request or, between two tries, after it.
    pub signal: Option<(Signal, usize, Moment)>,
}

impl Plan {
    /// A plan; the same random numbers make the same one.
    pub fn draw(random: &mut Random) -> Self {
        let moment = if random.chance(60) { Moment::Asked } else { Moment::After(random.millis(0..=100)) };
        let signal = (random.pick(&[SIGTERM, SIGINT, SIGHUP, SIGQUIT]), random.pick(&[0, 1, 2, 3, 3, 4]), moment);
        Self {
            roughness: random.pick(&[0, 10, 25, 25, 50, 80]),
            seals: random.chance(20),
            signal: Some(signal).filter(|_| random.chance(30)),
            random: Random::new(random.draw()),
        }
    }

    /// What happens to the next request, and how the body of its answer ends.
    pub(super) fn next(&mut self) -> (Fault, Framing) {
        let framing = self.random.pick(&[Framing::Length, Framing::Length, Framing::Chunks, Framing::UntilClose]);
        // Drawn in any case: the same seed has the same sequence.
        let fault = Fault::draw(&mut self.random, self.seals);
        (if self.random.chance(self.roughness) { fault } else { Fault::Nothing }, framing)
    }
}
