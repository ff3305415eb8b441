//! A file that stays current: whom to tell of a change ([`notify`], [`hook`]), who may ask how it is ([`listener`]), and what
//! is answered ([`answer`]).

pub mod answer;
pub mod facts;
pub mod hook;
pub mod listener;
mod metrics;
pub mod notify;
pub mod request;
