//! Whether somebody answers where messages are posted to, without a message: the place itself is not
//! asked, for its path may be a secret, and whoever asks there is taken at their word.
use std::time::Duration;

use reqwest::Url;

use super::{client, innermost};

const WITHIN: Duration = Duration::from_secs(5);

/// Asks the server of `url` for the head of its first page, the way a message would go: by its name,
/// through the same proxy, with the same certificates. Any answer will do.
///
/// # Errors
/// Why there is none; nothing of the URL is in it.
pub async fn reach(url: &str) -> Result<(), String> {
    let url: Url = url.parse().map_err(|_| "its url is none".to_owned())?;
    let is_plain = url.scheme() == "http";
    let first_page = url
        .join("/")
        .map_err(|_| "its url names no server".to_owned())?;
    let client = client(is_plain).map_err(innermost)?;
    let asked = client.head(first_page).timeout(WITHIN).send();
    asked.await.map(drop).map_err(innermost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::stub::{Stub, http};

    #[tokio::test]
    async fn whoever_answers_is_reached_and_hears_nothing_of_the_path() {
        let mut stub = Stub::start("127.0.0.1", |_| http("405 Method Not Allowed", &[], "")).await;
        let url = format!("http://{}/services/T0/SECRET?token=SECRET", stub.address);
        assert_eq!(reach(&url).await, Ok(()));
        let heard = stub.requests();
        assert_eq!(heard.len(), 1);
        assert!(heard[0].starts_with("HEAD / HTTP/1.1"), "{heard:?}");
        assert!(!heard[0].contains("SECRET"), "{heard:?}");
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let free = nobody.local_addr().unwrap();
        drop(nobody);
        let url = format!("http://{free}/services/T0/SECRET");
        let why = reach(&url).await.unwrap_err();
        assert!(!why.contains("SECRET"), "{why}");
    }
}
