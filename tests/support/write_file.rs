//! Writes standard input to a file by the library, as a process that can be traced, killed and confined.
//!
//! Usage: `write_file PATH [MODE [UID[:GID]]]`. Prints what became of the file, or exits with 73 or 74.

use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

use vault_exec::sink::file::{self, Kind, Target};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let mut target = Target::new(arguments.next().expect("a path"));
    if let Some(mode) = arguments.next() {
        target.mode = u32::from_str_radix(&mode, 8).expect("an octal mode");
    }
    target.owner = arguments.next().map(|owner| {
        let mut ids = owner.split(':').map(|id| id.parse().expect("a number"));
        (ids.next().expect("a user"), ids.next())
    });
    let mut content = Vec::new();
    io::stdin().read_to_end(&mut content).expect("the content on standard input");

    match file::write(&target, &content) {
        Ok(written) => {
            println!("{written:?}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            match error.kind() {
                Kind::CannotCreate => ExitCode::from(73),
                Kind::Io => ExitCode::from(74),
            }
        }
    }
}
