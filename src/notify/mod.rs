//! Messages to people's chats and programs: one POST each, to where a `[[notify]]` says.
mod message;
mod slack;
mod threads;
mod webhook;

#[cfg(test)]
mod tests;

pub use message::{AuditHead, Message};
pub use webhook::Webhook;
