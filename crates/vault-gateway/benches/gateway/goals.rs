//! What a release has to keep to.

use vault_testkit::measure::{Spread, mebibytes};

use crate::sides::{Side, Sides};

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

/// All of them.
pub(crate) fn all(sides: &Sides) -> Vec<Goal> {
    let Sides { direct, proxy, verified, remembered, uncached } = sides;
    vec![
        at_least("cached reads, RS256 verified each time", verified.times(direct), 5.0, "OpenBao directly"),
        at_least("the same", verified.times(proxy), 1.0, "`bao proxy`, cached"),
        at_least("cached reads, the token remembered", remembered.times(direct), 10.0, "OpenBao directly"),
        quiet(remembered),
        latency("p99, verified each time", verified),
        latency("p99, the token remembered", remembered),
        memory([verified, remembered], proxy),
        at_most("time of a read without the cache", direct.times(uncached), 1.3, "OpenBao directly"),
    ]
}

fn at_least(figure: &'static str, ratio: Spread, limit: f64, of: &str) -> Goal {
    let (measured, missed) = (format!("{ratio:.2}"), ratio.median < limit);
    Goal { figure, measured, limit: format!("at least {limit} × {of}"), missed }
}

fn at_most(figure: &'static str, ratio: Spread, limit: f64, of: &str) -> Goal {
    let (measured, missed) = (format!("{ratio:.2}"), ratio.median > limit);
    Goal { figure, measured, limit: format!("at most {limit} × {of}"), missed }
}

/// It says as much of the machine as of the gateway, so it cannot be missed.
fn quiet(side: &Side) -> Goal {
    let measured = format!("{:.0} a second", side.rate());
    Goal { figure: "the same", measured, limit: "at least 60000 a second on a quiet machine".into(), missed: false }
}

fn latency(figure: &'static str, side: &Side) -> Goal {
    const LIMIT: f64 = 5.0;
    let p99 = side.p99();
    Goal {
        figure,
        measured: format!("{p99:.2} ms"),
        limit: format!("below {LIMIT:.0} ms"),
        missed: p99.median >= LIMIT,
    }
}

fn memory(sides: [&Side; 2], proxy: &Side) -> Goal {
    const LIMIT_KIB: u64 = 20 << 10;
    let peak = sides.into_iter().filter_map(|side| side.peak_kib).max().unwrap_or(u64::MAX);
    let other = proxy.peak_kib.map_or_else(String::new, |kib| format!(", `bao proxy` {}", mebibytes(kib)));
    Goal {
        figure: "peak memory of the gateway",
        measured: format!("{}{other}", mebibytes(peak)),
        limit: format!("below {}", mebibytes(LIMIT_KIB)),
        missed: peak >= LIMIT_KIB,
    }
}
