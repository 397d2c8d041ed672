//! Somebody's word for a digest is written down.
use crate::daemon::audit::Asking;
use crate::daemon::journal::JournalError;
use crate::model::image::Digest;
use crate::model::release::Approval;
use crate::model::time::Now;
use crate::store::Store;

/// Remembers that whoever asks tried a digest, and found it good.
///
/// # Errors
/// Failures to write.
pub fn approve(
    store: &mut Store,
    asking: &Asking,
    (digest, reason): (&Digest, &str),
    now: Now,
) -> Result<(), JournalError> {
    let approval = Approval {
        at: now.wall,
        digest: digest.clone(),
        who: asking.by.who.clone(),
        way: asking.by.way,
        reason: reason.to_owned(),
    };
    Ok(store.keep_approval(&approval, &[asking.taken(now.wall)])?)
}
