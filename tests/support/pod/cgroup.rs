//! A limit of memory, in either version of cgroups.

use std::fs;
use std::path::{Path, PathBuf};

use vault_testkit::{missing, unique};

/// A group of its own; dropping it removes it.
pub(crate) struct Cgroup {
    path: PathBuf,
    peak: &'static str,
}

/// Where groups are, and the names of limit and peak there.
const VERSIONS: [[&str; 3]; 2] = [
    ["/sys/fs/cgroup", "memory.max", "memory.peak"],
    ["/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"],
];

impl Cgroup {
    /// `None` where this machine lets nobody make one.
    pub(crate) fn limited(bytes: u64) -> Option<Self> {
        let made = VERSIONS.into_iter().find_map(|[folder, limit, peak]| {
            let path = Path::new(folder).join(format!("vault-exec-{}-{}", std::process::id(), unique()));
            fs::create_dir(&path).ok()?;
            let made = Self { path, peak };
            // A folder that is no cgroup has no such file yet.
            let there = made.path.join(limit).exists() && fs::write(made.path.join(limit), bytes.to_string()).is_ok();
            there.then_some(made)
        });
        if made.is_none() {
            missing("the permission to make a cgroup that limits memory");
        }
        made
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The most that it has held.
    pub(crate) fn peak(&self) -> u64 {
        fs::read_to_string(self.path.join(self.peak)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}
