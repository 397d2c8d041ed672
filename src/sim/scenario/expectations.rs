//! What must be so at a line of a story.
use std::collections::BTreeSet;

use super::coordinators::letter;
use super::play::Scene;
use super::script::{Line, Wrong};
use crate::coordinator::event::{RotationEnd, VisitEnd};
use crate::model::id::SiteName;
use crate::model::rrset::ZoneView;

impl Scene {
    pub(super) fn expects(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        match words {
            ["in", "DNS", sites @ ..] => self.serves(line, &self.crew.world.view, sites),
            ["on", "the", "secondary", sites @ ..] => {
                self.serves(line, &self.crew.world.secondary, sites)
            }
            ["marker", "idle"] => self.holds(line, "nobody"),
            ["marker", "held", "by", who] => self.holds(line, who),
            ["marker", "absent"] => match self.crew.world.marker() {
                None => Ok(()),
                Some(marker) => Err(not(line, &format!("{marker:?}"))),
            },
            [list @ ("out" | "dirty" | "held" | "cordon"), sites @ ..] => self.lists(line, list, sites),
            ["everything", "new"] => self.is_of(line, self.crew.world.tag, None),
            ["everything", "of", "the", "tag", "before"] => {
                self.is_of(line, self.crew.world.tag.saturating_sub(1), None)
            }
            [site, "new"] => self.is_of(line, self.crew.world.tag, Some(site)),
            [site, "as", "it", "was"] => self.is_of(line, 1, Some(site)),
            [who, end] if letter(who).is_some() => self.ended(line, who, end),
            [who, site, end] if letter(who).is_some() => self.visited(line, who, site, end),
            _ => Err(line.wrong(
                format!("nothing is called `{}`", words.join(" ")),
                "expect in DNS SITES · on the secondary SITES · marker idle|absent · marker held by a · \
                 out|dirty|held|cordon SITES|nobody · everything new · everything of the tag before · \
                 SITE new · SITE as it was · \
                 a completed|halted|aborted|deposed|not_acquired|running|nothing · \
                 a SITE completed|skipped|put_back|rolled_back|quarantined|left_in_service|left_out",
            )),
        }
    }

    fn serves(&self, line: &Line, view: &ZoneView, sites: &[&str]) -> Result<(), Wrong> {
        let ghosts = &self.crew.world.ghosts;
        let all = self.crew.world.fleet.sites.keys();
        let is_in: Vec<&str> = all
            .filter(|site| ghosts.is_in(view, site))
            .map(SiteName::as_str)
            .collect();
        same(line, &is_in, sites)
    }

    fn lists(&self, line: &Line, list: &str, sites: &[&str]) -> Result<(), Wrong> {
        let marker = self.crew.world.marker();
        let of = marker.as_ref().map(|marker| match list {
            "out" => &marker.out,
            "dirty" => &marker.dirty,
            "held" => &marker.held,
            _ => &marker.cordon,
        });
        let listed: Vec<&str> = of.into_iter().flatten().map(SiteName::as_str).collect();
        let sites: &[&str] = if sites == ["nobody"] { &[] } else { sites };
        same(line, &listed, sites)
    }

    fn holds(&mut self, line: &Line, who: &str) -> Result<(), Wrong> {
        let holder = self.crew.world.marker().and_then(|marker| marker.holder);
        let expected = letter(who).map(|seat| {
            self.crew.sit(seat);
            self.crew.machine().context().holder.clone()
        });
        match holder == expected {
            true => Ok(()),
            false => Err(not(line, &format!("{holder:?} holds it"))),
        }
    }

    /// Whether all containers of the sites (of one of them) are of this version; the first is what
    /// was there before anything was done.
    fn is_of(&self, line: &Line, version: u8, site: Option<&str>) -> Result<(), Wrong> {
        let world = &self.crew.world;
        let wanted = crate::sim::world::digest(version);
        let sites = world.fleet.sites.keys();
        let mut hosts = sites
            .filter(|name| site.is_none_or(|site| name.as_str() == site))
            .flat_map(|name| world.hosts_of(name));
        let other = hosts.find_map(|host| {
            let there = world.engines.get(&host)?.iter();
            let mut running = there.filter(|container| container.is_running()).peekable();
            if running.peek().is_none() {
                return Some(format!("nothing runs on {host}"));
            }
            let other = running.find(|container| !container.digests.contains(&wanted))?;
            Some(format!("{} is of another version", other.id.as_str()))
        });
        other.map_or(Ok(()), |other| Err(not(line, &other)))
    }

    fn ended(&mut self, line: &Line, who: &str, end: &str) -> Result<(), Wrong> {
        self.sits(who);
        let rotation = self.crew.machine().state().rotation.as_ref();
        let is = match rotation.map(|rotation| &rotation.end) {
            None => "nothing",
            Some(None) => "running",
            Some(Some(RotationEnd::Completed)) => "completed",
            Some(Some(RotationEnd::Halted)) => "halted",
            Some(Some(RotationEnd::Aborted { .. })) => "aborted",
            Some(Some(RotationEnd::NotAcquired { .. })) => "not_acquired",
            Some(Some(RotationEnd::Deposed { .. })) => "deposed",
        };
        match is == end {
            true => Ok(()),
            false => Err(not(line, is)),
        }
    }

    fn visited(&mut self, line: &Line, who: &str, site: &str, end: &str) -> Result<(), Wrong> {
        self.sits(who);
        let site = self.site(line, site)?;
        let rotation = self.crew.machine().state().rotation.as_ref();
        let ended = rotation.and_then(|rotation| rotation.ended.get(&site));
        let is = match ended.map(|(end, _)| end) {
            None => "not visited",
            Some(VisitEnd::Completed) => "completed",
            Some(VisitEnd::Skipped) => "skipped",
            Some(VisitEnd::PutBack) => "put_back",
            Some(VisitEnd::RolledBack) => "rolled_back",
            Some(VisitEnd::Quarantined) => "quarantined",
            Some(VisitEnd::LeftInService) => "left_in_service",
            Some(VisitEnd::LeftOut) => "left_out",
        };
        match is == end {
            true => Ok(()),
            false => Err(not(line, is)),
        }
    }
}

fn same(line: &Line, are: &[&str], expected: &[&str]) -> Result<(), Wrong> {
    let set = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    if set(are) == set(expected) {
        return Ok(());
    }
    let are = are.join(" ");
    Err(not(line, if are.is_empty() { "nobody" } else { &are }))
}

fn not(line: &Line, is: &str) -> Wrong {
    let what = format!("expected {}, found: {is}", line.words[1..].join(" "));
    line.wrong(what, "mend the story, or the coordinator")
}
