//! Writes a folder by the library, as a process that can be traced, killed and confined.
//!
//! Usage: `write_folder PATH MODE OWNER NAME...`. OWNER is `UID[:GID]`, or `-` for this process's own. Each file holds
//! what standard input does. Prints what became of the folder, or exits with 73 or 74.

use std::env;
use std::io::{self, Read};
use std::process::ExitCode;

use vault_exec::sink::file::{Kind, Target};
use vault_exec::sink::folder::{self, Named};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let mut target = Target::new(arguments.next().expect("a path"));
    target.mode = u32::from_str_radix(&arguments.next().expect("a mode"), 8).expect("an octal mode");
    target.owner = arguments.next().filter(|owner| owner != "-").map(|owner| {
        let mut ids = owner.split(':').map(|id| id.parse().expect("a number"));
        (ids.next().expect("a user"), ids.next())
    });
    let mut content = Vec::new();
    io::stdin().read_to_end(&mut content).expect("the content on standard input");
    let files: Vec<_> = arguments.map(|name| Named { name, content: content.clone().into() }).collect();

    match folder::prepare(&target, &files).and_then(folder::Prepared::commit) {
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
