//! What the linker leaves out of a release: the tables of an unwinder, because nothing unwinds there (`panic = "abort"`).

use std::env;
use std::fs;
use std::path::Path;

/// Put in front of the linker's own script. The tables take 300 KB, and more than a program's code they are the standard
/// library's, which is built with them.
const SCRIPT: &str =
    "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .rodata;\n";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
        let folder = env::var_os("OUT_DIR").expect("cargo sets it");
        let script = Path::new(&folder).join("unwinding.ld");
        fs::write(&script, SCRIPT).expect("cargo's folder can be written to");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{}", script.display());
    }
}
