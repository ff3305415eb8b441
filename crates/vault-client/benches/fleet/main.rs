//! 100,000 programs in virtual time, each with a watched secret and the token of a Kubernetes login: what the server is
//! asked for in each second. When a program sends something is decided by the library's own plans; what it sends is what it
//! sends to a server that answers at once.
//!
//! A goal that is missed fails the run, and so does a picture in `docs/pictures` that another run has made; `--picture`
//! makes it anew. `FLEET_SEED` makes other random numbers, and no picture.

use std::process::ExitCode;
use std::time::Duration;

mod fleet;
mod picture;
mod program;
mod server;

use fleet::{Fleet, Load};
use picture::Panel;
use server::{Kind, Server, State};
use vault_testkit::measure::print;
use vault_testkit::{random, root};

/// How many there are.
const SIZE: usize = 100_000;

/// The seed of the random numbers.
const SEED: u64 = 1;

/// Minutes, hours.
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// The worst second at most, in means of a second of a fleet that nothing happens to.
const STEADY: f64 = 1.3;
const AFTER_OUTAGE: f64 = 2.0;

/// Below what the fleet asks for.
const QUOTA: u32 = 1200;

const COLUMNS: [&str; 9] =
    ["lease", "mean a second", "worst second", "× the mean", "at most", "reads", "failed", "logins", "renewals"];

/// What came of a scenario, or a part of one.
struct Row {
    scenario: &'static str,
    lease: &'static str,
    load: Load,
    ratio: f64,
    limit: Option<f64>,
}

/// The rows of one lease, and the mean that they are measured by.
struct Rows {
    lease: &'static str,
    mean: f64,
    all: Vec<Row>,
}

impl Rows {
    fn add(&mut self, scenario: &'static str, load: &Load, limit: Option<f64>) {
        let ratio = f64::from(load.worst()) / self.mean;
        self.all.push(Row { scenario, lease: self.lease, load: load.clone(), ratio, limit });
    }
}

fn main() -> ExitCode {
    let seed = random::number("FLEET_SEED").unwrap_or(SEED);
    println!("{SIZE} programs, a secret each 60 s, seed {seed}");
    let (hour, panels) = of_an_hour(seed);
    let mean = hour.mean;
    let mut rows = hour.all;
    for (name, lease) in [("15 min", 15 * MINUTE), ("768 h", 768 * HOUR)] {
        rows.extend(Even::fleet(name, lease, seed).rows.all);
    }
    print("scenario", &COLUMNS, rows.iter().map(Row::cells));
    let has_picture = seed != SEED || has_picture(&picture::draw(mean, &panels));
    ExitCode::from(u8::from(!has_picture || rows.iter().any(Row::is_missed)))
}

/// One that starts within so many minutes.
fn starting(minutes: u32, lease: u32, seed: u64) -> Fleet {
    let server = Server::new(Duration::from_secs(lease.into()), usize::try_from(4 * HOUR).expect("a length"));
    Fleet::starting(SIZE, minutes * MINUTE, server, seed)
}

/// What happens to the server, for so many seconds; then it is well again for so many.
fn meets(fleet: &mut Fleet, state: State, length: u32, then: u32) -> [Load; 2] {
    fleet.server.state = state;
    let during = fleet.pass(length);
    fleet.server.state = State::Well(None);
    [during, fleet.pass(then)]
}

/// A fleet whose renewals are spread evenly, a while after its start.
struct Even {
    /// As it was before the outage.
    before: Fleet,
    steady: Load,
    outage: [Load; 2],
    rows: Rows,
}

