//! What can be asked for on the page, and what each says will happen.
use std::str::FromStr;

use crate::api::token::Right;

/// One thing that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api::page) enum Act {
    Rotate,
    Retry,
    Pause,
    Resume,
    Abort,
    Rebuild,
    Withdraw,
    Restore,
    Cordon,
    Uncordon,
    Clear,
}

impl Act {
    pub(in crate::api::page) const ALL: [Act; 11] = [
        Act::Rotate,
        Act::Retry,
        Act::Pause,
        Act::Resume,
        Act::Abort,
        Act::Rebuild,
        Act::Withdraw,
        Act::Restore,
        Act::Cordon,
        Act::Uncordon,
        Act::Clear,
    ];

    /// The command's word.
    pub(in crate::api::page) fn word(self) -> &'static str {
        match self {
            Act::Rotate => "rotate",
            Act::Retry => "retry",
            Act::Pause => "pause",
            Act::Resume => "resume",
            Act::Abort => "abort",
            Act::Rebuild => "rebuild",
            Act::Withdraw => "withdraw",
            Act::Restore => "restore",
            Act::Cordon => "cordon",
            Act::Uncordon => "uncordon",
            Act::Clear => "clear",
        }
    }

    /// What stands on its button.
    pub(in crate::api::page) fn label(self) -> &'static str {
        match self {
            Act::Rotate => "Rotate",
            Act::Retry => "Retry",
            Act::Pause => "Pause",
            Act::Resume => "Resume",
            Act::Abort => "Abort",
            Act::Rebuild => "Rebuild",
            Act::Withdraw => "Withdraw",
            Act::Restore => "Restore",
            Act::Cordon => "Cordon",
            Act::Uncordon => "Uncordon",
            Act::Clear => "Clear",
        }
    }

    /// What the API calls it: its path after `/v1/`.
    pub(in crate::api::page) fn command(self) -> &'static str {
        match self {
            Act::Clear => "release/clear",
            Act::Rotate
            | Act::Retry
            | Act::Pause
            | Act::Resume
            | Act::Abort
            | Act::Rebuild
            | Act::Withdraw
            | Act::Restore
            | Act::Cordon
            | Act::Uncordon => self.word(),
        }
    }

    /// What it takes to be shown its form; what is asked for with it may take more.
    pub(in crate::api::page) fn right(self) -> Right {
        match self {
            Act::Clear => Right::Release,
            Act::Rotate
            | Act::Retry
            | Act::Pause
            | Act::Resume
            | Act::Abort
            | Act::Rebuild
            | Act::Withdraw
            | Act::Restore
            | Act::Cordon
            | Act::Uncordon => Right::Steer,
        }
    }

    pub(in crate::api::page) fn is_about_a_site(self) -> bool {
        match self {
            Act::Rotate | Act::Retry | Act::Pause | Act::Resume | Act::Abort | Act::Clear => false,
            Act::Rebuild | Act::Withdraw | Act::Restore | Act::Cordon | Act::Uncordon => true,
        }
    }

    /// Whether it takes something away from users' reach, or ends something.
    pub(in crate::api::page) fn is_grave(self) -> bool {
        match self {
            Act::Abort | Act::Rebuild | Act::Withdraw => true,
            Act::Rotate
            | Act::Retry
            | Act::Pause
            | Act::Resume
            | Act::Restore
            | Act::Cordon
            | Act::Uncordon
            | Act::Clear => false,
        }
    }

    /// What will happen, for people who have not read the manual tonight.
    pub(in crate::api::page) fn what_happens(self) -> &'static str {
        match self {
            Act::Rotate => {
                "The sites of the playbook are visited, one wave after the other: each leaves DNS, \
                 is drained, recreated, verified, restored and watched. Their digests are pinned \
                 when it is planned."
            }
            Act::Retry => {
                "A new rotation of the sites that the last one did not complete, from the tags as \
                 they are now."
            }
            Act::Pause => {
                "Nothing further begins: no visit, no withdrawal, no first stop. A site that is \
                 being recreated is finished, verified and put back. The marker stays held: nobody \
                 else begins."
            }
            Act::Resume => "The rotation goes on where it is held.",
            Act::Abort => {
                "The site in hand is brought to safety: put back as it was where nothing of it was \
                 stopped, else recreated and verified first. Then the rotation is over; what is \
                 left of it is not visited."
            }
            Act::Rebuild => {
                "The site is visited now: it leaves DNS if the floor holds without it, is drained, \
                 recreated, verified and restored. While a rotation runs, that follows the visits \
                 in hand."
            }
            Act::Withdraw => {
                "The site leaves DNS by one UPDATE if the floor holds without it, and is held out \
                 until somebody restores it. None of its containers is touched."
            }
            Act::Restore => {
                "The site is verified as it stands, and goes back into DNS when it passes."
            }
            Act::Cordon => {
                "Rotations skip the site from now on. Its DNS is not touched, and what runs stays."
            }
            Act::Uncordon => "Rotations visit the site again.",
            Act::Clear => {
                "The digest may be planned again, everywhere. No site is touched: whatever rotates \
                 next takes it where a tag names it. Meant for a digest that was not the fault."
            }
        }
    }

    /// The field that overrides a rule, and what is said beside it.
    pub(in crate::api::page) fn force(self) -> Option<(&'static str, &'static str)> {
        match self {
            Act::Rebuild | Act::Withdraw => Some((
                "below_floor",
                "Below the floor: though fewer sites than the floor would serve",
            )),
            Act::Restore => Some((
                "unverified",
                "Unverified: though nobody has looked whether it serves",
            )),
            Act::Rotate
            | Act::Retry
            | Act::Pause
            | Act::Resume
            | Act::Abort
            | Act::Cordon
            | Act::Uncordon
            | Act::Clear => None,
        }
    }
}

impl FromStr for Act {
    type Err = ();

    fn from_str(word: &str) -> Result<Act, ()> {
        Act::ALL
            .into_iter()
            .find(|act| act.word() == word)
            .ok_or(())
    }
}
