//! Real name servers on loopback, and a proxy that spoils what passes between them and us.
mod bind;
mod knot;
mod liar;
mod powerdns;
mod process;
mod proxy;
mod zone;

pub(crate) use bind::Bind;
pub(crate) use knot::Knot;
pub(crate) use liar::{Liar, Lie};
pub(crate) use powerdns::PowerDns;
pub(crate) use process::Server;
pub(crate) use proxy::{Fault, Proxy, replay};
pub(crate) use zone::{a_marker, addresses, declared, key, next, record, withdrawal};
