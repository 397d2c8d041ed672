//! From the tables of `site.toml` to the fleet they mean: names are looked up, Compose files
//! resolved for each host, rules of the whole checked.
mod fleet;
mod hosts;
pub(crate) mod names;
mod pins;
mod ports;
mod records;
mod rules;

pub(crate) use fleet::resolve;
