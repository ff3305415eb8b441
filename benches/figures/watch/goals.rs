//! What a sidecar has to keep to.

use vault_testkit::measure::{Spread, mebibytes};

use super::{Figures, Times, worst};
use crate::goals::Goal;

/// Of resident memory, in KiB.
const MEMORY: u64 = 6 << 10;

/// How much more it may be after more refreshes, in KiB: what a process has grows by a page here and there.
const GROWTH: u64 = 256;

/// Seconds from a change to the file at an interval of one: the longest pause, and what read and write may take.
const LATE: f64 = 7.0 / 6.0 + 0.1;

/// Goals of this program, linked dynamically and statically, which do not depend on the machine's speed.
pub(super) fn steady(figures: &[Figures]) -> Vec<Goal> {
    let [own, linked_statically, ..] = figures else { unreachable!("both were measured") };
    vec![
        memory("memory of a watch, dynamically linked", own),
        memory("memory of a watch, statically linked", linked_statically),
        requests(own),
    ]
}

/// Goals against the agent, the last one.
pub(super) fn beside(figures: &[Figures]) -> Vec<Goal> {
    let [(own, ours), .., (other, theirs)] = &timed(figures)[..] else { unreachable!("all were measured") };
    let unit = other.subject.name();
    let starts = Spread::of(ours.starts.iter().zip(&theirs.starts).map(|(own, other)| own / other));
    let ratio = |figure: &str, [own, other]: [f64; 2], limit: f64| {
        let (ratio, shown) = (own / other, format!("{:.3} ({own:.0} ms beside {other:.0} ms)", own / other));
        Goal::new(figure, shown, format!("{limit} × {unit}"), ratio > limit)
    };
    vec![
        change(ours),
        ratio("CPU an hour at 60 s, as measured", [ours.hour(), theirs.hour()], 0.1),
        ratio(
            "CPU an hour at 60 s, reckoned from refreshes at 1 s",
            [ours.reckoned(&own.refreshed), theirs.reckoned(&other.refreshed)],
            0.1,
        ),
        Goal::ratio("first file after the start", starts, 0.333, unit),
    ]
}

fn timed(figures: &[Figures]) -> Vec<(&Figures, &Times)> {
    figures.iter().filter_map(|it| Some((it, it.times.as_ref()?))).collect()
}

fn memory(figure: &str, figures: &Figures) -> Goal {
    let [from, upto] = [&figures.refreshed.from, &figures.refreshed.upto];
    let growth = upto.resident_kib.saturating_sub(from.resident_kib);
    let [after, later] = [from, upto].map(|it| it.reads - 1);
    let measured =
        format!("{}, {growth} KiB more after {later} refreshes than after {after}", mebibytes(upto.resident_kib));
    let limit = format!("{}, {GROWTH} KiB more", mebibytes(MEMORY));
    Goal::new(figure, measured, limit, upto.resident_kib > MEMORY || growth > GROWTH)
}

fn requests(figures: &Figures) -> Goal {
    let requests = figures.refreshed.requests_a_refresh();
    Goal::new("requests a refresh of a watch", format!("{requests:.2}"), "1", requests > 1.0)
}

fn change(times: &Times) -> Goal {
    let (median, worst) = (Spread::of(times.changes.iter().copied()).median, worst(&times.changes));
    let measured = format!("{median:.2} s, at worst {worst:.2} s");
    Goal::new("from a change to the file, at an interval of 1 s", measured, format!("{LATE:.2} s"), worst > LATE)
}
