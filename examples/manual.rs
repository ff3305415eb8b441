//! Writes the manual page and the shell completions from the definitions behind `--help`, into the folder given or
//! `docs/manual`. They are committed; a test holds them against the code.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use vault_exec::cli::{EXIT_CODES, USAGE, definitions, official_names};
use vault_exec::config::setting;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| "docs/manual".into(), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut definitions(), "vault-exec", &folder)?;
    }
    std::fs::write(folder.join("vault-exec.1"), page()?)
}

fn page() -> std::io::Result<Vec<u8>> {
    let man = Man::new(definitions());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    for usage in USAGE.lines() {
        synopsis.text([roman(usage.trim())]).control("br", []);
    }
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    environment().to_writer(&mut page)?;
    exit_status().to_writer(&mut page)?;
    Ok(page)
}

fn environment() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["ENVIRONMENT"]);
    section.text([roman(format!("An empty value counts as unset. {}", official_names()))]);
    for setting in setting::ALL {
        let mut text = setting.meaning.to_owned();
        let flag = setting.flag.map(|flag| format!("--{flag}"));
        let notes = [("flag", flag.as_deref()), ("default", setting.default)];
        let alias = ("alias", setting.aliases.first().copied());
        for (what, note) in notes.into_iter().chain([alias]).filter_map(|(what, note)| Some((what, note?))) {
            let _ = write!(text, " [{what}: {note}]");
        }
        section.control("TP", []).text([bold(setting.name)]).text([roman(text)]);
    }
    section
}

fn exit_status() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXIT STATUS"]).text([roman("Before COMMAND starts; afterwards it is COMMAND's own.")]);
    for (code, what) in EXIT_CODES {
        section.control("TP", []).text([bold(*code)]).text([roman(*what)]);
    }
    section
}
