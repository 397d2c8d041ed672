//! What servers, engines, networks, clocks and people do in a story.
use std::collections::BTreeSet;

use super::acts::{ms, number};
use super::play::Scene;
use super::script::{Line, Wrong};
use crate::coordinator::input::Input;
use crate::model::id::SiteName;
use crate::model::time::Ttl;
use crate::sim::trace::Who;
use crate::sim::world::{BadImage, digest};

impl Scene {
    pub(super) fn outside(&mut self, line: &Line) -> Result<(), Wrong> {
        let (subject, words) = (line.subject.as_str(), line.spoken());
        let words = words.as_slice();
        match subject {
            "primary" | "update" | "answers" | "secondary" => self.servers(line, subject, words),
            "traffic" => self.traffic(line, words),
            "clock" => self.clock(line, words),
            "tags" => self.tags(line, words),
            "person" => self.person(line, words),
            "removal" | "request" | "engine" => self.engines(line, subject, words),
            name if self.crew.world.fleet.sites.keys().any(|site| site.as_str() == name) => {
                let site = self.site(line, name)?;
                self.at_site(line, &site, words)
            }
            name => Err(line.wrong(
                format!("nobody is called {name}"),
                "use a, b, c, a site, primary, secondary, update, answers, engine, removal, request, \
                 traffic, clock, tags or person",
            )),
        }
    }

    fn tells(&mut self, who: Who, words: impl Into<String>) {
        self.crew.world.told(who, words.into());
    }

    fn servers(&mut self, line: &Line, subject: &str, words: &[&str]) -> Result<(), Wrong> {
        let now = self.crew.world.now;
        let faults = &mut self.crew.world.faults;
        let told = match (subject, words) {
            ("primary", ["silent", time]) => {
                faults.primary_silent_until = now + ms(line, time)?;
                format!("the primary cannot be reached for {time}")
            }
            ("update", ["lost"]) => {
                faults.lose_requests += 1;
                "the next UPDATE will be lost on its way".to_owned()
            }
            ("update", ["late", time]) => {
                faults.late_updates.push_back(ms(line, time)?);
                format!("the next UPDATE will be under way for {time}")
            }
            ("update", ["twice", time]) => {
                faults.doubled_updates.push_back(ms(line, time)?);
                format!("the next UPDATE will arrive once more, {time} later")
            }
            ("answers", ["lost"]) => {
                faults.lose_answers = true;
                "answers to UPDATEs are lost from now on".to_owned()
            }
            ("answers", ["back"]) => {
                faults.lose_answers = false;
                "answers to UPDATEs arrive again".to_owned()
            }
            ("secondary", ["stands", time]) => {
                faults.secondary_stands_until = now + ms(line, time)?;
                format!("the secondary follows nothing for {time}")
            }
            ("secondary", ["lags", time]) => {
                faults.transfer_lag = ms(line, time)?;
                format!("each version of the zone takes {time} to the secondary from now on")
            }
            ("secondary", ["back", time]) => {
                let until = now + ms(line, time)?;
                self.tells(
                    Who::World,
                    format!("the secondary restarts from an old file, for {time}"),
                );
                let copy = self.zone.clone();
                self.crew.world.secondary_goes_back(&copy, until);
                return Ok(());
            }
            _ => {
                return Err(unknown(
                    line,
                    "primary: silent TIME · update: lost, late TIME, twice TIME · answers: lost, back · secondary: stands TIME, lags TIME, back TIME",
                ));
            }
        };
        self.tells(Who::World, told);
        Ok(())
    }

    fn engines(&mut self, line: &Line, subject: &str, words: &[&str]) -> Result<(), Wrong> {
        if let ("engine", [name, way]) = (subject, words) {
            let host = self.host(line, name)?;
            let down = &mut self.crew.world.faults.down;
            let told = match *way {
                "down" => {
                    down.insert(host);
                    format!("the engine of {name} cannot be reached")
                }
                "up" => {
                    down.remove(&host);
                    format!("the engine of {name} answers again")
                }
                _ => return Err(unknown(line, "engine: HOST down, HOST up")),
            };
            self.tells(Who::World, told);
            return Ok(());
        }
        let faults = &mut self.crew.world.faults;
        let told = match (subject, words) {
            ("removal", ["late", time]) => {
                faults.late_clears.push_back(ms(line, time)?);
                format!("the next removal will be carried out {time} after its sender gave up")
            }
            ("removal", ["slow", time]) => {
                faults.slow_clears.push_back(ms(line, time)?);
                format!("the next removal will take {time}")
            }
            ("request", ["late", time]) => {
                faults.late_requests.push_back(ms(line, time)?);
                format!("the next creation or start will come {time} after its sender gave up")
            }
            _ => {
                return Err(unknown(
                    line,
                    "engine: HOST down, HOST up · removal: late TIME, slow TIME · request: late TIME",
                ));
            }
        };
        self.tells(Who::World, told);
        Ok(())
    }

