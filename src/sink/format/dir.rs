//! A folder with a file for each variable, which any program reads.

use super::{Reason, refuse_if};

/// The longest name of a file, <https://man7.org/linux/man-pages/man7/path_resolution.7.html>.
const LONGEST_NAME: usize = 255;

pub(super) fn check(name: &str) -> Result<(), Reason> {
    refuse_if(matches!(name, "" | ".") || name.contains(['/', '\0']), Reason::NotAFileName)?;
    refuse_if(name.starts_with(".."), Reason::TwoDots)?;
    refuse_if(name.len() > LONGEST_NAME, Reason::NameTooLong { limit: LONGEST_NAME })
}
