//! One thing that is not as declared, in words.
use serde::{Deserialize, Serialize};

use super::inside::{bytes, letter};
use crate::api::words::{counted, printable};
use crate::model::drift::{Difference, Finding};
use crate::model::evidence::{FileKind, PathChange};
use crate::model::id::HostName;
use crate::model::image::Digest;

/// So many changes are named in a sentence.
const NAMED: usize = 5;

/// One thing that is not as declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingReport {
    /// `programs`, `other_digest`, `by_hand`, `stray`, `other_spec`, `older_visit`, `extra`,
    /// `oom_killed`, `not_running`, `unhealthy`, `restarted`, `missing`; `behind` and
    /// `unknown_visit` are told beside them.
    pub kind: String,
    /// Whether a person is to look at it.
    pub finding: bool,
    pub host: String,
    /// `PROJECT/SERVICE`.
    pub service: String,
    /// Null: it is about the service as a whole.
    pub container: Option<String>,
    /// What was found in place of `declared`, where that is one word: a number, a digest, a state.
    pub found: Option<String>,
    pub declared: Option<String>,
    /// Of `programs`: `A`, `C`, `D` and the path.
    #[serde(default)]
    pub changes: Vec<String>,
    /// In words.
    pub what: String,
}

impl FindingReport {
    /// What was found on hosts: first what somebody must have done.
    pub fn all<'a>(found: impl IntoIterator<Item = (&'a HostName, &'a Finding)>) -> Vec<Self> {
        let mut found: Vec<(&HostName, &Finding)> = found.into_iter().collect();
        found.sort_by_key(|(_, finding)| finding.difference.rank());
        let told = found.into_iter();
        told.map(|(host, finding)| FindingReport::of(host, finding))
            .collect()
    }

    fn of(host: &HostName, finding: &Finding) -> FindingReport {
        let difference = &finding.difference;
        let (found, declared) = beside(difference);
        let changes = if let Difference::Programs { changes, .. } = difference {
            changes.iter().map(path).collect()
        } else {
            Vec::new()
        };
        FindingReport {
            kind: difference.kind().to_owned(),
            finding: difference.is_finding(),
            host: host.to_string(),
            service: finding.service.clone(),
            container: finding.container.clone(),
            found,
            declared,
            changes,
            what: what(difference),
        }
    }

    /// The container, or the service as a whole.
    pub fn whose(&self) -> &str {
        self.container.as_deref().unwrap_or(&self.service)
    }
}

/// What was found, and what is declared.
fn beside(difference: &Difference) -> (Option<String>, Option<String>) {
    let both = |found: String, declared: String| (Some(found), Some(declared));
    match difference {
        Difference::OtherDigest { running, pinned } => {
            let pinned: Vec<&str> = pinned.iter().map(Digest::as_str).collect();
            let pinned = (!pinned.is_empty()).then(|| pinned.join(", "));
            (running.as_ref().map(ToString::to_string), pinned)
        }
        Difference::Extra { running, declared } | Difference::Missing { running, declared } => {
            both(running.to_string(), declared.to_string())
        }
        Difference::NotRunning { state, .. } => both(state.clone(), "running".to_owned()),
        Difference::Restarted { times } => both(times.to_string(), "0".to_owned()),
        Difference::Behind { running, tag } => both(running.to_string(), tag.to_string()),
        Difference::UnknownVisit { running, .. } => (Some(running.to_string()), None),
        Difference::Programs { .. }
        | Difference::ByHand
        | Difference::Stray
        | Difference::OtherSpec
        | Difference::OlderVisit { .. }
        | Difference::OomKilled
        | Difference::Unhealthy => (None, None),
    }
}

fn what(difference: &Difference) -> String {
    match difference {
        Difference::Programs { changes, more } => programs(changes, *more),
        Difference::OtherDigest { running, pinned } => {
            let running = match running {
                Some(running) => format!("runs {}, which no visit pinned", running.short()),
                None => "runs an image of no registry".to_owned(),
            };
            let pinned: Vec<&str> = pinned.iter().map(Digest::short).collect();
            match pinned.is_empty() {
                true => running,
                false => format!("{running}; it is to run {}", pinned.join(" or ")),
            }
        }
        Difference::ByHand => "was not made by cleanslate".to_owned(),
        Difference::Stray => "belongs to no declared service".to_owned(),
        Difference::OtherSpec => "was made from another spec than the declared one".to_owned(),
        Difference::OlderVisit { made_by: Some(it) } => {
            format!("was made by {it}, before the last visit")
        }
        Difference::OlderVisit { made_by: None } => "was made before the last visit".to_owned(),
        Difference::Extra { running, declared } | Difference::Missing { running, declared } => {
            let run = if *running == 1 { "runs" } else { "run" };
            let are = if *declared == 1 { "is" } else { "are" };
            format!("{running} {run}, {declared} {are} declared")
        }
        Difference::OomKilled => {
            "ran out of memory: the system killed it, or something in it".to_owned()
        }
        Difference::NotRunning {
            state,
            exit_code: Some(code),
        } => format!("{state} with code {code}"),
        Difference::NotRunning {
            state,
            exit_code: None,
        } => format!("does not run: it is {state}"),
        Difference::Unhealthy => "fails its healthcheck".to_owned(),
        Difference::Restarted { times } => {
            format!(
                "was started again by the engine, {}",
                counted(*times, "time")
            )
        }
        Difference::Behind { running, tag } => format!(
            "runs {}; its tag names {} by now, which the next visit takes",
            running.short(),
            tag.short()
        ),
        Difference::UnknownVisit { running, made_by } => {
            let by = made_by.as_ref().map(|it| format!(" by {it}"));
            format!(
                "runs {}; whether a visit pinned that is not known here: it was made{}",
                running.short(),
                by.unwrap_or_else(|| " by a visit that left no name".to_owned())
            )
        }
    }
}

