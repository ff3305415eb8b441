//! The gateway as callers meet it: the program, on the embedded server and on the real one.

mod cases;
mod support;
