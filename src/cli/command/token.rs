//! `token`: who may ask the coordinator over the network.
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};

use super::super::desk::Desk;
use super::super::exit::Exit;
use super::super::failure::{Failure, Outcome};
use super::super::grid::grid;
use crate::api::token::{Entry, Role, TokenError, TokenFile, last_used};
use crate::daemon::token_changes;
use crate::model::id::FleetName;
use crate::store::{Entry as AuditEntry, Store, StoreError};

/// How long a token opens, where nothing else is said.
const LASTS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Makes, lists and revokes tokens: who may ask the coordinator over the network
///
/// A coordinator that runs takes the change at once.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Makes a token and prints it, this once
#[derive(Args, Debug)]
#[command(after_help = "\
Roles:
  viewer    sees everything, changes nothing
  operator  begins, pauses and ends rotations, rebuilds sites, within the rules
  release   tells of released images; sees everything
  admin     everything, overriding the floor and other coordinators too

Example:
  cleanslate token create --role operator --name ana > ana.token")]
pub(crate) struct Create {
    /// What its owner may do: viewer, operator, release, admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Whose it is; stands in the journal beside what they do
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How long it opens: 90d, 12h, or never
    #[arg(long, value_name = "TIME", value_parser = lasting, default_value = "90d")]
    expires: Lasting,
}

/// Every token: whose, since when, until when, last used
#[derive(Args, Debug)]
pub(crate) struct List {}

/// Ends a token
#[derive(Args, Debug)]
pub(crate) struct Revoke {
    /// Whose
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasting {
    For(SignedDuration),
    ForEver,
}

pub(crate) fn run(desk: &Desk, token: &Token) -> Outcome {
    let fleet = desk.load()?.fleet;
    let file = TokenFile::of(&desk.folder(&fleet));
    match token {
        Token::Create(args) => audited(desk, &fleet.name, &file, || create(desk, &file, args)),
        Token::List(List {}) => list(desk, &file),
        Token::Revoke(Revoke { name }) => audited(desk, &fleet.name, &file, || {
            file.revoke(name, desk.clock.now().wall)?;
            desk.output
                .progress(&format!("the token of {name} opens nothing any more"));
            Ok(Exit::Done)
        }),
    }
}

/// Tells the audit what `change` did to the tokens. Whoever owns the store notices it by itself, and
/// a store that is not made yet begins its audit with them. Where it cannot be told, a token can be
/// revoked all the same.
fn audited(
    desk: &Desk,
    fleet: &FleetName,
    file: &TokenFile,
    change: impl FnOnce() -> Outcome,
) -> Outcome {
    let is_there = Store::open_read_only(&desk.state_dir(), fleet).map(drop);
    let store = match is_there {
        Err(StoreError::Missing { .. }) => return change(),
        Ok(()) => Store::open(&desk.state_dir(), fleet, &desk.occupant()),
        Err(error) => Err(error),
    };
    let before = file.read()?;
    let outcome = change()?;
    let after = file.read()?;
    let now = desk.clock.now().wall;
    let told = store.and_then(|mut store| {
        let changes = token_changes(&before, &after);
        let entries = changes.iter().map(|what| {
            let (kind, body) = what.split();
            AuditEntry::of(desk.by(), now, &kind, &body)
        });
        store.audit(&entries.collect::<Vec<_>>())
    });
    match told {
        Ok(()) | Err(StoreError::InUse { .. }) => {}
        Err(error) => {
            let cure = error.cure();
            let what = format!("warning: the audit was not told: {error}\n  next: {cure}");
            desk.output.say(&what);
        }
    }
    Ok(outcome)
}

fn create(desk: &Desk, file: &TokenFile, args: &Create) -> Outcome {
    let now = desk.clock.now().wall;
    let expires = match args.expires {
        Lasting::For(lasts) => Some(now.checked_add(lasts).map_err(|_| too_long())?),
        Lasting::ForEver => None,
    };
    let token = file.create(&args.name, args.role, &desk.user(), now, expires)?;
    let until = until(desk, expires, now);
    desk.output.progress(&format!(
        "a token of role {} for {}, {until}; it is shown this once:",
        args.role, args.name
    ));
    desk.output.result(&token.reveal_text());
    Ok(Exit::Done)
}

fn list(desk: &Desk, file: &TokenFile) -> Outcome {
    let (tokens, used) = (file.read()?, last_used(file));
    if desk.output.is_json {
        for entry in &tokens {
            let used = used.get(&entry.name).filter(|_| entry.revoked.is_none());
            desk.output.json(&serde_json::json!({
                "v": 1,
                "name": entry.name,
                "role": entry.role,
                "created": entry.created,
                "by": entry.by,
                "expires": entry.expires,
                "revoked": entry.revoked,
                "last_used": used,
            }));
        }
        return Ok(Exit::Done);
    }
    if tokens.is_empty() {
        desk.output
            .progress("there are no tokens: see `cleanslate token create --help`");
        return Ok(Exit::Done);
    }
    let now = desk.clock.now().wall;
    let row = |entry: &Entry| {
        let last = used.get(&entry.name).filter(|_| entry.revoked.is_none());
        [
            entry.name.clone(),
            entry.role.to_string(),
            format!("{} by {}", desk.when.ago(entry.created, now), entry.by),
            match entry.revoked {
                Some(revoked) => format!("revoked {}", desk.when.ago(revoked, now)),
                None => until(desk, entry.expires, now),
            },
            last.map_or("-".to_owned(), |used| desk.when.ago(*used, now)),
        ]
    };
    let headings = ["NAME", "ROLE", "MADE", "OPENS", "LAST USED"];
    desk.output
        .result(&grid(headings, tokens.iter().map(row).collect()));
    Ok(Exit::Done)
}

fn until(desk: &Desk, expires: Option<Timestamp>, now: Timestamp) -> String {
    match expires {
        None => "without an end".to_owned(),
        Some(expires) if expires <= now => format!("expired {}", desk.when.ago(expires, now)),
        Some(expires) => format!("until {}", desk.when.ahead(expires, now)),
    }
}

fn lasting(text: &str) -> Result<Lasting, String> {
    if text == "never" {
        return Ok(Lasting::ForEver);
    }
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<i64>().ok());
    let days = days.and_then(|days| days.checked_mul(24));
    let lasts = match days {
        Some(hours) if hours <= LASTS.as_hours() * 1000 => Some(SignedDuration::from_hours(hours)),
        Some(_) => None,
        None => text.parse().ok(),
    };
    let lasts = lasts.filter(|lasts| lasts.is_positive());
    lasts
        .map(Lasting::For)
        .ok_or_else(|| "use 90d, 12h, or never".to_owned())
}

