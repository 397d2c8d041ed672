//! Following a rotation while it runs: driving it, and showing it.
mod bars;
mod drive;
mod elsewhere;
mod night;
mod show;

pub(crate) use drive::{Work, drive, signals};
pub(crate) use elsewhere::{Elsewhere, Until};
pub(crate) use night::Night;
pub(crate) use show::Show;
