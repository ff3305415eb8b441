//! What the cases stand on: two servers with one surface, a scenario builder, certificates, the observed
//! application.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../examples/embedded_vault/mod.rs"]
#[allow(dead_code, reason = "dev_vault uses more of it")]
pub(crate) mod embedded_vault;

pub(crate) mod certs;
pub(crate) mod chaos;
pub(crate) mod child_report;
pub(crate) mod crates;
pub(crate) mod dry_run;
pub(crate) mod endings;
pub(crate) mod expect;
pub(crate) mod fault_table;
pub(crate) mod herd;
pub(crate) mod hostile;
pub(crate) mod http;
pub(crate) mod isolated;
pub(crate) mod launch;
pub(crate) mod leaks;
pub(crate) mod odd_certs;
pub(crate) mod openbao;
pub(crate) mod outcome;
pub(crate) mod pod;
pub(crate) mod random;
pub(crate) mod raw;
pub(crate) mod readers;
pub(crate) mod scenario;
pub(crate) mod seccomp;
pub(crate) mod server;
pub(crate) mod shells;
pub(crate) mod situation;
pub(crate) mod started;
pub(crate) mod system;
pub(crate) mod tally;
pub(crate) mod tap;
pub(crate) mod tls_front;
pub(crate) mod vault_client;

mod token_review;

/// Makes two tests of each scenario, a function that takes a server: `name::embedded` and `name::openbao`.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            use $crate::support::server::{Kind, on};

            #[test]
            fn embedded() {
                on(Kind::Embedded, stringify!($scenario), super::$scenario);
            }

            #[test]
            fn openbao() {
                on(Kind::OpenBao, stringify!($scenario), super::$scenario);
            }
        }
    )+};
}
pub(crate) use on_both;

/// A name that no other test of this run has, and that is no part of another one.
pub(crate) fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    format!("case-{:04}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new folder for what must outlive a single test. The folders of runs that have ended are removed.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let runs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("it");
        for run in fs::read_dir(&runs).into_iter().flatten().flatten() {
            if !Path::new("/proc").join(run.file_name()).exists() {
                let _ = fs::remove_dir_all(run.path());
            }
        }
        runs.join(std::process::id().to_string())
    });
    let folder = ROOT.join(name);
    fs::create_dir_all(&folder).expect("a folder is created");
    folder
}
