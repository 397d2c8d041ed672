//! What is asked for with forms.
use super::stage::Stage;
use crate::api::token::Role;

#[tokio::test]
async fn what_is_asked_for_reaches_the_coordinator_in_the_name_of_whoever_asked() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Operator).await;
    let said = browser
        .fill_in("/ask/pause", "reason=a+look+at+fra&for=&until=&then=resume")
        .await;
    assert_eq!(
        (said.status, said.header("location")),
        (303, Some("/?taken=pause")),
        "{}",
        said.body
    );
    let said = browser
        .fill_in("/ask/rebuild?site=nyc", "site=nyc&reason=oops&without=nyc2")
        .await;
    assert_eq!(
        said.header("location"),
        Some("/?taken=rebuild&site=nyc"),
        "{}",
        said.body
    );
    let page = browser.get("/?taken=rebuild&site=nyc").await;
    assert!(page.body.contains("rebuild nyc: taken."), "{}", page.body);
    let asked = stage.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[0].starts_with("token operator: Pause { reason: \"a look at fra\""),
        "{asked:?}"
    );
    assert!(asked[1].contains("without: [\"nyc2\"]"), "{asked:?}");
}

#[tokio::test]
async fn a_refusal_names_the_rule_and_nothing_typed_is_lost() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Operator).await;
    let said = browser
        .fill_in("/ask/withdraw?site=nyc", "site=nyc&reason=fibre+%3Ccut%3E")
        .await;
    assert_eq!(said.status, 409);
    for part in [
        "Not done: floor",
        "www A would have 1 site of 2 &#60;b&#62;",
        "<bdi>wait</bdi>",
        ">fibre &#60;cut&#62;</textarea>",
        "name=\"site\" value=\"nyc\"",
    ] {
        assert!(said.body.contains(part), "{part}\n{}", said.body);
    }
    let said = browser
        .fill_in("/ask/pause", "reason=+&for=2+hours&then=abort")
        .await;
    assert_eq!(said.status, 422);
    for part in [
        "no reason was given",
        "<option selected>2 hours",
        "value=\"abort\" selected",
    ] {
        assert!(said.body.contains(part), "{part}\n{}", said.body);
    }
    assert_eq!(stage.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_form_of_somebody_elses_does_nothing() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Admin).await;
    let page = browser.get("/ask/abort").await;
    let (form, once) = (page.hidden("form"), page.hidden("once"));
    let right = format!("form={form}&once={once}&reason=x");
    let origin = format!("http://{}", stage.door.address());
    for (headers, body, status) in [
        // Another site, another port, another site's frame, and one that does not tell.
        (vec![("origin", "https://evil.example")], right.clone(), 403),
        (vec![("origin", "http://127.0.0.1:1")], right.clone(), 403),
        (vec![("origin", "null")], right.clone(), 403),
        (vec![], right.clone(), 403),
        (
            vec![
                ("origin", origin.as_str()),
                ("sec-fetch-site", "cross-site"),
            ],
            right.clone(),
            403,
        ),
        // Written by somebody who never read a page of theirs.
        (
            vec![("origin", &origin)],
            format!("once={once}&reason=x"),
            422,
        ),
        (
            vec![("origin", &origin)],
            format!("form=x&once={once}&reason=x"),
            422,
        ),
    ] {
        let said = browser.request("POST", "/ask/abort", &headers, &body).await;
        assert_eq!(said.status, status, "{headers:?} {body}");
    }
    let stranger = stage.browser();
    assert_eq!(stranger.post("/ask/abort", &right).await.status, 401);
    let other = stage.signed_in(Role::Operator).await;
    assert_eq!(
        other.post("/ask/abort", &right).await.status,
        422,
        "of another session"
    );
    assert_eq!(browser.get("/ask/abort?form=x&reason=x").await.status, 200);
    assert_eq!(stage.asked(), Vec::<String>::new());
    assert_eq!(browser.post("/ask/abort", &right).await.status, 303);
    assert_eq!(stage.asked().len(), 1);
}

