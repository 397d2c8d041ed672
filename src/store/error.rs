//! What can go wrong with the store, and what a person does about it.
use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::lock::Occupant;

/// Why the store did not do what it was asked. [`StoreError::cure`] is the instruction that
/// belongs to it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process owns the store. `by` is missing when that process has not said who it is.
    #[error("{} is in use by {}", dir.display(), occupant(by.as_ref()))]
    InUse { dir: PathBuf, by: Option<Occupant> },
    #[error("there is no store at {}", path.display())]
    Missing { path: PathBuf },
    #[error("{} has format {found}, this program knows formats up to {known}", path.display())]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("{} belongs to fleet {found}, not to {asked}", path.display())]
    OtherFleet {
        path: PathBuf,
        found: String,
        asked: String,
    },
    #[error("{} is damaged: {what}", path.display())]
    Corrupt { path: PathBuf, what: String },
    /// Where a store should be.
    #[error("{} is a backup, not a store", path.display())]
    IsBackup { path: PathBuf },
    #[error("{} is no backup of cleanslate", path.display())]
    NotABackup { path: PathBuf },
    #[error("the backup {} is damaged: {what}", path.display())]
    BadBackup { path: PathBuf, what: String },
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    /// Something stands where the store of the backup `from` was to be put.
    #[error("{} is there already, and was not made from {}", path.display(), from.display())]
    Occupied { path: PathBuf, from: PathBuf },
    #[error("no space left to {doing} in {}", path.display())]
    Full { path: PathBuf, doing: &'static str },
    #[error("{} cannot be written: the file or its file system is read-only", path.display())]
    ReadOnly { path: PathBuf },
    #[error("{} is locked by another program", path.display())]
    Busy { path: PathBuf },
    /// An earlier write failed in a way that leaves open what is on disk: writing goes on in a
    /// new process only, after it has read the file afresh.
    #[error("{} takes no more writes after: {why}", path.display())]
    Failed { path: PathBuf, why: String },
    #[error("the journal has no record {seq}")]
    NoSuchRecord { seq: u64 },
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot {doing} in {}", path.display())]
    Database {
        doing: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// What to do about it, as an instruction.
    pub fn cure(&self) -> String {
        match self {
            StoreError::InUse { by: Some(by), .. } => {
                format!("wait until process {} has ended, or stop it", by.pid)
            }
            StoreError::InUse { by: None, dir } => {
                format!("find the process with: fuser {}/lock", dir.display())
            }
            StoreError::Missing { .. } => {
                "name the folder with --state DIR; the first rotation makes the store".to_owned()
            }
            StoreError::Newer { .. } => {
                "use the cleanslate that wrote it, or a later one".to_owned()
            }
            StoreError::OtherFleet { .. } => {
                "correct [fleet].name in site.toml, or name another folder with --state DIR".into()
            }
            // All of it: the file without its log would be an older state that looks whole.
            StoreError::Corrupt { path, .. } => format!(
                "move the folder {} away and run: cleanslate recover (the marker in DNS says what is out)",
                path.parent().unwrap_or(path).display()
            ),
            StoreError::IsBackup { path } => format!(
                "move {} away, and put it in place with: cleanslate serve --from FILE",
                path.display()
            ),
            StoreError::NotABackup { .. } => {
                "name another file: a backup is what `cleanslate backup FILE` wrote".to_owned()
            }
            StoreError::BadBackup { .. } => {
                "copy it here once more, or use another one: nothing was put in place".to_owned()
            }
            StoreError::Exists { .. } => {
                "name another file, or write over that backup with --force".to_owned()
            }
            StoreError::Occupied { path, .. } => format!(
                "leave out --from to go on with what is there; to put the backup in its place, move \
                 {} away first",
                path.parent().unwrap_or(path).display()
            ),
            StoreError::Full { path, .. } => {
                format!("free space on the file system of {}", path.display())
            }
            StoreError::ReadOnly { path } => format!(
                "make {} writable for this user, or mount its file system read-write",
                path.display()
            ),
            StoreError::Busy { path } => {
                format!("close the program that has {} open", path.display())
            }
            StoreError::Failed { .. } => {
                "check the disk (dmesg), then start cleanslate again: it resumes".to_owned()
            }
            StoreError::NoSuchRecord { .. } => "report this: it is a fault of cleanslate".into(),
            StoreError::File { path, .. } => {
                format!("check owner, permissions and disk of {}", path.display())
            }
            StoreError::Database { path, .. } => {
                format!(
                    "check the disk of {} (dmesg), then start again",
                    path.display()
                )
            }
        }
    }

    /// Whether another file was meant than the one that was named: nothing is wrong with the store.
    pub fn is_of_a_name(&self) -> bool {
        matches!(
            self,
            StoreError::NotABackup { .. }
                | StoreError::BadBackup { .. }
                | StoreError::Exists { .. }
                | StoreError::Occupied { .. }
        )
    }

    /// Whether the same may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::InUse { .. } | StoreError::Busy { .. })
    }

    /// Whether it leaves open what is on disk, so that no later write may build on it.
    ///
    /// A full disk and a busy file are told apart: SQLite rolled the transaction back.
    pub(super) fn leaves_doubt(&self) -> bool {
        matches!(
            self,
            StoreError::Corrupt { .. }
                | StoreError::File { .. }
                | StoreError::Database { .. }
                | StoreError::ReadOnly { .. }
        )
    }

    /// Sorts what SQLite reports.
    pub(super) fn from_sql(
        doing: &'static str,
        path: impl Into<PathBuf>,
        source: rusqlite::Error,
    ) -> StoreError {
        let path = path.into();
        let is = |codes: &[ErrorCode]| {
            source
                .sqlite_error_code()
                .is_some_and(|code| codes.contains(&code))
        };
        if is(&[ErrorCode::DiskFull]) {
            StoreError::Full { path, doing }
        } else if is(&[ErrorCode::ReadOnly]) {
            StoreError::ReadOnly { path }
        } else if is(&[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked]) {
            StoreError::Busy { path }
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase])
            || is_unlike_ours(&source)
        {
            let what = source.to_string();
            StoreError::Corrupt { path, what }
        } else {
            StoreError::Database {
                doing,
                path,
                source,
            }
        }
    }

    /// Sorts what the file system reports.
    pub(super) fn from_io(
        doing: &'static str,
        path: impl Into<PathBuf>,
        source: io::Error,
    ) -> StoreError {
        let path = path.into();
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&source.kind());
        if is(&[io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]) {
            StoreError::Full { path, doing }
        } else if is(&[io::ErrorKind::ReadOnlyFilesystem]) {
            StoreError::ReadOnly { path }
        } else {
            StoreError::File {
                doing,
                path,
                source,
            }
        }
    }
}

