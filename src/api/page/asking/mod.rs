//! Asking the coordinator for something: a form that says what will happen and asks why, then the
//! same command that the API takes.
mod act;
mod ask;
mod fields;
mod form;
mod write;

pub(super) use act::Act;
pub(super) use ask::{form, send};
pub(super) use fields::Fields;
#[cfg(test)]
pub(super) use form::Form;
