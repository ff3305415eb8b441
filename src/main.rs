//! The `vault-exec` program.
fn main() {}
