//! See `vault_exec::properties::retry_after`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| vault_exec::properties::retry_after(input));
