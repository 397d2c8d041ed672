//! The files that a project is read from, one behind another: a span of the tree counts bytes from
//! the beginning of the first, so every node knows its file.
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The texts, in the order in which they were opened.
#[derive(Default)]
pub(crate) struct Origins(Vec<Origin>);

struct Origin {
    path: PathBuf,
    /// Where relative paths that stand in it begin.
    folder: PathBuf,
    text: String,
    /// Of its first byte, in all.
    start: usize,
}

impl Origins {
    /// Adds a file; where its first byte stands.
    pub(crate) fn open(&mut self, path: &Path, folder: &Path, text: String) -> usize {
        // One byte between files: what points behind the end of one points into no other.
        let start = self
            .0
            .last()
            .map_or(0, |last| last.start + last.text.len() + 1);
        self.0.push(Origin {
            path: path.to_owned(),
            folder: folder.to_owned(),
            text,
            start,
        });
        start
    }

    /// The first file's.
    pub(crate) fn main(&self) -> &Path {
        self.0
            .first()
            .map_or(Path::new(""), |origin| origin.path.as_path())
    }

    /// Which of them it is: they are told in the order in which they were opened.
    pub(crate) fn rank(&self, path: &Path) -> usize {
        let rank = self.0.iter().position(|origin| origin.path == path);
        rank.unwrap_or(self.0.len())
    }

    pub(crate) fn path(&self, span: &Range<usize>) -> &Path {
        self.of(span)
            .map_or(Path::new(""), |origin| origin.path.as_path())
    }

    /// Where relative paths that stand there begin.
    pub(crate) fn folder(&self, span: &Range<usize>) -> &Path {
        self.of(span)
            .map_or(Path::new(""), |origin| origin.folder.as_path())
    }

    /// The bytes of the span in its own file.
    pub(crate) fn local(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.of(span).map_or(0, |origin| origin.start);
        span.start.saturating_sub(start)..span.end.saturating_sub(start)
    }

    /// What stands there.
    pub(crate) fn written(&self, span: &Range<usize>) -> &str {
        let text = self
            .of(span)
            .and_then(|origin| origin.text.get(self.local(span)));
        text.unwrap_or_default()
    }

    /// The whole file that it stands in.
    pub(crate) fn text(&self, span: &Range<usize>) -> &str {
        self.of(span).map_or("", |origin| origin.text.as_str())
    }

    /// The line, from 1.
    pub(crate) fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text(span).get(..self.local(span).start);
        1 + before.unwrap_or_default().matches('\n').count()
    }

    fn of(&self, span: &Range<usize>) -> Option<&Origin> {
        let after = self.0.partition_point(|origin| origin.start <= span.start);
        self.0.get(after.checked_sub(1)?)
    }
}
