//! Writing a backup, beside whoever owns the store.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::about::About;
use super::read::{Backup, Holds};
use crate::store::error::StoreError;
use crate::store::founding::sync_folder_of;
use crate::store::reader::Reader;
use crate::store::schema;

impl Reader {
    /// Writes a copy of the whole store to `file`, whatever its owner does meanwhile, with `carried`
    /// beside it (names in the fleet's folder, and what is in them); and checks it. It is there as a
    /// whole or not at all. With `replace` it takes the place of another backup, and of nothing else.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::NotABackup`] where `file` may not be replaced, and
    /// failures to read or write.
    pub fn back_up(
        &self,
        file: &Path,
        about: &About,
        carried: &[(&str, Vec<u8>)],
        replace: bool,
    ) -> Result<Holds, StoreError> {
        may_take_its_place(file, replace)?;
        let part = Part::beside(file, &about.id)?;
        let text = path_text(&part.path)?;
        // The copy takes this over: no page of it holds a stray copy of what stands elsewhere.
        let copied = self.conn.execute_batch("PRAGMA secure_delete = ON;");
        let copied = copied.and_then(|()| self.conn.execute("VACUUM INTO ?1", [text]));
        copied.map_err(|error| StoreError::from_sql("write the backup", &part.path, error))?;
        seal(&part.path, about, carried)?;
        let (fleet, _) = self.identity()?;
        let holds = Backup::open(&part.path, &fleet)?.holds()?;
        part.file
            .sync_all()
            .map_err(|source| StoreError::from_io("sync", &part.path, source))?;
        may_take_its_place(file, replace)?;
        fs::rename(&part.path, file)
            .and_then(|()| sync_folder_of(file))
            .map_err(|source| StoreError::from_io("write", file, source))?;
        Ok(holds)
    }
}

/// The file while it is being written: of its owner only, and gone again where it is not finished.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    fn beside(file: &Path, id: &str) -> Result<Part, StoreError> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", id.get(..8).unwrap_or(id)));
        let path = file.with_file_name(name);
        // SQLite fills an empty file; made here, nobody else can read it.
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let made = made.map_err(|source| StoreError::from_io("make", &path, source))?;
        Ok(Part { path, file: made })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Ok(()) => {}
            // It has its own name by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "half a backup stays behind");
            }
        }
    }
}

/// Only another backup may be replaced: a slip must not cost a journal or a key.
fn may_take_its_place(file: &Path, replace: bool) -> Result<(), StoreError> {
    let path = || file.to_owned();
    let found = match fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::from_io("look at", file, source)),
    };
    if !found.is_file() {
        return Err(StoreError::NotABackup { path: path() });
    }
    if !replace {
        return Err(StoreError::Exists { path: path() });
    }
    let is_backup = has_header(file);
    match is_backup.map_err(|source| StoreError::from_io("read", file, source))? {
        true => Ok(()),
        false => Err(StoreError::NotABackup { path: path() }),
    }
}

/// Whether a file begins as a backup does.
fn has_header(file: &Path) -> io::Result<bool> {
    let mut header = Vec::new();
    File::open(file)?.take(72).read_to_end(&mut header)?;
    // The application id (sqlite.org/fileformat2.html, section 1.3).
    let id = header.get(68..72);
    Ok(header.starts_with(b"SQLite format 3\0") && id == Some(&schema::BACKUP_ID.to_be_bytes()))
}

/// Makes a backup of the copy of a store. The file is synced later, as a whole.
fn seal(path: &Path, about: &About, carried: &[(&str, Vec<u8>)]) -> Result<(), StoreError> {
    let sealed = || -> rusqlite::Result<()> {
        let mut conn = open_alone(path)?;
        let tx = conn.transaction()?;
        tx.execute_batch(schema::BACKUP)?;
        tx.pragma_update(None, "application_id", schema::BACKUP_ID)?;
        for (name, content) in carried {
            let insert = "INSERT INTO backup_files (name, content) VALUES (?1, ?2)";
            tx.execute(insert, (name, content))?;
        }
        about.write(&tx)?;
        tx.commit()
    };
    sealed().map_err(|error| StoreError::from_sql("write the backup", path, error))
}

/// A file that nobody else has open, and that is thrown away if this process dies: it needs no
/// journal of its own beside it.
pub(super) fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.pragma_update_and_check(None, "journal_mode", "memory", |_| Ok(()))?;
    conn.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA trusted_schema = OFF; PRAGMA secure_delete = ON;",
    )?;
    Ok(conn)
}

fn path_text(file: &Path) -> Result<&str, StoreError> {
    file.to_str().ok_or_else(|| StoreError::File {
        doing: "make",
        path: file.to_owned(),
        source: io::Error::other("its name must be UTF-8"),
    })
}
