//! The coordinator: nights by themselves, what is asked of it, and how it ends.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::images::Push;
use crate::lab::{ImageKind, Lab};
use crate::program::Run;
use crate::scene::{check_at_rest, edit, ids, marker, run, status, two_sites};

/// A night that begins with the next minute.
fn every_minute(lab: &Lab) -> Result<()> {
    let schedule = "[schedule]\ncron = \"* * * * *\"\ntimezone = \"UTC\"\n\n[drain]";
    edit(lab, "playbooks/nightly.toml", "[drain]", schedule)
}

pub(crate) fn serve(lab: &Lab) -> Result<Run> {
    Run::start(lab, &["serve", "--json"])
}

/// Waits for an event of a rotation as a whole.
fn awaits(server: &mut Run, name: &str) -> Result<crate::program::Event> {
    let within = Duration::from_secs(150);
    server.await_event(name, within, |event| event.name() == name)
}

#[test]
fn nights_begin_by_themselves_and_a_night_that_was_stopped_goes_on() -> Result<()> {
    let (lab, _) = two_sites()?;
    every_minute(&lab)?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let mut server = serve(&lab)?;
    let planned = awaits(&mut server, "rotation_planned")?;
    ensure!(planned.text("actor") == "schedule", "{}", planned.0);
    let id = planned.text("rotation");
    ensure!(
        id.starts_with("nightly-") && id.ends_with("00-cron"),
        "{id}"
    );
    awaits(&mut server, "rotation_completed")?;
    let after = ids(&lab, &["fra1", "nyc1"])?;
    ensure!(after.is_disjoint(&before), "rebuilt by the first night");

    // The second one is stopped in the middle of a drain: the site is finished first.
    server.await_site("draining", "fra")?;
    server.signal("TERM")?;
    let ended = server.end()?.expect(0)?;
    let mut last = ended.events.iter().rev();
    let last: Vec<_> = last
        .by_ref()
        .take_while(|event| event.name() != "rotation_paused")
        .collect();
    ensure!(last[0].is("visit_completed", "fra"), "{ended}");
    ensure!(
        last.iter().all(|event| event.text("site") == "fra"),
        "{ended}"
    );
    ended.says(&["stopped between two steps"])?;
    ensure!(marker(&lab, "out")? == "-", "{ended}");

    let mut server = serve(&lab)?;
    let resumed = awaits(&mut server, "rotation_resumed")?;
    ensure!(resumed.text("after") == "pause", "{}", resumed.0);
    server.await_site("visit_completed", "nyc")?;
    awaits(&mut server, "rotation_completed")?;
    server.signal("TERM")?;
    server.end()?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn whatever_is_asked_of_it_is_done_as_if_it_were_done_in_place() -> Result<()> {
    let (lab, _) = two_sites()?;
    let server = serve(&lab)?;
    await_socket(&lab)?;
    let quiet = status(&lab)?;
    ensure!(quiet["rotation"].is_null(), "{quiet}");
    for command in ["abort", "pause", "resume"] {
        let refused = run(&lab, &[command, "--reason", "none runs"])?.expect(5)?;
        refused.says(&["no rotation is running"])?;
    }
    let unknown = run(&lab, &["rotate", "nihgtly"])?.expect(2)?;
    unknown.says(&["nihgtly"])?;

    let before = ids(&lab, &["fra1", "nyc1"])?;
    let rebuild = run(&lab, &["rebuild", "fra", "--reason", "kernel oops"])?.expect(0)?;
    rebuild.says(&["rebuild fra: taken by rebuild-", "visit completed"])?;
    ensure!(ids(&lab, &["fra1"])?.is_disjoint(&before), "{rebuild}");

    run(&lab, &["cordon", "nyc", "--reason", "technician"])?.expect(0)?;
    ensure!(marker(&lab, "cordon")? == "nyc");
    run(&lab, &["rotate"])?
        .expect(0)?
        .says(&["completed: 1 site"])?;
    ensure!(ids(&lab, &["nyc1"])?.is_subset(&before), "it was skipped");
    run(&lab, &["uncordon", "nyc", "--reason", "gone"])?.expect(0)?;

    let night = run(&lab, &["rotate", "nightly"])?.expect(0)?;
    night.says(&["rotate nightly: taken by nightly-", "completed: 2 sites"])?;
    ensure!(ids(&lab, &["nyc1"])?.is_disjoint(&before), "{night}");
    let mut first = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    first.await_site("draining", "fra")?;
    let second = run(&lab, &["rotate", "nightly"])?.expect(5)?;
    second.says(&[
        "a rotation is running: nightly-",
        "of root, likely until 20",
        "process ",
    ])?;
    first.end()?.expect(0)?;
    let retry = run(&lab, &["retry", "--reason", "again"])?.expect(0)?;
    retry.says(&["nothing to do"])?;

    run(&lab, &["withdraw", "nyc", "--reason", "fibre cut"])?.expect(0)?;
    ensure!(marker(&lab, "held")? == "nyc");
    run(&lab, &["restore", "nyc"])?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc"])?;

    server.signal("TERM")?;
    server.end()?.expect(0)?;
    crate::audit::check_that_all_was_told(&lab)?;
    crate::audit::check_that_tampering_is_noticed(&lab)?;
    lab.lost_nobody()
}

#[test]
fn a_push_is_told_and_its_channel_takes_it_at_once() -> Result<()> {
    let (lab, _) = two_sites()?;
    let api =
        "[api]\nlisten = \"127.0.0.1:8443\"\n\n[channel.master]\non_push = \"rebuild\"\n\n[dns]";
    edit(&lab, "site.toml", "[dns]", api)?;
    let token = ["token", "create", "--role", "release", "--name", "registry"];
    let token = lab.cleanslate(&token).output()?;
    ensure!(token.status.success(), "{token:?}");
    let token = String::from_utf8(token.stdout)?;
    let mut server = serve(&lab)?;
    await_socket(&lab)?;
    lab.tell_pushes("http://127.0.0.1:8443/v1/hooks/registry", token.trim())?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let digest = lab.push_as(&Push::new(ImageKind::Web, "web", "master").version("v2"))?;
    let planned = awaits(&mut server, "rotation_planned")?;
    ensure!(planned.text("actor") == "push", "{}", planned.0);
    ensure!(
        planned.text("reason").contains("web:master was pushed"),
        "{}",
        planned.0
    );
    ensure!(planned.0.to_string().contains(&digest), "{}", planned.0);
    awaits(&mut server, "rotation_completed")?;
    ensure!(
        ids(&lab, &["fra1", "nyc1"])?.is_disjoint(&before),
        "rebuilt"
    );
    server.signal("TERM")?;
    let ended = server.end()?.expect(0)?;
    ended.says(&["web:master was pushed", "version: v2", &digest])?;
    let again = ended
        .events
        .iter()
        .filter(|event| event.name() == "rotation_planned");
    ensure!(again.count() == 1, "{ended}");
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn a_paused_night_takes_nothing_away_until_it_is_resumed() -> Result<()> {
    let (lab, _) = two_sites()?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let mut night = Run::start(&lab, &["rotate", "nightly", "--json"])?;
    night.await_site("draining", "fra")?;
    let pause = ["pause", "--for", "1h", "--reason", "a look at fra"];
    let paused = run(&lab, &pause)?.expect(0)?;
    paused.says(&["pause: nightly-", "is paused; in hand: fra: draining"])?;
    night.await_site("drained", "fra")?;
    std::thread::sleep(Duration::from_secs(3));
    let told = status(&lab)?;
    ensure!(told["rotation"]["state"] == "paused", "{told}");
    let why = told["sites"][0]["why"].as_str().context("why")?;
    ensure!(why.contains("a look at fra"), "{told}");
    ensure!(told["sites"][0]["until"].is_string(), "{told}");
    // Those that were made beside the old ones are not started.
    ensure!(before.is_subset(&ids(&lab, &["fra1", "nyc1"])?), "{told}");
    ensure!(marker(&lab, "dirty")? == "-", "{told}");

    let cordon = run(&lab, &["cordon", "nyc", "--reason", "meanwhile"])?.expect(0)?;
    cordon.says(&["It is paused: nothing begins before `cleanslate resume`"])?;
    run(&lab, &["uncordon", "nyc", "--reason", "enough"])?.expect(0)?;

    let resumed = run(&lab, &["resume"])?.expect(0)?;
    resumed.says(&["resume: nightly-", "goes on"])?;
    let ended = night.end()?.expect(0)?;
    ensure!(ended.has("rotation_paused", ""), "{ended}");
    ensure!(ended.has("rotation_resumed", ""), "{ended}");
    ensure!(
        ids(&lab, &["fra1", "nyc1"])?.is_disjoint(&before),
        "{ended}"
    );
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn whoever_supervises_it_hears_that_it_is_ready_alive_and_what_it_reads() -> Result<()> {
    let (lab, _) = two_sites()?;
    let path = lab.dir.join("notify.sock");
    let heard = listening(&path)?;
    let mut command = lab.cleanslate(&["serve", "--json"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "4000000");
    let server = Run::of(&lab, &mut command, "serve, supervised")?;
    await_said(&heard, "READY=1")?;
    await_said(&heard, "STATUS=idle: nothing runs by itself")?;
    for _ in 0..3 {
        await_said(&heard, "WATCHDOG=1")?;
    }
    // A wrong configuration leaves the one that was read before.
    edit(&lab, "site.toml", "channels = ", "chanels = 1\nchannels = ")?;
    server.signal("HUP")?;
    await_said(&heard, "RELOADING=1")?;
    await_said(&heard, "READY=1")?;
    edit(&lab, "site.toml", "chanels = 1\n", "")?;
    run(&lab, &["rebuild", "fra", "--reason", "still here"])?.expect(0)?;
    await_said(&heard, "fra drain")?;
    await_said(&heard, "STATUS=idle")?;
    server.signal("HUP")?;
    await_said(&heard, "RELOADING=1")?;
    await_said(&heard, "READY=1")?;
    server.signal("TERM")?;
    await_said(&heard, "STOPPING=1")?;
    let ended = server.end()?.expect(0)?;
    ended.says(&["chanels", "was read anew"])?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

#[test]
fn a_run_is_rehearsed_long_before_and_what_stands_in_its_way_is_told() -> Result<()> {
    let (lab, _) = two_sites()?;
    // Half a day from now, and rehearsed all day long.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = (now.hour() + 12) % 24;
    let schedule = format!(
        "[schedule]\ncron = \"30 {hour} * * *\"\ntimezone = \"UTC\"\nrehearse = \"24h\"\n\n[drain]"
    );
    edit(&lab, "playbooks/nightly.toml", "[drain]", &schedule)?;
    let before = ids(&lab, &["fra1", "nyc1"])?;
    let path = lab.dir.join("notify.sock");
    let heard = listening(&path)?;
    let mut command = lab.cleanslate(&["serve", "--json"]);
    command.env("NOTIFY_SOCKET", &path);
    let server = Run::of(&lab, &mut command, "serve, rehearsing")?;
    await_said(&heard, "READY=1")?;
    std::thread::sleep(Duration::from_secs(6));
    // From now on each host is to publish a port that somebody else has at nyc.
    let stranger = lab.run_foreign("nyc1", "backup", Some(81))?;
    edit(&lab, "compose.yaml", "\"80:80\"", "\"81:80\"")?;
    server.signal("HUP")?;
    await_said(&heard, "READY=1")?;
    std::thread::sleep(Duration::from_secs(6));
    let told = status(&lab)?;
    ensure!(told["marker"].is_null(), "nothing is written: {told}");
    server.signal("TERM")?;
    let ended = server.end()?.expect(0)?;
    ended.says(&[
        "3000-cron: nothing stands in its way",
        "stands in its way",
        "backup",
        "cleanslate rotate nightly --dry-run",
    ])?;
    let mut after = ids(&lab, &["fra1", "nyc1"])?;
    ensure!(
        after.remove(&stranger) && after == before,
        "nothing is made"
    );
    lab.lost_nobody()
}

/// Ten nights by themselves; in three of them the coordinator is killed, and started again as its
/// supervisor would. Nobody does anything by hand.
#[test]
#[ignore = "a quarter of an hour: make soak"]
fn ten_nights_by_themselves_lose_nobody_and_need_no_more_memory() -> Result<()> {
    let (lab, _) = two_sites()?;
    every_minute(&lab)?;
    let mut server = serve(&lab)?;
    let mut memory = Vec::new();
    let mut nights = 0;
    while nights < 10 {
        let killed = [(1, "draining"), (3, "recreated"), (5, "restored")];
        if let Some((_, at)) = killed.iter().find(|(night, _)| *night == nights) {
            server.await_site(at, "fra")?;
            server.kill()?;
            server = serve(&lab)?;
            let resumed = awaits(&mut server, "rotation_resumed")?;
            ensure!(resumed.text("after") == "crash", "{}", resumed.0);
        }
        let completed = awaits(&mut server, "rotation_completed")?;
        ensure!(
            completed.0["visited"] == serde_json::json!(["fra", "nyc"]),
            "{}",
            completed.0
        );
        nights += 1;
        memory.push(resident(server.pid())?);
        eprintln!("night {nights}: {} KiB resident", memory[nights - 1]);
    }
    server.signal("TERM")?;
    server.end()?;
    // Of one process, once it has seen a whole night.
    let (second, fifth) = (memory[6], memory[9]);
    ensure!(fifth < second + second / 20, "{memory:?}");
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

/// Nights with and without a flood on the API, by turns: what each took is printed.
#[test]
#[ignore = "four nights: make soak"]
fn a_flood_on_the_api_does_not_touch_a_night() -> Result<()> {
    let (lab, _) = two_sites()?;
    edit(
        &lab,
        "site.toml",
        "[dns]",
        "[api]\nlisten = \"127.0.0.1:8443\"\n\n[dns]",
    )?;
    let token = ["token", "create", "--role", "viewer", "--name", "ana"];
    let token = lab.cleanslate(&token).output()?;
    let token = String::from_utf8(token.stdout)?;
    let mut server = serve(&lab)?;
    await_socket(&lab)?;
    for round in ["quiet", "flooded", "quiet", "flooded"] {
        let mut flood = match round {
            "flooded" => Some(flood(&lab)?),
            _ => None,
        };
        let night = run(&lab, &["rotate", "nightly", "--json"])?.expect(0)?;
        let completed = night.event("rotation_completed")?;
        let within = |name: &str| {
            let found = night.events.iter().filter(|event| event.name() == name);
            found
                .map(|event| event.0["seconds"].clone())
                .collect::<Vec<_>>()
        };
        eprintln!(
            "{round}: {} s, drained {:?}, recreated {:?}, {} KiB resident",
            completed.0["seconds"],
            within("drained"),
            within("recreated"),
            resident(server.pid())?
        );
        if let Some(flood) = &mut flood {
            let began = std::time::Instant::now();
            let mut command = lab.cleanslate(&["--api", "http://127.0.0.1:8443", "status"]);
            let status = command.env("CLEANSLATE_TOKEN", token.trim()).output()?;
            ensure!(status.status.success(), "{status:?}");
            eprintln!("status through the flood: {:?}", began.elapsed());
            flood.kill()?;
            flood.wait()?;
        }
        // What came of it is seen by those who look on, too.
        awaits(&mut server, "rotation_completed")?;
    }
    server.signal("TERM")?;
    server.end()?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}

/// Ten thousand idle connections and more, once they are made.
fn flood(lab: &Lab) -> Result<std::process::Child> {
    let exe = crate::lab::fleet::runner::lab_exe()?.display().to_string();
    let mut flood = lab
        .on("core", &[&exe, "flood", "127.0.0.1:8443"])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let out = flood.stdout.take().context("its output")?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line)?;
    ensure!(line.contains("connections were made"), "{line}");
    eprint!("{line}");
    Ok(flood)
}

/// The memory that a process has in use, in KiB.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.context("VmRSS")?.parse().context("a number")
}

/// Until this is told to whoever supervises the process.
fn await_said(heard: &Receiver<String>, what: &str) -> Result<()> {
    let within = Duration::from_secs(30);
    loop {
        let said = heard.recv_timeout(within);
        if said.with_context(|| what.to_owned())?.contains(what) {
            return Ok(());
        }
    }
}

/// A supervisor that reads whatever is said.
fn listening(path: &Path) -> Result<Receiver<String>> {
    let socket = UnixDatagram::bind(path).context("failed to listen")?;
    let (said, heard) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // It ends when the test does.
        while let Ok(length) = socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if said.send(text).is_err() {
                break;
            }
        }
    });
    Ok(heard)
}

/// Until the coordinator answers.
pub(crate) fn await_socket(lab: &Lab) -> Result<()> {
    for _ in 0..100 {
        let refused = run(lab, &["resume"])?;
        if !refused.stderr.contains("running here") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the coordinator does not answer")
}
