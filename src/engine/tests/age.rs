//! How old containers are.
use std::time::Duration;

use jiff::Timestamp;

use super::yard::{Yard, run};
use crate::model::service::Keep;

#[tokio::test]
async fn the_oldest_container_that_visits_recreate_is_told_and_no_other() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut db = yard.service("db", &image);
    db.keep = Keep::Yes;
    let project = yard.project(vec![db, yard.service("web", &image)]);
    let engine = yard.engine(vec![project]);
    assert_eq!(engine.oldest().await.unwrap(), None);
    let stray = format!("com.docker.compose.project={}", yard.name);
    yard.stranger("old", &["--label", &stray, &image.to_string()]);
    let service = |name: &str| format!("  {name}:\n    image: {image}\n");
    yard.compose_up(&format!("services:\n{}", service("db")));
    assert_eq!(engine.oldest().await.unwrap(), None, "kept, or nobody's");
    // Engines tell whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    yard.compose_up(&format!("services:\n{}{}", service("db"), service("web")));
    let web = yard.compose(&["ps", "-q", "web"]);
    run("docker", &["kill", web.trim()]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    yard.compose(&["up", "-d", "--no-recreate", "--scale", "web=2"]);
    let created = run("docker", &["inspect", "-f", "{{.Created}}", web.trim()]);
    let created: Timestamp = created.trim().parse().unwrap();
    let oldest = engine.oldest().await.unwrap().unwrap();
    assert_eq!(oldest.as_second(), created.as_second());
}
