//! What a registry's 401 asks for: Basic (RFC 7617), or a token of its token server ("Token
//! Authentication Specification" and "OAuth2 Token Authentication" of the distribution project).
use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::credentials::Credentials;
use super::failure::{self, Place};
use super::session::{Answer, Scheme, Session, client, read};
use crate::coordinator::outcome::Problem;
use crate::model::text::Secret;

/// The `Authorization` with which the registry should let us in.
pub(super) async fn authorize(
    session: &Session,
    place: &Place<'_>,
    headers: &HeaderMap,
    scope: Option<&str>,
) -> Result<HeaderValue, Problem> {
    let challenge = Challenge::of(headers).ok_or_else(|| failure::no_challenge(place, session))?;
    match (challenge, &session.credentials) {
        (
            Challenge::Basic,
            Credentials::Password {
                username, password, ..
            },
        ) => Ok(basic(username, password)),
        (Challenge::Basic, Credentials::None) => Err(failure::unauthorized(place, session)),
        (Challenge::Basic, Credentials::IdentityToken { .. }) => {
            Err(failure::identity_token_unusable(place, session))
        }
        (Challenge::Bearer { realm, service }, _) => {
            let service = service.as_deref();
            let token = fetch(session, place, &realm, service, scope).await?;
            let value = format!("Bearer {}", token.reveal_text());
            sensitive(&value).ok_or_else(|| failure::bad_token(place, &realm))
        }
    }
}

/// One of the ways in that a 401 offers. Where it offers both, the token is taken: some token
/// servers do not accept at the registry what they accept at their own door.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

impl Challenge {
    fn of(headers: &HeaderMap) -> Option<Challenge> {
        let mut offers_basic = false;
        for header in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = header.to_str() else { continue };
            // A challenge that cannot be read hides those after it, never those before.
            for challenge in ChallengeParser::new(text).map_while(Result::ok) {
                let parameter = |name: &str| {
                    let mut parameters = challenge.params.iter();
                    let found = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
                if let (true, Some(realm)) = (is(challenge.scheme, "bearer"), realm) {
                    let service = parameter("service");
                    return Some(Challenge::Bearer { realm, service });
                }
                offers_basic |= is(challenge.scheme, "basic");
            }
        }
        offers_basic.then_some(Challenge::Basic)
    }
}

fn is(scheme: &str, name: &str) -> bool {
    scheme.eq_ignore_ascii_case(name)
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

async fn fetch(
    session: &Session,
    place: &Place<'_>,
    realm: &Url,
    service: Option<&str>,
    scope: Option<&str>,
) -> Result<Secret, Problem> {
    if session.scheme == Scheme::Tls && realm.scheme() != "https" {
        return Err(failure::plain_realm(place, realm));
    }
    let request = token_request(session, realm, service, scope)?;
    let answer = read(place, session, request).await?;
    token_of(session, place, realm, &answer)
}

fn token_request(
    session: &Session,
    realm: &Url,
    service: Option<&str>,
    scope: Option<&str>,
) -> Result<RequestBuilder, Problem> {
    let mut asked: Vec<(&str, &str)> = Vec::new();
    asked.extend(service.map(|service| ("service", service)));
    asked.extend(scope.map(|scope| ("scope", scope)));
    // A registry on plain HTTP may have its token server on TLS.
    let http = if realm.scheme() == "https" && session.scheme != Scheme::Tls {
        client(&session.host, Scheme::Tls)?
    } else {
        session.http.clone()
    };
    Ok(match &session.credentials {
        Credentials::None => http.get(realm.clone()).query(&asked),
        Credentials::Password {
            username, password, ..
        } => http
            .get(realm.clone())
            .query(&asked)
            .basic_auth(username, Some(password.reveal_text())),
        Credentials::IdentityToken { token, .. } => {
            let token = token.reveal_text();
            asked.push(("grant_type", "refresh_token"));
            asked.push(("client_id", "cleanslate"));
            asked.push(("refresh_token", &token));
            http.post(realm.clone()).form(&asked)
        }
    })
}

fn token_of(
    session: &Session,
    place: &Place<'_>,
    realm: &Url,
    answer: &Answer,
) -> Result<Secret, Problem> {
    match answer.status {
        // 400 is how OAuth refuses a refresh token (RFC 6749, section 5.2).
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
            return Err(failure::unauthorized(place, session));
        }
        status if !status.is_success() => {
            return Err(failure::of_token_server(place, session, realm, answer));
        }
        _ => {}
    }
    let parsed: Option<TokenAnswer> = serde_json::from_slice(&answer.body).ok();
    parsed
        .and_then(|answer| answer.token.or(answer.access_token))
        .filter(|token| !token.is_empty())
        .map(Secret::from)
        .ok_or_else(|| failure::bad_token(place, realm))
}

fn basic(username: &str, password: &Secret) -> HeaderValue {
    let pair = [username.as_bytes(), b":", password.reveal()].concat();
    sensitive(&format!("Basic {}", data_encoding::BASE64.encode(&pair)))
        .expect("base64 fits in a header")
}

fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::credentials::Source;

    #[test]
    fn challenges_are_read_in_every_way_they_are_written() {
        let bearer = |service: Option<&str>| {
            Some(Challenge::Bearer {
                realm: Url::parse("https://auth.example.com/token").unwrap(),
                service: service.map(str::to_owned),
            })
        };
        let cases: [(&[&str], Option<Challenge>); 6] = [
            (&[r#"Basic realm="Registry""#], Some(Challenge::Basic)),
            (
                &[
                    r#"Bearer realm="https://auth.example.com/token",service="r,1",scope="a:b:pull,push""#,
                ],
                bearer(Some("r,1")),
            ),
            (
                &[r#"bearer Realm="https://auth.example.com/token""#],
                bearer(None),
            ),
            (
                &[
                    r#"Basic realm="x""#,
                    r#"Bearer realm="https://auth.example.com/token""#,
                ],
                bearer(None),
            ),
            (&[r#"Bearer realm="no url""#], None),
            (&[r#"Negotiate"#], None),
        ];
        for (texts, expected) in cases {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(text));
            }
            assert_eq!(Challenge::of(&headers), expected, "{texts:?}");
        }
    }

    #[tokio::test]
    async fn credentials_do_not_leave_tls_for_a_token_server() {
        // Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let credentials = Credentials::Password {
            username: "robot".to_owned(),
            password: "s3cret".into(),
            from: Source::SiteToml {
                host: "r.example.com".to_owned(),
            },
        };
        let session = Session::open("r.example.com", Scheme::Tls, credentials).unwrap();
        let offer = HeaderValue::from_static(r#"Bearer realm="http://127.0.0.1:9/token""#);
        let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, offer)]);
        let place = Place::Registry("r.example.com");
        let problem = authorize(&session, &place, &headers, None).await;
        assert_eq!(
            problem.unwrap_err().what,
            "r.example.com: the registry is on TLS and sends us to a token server without \
             (http://127.0.0.1:9)"
        );
    }

    #[test]
    fn what_lets_us_in_is_never_printed() {
        let value = basic("robot", &"pa:ss".into());
        assert_eq!(value.as_bytes(), b"Basic cm9ib3Q6cGE6c3M=");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
