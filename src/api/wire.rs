//! The words of the control socket: one JSON object a line, requests one way, replies the other.
//!
//! A field is never renamed or removed within `v`. A request that holds a key this program does
//! not know is refused, not half understood: `--below-floor` must never get lost on its way to an
//! older coordinator.
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::public::Then;
use crate::model::id::{HostName, PlaybookName, SiteName};

/// The version of every line.
const VERSION: u64 = 1;

/// What an operator asks: `{"v":1,"command":"cordon","site":"fra","reason":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Where everything stands.
    Status {},
    /// Every event from now on, one line each, until the connection ends.
    Watch {},
    /// Begins a rotation of a playbook; without sites, of those that it names.
    Rotate {
        playbook: PlaybookName,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sites: Vec<SiteName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How long another holder's marker is waited for, in seconds.
        wait: u64,
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
    /// A paused rotation goes on.
    Resume {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Takes the marker over, whoever holds it.
    TakeOver { reason: String },
    /// Takes the marker over, and brings back what it calls out.
    Recover {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A new rotation of the sites that the last one did not complete.
    Retry { reason: String },
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
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wait: u64,
}

/// Digests taken from the site's own hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    Running,
    LastGood,
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

/// The answer to one request: `{"v":1,"ok":…}` or `{"v":1,"error":{…}}`.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What was asked for; `{}` where there is nothing to say.
    Ok(Value),
    Refused(Refusal),
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("it is not a JSON object: {why}")]
    Json { why: String },
    #[error("it is of version {found}, this program speaks version {VERSION}")]
    Version { found: String },
    #[error("{why}")]
    Meaning { why: String },
}

impl Command {
    /// The line that asks for it, with its end.
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            v: u64,
            #[serde(flatten)]
            command: &'a Command,
        }
        line(&Line {
            v: VERSION,
            command: self,
        })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong with it; nothing of it may then be done.
    pub fn parse(line: &[u8]) -> Result<Command, WireError> {
        let object = versioned(line)?;
        serde_json::from_value(Value::Object(object)).map_err(|error| meaning(&error))
    }
}

impl Reply {
    /// The line that says it, with its end.
    pub fn line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            v: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            ok: Option<&'a Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a Refusal>,
        }
        let (ok, error) = match self {
            Reply::Ok(value) => (Some(value), None),
            Reply::Refused(refusal) => (None, Some(refusal)),
        };
        let v = VERSION;
        line(&Line { v, ok, error })
    }

    /// Reads a line. Keys that a later coordinator may have added do not matter.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Reply, WireError> {
        let mut object = versioned(line)?;
        if let Some(value) = object.remove("ok") {
            return Ok(Reply::Ok(value));
        }
        match object.remove("error") {
            Some(error) => Ok(Reply::Refused(
                serde_json::from_value(error).map_err(|error| meaning(&error))?,
            )),
            None => Err(WireError::Meaning {
                why: "it holds neither ok nor error".to_owned(),
            }),
        }
    }

    /// As a result.
    ///
    /// # Errors
    /// The refusal.
    pub fn into_result(self) -> Result<Value, Refusal> {
        match self {
            Reply::Ok(value) => Ok(value),
            Reply::Refused(refusal) => Err(refusal),
        }
    }
}

/// The object of a line, its version checked and taken out.
fn versioned(line: &[u8]) -> Result<Map<String, Value>, WireError> {
    let mut object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| WireError::Json {
            why: error.to_string(),
        })?;
    match object.remove("v") {
        Some(version) if version == VERSION => Ok(object),
        other => Err(WireError::Version {
            found: other.map_or_else(|| "none".to_owned(), |version| version.to_string()),
        }),
    }
}

fn line(value: &impl Serialize) -> String {
    let mut text =
        serde_json::to_string(value).expect("texts, numbers and string keys always serialize");
    text.push('\n');
    text
}

