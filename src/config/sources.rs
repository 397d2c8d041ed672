//! Where configuration is read: every file once, recorded, so that the same configuration can be
//! had again later from the [`Snapshot`]. Secrets are read too, and recorded never.
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::text::Secret;

/// The largest file that is read: far above any configuration, far below a disk image named by
/// mistake.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Reads files from the disk and records them, or gives those of a snapshot.
pub struct Sources {
    origin: Origin,
    files: BTreeMap<PathBuf, Arc<[u8]>>,
}

/// Where files are that were not read yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Disk,
    /// Nowhere; secrets are on the disk.
    Snapshot,
    /// Nowhere, and secrets are among the files.
    #[cfg(any(test, feature = "fuzzing"))]
    Memory,
}

/// Every file that one configuration was read from, except secrets. Paths are those that were
/// asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The `site.toml`; absolute.
    pub root: PathBuf,
    pub files: BTreeMap<PathBuf, Arc<[u8]>>,
}

/// Why a file could not be had: a fragment that follows `cannot read "PATH": `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("there is no such file")]
    NotFound,
    #[error("it is a folder, a file is needed")]
    Folder,
    #[error("it is larger than {} MiB", MAX_FILE_BYTES / 1024 / 1024)]
    TooLarge,
    #[error("it is no UTF-8 text: the byte {byte:#04x} in line {line}")]
    NotUtf8 { line: usize, byte: u8 },
    #[error("{0}")]
    Io(String),
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.files.iter().map(|(path, bytes)| (path, bytes.len()));
        f.debug_map().entries(sizes).finish()
    }
}

impl Sources {
    /// Reads from the disk.
    pub fn disk() -> Sources {
        Sources {
            origin: Origin::Disk,
            files: BTreeMap::new(),
        }
    }

    /// Gives the files of `snapshot`; only secrets come from the disk. What was not read then is
    /// not there, so that an optional file that was missing is missing again.
    pub fn replay(snapshot: &Snapshot) -> Sources {
        Sources {
            origin: Origin::Snapshot,
            files: snapshot.files.clone(),
        }
    }

    /// Gives these files, secrets too, and never asks the disk.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn memory(files: BTreeMap<PathBuf, Arc<[u8]>>) -> Sources {
        Sources {
            origin: Origin::Memory,
            files,
        }
    }

    /// The bytes of a file. Read once: every later call gives the same bytes, so that one
    /// configuration never mixes two states of a file.
    pub fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, SourceError> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(Arc::clone(bytes));
        }
        if self.origin != Origin::Disk {
            return Err(SourceError::NotFound);
        }
        let bytes: Arc<[u8]> = read_from_disk(path)?.into();
        self.files.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// The text of a file.
    pub fn read_text(&mut self, path: &Path) -> Result<String, SourceError> {
        let bytes = self.read(path)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(not_utf8(&bytes, error.valid_up_to())),
        }
    }

    /// The content of a file that holds a secret. Always from the disk, never recorded: a
    /// snapshot can be kept where secrets cannot.
    pub fn read_secret(&self, path: &Path) -> Result<Secret, SourceError> {
        #[cfg(any(test, feature = "fuzzing"))]
        if self.origin == Origin::Memory {
            let bytes = self.files.get(path).ok_or(SourceError::NotFound)?;
            return Ok(Secret::new(bytes.to_vec()));
        }
        read_from_disk(path).map(Secret::new)
    }

    /// The files of `folder` with that extension, sorted. A snapshot knows no folders: where it has
    /// none of its files, there are none.
    pub fn list(&self, folder: &Path, extension: &str) -> Result<Vec<PathBuf>, SourceError> {
        let mut paths = if self.origin != Origin::Disk {
            let here = |path: &&PathBuf| path.parent() == Some(folder);
            self.files.keys().filter(here).cloned().collect()
        } else {
            list_from_disk(folder)?
        };
        paths.retain(|path| path.extension().is_some_and(|found| found == extension));
        paths.sort();
        Ok(paths)
    }

    /// What was read of a file, if it was.
    pub(crate) fn text_of(&self, path: &Path) -> Option<&str> {
        let bytes = self.files.get(path)?;
        std::str::from_utf8(bytes).ok()
    }

    /// Everything that was read.
    pub fn into_snapshot(self, root: PathBuf) -> Snapshot {
        Snapshot {
            root,
            files: self.files,
        }
    }
}

fn read_from_disk(path: &Path) -> Result<Vec<u8>, SourceError> {
    let file = std::fs::File::open(path).map_err(|error| from_io(&error))?;
    let metadata = file.metadata().map_err(|error| from_io(&error))?;
    if metadata.is_dir() {
        return Err(SourceError::Folder);
    }
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is more, also where a size is unknown (pipes).
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| from_io(&error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(SourceError::TooLarge);
    }
    Ok(bytes)
}

fn list_from_disk(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return Err(from_io(&error)),
    };
    let path_of = |entry: std::io::Result<std::fs::DirEntry>| match entry {
        Ok(entry) => Ok(entry.path()),
        Err(error) => Err(from_io(&error)),
    };
    entries.map(path_of).collect()
}

fn from_io(error: &std::io::Error) -> SourceError {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        SourceError::NotFound
    } else if kind == std::io::ErrorKind::IsADirectory {
        SourceError::Folder
    } else {
        SourceError::Io(error.to_string().to_lowercase())
    }
}

fn not_utf8(bytes: &[u8], valid_up_to: usize) -> SourceError {
    let before = &bytes[..valid_up_to];
    SourceError::NotUtf8 {
        line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
        byte: bytes.get(valid_up_to).copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_and_had_again_from_the_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "one").unwrap();
        let mut sources = Sources::disk();
        assert_eq!(sources.read_text(&path).unwrap(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(sources.read_text(&path).unwrap(), "one");

        let snapshot = sources.into_snapshot(path.clone());
        std::fs::remove_file(&path).unwrap();
        let mut again = Sources::replay(&snapshot);
        assert_eq!(again.read_text(&path).unwrap(), "one");
        assert_eq!(again.list(folder.path(), "toml").unwrap(), [path]);
        let other = folder.path().join("b.toml");
        assert_eq!(again.read(&other), Err(SourceError::NotFound));
    }

    #[test]
    fn a_secret_is_never_recorded_and_comes_from_the_disk_on_replay_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "first").unwrap();
        let sources = Sources::disk();
        assert_eq!(sources.read_secret(&path).unwrap(), Secret::from("first"));
        let snapshot = sources.into_snapshot(PathBuf::new());
        assert_eq!(snapshot.files, BTreeMap::new());
        std::fs::write(&path, "second").unwrap();
        let again = Sources::replay(&snapshot);
        assert_eq!(again.read_secret(&path).unwrap(), Secret::from("second"));
    }

    #[test]
    fn what_is_no_configuration_file_is_refused_by_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let mut sources = Sources::disk();
        assert_eq!(sources.read(folder.path()), Err(SourceError::Folder));
        let missing = folder.path().join("none");
        assert_eq!(sources.read(&missing), Err(SourceError::NotFound));
        assert_eq!(sources.list(&missing, "toml"), Err(SourceError::NotFound));
        let big = folder.path().join("big");
        std::fs::File::create(&big)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert_eq!(sources.read(&big), Err(SourceError::TooLarge));
        let latin = folder.path().join("latin");
        std::fs::write(&latin, b"a = 1\nb = \"\xe9\"\n").unwrap();
        let error = sources.read_text(&latin).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is no UTF-8 text: the byte 0xe9 in line 2"
        );
    }
}
