//! What was written inside a container, as `docker diff` has it: which changes count, where they
//! are, and which of them decide what runs.
use std::collections::{BTreeMap, BTreeSet};

use crate::model::evidence::{ChangeGroup, ChangeKind, FileFacts, FileKind, PathChange};

/// A folder at the top, `/usr`, is told by the folders in it, unless there are more of them.
const FOLDERS_MAX: usize = 8;

/// So many groups are told: who makes a thousand folders at the top fills no store.
const GROUPS_MAX: usize = 50;

/// Where commands are looked for: whatever stands there can be run by its name.
const COMMANDS: [&str; 6] = [
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// Where what commands need is: programs do not take away from there.
const LIBRARIES: [&str; 7] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
];

/// What says which programs run, and who may run them. Not `/etc/passwd` and its like: images that
/// take a user's number from the environment write there at every start.
const ORDERS: [&str; 9] = [
    "/etc/ld.so.preload",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/var/spool/cron",
];

/// The changes that count, by path: a folder that holds other changes is told by them, and what
/// lies at or below one of `mounts` is none of the container's own.
pub fn leaves(mut changes: Vec<PathChange>, mounts: &[&str]) -> Vec<PathChange> {
    let mut folders = BTreeSet::new();
    for change in &changes {
        for folder in folders_of(&change.path) {
            if !folders.insert(folder.to_owned()) {
                break;
            }
        }
    }
    changes.retain(|change| {
        let is_told = change.kind == ChangeKind::Deleted || !folders.contains(&change.path);
        is_told && !mounts.iter().any(|mount| is_within(&change.path, mount))
    });
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes
}

/// Changes by folder, the most first, at most 50. Each folder is the deepest that holds its changes; those at
/// the top are told by the folders in them, as long as these are few.
pub fn groups(changes: &[PathChange]) -> Vec<ChangeGroup> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for top in Part::split("/", changes.iter()) {
        let below = match depth(&top.folder) {
            1 => Part::split(&top.folder, top.changes.iter().copied()),
            _ => Vec::new(),
        };
        match below.len() {
            2..=FOLDERS_MAX => parts.extend(below),
            _ => parts.push(top),
        }
    }
    let mut groups: Vec<ChangeGroup> = parts.iter().map(Part::group).collect();
    groups.sort_by(|one, other| {
        let size = |group: &ChangeGroup| (group.count(), group.bytes);
        let by_size = size(other).cmp(&size(one));
        by_size.then_with(|| one.path.cmp(&other.path))
    });
    groups.truncate(GROUPS_MAX);
    groups
}

/// Whether a change is of a program, of a library, or of what says which programs run: whatever
/// can be executed, wherever it is, anything where commands are, and what was taken away from
/// there or from libraries.
pub fn decides_what_runs(change: &PathChange) -> bool {
    let path = change.path.as_str();
    let is_within_any = |folders: &[&str]| folders.iter().any(|folder| is_within(path, folder));
    let is_order = is_within_any(&ORDERS) || path.ends_with("/.ssh/authorized_keys");
    let is_command = is_within_any(&COMMANDS);
    match (change.kind, change.file) {
        (ChangeKind::Deleted, _) => is_command || is_within_any(&LIBRARIES) || is_order,
        // Not looked at: it may be the folder itself, in which something came and went.
        (ChangeKind::Added | ChangeKind::Modified, None) => {
            (is_command && !COMMANDS.contains(&path)) || is_order
        }
        (ChangeKind::Added | ChangeKind::Modified, Some(file)) => match file.kind {
            FileKind::File => is_command || is_order || can_run(file) || is_library(path),
            FileKind::Link => is_command || is_order,
            FileKind::Folder | FileKind::Other => false,
        },
    }
}

fn can_run(file: FileFacts) -> bool {
    file.mode & 0o111 != 0
}

/// `libc.so`, `libc.so.6`.
fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".so") || name.contains(".so.")
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every folder above a path, the nearest first, without `/`.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().rev().filter(|(_, c)| *c == '/');
    ends.filter_map(|(at, _)| path.get(..at))
        .filter(|folder| !folder.is_empty())
}

fn parent(path: &str) -> &str {
    folders_of(path).next().unwrap_or("/")
}

fn depth(folder: &str) -> usize {
    names(folder).count()
}

fn names(folder: &str) -> impl Iterator<Item = &str> {
    folder.split('/').filter(|name| !name.is_empty())
}

/// Changes that are told together.
struct Part<'a> {
    folder: String,
    changes: Vec<&'a PathChange>,
}

