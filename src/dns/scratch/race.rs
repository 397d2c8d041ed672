//! Updates that rest on the same: sent at once, only one of them can be carried out.
use futures_util::future::join_all;

use super::change::{Change, Held, Said, fresh};
use super::ground::Scratch;
use super::verdict::differs;
use crate::coordinator::outcome::Problem;

/// How many are sent at once, and how often.
const AT_ONCE: u8 = 8;
const ROUNDS: u32 = 5;

impl Scratch<'_> {
    /// `Ok(Err)`: what the server made of it.
    ///
    /// # Errors
    /// No answer, or one that proves nothing.
    pub(super) async fn race(&self) -> Result<Result<String, Problem>, Problem> {
        for _ in 0..ROUNDS {
            if let Err(problem) = self.round().await? {
                return Ok(Err(problem));
            }
        }
        Ok(Ok(format!("{ROUNDS} times of {AT_ONCE}")))
    }

    async fn round(&self) -> Result<Result<(), Problem>, Problem> {
        let held = self.look().await?.held;
        let wishes: Vec<Held> = (0..AT_ONCE)
            .map(|runner| Held::of(&[1, 100 + runner], &fresh()))
            .collect();
        let changes = wishes.iter().map(|wish| Change::between(&held, wish));
        let changes: Vec<Change> = changes.collect();
        let answers = join_all(changes.iter().map(|change| self.send(change))).await;
        let mut winners = Vec::new();
        for (wish, answer) in wishes.iter().zip(answers) {
            if answer?.1 == Said::Done {
                winners.push(wish);
            }
        }
        let after = self.look().await?.held;
        Ok(match winners.as_slice() {
            [winner] if **winner == after => Ok(()),
            [winner] => Err(differs(format!(
                "one of {AT_ONCE} was carried out, and there is {after} where {winner} is due"
            ))),
            several => Err(differs(format!(
                "{} of {AT_ONCE} that rest on the same were carried out",
                several.len()
            ))),
        })
    }
}
