//! The description that is served, held against what is carried out.
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::api::token::Right;
use crate::api::wire::{COMMANDS, Command};

#[test]
fn every_command_is_described_and_every_description_is_of_one() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let posts = paths
        .iter()
        .filter(|(_, methods)| methods.get("post").is_some());
    let described: BTreeSet<&str> = posts
        .filter_map(|(path, _)| path.strip_prefix("/v1/"))
        .filter(|name| !name.starts_with("hooks/"))
        .collect();
    assert_eq!(described, COMMANDS.into());
}

#[test]
fn what_is_described_is_taken_and_what_is_required_is_missed() {
    let document = document();
    for name in COMMANDS {
        let post = &document["paths"][format!("/v1/{name}")]["post"];
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        let properties = schema["properties"].as_object().unwrap();
        let whole: Map<String, Value> = properties
            .iter()
            .map(|(key, of)| (key.clone(), sample(of)))
            .collect();
        let read = |body: &Map<String, Value>| {
            Command::read(name, Value::from(body.clone()).to_string().as_bytes())
        };
        let command = read(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Nothing that can be asked is left out of the description.
        let (_, _, body) = command.request();
        let body: Map<String, Value> = serde_json::from_str(&body.unwrap()).unwrap();
        assert_eq!(
            body.keys().collect::<BTreeSet<_>>(),
            whole.keys().collect::<BTreeSet<_>>(),
            "{name}"
        );
        let required = schema["required"].as_array().unwrap();
        let required: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        let mut least = whole.clone();
        least.retain(|key, _| required.contains(&key.as_str()));
        let command = read(&least).unwrap_or_else(|error| panic!("{name}: {error}"));
        for key in required {
            let mut without = least.clone();
            without.remove(key);
            assert!(read(&without).is_err(), "{name} without {key}");
        }
        let role = Right::to_ask(&command).least().word();
        let told = post["description"].as_str().unwrap();
        assert!(told.starts_with(&format!("Role: {role}")), "{name}: {told}");
    }
}

fn sample(of: &Value) -> Value {
    if let Some(reference) = of["$ref"].as_str() {
        assert!(reference.ends_with("Name"), "{reference}");
        return "fra".into();
    }
    if let Some(words) = of["enum"].as_array() {
        return words[0].clone();
    }
    match of["type"].as_str().unwrap() {
        "boolean" => true.into(),
        "integer" => 7.into(),
        "array" => vec![sample(&of["items"])].into(),
        "string"
            if of["pattern"]
                .as_str()
                .is_some_and(|it| it.starts_with("^sha256:")) =>
        {
            format!("sha256:{}", "5".repeat(64)).into()
        }
        "string" if of["format"] == "date-time" => "2026-11-22T04:30:00Z".into(),
        _ => "x".into(),
    }
}

fn document() -> Value {
    serde_json::from_str(include_str!("../openapi.json")).unwrap()
}
