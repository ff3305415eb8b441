//! What the linker leaves out of a release.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Nothing unwinds in a release (`panic = "abort"`). The index that an unwinder looks its tables up in takes 41 KB.
    if std::env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
