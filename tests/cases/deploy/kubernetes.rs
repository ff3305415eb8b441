//! `deploy/kubernetes`.

pub(super) const FILES: &[&str] = &[];
