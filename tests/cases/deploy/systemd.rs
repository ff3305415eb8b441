//! `deploy/systemd`.

pub(super) const FILES: &[&str] = &[];
