//! What it costs to keep a file current: this program beside an agent, on one server over TLS.
//!
//! All sidecars have the same secret to watch, each under a path of its own. What a refresh takes is measured at an interval of
//! a second, what an hour takes at the interval of a minute that a deployment has: there the connection is a new one each
//! time.

mod goals;
mod sidecar;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use vault_testkit::measure::{Spread, mebibytes, print};
use vault_testkit::server::Server;

use crate::goals::Goal;
use crate::subject::Subject;
use sidecar::{Sidecar, State};

/// Those that keep a file current, this program first and the agent last.
const SUBJECTS: [Subject; 3] = [Subject::VaultExec, Subject::VaultExecStatic, Subject::BaoAgent];

/// After so many refreshes all that is allocated once has been.
const SETTLED: usize = 10;

/// Refreshes from there: what an hour has at an interval of a minute.
const HOUR: usize = 60;

/// The same where times are left out.
const SHORT: usize = 10;

/// Refreshes that are measured at an interval of a minute.
const MINUTES: usize = 5;

/// How long those are watched that have nothing to do.
const REST: Duration = Duration::from_secs(60);

/// Starts of each.
const STARTS: usize = 20;

/// Changes that are waited for.
const CHANGES: usize = 20;

/// How often the audit log is read.
const GLANCE: Duration = Duration::from_millis(200);

/// How often it is looked whether a file has changed.
const LOOK: Duration = Duration::from_millis(1);

const COLUMNS: [&str; 9] = [
    "memory",
    "an hour's refreshes later",
    "first file, ms",
    "requests a refresh",
    "change to file, s",
    "CPU a refresh at 1 s, ms",
    "CPU idle, ms an hour",
    "CPU an hour at 60 s, ms",
    "the same, reckoned",
];

/// What was measured of one of them.
struct Figures {
    subject: Subject,
    /// Around its refreshes at an interval of a second.
    refreshed: Stretch,
    /// The times, which depend on the machine's speed.
    times: Option<Times>,
}

struct Times {
    /// Milliseconds from the start to the first file.
    starts: Vec<f64>,
    /// Seconds from a change to the file.
    changes: Vec<f64>,
    idle: Stretch,
    /// Around its refreshes at an interval of a minute.
    minutes: Stretch,
}

/// From one moment to another.
#[derive(Clone, Copy)]
struct Stretch {
    from: State,
    upto: State,
}

#[allow(clippy::cast_precision_loss, reason = "they are few")]
impl Stretch {
    fn seconds(&self) -> f64 {
        (self.upto.at - self.from.at).as_secs_f64()
    }

    fn refreshes(&self) -> f64 {
        (self.upto.reads - self.from.reads) as f64
    }

    /// Milliseconds of processor time.
    fn cpu(&self) -> f64 {
        self.upto.cpu - self.from.cpu
    }

    fn requests_a_refresh(&self) -> f64 {
        (self.upto.requests - self.from.requests) as f64 / self.refreshes()
    }
}

impl Times {
    /// Milliseconds of processor time an hour at an interval of a minute, as measured.
    fn hour(&self) -> f64 {
        self.minutes.cpu() / self.minutes.seconds() * 3600.0
    }

    /// The same by what a refresh takes at an interval of a second, as many refreshes as there were at one of a minute, and
    /// what is taken between them. The handshakes of new connections are not in it.
    fn reckoned(&self, refreshed: &Stretch) -> f64 {
        let refresh = (refreshed.cpu() - self.idle() / 3600.0 * refreshed.seconds()) / refreshed.refreshes();
        refresh * self.minutes.refreshes() / self.minutes.seconds() * 3600.0 + self.idle()
    }

    /// Milliseconds of processor time an hour without a refresh.
    fn idle(&self) -> f64 {
        self.idle.cpu() / self.idle.seconds() * 3600.0
    }
}

impl Figures {
    fn row(&self) -> Vec<String> {
        let memory = |state: &State| mebibytes(state.resident_kib);
        let times = self.times.as_ref();
        let of = |figure: &dyn Fn(&Times) -> String| times.map_or_else(|| "–".to_owned(), figure);
        vec![
            self.subject.name().to_owned(),
            memory(&self.refreshed.from),
            memory(&self.refreshed.upto),
            of(&|it| format!("{:.1}", Spread::of(it.starts.iter().copied()))),
            format!("{:.2}", self.refreshed.requests_a_refresh()),
            of(&|it| {
                format!("{:.2}, at worst {:.2}", Spread::of(it.changes.iter().copied()).median, worst(&it.changes))
            }),
            of(&|_| format!("{:.2}", self.refreshed.cpu() / self.refreshed.refreshes())),
            of(&|it| format!("{:.0}", it.idle())),
            of(&|it| format!("{:.0}", it.hour())),
            of(&|it| format!("{:.0}", it.reckoned(&self.refreshed))),
        ]
    }
}

fn worst(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(0.0, f64::max)
}

/// All programs that are compared.
struct Field<'a> {
    server: &'a Server,
    programs: Vec<(Subject, PathBuf)>,
}

impl<'a> Field<'a> {
    fn of(server: &'a Server, subjects: &[Subject]) -> Self {
        let programs = subjects.iter().map(|subject| (*subject, subject.program().expect("it is there")));
        Self { server, programs: programs.collect() }
    }

