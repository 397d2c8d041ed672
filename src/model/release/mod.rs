//! Releases: which tags are moved to which manifests, and how several moves become one act that ends
//! with all of them done or none; which good ones are kept, and
//! under which names.
mod act;
mod approval;
mod followed;
mod kept;
mod ledger;
mod mover;
mod rule;
mod terms;
#[cfg(test)]
mod tests;

pub use act::{Act, End, Left, Move, Phase, Verb};
pub use approval::{Approval, approved_by};
pub use followed::{Followed, followed, sites_of};
pub use kept::{Facts, KeepPhase, KeepTag, Upkeep, Wanted, kept_at};
pub use ledger::{Cause, Moved, Passed, Running, back_to, running};
pub use mover::{Mover, Want};
pub use rule::{RuleError, TagName, TagRule};
pub use terms::Terms;
