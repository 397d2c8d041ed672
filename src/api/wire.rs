//! The words of the API: what can be asked of a coordinator, and how each question travels.
//!
//! A field is never renamed or removed within `/v1`. A request that holds a key this program does
//! not know is refused, not half understood: `below_floor` must never get lost on its way to an
//! older coordinator.
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::public::Then;
use crate::model::id::{Channel, HostName, PlaybookName, RotationId, ServiceName, SiteName};
use crate::model::image::{Digest, ImageRef};

/// What is asked of a coordinator. What changes something is a POST to its name, `/v1/cordon`, with
/// its fields as the body; the rest are GETs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Where everything stands.
    Status {},
    /// Every event from now on, until the connection ends; and those after the one named.
    Watch {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<LineId>,
    },
    /// The last rotations.
    History { last: usize },
    /// What happened in one rotation.
    Report { rotation: RotationId },
    /// Begins a rotation of a playbook; without sites, of those that it names.
    Rotate {
        playbook: PlaybookName,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sites: Vec<SiteName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How long another holder's marker is waited for, in seconds.
        #[serde(deserialize_with = "whole")]
        wait: u64,
        /// Sites are visited outside their quiet hours too.
        #[serde(default, skip_serializing_if = "is_false")]
        now: bool,
        /// Whoever asks knows that today is frozen, and says why it is to be all the same.
        #[serde(default, skip_serializing_if = "is_false")]
        in_freeze: bool,
    },
    /// Ends the rotation; the site in hand is brought to safety first.
    Abort { reason: String },
    /// Nothing further begins until it is resumed, or until then.
    Pause {
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// What follows by itself then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        then: Option<Then>,
    },
    /// A paused rotation goes on; or the site that was tried by hand does, which may be named.
    Resume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        site: Option<SiteName>,
    },
    /// Takes the marker over, whoever holds it.
    TakeOver { reason: String },
    /// Takes the marker over, and brings back what it calls out.
    Recover {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A new rotation of the sites that the last one did not complete.
    Retry {
        reason: String,
        /// Sites are visited outside their quiet hours too.
        #[serde(default, skip_serializing_if = "is_false")]
        now: bool,
        /// As for a rotation.
        #[serde(default, skip_serializing_if = "is_false")]
        in_freeze: bool,
    },
    /// Rotations skip the site from now on; its DNS is not touched.
    Cordon { site: SiteName, reason: String },
    /// Rotations visit the site again.
    Uncordon { site: SiteName, reason: String },
    /// Takes the site out of DNS and holds it out.
    Withdraw {
        site: SiteName,
        reason: String,
        #[serde(default, skip_serializing_if = "is_false")]
        below_floor: bool,
    },
    /// Puts the site back into DNS, once verified as it stands.
    Restore {
        site: SiteName,
        reason: String,
        #[serde(default, skip_serializing_if = "is_false")]
        unverified: bool,
    },
    /// Visits one site now.
    Rebuild(Rebuild),
    /// A digest that failed, and was barred for it, may be planned again.
    #[serde(rename = "clear")]
    ReleaseClear { digest: Digest, reason: String },
    /// Somebody tried a digest, and says that it is good.
    #[serde(rename = "approve")]
    ReleaseApprove { digest: Digest, reason: String },
    /// A promotion that waits for its time is not to be.
    #[serde(rename = "cancel")]
    ReleaseCancel {
        tag: Channel,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Images were pushed, somebody says.
    Pushed { images: Vec<ImageRef> },
    /// Moves the tags of one channel to what those of another name.
    Promote(Promote),
    /// Moves the tags of a channel back to what passed before.
    Rollback(Rollback),
    /// Moves of tags, the latest first.
    ReleaseHistory {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<String>,
        last: usize,
    },
    /// How the tags of every image stand.
    ReleaseStatus {},
}

/// A move of tags to what other tags name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    pub from: Channel,
    pub to: Channel,
    /// Only the images of these services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sites that take it are rotated at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub now: bool,
    /// Not yet: then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Though it has not been in service for as long as `[release]` asks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unsoaked: bool,
    /// It is only shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// What stood under `seen` when it was shown: these moves, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// A move of tags to what passed before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    pub tag: Channel,
    /// Of the image that goes back to it; without it, the last that every site passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Only the images of these services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The sites that take it are rotated at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub now: bool,
    /// Of these, those only that run something else than the tags name then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_changed: bool,
    /// It is only shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// What stood under `seen` when it was shown: these moves, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// A visit of one site, now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    pub site: SiteName,
    pub reason: String,
    /// Hosts that are dead: not touched, and their addresses do not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<HostName>,
    /// Name servers that are dead, by address, as typed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_ns: Vec<String>,
    /// Where digests come from, if not from the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Puts a site that was found out of DNS in.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restore: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub below_floor: bool,
    /// Recreates kept services too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kept: bool,
    /// How long another holder's marker is waited for, in seconds, where no rotation runs yet.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "is_zero")]
    pub wait: u64,
}

