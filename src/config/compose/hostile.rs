//! Files made to hurt: none may panic, and none may take long.
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::document::node;
use super::fixture::Fixture;
use super::text::{dotenv, interpolate, quantity, words};

/// Pieces that mean something to some part of the reader: random bytes alone stop at the parser.
const PIECES: [&str; 48] = [
    "services:",
    "  web:",
    "    image: ",
    "a",
    "\n",
    "\n  ",
    "\n    ",
    "\n      ",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "${",
    "$",
    "}",
    ":-",
    ":?",
    "NAME",
    "PASSWORD",
    "'",
    "\"",
    "|\n",
    "&x ",
    "*x",
    "<<: *x",
    "!!str ",
    "é",
    "\u{feff}",
    "\t",
    "ports: ",
    "8000-9000:80",
    "volumes: ",
    "./x:/y",
    "depends_on: ",
    "web",
    "networks: ",
    "default",
    "environment: ",
    "A=B",
    "deploy: ",
    "replicas: 9",
    "healthcheck: ",
    "test: ",
    "10s",
    "0",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_pieces_of_compose_make_it_panic(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let source: String = pieces.iter().map(|at| PIECES[*at]).collect();
        read(&source);
        read(&format!("services:\n  web:\n    image: a\n    {source}"));
        drop(dotenv::parse(&source, &|_| None));
    }

    #[test]
    fn no_value_of_any_key_makes_it_panic(key in "[a-z_]{2,12}", value in "\\PC{0,40}") {
        for key in [key.as_str(), "ports", "volumes", "command", "extra_hosts", "devices", "tmpfs"] {
            let quoted = value.replace('\'', "''");
            read(&format!("services:\n  web:\n    image: a\n    {key}: ['{quoted}']\n"));
        }
        drop(words::split(&value));
        quantity::duration(&value);
        quantity::bytes(&value);
        drop(interpolate::interpolate(&value, &|_| None));
    }
}

/// Every diagnostic must point into the file, at whole characters.
fn read(source: &str) {
    let (project, diagnostics) = Fixture::new().read(source);
    assert_eq!(project.is_none(), !diagnostics.is_empty(), "{source:?}");
    for diagnostic in diagnostics {
        if let Some(span) = diagnostic.span {
            assert!(source.get(span.clone()).is_some(), "{span:?} of {source:?}");
        }
    }
}

#[test]
fn a_file_of_five_megabytes_is_refused_or_read_in_time() {
    let service = |n: usize| format!("  s{n}:\n    image: a\n    restrat: x\n    ports: [x]\n");
    let wide: String = (0..25_000).map(service).collect();
    let flat = format!(
        "services: {{ a: {{ image: a, labels: [{}] }} }}",
        "x, ".repeat(1_300_000)
    );
    let text = format!("services: {{ a: {{ image: {} }} }}", "$".repeat(3_500_000));
    let nested = format!("a: {}", "${x:-".repeat(700_000));
    let chain: String = (0..20_000)
        .map(|n| format!("  s{n}: {{ image: a, depends_on: [s{}] }}\n", n + 1))
        .collect();
    let ports = vec!["1-65535"; 20_000].join(", ");
    let files = [
        format!("services:\n{wide}"),
        flat,
        text,
        format!("services: {{ a: {{ image: \"{nested}\" }} }}"),
        format!("services:\n{chain}"),
        format!("services: {{ a: {{ image: a, ports: [{ports}] }} }}"),
        "x".repeat(5 * 1024 * 1024),
        "- ".repeat(2_500_000),
    ];
    for file in files {
        let start = now();
        let (project, diagnostics) = Fixture::new().read(&file);
        assert!(project.is_none() && diagnostics.len() <= 101);
        let head: String = file.chars().take(60).collect();
        assert!(
            now() - start < Duration::from_secs(600),
            "{head}: {:?}",
            now() - start
        );
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what is measured here is time itself"
)]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn aliases_that_expand_without_end_are_refused_in_time() {
    let mut source = "x-0: &a0 { image: a, labels: [x, x, x, x, x, x, x, x, x] }\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{}", level - 1);
        source.push_str(&format!(
            "x-{level}: &a{level} [{}]\n",
            vec![below; 10].join(", ")
        ));
    }
    source.push_str("services: { a: *a19 }\n");
    let start = now();
    let error = node::parse(&source, 0).unwrap_err();
    assert!(error.message.contains("too large"), "{}", error.message);
    assert!(now() - start < Duration::from_secs(600));
}
