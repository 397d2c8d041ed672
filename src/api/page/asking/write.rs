//! From what was typed to a command, read by the same reader as the API's.
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Act, Fields};
use crate::api::http::Problem;
use crate::api::when::When;
use crate::api::wire::Command;

/// For how long a pause may be chosen.
pub(in crate::api::page) const PAUSES: [(&str, Duration); 5] = [
    ("15 minutes", Duration::from_secs(900)),
    ("30 minutes", Duration::from_secs(1800)),
    ("1 hour", Duration::from_secs(3600)),
    ("2 hours", Duration::from_secs(7200)),
    ("4 hours", Duration::from_secs(14_400)),
];

/// # Errors
/// Something is missing, or makes no sense.
pub(in crate::api::page) fn command(
    act: Act,
    fields: &Fields,
    now: Timestamp,
    when: &When,
) -> Result<Command, Problem> {
    let reason = fields.one("reason").trim();
    if reason.is_empty() {
        let what = "no reason was given".to_owned();
        return Err(typed_wrong(what, "say why: it is kept in the journal"));
    }
    let mut body = Map::new();
    body.insert("reason".to_owned(), reason.into());
    if act.is_about_a_site() {
        body.insert("site".to_owned(), fields.one("site").into());
    }
    match act {
        Act::Rotate => body.extend(rotate(fields)),
        Act::Pause => body.extend(pause(fields, now, when)?),
        Act::Rebuild => body.extend(rebuild(fields)),
        Act::Retry => body.extend(now_or_not(fields)),
        Act::Clear => body.extend([part("digest", fields.one("digest"))]),
        Act::Resume | Act::Abort | Act::Withdraw | Act::Restore | Act::Cordon | Act::Uncordon => {}
    }
    body.extend(force(act, fields)?);
    let body = Value::Object(body).to_string();
    Command::read(act.command(), body.as_bytes())
        .map_err(|error| typed_wrong(error.to_string(), "correct it and send it again"))
}

/// One part of a command.
type Part = (String, Value);

fn part(name: &str, value: impl Into<Value>) -> Part {
    (name.to_owned(), value.into())
}

/// Nobody who waits for another coordinator does so with a form open.
fn rotate(fields: &Fields) -> Vec<Part> {
    let sites: Vec<&str> = fields.all("sites").collect();
    vec![
        part("playbook", fields.one("playbook").trim()),
        part("sites", json!(sites)),
        part("wait", 0),
    ]
    .into_iter()
    .chain(now_or_not(fields))
    .collect()
}

fn now_or_not(fields: &Fields) -> Option<Part> {
    fields.is_on("now").then(|| part("now", true))
}

fn pause(fields: &Fields, now: Timestamp, when: &When) -> Result<Vec<Part>, Problem> {
    let (lasts, clock) = (fields.one("for"), fields.one("until").trim());
    let until = match (lasts, clock) {
        ("", "") => return Ok(Vec::new()),
        ("", clock) => {
            let time = clock.parse().ok();
            let next = time.and_then(|time| when.next(time, now));
            let what = || format!("{clock:?} is no time of day");
            next.ok_or_else(|| typed_wrong(what(), "write it like 04:30"))?
        }
        (lasts, "") => {
            let known = PAUSES.iter().find(|(words, _)| *words == lasts);
            let what = || format!("{lasts:?} is none of the lengths");
            let (_, lasts) = known.ok_or_else(|| typed_wrong(what(), "choose one"))?;
            now.saturating_add(*lasts).unwrap_or(now)
        }
        _ => {
            let what = "a length and a time of day were both given".to_owned();
            return Err(typed_wrong(what, "give one of them"));
        }
    };
    let then = match fields.one("then") {
        "abort" => "abort",
        _ => "resume",
    };
    Ok(vec![part("until", until.to_string()), part("then", then)])
}

fn rebuild(fields: &Fields) -> Vec<Part> {
    let hosts: Vec<&str> = fields.all("without").collect();
    let servers = fields.one("without_ns").split([' ', ',']);
    let servers: Vec<&str> = servers.filter(|it| !it.is_empty()).collect();
    let mut parts = vec![
        part("without", json!(hosts)),
        part("without_ns", json!(servers)),
    ];
    for flag in ["restore", "kept"] {
        if fields.is_on(flag) {
            parts.push(part(flag, true));
        }
    }
    let images = fields.one("images");
    if !images.is_empty() {
        parts.push(part("images", images));
    }
    parts
}

/// Whoever overrides a rule has typed for which site.
fn force(act: Act, fields: &Fields) -> Result<Option<Part>, Problem> {
    let flag = act.force().map(|(flag, _)| flag);
    let Some(flag) = flag.filter(|flag| fields.is_on(flag)) else {
        return Ok(None);
    };
    let (site, typed) = (fields.one("site"), fields.one("typed").trim());
    if site != typed {
        let what = format!("to override a rule for {site}, its name has to be typed");
        return Err(typed_wrong(what, "type the name of the site, or untick it"));
    }
    Ok(Some(part(flag, true)))
}

