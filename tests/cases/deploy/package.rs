//! `deploy/package`.

pub(super) const FILES: &[&str] = &[];
