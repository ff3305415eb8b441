//! The programs that are measured, and what each takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vault_testkit::measure::{Cost, Spread, built, mebibytes, megabytes, peak};
use vault_testkit::root;

use crate::corner::Corner;

/// Names the program of a peer: it takes the arguments and the settings of `benches/reads.rs`, and does the same with
/// `vaultrs`, through tokio.
const PEER: &str = "VAULTRS_PROGRAM";

/// Reads of a long run.
const READS: usize = 1_000;

/// Threads of a wide one.
const THREADS: usize = 8;

/// Runs of each program: of the short work, and of the two long ones.
const ROUNDS: [usize; 2] = [40, 12];

pub(crate) const COLUMNS: [&str; 9] = [
    "1 read: wall, ms",
    "CPU, ms",
    "peak memory",
    "1,000 reads: wall, ms",
    "CPU, ms",
    "on 8 threads: wall, ms",
    "CPU, ms",
    "size",
    "crates below it",
];

/// What a program costs.
#[derive(Default)]
pub(crate) struct Costs {
    /// One read.
    pub(crate) one: Vec<Cost>,
    /// [`READS`] on one thread.
    pub(crate) long: Vec<Cost>,
    /// The same on eight.
    pub(crate) wide: Vec<Cost>,
}

/// One of them, with all that was measured of it.
pub(crate) struct Entrant {
    name: &'static str,
    program: PathBuf,
    pub(crate) costs: Costs,
    pub(crate) size: u64,
    pub(crate) crates: Option<usize>,
}

/// All that are there.
pub(crate) struct Field {
    pub(crate) library: Entrant,
    pub(crate) bare: Entrant,
    pub(crate) peer: Option<Entrant>,
}

impl Field {
    /// Builds and measures each; where `steady`, no times.
    pub(crate) fn measure(corner: &Corner, steady: bool) -> Self {
        let example = |name: &str| built("vault-client", "--example", name, "");
        let peer = std::env::var_os(PEER).map(PathBuf::from).filter(|program| program.is_file());
        let mut field = Self {
            library: Entrant::new("vault-client", example("reads"), Some(below("vault-client", None))),
            bare: Entrant::new("ureq and rustls alone", example("bare"), None),
            peer: peer.map(|program| {
                let crates = manifest(&program).map(|manifest| below("vaultrs", Some(&manifest)));
                Entrant::new("vaultrs, through tokio", program, crates)
            }),
        };
        if !steady {
            let mut entrants: Vec<_> =
                [&mut field.library, &mut field.bare].into_iter().chain(&mut field.peer).collect();
            let by_turns = |reads, threads, rounds| {
                let commands: Vec<_> = entrants.iter().map(|it| corner.run(&it.program, reads, threads)).collect();
                Cost::by_turns(&commands, rounds)
            };
            let one = by_turns(1, 1, ROUNDS[0]);
            let (long, wide) = (by_turns(READS, 1, ROUNDS[1]), by_turns(READS, THREADS, ROUNDS[1]));
            for (entrant, ((one, long), wide)) in entrants.iter_mut().zip(one.into_iter().zip(long).zip(wide)) {
                entrant.costs = Costs { one, long, wide };
            }
        }
        field
    }

    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let absent = || {
            let skipped = ["vaultrs, through tokio".to_owned(), format!("skipped: {PEER} names no program")];
            skipped.into_iter().chain(vec!["–".to_owned(); COLUMNS.len() - 1]).collect()
        };
        vec![self.library.row(), self.bare.row(), self.peer.as_ref().map_or_else(absent, Entrant::row)]
    }
}

impl Entrant {
    fn new(name: &'static str, program: PathBuf, crates: Option<usize>) -> Self {
        let size = fs::metadata(&program).expect("it is there").len();
        Self { name, program, costs: Costs::default(), size, crates }
    }

    fn row(&self) -> Vec<String> {
        let Costs { one, long, wide } = &self.costs;
        let figure = |costs: &[Cost], figure: fn(&Cost) -> f64| match costs {
            [] => "–".to_owned(),
            costs => format!("{:.1}", Spread::of(costs.iter().map(figure))),
        };
        let wall = |cost: &Cost| cost.wall;
        let cpu = |cost: &Cost| cost.cpu;
        vec![
            self.name.to_owned(),
            figure(one, wall),
            figure(one, cpu),
            if one.is_empty() { "–".to_owned() } else { mebibytes(peak(one)) },
            figure(long, wall),
            figure(long, cpu),
            figure(wide, wall),
            figure(wide, cpu),
            megabytes(self.size),
            self.crates.map_or_else(|| "–".to_owned(), |crates| crates.to_string()),
        ]
    }
}

/// The manifest of the package whose release build `program` is.
fn manifest(program: &Path) -> Option<PathBuf> {
    let manifest = program.ancestors().nth(3)?.join("Cargo.toml");
    manifest.is_file().then_some(manifest)
}

/// How many crates stand below `package`, of this workspace or of that of `manifest`.
fn below(package: &str, manifest: Option<&Path>) -> usize {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--package", package, "--prefix=none", "--format={p}", "--edges=normal"]).current_dir(root());
    match manifest {
        Some(manifest) => cargo.arg("--manifest-path").arg(manifest),
        None => cargo.arg("--locked"),
    };
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("names are text");
    // A crate that was named before has a mark behind its version.
    let named = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    named.filter(|it| !it.is_empty()).collect::<BTreeSet<_>>().len() - 1
}
