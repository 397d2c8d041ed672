//! What was written inside a container, by folder.
use serde::{Deserialize, Serialize};

use crate::api::report::EvidenceReport;
use crate::api::words::{counted, printable};
use crate::model::evidence::{ChangeGroup, ChangeKind};

/// So many folders are named in a line.
const NAMED: usize = 4;

/// The changes of one folder and of all below it that is in no other group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    pub path: String,
    pub added: u64,
    pub modified: u64,
    pub deleted: u64,
    /// Of what is there now; null: not all of it was looked at.
    pub bytes: Option<u64>,
}

impl From<ChangeGroup> for GroupReport {
    fn from(group: ChangeGroup) -> GroupReport {
        let ChangeGroup {
            path,
            added,
            modified,
            deleted,
            bytes,
        } = group;
        GroupReport {
            path,
            added,
            modified,
            deleted,
            bytes,
        }
    }
}

impl GroupReport {
    /// How many changes there are.
    pub fn count(&self) -> u64 {
        self.added + self.modified + self.deleted
    }

    /// `2 added, 1 deleted, 1.2 MiB`.
    pub fn what(&self) -> String {
        let counts = [
            (self.added, "added"),
            (self.modified, "changed"),
            (self.deleted, "deleted"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, how)| format!("{count} {how}"));
        let size = self.bytes.filter(|_| self.added + self.modified > 0);
        let all: Vec<String> = counts.chain(size.map(bytes)).collect();
        all.join(", ")
    }

    fn holds(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.path.as_str());
        rest.is_some_and(|rest| self.path == "/" || rest.starts_with('/'))
    }
}

/// As `docker diff` has it.
pub fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'C',
        ChangeKind::Deleted => 'D',
    }
}

/// `14 paths changed, 2.1 MiB written`.
pub(crate) fn amount(inside: &EvidenceReport) -> String {
    if let Some(why) = &inside.changes_unread {
        return format!("what changed is not known: {}", printable(why));
    }
    let written = inside.written.filter(|written| *written > 0);
    let written = written.map_or(String::new(), |it| format!(", {} written", bytes(it)));
    let not_seen = match inside.not_looked_at {
        0 => String::new(),
        count => format!(", {count} not looked at"),
    };
    let changed = counted(inside.changed(), "path");
    format!("{changed} changed{written}{not_seen}")
}

/// The same, and where: `14 paths changed, 2.1 MiB written: /usr/bin 3, /tmp 11`.
pub(crate) fn summary(inside: &EvidenceReport) -> String {
    let named = inside.groups.iter().take(NAMED);
    let named = named.map(|group| format!("{} {}", printable(&group.path), group.count()));
    let mut named: Vec<String> = named.collect();
    let more = inside.groups.len().saturating_sub(NAMED);
    if more > 0 {
        named.push(format!("{} more", counted(more as u64, "folder")));
    }
    match named.is_empty() {
        true => amount(inside),
        false => format!("{}: {}", amount(inside), named.join(", ")),
    }
}

/// Folder by folder, with the first `most` paths of each.
pub(crate) fn folders(inside: &EvidenceReport, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &inside.groups {
        lines.push(format!("{}: {}", printable(&group.path), group.what()));
        let of_group = |change: &&String| nearest(inside, change) == Some(group);
        let changes = inside.changes.iter().filter(of_group).take(most);
        let changes: Vec<String> = changes.map(|it| format!("  {}", printable(it))).collect();
        let more = group.count().saturating_sub(changes.len() as u64);
        lines.extend(changes);
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    lines
}

/// The group that a change is told in.
fn nearest<'a>(inside: &'a EvidenceReport, change: &str) -> Option<&'a GroupReport> {
    let (_, path) = change.split_once(' ')?;
    let holding = inside.groups.iter().filter(|group| group.holds(path));
    holding.max_by_key(|group| group.path.len())
}

/// `1.2 MiB`.
pub(super) fn bytes(count: u64) -> String {
    let mut unit = "B";
    let mut scaled = count as f64;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024.0 {
            break;
        }
        (unit, scaled) = (larger, scaled / 1024.0);
    }
    match unit {
        "B" => format!("{count} B"),
        _ => format!("{scaled:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let sizes = [0, 1023, 1024, 1_258_291, 5 << 30, u64::MAX];
        let told = sizes.map(bytes).join(", ");
        insta::assert_snapshot!(told, @"0 B, 1023 B, 1.0 KiB, 1.2 MiB, 5.0 GiB, 16777216.0 TiB");
    }

    #[test]
    fn changes_are_told_folder_by_folder_each_in_the_nearest() {
        let group = |path: &str, [added, modified, deleted]: [u64; 3], bytes| GroupReport {
            path: path.to_owned(),
            added,
            modified,
            deleted,
            bytes,
        };
        let changes = [
            "A /tmp/a",
            "A /tmp/b",
            "A /tmp/c",
            "C /tmp/deep/x",
            "D /usr/bin/wget",
            "A /top",
            "A /tmpfile",
        ];
        let inside = EvidenceReport {
            changes: changes.map(str::to_owned).to_vec(),
            groups: vec![
                group("/tmp", [5, 0, 0], None),
                group("/", [2, 0, 0], Some(2048)),
                group("/tmp/deep", [0, 1, 0], Some(7)),
                group("/usr/bin", [0, 0, 1], Some(0)),
            ],
            not_looked_at: 3,
            written: Some(3 << 20),
            ..EvidenceReport::default()
        };
        insta::assert_snapshot!(folders(&inside, 2).join("\n"), @r"
        /tmp: 5 added
          A /tmp/a
          A /tmp/b
          and 3 more
        /: 2 added, 2.0 KiB
          A /top
          A /tmpfile
        /tmp/deep: 1 changed, 7 B
          C /tmp/deep/x
        /usr/bin: 1 deleted
          D /usr/bin/wget
        ");
        insta::assert_snapshot!(summary(&inside), @"7 paths changed, 3.0 MiB written, 3 not looked at: /tmp 5, / 2, /tmp/deep 1, /usr/bin 1");
        let of_one = EvidenceReport {
            changes: vec!["C /etc/hosts".to_owned()],
            groups: vec![group("/etc", [0, 1, 0], Some(7))],
            ..EvidenceReport::default()
        };
        insta::assert_snapshot!(summary(&of_one), @"1 path changed: /etc 1");
        insta::assert_snapshot!(summary(&EvidenceReport::default()), @"0 paths changed");
        let unread = EvidenceReport {
            changes_unread: Some("it did not answer in time".to_owned()),
            ..EvidenceReport::default()
        };
        insta::assert_snapshot!(summary(&unread), @"what changed is not known: it did not answer in time");
    }
}