fn too_long() -> Failure {
    Failure::new(Exit::Usage, "no time is so far away", "use --expires never")
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Failure {
        let source = std::error::Error::source(&error);
        let what = source.map_or(error.to_string(), |source| format!("{error}: {source}"));
        let (exit, cure) = match error {
            TokenError::File { .. } | TokenError::Random { .. } => (
                Exit::Fault,
                "run it as the user of the coordinator, with its --state",
            ),
            TokenError::Damaged { .. } => (
                Exit::Fault,
                "put it back from a backup, or remove it and make new tokens",
            ),
            TokenError::Taken { .. } => (Exit::Usage, "use another name, or revoke that one first"),
            TokenError::Unknown { .. } => (Exit::Usage, "see `cleanslate token list`"),
            TokenError::Name { .. } => (Exit::Usage, "use another name"),
        };
        Failure::new(exit, what, cure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_token_opens_is_days_hours_or_for_ever() {
        let hours = |hours| Ok(Lasting::For(SignedDuration::from_hours(hours)));
        assert_eq!(lasting("90d"), hours(90 * 24));
        assert_eq!(lasting("12h"), hours(12));
        assert_eq!(lasting("never"), Ok(Lasting::ForEver));
        for wrong in [
            "",
            "0d",
            "-1d",
            "soon",
            "9999999999999999999d",
            "100000000d",
        ] {
            assert!(lasting(wrong).is_err(), "{wrong}");
        }
    }
}
