//! Work on a large text, away from the threads that serve all callers.

use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::problem::{Kind, Problem};

/// Work on a text of up to so many bytes is done at once: another thread would cost more.
const LARGE: usize = 64 * 1024;

/// So many work at once, half as many as there are processors: the other half is for callers with small requests.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    Semaphore::new((processors / 2).max(1))
});

/// Does `work` on a text of so many bytes, on a thread of its own where that may take long.
///
/// # Errors
///
/// 500 where the work panics.
pub async fn apart<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    if bytes <= LARGE {
        return Ok(work());
    }
    // It is never closed.
    let place = PLACES.acquire().await.ok();
    let done = spawn_blocking(move || {
        // It is taken until the work ends, though its caller may leave before.
        let _place = place;
        work()
    });
    done.await.map_err(|_| Problem::new(Kind::Internal, "the log of the gateway has the place; the request has its id"))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_on_a_large_text_keeps_no_thread_of_the_runtime_and_its_panic_is_an_internal_fault() {
        let here = thread::current().id();
        let is_here = move || thread::current().id() == here;
        assert_eq!(apart(LARGE, is_here).await, Ok(true));
        assert_eq!(apart(LARGE + 1, is_here).await, Ok(false));
        for _ in 0..100 {
            let broken = apart(LARGE + 1, || assert!("".contains('a'), "on purpose")).await;
            assert_eq!(broken.map_err(|problem| problem.kind), Err(Kind::Internal));
        }
        assert_eq!(apart(LARGE + 1, || 1).await, Ok(1));
    }
}