    /// One of each, once all have their file.
    fn start(&self, every: u64) -> Vec<Sidecar<'a>> {
        let start = |(subject, program): &(Subject, PathBuf)| Sidecar::start(self.server, *subject, program, every);
        let sidecars: Vec<_> = self.programs.iter().map(start).collect();
        for sidecar in &sidecars {
            sidecar.first_file();
        }
        sidecars
    }

    /// How long each takes to its first file, by turns.
    fn starts(&self) -> Vec<Vec<f64>> {
        let mut starts = vec![Vec::new(); self.programs.len()];
        for round in 0..=STARTS {
            for ((subject, program), starts) in self.programs.iter().zip(&mut starts) {
                let sidecar = Sidecar::start(self.server, *subject, program, 3600);
                let milliseconds = sidecar.first_file().as_secs_f64() * 1000.0;
                // The first round fills caches.
                starts.extend((round > 0).then_some(milliseconds));
            }
        }
        starts
    }
}

/// What is measured in half a minute, whatever the speed of the machine.
pub(crate) fn steady(server: &Server) -> Vec<Goal> {
    let field = Field::of(server, &SUBJECTS[..2]);
    let refreshed = stretches(&field.start(1), SETTLED, SHORT);
    let figures = SUBJECTS.into_iter().zip(refreshed);
    let figures: Vec<_> = figures.map(|(subject, refreshed)| Figures { subject, refreshed, times: None }).collect();
    goals::steady(&figures)
}

/// Measures everything, and prints it.
pub(crate) fn print_all(server: &Server) -> Vec<Goal> {
    let field = Field::of(server, &SUBJECTS);
    let (minutes, (starts, refreshed, changes, idle)) = thread::scope(|scope| {
        // They run beside everything else.
        let minutes = scope.spawn(|| stretches(&field.start(60), 1, MINUTES));
        let resting = field.start(3600);
        let starts = field.starts();
        let by_the_second = field.start(1);
        let refreshed = stretches(&by_the_second, SETTLED, HOUR);
        let changes = changes(&by_the_second);
        drop(by_the_second);
        let idle = rested(&resting);
        (minutes.join().expect("no panic"), (starts, refreshed, changes, idle))
    });
    let times = starts.into_iter().zip(changes).zip(idle).zip(minutes);
    let times = times.map(|(((starts, changes), idle), minutes)| Times { starts, changes, idle, minutes });
    let figures = SUBJECTS.into_iter().zip(refreshed).zip(times);
    let figures: Vec<_> =
        figures.map(|((subject, refreshed), times)| Figures { subject, refreshed, times: Some(times) }).collect();
    print("kept current by", &COLUMNS, figures.iter().map(Figures::row));
    let mut goals = goals::steady(&figures);
    goals.extend(goals::beside(&figures));
    goals
}

/// From the refresh with the number `from` to one that is so many later.
fn stretches(sidecars: &[Sidecar], from: usize, later: usize) -> Vec<Stretch> {
    let mut states = vec![(None, None); sidecars.len()];
    while states.iter().any(|(_, upto)| upto.is_none()) {
        thread::sleep(GLANCE);
        for (sidecar, (first, last)) in sidecars.iter().zip(&mut states) {
            if last.is_some() {
                continue;
            }
            let now = sidecar.now();
            match first {
                // The first read is no refresh.
                None => *first = Some(now).filter(|now| now.reads > from),
                Some(first) => *last = Some(now).filter(|now| now.reads >= first.reads + later),
            }
        }
    }
    states.into_iter().filter_map(|(from, upto)| Some(Stretch { from: from?, upto: upto? })).collect()
}

/// What each of those takes that have nothing to do.
fn rested(sidecars: &[Sidecar]) -> Vec<Stretch> {
    let from: Vec<_> = sidecars.iter().map(Sidecar::now).collect();
    thread::sleep(REST);
    from.into_iter().zip(sidecars).map(|(from, sidecar)| Stretch { from, upto: sidecar.now() }).collect()
}

/// Changes each secret at once, again and again, and returns how many seconds each took to get into each file.
fn changes(sidecars: &[Sidecar]) -> Vec<Vec<f64>> {
    let mut taken = vec![Vec::new(); sidecars.len()];
    for round in 0..CHANGES {
        // At another part of the interval each time.
        thread::sleep(Duration::from_millis(u64::try_from(round * 373 % 1000).expect("few")));
        let value = format!("change {round:02}");
        let changed: Vec<_> = sidecars
            .iter()
            .map(|sidecar| {
                let before = Instant::now();
                sidecar.change(&value);
                before
            })
            .collect();
        let mut seen = vec![None; sidecars.len()];
        while seen.iter().any(Option::is_none) {
            thread::sleep(LOOK);
            for ((sidecar, seen), changed) in sidecars.iter().zip(&mut seen).zip(&changed) {
                *seen = seen.or_else(|| sidecar.has(&value).then(|| changed.elapsed().as_secs_f64()));
            }
        }
        taken.iter_mut().zip(seen).for_each(|(taken, seen)| taken.extend(seen));
    }
    taken
}
