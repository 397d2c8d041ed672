//! The file: a title, a paragraph, acts, `---`, and the transcript.
use std::fmt;

/// A story as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
    /// Everything above the transcript, as it stands in the file.
    pub(crate) above: String,
    /// `None`: it was never played.
    pub(crate) transcript: Option<String>,
}

/// One act, with the number of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    /// Who acts; empty where the line says what the stage is, or what is expected.
    pub(crate) subject: String,
    pub(crate) words: Vec<String>,
}

/// What is wrong with a story: the line, and the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: usize,
    pub(crate) what: String,
    pub(crate) cure: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: {}\n  cure: {}",
            self.line, self.what, self.cure
        )
    }
}

const RULE: &str = "---";

impl Script {
    /// # Errors
    /// Where title or acts are missing.
    pub(crate) fn read(text: &str) -> Result<Script, Wrong> {
        let (above, transcript) = match text.split_once(&format!("\n{RULE}\n")) {
            Some((above, transcript)) => (above, Some(transcript.to_owned())),
            None => (text.trim_end(), None),
        };
        let mut lines = above.lines().enumerate();
        let title = lines.next().map(|(_, title)| title.trim().to_owned());
        let acts = lines.skip_while(|(_, line)| !line.starts_with("fleet "));
        let lines: Vec<Line> = acts
            .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
            .map(|(at, line)| line_of(at + 1, line))
            .collect();
        let title = title.filter(|title| !title.is_empty());
        let (Some(title), false) = (title, lines.is_empty()) else {
            return Err(Wrong {
                line: 1,
                what: "there is no story here".to_owned(),
                cure: "begin with a title, a paragraph, and `fleet fra nyc sin`".to_owned(),
            });
        };
        Ok(Script {
            title,
            lines,
            above: above.to_owned(),
            transcript,
        })
    }

    /// The file, with this transcript.
    pub(crate) fn with(&self, transcript: &str) -> String {
        format!("{}\n{RULE}\n{transcript}\n", self.above.trim_end())
    }
}

fn line_of(number: usize, line: &str) -> Line {
    let line = line.split(" #").next().unwrap_or(line);
    let (subject, words) = match line.split_once(": ") {
        Some((subject, words)) => (subject.trim(), words),
        None => ("", line),
    };
    Line {
        number,
        subject: subject.to_owned(),
        words: words.split_whitespace().map(str::to_owned).collect(),
    }
}

impl Line {
    pub(super) fn wrong(&self, what: impl Into<String>, cure: impl Into<String>) -> Wrong {
        Wrong {
            line: self.number,
            what: what.into(),
            cure: cure.into(),
        }
    }

    /// The words, to be matched.
    pub(super) fn spoken(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}