/// Digests taken from the site's own hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    Running,
    LastGood,
}

/// Which line of which rotation: `nightly-20261122T020000-cron/17`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineId {
    pub rotation: RotationId,
    pub n: u64,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The rule that said no, by the name users know: `floor`.
    pub rule: String,
    pub what: String,
    pub cure: String,
    /// With which code the command that asked should exit.
    pub exit: u8,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What was asked for; `{}` where there is nothing to say.
    Ok(Value),
    Refused(Refusal),
}

/// Why a question cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// There is nothing of that name to ask for.
    #[error("{name:?} is no command")]
    Unknown { name: String },
    #[error("it is not a JSON object: {why}")]
    Json { why: String },
    #[error("{why}")]
    Meaning { why: String },
}

/// Every command that is a POST, by what its path has after `/v1/`.
pub const COMMANDS: [&str; 17] = [
    "rotate",
    "abort",
    "pause",
    "resume",
    "take-over",
    "recover",
    "retry",
    "cordon",
    "uncordon",
    "withdraw",
    "restore",
    "rebuild",
    "release/approve",
    "release/cancel",
    "release/clear",
    "release/promote",
    "release/rollback",
];

impl Command {
    /// How it is asked: method, path with query, and the body, where it has one.
    pub fn request(&self) -> (&'static str, String, Option<String>) {
        let (name, body) = self.parts();
        match self {
            Command::Status {} => ("GET", "/v1/status".to_owned(), None),
            Command::Watch { .. } => ("GET", "/v1/events".to_owned(), None),
            Command::History { last } => ("GET", format!("/v1/rotations?last={last}"), None),
            Command::Report { rotation } => ("GET", format!("/v1/rotations/{rotation}"), None),
            Command::Pushed { .. } => ("POST", "/v1/hooks/push".to_owned(), Some(body)),
            Command::Promote(_)
            | Command::Rollback(_)
            | Command::ReleaseApprove { .. }
            | Command::ReleaseCancel { .. }
            | Command::ReleaseClear { .. } => ("POST", format!("/v1/release/{name}"), Some(body)),
            Command::ReleaseStatus {} => ("GET", "/v1/release/status".to_owned(), None),
            Command::ReleaseHistory { image, last } => {
                let mut query = form_urlencoded::Serializer::new(String::new());
                query.append_pair("last", &last.to_string());
                if let Some(image) = image {
                    query.append_pair("image", image);
                }
                let query = query.finish();
                ("GET", format!("/v1/release/history?{query}"), None)
            }
            Command::Rotate { .. }
            | Command::Abort { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::TakeOver { .. }
            | Command::Recover { .. }
            | Command::Retry { .. }
            | Command::Cordon { .. }
            | Command::Uncordon { .. }
            | Command::Withdraw { .. }
            | Command::Restore { .. }
            | Command::Rebuild(_) => ("POST", format!("/v1/{name}"), Some(body)),
        }
    }

    /// The one site it is about.
    pub fn site(&self) -> Option<&SiteName> {
        match self {
            Command::Cordon { site, .. }
            | Command::Uncordon { site, .. }
            | Command::Withdraw { site, .. }
            | Command::Restore { site, .. }
            | Command::Rebuild(Rebuild { site, .. }) => Some(site),
            Command::Resume { site, .. } => site.as_ref(),
            Command::Status {}
            | Command::Watch { .. }
            | Command::History { .. }
            | Command::Report { .. }
            | Command::Rotate { .. }
            | Command::Abort { .. }
            | Command::Pause { .. }
            | Command::Pushed { .. }
            | Command::Promote(_)
            | Command::Rollback(_)
            | Command::ReleaseHistory { .. }
            | Command::ReleaseStatus {}
            | Command::TakeOver { .. }
            | Command::Recover { .. }
            | Command::Retry { .. }
            | Command::ReleaseApprove { .. }
            | Command::ReleaseCancel { .. }
            | Command::ReleaseClear { .. } => None,
        }
    }

    /// Reads the body of `POST /v1/NAME`.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong with it; nothing of it may then be done.
    pub fn read(name: &str, body: &[u8]) -> Result<Command, WireError> {
        if !COMMANDS.contains(&name) {
            let name = name.to_owned();
            return Err(WireError::Unknown { name });
        }
        let object: Value = serde_json::from_slice(body).map_err(|error| WireError::Json {
            why: error.to_string(),
        })?;
        let Value::Object(mut object) = object else {
            let why = "it is something else".to_owned();
            return Err(WireError::Json { why });
        };
        if object.contains_key(TAG) {
            let why = format!("unknown field `{TAG}`: the path says it");
            return Err(WireError::Meaning { why });
        }
        if let Some(key) = steering(&object) {
            let why = format!("{key} holds control characters");
            return Err(WireError::Meaning { why });
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        object.insert(TAG.to_owned(), Value::String(last.replace('-', "_")));
        serde_json::from_value(Value::Object(object)).map_err(|error| WireError::Meaning {
            why: error.to_string(),
        })
    }

    /// Its name as paths have it, and its fields.
    fn parts(&self) -> (String, String) {
        let written = serde_json::to_value(self);
        let mut value = written.expect("texts, numbers and string keys always serialize");
        let tag = value.as_object_mut().and_then(|object| object.remove(TAG));
        let name = tag.as_ref().and_then(Value::as_str).unwrap_or_default();
        (name.replace('_', "-"), value.to_string())
    }
}

/// The rule of a refusal of what names something that is not there.
pub const UNKNOWN: &str = "unknown";

/// Under this key serde keeps which command it is.
const TAG: &str = "command";

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.rotation, self.n)
    }
}