pub(super) fn typed_wrong(what: String, cure: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "form", what, cure)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn what_is_typed_becomes_the_command_of_the_api() {
        let said = |act, text: &str| {
            let (_, path, body) = write(act, text).unwrap().request();
            format!("{path} {}", body.unwrap())
        };
        insta::assert_snapshot!(
            [
                said(Act::Rotate, "reason=x&playbook=nightly"),
                said(Act::Rotate, "reason=x&playbook=nightly&sites=fra&sites=nyc"),
                said(Act::Retry, "reason=x"),
                said(Act::Retry, "reason=x&now=on"),
                said(Act::Pause, "reason=a+look&for=&until=&then=abort"),
                said(Act::Pause, "reason=a+look&for=30+minutes&until=&then=resume"),
                said(Act::Pause, "reason=a+look&for=&until=04%3A30&then=abort"),
                said(Act::Resume, "reason=x"),
                said(Act::Abort, "reason=+x+"),
                said(Act::Rebuild, "reason=x&site=nyc&images=&without_ns="),
                said(
                    Act::Rebuild,
                    "reason=x&site=nyc&images=last-good&without=nyc1&without=nyc2\
                     &without_ns=10.0.0.1,+10.0.0.2&restore=on&kept=on&below_floor=on&typed=nyc"
                ),
                said(Act::Withdraw, "reason=x&site=nyc&typed=fra"),
                said(Act::Withdraw, "reason=x&site=nyc&below_floor=on&typed=nyc"),
                said(Act::Restore, "reason=x&site=nyc&unverified=on&typed=+nyc"),
                said(Act::Cordon, "reason=x&site=nyc"),
                said(Act::Uncordon, "reason=x&site=nyc"),
                said(
                    Act::Clear,
                    &format!("reason=x&digest=sha256:{}", "5".repeat(64))
                ),
            ]
            .join("\n"),
            @r#"
        /v1/rotate {"playbook":"nightly","reason":"x","wait":0}
        /v1/rotate {"playbook":"nightly","reason":"x","sites":["fra","nyc"],"wait":0}
        /v1/retry {"reason":"x"}
        /v1/retry {"now":true,"reason":"x"}
        /v1/pause {"reason":"a look"}
        /v1/pause {"reason":"a look","then":"resume","until":"2026-11-22T02:30:00Z"}
        /v1/pause {"reason":"a look","then":"abort","until":"2026-11-22T04:30:00Z"}
        /v1/resume {"reason":"x"}
        /v1/abort {"reason":"x"}
        /v1/rebuild {"reason":"x","site":"nyc"}
        /v1/rebuild {"below_floor":true,"images":"last-good","kept":true,"reason":"x","restore":true,"site":"nyc","without":["nyc1","nyc2"],"without_ns":["10.0.0.1","10.0.0.2"]}
        /v1/withdraw {"reason":"x","site":"nyc"}
        /v1/withdraw {"below_floor":true,"reason":"x","site":"nyc"}
        /v1/restore {"reason":"x","site":"nyc","unverified":true}
        /v1/cordon {"reason":"x","site":"nyc"}
        /v1/uncordon {"reason":"x","site":"nyc"}
        /v1/release/clear {"digest":"sha256:5555555555555555555555555555555555555555555555555555555555555555","reason":"x"}
        "#
        );
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_said() {
        for (act, text, word) in [
            (Act::Abort, "", "no reason"),
            (Act::Abort, "reason=+%20", "no reason"),
            (Act::Pause, "reason=x&until=25:00", "no time of day"),
            (Act::Pause, "reason=x&for=1+hour&until=04:30", "both"),
            (Act::Pause, "reason=x&for=a+while", "none of the lengths"),
            (Act::Cordon, "reason=x", "name"),
            (Act::Cordon, "reason=x&site=%3Cb%3E", "name"),
            (Act::Clear, "reason=x&digest=latest", "digest"),
            (Act::Rebuild, "reason=x&site=nyc&images=any", "last-good"),
            (Act::Withdraw, "reason=x&site=nyc&below_floor=on", "typed"),
            (
                Act::Restore,
                "reason=x&site=nyc&unverified=1&typed=fra",
                "typed",
            ),
        ] {
            let problem = write(act, text).unwrap_err();
            assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
            let what = problem.refusal.what;
            assert!(what.contains(word), "{text}: {what}");
        }
    }

    fn write(act: Act, text: &str) -> Result<Command, Problem> {
        let now = "2026-11-22T02:00:00Z".parse().unwrap();
        let when = When {
            zone: TimeZone::UTC,
        };
        command(act, &Fields::read(text.as_bytes()), now, &when)
    }
}
