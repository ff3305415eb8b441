//! `current ROUNDS` reads a watched secret, which is swapped again and again meanwhile, and clones an `Arc` as often, by
//! turns, on 1 and on 8 threads. For each it prints: the threads, how often the secret was swapped, and of the reads and of the
//! clones the nanoseconds that one takes (the median) and the longest time that a hundred of them took.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use vault_client::{Every, VaultClient};
use vault_testkit::raw::{READ, Raw, Reply};

/// Versions of the secret for each number of threads, more than are read: one that stays is swapped no more.
const VERSIONS: u64 = 60_000;

/// So many of one kind are timed together: a look at the clock takes longer than one of them.
const TOGETHER: u32 = 100;

/// Times of each thread in a round.
const TIMES: usize = 1_000;

fn version(number: u64) -> Reply {
    let metadata = json!({"created_time": "2026-01-02T03:04:05Z", "version": number});
    Reply::json(200, &json!({"data": {"data": {"K": number.to_string()}, "metadata": metadata}}))
}

/// How long each `TOGETHER` of `read` took on so many threads.
fn times<T>(threads: usize, read: impl Fn() -> T + Sync) -> Vec<Duration> {
    let time = || {
        let begun = Instant::now();
        (0..TOGETHER).for_each(|_| drop(black_box(read())));
        begun.elapsed()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| (0..TIMES).map(|_| time()).collect::<Vec<_>>())).collect();
        all.into_iter().flat_map(|one| one.join().expect("no panic")).collect()
    })
}

/// The median of one in tenths of a nanosecond, and the longest time in nanoseconds.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let tenths = times[times.len() / 2].as_nanos() * 10 / u128::from(TOGETHER);
    format!("{}.{} {}", tenths / 10, tenths % 10, times[times.len() - 1].as_nanos())
}

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|it| it.parse().ok()).expect("usage: current ROUNDS");
    let raw = Raw::start([(READ, vec![version(1)])]);
    let vault = VaultClient::builder().address(&raw.addr()).token("hvs.given").ignore_environment().build();
    let watched = vault.expect("a client").kv("kv").watch("shop/app", Every::seconds(3600)).expect("a secret");
    let plain = watched.current();
    for threads in [1, 8] {
        let (before, is_over) = (watched.current().metadata.version, AtomicBool::new(false));
        raw.script(READ, (1..=VERSIONS).map(|number| version(before + number)).collect());
        let (mut reads, mut clones) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    watched.refresh().expect("a version");
                }
            });
            for _ in 0..rounds {
                reads.extend(times(threads, || watched.current()));
                clones.extend(times(threads, || Arc::clone(&plain)));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let swaps = watched.current().metadata.version - before;
        println!("{threads} {swaps} {} {}", figures(reads), figures(clones));
    }
}
