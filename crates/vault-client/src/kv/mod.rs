//! The KV version 2 engine.

mod explain;
mod read;

pub use explain::Explained;
pub(crate) use read::learn;
pub use read::{Location, Version};