fn programs(changes: &[PathChange], more: u64) -> String {
    let named = changes.iter().take(NAMED).map(|change| {
        let path = printable(&path(change));
        match change.file {
            Some(file) if file.kind == FileKind::File => {
                format!("{path} (mode {:o}, {})", file.mode, bytes(file.size))
            }
            Some(_) => format!("{path} (a link)"),
            None => path,
        }
    });
    let named: Vec<String> = named.collect();
    let more = more + changes.len().saturating_sub(NAMED) as u64;
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("programs changed inside: {}{more}", named.join(", "))
}

fn path(change: &PathChange) -> String {
    format!("{} {}", letter(change.kind), change.path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::coordinator::tests::world::digest;
    use crate::model::evidence::{ChangeKind, FileFacts};

    fn told(difference: Difference) -> String {
        let finding = Finding {
            service: "edge/web".to_owned(),
            container: Some("edge-web-1".to_owned()),
            difference,
        };
        let told = FindingReport::of(&"fra1".parse().unwrap(), &finding);
        let mark = if told.finding { "!" } else { " " };
        let beside = [&told.found, &told.declared];
        let beside = beside.map(|it| it.as_deref().unwrap_or("-").replace("sha256:", ""));
        let beside = beside.map(|it| it.get(..12).unwrap_or(&it).to_owned());
        let [found, declared] = beside;
        format!("{mark} {} {found}/{declared} {}", told.kind, told.what)
    }

    fn change(kind: ChangeKind, path: &str, file: Option<(FileKind, u32, u64)>) -> PathChange {
        PathChange {
            path: path.to_owned(),
            kind,
            file: file.map(|(kind, mode, size)| FileFacts { kind, mode, size }),
        }
    }

    #[test]
    fn every_difference_is_told_in_words() {
        let programs = |count: usize, more| {
            let mut changes = vec![
                change(
                    ChangeKind::Added,
                    "/usr/bin/ev\u{1b}il",
                    Some((FileKind::File, 0o4755, 12)),
                ),
                change(
                    ChangeKind::Modified,
                    "/bin/ls",
                    Some((FileKind::Link, 0o777, 9)),
                ),
                change(ChangeKind::Deleted, "/bin/wget", None),
            ];
            changes.extend(
                (3..count).map(|n| change(ChangeKind::Deleted, &format!("/bin/{n}"), None)),
            );
            Difference::Programs { changes, more }
        };
        let rotation = Some("nightly-1".parse().unwrap());
        let all = [
            programs(3, 0),
            programs(7, 4),
            Difference::OtherDigest {
                running: Some(digest(3)),
                pinned: BTreeSet::from([digest(1), digest(2)]),
            },
            Difference::OtherDigest {
                running: None,
                pinned: BTreeSet::new(),
            },
            Difference::ByHand,
            Difference::Stray,
            Difference::OtherSpec,
            Difference::OlderVisit {
                made_by: rotation.clone(),
            },
            Difference::OlderVisit { made_by: None },
            Difference::Extra {
                running: 3,
                declared: 1,
            },
            Difference::OomKilled,
            Difference::NotRunning {
                state: "exited".to_owned(),
                exit_code: Some(137),
            },
            Difference::NotRunning {
                state: "paused".to_owned(),
                exit_code: None,
            },
            Difference::Unhealthy,
            Difference::Restarted { times: 1 },
            Difference::Missing {
                running: 1,
                declared: 2,
            },
            Difference::Behind {
                running: digest(1),
                tag: digest(2),
            },
            Difference::UnknownVisit {
                running: digest(1),
                made_by: rotation,
            },
            Difference::UnknownVisit {
                running: digest(1),
                made_by: None,
            },
        ];
        let all: Vec<String> = all.into_iter().map(told).collect();
        insta::assert_snapshot!(all.join("\n"), @r"
        ! programs -/- programs changed inside: A /usr/bin/ev·il (mode 4755, 12 B), C /bin/ls (a link), D /bin/wget
        ! programs -/- programs changed inside: A /usr/bin/ev·il (mode 4755, 12 B), C /bin/ls (a link), D /bin/wget, D /bin/3, D /bin/4 and 6 more
        ! other_digest 030303030303/010101010101 runs 030303030303, which no visit pinned; it is to run 010101010101 or 020202020202
        ! other_digest -/- runs an image of no registry
        ! by_hand -/- was not made by cleanslate
        ! stray -/- belongs to no declared service
        ! other_spec -/- was made from another spec than the declared one
        ! older_visit -/- was made by nightly-1, before the last visit
        ! older_visit -/- was made before the last visit
        ! extra 3/1 3 run, 1 is declared
        ! oom_killed -/- ran out of memory: the system killed it, or something in it
        ! not_running exited/running exited with code 137
        ! not_running paused/running does not run: it is paused
        ! unhealthy -/- fails its healthcheck
        ! restarted 1/0 was started again by the engine, 1 time
        ! missing 1/2 1 runs, 2 are declared
          behind 010101010101/020202020202 runs 010101010101; its tag names 020202020202 by now, which the next visit takes
          unknown_visit 010101010101/- runs 010101010101; whether a visit pinned that is not known here: it was made by nightly-1
          unknown_visit 010101010101/- runs 010101010101; whether a visit pinned that is not known here: it was made by a visit that left no name
        ");
    }
}
