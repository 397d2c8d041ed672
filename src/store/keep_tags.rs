//! Keep-tags: which we put on which digest, and when.
use super::audit::Entry;
use super::chain::{Sum, checksum};
use super::error::StoreError;
use super::journal::time_text;
use super::reader::Reader;
use super::writer::Store;
use crate::model::image::ImageRef;
use crate::model::release::KeepTag;

/// The step of the format that brought this table.
const STEP: &str = "kept";

impl Store {
    /// Keeps a tag, or how far it has come, and tells the audit.
    ///
    /// # Errors
    /// Failures to write.
    pub fn keep_tag(&mut self, tag: &KeepTag, entries: &[Entry]) -> Result<(), StoreError> {
        self.write_audited("keep a keep-tag", 0, entries, |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO keep_tags (image, digest, at, phase, refused, sum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    tag.image.to_string(),
                    tag.digest.as_str(),
                    time_text(tag.at),
                    tag.phase.as_str(),
                    &tag.refused,
                    sum_of(tag),
                ),
            )
        })?;
        Ok(())
    }

    /// Forgets a tag, and tells the audit.
    ///
    /// # Errors
    /// Failures to write.
    pub fn drop_tag(&mut self, image: &ImageRef, entries: &[Entry]) -> Result<(), StoreError> {
        self.write_audited("drop a keep-tag", 0, entries, |tx| {
            let query = "DELETE FROM keep_tags WHERE image = ?1";
            tx.execute(query, [image.to_string()])
        })?;
        Ok(())
    }
}

impl Reader {
    /// Every keep-tag that we put and have not removed, by its name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one is not what was kept.
    pub fn keep_tags(&self) -> Result<Vec<KeepTag>, StoreError> {
        if !self.has_taken(STEP)? {
            return Ok(Vec::new());
        }
        let doing = "read keep-tags";
        let query = "SELECT image, digest, at, phase, refused, sum FROM keep_tags ORDER BY image";
        let mut statement = self.sql(doing, self.conn.prepare_cached(query))?;
        let rows = statement.query_map((), |row| {
            let names: [String; 4] = [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok((names, row.get(4)?, row.get(5)?))
        });
        let rows = self.sql(doing, rows)?;
        rows.map(|row| {
            let row: ([String; 4], Option<String>, Sum) = self.sql(doing, row)?;
            let ([image, digest, at, phase], refused, sum) = row;
            let tag = KeepTag {
                image: self.parse(&image)?,
                digest: self.parse(&digest)?,
                at: self.parse(&at)?,
                phase: self.parse(&phase)?,
                refused,
            };
            self.check(sum_of(&tag), sum, &format!("the keep-tag {image}"))?;
            Ok(tag)
        })
        .collect()
    }
}

fn sum_of(tag: &KeepTag) -> Sum {
    let refused = tag.refused.as_deref();
    checksum(
        "keep_tag",
        &[
            tag.image.to_string().as_bytes(),
            tag.digest.as_str().as_bytes(),
            time_text(tag.at).as_bytes(),
            tag.phase.as_str().as_bytes(),
            &[u8::from(refused.is_some())],
            refused.unwrap_or_default().as_bytes(),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, at};
    use super::*;
    use crate::model::release::KeepPhase;
    use crate::sim::world::digest;

    #[test]
    fn a_tag_is_read_as_it_was_kept_until_it_is_dropped() {
        let fixture = Fixture::new();
        let mut store = fixture.open();
        let (one, mut two) = (tag(1), tag(2));
        store.keep_tag(&one, &[]).unwrap();
        store.keep_tag(&two, &[]).unwrap();
        two.phase = KeepPhase::Removing;
        two.refused = Some("it deletes nothing".to_owned());
        store.keep_tag(&two, &[]).unwrap();
        drop(store);
        let mut store = fixture.open();
        assert_eq!(store.keep_tags().unwrap(), [one.clone(), two.clone()]);
        store.drop_tag(&one.image, &[]).unwrap();
        assert_eq!(store.keep_tags().unwrap(), [two]);
    }

    #[test]
    fn an_altered_tag_is_refused() {
        for harm in [
            "UPDATE keep_tags SET digest = replace(digest, '0', '1')",
            "UPDATE keep_tags SET phase = 'kept'",
            "UPDATE keep_tags SET refused = ''",
        ] {
            let fixture = Fixture::quick();
            let mut store = fixture.open();
            store.keep_tag(&tag(1), &[]).unwrap();
            store.conn.execute(harm, ()).unwrap();
            let refused = store.keep_tags().unwrap_err();
            assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
        }
    }

    fn tag(n: u8) -> KeepTag {
        KeepTag {
            image: format!("r.example.com/web:release-{n}").parse().unwrap(),
            digest: digest(n),
            at: at(n.into()),
            phase: KeepPhase::Putting,
            refused: None,
        }
    }
}
