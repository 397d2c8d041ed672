//! The tables, and how a file of an older format becomes one of today.
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;
use super::log::PAGE;

/// `clns`: tells our file from any other SQLite file.
pub(super) const APPLICATION_ID: i32 = 0x636c_6e73;

/// `clnb`: tells a backup from a store, so that neither is ever taken for the other.
pub(super) const BACKUP_ID: i32 = 0x636c_6e62;

/// The tables that a backup has beside those of its store.
pub(super) const BACKUP: &str = include_str!("schema/backup.sql");

/// Steps from an empty file to the present format, in order; a step that was released is never
/// edited. The format's number is how many were taken.
const MIGRATIONS: &[(&str, &str)] = &[
    ("first", include_str!("schema/1_first.sql")),
    ("stories", include_str!("schema/2_stories.sql")),
    ("settled", include_str!("schema/3_settled.sql")),
    ("audit", include_str!("schema/4_audit.sql")),
    ("audit_head", include_str!("schema/5_audit_head.sql")),
    ("moved", include_str!("schema/6_moved.sql")),
    ("ledger", include_str!("schema/7_ledger.sql")),
    ("release_terms", include_str!("schema/8_release_terms.sql")),
    ("kept", include_str!("schema/9_kept.sql")),
];

/// How a connection that writes is set up.
///
/// WAL lets others read while we write. FULL makes each commit sync the log before it returns:
/// with NORMAL, a power cut could take back what an effect was already founded on. Checkpoints are
/// asked for by the store, since SQLite keeps silent about those of its own that fail. Nothing is
/// written before a commit, so that a log holds whole commits and the torn last one only. Deleted
/// rows are overwritten: kept configuration may hold secrets.
const WRITER: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_spill = OFF;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA secure_delete = ON;
";

/// How every connection is set up: it stays small, maps nothing (a failed read of a mapped file
/// kills the process) and trusts nothing that it finds in the file.
const ANYONE: &str = "
    PRAGMA cache_size = -256;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
";

/// Sets up a connection that only reads, and refuses a file that is none of ours.
pub(super) fn prepare_reader(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    batch(conn, path, ANYONE)?;
    match version(conn, path)? {
        0 => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Sets up a connection that reads a backup, and refuses a file that is none.
pub(super) fn prepare_backup(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    batch(conn, path, ANYONE)?;
    if application_id(conn, path)? != BACKUP_ID {
        let path = path.to_owned();
        return Err(StoreError::NotABackup { path });
    }
    steps_taken(conn, path).map(drop)
}

/// Sets up a connection that writes, and brings the file to the present format.
pub(super) fn prepare_writer(conn: &mut Connection, path: &Path) -> Result<(), StoreError> {
    batch(conn, path, ANYONE)?;
    let version = version(conn, path)?;
    use_wal(conn, path)?;
    batch(conn, path, WRITER)?;
    migrate(conn, path, version)
}

/// The file's format; 0 for a new file.
fn version(conn: &Connection, path: &Path) -> Result<usize, StoreError> {
    let sql = |error| StoreError::from_sql("read the format", path, error);
    let owner = application_id(conn, path)?;
    let objects: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(sql)?;
    if owner == 0 && objects == 0 {
        return check_is_new(path).map(|()| 0);
    }
    match owner {
        APPLICATION_ID => steps_taken(conn, path),
        BACKUP_ID => Err(StoreError::IsBackup {
            path: path.to_owned(),
        }),
        _ => Err(StoreError::Corrupt {
            path: path.to_owned(),
            what: "it is not a file of cleanslate".to_owned(),
        }),
    }
}

/// Whose file it is, as SQLite keeps it.
fn application_id(conn: &Connection, path: &Path) -> Result<i32, StoreError> {
    conn.pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(|error| StoreError::from_sql("read the format", path, error))
}

/// How many steps a file of ours has taken, each of which this program knows.
fn steps_taken(conn: &Connection, path: &Path) -> Result<usize, StoreError> {
    let sql = |error| StoreError::from_sql("read the format", path, error);
    let steps = steps(conn).map_err(sql)?;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    // No sum stands over these rows: each is known by its name.
    let wrong = steps
        .iter()
        .zip(MIGRATIONS)
        .find(|(found, (name, _))| found != name);
    if let Some((found, (name, _))) = wrong {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what: format!("its format has the step {found:?}, not {name:?}"),
        });
    }
    if steps.len() > MIGRATIONS.len() {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: number(steps.len()),
            known: number(MIGRATIONS.len()),
        });
    }
    Ok(steps.len())
}