impl Even {
    fn fleet(name: &'static str, lease: u32, seed: u64) -> Self {
        // From one renewal to the next it takes 67.5 to 75 % of the lease.
        let mut fleet = starting((lease / MINUTE * 57 / 80).min(43), lease, seed);
        fleet.pass(90 * MINUTE);
        let steady = fleet.pass(30 * MINUTE);
        let before = fleet.clone();
        let outage = meets(&mut fleet, State::Away, 10 * MINUTE, 30 * MINUTE);
        let mut rows = Rows { lease: name, mean: steady.mean(), all: Vec::new() };
        rows.add("steady state, 30 min", &steady, Some(STEADY));
        rows.add("outage of 10 min, connections refused", &outage[0], None);
        // Of a shorter lease most end meanwhile, and a login takes the place of the renewal.
        rows.add("the 30 min after that", &outage[1], (lease >= HOUR).then_some(AFTER_OUTAGE));
        Self { before, steady, outage, rows }
    }
}

/// The lease that is usual, with all that can happen.
fn of_an_hour(seed: u64) -> (Rows, Vec<Panel>) {
    let Even { before, steady, outage, mut rows } = Even::fleet("1 h", HOUR, seed);
    let mut fleet = starting(10, HOUR, seed);
    let start = fleet.pass(30 * MINUTE);
    rows.add("rolling start over 10 min, 30 min", &start, None);
    let mut other = fleet.clone();
    rows.add("the 90 min after that", &fleet.pass(90 * MINUTE), Some(STEADY));
    other.pass(13 * MINUTE);
    let [_, after] = meets(&mut other, State::Away, 10 * MINUTE, 30 * MINUTE);
    rows.add("30 min after an outage in which the first renewals of that are due", &after, Some(AFTER_OUTAGE));
    let calm = &steady.seconds[steady.seconds.len() - 300..];
    let mut panels = vec![
        Panel::of("A rolling start over 10 minutes", &[&start.seconds], 0..0),
        Panel::of("An outage of 10 minutes", &[calm, &outage[0].seconds, &outage[1].seconds], 300..900),
    ];
    for (scenario, title, state, length, lives) in [
        ("restart: sealed for 30 s, tokens survive", "A restart: sealed for 30 seconds", State::Sealed, 30, 0),
        ("restart: sealed for 30 s, tokens are lost", "A restart that loses all tokens", State::Sealed, 30, 1),
        (
            "rate limit of 1,200 a second for 20 min",
            "20 minutes with a rate limit of 1,200 requests a second",
            State::Well(Some(QUOTA)),
            20 * MINUTE,
            0,
        ),
    ] {
        let mut fleet = before.clone();
        fleet.server.life += lives;
        let [during, after] = meets(&mut fleet, state, length, 50 * MINUTE);
        rows.add(scenario, &during, None);
        rows.add("the 50 min after that", &after, None);
        let end = 300 + usize::try_from(length).expect("a length");
        panels.push(Panel::of(title, &[calm, &during.seconds, &after.seconds], 300..end));
    }
    (rows, panels)
}

/// Writes the picture where that is asked for; else, whether the one that is there is the same.
fn has_picture(picture: &str) -> bool {
    let path = root().join("docs/pictures/fleet.svg");
    if std::env::args().any(|argument| argument == "--picture") {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, picture).expect("it is written");
    }
    let is_same = std::fs::read_to_string(&path).is_ok_and(|there| there == picture);
    if !is_same {
        println!("\n**docs/pictures/fleet.svg is not what comes of this:** `just fleet` makes it");
    }
    is_same
}

impl Row {
    fn is_missed(&self) -> bool {
        self.limit.is_some_and(|limit| self.ratio > limit)
    }

    fn cells(&self) -> Vec<String> {
        let Load { kinds, failed_reads, .. } = &self.load;
        let of = |kind: Kind| grouped(kinds[kind as usize]);
        let ratio =
            if self.is_missed() { format!("**missed:** {:.2}", self.ratio) } else { format!("{:.2}", self.ratio) };
        vec![
            self.scenario.to_owned(),
            self.lease.to_owned(),
            format!("{:.0}", self.load.mean()),
            self.load.worst().to_string(),
            ratio,
            self.limit.map_or_else(|| "–".to_owned(), |limit| limit.to_string()),
            of(Kind::Read),
            grouped(*failed_reads),
            of(Kind::LogIn),
            of(Kind::Renew),
        ]
    }
}

/// `1,234,567`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
