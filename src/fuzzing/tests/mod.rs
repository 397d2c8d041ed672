//! Every target with its whole corpus and what becomes of it when it is spoilt, in every test run.
mod guarded;
mod mutate;
mod run;

use super::{COMPOSE_FILE, DNS_ANSWERS, KEY_FILE, MARKER, PLAYBOOK, SITE_TOML, TARGETS, Target};
use run::{Settings, drive};

fn holds(target: &Target, test: &str) {
    match drive(target, test, &Settings::of(target)) {
        Ok(said) => println!("{said}"),
        Err(finding) => panic!("{finding}"),
    }
}

#[test]
fn no_site_toml_breaks_its_reader() {
    holds(&SITE_TOML, "no_site_toml_breaks_its_reader");
}

#[test]
fn no_playbook_breaks_its_reader() {
    holds(&PLAYBOOK, "no_playbook_breaks_its_reader");
}

#[test]
fn no_compose_file_breaks_its_reader() {
    holds(&COMPOSE_FILE, "no_compose_file_breaks_its_reader");
}

#[test]
fn no_key_file_breaks_its_reader() {
    holds(&KEY_FILE, "no_key_file_breaks_its_reader");
}

#[test]
fn no_answer_breaks_who_asked() {
    holds(&DNS_ANSWERS, "no_answer_breaks_who_asked");
}

#[test]
fn no_txt_record_breaks_the_reader_of_markers() {
    holds(&MARKER, "no_txt_record_breaks_the_reader_of_markers");
}

/// A target without a corpus is tried with nothing worth trying.
#[test]
fn every_target_has_a_corpus_words_and_a_program() {
    for target in TARGETS {
        let Settings { corpus, words, .. } = Settings::of(&target);
        let entries = run::files_of(&corpus);
        assert!((10..=600).contains(&entries.len()), "{}", target.name);
        let octets: usize = entries.iter().map(Vec::len).sum();
        assert!(octets < 200 * 1024, "{}: {octets} octets", target.name);
        assert!(mutate::words(&words).len() > 5, "{}", target.name);
        let program = run::FOLDER.to_owned() + "/fuzz_targets/" + target.name + ".rs";
        assert!(std::path::Path::new(&program).exists(), "{program}");
    }
}

/// What is looked for is found: each of these targets does one thing that none may do.
mod what_is_found {
    use super::run::{Finding, Settings, drive};
    use super::*;

    /// Longer than any machine takes for what is no hang.
    const LONG_S: u32 = 60;

    /// `hang_s`: no end within so long is a finding, too.
    fn found(read: fn(&[u8]), test: &str, hang_s: u32) -> Finding {
        let folder = tempfile::tempdir().unwrap();
        let corpus = folder.path().join("corpus");
        std::fs::create_dir(&corpus).unwrap();
        std::fs::write(corpus.join("good"), "services").unwrap();
        std::fs::write(folder.path().join("words"), "\"bad\"\n").unwrap();
        let settings = Settings {
            corpus,
            words: folder.path().join("words"),
            artifacts: folder.path().join("artifacts"),
            inputs: 50_000,
            seconds: 60,
            hang_s,
            ..Settings::of(&MARKER)
        };
        let target = Target {
            name: "pretended",
            read,
        };
        let test = format!("what_is_found::{test}");
        let finding = drive(&target, &test, &settings).unwrap_err();
        let input = std::fs::read(&finding.input).unwrap();
        assert!(is_bad(&input), "{finding}");
        finding
    }

    fn is_bad(input: &[u8]) -> bool {
        input.windows(3).any(|here| here == b"bad")
    }

    #[test]
    fn a_panic() {
        let read = |input: &[u8]| assert!(!is_bad(input), "it is bad");
        let finding = found(read, "a_panic", LONG_S);
        assert!(finding.what.contains("it is bad"), "{finding}");
    }

    #[test]
    fn a_hang() {
        let read = |input: &[u8]| {
            while is_bad(input) {
                std::hint::spin_loop();
            }
        };
        let finding = found(read, "a_hang", 1);
        assert!(finding.what.contains("no end within 1 s"), "{finding}");
    }

    #[test]
    fn memory_without_bound() {
        let read = |input: &[u8]| {
            if is_bad(input) {
                drop(std::hint::black_box(vec![1_u8; 200 << 20]));
            }
        };
        let finding = found(read, "memory_without_bound", LONG_S);
        assert!(finding.what.contains("MiB of memory"), "{finding}");
    }

    #[test]
    fn more_memory_than_there_is() {
        let read = |input: &[u8]| {
            if is_bad(input) {
                drop(std::hint::black_box(Vec::<u8>::with_capacity(64 << 30)));
            }
        };
        let finding = found(read, "more_memory_than_there_is", LONG_S);
        assert!(finding.what.contains("memory allocation"), "{finding}");
    }

    #[test]
    fn a_stack_that_overflows() {
        fn deeper(input: &[u8]) -> usize {
            match std::hint::black_box(input) {
                [] => 0,
                input => 1 + std::hint::black_box(deeper(input)),
            }
        }
        let read = |input: &[u8]| {
            if is_bad(input) {
                std::hint::black_box(deeper(input));
            }
        };
        let finding = found(read, "a_stack_that_overflows", LONG_S);
        assert!(finding.what.contains("stack"), "{finding}");
    }
}
