//! What a release has to keep to.

use vault_testkit::measure::{Cost, Spread, mebibytes, megabytes};

use crate::away::Away;
use crate::current::Readers;
use crate::leases::Leases;
use crate::programs::{Entrant, Field};
use crate::refreshes::{REFRESHES, Refreshes};

/// One figure and its limit.
pub(crate) struct Goal {
    figure: &'static str,
    measured: String,
    limit: String,
    pub(crate) missed: bool,
}

impl Goal {
    pub(crate) fn row(&self) -> Vec<String> {
        let measured = if self.missed { format!("**missed:** {}", self.measured) } else { self.measured.clone() };
        vec![self.figure.to_owned(), measured, self.limit.clone()]
    }
}

/// All of them; those of times are skipped where none were taken.
pub(crate) fn all(
    field: &Field,
    leases: &Leases,
    away: &Away,
    readers: &[Readers],
    refreshes: &[Refreshes],
) -> Vec<Goal> {
    let library = &field.library;
    let mut goals = vec![
        start(library, field.peer.as_ref()),
        read(library, &field.bare),
        threads(library, &field.bare),
        crates(library.crates.expect("they were counted")),
        size(library.size),
        short_leases(leases),
        absent_server(away),
    ];
    goals.extend(readers.iter().map(current));
    goals.extend(refreshes.iter().map(flat));
    goals
}

fn start(library: &Entrant, peer: Option<&Entrant>) -> Goal {
    const LIMIT: f64 = 0.25;
    let ratio = peer.map(|peer| ratio(&library.costs.one, &peer.costs.one, |cost| cost.cpu));
    let (measured, missed) = judged(ratio.flatten(), LIMIT);
    Goal { figure: "a program that reads one secret: CPU", measured, limit: format!("{LIMIT} × vaultrs"), missed }
}

/// What a further read takes: a long run, less a short one.
fn read(library: &Entrant, bare: &Entrant) -> Goal {
    const LIMIT: f64 = 1.2;
    let each = |entrant: &Entrant| -> Vec<f64> {
        let Some(start) = spread(&entrant.costs.one, |cost| cost.cpu) else { return Vec::new() };
        entrant.costs.long.iter().map(|long| long.cpu - start.median).collect()
    };
    let (ours, others) = (each(library), each(bare));
    let ratio = (!ours.is_empty()).then(|| Spread::of(ours.iter().zip(&others).map(|(ours, other)| ours / other)));
    let (measured, missed) = judged(ratio, LIMIT);
    Goal {
        figure: "1,000 reads on one connection: CPU",
        measured,
        limit: format!("{LIMIT} × ureq and rustls alone"),
        missed,
    }
}

/// More threads cannot help where the server is at its limit: bare requests show where that is.
fn threads(library: &Entrant, bare: &Entrant) -> Goal {
    const LIMIT: f64 = 1.0 / 3.0;
    /// As near to bare requests as the noise of a machine lets one see.
    const SAME: f64 = 1.1;
    let wall: fn(&Cost) -> f64 = |cost| cost.wall;
    let figure = "1,000 reads on 8 threads: wall time";
    let limit = format!("{LIMIT:.2} × one thread's, or {SAME} × ureq and rustls alone");
    let found =
        ratio(&library.costs.wide, &library.costs.long, wall).zip(ratio(&library.costs.wide, &bare.costs.wide, wall));
    let Some((own, other)) = found else {
        return Goal { figure, measured: skipped(), limit, missed: false };
    };
    let missed = own.median > LIMIT && other.median > SAME;
    Goal { figure, measured: format!("{own:.2} × one thread's, {other:.2} × alone"), limit, missed }
}

fn crates(crates: usize) -> Goal {
    const LIMIT: usize = 60;
    let figure = "crates below the library";
    Goal { figure, measured: crates.to_string(), limit: LIMIT.to_string(), missed: crates > LIMIT }
}

fn size(bytes: u64) -> Goal {
    const LIMIT: u64 = 2_200_000;
    let figure = "size of a program with it";
    Goal { figure, measured: megabytes(bytes), limit: megabytes(LIMIT), missed: bytes > LIMIT }
}

fn short_leases(leases: &Leases) -> Goal {
    let Leases { length, reads, failures, logins, renewals } = leases;
    // 46 in a minute.
    let limit = usize::try_from((length.as_secs() * 46).div_ceil(60)).expect("few");
    Goal {
        figure: "8 threads read, and a token lives for 2 s",
        measured: format!(
            "{failures} failures of {reads} reads in {} s, {logins} logins, {renewals} renewals",
            length.as_secs()
        ),
        limit: format!("0 failures, {limit} logins, 0 renewals"),
        missed: *failures > 0 || *logins > limit || *renewals > 0,
    }
}

fn absent_server(away: &Away) -> Goal {
    const LIMIT: usize = 12;
    let Away { requests, failures, is_back } = away;
    let after = if *is_back { "the next one succeeded" } else { "the next one failed too" };
    Goal {
        figure: "the server is away for 30 s",
        measured: format!("{requests} requests for {failures} reads that failed; {after}"),
        limit: format!("{LIMIT} requests, and the next read succeeds"),
        missed: *requests > LIMIT || !is_back,
    }
}

/// A swap never makes a reader wait: what a read takes longest is what the machine takes from any thread.
fn current(readers: &Readers) -> Goal {
    const LIMIT: f64 = 4.0;
    let Readers { threads, swaps, read, clone } = readers;
    let ratio = read.one / clone.one;
    let milliseconds = |nanoseconds: f64| nanoseconds / 1e6;
    Goal {
        figure: if *threads == 1 { "a read of what is kept current" } else { "the same on 8 threads" },
        measured: format!(
            "{:.0} ns, {ratio:.2} × a clone of an `Arc`; the longest hundred {:.0} ms, of clones {:.0} ms; {swaps} swaps meanwhile",
            read.one,
            milliseconds(read.longest),
            milliseconds(clone.longest)
        ),
        limit: format!("{LIMIT} × a clone of an `Arc`"),
        missed: ratio > LIMIT || *swaps == 0,
    }
}

fn flat(refreshes: &Refreshes) -> Goal {
    const LIMIT: u64 = 256;
    let Refreshes { figure, resident_kib: [from, upto] } = refreshes;
    let growth = upto.saturating_sub(*from);
    let measured = format!("{}, {growth} KiB more than after {}", mebibytes(*upto), REFRESHES / 10);
    Goal { figure, measured, limit: format!("{LIMIT} KiB more"), missed: growth > LIMIT }
}

fn spread(costs: &[Cost], figure: fn(&Cost) -> f64) -> Option<Spread> {
    (!costs.is_empty()).then(|| Spread::of(costs.iter().map(figure)))
}

fn ratio(ours: &[Cost], others: &[Cost], figure: fn(&Cost) -> f64) -> Option<Spread> {
    (!ours.is_empty() && !others.is_empty()).then(|| Spread::ratio(ours, others, figure))
}

fn judged(ratio: Option<Spread>, limit: f64) -> (String, bool) {
    ratio.map_or_else(|| (skipped(), false), |ratio| (format!("{ratio:.2}"), ratio.median > limit))
}

fn skipped() -> String {
    "skipped".to_owned()
}
