//! One rotation in time: its lines, what follows from them, and the picture of it.
mod picture;
mod tale;
mod timeline;

pub(super) use picture::Picture;
pub(super) use tale::Tale;
pub(super) use timeline::{Running, Timeline};