#[tokio::test]
async fn a_button_pressed_twice_asks_once() {
    let stage = Stage::new();
    let browser = stage.signed_in(Role::Operator).await;
    let page = browser.get("/ask/rebuild?site=nyc").await;
    let (form, once) = (page.hidden("form"), page.hidden("once"));
    let body = format!("form={form}&once={once}&site=nyc&reason=oops");
    for _ in 0..2 {
        assert_eq!(browser.post("/ask/rebuild", &body).await.status, 303);
    }
    assert_eq!(stage.asked().len(), 1);
    browser
        .fill_in("/ask/rebuild?site=nyc", "site=nyc&reason=oops")
        .await;
    assert_eq!(stage.asked().len(), 2, "another form is another wish");
}

#[tokio::test]
async fn each_role_is_shown_and_given_what_it_may() {
    let stage = Stage::new();
    for role in [Role::Viewer, Role::Release] {
        let browser = stage.signed_in(role).await;
        let said = browser.get("/ask/pause").await;
        assert_eq!(said.status, 403);
        assert!(
            said.body.contains("this takes a token of role operator"),
            "{}",
            said.body
        );
        let form = browser.get("/").await.hidden("form");
        let said = browser
            .post("/ask/pause", &format!("form={form}&once=a&reason=x"))
            .await;
        assert_eq!(said.status, 403);
    }
    let operator = stage.signed_in(Role::Operator).await;
    let page = operator.get("/ask/withdraw?site=nyc").await;
    assert!(!page.body.contains("below_floor"), "{}", page.body);
    let forced = "site=nyc&reason=x&below_floor=on&typed=nyc";
    let said = operator.fill_in("/ask/withdraw?site=nyc", forced).await;
    assert_eq!(said.status, 403);
    assert!(said.body.contains("Not done: role"), "{}", said.body);
    assert_eq!(stage.asked(), Vec::<String>::new());

    let admin = stage.signed_in(Role::Admin).await;
    let path = "/ask/withdraw?site=nyc";
    assert!(admin.get(path).await.body.contains("name=\"below_floor\""));
    let said = admin
        .fill_in(path, "site=nyc&reason=x&below_floor=on&typed=ny")
        .await;
    assert!(
        said.body.contains("its name has to be typed"),
        "{}",
        said.body
    );
    assert_eq!(said.status, 422);
    let said = admin.fill_in(path, forced).await;
    assert_eq!(said.status, 303, "{}", said.body);
    assert!(stage.asked()[0].contains("below_floor: true"));
}

#[tokio::test]
async fn what_is_barred_is_cleared_by_whoever_may_release() {
    let stage = Stage::new();
    let digest = format!("sha256:{}", "5".repeat(64));
    let path = format!("/ask/clear?digest={digest}");
    let typed = format!("digest={digest}&reason=it+was+the+network");
    for role in [Role::Viewer, Role::Operator] {
        let browser = stage.signed_in(role).await;
        let said = browser.get(&path).await;
        assert_eq!(said.status, 403);
        let wants = "this takes a token of role release";
        assert!(said.body.contains(wants), "{}", said.body);
        let form = browser.get("/").await.hidden("form");
        let body = format!("form={form}&once=a&{typed}");
        assert_eq!(browser.post("/ask/clear", &body).await.status, 403);
    }
    assert_eq!(stage.asked(), Vec::<String>::new());
    for role in [Role::Release, Role::Admin] {
        let browser = stage.signed_in(role).await;
        assert_eq!(browser.get(&path).await.hidden("digest"), digest);
        let said = browser.fill_in(&path, &typed).await;
        assert_eq!(said.header("location"), Some("/?taken=clear"));
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[0].starts_with("token release: ReleaseClear"),
        "{asked:?}"
    );
    assert!(asked[0].contains("it was the network"), "{asked:?}");
}
