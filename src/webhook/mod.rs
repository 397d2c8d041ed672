//! What every POST to somebody outside has in common: who it comes from, and that nobody sends it on.
mod reach;
mod signature;

pub use reach::reach;
pub use signature::{SIGNATURE, signature};

/// A client that follows no redirect: whoever answers must not send what is said, or us, to
/// somebody else.
///
/// # Errors
/// The system has no certificates to check others by.
pub fn client(is_plain: bool) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("cleanslate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    let builder = if is_plain {
        builder.tls_certs_only([])
    } else {
        builder.https_only(true)
    };
    builder.build()
}

/// What was at the bottom of a failure, without the URL, which may be a secret.
pub fn innermost(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut last: &dyn std::error::Error = &error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
