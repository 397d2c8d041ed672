//! What promote and rollback do alike: show what would move, ask, move it, say what follows.
use clap::Args;
use jiff::Timestamp;

use super::super::super::args::{self, Yes};
use super::super::super::confirm::confirm;
use super::super::super::desk::Desk;
use super::super::super::exit::Exit;
use super::super::super::failure::{Failure, Outcome, Said};
use super::super::super::follow::{Elsewhere, Until};
use super::super::super::grid::grid;
use super::super::act;
use crate::api::client::ClientError;
use crate::api::pinned::Pinned;
use crate::api::release::{Changing, InService, Preview, Released, Told};
use crate::api::when::When;
use crate::api::wire::{Command, Reply};
use crate::api::words::counted;
use crate::daemon::release::{InPlace, Refused, Wanted};
use crate::model::id::ServiceName;

/// What both are asked with.
#[derive(Args, Debug)]
pub(super) struct Asked {
    /// Only the images of this service; may be repeated
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    service: Vec<ServiceName>,
    /// Why; it is kept in the ledger
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: Option<String>,
    /// Rotates the sites that take it as soon as it is done
    #[arg(long)]
    pub(super) now: bool,
    #[command(flatten)]
    yes: Yes,
}

/// The same in the words of the API, and whether it is only shown.
pub(super) struct Words {
    pub(super) services: Vec<ServiceName>,
    pub(super) reason: Option<String>,
    pub(super) now: bool,
    pub(super) dry_run: bool,
    pub(super) seen: Option<String>,
}

impl Asked {
    fn words(&self) -> Words {
        Words {
            services: self.service.clone(),
            reason: self.reason.clone(),
            now: self.now,
            dry_run: false,
            seen: None,
        }
    }
}

/// By the coordinator that runs, else here.
pub(super) async fn release(
    desk: &Desk,
    asked: &Asked,
    command: impl Fn(Words) -> Command,
) -> Outcome {
    let here = desk.here()?;
    if desk.coordinator(here.as_ref()).await?.is_some() {
        return Box::pin(elsewhere(desk, asked, command)).await;
    }
    Box::pin(in_place(desk, asked, command)).await
}

async fn elsewhere(desk: &Desk, asked: &Asked, command: impl Fn(Words) -> Command) -> Outcome {
    let shown = command(Words {
        dry_run: true,
        ..asked.words()
    });
    let preview: Preview = ask(desk, &shown).await?;
    if let Some(nothing) = show(desk, &preview, asked.now) {
        return Ok(nothing);
    }
    confirm(&desk.output, asked.yes, &question(&preview))?;
    let wanted = command(Words {
        seen: Some(preview.seen.clone()),
        ..asked.words()
    });
    let here = desk.here()?;
    let until = Until::Rotated;
    let follower = Elsewhere::new(desk, here.as_ref(), preview.what, until);
    let told = |value| {
        let released: Released = read(value)?;
        said(desk, &released);
        if released.rotation_follows && released.rotation.is_none() {
            let later = "its sites are rotated as soon as the rotation in hand has ended";
            desk.output.progress(later);
        }
        Ok(released.rotation)
    };
    Box::pin(follower.ask(&wanted, told)).await
}

async fn in_place(desk: &Desk, asked: &Asked, command: impl Fn(Words) -> Command) -> Outcome {
    let command = command(asked.words());
    let wanted = match Wanted::of_words(&command) {
        Some(Ok(wanted)) => wanted,
        Some(Err(problem)) => {
            return Err(Failure {
                exit: Exit::Usage,
                said: Said::Problems(vec![problem]),
            });
        }
        None => return Ok(Exit::Done),
    };
    let mut session = desk.session()?;
    let before = act::settle(desk, &mut session, None).await?;
    let mut releases = InPlace::of(&mut session);
    let prepared = match releases.prepare(&wanted).await? {
        Ok(prepared) => prepared,
        Err(refused) => {
            let failure = failed(&refused);
            session.refused(&desk.asking(&command), &refused.problems)?;
            return Err(failure);
        }
    };
    if let Some(nothing) = show(desk, &prepared.preview, asked.now) {
        return Ok(before.worse(nothing));
    }
    confirm(&desk.output, asked.yes, &question(&prepared.preview))?;
    let rotation = releases.rotation(&prepared).filter(|_| asked.now);
    let asking = desk.asking(&command);
    let mut released: Released = match releases.carry_out(prepared, asking).await? {
        Reply::Ok(value) => read(value)?,
        Reply::Refused(refusal) => return Err(ClientError::Refused(refusal).into()),
    };
    released.rotation_follows = rotation.is_some();
    said(desk, &released);
    let Some(mut request) = rotation else {
        return Ok(before);
    };
    request.options.wait_s = act::patience(desk, None);
    let command = Command::Rotate {
        playbook: request.playbook.clone(),
        sites: request.sites.clone().unwrap_or_default(),
        reason: request.reason.clone(),
        wait: request.options.wait_s,
        now: false,
        in_freeze: false,
    };
    let plan = act::planned(desk, &mut session, &command, request).await?;
    act::tell_of_waits(desk, &plan);
    let after = act::begin(desk, &mut session, &command, plan).await?;
    Ok(before.worse(after))
}

