//! Space set aside: when the disk is full, a rotation that is under way can still be finished.
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Enough for the journal of a large night: some 10 KiB of log a record, the log written over
/// again every 4 MiB, and the records themselves.
const BYTES: usize = 8 << 20;

/// A file that is given up when the disk is full.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    is_there: bool,
}

impl Reserve {
    /// Sets the space aside in the folder `dir`. That it cannot be is no failure: the store works,
    /// and [`Reserve::is_there`] says that nothing new should be begun.
    pub(super) fn set_aside(dir: &Path) -> Reserve {
        let path = dir.join("reserve");
        let is_there = match fill(&path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no space could be set aside");
                remove(&path);
                false
            }
        };
        Reserve { path, is_there }
    }

    /// Gives the space up; `false` if there was none left.
    pub(super) fn release(&mut self) -> bool {
        if !self.is_there {
            return false;
        }
        self.is_there = false;
        tracing::warn!(path = %self.path.display(), "the disk is full: the reserve is given up");
        remove(&self.path)
    }

    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }
}

/// Zeros are written, since a length alone takes no space.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let has = usize::try_from(file.metadata()?.len()).unwrap_or(BYTES);
    let mut left = BYTES.saturating_sub(has);
    if left == 0 {
        return Ok(());
    }
    let zeros = vec![0; 64 << 10];
    while left > 0 {
        let part = &zeros[..left.min(zeros.len())];
        file.write_all(part)?;
        left -= part.len();
    }
    sync(&file)
}

fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

fn remove(path: &Path) -> bool {
    match std::fs::remove_file(path) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "the reserve could not be removed");
            false
        }
    }
}
