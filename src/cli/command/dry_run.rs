//! `rotate --dry-run`: planned and made ready for real, then played; nothing is changed.
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::plan::{self, Looked, look};
use super::preview;
use crate::api::narrate::Narrator;
use crate::api::public::{Line, Public, VERSION};
use crate::api::report::of_site;
use crate::api::when::span;
use crate::api::words;
use crate::config::Loaded;
use crate::coordinator::event::VisitEnd;
use crate::coordinator::outcome::Problem;
use crate::daemon::Finish;
use crate::daemon::rehearsal::{Rehearsal, Script};
use crate::model::id::{HolderId, PlaybookName, RotationId, SiteName};
use crate::model::time::Ttl;

/// Before every line that people read.
const MARK: &str = "dry run";

pub(super) async fn run(
    desk: &Desk,
    playbook: &PlaybookName,
    sites: &[SiteName],
    plan: Option<&Path>,
) -> Outcome {
    let loaded = desk.load()?;
    let looked = Box::pin(look(desk, &loaded, playbook, sites)).await?;
    if let Some(file) = plan {
        preview::refuse_unless_same(desk, file, &looked.preview)?;
    }
    let teller = Teller { desk };
    teller.text(&plan::text(
        &looked.preview,
        &desk.when,
        desk.clock.now().wall,
    ));
    let busy = busy(desk, &loaded, &looked).await?;
    let adapters = desk.adapters(&loaded.fleet)?;
    let zone = looked.seen.zone.clone().map_err(Failure::unchanged)?;
    let script = script(desk, &loaded, &looked, playbook)?;
    let ready = Rehearsal::ready(&adapters, script, zone, &looked.seen);
    let rehearsal = Box::pin(ready).await.map_err(Failure::unchanged)?;
    let mut narrator = Narrator::default();
    let mut lines = Vec::new();
    let finish = rehearsal.play(&mut |scene| {
        let (before, after, at) = (scene.before, scene.after, scene.at.wall);
        if let Some(line) = narrator.tell(&loaded.fleet, scene.event, before, after, at) {
            teller.line(&line);
            lines.push(line);
        }
    });
    let finish = finish.map_err(Failure::unchanged)?;
    let looked_at: Vec<Problem> = busy.into_iter().chain(rehearsal.findings).collect();
    let findings = findings(looked_at, &finish, &lines);
    teller.end(&End::of(&finish, &lines, &findings));
    let is_transient = findings.iter().all(|problem| problem.is_transient);
    Ok(match findings.is_empty() {
        true => Exit::Done,
        false => Exit::unchanged(is_transient),
    })
}

/// Whoever runs a rotation here owns the store: a real run would not begin.
async fn busy(desk: &Desk, loaded: &Loaded, looked: &Looked) -> Result<Option<Problem>, Failure> {
    let unfinished = looked.state.rotation.as_ref().filter(|r| r.end.is_none());
    let Some(rotation) = unfinished.map(|rotation| &rotation.plan.id) else {
        return Ok(None);
    };
    if desk.coordinator(Some(loaded)).await?.is_some() {
        return Ok(Some(Problem {
            what: format!("one rotation: {rotation} runs here"),
            cure: "wait for its end: `cleanslate status --watch`".to_owned(),
            is_transient: true,
        }));
    }
    Teller { desk }.text(&format!(
        "{rotation} was interrupted: a real run first goes on with it, or brings it to safety; \
         what follows is a night after that"
    ));
    Ok(None)
}

fn script(
    desk: &Desk,
    loaded: &Loaded,
    looked: &Looked,
    playbook: &PlaybookName,
) -> Result<Script, Failure> {
    let (fleet, now) = (&loaded.fleet, desk.clock.now());
    let memory = looked.memory.as_ref();
    let ttl_high = match memory {
        Some(memory) => memory.ttl_high(fleet, now.wall)?,
        None => fleet.dns.ttl_was.max(Ttl(0)),
    };
    let pretend = || -> HolderId {
        "dry-run"
            .parse()
            .expect("letters and a hyphen are a holder")
    };
    let typical = |site: &SiteName| memory?.typical(site, "recreate");
    let starts = fleet.sites.keys();
    let starts = starts.filter_map(|site| Some((site.clone(), typical(site)?)));
    Ok(Script {
        playbook: plan::playbook(loaded, playbook)?.clone(),
        plan: looked.plan.clone(),
        holder: memory.map_or_else(pretend, |memory| memory.holder.clone()),
        ttl_high,
        state: looked.state.clone(),
        starts: starts.collect(),
        now,
    })
}

