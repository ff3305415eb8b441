//! The library on the real server: every verb, the life of a token, threads and outages.

mod cases;
mod support;
