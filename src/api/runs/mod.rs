//! What ran at each site after each of the last nights, and the picture of it.
mod declared;
mod draw;
mod legend;
mod palette;
mod read;
mod svg;

pub(crate) use declared::Declared;
pub(crate) use draw::draw;
pub(crate) use read::{Runs, Sources};

#[cfg(test)]
mod tests;
