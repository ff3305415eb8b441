//! `docker run --env-file`: a line is a variable as it stands, nothing is quoted or escaped.
//! <https://docs.docker.com/reference/cli/docker/container/run/#env>

use std::io::{self, Write};

use super::{Reason, identifier, refuse_if};

/// One byte less than the buffer of the reader's line scanner, which holds the newline too.
const LIMIT: usize = 65_535;

pub(super) fn check(name: &str, value: &str) -> Result<(), Reason> {
    identifier(name)?;
    refuse_if(value.contains('\0'), Reason::Nul)?;
    refuse_if(value.contains('\n'), Reason::Newline)?;
    refuse_if(value.ends_with('\r'), Reason::CarriageReturnAtLineEnd)?;
    refuse_if(name.len() + 1 + value.len() > LIMIT, Reason::LineTooLong { limit: LIMIT })
}

pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name}={value}")
}
