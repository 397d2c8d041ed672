//! What every answer tells browsers: run nothing, show nothing, load nothing that is not ours.
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// No inline script or style runs, so that a name that is markup would do nothing even if it were
/// not escaped; no other page shows ours in a frame; forms go nowhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Pages of others do not hear where their reader came from; ours do: a form without a referrer
/// would have no origin either.
const REFERRER: &str = "same-origin";

const ALWAYS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, REFERRER),
];

/// Nothing is kept by anybody on the way, except what says so itself.
pub(super) async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}
