//! What the program and its parts are held to.

mod file;
mod file_faults;
mod formats;
mod install;
