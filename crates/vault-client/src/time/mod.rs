//! Time: how long a call may take, what ends it before that, and how a duration is written.

mod alarm;
mod boot;
mod call;
mod cancel;
mod granted;
mod limits;
pub(crate) mod serial;
mod span;
mod turn;

pub(crate) use alarm::Alarm;
pub(crate) use boot::since_boot;
pub use call::{Call, Ended};
pub use cancel::{Cancel, Trigger};
pub(crate) use granted::Granted;
pub(crate) use limits::after;
pub use limits::{Limit, Limits};
pub use span::Seconds;
pub(crate) use turn::Turn;
