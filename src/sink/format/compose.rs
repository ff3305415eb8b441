//! `env_file` of a Compose file: double quotes, and a backslash before what is special between them.
//! <https://docs.docker.com/reference/compose-file/services/#env_file-format>

use std::io::{self, Write};

use super::{Reason, identifier, refuse_if};

pub(super) fn check(name: &str, value: &str) -> Result<(), Reason> {
    identifier(name)?;
    refuse_if(value.contains('\0'), Reason::Nul)
}

pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    write!(out, "{name}=\"")?;
    // Each piece ends with a special character, except for the last one.
    for piece in value.split_inclusive(['\\', '"', '$']) {
        match piece.char_indices().next_back() {
            Some((last, special @ ('\\' | '"' | '$'))) => write!(out, "{}\\{special}", &piece[..last])?,
            _ => out.write_all(piece.as_bytes())?,
        }
    }
    out.write_all(b"\"\n")
}
