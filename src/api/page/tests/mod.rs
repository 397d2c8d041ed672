//! The page as its readers meet it: what it shows, who comes in, and what is asked with it.
mod asks;
mod comes_in;
mod sheet;
mod shows;
mod stage;
pub(super) mod story;
