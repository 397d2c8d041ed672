//! The OpenTelemetry protocol: spans, in protobuf over HTTP, to where `[traces]` says. Only a
//! program that was built with the feature `otlp` has a collector to speak to.
#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod collector;
#[cfg(all(test, feature = "otlp"))]
mod tests;

#[cfg(not(feature = "otlp"))]
pub use absent::Collector;
#[cfg(feature = "otlp")]
pub use collector::Collector;
