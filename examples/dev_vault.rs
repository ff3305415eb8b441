//! Keeps a small Vault running with a sample secret and a Kubernetes role, and prints what to paste to use it.

use std::error::Error;

use nix::sys::signal::{SigSet, Signal};
use vault_testkit::sample::Sample;

fn main() -> Result<(), Box<dyn Error>> {
    let ends = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    // Before there are threads, so that they inherit it.
    ends.thread_block()?;
    let sample = Sample::start()?;
    println!("# A Vault for trying things; nothing in it is secret, and it ends with Ctrl-C.\n");
    for (name, value) in sample.settings() {
        println!("export {name}={value}");
    }
    println!("\ncargo run --quiet -- -- env");
    // The server's own threads do the work; returning instead of dying removes the folder.
    ends.wait()?;
    Ok(())
}
