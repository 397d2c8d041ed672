//! Events as the journal holds them: a version on every record, the clock beside the fact.
use serde::{Deserialize, Serialize};

use crate::coordinator::event::Event;
use crate::coordinator::state::{Carried, State};
use crate::model::id::RotationId;
use crate::model::time::{Mono, Now};
use crate::store::{Entry, Reader, Record, Row, Store, StoreError};

/// The format of records and snapshots written by this program.
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Body {
    mono: Mono,
    #[serde(flatten)]
    event: Event,
}

#[derive(Serialize)]
struct BodyRef<'a> {
    mono: Mono,
    #[serde(flatten)]
    event: &'a Event,
}

/// What the journal could not be read or written for.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("record {seq} of the journal cannot be read as an event of version {VERSION}: {why}")]
    Unreadable { seq: u64, why: String },
    #[error("act {id} of the ledger cannot be read: {why}")]
    Act { id: u64, why: String },
}

impl JournalError {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            JournalError::Store(error) => error.cure(),
            JournalError::Unreadable { .. } | JournalError::Act { .. } => {
                "use the cleanslate that wrote it, or a later one".to_owned()
            }
        }
    }
}

/// Writes events, and what the audit is to tell of them, durable on return.
pub(super) fn append(
    store: &mut Store,
    rotation: Option<&RotationId>,
    (events, audit): (&[Event], &[Entry]),
    now: Now,
) -> Result<u64, JournalError> {
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let body = serde_json::to_string(&BodyRef {
            mono: now.mono,
            event,
        })
        .map_err(|error| JournalError::Unreadable {
            seq: 0,
            why: error.to_string(),
        })?;
        records.push(Record {
            rotation: rotation_of(event).or(rotation).cloned(),
            at: now.wall,
            kind: kind_of(&body),
            version: VERSION,
            body,
        });
    }
    Ok(store.append_audited(&records, audit)?)
}

/// Reads one record back.
pub(super) fn event_of(row: &Row) -> Result<(Event, Now), JournalError> {
    let unreadable = |why: String| JournalError::Unreadable { seq: row.seq, why };
    if row.record.version != VERSION {
        let version = row.record.version;
        return Err(unreadable(format!(
            "it is of version {version}: use a newer cleanslate"
        )));
    }
    let body: Body =
        serde_json::from_str(&row.record.body).map_err(|error| unreadable(error.to_string()))?;
    Ok((
        body.event,
        Now {
            mono: body.mono,
            wall: row.record.at,
        },
    ))
}

/// The state at the last snapshot, and every event since.
pub(super) fn read(reader: &Reader) -> Result<(State, Vec<(Event, Now)>), JournalError> {
    let snapshot = reader.latest_snapshot()?;
    let (state, from) = match snapshot {
        Some(snapshot) => {
            let carried: Carried =
                serde_json::from_str(&snapshot.body).map_err(|error| JournalError::Unreadable {
                    seq: snapshot.seq,
                    why: error.to_string(),
                })?;
            (State::from(carried), snapshot.seq + 1)
        }
        None => (State::default(), 1),
    };
    let rows = reader.read(from)?;
    let events = rows.iter().map(event_of).collect::<Result<_, _>>()?;
    Ok((state, events))
}

/// After a rotation has ended: replay begins here.
pub(super) fn snapshot(store: &mut Store, state: &State) -> Result<(), JournalError> {
    let seq = store.last_seq()?;
    let body =
        serde_json::to_string(&Carried::from(state)).map_err(|error| JournalError::Unreadable {
            seq,
            why: error.to_string(),
        })?;
    Ok(store.save_snapshot(seq, VERSION, &body)?)
}

fn rotation_of(event: &Event) -> Option<&RotationId> {
    if let Event::Planned { plan } = event {
        Some(&plan.id)
    } else {
        None
    }
}

/// The event's own name in the journal, for whoever reads it with SQL.
fn kind_of(body: &str) -> String {
    #[derive(Deserialize)]
    struct Kind {
        event: String,
    }
    serde_json::from_str::<Kind>(body)
        .map(|kind| kind.event)
        .unwrap_or_default()
}
