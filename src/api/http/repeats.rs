//! `Idempotency-Key`: a request whose answer got lost may be made again, and is done once.
//!
//! Kept in memory, for a day: a coordinator that was restarted in between has forgotten it, and
//! then its rule *one rotation* is what stands between a repeated request and a second rotation.
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::commands::Outcome;
use super::problem::Problem;

pub(super) const KEY: &str = "idempotency-key";

/// So many are kept; the oldest is forgotten first.
const KEPT: usize = 1024;

const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What came with a request.
pub(in crate::api) struct Key(String);

/// A key, whose it is, and what was asked with it.
pub(in crate::api) struct Repeat {
    key: String,
    asked: [u8; 32],
}

/// The requests of the last day that came with a key.
#[derive(Debug, Default)]
pub(in crate::api) struct Repeats(Mutex<BTreeMap<String, Made>>);

#[derive(Debug)]
struct Made {
    at: Instant,
    asked: [u8; 32],
    /// `None` until it is answered.
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Key {
    /// # Errors
    /// It is empty, very long, or nothing that can be printed.
    pub(in crate::api) fn read(value: &HeaderValue) -> Result<Key, Problem> {
        let text = value.to_str().unwrap_or("");
        if (1..=255).contains(&text.len()) {
            return Ok(Key(text.to_owned()));
        }
        let why = "its Idempotency-Key has to be 1 to 255 printable characters";
        Err(Problem::unreadable(StatusCode::BAD_REQUEST, why))
    }

    /// Two users may choose the same key.
    pub(in crate::api) fn of(self, user: &str, name: &str, body: &[u8]) -> Repeat {
        let mut hash = Sha256::new();
        hash.update(name);
        hash.update([0]);
        hash.update(body);
        Repeat {
            key: format!("{user}\n{}", self.0),
            asked: hash.finalize().into(),
        }
    }
}

impl Repeats {
    /// The outcome of `ask`, and whether it was had before. It goes on though whoever asked went
    /// away: that is what the key is for.
    ///
    /// # Errors
    /// The key was used for something else.
    pub(in crate::api) async fn once<F>(
        &self,
        repeat: Repeat,
        ask: impl FnOnce() -> F,
    ) -> Result<(Outcome, bool), Problem>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let (mut outcome, is_repeated) = self.begin(repeat, ask)?;
        let told = outcome.wait_for(Option::is_some).await;
        let told = told.ok().and_then(|told| told.clone());
        Ok((told.unwrap_or_else(|| Err(Problem::ending())), is_repeated))
    }

    fn begin<F>(
        &self,
        repeat: Repeat,
        ask: impl FnOnce() -> F,
    ) -> Result<(watch::Receiver<Option<Outcome>>, bool), Problem>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, made| made.at.elapsed() < KEPT_FOR);
        if let Some(earlier) = made.get(&repeat.key) {
            if earlier.asked == repeat.asked {
                return Ok((earlier.outcome.clone(), true));
            }
            // Nothing is wrong with the request in itself: what was asked before stands against it.
            let why = "its Idempotency-Key was used for another request";
            return Err(Problem::unreadable(StatusCode::CONFLICT, why));
        }
        if made.len() >= KEPT {
            let oldest = made.iter().min_by_key(|(_, made)| made.at);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| made.remove(&key));
        }
        let (told, outcome) = watch::channel(None);
        let asked = ask();
        tokio::spawn(async move {
            let outcome = asked.await;
            told.send_replace(Some(outcome));
        });
        let entry = Made {
            at: Instant::now(),
            asked: repeat.asked,
            outcome: outcome.clone(),
        };
        made.insert(repeat.key, entry);
        Ok((outcome, false))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_same_is_done_once_and_something_else_is_refused() {
        let repeats = Repeats::default();
        let done = Arc::new(AtomicU32::new(0));
        let ask = |user: &str, body: &'static str| {
            let done = Arc::clone(&done);
            let key = Key("k".to_owned()).of(user, "rotate", body.as_bytes());
            repeats.once(key, move || async move {
                tokio::task::yield_now().await;
                Ok(done.fetch_add(1, Ordering::SeqCst).into())
            })
        };
        let (first, second) = tokio::join!(ask("ana", "{}"), ask("ana", "{}"));
        assert_eq!(first.unwrap(), (Ok(0.into()), false));
        assert_eq!(second.unwrap(), (Ok(0.into()), true));
        let other = ask("ana", "{ }").await.unwrap_err();
        assert_eq!(other.status, StatusCode::CONFLICT);
        assert_eq!(ask("bob", "{}").await.unwrap(), (Ok(1.into()), false));
    }

    #[tokio::test]
    async fn the_oldest_is_forgotten_first() {
        let repeats = Repeats::default();
        for n in 0..=KEPT {
            let key = Key(n.to_string()).of("ana", "rotate", b"");
            let (_, is_repeated) = repeats.once(key, || async { Ok(0.into()) }).await.unwrap();
            assert!(!is_repeated);
        }
        assert_eq!(repeats.0.lock().unwrap().len(), KEPT);
        let last = Key(KEPT.to_string()).of("ana", "rotate", b"");
        assert!(
            repeats
                .once(last, || async { Ok(1.into()) })
                .await
                .unwrap()
                .1
        );
        let first = Key("0".to_owned()).of("ana", "rotate", b"");
        assert!(
            !repeats
                .once(first, || async { Ok(1.into()) })
                .await
                .unwrap()
                .1
        );
    }
}
