//! A file that stays current: whom to tell of a change ([`notify`], [`hook`]), and who may ask how it is ([`listener`]).

pub mod hook;
pub mod listener;
pub mod notify;
pub mod request;