async fn ask<T: serde::de::DeserializeOwned>(desk: &Desk, command: &Command) -> Result<T, Failure> {
    let here = desk.here()?;
    let Some(mut client) = desk.coordinator(here.as_ref()).await? else {
        return Err(ClientError::Gone.into());
    };
    match client.request(command).await? {
        Reply::Ok(value) => read(value),
        Reply::Refused(refusal) => Err(ClientError::Refused(refusal).into()),
    }
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        let why = error.to_string();
        ClientError::Unreadable { why }.into()
    })
}

fn failed(refused: &Refused) -> Failure {
    Failure {
        exit: Exit::from_code(refused.exit),
        said: Said::Problems(refused.problems.clone()),
    }
}

/// Says what would move; the exit code where nothing would.
fn show(desk: &Desk, preview: &Preview, is_now: bool) -> Option<Exit> {
    if preview.moves.is_empty() {
        match desk.output.is_json {
            true => desk.output.json(preview),
            false => desk.output.progress(&format!(
                "{}: nothing to do, every tag is there already",
                preview.what
            )),
        }
        return Some(Exit::Done);
    }
    let now = desk.clock.now().wall;
    desk.output.progress(&told(preview, &desk.when, now));
    if is_now && preview.rotates.is_empty() {
        let none = "no site is to be rotated: each runs what the tags will name, or takes none";
        desk.output.progress(none);
    }
    None
}

fn question(preview: &Preview) -> String {
    let tags = counted(preview.moves.len() as u64, "tag");
    match preview.at {
        Some(at) => format!("{}: move {tags} at {at:.0}?", preview.what),
        None => format!("{}: move {tags}?", preview.what),
    }
}

fn said(desk: &Desk, released: &Released) {
    if desk.output.is_json {
        desk.output.json(released);
        return;
    }
    let tags = counted(released.preview.moves.len() as u64, "tag");
    let act = released
        .act
        .map_or(String::new(), |act| format!(" (act {act})"));
    let what = &released.preview.what;
    if let Some(at) = released.preview.at {
        let ahead = desk.when.ahead(at, desk.clock.now().wall);
        let tag = &released.preview.tag;
        desk.output
            .result(&format!("{what}: {tags} to be moved {ahead}"));
        let cancel = format!("if it is not to be: cleanslate release cancel {tag}");
        desk.output.progress(&cancel);
        return;
    }
    desk.output.result(&format!("{what}: {tags} moved{act}"));
}

