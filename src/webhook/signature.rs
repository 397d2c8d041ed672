//! Who said it: an HMAC over what is said, and when.
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// Under this name the signature of a body goes along.
pub const SIGNATURE: &str = "cleanslate-signature";

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a dot and the body, so that a message that was
/// overheard cannot be sent again much later.
pub fn signature(key: &[u8], now: Timestamp, body: &str) -> String {
    let seconds = now.as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let sum = HEXLOWER.encode(&mac.finalize().into_bytes());
    format!("t={seconds},v1={sum}")
}