fn occupant(by: Option<&Occupant>) -> String {
    by.map_or_else(|| "another process".to_owned(), ToString::to_string)
}

/// A column holds what we never write there, or the tables are not those that we made: our own
/// statements fit those.
fn is_unlike_ours(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    let is_plain_error =
        |code: &rusqlite::ffi::Error| code.extended_code == rusqlite::ffi::SQLITE_ERROR;
    error.sqlite_error().is_some_and(is_plain_error)
        || matches!(
            error,
            Error::SqlInputError { .. }
                | Error::FromSqlConversionFailure(..)
                | Error::IntegralValueOutOfRange(..)
                | Error::InvalidColumnType(..)
                | Error::Utf8Error(..)
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_place_and_the_cure_and_leave_the_source_to_the_chain() {
        let path = PathBuf::from("/state/edge/journal.db");
        let io = StoreError::from_io("open", &path, io::Error::from_raw_os_error(13));
        assert_eq!(io.to_string(), "cannot open /state/edge/journal.db");
        let source = std::error::Error::source(&io).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("Permission denied (os error 13)"));
        assert_eq!(
            io.cure(),
            "check owner, permissions and disk of /state/edge/journal.db"
        );
        let corrupt = StoreError::Corrupt {
            path,
            what: "record 3 is not what was written".to_owned(),
        };
        assert_eq!(
            corrupt.to_string(),
            "/state/edge/journal.db is damaged: record 3 is not what was written"
        );
        let cure = corrupt.cure();
        assert!(
            cure.starts_with("move the folder /state/edge away and run: cleanslate recover"),
            "{cure}"
        );
    }

    #[test]
    fn what_the_system_says_of_a_disk_is_sorted_by_its_cure() {
        let sort = |code| StoreError::from_io("write", "x", io::Error::from_raw_os_error(code));
        let (no_space, quota, read_only, io_error) = (28, 122, 30, 5);
        assert!(matches!(sort(no_space), StoreError::Full { .. }));
        assert!(matches!(sort(quota), StoreError::Full { .. }));
        assert!(matches!(sort(read_only), StoreError::ReadOnly { .. }));
        assert!(sort(io_error).leaves_doubt());
        assert!(!sort(no_space).leaves_doubt());
    }
}