/// Old and new of each, as a person compares them, and who takes it when.
fn told(preview: &Preview, when: &When, now: Timestamp) -> String {
    let row = |it: &Changing| {
        [
            it.image.to_string(),
            it.old.as_ref().map_or("(none yet)".to_owned(), manifest),
            manifest(&it.new),
        ]
    };
    let rows = preview.moves.iter().map(row).collect();
    let mut text = grid(["TAG", "FROM", "TO"], rows);
    for it in &preview.moves {
        let which = format!("\n{} of {}", it.new.digest.short(), it.image.name());
        for at in &it.in_service {
            text += &format!("{which} {}", serves(at, when, now));
        }
        if !it.approved_by.is_empty() {
            text += &format!("{which} is approved by {}", it.approved_by.join(", "));
        }
    }
    for image in &preview.unchanged {
        text += &format!("\n{image} is there already");
    }
    let services: Vec<&ServiceName> = preview.moves.iter().flat_map(|it| &it.services).collect();
    for take in &preview.takes {
        if preview.rotates.contains(&take.site) {
            text += &format!("\n{} is rotated at once", take.site);
            continue;
        }
        let site = &take.site;
        let is_whole = |pinned: &Pinned| {
            let mut services = services.iter();
            services.all(|service| pinned.services.contains_key(*service))
        };
        let who = match &take.pinned {
            Some(pinned) if is_whole(pinned) => {
                text += &format!("\n{site} {pinned}: it does not take it");
                continue;
            }
            Some(pinned) => format!("{site} {pinned}: it takes the others"),
            None => format!("{site} takes it"),
        };
        let next = match (&take.playbook, take.at) {
            (Some(playbook), Some(at)) => format!("with {playbook}, {}", when.ahead(at, now)),
            _ => "in no run that is planned: `cleanslate rotate`, or --now".to_owned(),
        };
        text += &format!("\n{who} {next}");
    }
    text
}

/// `runs at stg, since 26h ago without a fault: 3 visits, 0 restarts, 1200000 packets received`.
fn serves(at: &InService, when: &When, now: Timestamp) -> String {
    let mut told = vec![counted(at.visits, "visit")];
    told.extend(at.restarts.map(|restarts| counted(restarts, "restart")));
    told.extend(
        at.packets
            .map(|packets| format!("{packets} packets received")),
    );
    let told = told.join(", ");
    match &at.fault {
        Some(fault) => format!("runs at {}, at fault: {fault} ({told})", at.site),
        None => format!(
            "runs at {} without a fault since {}: {told}",
            at.site,
            when.ago(at.since, now)
        ),
    }
}

/// `4f5a0b1c2d3e v2.4.1 (9c1d7e2)`.
pub(super) fn manifest(told: &Told) -> String {
    let mut text = told.digest.short().to_owned();
    if let Some(version) = &told.version {
        text += &format!(" {version}");
    }
    if let Some(revision) = &told.revision {
        let short: String = revision.chars().take(12).collect();
        text += &format!(" ({short})");
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::api::release::Take;
    use crate::coordinator::tests::world::{digest, site};

    #[test]
    fn a_pinned_site_is_named_beside_those_that_take_what_moves() {
        let manifest = |n| Told {
            digest: digest(n),
            version: None,
            revision: None,
            source: None,
        };
        let moves = ["api", "web"].map(|name| Changing {
            image: format!("r.example.com/{name}:master").parse().unwrap(),
            services: vec![name.parse().unwrap()],
            old: Some(manifest(1)),
            new: manifest(2),
            in_service: Vec::new(),
            approved_by: Vec::new(),
        });
        let take = |name: &str, pinned: &[&str]| {
            let services = pinned.iter();
            let services = services.map(|it| (it.parse().unwrap(), digest(9)));
            Take {
                site: site(name),
                playbook: None,
                at: None,
                pinned: (!pinned.is_empty()).then(|| Pinned {
                    services: services.collect(),
                    until: "2026-12-01".parse().unwrap(),
                    ended: false,
                }),
            }
        };
        let preview = Preview {
            v: 1,
            what: "promote staging master".to_owned(),
            tag: "master".parse().unwrap(),
            moves: moves.into(),
            unchanged: Vec::new(),
            rotates: Vec::new(),
            at: None,
            takes: vec![
                take("fra", &["api", "web"]),
                take("nyc", &["web"]),
                take("sin", &[]),
            ],
            seen: String::new(),
        };
        let when = When {
            zone: TimeZone::UTC,
        };
        let said = told(&preview, &when, Timestamp::UNIX_EPOCH);
        insta::assert_snapshot!(said, @r"
        TAG                       FROM          TO
        r.example.com/api:master  010101010101  020202020202
        r.example.com/web:master  010101010101  020202020202
        fra is pinned to 090909090909 (api, web) until 2026-12-01: it does not take it
        nyc is pinned to 090909090909 (web) until 2026-12-01: it takes the others in no run that is planned: `cleanslate rotate`, or --now
        sin takes it in no run that is planned: `cleanslate rotate`, or --now
        ");
    }
}
