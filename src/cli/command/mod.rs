//! One file a command.
pub(super) mod abort;
mod act;
pub(super) mod by_hand;
pub(super) mod check;
pub(super) mod doctor;
mod dry_run;
pub(super) mod history;
pub(super) mod init;
pub(super) mod plan;
mod preview;
pub(super) mod pull;
pub(super) mod rebuild;
pub(super) mod recover;
pub(super) mod report;
pub(super) mod retry;
pub(super) mod rotate;
pub(super) mod status;
pub(super) mod take_over;
