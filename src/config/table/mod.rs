//! TOML tables, read key by key, every mistake reported with its place.
mod reader;
mod units;
mod value;
mod zone;

pub(crate) use reader::{Table, parse};
pub(crate) use units::show;
pub(crate) use value::{Bytes, FromToml, Named, Share, Value, parse_name};
