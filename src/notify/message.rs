//! What is said.
use jiff::Timestamp;
use serde::Serialize;

use crate::model::id::{FleetName, RotationId, SiteName};
use crate::model::notice::Severity;
use crate::model::template::{Field, Template};

/// Something that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    pub v: u8,
    pub fleet: FleetName,
    pub severity: Severity,
    /// What happened, as in the event lines; `missed_run` and the like have no line.
    pub event: String,
    /// All messages of one rotation belong together.
    pub rotation: Option<RotationId>,
    pub site: Option<SiteName>,
    pub at: Timestamp,
    pub text: String,
    /// What a person does next, a command most often.
    pub next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditHead>,
}

/// Where the audit ends: whoever keeps it can prove later that nothing before it was altered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditHead {
    pub records: u64,
    /// The hash over all of them, in hex.
    pub head: String,
}

impl Message {
    /// The text as `template` words it; each value goes through `escape` on its way.
    pub(super) fn worded(&self, template: &Template, escape: impl Fn(&str) -> String) -> String {
        template.fill(|field| escape(&self.value(field)))
    }

    /// Nothing, where there is none.
    fn value(&self, field: Field) -> String {
        match field {
            Field::At => format!("{:.0}", self.at),
            Field::Event => self.event.clone(),
            Field::Fleet => self.fleet.to_string(),
            Field::Next => self.next.clone().unwrap_or_default(),
            Field::Rotation => text_of(self.rotation.as_ref()),
            Field::Severity => self.severity.as_str().to_owned(),
            Field::Site => text_of(self.site.as_ref()),
            Field::Text => self.text.clone(),
        }
    }
}

fn text_of(value: Option<&impl ToString>) -> String {
    value.map_or(String::new(), ToString::to_string)
}
