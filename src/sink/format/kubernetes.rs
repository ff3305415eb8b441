//! `fileKeyRef` of a pod: single quotes without any escape, read line by line.
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-via-file/>

use std::io::{self, Write};

use super::{Reason, refuse_if};

/// One byte less than the buffer of the reader's line scanner, which holds the newline too.
const LIMIT: usize = 65_535;

pub(super) fn check(name: &str, value: &str) -> Result<(), Reason> {
    let printable = name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    let edges = name.is_empty() || name.starts_with(['#', ' ']) || name.ends_with(' ');
    refuse_if(!printable || edges, Reason::NotAKubernetesName)?;
    refuse_if(value.contains('\0'), Reason::Nul)?;
    // The kubelet takes it for a missing key: the container fails or, if the key is optional, goes without.
    refuse_if(value.is_empty(), Reason::Empty)?;
    refuse_if(value.contains('\''), Reason::SingleQuote)?;
    refuse_if(value.contains("\r\n"), Reason::CarriageReturnAtLineEnd)?;
    refuse_if(longest_line(name, value) > LIMIT, Reason::LineTooLong { limit: LIMIT })
}

pub(super) fn write(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name}='{value}'")
}

/// The length of the longest line that [`write()`] makes: the first has the name, the last the closing quote.
fn longest_line(name: &str, value: &str) -> usize {
    let first = name.len() + "='".len();
    let last = value.split('\n').count() - 1;
    value
        .split('\n')
        .enumerate()
        .map(|(i, line)| line.len() + if i == 0 { first } else { 0 } + usize::from(i == last))
        .max()
        .unwrap_or_default()
}
