//! Compose files → [`Project`](crate::model::service::Project), resolved for one host.
mod document;
mod files;
#[cfg(test)]
mod fixture;
mod gather;
#[cfg(test)]
mod hostile;
mod networks;
mod not_carried;
mod order;
mod project;
#[cfg(test)]
mod real_life;
mod resources;
mod service;
mod text;

pub use project::{Request, Variable, read};
pub(crate) use text::dotenv;
