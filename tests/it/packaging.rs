//! What comes with the program: pages, completions, units; and what `make install` puts where.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::lab::fleet::runner::cleanslate_exe;

/// Whatever they leave open is open to whoever gets in: they hold keys and engines.
#[test]
fn the_units_leave_little_open() -> Result<()> {
    for unit in ["cleanslate.service", "cleanslate-rotate@.service"] {
        let unit = root().join("systemd").join(unit);
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--threshold=20"])
            .arg(unit)
            .output()
            .context("systemd-analyze is missing: apt-get install systemd")?;
        let told = text(&output.stdout);
        ensure!(told.contains("Overall exposure level"), "{output:?}");
        ensure!(output.status.success(), "more than 2.0 of 10:\n{told}");
    }
    Ok(())
}

#[test]
fn what_is_installed_is_whole_and_uninstalling_leaves_what_is_the_users() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let dest = dir.path().display().to_string();
    // As `make` does it, twice.
    for _ in 0..2 {
        install(&dest)?;
    }
    let at = |path: &str| dir.path().join(path);
    pages_are_sound(&at("opt/cs/share/man/man1"))?;
    completions_work(&at("opt/cs/share"))?;
    units_name_the_program(&at("opt/cs/lib/systemd/system"))?;

    let example = at("etc/cleanslate/examples/site.toml");
    std::fs::write(&example, "# mine")?;
    install(&dest)?;
    ensure!(
        std::fs::read_to_string(&example)? == "# mine",
        "written over"
    );
    done(Command::new("sh").args(["packaging/uninstall.sh", &dest, "/opt/cs"]))?;
    let left = done(Command::new("find").args([&dest, "-type", "f", "-not", "-path", "*/etc/*"]))?;
    ensure!(left.is_empty(), "left behind:\n{left}");
    ensure!(example.is_file(), "what is the user's is gone");
    Ok(())
}

fn install(dest: &str) -> Result<()> {
    let program = cleanslate_exe().display().to_string();
    let words = ["packaging/install.sh", dest, "/opt/cs", "/etc", &program];
    done(Command::new("sh").args(words)).map(drop)
}

/// One for each command, and nothing in them that a formatter stumbles over.
fn pages_are_sound(folder: &Path) -> Result<()> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        pages.push(entry?.path());
    }
    ensure!(pages.len() > 30, "{pages:?}");
    let mut lint = Command::new("mandoc");
    let said = lint.args(["-T", "lint", "-W", "warning"]).args(&pages);
    let said = said
        .output()
        .context("mandoc is missing: apt-get install mandoc")?;
    ensure!(said.status.success(), "{}", text(&said.stdout));
    let mut page = Command::new("mandoc");
    let page = done(page.args(["-T", "ascii"]).arg(folder.join("cleanslate.1")))?;
    // Each letter over itself is bold.
    let plain = page.replace('\u{8}', "");
    ensure!(plain.contains("nothing was found"), "{plain}");
    Ok(())
}

/// Bash completes commands, their flags, and what those take.
fn completions_work(share: &Path) -> Result<()> {
    let script = share.join("bash-completion/completions/cleanslate");
    for (line, expected) in [
        ("cleanslate doc", "doctor"),
        ("cleanslate doctor --sc", "--scratch"),
        ("cleanslate release pro", "promote"),
        ("cleanslate completions fi", "fish"),
    ] {
        let ask = format!(
            "set -u; source '{}'; read -ra COMP_WORDS <<<'{line}'; COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=(); \
             _cleanslate cleanslate \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             echo \"${{COMPREPLY[@]}}\"",
            script.display()
        );
        let said = done(Command::new("bash").args(["-c", &ask]))?;
        ensure!(
            said.split_whitespace().any(|it| it == expected),
            "{line}: {said}"
        );
    }
    for file in [
        "zsh/site-functions/_cleanslate",
        "fish/vendor_completions.d/cleanslate.fish",
    ] {
        let script = std::fs::read_to_string(share.join(file))?;
        ensure!(
            script.contains("doctor") && script.contains("scratch"),
            "{file}"
        );
    }
    Ok(())
}

fn units_name_the_program(folder: &Path) -> Result<()> {
    for unit in ["cleanslate.service", "cleanslate-rotate@.service"] {
        let unit = std::fs::read_to_string(folder.join(unit))?;
        ensure!(unit.contains("ExecStart=/opt/cs/bin/cleanslate "), "{unit}");
    }
    ensure!(folder.join("cleanslate-rotate@.timer").is_file());
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn done(command: &mut Command) -> Result<String> {
    let output: Output = command
        .current_dir(root())
        .output()
        .with_context(|| format!("{command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
