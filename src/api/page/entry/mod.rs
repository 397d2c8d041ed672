//! How people come in: who signed in, what their browser keeps, and from where a form came.
mod same_origin;
mod session;
mod sign_in;
mod ticket;
mod visitor;

pub(super) use same_origin::check as same_origin;
pub(in crate::api) use session::Sessions;
pub(super) use sign_in::{form, sign_in, sign_out};
pub(in crate::api) use ticket::Ticket;
pub(super) use visitor::{Visitor, no_random};
