//! `deploy/image`.

pub(super) const FILES: &[&str] = &[];
