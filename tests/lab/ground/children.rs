//! The processes that were started for a lab, by the process that started them.

use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::program::wait_until;

/// The processes that were started, so that they leave no zombies. They are found by namespace
/// when they are to be signalled, never by this list.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Mutex<Vec<Child>>>);

impl Children {
    /// Starts a server and keeps it.
    pub fn spawn(&self, command: &mut Command) -> Result<()> {
        let child = command
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        children.push(child);
        Ok(())
    }

    /// Waits for those that end within a moment; for others nobody is left to wait.
    pub fn reap_all(&self) {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all_ended = || {
            children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
            children.is_empty()
        };
        if let Err(error) = wait_until("children end", Duration::from_secs(5), all_ended) {
            eprintln!("{error:#}");
        }
    }
}
