//! Waiting on a condition with a deadline, instead of sleeping and hoping.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

/// How long a test waits for what should happen at once, before it calls the thing broken.
/// Generous, because two cores may be shared with a compiler.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) const STEP: Duration = Duration::from_millis(10);

/// Asks again until `condition` holds.
///
/// # Panics
/// When it does not hold within `deadline`; the message says `what`.
pub async fn eventually<F, Fut>(what: &str, deadline: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    eventually_some(what, deadline, || {
        let holds = condition();
        async move { holds.await.then_some(()) }
    })
    .await;
}

/// Asks again until there is an answer, and returns it.
///
/// # Panics
/// When there is none within `deadline`; the message says `what`.
pub async fn eventually_some<T, F, Fut>(what: &str, deadline: Duration, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_as_soon_as_the_condition_holds() {
        let mut asked = 0;
        let value = eventually_some("third time lucky", PATIENCE, || {
            asked += 1;
            let found = (asked == 3).then_some(asked);
            async move { found }
        })
        .await;
        assert_eq!(value, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "pigs fly")]
    async fn it_gives_up_with_a_sentence() {
        eventually("pigs fly", Duration::from_millis(30), || async { false }).await;
    }
}