    fn at_site(&mut self, line: &Line, site: &SiteName, words: &[&str]) -> Result<(), Wrong> {
        let faults = &mut self.crew.world.faults;
        let (set, is_on, told): (&mut BTreeSet<SiteName>, bool, &str) = match words {
            ["probes", "fail"] => (&mut faults.failing_probes, true, "fails its probes"),
            ["probes", "pass"] => (&mut faults.failing_probes, false, "passes its probes"),
            ["does", "not", "start"] => (
                &mut faults.unhealthy,
                true,
                "has containers that do not start",
            ),
            ["starts"] => (&mut faults.unhealthy, false, "has containers that start"),
            ["crashes"] => (
                &mut faults.crashing,
                true,
                "has containers that restart in service",
            ),
            ["runs"] => (
                &mut faults.crashing,
                false,
                "has containers that run without restarts",
            ),
            ["port", "held"] => (&mut faults.unready, true, "has a port that somebody holds"),
            ["port", "free"] => (&mut faults.unready, false, "has its port free"),
            ["disk", "full"] => (&mut faults.disk_full, true, "has a full disk"),
            ["disk", "free"] => (&mut faults.disk_full, false, "has space on its disk"),
            ["pull", "fails"] => (
                &mut faults.unpulled,
                true,
                "gets no images from the registry",
            ),
            ["pulls"] => (&mut faults.unpulled, false, "gets images from the registry"),
            _ => {
                return Err(unknown(
                    line,
                    "SITE: probes fail, probes pass, does not start, starts, crashes, runs, port held, port free, disk full, disk free, pull fails, pulls",
                ));
            }
        };
        if is_on {
            set.insert(site.clone());
        } else {
            set.remove(site);
        }
        self.tells(Who::World, format!("{site} {told}"));
        Ok(())
    }

    fn traffic(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        let faults = &mut self.crew.world.faults;
        let told = match words {
            ["busy"] => {
                faults.busy = true;
                "users go on coming to sites that are out of DNS"
            }
            ["quiet"] => {
                faults.busy = false;
                "users leave sites that are out of DNS"
            }
            ["unknown"] => {
                faults.traffic_unknown = true;
                "traffic cannot be measured"
            }
            ["measured"] => {
                faults.traffic_unknown = false;
                "traffic can be measured"
            }
            ["none"] => {
                faults.no_traffic = true;
                "no traffic comes back to restored sites"
            }
            ["back"] => {
                faults.no_traffic = false;
                "traffic comes back to restored sites"
            }
            _ => {
                return Err(unknown(
                    line,
                    "traffic: busy, quiet, unknown, measured, none, back",
                ));
            }
        };
        self.tells(Who::World, told);
        Ok(())
    }

    fn clock(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        let skew = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        match words {
            ["jumps", time] => {
                let at = self.crew.world.now + ms(line, time)?;
                self.tells(Who::World, format!("everything stands still for {time}"));
                self.crew.world.pass(at);
            }
            ["ahead", time] => {
                self.crew.world.wall_skew = skew(ms(line, time)?);
                self.tells(Who::World, format!("the wall clock is {time} ahead"));
            }
            ["behind", time] => {
                self.crew.world.wall_skew = -skew(ms(line, time)?);
                self.tells(Who::World, format!("the wall clock is {time} behind"));
            }
            _ => return Err(unknown(line, "clock: jumps TIME, ahead TIME, behind TIME")),
        }
        Ok(())
    }

    fn tags(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        let told = match words {
            ["move"] => "releases: every tag moves",
            ["move", "to", "what", "dies"] => {
                "releases: every tag moves, to images that exit when they start"
            }
            _ => return Err(unknown(line, "tags: move, move to what dies")),
        };
        self.tells(Who::Person, told);
        self.crew.world.tag += 1;
        let tag = digest(self.crew.world.tag);
        if words.len() > 1 {
            let bad = &mut self.crew.world.faults.bad_images;
            bad.insert(tag.clone(), BadImage::Dies);
        }
        let images = self.crew.world.fleet.images();
        let moved = images.into_iter().map(|image| (image, tag.clone()));
        let input = Input::TagsMoved {
            moved: moved.collect(),
        };
        for seat in 0..self.crew.count() {
            self.crew.sit(seat);
            if self.crew.machine().state().running().is_some() {
                self.crew.hears(&input);
            }
        }
        Ok(())
    }

    fn person(&mut self, line: &Line, words: &[&str]) -> Result<(), Wrong> {
        match words {
            ["takes", name, "out"] => {
                let site = self.site(line, name)?;
                self.tells(
                    Who::Person,
                    format!("takes {site} out of DNS with nsupdate"),
                );
                self.crew.world.by_hand(&site, false);
            }
            ["puts", name, "in"] => {
                let site = self.site(line, name)?;
                self.tells(Who::Person, format!("puts {site} into DNS with nsupdate"));
                self.crew.world.by_hand(&site, true);
            }
            ["deletes", "the", "marker"] => {
                self.tells(Who::Person, "deletes the marker");
                self.crew.world.write_marker(None);
            }
            ["copies", "the", "zone"] => {
                self.tells(Who::Person, "keeps a copy of the zone");
                self.zone = self.crew.world.view.clone();
            }
            ["restores", "the", "zone"] => {
                self.tells(Who::Person, "restores the zone from the copy");
                let copy = self.zone.clone();
                self.crew.world.restore_zone(&copy);
            }
            ["sets", "ttl", seconds] => {
                let ttl = Ttl(number(line, seconds.trim_end_matches('s'))?);
                self.tells(
                    Who::Person,
                    format!("sets the TTL of every record to {ttl}"),
                );
                self.crew.world.set_ttl(ttl);
            }
            _ => {
                return Err(unknown(
                    line,
                    "person: takes SITE out, puts SITE in, deletes the marker, copies the zone, restores the zone, sets ttl SECONDS",
                ));
            }
        }
        Ok(())
    }
}

fn unknown(line: &Line, acts: &str) -> Wrong {
    let what = format!("{} cannot do `{}`", line.subject, line.words.join(" "));
    line.wrong(what, format!("write one of: {acts}"))
}
