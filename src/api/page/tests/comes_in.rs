//! Who comes in, and who does not.
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::stage::Stage;
use crate::api::token::Role;

#[tokio::test]
async fn a_token_signs_in_until_it_is_revoked_and_no_browser_keeps_it() {
    let stage = Stage::new();
    let mut browser = stage.browser();
    let said = browser.get("/rotations?last=3").await;
    assert_eq!(said.status, 303);
    assert_eq!(
        said.header("location"),
        Some("/login?to=%2Frotations%3Flast%3D3")
    );
    let form = browser.get("/login?to=%2Frotations").await;
    assert!(
        form.body.contains("name=\"to\" value=\"/rotations\""),
        "{}",
        form.body
    );

    let token = stage.token(Role::Operator);
    let said = browser.sign_in(&token).await;
    assert_eq!((said.status, said.header("location")), (303, Some("/")));
    let set = said.header("set-cookie").unwrap();
    for part in [
        "cleanslate=",
        "; Path=/",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Max-Age=43",
    ] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(&token[11..]), "{set}");
    let page = browser.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("token operator"), "{}", page.body);

    stage.tokens.revoke("operator", Timestamp::now()).unwrap();
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn whoever_leaves_is_out_and_so_is_whoever_copied_their_cookie() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Viewer).await;
    let page = browser.get("/").await;
    // A form of somebody else's signs nobody out.
    browser.post("/logout", "form=x").await;
    assert_eq!(browser.get("/").await.status, 200);
    let form = page.hidden("form");
    let said = browser.post("/logout", &format!("form={form}")).await;
    assert_eq!(said.header("location"), Some("/login"));
    assert!(said.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/").await.status, 303);
}

#[tokio::test]
async fn wrong_tokens_are_slowed_down_and_told() {
    let stage = Stage::new();
    let mut browser = stage.browser();
    let began = Instant::now();
    for _ in 0..3 {
        let said = browser.sign_in("cleanslate_nonsense").await;
        assert_eq!(said.status, 401);
        assert!(
            said.body.contains("this token is not known"),
            "{}",
            said.body
        );
        assert!(said.header("set-cookie").is_none());
    }
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        browser.sign_in(&stage.token(Role::Viewer)).await.status,
        303
    );
}

#[tokio::test]
async fn a_session_reads_the_api_and_asks_for_nothing_there() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Admin).await;
    let status = browser.get("/v1/status").await;
    assert_eq!(status.status, 200);
    assert!(
        status.body.contains("\"fleet\":\"edge\""),
        "{}",
        status.body
    );
    let json = [("content-type", "application/json")];
    let said = browser
        .request("POST", "/v1/abort", &json, "{\"reason\":\"x\"}")
        .await;
    assert_eq!(said.status, 401, "{}", said.body);
    assert_eq!(stage.asked(), Vec::<String>::new());
    let mut forged = stage.browser();
    forged.cookie = format!("cleanslate={}", "A".repeat(43));
    assert_eq!(forged.get("/v1/status").await.status, 401);
}

#[tokio::test]
async fn a_link_from_a_chat_leads_on_though_the_cookie_was_kept_back() {
    let stage = Stage::new();
    let from_chat = [("sec-fetch-site", "cross-site")];
    let path = "/ask/rebuild?site=nyc";
    let said = stage.browser().request("GET", path, &from_chat, "").await;
    assert_eq!(said.status, 200);
    let next = "content=\"0;url=/ask/rebuild?site=nyc\"";
    assert!(said.body.contains(next), "{}", said.body);
    // Led on by that page, the cookie comes with it; without one they sign in.
    let led = [("sec-fetch-site", "same-origin")];
    let said = stage.browser().request("GET", path, &led, "").await;
    assert_eq!(said.status, 303);
}

#[tokio::test]
async fn everything_that_is_answered_is_guarded() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Viewer).await;
    for path in [
        "/",
        "/login",
        "/rotations",
        "/v1/status",
        "/healthz",
        "/nothing",
        "/files/page.js",
    ] {
        let said = browser.get(path).await;
        let policy = said.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(said.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(said.header("referrer-policy"), Some("same-origin"));
        let kept = if path.starts_with("/files") {
            "no-cache"
        } else {
            "no-store"
        };
        assert_eq!(said.header("cache-control"), Some(kept), "{path}");
    }
}

#[tokio::test]
async fn files_are_ours_and_are_sent_once() {
    let stage = Stage::new();
    let browser = stage.browser();
    for (file, kind) in [
        ("page.css", "text/css"),
        ("page.js", "text/javascript"),
        ("icon.svg", "image/svg"),
    ] {
        let path = format!("/files/{file}");
        let said = browser.get(&path).await;
        assert!(said.header("content-type").unwrap().starts_with(kind));
        assert!(
            !said.body.contains("://") || file == "icon.svg",
            "from elsewhere: {file}"
        );
        let tag = said.header("etag").unwrap();
        let again = browser
            .request("GET", &path, &[("if-none-match", tag)], "")
            .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    assert_eq!(browser.get("/files/..%2Fmod.rs").await.status, 404);
}
