//! `deploy/vault`.

pub(super) const FILES: &[&str] = &[];
