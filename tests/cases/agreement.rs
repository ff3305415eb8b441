//! `--check` and the run agree: in any situation both come to the same exit code, and the dry one says why in the words
//! of the other. `AGREEMENT_RUNS` and `AGREEMENT_SEED` say how many situations and which; one is repeated with its own
//! seed and one run.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use serde_json::Value;
use vault_testkit::random;

use crate::support::dry_run::{assert_fits, assert_known_fields, timeless};
use crate::support::endings::Endings;
use crate::support::outcome::Outcome;
use crate::support::scenario::Scenario;
use crate::support::situation::{Situation, situation};
use crate::support::system::names;

/// Situations at a time; a part of their time is waiting.
const WORKERS: usize = 8;

#[test]
fn in_any_situation_the_dry_run_comes_to_the_exit_code_of_the_run_and_says_why_in_its_words() {
    let (seed, runs) = (random::seed("AGREEMENT_SEED"), random::number("AGREEMENT_RUNS").unwrap_or(200));
    println!("agreement: seed {seed}, {runs} situations");
    let (ended, failed) = all(seed..seed + runs);
    println!("{ended}");
    assert!(failed.is_empty(), "{} of {runs} disagree\n{}", failed.len(), failed.join("\n\n"));
}

/// All of them, even if one fails.
fn all(seeds: Range<u64>) -> (Endings, Vec<String>) {
    let (seeds, endings, failed) = (Mutex::new(seeds), Mutex::new(Endings::default()), Mutex::new(Vec::new()));
    let next = || seeds.lock().expect("no panic").next();
    let work = || {
        while let Some(seed) = next() {
            if let Err(said) = one(seed, &endings) {
                failed.lock().expect("no panic").push(format!("AGREEMENT_SEED={seed} AGREEMENT_RUNS=1: {said}"));
            }
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    (endings.into_inner().expect("no panic"), failed.into_inner().expect("no panic"))
}

/// The situation of this seed; where the two disagree, the simplest like it in which they do.
fn one(seed: u64, endings: &Mutex<Endings>) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let agreed = runner.run(&situation(), |situation| {
        endings.lock().expect("no panic").note(agree(&situation)?);
        Ok(())
    });
    agreed.map_err(|error| error.to_string())
}

/// Returns the exit code of both.
fn agree(situation: &Situation) -> Result<i32, TestCaseError> {
    let real = situation.make();
    let run = real.run();
    let dry = situation.make().first(situation.style).first(["--check"]);
    let before = files(&dry);
    let check = dry.run();
    let told = || format!("the run\n{}\nthe dry run\n{}", run.describe(), check.describe());
    prop_assert_eq!(run.code(), check.code(), "{}", told());
    prop_assert_eq!(files(&dry), before, "something was written: {}", told());
    match serde_json::from_str::<Value>(&check.stdout) {
        Ok(report) => {
            assert_known_fields(&report);
            prop_assert_eq!(report["exit_code"].as_i64(), Some(check.code().into()));
            same_words(&run, &check, &report).map_err(|error| TestCaseError::fail(format!("{error}: {}", told())))?;
        }
        // A command line that cannot be read has no report.
        Err(_) if check.stdout.is_empty() => prop_assert_eq!(run.log(), check.log(), "{}", told()),
        Err(_) => assert_fits(&check.stdout),
    }
    Ok(run.code())
}

/// The error of the run is that of the report, and the variables are as many.
fn same_words(run: &Outcome, check: &Outcome, report: &Value) -> TestCaseResult {
    let steps = report["steps"].as_array().expect("a list");
    // Of several reads the first that failed ends the run.
    let failed = steps.iter().find(|step| step["step"] == report["failed_step"] && step["outcome"] == "failed");
    let said = run.log();
    if let Some(failed) = failed {
        let error = said.iter().filter_map(|line| line.strip_prefix("ERROR vault-exec: "));
        let error: Vec<_> = error.map(|line| plain(run.scenario, line)).collect();
        let details = failed["details"].as_array().expect("a list").iter();
        let details: Vec<_> = details.map(|it| plain(check.scenario, it.as_str().expect("a text"))).collect();
        // Whether a token that was handed in is good, the run learns from the read.
        let by_look_up = failed["step"] == "login" && failed["cause"].to_string().contains("look-up");
        prop_assert!(error.is_empty() || by_look_up || error == details, "{error:?} is not {details:?}");
    }
    let counted = said.iter().find_map(|line| line.strip_prefix("INFO  vault-exec: ")?.split_once(" variable"));
    if let (Some((count, _)), Some(secrets)) = (counted, steps.iter().find(|step| step["step"] == "secrets")) {
        prop_assert_eq!(secrets["variables"].to_string(), count);
    }
    Ok(())
}

/// A line without what two runs differ in: folders, ports and times, and how many tries had room in a time.
fn plain(scenario: &Scenario, line: &str) -> String {
    let line = line.replace(&scenario.expand("{folder}"), "{folder}");
    let line = timeless(&line.replace(&scenario.expand("{addr}"), "{addr}"));
    let mut words: Vec<_> = line.split(' ').collect();
    for at in 1..words.len() {
        if words[at].starts_with("tr") && words[at - 1].trim_start_matches('(').parse::<u32>().is_ok() {
            (words[at - 1], words[at]) = ("({number}", "tries");
        }
    }
    words.join(" ")
}

/// What is in the scenario's folder, by name and content.
fn files(scenario: &Scenario) -> BTreeMap<String, Vec<u8>> {
    let folder = scenario.file("");
    let read = |name: String| {
        let content = fs::read(Path::new(&folder).join(&name)).unwrap_or_default();
        (name, content)
    };
    names(&folder).into_iter().map(read).collect()
}