fn meaning(error: &serde_json::Error) -> WireError {
    WireError::Meaning {
        why: error.to_string(),
    }
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
    fn every_command_has_its_line_and_is_read_back_from_it() {
        let lines = [
            (Command::Status {}, r#"{"v":1,"command":"status"}"#),
            (Command::Watch {}, r#"{"v":1,"command":"watch"}"#),
            (
                Command::Abort { reason: reason() },
                r#"{"v":1,"command":"abort","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Rotate {
                    playbook: "nightly".parse().unwrap(),
                    sites: vec![site()],
                    reason: None,
                    wait: 60,
                },
                r#"{"v":1,"command":"rotate","playbook":"nightly","sites":["fra"],"wait":60}"#,
            ),
            (
                Command::Pause {
                    reason: String::new(),
                    until: Some("2026-11-22T04:30:00Z".parse().unwrap()),
                    then: Some(Then::Abort),
                },
                concat!(
                    r#"{"v":1,"command":"pause","reason":"","until":"2026-11-22T04:30:00Z","#,
                    r#""then":"abort"}"#
                ),
            ),
            (
                Command::Resume { reason: None },
                r#"{"v":1,"command":"resume"}"#,
            ),
            (
                Command::Recover { reason: None },
                r#"{"v":1,"command":"recover"}"#,
            ),
            (
                Command::TakeOver { reason: reason() },
                r#"{"v":1,"command":"take_over","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Retry { reason: reason() },
                r#"{"v":1,"command":"retry","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Cordon {
                    site: site(),
                    reason: reason(),
                },
                r#"{"v":1,"command":"cordon","site":"fra","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Uncordon {
                    site: site(),
                    reason: reason(),
                },
                r#"{"v":1,"command":"uncordon","site":"fra","reason":"kernel \"oops\"\nat 3"}"#,
            ),
            (
                Command::Withdraw {
                    site: site(),
                    reason: String::new(),
                    below_floor: true,
                },
                r#"{"v":1,"command":"withdraw","site":"fra","reason":"","below_floor":true}"#,
            ),
            (
                Command::Restore {
                    site: site(),
                    reason: String::new(),
                    unverified: false,
                },
                r#"{"v":1,"command":"restore","site":"fra","reason":""}"#,
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
                    r#"{"v":1,"command":"rebuild","site":"fra","reason":"","without":["fra2"],"#,
                    r#""without_ns":["10.0.2.53"],"images":"last-good","restore":true,"kept":true}"#
                ),
            ),
        ];
        for (command, line) in lines {
            assert_eq!(command.line(), format!("{line}\n"));
            assert_eq!(Command::parse(line.as_bytes()).unwrap(), command);
        }
    }

    #[test]
    fn a_command_that_is_not_understood_in_full_is_refused() {
        let lines = [
            (
                r#"{"v":1,"command":"rebuild","site":"fra","reason":"","below_flor":true}"#,
                "flor",
            ),
            (
                r#"{"v":1,"command":"withdraw","site":"fra","reason":"","force":1}"#,
                "force",
            ),
            (r#"{"v":1,"command":"status","site":"fra"}"#, "site"),
            (r#"{"v":1,"command":"withdraw","site":"fra"}"#, "reason"),
            (
                r#"{"v":1,"command":"cordon","site":"Fra!","reason":""}"#,
                "'F'",
            ),
            (r#"{"v":1,"command":"explode"}"#, "explode"),
            (r#"{"v":1}"#, "command"),
            (r#"{"v":2,"command":"status"}"#, "version 2"),
            (r#"{"v":"1","command":"status"}"#, "version"),
            (r#"{"command":"status"}"#, "version none"),
            (r#"["status"]"#, "JSON object"),
            (r#"{"v":1,"command":"status"} x"#, "trailing"),
            ("", "EOF"),
        ];
        for (line, word) in lines {
            let why = Command::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(why.contains(word), "{line}: {why}");
        }
        let deep = "[".repeat(60_000);
        assert!(Command::parse(deep.as_bytes()).is_err());
        assert!(Command::parse(b"\xff\xfe\0{").is_err());
    }

    #[test]
    fn replies_are_read_back_and_may_grow() {
        let refusal = Refusal {
            rule: "floor".to_owned(),
            what: "www A would have 1 site of 2".to_owned(),
            cure: "wait".to_owned(),
            exit: 4,
        };
        let replies = [
            (Reply::Ok(serde_json::json!({})), r#"{"v":1,"ok":{}}"#),
            (Reply::Ok(Value::Null), r#"{"v":1,"ok":null}"#),
            (
                Reply::Refused(refusal),
                concat!(
                    r#"{"v":1,"error":{"rule":"floor","what":"www A would have 1 site of 2","#,
                    r#""cure":"wait","exit":4}}"#
                ),
            ),
        ];
        for (reply, line) in replies {
            assert_eq!(reply.line(), format!("{line}\n"));
            assert_eq!(Reply::parse(line.as_bytes()).unwrap(), reply);
        }
        let grown = br#"{"v":1,"n":7,"error":{"rule":"r","what":"w","cure":"c","exit":4,"x":1}}"#;
        assert!(matches!(Reply::parse(grown), Ok(Reply::Refused(_))));
        assert!(Reply::parse(br#"{"v":1}"#).is_err());
    }

    fn site() -> SiteName {
        "fra".parse().unwrap()
    }

    fn reason() -> String {
        "kernel \"oops\"\nat 3".to_owned()
    }
}
