//! This program beside the others, on the same server.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use vault_testkit::measure::{Cost, Spread, finished, mebibytes, megabytes, peak};
use vault_testkit::server::{Listener, Server};

use crate::subject::{Subject, Work};
use crate::wire::Wire;

/// Runs of each.
const ROUNDS: usize = 40;

/// The first argument of an application that counts who is left between it and a process.
pub(crate) const COUNT_PROCESSES: &str = "--count-processes";

pub(crate) const COLUMNS: [&str; 8] =
    ["wall time", "ms", "CPU time", "peak memory", "requests", "bytes sent and received", "size", "processes left"];

/// One of them, with all that was measured of it.
pub(crate) struct Entrant {
    pub(crate) subject: Subject,
    /// Empty where times are left out but for one run.
    pub(crate) costs: Vec<Cost>,
    pub(crate) requests: usize,
    pub(crate) connections: usize,
    bytes: usize,
    pub(crate) size: u64,
    pub(crate) processes: usize,
    pub(crate) program: PathBuf,
}

/// All that are there, this program first.
pub(crate) struct Field {
    pub(crate) entrants: Vec<Entrant>,
    /// With the reason.
    absent: Vec<(Subject, &'static str)>,
}

impl Field {
    /// Measures each; where `steady`, only this program and no more than one run of it.
    pub(crate) fn measure(work: &Work, server: &Server, steady: bool) -> Self {
        let subjects = if steady { &Subject::ALL[..2] } else { &Subject::ALL[..] };
        let (mut entrants, mut absent) = (Vec::new(), Vec::new());
        for subject in subjects.iter().copied() {
            match subject.program().map(|program| look_at(subject, program, work, server)) {
                Some(Some(entrant)) => entrants.push(entrant),
                Some(None) => absent.push((subject, "skipped: it hangs")),
                None => absent.push((subject, "skipped: not on PATH")),
            }
        }
        let url = server.addr(Listener::Tls);
        let commands: Vec<_> = entrants.iter().map(|it| work.command(it.subject, &it.program, &url)).collect();
        let costs = Cost::by_turns(&commands, if steady { 1 } else { ROUNDS });
        entrants.iter_mut().zip(costs).for_each(|(entrant, costs)| entrant.costs = costs);
        Self { entrants, absent }
    }

    pub(crate) fn get(&self, subject: Subject) -> Option<&Entrant> {
        self.entrants.iter().find(|entrant| entrant.subject == subject)
    }

    /// The table's rows; wall and CPU time as multiples of this program's.
    pub(crate) fn rows(&self, steady: bool) -> impl Iterator<Item = Vec<String>> {
        let ours = &self.entrants[0].costs;
        let row = move |entrant: &Entrant| {
            let times = |figure| match entrant.subject {
                _ if steady => "–".to_owned(),
                Subject::VaultExec => "1".to_owned(),
                _ => format!("{:.1}", Spread::ratio(&entrant.costs, ours, figure)),
            };
            let wall = Spread::of(entrant.costs.iter().map(|cost| cost.wall));
            let size = if entrant.subject == Subject::Script { "–".to_owned() } else { megabytes(entrant.size) };
            vec![
                entrant.subject.name().to_owned(),
                times(|cost| cost.wall),
                if steady { "–".to_owned() } else { format!("{:.1}", wall.median) },
                times(|cost| cost.cpu),
                mebibytes(peak(&entrant.costs)),
                entrant.requests.to_string(),
                entrant.bytes.to_string(),
                size,
                entrant.processes.to_string(),
            ]
        };
        let absent = self.absent.iter().map(|(subject, why)| {
            let dashes = vec!["–".to_owned(); COLUMNS.len() - 1];
            [vec![subject.name().to_owned(), (*why).to_owned()], dashes].concat()
        });
        self.entrants.iter().map(row).chain(absent)
    }
}

/// What does not depend on the machine's speed; nothing where a run does not end.
fn look_at(subject: Subject, program: PathBuf, work: &Work, server: &Server) -> Option<Entrant> {
    let wire = Wire::to(&server.addr(Listener::Tls), Duration::ZERO);
    finished(subject.name(), &mut work.command(subject, &program, &wire.url()))?;
    let (bytes, connections) = wire.counted();
    Some(Entrant {
        subject,
        costs: Vec::new(),
        requests: work.requests(subject, &program, &server.addr(Listener::Plain))?,
        connections,
        bytes,
        size: fs::metadata(&program).expect("it is there").len(),
        processes: processes_left(subject, &program, work, &server.addr(Listener::Tls))?,
        program,
    })
}

/// How many processes stand between the one that started it and the application.
fn processes_left(subject: Subject, program: &Path, work: &Work, url: &str) -> Option<usize> {
    let answer = work.file("processes");
    let own = std::env::current_exe().expect("this program has a path");
    let upto = std::process::id().to_string();
    let application = [own.into_os_string(), COUNT_PROCESSES.into(), upto.into(), answer.clone().into()];
    finished(subject.name(), &mut work.command_for(subject, program, url, &application))?;
    Some(fs::read_to_string(answer).expect("the application answers").parse().expect("a number"))
}

/// The application of [`processes_left`]: its arguments are a process and the file to write the number to.
pub(crate) fn count_processes(arguments: &[OsString]) -> ExitCode {
    let upto: u32 = arguments[0].to_str().and_then(|text| text.parse().ok()).expect("a process");
    let parents = std::iter::successors(Some(std::process::id()), |process| parent(*process));
    let between = parents.skip(1).take_while(|process| *process != upto).count();
    fs::write(&arguments[1], between.to_string()).expect("a file is written");
    ExitCode::SUCCESS
}

fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    (parent != 0).then_some(parent)
}
