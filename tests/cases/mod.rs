//! What the program and its parts are held to.

mod formats;
