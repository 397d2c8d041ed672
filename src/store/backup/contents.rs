//! One sum over all that a backup holds: rows that have no sum of their own, too.
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use crate::store::chain::Sum;

/// Over every table, trigger and index as it was declared, and every row of every table but
/// `backup`, where the sum itself stands.
pub(super) fn sum(conn: &Connection) -> rusqlite::Result<Sum> {
    let mut hasher = Sha256::new();
    let mut tables = Vec::new();
    let query = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
    let mut statement = conn.prepare(query)?;
    let mut objects = statement.query(())?;
    while let Some(row) = objects.next()? {
        let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        for text in [&kind, &name, &sql] {
            add(&mut hasher, b't', text.as_bytes());
        }
        if kind == "table" && name != "backup" {
            tables.push(name);
        }
    }
    for table in tables {
        add(&mut hasher, b'T', table.as_bytes());
        add_rows(&mut hasher, conn, &table)?;
    }
    Ok(hasher.finalize().into())
}

fn add_rows(hasher: &mut Sha256, conn: &Connection, table: &str) -> rusqlite::Result<()> {
    let name = table.replace('"', "\"\"");
    let mut statement = conn.prepare(&format!("SELECT * FROM \"{name}\" ORDER BY rowid"))?;
    let columns = statement.column_count();
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        add(hasher, b'r', &[]);
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => add(hasher, b'n', &[]),
                ValueRef::Integer(number) => add(hasher, b'i', &number.to_be_bytes()),
                ValueRef::Real(number) => add(hasher, b'f', &number.to_be_bytes()),
                ValueRef::Text(text) => add(hasher, b't', text),
                ValueRef::Blob(bytes) => add(hasher, b'b', bytes),
            }
        }
    }
    Ok(())
}

/// Each value with its kind and its length: nothing can move from one to the next.
fn add(hasher: &mut Sha256, kind: u8, bytes: &[u8]) {
    hasher.update([kind]);
    // A usize has at most 64 bits on every platform that Rust knows.
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}
