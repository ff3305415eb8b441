//! `deploy/compose`.

pub(super) const FILES: &[&str] = &[];