/// Everything that would not go as planned: what was found, then what the machine itself said of
/// it, where that is something else.
fn findings(found: Vec<Problem>, finish: &Finish, lines: &[Line]) -> Vec<Problem> {
    let mut all = found;
    let visits = finish.visits.values().filter_map(|(_, why)| why.clone());
    let halted = lines.iter().filter_map(|line| {
        let Public::RotationHalted { cause, cure, .. } = &line.public else {
            return None;
        };
        Some(Problem {
            what: cause.clone(),
            cure: cure.clone(),
            is_transient: false,
        })
    });
    for said in visits.chain(finish.refusal.clone()).chain(halted) {
        match all
            .iter_mut()
            .find(|known| known.what.ends_with(&said.what))
        {
            // The machine knows what the rotation could do about it.
            Some(known) => known.cure = said.cure,
            None => all.push(said),
        }
    }
    all
}

/// The last object of `--json`, with the keys of every line.
#[derive(Debug, Serialize)]
struct End<'a> {
    v: u8,
    n: u64,
    at: Option<jiff::Timestamp>,
    rotation: &'a RotationId,
    epoch: u64,
    site: Option<SiteName>,
    step: Option<String>,
    event: &'static str,
    dry_run: bool,
    /// Nothing ever is.
    changed: bool,
    sites: Vec<Fate>,
    findings: Vec<Finding<'a>>,
}

/// What would have become of a site.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Fate {
    site: SiteName,
    /// `completed`, `skipped`, `put_back`, `quarantined`, `left_in_service`, `left_out`,
    /// `not_visited`.
    would: VisitWould,
    containers: u64,
    seconds_out_of_dns: Option<u64>,
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum VisitWould {
    End(VisitEnd),
    NotVisited(&'static str),
}

#[derive(Debug, Serialize)]
struct Finding<'a> {
    what: &'a str,
    cure: &'a str,
}

impl<'a> End<'a> {
    fn of(finish: &'a Finish, lines: &[Line], findings: &'a [Problem]) -> End<'a> {
        let visited = finish.visits.iter().map(|(site, (end, why))| {
            let report = of_site(site, lines);
            Fate {
                site: site.clone(),
                would: VisitWould::End(*end),
                containers: report
                    .scaled_to
                    .values()
                    .map(|count| u64::from(*count))
                    .sum(),
                seconds_out_of_dns: report.seconds_out_of_dns,
                why: why.as_ref().map(|why| why.what.clone()),
            }
        });
        let not_visited = finish.not_visited.iter().map(|site| Fate {
            site: site.clone(),
            would: VisitWould::NotVisited("not_visited"),
            containers: 0,
            seconds_out_of_dns: None,
            why: None,
        });
        let last = lines.last();
        End {
            v: VERSION,
            n: last.map_or(0, |line| line.n) + 1,
            at: last.map(|line| line.at),
            rotation: &finish.rotation,
            epoch: last.map_or(0, |line| line.epoch),
            site: None,
            step: None,
            event: "dry_run_ended",
            dry_run: true,
            changed: false,
            sites: visited.chain(not_visited).collect(),
            findings: findings
                .iter()
                .map(|problem| Finding {
                    what: &problem.what,
                    cure: &problem.cure,
                })
                .collect(),
        }
    }
}

