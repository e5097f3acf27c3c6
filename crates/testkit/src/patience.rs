//! Waiting for what must come, without saying when. The bound only keeps a broken test from hanging for ever.

use std::time::Duration;

/// Awaits `future`, which must end.
///
/// # Panics
/// When it does not.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

const PATIENCE: Duration = Duration::from_secs(30);
