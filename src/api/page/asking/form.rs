//! The form of one act: what will happen, what it asks, and what was typed before.
use askama::Template;
use data_encoding::BASE64URL_NOPAD;
use jiff::tz::TimeZone;

use super::write::PAUSES;
use super::{Act, Fields};
use crate::api::page::answer::{Frame, Wrong};
use crate::api::page::board::Sight;
use crate::api::page::entry::no_random;
use crate::api::page::site::Card;
use crate::api::status::{BarredStatus, SiteState, SiteStatus};
use crate::api::when::When;
use crate::api::wire::Refusal;

/// Playbooks that every fleet has; others can be typed.
const PLAYBOOKS: [&str; 4] = ["nightly", "urgent", "staging", "drill"];

#[derive(Template)]
#[template(path = "ask.html")]
pub(in crate::api::page) struct Form {
    frame: Frame,
    act: Act,
    /// What was typed, or is proposed.
    fields: Fields,
    site: String,
    /// How the site stands.
    card: Option<Card>,
    /// Whether somebody else took it out: a rebuild puts it in only if that is said.
    is_found_out: bool,
    /// What failed, where the form is to clear it; empty where it is not barred.
    barred: Vec<BarredStatus>,
    hosts: Vec<String>,
    sites: Vec<String>,
    zone: String,
    /// Whether overriding a rule is theirs to ask for.
    may_force: bool,
    /// A second press of the button, and a page sent again, ask for the same once.
    once: String,
    refusal: Option<Refusal>,
}

impl Form {
    /// # Errors
    /// The system gives no random numbers.
    pub(in crate::api::page) fn of(
        act: Act,
        fields: Fields,
        sight: &Sight,
        frame: Frame,
        may_force: bool,
    ) -> Result<Form, Wrong> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|error| no_random(&error))?;
        let site = fields.one("site").to_owned();
        let status = sight
            .status
            .sites
            .iter()
            .find(|it| it.name.as_str() == site);
        let hosts = |status: &SiteStatus| {
            let hosts = status.hosts.iter();
            hosts.map(|host| host.name.to_string()).collect()
        };
        let barred = sight.status.barred.iter();
        let barred = barred.filter(|it| it.digest.to_string() == fields.one("digest"));
        let when = When::local();
        let sites = sight.status.sites.iter();
        Ok(Form {
            frame,
            act,
            card: status.map(|status| Card::of(status, sight.at, &when)),
            is_found_out: status.is_some_and(is_found_out),
            barred: barred.cloned().collect(),
            hosts: status.map(hosts).unwrap_or_default(),
            sites: sites.map(|site| site.name.to_string()).collect(),
            zone: zone_of(&when.zone, sight),
            site,
            fields,
            may_force: may_force && act.force().is_some(),
            once: BASE64URL_NOPAD.encode(&bits),
            refusal: None,
        })
    }

    /// The same, with why it was not done.
    pub(in crate::api::page) fn refused(self, refusal: Refusal) -> Form {
        Form {
            refusal: Some(refusal),
            ..self
        }
    }

    fn title(&self) -> String {
        let (label, site) = (self.act.label(), &self.site);
        match self.act.is_about_a_site() {
            true => format!("{label} {site}"),
            false => label.to_owned(),
        }
    }

    /// The playbook that is typed, or the one that is meant most often.
    fn playbook(&self) -> &str {
        match self.fields.one("playbook") {
            "" => "nightly",
            typed => typed,
        }
    }

    fn playbooks(&self) -> [&'static str; 4] {
        PLAYBOOKS
    }

    fn pauses(&self) -> impl Iterator<Item = &'static str> {
        PAUSES.into_iter().map(|(words, _)| words)
    }

    /// Whether something out of the ordinary was asked for before: it is not hidden then.
    fn is_special(&self) -> bool {
        let flags = ["without", "without_ns", "images", "kept"];
        flags.into_iter().any(|flag| self.fields.is_on(flag))
    }

    fn restores(&self) -> bool {
        self.fields.is_on("restore")
    }

    /// Done already: no fault of whoever asked.
    fn is_nothing_to_do(&self) -> bool {
        self.refusal.as_ref().is_some_and(|it| it.exit == 0)
    }
}

fn is_found_out(site: &SiteStatus) -> bool {
    site.state == Some(SiteState::OutOfService) && site.step.is_none()
}

fn zone_of(zone: &TimeZone, sight: &Sight) -> String {
    sight.at.to_zoned(zone.clone()).strftime("%Z").to_string()
}
