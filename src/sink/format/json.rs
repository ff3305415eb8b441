//! One flat JSON object of strings, a line for each variable.
//! <https://www.rfc-editor.org/rfc/rfc8259>

use std::io::{self, Write};

pub(super) fn write(out: &mut impl Write, variables: &[(&str, &str)]) -> io::Result<()> {
    out.write_all(b"{")?;
    for (i, (name, value)) in variables.iter().enumerate() {
        out.write_all(if i == 0 { b"\n  " } else { b",\n  " })?;
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b": ")?;
        serde_json::to_writer(&mut *out, value)?;
    }
    out.write_all(if variables.is_empty() { b"}\n" } else { b"\n}\n" })
}
