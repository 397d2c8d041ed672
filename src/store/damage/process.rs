//! A process that dies, and the test that runs itself anew to be one.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::fixture::{Fixture, numbered, open_in, rows};

/// Where a test that runs itself anew, as a process to be harmed, finds its store.
pub(super) const CHILD: &str = "CLEANSLATE_TEST_STORE";

#[test]
fn every_acknowledged_record_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_until_killed(Path::new(&dir));
    }
    let fixture = Fixture::new();
    let mut acknowledged = 0;
    for round in 0..5 {
        let name = "every_acknowledged_record_survives_kill_9";
        let mut child = spawn(&mut this_test("process", name, fixture.dir.path()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut acks = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| parse_ack(&line));
        // A different number each round, so that death comes at different points of the log.
        acknowledged = acks.nth(20 + 67 * round).unwrap();
        child.kill().unwrap();
        acknowledged = acks.last().unwrap_or(acknowledged);
        child.wait().unwrap();
        let store = fixture.open();
        let found = store.read(1).unwrap();
        let (from, to) = (acknowledged, acknowledged + 2);
        assert!(
            (from..=to).contains(&(found.len() as u64)),
            "{} records, {acknowledged} acknowledged",
            found.len()
        );
        assert_eq!(found, rows(&numbered(found.len())));
    }
    assert!(acknowledged > 5 * 20);
}

fn append_until_killed(dir: &Path) {
    let mut store = open_in(dir).unwrap();
    let mut count = usize::try_from(store.last_seq().unwrap()).unwrap();
    loop {
        // Two at a time: they must live or die together.
        let next = &numbered(count + 2)[count..];
        store.append(next).unwrap();
        count += 2;
        println!("ack {count}");
    }
}

fn parse_ack(line: &str) -> Option<u64> {
    line.strip_prefix("ack ")?.parse().ok()
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// The test `name` of `file` alone, in a process of its own.
pub(super) fn this_test(file: &str, name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture"])
        .arg(format!("store::damage::{file}::{name}"))
        .env(CHILD, dir);
    command
}
