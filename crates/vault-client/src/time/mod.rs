//! Time: how long a call may take, what ends it before that, and how a duration is written.

mod call;
mod cancel;
mod limits;
mod span;

pub use call::{Call, Ended};
pub use cancel::{Cancel, Watch};
pub use limits::{Limit, Limits};
pub use span::Seconds;
