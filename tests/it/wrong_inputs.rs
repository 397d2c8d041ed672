//! Wrong inputs (`tests/wrong`): a fleet that is right, spoilt in one way each, and what `check` says
//! of it. None is accepted silently. `make wrong` prints how long each answer took.
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FLEET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrong/fleet");
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wrong/cases");
/// Between the edits of a case and what is said of it.
const RULE: &str = "----\n";

/// What is said is written anew where `CLEANSLATE_BLESS` is set.
#[test]
fn every_wrong_input_is_answered_with_its_place_and_none_is_accepted() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let mut took: Vec<(Duration, String)> = Vec::new();
    let mut faults = Vec::new();
    for case in &cases {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(case).unwrap();
        let (edits, expected) = text.split_once(RULE).expect(RULE);
        let folder = tempfile::tempdir().unwrap();
        lay(folder.path(), edits);
        let began = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_cleanslate"))
            .arg("check")
            .current_dir(folder.path())
            .env_clear()
            .output()
            .unwrap();
        took.push((began.elapsed(), name.clone()));
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8(said).unwrap();
        let said = said.replace(&*folder.path().to_string_lossy(), "FLEET");
        let code = output.status.code();
        let is_told = match code {
            Some(2) => said.contains("error"),
            // A warning: what was understood is told, too.
            Some(0) => said.contains("warning"),
            Some(_) | None => false,
        };
        if !is_told || !said.contains("--> ") {
            faults.push(format!("{name} (exit code {code:?}):\n{said}"));
        }
        if std::env::var_os("CLEANSLATE_BLESS").is_some() {
            std::fs::write(case, format!("{edits}{RULE}{said}")).unwrap();
        } else if said != expected {
            faults.push(format!("{name} says:\n{said}\ninstead of:\n{expected}"));
        }
    }
    took.sort();
    took.reverse();
    for (took, name) in &took {
        println!("{:6.1} ms  {name}", took.as_secs_f64() * 1000.0);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn the_fleet_that_is_spoilt_is_right() {
    let folder = tempfile::tempdir().unwrap();
    lay(folder.path(), "");
    let output = Command::new(env!("CARGO_BIN_EXE_cleanslate"))
        .arg("check")
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The fleet, and in it what the lines of a case say: `FILE replace OLD => NEW`, `FILE append TEXT`,
/// `FILE is TEXT`, `FILE bytes HEX`, `FILE large BYTES`, `FILE mode OCTAL`, `FILE folder`, `FILE gone`.
/// `\n`, `\0` and `\\` are what they are elsewhere.
fn lay(folder: &Path, edits: &str) {
    std::fs::create_dir(folder.join("playbooks")).unwrap();
    for name in [
        "site.toml",
        "compose.yaml",
        "playbooks/nightly.toml",
        "tsig.key",
    ] {
        std::fs::copy(Path::new(FLEET).join(name), folder.join(name)).unwrap();
    }
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    mode(&folder.join("tsig.key"), 0o600);
    for line in edits.lines() {
        let (name, edit) = line.split_once(' ').unwrap();
        let path = folder.join(name);
        let (kind, rest) = edit.split_once(' ').unwrap_or((edit, ""));
        match kind {
            "replace" => {
                let (old, new) = rest.split_once(" => ").unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains(&plain(old)), "{line}");
                std::fs::write(&path, text.replace(&plain(old), &plain(new))).unwrap();
            }
            "append" => {
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text + &plain(rest)).unwrap();
            }
            "is" => std::fs::write(&path, plain(rest)).unwrap(),
            "bytes" => {
                let bytes = data_encoding::HEXLOWER.decode(rest.as_bytes()).unwrap();
                std::fs::write(&path, bytes).unwrap();
            }
            "large" => std::fs::write(&path, vec![b'#'; rest.parse().unwrap()]).unwrap(),
            "mode" => mode(&path, u32::from_str_radix(rest, 8).unwrap()),
            "folder" => {
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
            }
            "gone" => std::fs::remove_file(&path).unwrap(),
            _ => panic!("{line}"),
        }
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('0')) => plain.push('\0'),
            ('\\', Some('\\')) => plain.push('\\'),
            _ => {
                plain.push(c);
                continue;
            }
        }
        chars.next();
    }
    plain
}
