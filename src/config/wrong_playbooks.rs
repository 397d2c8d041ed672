//! Wrong playbooks, and what people read.
use super::test_folder::Folder;

fn refused(playbook: &str) -> String {
    let folder = Folder::new();
    folder.write("playbooks/nightly.toml", playbook);
    folder.refused()
}

#[test]
fn a_playbook_has_known_keys_only() {
    let shown = refused(
        "sites = [\"fra\", \"nyc\", \"fra\"]\nmax_unavailable = 0\n[drian]\nat_most = \"5m\"\n[make_room]\nscale = 2\n",
    );
    insta::assert_snapshot!(shown, @r#"
    error: fra stands here twice
     --> playbooks/nightly.toml:1:24
      |
    1 | sites = ["fra", "nyc", "fra"]
      |                        ^^^^^

    error: no site could ever be visited
     --> playbooks/nightly.toml:2:19
      |
    2 | max_unavailable = 0
      |                   ^
      |
      = help: write max_unavailable = 1

    error: unknown key "drian"
     --> playbooks/nightly.toml:3:2
      |
    3 | [drian]
      |  ^^^^^
      |
      = help: did you mean "drain"?

    error: [make_room] is not built yet
     --> playbooks/nightly.toml:5:2
      |
    5 | [make_room]
      |  ^^^^^^^^^
      |
      = help: let a [[hook]] on before_withdraw with peers = true do it: docs/hooks.md
    "#);
}

#[test]
fn a_schedule_meets_the_quiet_hours_of_its_sites() {
    let folder = Folder::new();
    folder.change(&[
        ("[site.fra]", "[site.fra]\nquiet = \"02:00-02:04\""),
        (
            "[site.sin]",
            "[site.sin]\nquiet = \"02:00-05:00\"\ntimezone = \"Asia/Singapore\"",
        ),
    ]);
    folder.write(
        "playbooks/nightly.toml",
        "[schedule]\ncron = \"0 2 * * *\"\ntimezone = \"Europe/Berlin\"\nfinish_by = \"06:00\"\n\
         [drain]\nat_most = \"5m\"\n",
    );
    insta::assert_snapshot!(folder.loaded().warnings.to_string(), @r#"
    warning: sin is never visited: its quiet hours (02:00-05:00) open too late
     --> playbooks/nightly.toml:4:1
      |
    4 | finish_by = "06:00"
      | ^^^^^^^^^
      |
      = help: write a later finish_by, or leave it out: quiet hours end a rotation too

    warning: the quiet hours of fra (02:00-02:04) are shorter than its drain
     --> playbooks/nightly.toml:6:1
      |
    6 | at_most = "5m"
      | ^^^^^^^ a drain may last 5m
      |
      = help: a visit that begins in them ends after them: write longer ones
    "#);
}

#[test]
fn a_playbook_of_sites_that_are_not_there() {
    let shown = refused("sites = [\"nyk\", \"ams\"]\n");
    insta::assert_snapshot!(shown, @r#"
    error: there is no site nyk
     --> playbooks/nightly.toml:1:10
      |
    1 | sites = ["nyk", "ams"]
      |          ^^^^^
      |
      = help: did you mean "nyc"?

    error: there is no site ams
     --> playbooks/nightly.toml:1:17
      |
    1 | sites = ["nyk", "ams"]
      |                 ^^^^^
      |
      = help: the sites are fra, nyc, sin
    "#);
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let shown =
        refused("[failure]\nthen = \"last-good\"\npreflight = \"skipp\"\n[soak]\ngates = []\n");
    insta::assert_snapshot!(shown, @r#"
    error: "last-good" is no choice for [failure].then
     --> playbooks/nightly.toml:2:8
      |
    2 | then = "last-good"
      |        ^^^^^^^^^^^ expected "quarantine" or "last_good"
      |
      = help: did you mean "last_good"?

    error: "skipp" is no choice for [failure].preflight
     --> playbooks/nightly.toml:3:13
      |
    3 | preflight = "skipp"
      |             ^^^^^^^ expected "skip" or "halt"
      |
      = help: did you mean "skip"?

    error: [soak].gates is not built yet
     --> playbooks/nightly.toml:5:1
      |
    5 | gates = []
      | ^^^^^
      |
      = help: leave it out
    "#);
}

#[test]
fn durations_sizes_and_shares_have_units() {
    let shown = refused(
        "[drain]\nat_most = \"5 parsecs\"\nat_least = 30\nquiet = { below = \"few\", or = 0.05, for = \"10\" }\n[recreate]\nlogs = \"1 MiBs\"\nbefore = { command = [] }\n",
    );
    insta::assert_snapshot!(shown, @r#"
    error: "5 parsecs" is no duration
     --> playbooks/nightly.toml:2:11
      |
    2 | at_most = "5 parsecs"
      |           ^^^^^^^^^^^ expected a duration, like "30s", "5m" or "1h30m"

    error: [drain].at_least lacks its unit
     --> playbooks/nightly.toml:3:12
      |
    3 | at_least = 30
      |            ^^ expected a duration, like "30s" or "5m"
      |
      = help: write "30s" for seconds, "30m" for minutes

    error: [drain.quiet].below is a string
     --> playbooks/nightly.toml:4:19
      |
    4 | quiet = { below = "few", or = 0.05, for = "10" }
      |                   ^^^^^ expected a number not below 0

    error: [drain.quiet].or is a number
     --> playbooks/nightly.toml:4:31
      |
    4 | quiet = { below = "few", or = 0.05, for = "10" }
      |                               ^^^^ expected a share in percent, like "5%"

    error: "10" lacks its unit
     --> playbooks/nightly.toml:4:43
      |
    4 | quiet = { below = "few", or = 0.05, for = "10" }
      |                                           ^^^^ expected a duration, like "30s", "5m" or "1h30m"

    error: "1 MiBs" is no size
     --> playbooks/nightly.toml:6:8
      |
    6 | logs = "1 MiBs"
      |        ^^^^^^^^ expected a size, like "1MiB" or "64KiB"

    error: the command is empty
     --> playbooks/nightly.toml:7:22
      |
    7 | before = { command = [] }
      |                      ^^
      |
      = help: write command = ["/etc/cleanslate/backup", "{site}"]
    "#);
}

#[test]
fn a_drain_that_could_never_be_quiet() {
    let shown = refused("[drain]\nat_most = \"35s\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: the drain could never be found quiet: 35s is all it has
     --> playbooks/nightly.toml:2:1
      |
    2 | at_most = "35s"
      | ^^^^^^^ TTL or at_least, and quiet.for, are 40s
      |
      = help: write at_most = "40s" or more, or a shorter quiet.for
    "#);
}

#[test]
fn a_drain_whose_least_leaves_no_time_to_be_quiet() {
    let shown = refused("[drain]\nat_least = \"5m\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: the drain could never be found quiet: 5m is all it has
     --> playbooks/nightly.toml:1:1
      |
    1 | [drain]
      | ^^^^^^^ TTL or at_least, and quiet.for, are 5m10s
      |
      = help: write at_most = "5m10s" or more, or a shorter quiet.for
    "#);
}

#[test]
fn a_drain_shorter_than_the_ttl() {
    let shown = refused("[drain]\nat_most = \"20s\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: a TTL of 30s outlives the drain's 20s
     --> playbooks/nightly.toml:2:1
      |
    2 | at_most = "20s"
      | ^^^^^^^
      |
      = help: lower the TTL in DNS, or write at_most = "40s" or more
    "#);
}

#[test]
fn a_drain_that_ends_before_it_may() {
    let shown = refused("[drain]\nat_least = \"10m\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: the drain lasts at least longer than at most
     --> playbooks/nightly.toml:2:1
      |
    2 | at_least = "10m"
      | ^^^^^^^^
    "#);
}

#[test]
fn a_schedule_that_never_fires() {
    let shown = refused(
        "[schedule]\ncron = \"30 2 31 2 *\"\ntimezone = \"Europe/Berln\"\nfinish_by = \"25:00\"\n",
    );
    insta::assert_snapshot!(shown, @r#"
    error: "30 2 31 2 *" never fires
     --> playbooks/nightly.toml:2:8
      |
    2 | cron = "30 2 31 2 *"
      |        ^^^^^^^^^^^^^ no such day comes

    error: there is no time zone "Europe/Berln"
     --> playbooks/nightly.toml:3:12
      |
    3 | timezone = "Europe/Berln"
      |            ^^^^^^^^^^^^^^
      |
      = help: did you mean "Europe/Berlin"?

    error: "25:00" is no time of day
     --> playbooks/nightly.toml:4:13
      |
    4 | finish_by = "25:00"
      |             ^^^^^^^ expected a time of day, like "06:00"
    "#);
}

#[test]
fn a_schedule_has_five_fields_and_a_zone() {
    let shown = refused("[schedule]\ncron = \"0 0 3 * * *\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: [schedule] lacks "timezone"
     --> playbooks/nightly.toml:1:1
      |
    1 | [schedule]
      | ^^^^^^^^^^
      |
      = help: add timezone = "Europe/Berlin"

    error: "0 0 3 * * *" does not have five fields
     --> playbooks/nightly.toml:2:8
      |
    2 | cron = "0 0 3 * * *"
      |        ^^^^^^^^^^^^^ minute, hour, day of month, month, day of week
      |
      = help: "0 3 * * *" is every day at 03:00
    "#);
}

#[test]
fn a_schedule_that_is_no_cron_expression() {
    let shown = refused("[schedule]\ncron = \"61 3 * * *\"\ntimezone = \"berlin\"\n");
    insta::assert_snapshot!(shown, @r#"
    error: "61 3 * * *" is no cron expression: Component error: Number out of bounds.
     --> playbooks/nightly.toml:2:8
      |
    2 | cron = "61 3 * * *"
      |        ^^^^^^^^^^^^ minute, hour, day of month, month, day of week

    error: there is no time zone "berlin"
     --> playbooks/nightly.toml:3:12
      |
    3 | timezone = "berlin"
      |            ^^^^^^^^
      |
      = help: did you mean "Europe/Berlin"?
    "#);
}

#[test]
fn a_playbook_is_called_as_its_file_can_be() {
    let folder = Folder::new();
    folder.write("playbooks/My Nights.toml", "");
    folder.write("playbooks/latin.toml", b"description = \"caf\xe9\"\n");
    insta::assert_snapshot!(folder.refused(), @r#"
    error: a playbook name cannot hold 'M': use a-z, 0-9 and, not first, -
    --> playbooks/My Nights.toml
     = help: a playbook is called as its file

    error: the file cannot be read: it is no UTF-8 text: the byte 0xe9 in line 1
    --> playbooks/latin.toml
    "#);
}
