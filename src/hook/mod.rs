//! What others have a word in: the playbook's command that comes before, and the hooks of site.toml.
mod before;
mod call;
mod command;
mod http;
mod process;

#[cfg(test)]
mod tests;

pub use before::run_before;
pub use call::call;
pub use process::find;