/// The steps that the file has taken, by name.
fn steps(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT name FROM migrations ORDER BY version")?;
    let names = statement.query_map((), |row| row.get(0))?;
    names.collect()
}

/// SQLite takes what is left of a file that was cut off within its first page for a new one.
fn check_is_new(path: &Path) -> Result<(), StoreError> {
    let length = std::fs::metadata(path)
        .map_err(|source| StoreError::from_io("read the size of", path, source))?
        .len();
    if (1..PAGE as u64).contains(&length) {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            what: format!("only {length} bytes of it are left"),
        });
    }
    Ok(())
}

/// Some file systems have no shared memory: SQLite then stays with its old log and says so only
/// in its answer.
fn use_wal(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(|error| StoreError::from_sql("turn on the log", path, error))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(StoreError::File {
        doing: "keep a write-ahead log beside",
        path: path.to_owned(),
        source: std::io::Error::other("its file system lacks shared memory; use a local disk"),
    })
}

fn migrate(conn: &mut Connection, path: &Path, version: usize) -> Result<(), StoreError> {
    let sql = |error| StoreError::from_sql("bring the format up to date", path, error);
    let Some(steps) = MIGRATIONS.get(version..).filter(|steps| !steps.is_empty()) else {
        return Ok(());
    };
    let tx = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(sql)?;
    for (name, step) in steps {
        tx.execute_batch(step).map_err(sql)?;
        tx.execute("INSERT INTO migrations (name) VALUES (?1)", [name])
            .map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

fn batch(conn: &Connection, path: &Path, text: &str) -> Result<(), StoreError> {
    conn.execute_batch(text)
        .map_err(|error| StoreError::from_sql("set up the connection", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_another_name_is_damage() {
        let (_dir, path, mut conn) = empty();
        prepare_writer(&mut conn, &path).unwrap();
        let damage = "UPDATE migrations SET name = 'rtories' WHERE name = 'stories'";
        conn.execute(damage, ()).unwrap();
        let refused = version(&conn, &path).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    }

    #[test]
    fn a_new_file_gets_every_table_strict_and_every_commit_synced() {
        let (_dir, path, mut conn) = empty();
        prepare_writer(&mut conn, &path).unwrap();
        let lax: i64 = conn
            .query_row(
                "SELECT count(*) FROM pragma_table_list WHERE strict = 0 AND type = 'table'
                 AND name NOT LIKE 'sqlite_%'",
                (),
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(lax, 0);
        let pragma = |name: &str| -> rusqlite::types::Value {
            conn.pragma_query_value(None, name, |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma("synchronous"), 2.into(), "2 is FULL");
    }

    #[test]
    fn the_second_opening_migrates_nothing() {
        let (_dir, path, mut conn) = empty();
        prepare_writer(&mut conn, &path).unwrap();
        prepare_writer(&mut conn, &path).unwrap();
        assert_eq!(version(&conn, &path).unwrap(), MIGRATIONS.len());
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let (_dir, path, mut conn) = empty();
        prepare_writer(&mut conn, &path).unwrap();
        conn.execute("INSERT INTO migrations (name) VALUES ('future')", ())
            .unwrap();
        let refused = prepare_writer(&mut conn, &path).unwrap_err();
        let newest = u32::try_from(MIGRATIONS.len()).unwrap();
        let StoreError::Newer { found, known, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!((found, known), (newest + 1, newest));
    }

    #[test]
    fn somebody_elses_database_is_refused_and_left_alone() {
        let (_dir, path, mut conn) = empty();
        conn.execute_batch("CREATE TABLE theirs (x)").unwrap();
        let refused = prepare_writer(&mut conn, &path).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        let mode: String = conn
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "delete");
    }

    fn empty() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let conn = Connection::open(&path).unwrap();
        (dir, path, conn)
    }
}
