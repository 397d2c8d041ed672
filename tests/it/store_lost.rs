//! The store is gone, old, or has no room: the marker in DNS says what is out, and brings it back.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;
use crate::lab::ground::program::run as execute;
use crate::program::Run;
use crate::scene::{check_at_rest, check_recreated, ids, marker, night, run, three_sites};

const HOSTS: [&str; 3] = ["fra1", "nyc1", "sin1"];
const ALL: [&str; 3] = ["fra", "nyc", "sin"];

#[test]
fn a_site_that_was_only_out_goes_back_and_one_that_was_dirty_is_made_again() -> Result<()> {
    let (lab, options) = three_sites()?;
    let before = ids(&lab, &HOSTS)?;

    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("draining", "fra")?;
    first.kill()?;
    lose_store(&lab)?;
    ensure!(marker(&lab, "out")? == "fra" && marker(&lab, "dirty")? == "-");
    let told = run(&lab, &["status"])?;
    told.says(&["fra"])?;
    run(&lab, &["recover"])?.expect(0)?;
    let running = |lab: &Lab| -> Result<Vec<String>> {
        let mut here = lab.containers("fra1")?;
        here.retain(|it| it.state == "running");
        Ok(here.into_iter().map(|it| it.id).collect())
    };
    let put_back = running(&lab)?;
    ensure!(
        put_back.len() == 1 && before.contains(&put_back[0]),
        "as it was: {put_back:?}"
    );
    check_at_rest(&lab, &ALL)?;

    let mut second = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    second.await_site("drained", "fra")?;
    let dirty = || marker(&lab, "dirty").is_ok_and(|it| it == "fra");
    let within = std::time::Duration::from_secs(20);
    crate::lab::ground::program::wait_until("fra is dirty", within, dirty)?;
    second.kill()?;
    lose_store(&lab)?;
    run(&lab, &["recover", "--json"])?.expect(0)?;
    check_recreated(
        &lab,
        &["fra1"],
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &ALL)?;

    let nothing = run(&lab, &["recover"])?.expect(0)?;
    nothing.says(&["nothing to recover"])?;
    night(&lab)?.expect(0)?;
    check_recreated(
        &lab,
        &HOSTS,
        &options,
        &before,
        &[lab.digest("web", "master")?],
    )?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_damaged_store_starts_nothing_and_says_how_to_go_on() -> Result<()> {
    let (lab, _) = three_sites()?;
    night(&lab)?.expect(0)?;
    let before = ids(&lab, &HOSTS)?;
    let file = lab.state_dir().join("edge/journal.db");
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[..middle].fill(0x5a);
    std::fs::write(&file, bytes)?;
    let refused = night(&lab)?.expect(1)?;
    refused.says(&[&lab.state_dir().display().to_string(), "recover"])?;
    ensure!(ids(&lab, &HOSTS)? == before);
    check_at_rest(&lab, &ALL)
}

#[test]
fn an_older_copy_of_the_store_starts_from_what_the_marker_says() -> Result<()> {
    let (lab, options) = three_sites()?;
    let (state, copy) = (lab.state_dir(), lab.dir.join("copy"));
    let (state, copy) = (state.display().to_string(), copy.display().to_string());
    let of_fra = ["rotate", "nightly", "--site", "fra", "--json"];
    let mut first = Run::start(&lab, &of_fra)?;
    first.await_site("draining", "fra")?;
    first.signal("STOP")?;
    execute(&["cp", "-a", &state, &copy])?;
    first.signal("CONT")?;
    first.end()?.expect(0)?;
    check_at_rest(&lab, &ALL)?;
    let after_first = ids(&lab, &HOSTS)?;

    // By the copy, fra is being drained by a rotation that was interrupted.
    execute(&["rm", "-r", &state])?;
    execute(&["mv", &copy, &state])?;
    run(&lab, &of_fra)?.expect(0)?;
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &["fra1"], &options, &after_first, &digests)?;
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

#[test]
fn a_night_in_which_the_disk_becomes_full_is_finished_and_no_other_is_begun() -> Result<()> {
    let (lab, options) = three_sites()?;
    let disk = Disk::mount(lab.state_dir())?;
    let before = ids(&lab, &HOSTS)?;
    let of_fra = ["rotate", "nightly", "--site", "fra", "--json"];
    let mut first = Run::start(&lab, &of_fra)?;
    first.await_site("draining", "fra")?;
    disk.fill_up("ballast", 0)?;
    first.end()?.expect(0)?;
    let digests = [lab.digest("web", "master")?];
    check_recreated(&lab, &["fra1"], &options, &before, &digests)?;

    // What was set aside is taken, too, but for what opening the store takes.
    std::fs::write(disk.0.join("reserve"), "")?;
    disk.fill_up("more", 1 << 20)?;
    let after = ids(&lab, &HOSTS)?;
    let refused = night(&lab)?.expect(1)?;
    refused.says(&["no space left", "free space on the file system"])?;
    ensure!(ids(&lab, &HOSTS)? == after);
    check_at_rest(&lab, &ALL)?;
    lab.lost_nobody()
}

/// A small disk in memory. Dropped, it is gone.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path).context("no folder to mount a disk on")?;
        let at = path.display().to_string();
        execute(&["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", &at])?;
        Ok(Self(path))
    }

    /// Fills what is left but for `leave` bytes.
    fn fill_up(&self, name: &str, leave: usize) -> Result<()> {
        let path = self.0.join(name);
        let is_full = std::fs::write(&path, vec![0; 64 << 20]).is_err();
        ensure!(is_full, "the disk is not full");
        let file = File::options().write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(file.set_len(length.saturating_sub(leave as u64))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let at: &Path = &self.0;
        if let Err(error) = execute(&["umount", "-l", &at.display().to_string()]) {
            eprintln!("{error:#}");
        }
    }
}

fn lose_store(lab: &Lab) -> Result<()> {
    std::fs::remove_dir_all(lab.state_dir()).context("there is no store")
}
