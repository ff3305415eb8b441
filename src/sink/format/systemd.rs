//! `EnvironmentFile=` of a systemd unit: quoted as for a shell, but not read as one.
//! <https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#EnvironmentFile=>

use std::io::{self, Write};

use super::sh::write_escaped;
use super::{Reason, identifier, refuse_if};

/// One byte less than `MAX_ARG_STRLEN`, which counts the NUL: the service would not start, see execve(2).
const LIMIT: usize = 131_071;

pub(super) fn check(name: &str, value: &str) -> Result<(), Reason> {
    identifier(name)?;
    refuse_if(value.contains('\0'), Reason::Nul)?;
    refuse_if(value.chars().any(is_noncharacter), Reason::Noncharacter)?;
    refuse_if(name.len() + 1 + value.len() > LIMIT, Reason::TooLong { limit: LIMIT })
}

/// The quote goes into double quotes: after `'\''`, right for a shell, systemd reads the backslash as nothing
/// and loses the quote.
pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    write!(out, "{name}='")?;
    write_escaped(out, value, '\'', r#"'"'"'"#)?;
    out.write_all(b"'\n")
}

/// systemd takes a text with one of these for invalid UTF-8, and then drops the whole file.
/// <https://www.unicode.org/faq/private_use.html#noncharacters>
fn is_noncharacter(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}