impl Fate {
    fn words(&self) -> String {
        let why = self.why.as_ref();
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        let done = match self.would {
            VisitWould::NotVisited(_) => "not visited".to_owned(),
            VisitWould::End(VisitEnd::Completed) => {
                let out = self.seconds_out_of_dns.map(Duration::from_secs);
                let out = out.map_or("not withdrawn".to_owned(), |out| {
                    format!("out of DNS for {}", span(out))
                });
                format!(
                    "{out}, {} recreated",
                    words::counted(self.containers, "container")
                )
            }
            VisitWould::End(VisitEnd::Skipped) => "skipped".to_owned(),
            VisitWould::End(VisitEnd::PutBack) => "withdrawn and put back as it was".to_owned(),
            VisitWould::End(VisitEnd::RolledBack) => "rolled back".to_owned(),
            VisitWould::End(VisitEnd::Quarantined) => "left out of DNS".to_owned(),
            VisitWould::End(VisitEnd::LeftInService) => "left in service".to_owned(),
            VisitWould::End(VisitEnd::LeftOut) => "left out of DNS, as it was found".to_owned(),
        };
        format!("  {}: {done}{why}", self.site)
    }
}

/// Marks every line as what it is.
struct Teller<'a> {
    desk: &'a Desk,
}

impl Teller<'_> {
    fn line(&self, line: &Line) {
        #[derive(Serialize)]
        struct Marked<'a> {
            #[serde(flatten)]
            line: &'a Line,
            dry_run: bool,
        }
        if self.desk.output.is_json {
            let dry_run = true;
            self.desk.output.json(&Marked { line, dry_run });
        } else {
            let now = self.desk.clock.now().wall;
            self.text(&words::line(line, &self.desk.when, now));
        }
    }

    /// For people; programs hear events only.
    fn text(&self, text: &str) {
        if !self.desk.output.is_json {
            let lines = text.lines().map(|line| format!("{MARK}  {line}"));
            let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
            self.desk.output.result(&lines.join("\n"));
        }
    }

    fn end(&self, end: &End<'_>) {
        if self.desk.output.is_json {
            self.desk.output.json(end);
            return;
        }
        for finding in &end.findings {
            self.text(&format!(
                "error: {}\n  cure: {}",
                finding.what, finding.cure
            ));
        }
        let fates: Vec<String> = end.sites.iter().map(Fate::words).collect();
        self.text(&format!(
            "nothing was changed; a real run would have gone like this:\n{}",
            fates.join("\n")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::event::RotationEnd;
    use crate::coordinator::tests::world::{problem, site};

    #[test]
    fn what_the_machine_says_of_a_finding_is_not_said_twice() {
        let found = vec![Problem {
            what: "ready: nyc1: port 80 is held".to_owned(),
            ..problem("")
        }];
        let finish = finish(&[
            ("nyc", VisitEnd::Skipped, Some("nyc1: port 80 is held")),
            ("sin", VisitEnd::Skipped, Some("floor: too few are left")),
        ]);
        let all = findings(found, &finish, &[]);
        let whats: Vec<&str> = all.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(
            whats,
            ["ready: nyc1: port 80 is held", "floor: too few are left"]
        );
    }

    #[test]
    fn the_end_says_of_every_site_what_would_have_become_of_it() {
        let mut finish = finish(&[
            ("fra", VisitEnd::Completed, None),
            ("nyc", VisitEnd::Skipped, Some("nyc1: port 80 is held")),
        ]);
        finish.not_visited.push(site("sin"));
        let end = End::of(&finish, &[], &[]);
        let texts: Vec<String> = end.sites.iter().map(Fate::words).collect();
        insta::assert_snapshot!(texts.join("\n"), @r"
          fra: not withdrawn, 0 containers recreated
          nyc: skipped: nyc1: port 80 is held
          sin: not visited
        ");
        let json = serde_json::to_value(&end).unwrap();
        let would: Vec<&str> = json["sites"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|site| site["would"].as_str())
            .collect();
        assert_eq!(would, ["completed", "skipped", "not_visited"]);
        assert_eq!(json["changed"], false);
    }

    fn finish(visits: &[(&str, VisitEnd, Option<&str>)]) -> Finish {
        let visits = visits
            .iter()
            .map(|(name, end, why)| (site(name), (*end, why.map(problem))));
        Finish {
            rotation: "nightly-1".parse().unwrap(),
            end: RotationEnd::Completed,
            visits: visits.collect(),
            refusal: None,
            not_visited: Vec::new(),
            marker: None,
        }
    }
}
