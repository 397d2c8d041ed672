//! What a backup says of itself.
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::contents;
use crate::store::chain::{Sum, checksum};
use crate::store::error::StoreError;
use crate::store::journal::time_text;
use crate::store::reader::Reader;

/// Which backup it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Random: no two backups have the same.
    pub id: String,
    pub made: Timestamp,
    /// Who made it.
    pub by: String,
}

impl About {
    /// A new one, made now.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn new(made: Timestamp, by: &str) -> Result<About, getrandom::Error> {
        let mut bits = [0; 15];
        getrandom::fill(&mut bits)?;
        Ok(About {
            id: data_encoding::BASE32_NOPAD
                .encode(&bits)
                .to_ascii_lowercase(),
            made,
            by: by.to_owned(),
        })
    }

    /// Writes it into the copy that it is about; the contents are summed up with it.
    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let contents = contents::sum(conn)?;
        conn.execute(
            "INSERT INTO backup (one, id, made, made_by, contents, sum)
             VALUES (1, ?1, ?2, ?3, ?4, ?5)",
            (
                &self.id,
                time_text(self.made),
                &self.by,
                contents,
                self.sum(&contents),
            ),
        )?;
        Ok(())
    }

    /// Reads it from a backup, with the sum over the contents that it was made with.
    pub(super) fn read(reader: &Reader) -> Result<(About, Sum), StoreError> {
        let row = reader.conn.query_row(
            "SELECT id, made, made_by, contents, sum FROM backup WHERE one = 1",
            (),
            |row| {
                let texts: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let sums: (Sum, Sum) = (row.get(3)?, row.get(4)?);
                Ok((texts, sums))
            },
        );
        let row = reader.sql("read what it says of itself", row.optional())?;
        let Some(((id, made, by), (contents, sum))) = row else {
            return Err(reader.corrupt("it does not say which backup it is"));
        };
        let made = reader.parse(&made)?;
        let about = About { id, made, by };
        reader.check(about.sum(&contents), sum, "what it says of itself")?;
        Ok((about, contents))
    }

    fn sum(&self, contents: &Sum) -> Sum {
        let made = time_text(self.made);
        checksum(
            "backup",
            &[
                self.id.as_bytes(),
                made.as_bytes(),
                self.by.as_bytes(),
                contents,
            ],
        )
    }
}
