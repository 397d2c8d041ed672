//! What seeds cannot promise: every crash of a night, and every order in which two coordinators
//! and their messages can meet.
mod crash;
mod meetings;
mod search;
mod shape;
mod table;

/// Whether a test was told that it may take minutes: `make sim` does.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told how long it may take"
)]
fn is_at_length() -> bool {
    std::env::var("CLEANSLATE_NIGHTS").is_ok()
}