impl FromStr for LineId {
    type Err = String;

    fn from_str(text: &str) -> Result<LineId, String> {
        let parts = text.rsplit_once('/').and_then(|(rotation, n)| {
            let (rotation, n) = (rotation.parse().ok()?, n.parse().ok()?);
            Some(LineId { rotation, n })
        });
        parts.ok_or_else(|| "no event is called so: ROTATION/N".to_owned())
    }
}

impl TryFrom<String> for LineId {
    type Error = String;

    fn try_from(text: String) -> Result<LineId, String> {
        text.parse()
    }
}

impl From<LineId> for String {
    fn from(id: LineId) -> String {
        id.to_string()
    }
}

/// Whether it would steer the terminal of whoever reads it later.
pub(crate) fn steers(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && !"\n\t".contains(c))
}

/// The first field with what would steer the terminal of whoever reads it later.
fn steering(object: &serde_json::Map<String, Value>) -> Option<&str> {
    let fields = object.iter();
    let mut texts = fields.filter_map(|(key, value)| Some((key, value.as_str()?)));
    texts
        .find(|(_, text)| steers(text))
        .map(|(key, _)| key.as_str())
}

/// A whole number, however it is written: to JSON 60 and 60.0 are the same.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(deserializer)?;
    let written = number.as_f64();
    let written = written.filter(|it| it.fract() == 0.0 && (0.0..=EXACT).contains(it));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole, not negative, and below 2^53"
    )]
    let seconds = number.as_u64().or(written.map(|it| it as u64));
    seconds.ok_or_else(|| serde::de::Error::custom(format!("{number} is no whole number")))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_asked_in_its_own_way_and_read_back_from_it() {
        let lines = [
            (
                Command::Abort { reason: reason() },
                r#"abort {"reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Rotate {
                    playbook: "nightly".parse().unwrap(),
                    sites: vec![site()],
                    reason: None,
                    wait: 60,
                    now: true,
                    in_freeze: true,
                },
                concat!(
                    r#"rotate {"playbook":"nightly","sites":["fra"],"wait":60,"now":true,"#,
                    r#""in_freeze":true}"#
                ),
            ),
            (
                Command::Pause {
                    reason: String::new(),
                    until: Some("2026-11-22T04:30:00Z".parse().unwrap()),
                    then: Some(Then::Abort),
                },
                concat!(
                    r#"pause {"reason":"","until":"2026-11-22T04:30:00Z","#,
                    r#""then":"abort"}"#
                ),
            ),
            (
                Command::Resume {
                    reason: None,
                    site: None,
                },
                r#"resume {}"#,
            ),
            (
                Command::Resume {
                    reason: None,
                    site: Some(site()),
                },
                r#"resume {"site":"fra"}"#,
            ),
            (Command::Recover { reason: None }, r#"recover {}"#),
            (
                Command::Promote(Promote {
                    from: "staging".parse().unwrap(),
                    to: "master".parse().unwrap(),
                    services: vec!["web".parse().unwrap()],
                    reason: None,
                    now: false,
                    at: Some("2026-11-24T16:00:00Z".parse().unwrap()),
                    unsoaked: true,
                    dry_run: true,
                    seen: None,
                }),
                concat!(
                    r#"release/promote {"from":"staging","to":"master","services":["web"],"#,
                    r#""at":"2026-11-24T16:00:00Z","unsoaked":true,"dry_run":true}"#
                ),
            ),
            (
                Command::ReleaseCancel {
                    tag: "master".parse().unwrap(),
                    reason: None,
                },
                r#"release/cancel {"tag":"master"}"#,
            ),
            (
                Command::TakeOver { reason: reason() },
                r#"take-over {"reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Retry {
                    reason: reason(),
                    now: false,
                    in_freeze: false,
                },
                r#"retry {"reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Cordon {
                    site: site(),
                    reason: reason(),
                },
                r#"cordon {"site":"fra","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Uncordon {
                    site: site(),
                    reason: reason(),
                },
                r#"uncordon {"site":"fra","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Withdraw {
                    site: site(),
                    reason: String::new(),
                    below_floor: true,
                },
                r#"withdraw {"site":"fra","reason":"","below_floor":true}"#,
            ),
            (
                Command::Restore {
                    site: site(),
                    reason: String::new(),
                    unverified: false,
                },
                r#"restore {"site":"fra","reason":""}"#,
            ),
            (
                Command::Rebuild(Rebuild {
                    site: site(),
                    reason: String::new(),
                    without: vec!["fra2".parse().unwrap()],
                    without_ns: vec!["10.0.2.53".to_owned()],
                    images: Some(Images::LastGood),
                    restore: true,
                    below_floor: false,
                    kept: true,
                    wait: 0,
                }),
                concat!(
                    r#"rebuild {"site":"fra","reason":"","without":["fra2"],"#,
                    r#""without_ns":["10.0.2.53"],"images":"last-good","restore":true,"kept":true}"#
                ),
            ),
        ];
        for (command, line) in lines {
            let (name, body) = line.split_once(' ').unwrap();
            let (method, path, sent) = command.request();
            assert_eq!((method, path), ("POST", format!("/v1/{name}")));
            let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(value(&sent.unwrap()), value(body));
            assert_eq!(Command::read(name, body.as_bytes()).unwrap(), command);
        }
        let asked = |command: Command| {
            let (method, path, body) = command.request();
            assert_eq!((method, body), ("GET", None));
            path
        };
        let rotation: RotationId = "nightly-1".parse().unwrap();
        assert_eq!(asked(Command::Status {}), "/v1/status");
        assert_eq!(asked(Command::Watch { after: None }), "/v1/events");
        assert_eq!(asked(Command::History { last: 3 }), "/v1/rotations?last=3");
        let report = Command::Report { rotation };
        assert_eq!(asked(report), "/v1/rotations/nightly-1");
    }

    #[test]
    fn a_command_that_is_not_understood_in_full_is_refused() {
        let bodies = [
            (
                "rebuild",
                r#"{"site":"fra","reason":"","below_flor":true}"#,
                "flor",
            ),
            (
                "withdraw",
                r#"{"site":"fra","reason":"","force":1}"#,
                "force",
            ),
            ("withdraw", r#"{"site":"fra"}"#, "reason"),
            ("cordon", r#"{"site":"Fra!","reason":""}"#, "'F'"),
            ("cordon", r#"{"command":"abort","reason":""}"#, "command"),
            ("explode", "{}", "explode"),
            ("status", "{}", "status"),
            ("take_over", r#"{"reason":""}"#, "take_over"),
            ("abort", r#"["reason"]"#, "JSON object"),
            ("abort", r#"{"reason":""} x"#, "trailing"),
            (
                "abort",
                "{\"reason\":\"\\u001b[2J all is well\"}",
                "control",
            ),
            ("abort", "", "EOF"),
            ("rotate", r#"{"playbook":"x","wait":1.5}"#, "whole number"),
            ("rotate", r#"{"playbook":"x","wait":-1}"#, "whole number"),
        ];
        for (name, body, word) in bodies {
            let why = Command::read(name, body.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(why.contains(word), "{name} {body}: {why}");
        }
        let deep = "[".repeat(60_000);
        assert!(Command::read("abort", deep.as_bytes()).is_err());
        assert!(Command::read("abort", b"\xff\xfe\0{").is_err());
    }

    #[test]
    fn a_line_is_known_by_its_rotation_and_its_number() {
        let id: LineId = "nightly-20261122T020000-cron/17".parse().unwrap();
        assert_eq!(
            (id.rotation.as_str(), id.n),
            ("nightly-20261122T020000-cron", 17)
        );
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "17", "nightly/", "nightly/x", "/3", "ni ght/3"] {
            assert!(wrong.parse::<LineId>().is_err(), "{wrong}");
        }
    }

    fn site() -> SiteName {
        "fra".parse().unwrap()
    }

    fn reason() -> String {
        "kernel \"oops\"\nat 3".to_owned()
    }
}
