//! See `vault_exec::properties::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vault_exec::properties::answer(input));
