//! What the tests put where an application would be.
fn main() {}
