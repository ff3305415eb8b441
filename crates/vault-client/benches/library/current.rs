//! Readers of a secret that is swapped again and again meanwhile.

use std::process::Command;

use vault_testkit::measure::{built, finished};

/// What it took on so many threads.
pub(crate) struct Readers {
    pub(crate) threads: u64,
    /// How often the secret was swapped meanwhile.
    pub(crate) swaps: u64,
    pub(crate) read: Taken,
    /// A clone of an `Arc`, which is the least that a reader can do.
    pub(crate) clone: Taken,
}

/// Nanoseconds of one, the middle; and of a hundred, the longest.
pub(crate) struct Taken {
    pub(crate) one: f64,
    pub(crate) longest: f64,
}

impl Readers {
    /// On 1 thread, and on 8.
    pub(crate) fn watch() -> Vec<Self> {
        let mut command = Command::new(built("vault-client", "--example", "current", ""));
        let said = finished("current", command.arg("20")).expect("it ends");
        said.lines().map(Self::of).collect()
    }

    fn of(line: &str) -> Self {
        let numbers: Vec<f64> = line.split(' ').map(|it| it.parse().expect("a number")).collect();
        let [threads, swaps, read, longest_read, clone, longest_clone] = numbers[..] else { panic!("{line}") };
        let count = |number: f64| format!("{number}").parse().expect("a count");
        Self {
            threads: count(threads),
            swaps: count(swaps),
            read: Taken { one: read, longest: longest_read },
            clone: Taken { one: clone, longest: longest_clone },
        }
    }
}
