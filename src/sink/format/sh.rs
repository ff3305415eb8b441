//! `. FILE` in a POSIX shell: single quotes, in which nothing but the quote itself is special.
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>
//!
//! A name that some shell has a use for is never written, permitted or not: the value would be run as arithmetic, dropped
//! or changed there, and who will read the file is not known here.

use std::io::{self, Write};

use super::{Reason, identifier, refuse_if};
use crate::secrets::shell::special_to;

pub(super) fn check(name: &str, value: &str) -> Result<(), Reason> {
    identifier(name)?;
    special_to(name).map_or(Ok(()), |shell| Err(Reason::SpecialToAShell { shell }))?;
    refuse_if(value.contains('\0'), Reason::Nul)
}

pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    write!(out, "export {name}='")?;
    write_escaped(out, value, '\'', r"'\''")?;
    out.write_all(b"'\n")
}

/// Writes the value with every `special` replaced, piece by piece: `str::replace` would leave a copy behind.
pub(super) fn write_escaped(out: &mut impl Write, value: &str, special: char, escaped: &str) -> io::Result<()> {
    let mut pieces = value.split(special);
    out.write_all(pieces.next().unwrap_or_default().as_bytes())?;
    pieces.try_for_each(|piece| write!(out, "{escaped}{piece}"))
}
