//! Whether a form was sent from a page of ours, as browsers tell it.
use axum::http::{HeaderMap, HeaderName, header};

use super::super::answer::text_of;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// # Errors
/// Why that is not so; a request that does not tell is none of ours.
pub(in crate::api::page) fn check(headers: &HeaderMap) -> Result<(), String> {
    if let Some(site) = text_of(headers, &FETCH_SITE)
        && site != "same-origin"
    {
        return Err(format!("the browser says that it is {site}"));
    }
    let host = text_of(headers, &header::HOST).ok_or("it names no host")?;
    let origin = text_of(headers, &header::ORIGIN).filter(|origin| *origin != "null");
    let from = origin.or_else(|| text_of(headers, &header::REFERER));
    let from = from.ok_or("it does not tell from where it comes")?;
    match authority(from) {
        Some(authority) if authority.eq_ignore_ascii_case(host) => Ok(()),
        Some(_) | None => Err(format!("it comes from {from:?}, and this is {host:?}")),
    }
}

/// Whether a browser was led here by a page of somebody else's: then it kept its cookie back.
pub(super) fn is_led_here(headers: &HeaderMap) -> bool {
    text_of(headers, &FETCH_SITE) == Some("cross-site")
}

/// Whether the host is this machine by its own name: no page of others can be called so.
pub(super) fn is_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = text_of(headers, &header::HOST) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_ours_is_one() {
        let ours = [
            vec![("origin", "https://ops:8443")],
            vec![
                ("origin", "https://OPS:8443"),
                ("sec-fetch-site", "same-origin"),
            ],
            vec![("referer", "https://ops:8443/ask/pause?x")],
            vec![("origin", "null"), ("referer", "https://ops:8443/")],
        ];
        for headers in ours {
            assert_eq!(check(&of("ops:8443", &headers)), Ok(()), "{headers:?}");
        }
        let others = [
            vec![],
            vec![("origin", "https://ops")],
            vec![("origin", "https://ops:8444")],
            vec![
                ("origin", "https://evil.example"),
                ("referer", "https://ops:8443/"),
            ],
            vec![("origin", "https://ops:8443.evil.example")],
            vec![("referer", "https://evil.example/https://ops:8443/")],
            vec![("origin", "null")],
            vec![("origin", "ops:8443")],
            vec![
                ("origin", "https://ops:8443"),
                ("sec-fetch-site", "same-site"),
            ],
        ];
        for headers in others {
            assert!(check(&of("ops:8443", &headers)).is_err(), "{headers:?}");
        }
    }

    #[test]
    fn a_name_that_somebody_points_here_is_not_this_machine() {
        for host in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_this_machine(&of(host, &[])), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
            "::2",
        ] {
            assert!(!is_this_machine(&of(host, &[])), "{host}");
        }
        assert!(!is_this_machine(&HeaderMap::new()));
    }

    fn of(host: &str, headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(header::HOST, host.parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        map
    }
}
