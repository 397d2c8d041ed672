//! The meter: whether a site's traffic is gone, or back.
mod meter;
mod sampler;
mod source;
mod window;

pub use meter::Meter;
pub use source::PacketSource;
pub use window::Packets;