impl<'a> Part<'a> {
    /// Parts of the changes below `folder`, by the folder in it that they are in; those that lie
    /// in it directly are a part, too.
    fn split(folder: &str, changes: impl Iterator<Item = &'a PathChange>) -> Vec<Part<'a>> {
        let above = depth(folder);
        let mut parts: BTreeMap<&str, Vec<&PathChange>> = BTreeMap::new();
        for change in changes {
            let next = names(parent(&change.path)).nth(above);
            parts
                .entry(next.unwrap_or_default())
                .or_default()
                .push(change);
        }
        parts.into_values().map(Part::of).collect()
    }

    /// Under the deepest folder that holds all of them.
    fn of(changes: Vec<&'a PathChange>) -> Part<'a> {
        let mut folders = changes.iter().map(|change| parent(&change.path));
        let first: Vec<&str> = folders
            .next()
            .map(|it| names(it).collect())
            .unwrap_or_default();
        let shared = folders.fold(first, |mut shared, folder| {
            let pairs = shared.iter().zip(names(folder));
            let same = pairs.take_while(|(one, other)| *one == other).count();
            shared.truncate(same);
            shared
        });
        Part {
            folder: format!("/{}", shared.join("/")),
            changes,
        }
    }

    fn group(&self) -> ChangeGroup {
        let count = |kind: ChangeKind| {
            let of_kind = self.changes.iter().filter(|change| change.kind == kind);
            of_kind.count() as u64
        };
        let there = self.changes.iter();
        let there = there.filter(|change| change.kind != ChangeKind::Deleted);
        ChangeGroup {
            path: self.folder.clone(),
            added: count(ChangeKind::Added),
            modified: count(ChangeKind::Modified),
            deleted: count(ChangeKind::Deleted),
            bytes: there.map(|change| Some(change.file?.bytes())).sum(),
        }
    }
}

impl FileFacts {
    /// What it takes by itself: the size of a folder or a link is the file system's own affair.
    fn bytes(self) -> u64 {
        match self.kind {
            FileKind::File => self.size,
            FileKind::Folder | FileKind::Link | FileKind::Other => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> PathChange {
        let (kind, path) = text.split_once(' ').unwrap();
        PathChange {
            path: path.to_owned(),
            kind: match kind {
                "A" => ChangeKind::Added,
                "C" => ChangeKind::Modified,
                "D" => ChangeKind::Deleted,
                other => panic!("{other}"),
            },
            file: None,
        }
    }

    fn seen(text: &str, kind: FileKind, mode: u32, size: u64) -> PathChange {
        let file = Some(FileFacts { kind, mode, size });
        PathChange {
            file,
            ..change(text)
        }
    }

    fn paths(changes: &[PathChange]) -> Vec<&str> {
        changes.iter().map(|change| change.path.as_str()).collect()
    }

    #[test]
    fn a_folder_is_told_by_what_changed_in_it_and_by_itself_where_nothing_did() {
        let changes = [
            "C /usr",
            "C /usr/bin",
            "A /usr/bin/evil",
            "A /opt",
            "A /opt/empty",
            "C /usr-local",
            "C /run",
            "C /var",
            "D /var/lib",
        ];
        let changes = changes.into_iter().map(change).collect();
        let told = leaves(changes, &[]);
        let expected = [
            "/opt/empty",
            "/run",
            "/usr-local",
            "/usr/bin/evil",
            "/var/lib",
        ];
        assert_eq!(paths(&told), expected);
    }

    #[test]
    fn what_lies_below_a_mount_is_no_change_of_the_container_nor_is_the_way_there() {
        let changes = [
            "C /srv",
            "A /srv/data",
            "A /srv/data/row",
            "A /srv/database",
            "C /mnt",
            "A /mnt/x",
        ];
        let changes = changes.into_iter().map(change).collect();
        let told = leaves(changes, &["/srv/data", "/mnt/x"]);
        assert_eq!(paths(&told), ["/srv/database"]);
    }

    fn told(changes: &[PathChange]) -> Vec<String> {
        let one = |group: &ChangeGroup| {
            let ChangeGroup {
                path,
                added,
                modified,
                deleted,
                bytes,
            } = group;
            let bytes = bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
            format!("{path} +{added} ~{modified} -{deleted} {bytes}")
        };
        groups(changes).iter().map(one).collect()
    }

    #[test]
    fn changes_are_told_by_folder_the_most_first() {
        let changes = [
            "A /var/lib/app/db/1",
            "A /var/lib/app/db/2",
            "C /var/lib/app/index",
            "A /usr/bin/evil",
            "D /usr/bin/wget",
            "C /usr/local/lib/x.so",
            "A /run/app.pid",
            "A /top",
            "A /tmp/a/b/c",
        ];
        let changes: Vec<PathChange> = changes.into_iter().map(change).collect();
        insta::assert_snapshot!(told(&changes).join("\n"), @r"
        /var/lib/app +2 ~1 -0 ?
        /usr/bin +1 ~0 -1 ?
        / +1 ~0 -0 ?
        /run +1 ~0 -0 ?
        /tmp/a/b +1 ~0 -0 ?
        /usr/local/lib +0 ~1 -0 ?
        ");
    }

    #[test]
    fn many_folders_of_one_are_told_as_one() {
        let changes: Vec<PathChange> = (0..20)
            .flat_map(|n| [format!("A /tmp/{n}/a"), format!("A /tmp/{n}/b")])
            .map(|text| change(&text))
            .collect();
        assert_eq!(told(&changes), ["/tmp +40 ~0 -0 ?"]);
        assert_eq!(
            told(&changes[..4]),
            ["/tmp/0 +2 ~0 -0 ?", "/tmp/1 +2 ~0 -0 ?"]
        );
        assert_eq!(told(&changes[..1]), ["/tmp/0 +1 ~0 -0 ?"]);
        assert_eq!(told(&[]), [""; 0]);
        let tops: Vec<PathChange> = (0..99).map(|n| change(&format!("A /{n}/a"))).collect();
        assert_eq!(told(&tops).len(), GROUPS_MAX);
    }

    #[test]
    fn a_size_is_told_where_all_of_it_was_seen() {
        let files = [
            seen("A /srv/a", FileKind::File, 0o644, 1000),
            seen("C /srv/b", FileKind::File, 0o644, 24),
            seen("C /srv/folder", FileKind::Folder, 0o755, 4096),
            change("D /srv/c"),
        ];
        assert_eq!(told(&files), ["/srv +1 ~2 -1 1024"]);
        let with_one_more = [&files[..], &[change("A /srv/d")]].concat();
        assert_eq!(told(&with_one_more), ["/srv +2 ~2 -1 ?"]);
        assert_eq!(told(&files[3..]), ["/srv +0 ~0 -1 0"]);
    }

    #[test]
    fn the_largest_of_as_many_changes_comes_first() {
        let files = [
            seen("A /a/small", FileKind::File, 0o644, 1),
            seen("A /b/large", FileKind::File, 0o644, 2),
        ];
        assert_eq!(told(&files), ["/b +1 ~0 -0 2", "/a +1 ~0 -0 1"]);
    }

    #[test]
    fn what_decides_what_runs_is_told_from_what_programs_write() {
        use FileKind::{File, Folder, Link, Other};
        let file = |text: &str, mode: u32| seen(text, File, mode, 1);
        for deciding in [
            file("A /tmp/xmrig", 0o755),
            file("C /opt/app/server", 0o744),
            file("A /var/www/shell", 0o4711),
            file("A /usr/bin/notes", 0o644),
            file("C /app/libauth.so", 0o644),
            file("A /usr/lib/libz.so.1", 0o600),
            file("A /etc/ld.so.preload", 0o644),
            file("A /etc/cron.d/job", 0o644),
            file("A /home/app/.ssh/authorized_keys", 0o600),
            seen("A /usr/local/bin/curl", Link, 0o777, 9),
            change("A /bin/unseen"),
            change("D /usr/bin/wget"),
            change("D /usr/lib/libssl.so.3"),
            change("D /lib/security"),
        ] {
            assert!(decides_what_runs(&deciding), "{deciding:?}");
        }
        for ordinary in [
            file("A /run/nginx.pid", 0o644),
            file("C /var/log/app.log", 0o640),
            file("A /usr/local/lib/python3.12/__pycache__/os.pyc", 0o644),
            file("C /etc/passwd", 0o644),
            file("C /etc/nginx/conf.d/default.conf", 0o644),
            file("A /tmp/lib.sock", 0o644),
            seen("A /opt/plugins", Folder, 0o755, 4096),
            seen("C /usr/bin", Folder, 0o755, 4096),
            seen("A /run/app.sock", Other, 0o755, 0),
            seen("A /opt/current", Link, 0o777, 9),
            change("A /binary/unseen"),
            change("C /usr/bin"),
            change("D /etc/nginx/conf.d/default.conf"),
            change("D /var/lib/app/old"),
        ] {
            assert!(!decides_what_runs(&ordinary), "{ordinary:?}");
        }
    }
}
