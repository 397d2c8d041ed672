//! Wrong `site.toml`s, and what people read.
use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::sources::Snapshot;
use super::test_folder::{Folder, SITE};
use super::{Options, load_from};

fn refused(changes: &[(&str, &str)]) -> String {
    let folder = Folder::new();
    folder.change(changes);
    shown_by(&folder)
}

fn shown_by(folder: &Folder) -> String {
    let shown = folder.refused();
    assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
    shown.replace(&folder.path().display().to_string(), "/etc/cleanslate")
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let shown = refused(&[(r#"name = "edge""#, r#"nmae = "edge""#)]);
    insta::assert_snapshot!(shown, @r#"
    error: unknown key "nmae"
     --> site.toml:2:1
      |
    2 | nmae = "edge"
      | ^^^^
      |
      = help: did you mean "name"?
    "#);
}

#[test]
fn a_rule_for_keep_tags_that_could_meet_others_is_refused() {
    let shown = refused(&[(
        "[traffic]",
        "[release]\nkeep = 500\ntag = \"{version}-{n}\"\n\n[traffic]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: [release].keep is more than 50
      --> site.toml:17:8
       |
    17 | keep = 500
       |        ^^^
       |
       = help: write how many releases back you would go: 5 is many

    error: [release].tag does not begin with a word of its own, of 3 characters or more
      --> site.toml:18:7
       |
    18 | tag = "{version}-{n}"
       |       ^^^^^^^^^^^^^^^
       |
       = help: begin with a word of your own, a letter or a digit first: "release-{n}"
    "#);
    let shown = refused(&[
        (
            "[traffic]",
            "[release]\nkeep = 5\ntag = \"fra-{n}\"\n\n[traffic]",
        ),
        (
            r#"name = "edge""#,
            "name = \"edge\"\nchannels = [\"fra-1\", \"master\"]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: [release].tag can make "fra-1", which sites follow
      --> site.toml:17:2
       |
    17 | [release]
       |  ^^^^^^^
       |
       = help: begin the rule with a word that no channel begins with
    "#);
}

#[test]
fn every_mistake_of_a_file_is_told_at_once() {
    let shown = refused(&[
        (r#"ttl = "30s""#, "ttl = 30"),
        (r#"server = "10.0.0.53""#, r#"server = "ns1.example.com""#),
        ("engine = true", r#"engine = "yes""#),
        (
            r#"hosts = ["tcp://10.1.0.1:2375"]"#,
            r#"host = ["tcp://fra1:2375"]"#,
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: "ns1.example.com" is no IP address with or without a port
     --> site.toml:6:10
      |
    6 | server = "ns1.example.com"
      |          ^^^^^^^^^^^^^^^^^
      |
      = help: write the address itself, like "10.0.0.53:53": it must be known without DNS

    error: [dns].ttl lacks its unit
     --> site.toml:9:7
      |
    9 | ttl = 30
      |       ^^ expected a duration, like "30s" or "5m"
      |
      = help: write "30s" for seconds, "30m" for minutes

    error: [traffic].engine is a string
      --> site.toml:17:10
       |
    17 | engine = "yes"
       |          ^^^^^ expected true or false

    error: [site.fra].host[0] is a string
      --> site.toml:21:9
       |
    21 | host = ["tcp://fra1:2375"]
       |         ^^^^^^^^^^^^^^^^^ expected a table
    "#);
}

#[test]
fn a_syntax_error_has_its_place() {
    let shown = refused(&[(r#"ttl = "30s""#, r#"ttl = "30s"#)]);
    insta::assert_snapshot!(shown, @r#"
    error: invalid basic string, expected `"`
     --> site.toml:9:11
      |
    9 | ttl = "30s
      |           ^
    "#);
}

#[test]
fn a_table_that_is_missing_is_named() {
    let shown = refused(&[("[dns]", "[x-dns]")]);
    insta::assert_snapshot!(shown, @r#"
    error: [dns] is missing
    --> site.toml
     = help: add [dns] with server, zone, records, ttl and key
    "#);
}

#[test]
fn a_key_that_is_missing_comes_with_an_example() {
    let shown = refused(&[("zone = \"example.com.\"\n", "")]);
    insta::assert_snapshot!(shown, @r#"
    error: [dns] lacks "zone"
     --> site.toml:5:1
      |
    5 | [dns]
      | ^^^^^
      |
      = help: add zone = "example.com."
    "#);
}

#[test]
fn a_record_outside_the_zone_is_refused() {
    let shown = refused(&[(
        r#"records = ["www.example.com."]"#,
        r#"records = ["www", "www.example.org"]"#,
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: www. does not lie in the zone example.com.
     --> site.toml:8:12
      |
    8 | records = ["www", "www.example.org"]
      |            ^^^^^
      |
      = help: names are written in full: "www.example.com."

    error: www.example.org. does not lie in the zone example.com.
     --> site.toml:8:19
      |
    8 | records = ["www", "www.example.org"]
      |                   ^^^^^^^^^^^^^^^^^
      |
      = help: a fleet has one zone; another one needs a fleet of its own
    "#);
}

#[test]
fn an_rrset_with_one_member_is_refused() {
    let shown = refused(&[(
        r#"addresses = ["192.0.2.10"]"#,
        r#"addresses = ["192.0.2.10", "2001:db8::1"]"#,
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: www.example.com. AAAA has one member, fra: it could never be withdrawn
     --> site.toml:8:12
      |
    8 | records = ["www.example.com."]
      |            ^^^^^^^^^^^^^^^^^^
      |
      = help: give at least two sites an IPv6 address for it, or none
    "#);
}

#[test]
fn sites_outside_the_floor_are_no_members() {
    let shown = refused(&[
        (
            r#"addresses = ["192.0.2.10"]"#,
            "in_floor = false\naddresses = [\"192.0.2.10\"]",
        ),
        (
            r#"addresses = ["203.0.113.5"]"#,
            "in_floor = false\naddresses = [\"203.0.113.5\"]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: www.example.com. A has one member, nyc: it could never be withdrawn
     --> site.toml:8:12
      |
    8 | records = ["www.example.com."]
      |            ^^^^^^^^^^^^^^^^^^ fra has in_floor = false, sin has in_floor = false
      |
      = help: give at least two sites an IPv4 address for it
    "#);
}

#[test]
fn an_address_belongs_to_one_site() {
    let shown = refused(&[("198.51.100.7", "192.0.2.10")]);
    insta::assert_snapshot!(shown, @r#"
    error: 192.0.2.10 belongs to fra already
      --> site.toml:24:14
       |
    24 | addresses = ["192.0.2.10"]
       |              ^^^^^^^^^^^^
       |
       = help: an address is withdrawn with its site: give each site its own
    "#);
}

#[test]
fn a_record_knows_only_sites_that_are_there() {
    let shown = refused(&[(
        "[[probe]]",
        "[dns.record.\"eu.example.com.\"]\nsites = [\"far\", \"nyc\"]\naddresses = { ams = [\"192.0.2.1\"] }\n\n[[probe]]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: there is no site far
      --> site.toml:13:10
       |
    13 | sites = ["far", "nyc"]
       |          ^^^^^
       |
       = help: did you mean "fra"?

    error: there is no site ams
      --> site.toml:14:15
       |
    14 | addresses = { ams = ["192.0.2.1"] }
       |               ^^^
       |
       = help: the sites are fra, nyc, sin

    error: ams is not among the sites of this record
      --> site.toml:14:15
       |
    14 | addresses = { ams = ["192.0.2.1"] }
       |               ^^^
       |
       = help: add it to sites
    "#);
}

#[test]
fn an_address_for_a_site_that_is_not_in_the_record() {
    let shown = refused(&[(
        "[[probe]]",
        "[dns.record.\"eu.example.com.\"]\nsites = [\"fra\", \"nyc\"]\naddresses = { sin = [\"192.0.2.1\"] }\n\n[[probe]]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: sin is not among the sites of this record
      --> site.toml:14:15
       |
    14 | addresses = { sin = ["192.0.2.1"] }
       |               ^^^
       |
       = help: add it to sites
    "#);
}

#[test]
fn addresses_that_no_host_has_are_refused() {
    let shown = refused(&[(
        r#""192.0.2.10""#,
        r#""0.0.0.0", "ff02::1", "::ffff:192.0.2.1", "192.0.2.10", "192.0.2.10""#,
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: 0.0.0.0 stands for no host
      --> site.toml:20:14
       |
    20 | addresses = ["0.0.0.0", "ff02::1", "::ffff:192.0.2.1", "192.0.2.10", "192.0.2.10"]
       |              ^^^^^^^^^

    error: ff02::1 is a multicast address
      --> site.toml:20:25
       |
    20 | addresses = ["0.0.0.0", "ff02::1", "::ffff:192.0.2.1", "192.0.2.10", "192.0.2.10"]
       |                         ^^^^^^^^^

    error: ::ffff:192.0.2.1 is an IPv4 address in IPv6
      --> site.toml:20:36
       |
    20 | addresses = ["0.0.0.0", "ff02::1", "::ffff:192.0.2.1", "192.0.2.10", "192.0.2.10"]
       |                                    ^^^^^^^^^^^^^^^^^^

    error: 192.0.2.10 stands here twice
      --> site.toml:20:70
       |
    20 | addresses = ["0.0.0.0", "ff02::1", "::ffff:192.0.2.1", "192.0.2.10", "192.0.2.10"]
       |                                                                      ^^^^^^^^^^^^
    "#);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    let shown = refused(&[
        (r#"key = { file = "tsig.key" }"#, r#"key = "hunter2""#),
        (
            "[traffic]",
            "[registry.\"registry.example.com\"]\nusername = \"robot\"\npassword = \"hunter2\"\n\n[traffic]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: [dns].key stands in the file itself
      --> site.toml:10:7
       |
    10 | key = *********
       |       ^^^^^^^^^ a secret, not shown
       |
       = help: secrets are written { file = "path" } or { env = "VARIABLE" }

    error: [registry.registry.example.com].password stands in the file itself
      --> site.toml:18:12
       |
    18 | password = *********
       |            ^^^^^^^^^ a secret, not shown
       |
       = help: secrets are written { file = "path" } or { env = "VARIABLE" }
    "#);
}

#[test]
fn a_secret_is_in_one_place() {
    let shown = refused(&[
        (
            r#"key = { file = "tsig.key" }"#,
            r#"key = { file = "tsig.key", env = "KEY", fiel = 1 }"#,
        ),
        (
            "[traffic]",
            "[registry.\"https://registry.example.com\"]\npassword = {}\n\n[traffic]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: [dns.key] needs one of file and env
      --> site.toml:10:7
       |
    10 | key = { file = "tsig.key", env = "KEY", fiel = 1 }
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write { file = "path" } or { env = "VARIABLE" }

    error: unknown key "fiel"
      --> site.toml:10:41
       |
    10 | key = { file = "tsig.key", env = "KEY", fiel = 1 }
       |                                         ^^^^
       |
       = help: did you mean "file"?

    error: [registry.https://registry.example.com] needs both username and password, or neither
      --> site.toml:16:1
       |
    16 | [registry."https://registry.example.com"]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: password = { env = "REGISTRY_PASSWORD" }

    error: "https://registry.example.com" is an URL; a registry is named as in image references: HOST or HOST:PORT
      --> site.toml:16:11
       |
    16 | [registry."https://registry.example.com"]
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: [registry.https://registry.example.com.password] needs one of file and env
      --> site.toml:17:12
       |
    17 | password = {}
       |            ^^
       |
       = help: write { file = "path" } or { env = "VARIABLE" }
    "#);
}

#[test]
fn a_secret_that_is_not_there_is_named_by_its_place() {
    let shown = refused(&[
        (
            r#"key = { file = "tsig.key" }"#,
            r#"key = { env = "TSIG_KEY" }"#,
        ),
        (
            "[traffic]",
            "[registry.\"registry.example.com\"]\nusername = \"robot\"\npassword = { file = \"nowhere\" }\n\n[traffic]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: the variable TSIG_KEY is not set
      --> site.toml:10:15
       |
    10 | key = { env = "TSIG_KEY" }
       |               ^^^^^^^^^^
       |
       = help: set it where cleanslate runs, or use { file = "…" }

    error: cannot read the secret "/etc/cleanslate/nowhere": there is no such file
      --> site.toml:18:21
       |
    18 | password = { file = "nowhere" }
       |                     ^^^^^^^^^
    "#);
}

#[test]
fn engines_that_are_not_built_or_need_dns_are_refused_by_name() {
    let shown = refused(&[
        (r#""tcp://10.1.0.1:2375""#, r#""ssh://root@fra1""#),
        (r#""tcp://10.2.0.1:2375""#, r#""tcp://nyc1:2375""#),
        (r#""tcp://10.3.0.1:2375""#, r#""tcp://10.3.0.1""#),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: engines over ssh:// are not built yet
      --> site.toml:21:10
       |
    21 | hosts = ["ssh://root@fra1"]
       |          ^^^^^^^^^^^^^^^^^
       |
       = help: use unix:// with a forwarded socket: ssh -nNT -L /run/engine.sock:/var/run/docker.sock root@fra1

    error: "tcp://nyc1:2375" does not name an IP address and a port
      --> site.toml:25:10
       |
    25 | hosts = ["tcp://nyc1:2375"]
       |          ^^^^^^^^^^^^^^^^^
       |
       = help: write the address itself, "tcp://10.0.0.1:2375": an engine must be reachable while DNS is not

    error: "tcp://10.3.0.1" lacks its port
      --> site.toml:29:10
       |
    29 | hosts = ["tcp://10.3.0.1"]
       |          ^^^^^^^^^^^^^^^^
       |
       = help: write "tcp://10.3.0.1:2375"
    "#);
}

#[test]
fn tls_is_not_built_yet() {
    let shown = refused(&[(
        "hosts = [\"tcp://10.1.0.1:2375\"]\n",
        "[[site.fra.host]]\nname = \"fra1\"\nengine = \"tcp://10.1.0.1:2375\"\ntls = { ca = \"ca.pem\" }\n",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: [site.fra].host[0].tls is not built yet
      --> site.toml:24:1
       |
    24 | tls = { ca = "ca.pem" }
       | ^^^
       |
       = help: use unix:// with a forwarded socket, or tcp:// inside a private network
    "#);
}

#[test]
fn two_hosts_of_one_name_need_the_long_form() {
    let shown = refused(&[(
        r#"hosts = ["tcp://10.1.0.1:2375"]"#,
        r#"hosts = ["unix:///a.sock", "unix:///b.sock"]"#,
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: two hosts of the site are called local
      --> site.toml:21:28
       |
    21 | hosts = ["unix:///a.sock", "unix:///b.sock"]
       |                            ^^^^^^^^^^^^^^^^
       |
       = help: name it in the long form: [[site.NAME.host]] with name and engine
    "#);
}

#[test]
fn hosts_are_written_short_or_long() {
    let shown = refused(&[
        (
            "hosts = [\"tcp://10.1.0.1:2375\"]\n",
            "hosts = [\"tcp://10.1.0.1:2375\"]\n[[site.fra.host]]\nname = \"fra1\"\nengine = \"tcp://10.1.0.1:2375\"\n",
        ),
        (r#"hosts = ["tcp://10.2.0.1:2375"]"#, ""),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: [site.fra] has both hosts and [[…host]]
      --> site.toml:21:1
       |
    21 | hosts = ["tcp://10.1.0.1:2375"]
       | ^^^^^
       |
       = help: write every host in the long form

    error: [site.nyc] has no host
      --> site.toml:26:1
       |
    26 | [site.nyc]
       | ^^^^^^^^^^
       |
       = help: add hosts = ["unix:///var/run/docker.sock"], or "tcp://10.0.0.1:2375"
    "#);
}

#[test]
fn a_hosts_own_keys_are_checked() {
    let shown = refused(&[
        (
            "hosts = [\"tcp://10.1.0.1:2375\"]\n",
            "[[site.fra.host]]\nname = \"fra1\"\nengine = \"tcp://10.1.0.1:2375\"\naddress = \"198.51.100.7\"\nchannel = \"stagign\"\nprojects = [\"web\"]\n",
        ),
        (
            r#"name = "edge""#,
            "name = \"edge\"\nchannels = [\"staging\", \"master\"]",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: there is no channel stagign
      --> site.toml:26:11
       |
    26 | channel = "stagign"
       |           ^^^^^^^^^
       |
       = help: did you mean "staging"?

    error: there is no project web
      --> site.toml:27:13
       |
    27 | projects = ["web"]
       |             ^^^^^
       |
       = help: [fleet].compose is one project, on every host: write [project.NAME]
    "#);
}

#[test]
fn a_host_knows_its_projects() {
    let shown = refused(&[
        (
            r#"compose = "compose.yaml""#,
            "[project.web]\ncompose = \"compose.yaml\"\nafter = [\"dta\"]\n[project.data]\ncompose = []\nrecreate = \"kept\"",
        ),
        (
            "hosts = [\"tcp://10.1.0.1:2375\"]\n",
            "[[site.fra.host]]\nname = \"fra1\"\nengine = \"tcp://10.1.0.1:2375\"\nprojects = [\"wbe\"]\n",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: no Compose file is named
     --> site.toml:7:11
      |
    7 | compose = []
      |           ^^
      |
      = help: write compose = "compose.yaml"

    error: "kept" is no choice for [project.data].recreate
     --> site.toml:8:12
      |
    8 | recreate = "kept"
      |            ^^^^^^ expected "always" or "keep"
    "#);
}

#[test]
fn projects_that_wait_in_a_circle_are_refused() {
    let shown = refused(&[(
        r#"compose = "compose.yaml""#,
        "[project.web]\ncompose = \"compose.yaml\"\nafter = [\"data\"]\n[project.data]\ncompose = \"compose.yaml\"\nafter = [\"web\"]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: web and data wait for each other
     --> site.toml:5:10
      |
    5 | after = ["data"]
      |          ^^^^^^ part of a circle: nothing of it could start

    error: data and web wait for each other
     --> site.toml:8:10
      |
    8 | after = ["web"]
      |          ^^^^^ part of a circle: nothing of it could start
    "#);
}

#[test]
fn a_fleet_has_one_form_of_project() {
    let shown = refused(&[(
        "[[probe]]",
        "[project.web]\ncompose = \"web.yaml\"\n\n[[probe]]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: the fleet has both compose and [project]
     --> site.toml:3:11
      |
    3 | compose = "compose.yaml"
      |           ^^^^^^^^^^^^^^
      |
      = help: move it into a [project.NAME] of its own
    "#);
}

#[test]
fn a_fleet_runs_something() {
    let shown = refused(&[("compose = \"compose.yaml\"\n", "")]);
    insta::assert_snapshot!(shown, @r#"
    error: nothing says what the sites run
     --> site.toml:1:1
      |
    1 | [fleet]
      | ^^^^^^^
      |
      = help: add compose = "compose.yaml"
    "#);
}

#[test]
fn variables_of_ours_are_taken() {
    let shown = refused(&[(
        "[site.nyc]",
        "vars = { SITE = \"x\", \"A-B\" = \"y\", REPLICAS = 3, T = { fiel = \"x\" } }\n[site.nyc]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: SITE is set by cleanslate itself, for every host
      --> site.toml:23:10
       |
    23 | vars = { SITE = "x", "A-B" = "y", REPLICAS = 3, T = { fiel = "x" } }
       |          ^^^^

    error: "A-B" is no variable name: use A-Z, a-z, 0-9 and _, no digit first
      --> site.toml:23:22
       |
    23 | vars = { SITE = "x", "A-B" = "y", REPLICAS = 3, T = { fiel = "x" } }
       |                      ^^^^^

    error: [site.fra.vars].REPLICAS is a whole number
      --> site.toml:23:46
       |
    23 | vars = { SITE = "x", "A-B" = "y", REPLICAS = 3, T = { fiel = "x" } }
       |                                              ^ expected a string, { file = "…" } or { env = "…" }
       |
       = help: put the value in quotes

    error: [site.fra.vars.T] needs one of file and env
      --> site.toml:23:53
       |
    23 | vars = { SITE = "x", "A-B" = "y", REPLICAS = 3, T = { fiel = "x" } }
       |                                                     ^^^^^^^^^^^^^^
       |
       = help: write { file = "path" } or { env = "VARIABLE" }

    error: unknown key "fiel"
      --> site.toml:23:55
       |
    23 | vars = { SITE = "x", "A-B" = "y", REPLICAS = 3, T = { fiel = "x" } }
       |                                                       ^^^^
       |
       = help: did you mean "file"?
    "#);
}

#[test]
fn a_probe_asks_the_site_at_hand() {
    let shown = refused(&[(
        "name = \"front\"\nhttp = \"http://{address}/\"",
        "name = \"front\"\nhttp = \"http://www.example.com/\"\n[[probe]]\nname = \"front\"\nhttp = \"http://{adress}/\"\nexpect = 20\n[[probe]]\nname = \"db\"\ntcp = \"{address}\"\nbody = \"ok\"\n[[probe]]\nname = \"two\"\nhttp = \"https://{address}/{recrod}\"\nca = \"none.pem\"\ntimeout = \"2m\"\npasses = 0",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: the probe does not ask the site at hand
      --> site.toml:14:8
       |
    14 | http = "http://www.example.com/"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^ expected {address} as the host
       |
       = help: name the virtual host with host = "…"

    error: the probe does not ask the site at hand
      --> site.toml:17:8
       |
    17 | http = "http://{adress}/"
       |        ^^^^^^^^^^^^^^^^^^ expected {address} as the host
       |
       = help: name the virtual host with host = "…"

    error: 20 is no HTTP status
      --> site.toml:18:10
       |
    18 | expect = 20
       |          ^^ expected a number from 100 to 599

    error: "{address}" is no place to connect to
      --> site.toml:21:7
       |
    21 | tcp = "{address}"
       |       ^^^^^^^^^^^ expected an address and a port, like "{address}:5432"

    error: body belongs to http probes, this one is tcp
      --> site.toml:22:1
       |
    22 | body = "ok"
       | ^^^^

    error: nothing fills in {recrod}
      --> site.toml:25:8
       |
    25 | http = "https://{address}/{recrod}"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean "record"?

    error: one try may take longer than all of them: timeout > within
      --> site.toml:27:1
       |
    27 | timeout = "2m"
       | ^^^^^^^

    error: a probe must pass at least once
      --> site.toml:28:10
       |
    28 | passes = 0
       |          ^
       |
       = help: write passes = 1
    "#);
}

#[test]
fn a_probe_of_a_site_that_is_not_there() {
    let shown = refused(&[(
        r#"http = "http://{address}/""#,
        "http = \"https://{address}/\"\nca = \"tsig.key\"\nsites = [\"fre\"]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: "/etc/cleanslate/tsig.key" holds no certificate
      --> site.toml:15:6
       |
    15 | ca = "tsig.key"
       |      ^^^^^^^^^^ expected a PEM file: -----BEGIN CERTIFICATE-----

    error: there is no site fre
      --> site.toml:16:10
       |
    16 | sites = ["fre"]
       |          ^^^^^
       |
       = help: did you mean "fra"?
    "#);
}

#[test]
fn a_probe_has_one_target() {
    let shown = refused(&[(
        r#"http = "http://{address}/""#,
        "http = \"http://{address}/\"\ntcp = \"{address}:80\"",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: a probe has one of http and tcp
      --> site.toml:12:1
       |
    12 | [[probe]]
       | ^^^^^^^^^
       |
       = help: http = "https://{address}/healthz", or tcp = "{address}:5432"
    "#);
}

#[test]
fn a_password_in_a_probe_is_not_shown() {
    let shown = refused(&[(
        r#"http = "http://{address}/""#,
        r#"http = "http://robot:hunter2@{address}/""#,
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: the address holds a user name or password
      --> site.toml:14:8
       |
    14 | http = *********************************
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not shown
       |
       = help: probe a path that needs none
    "#);
}

#[test]
fn the_api_listens_somewhere_and_never_in_the_clear_for_others() {
    let with = |api: &str| refused(&[("[[probe]]", &format!("[api]\n{api}\n\n[[probe]]"))]);
    insta::assert_snapshot!(with("listen = \"8443\""), @r#"
    error: "8443" is no address and port
      --> site.toml:13:10
       |
    13 | listen = "8443"
       |          ^^^^^^
       |
       = help: write "10.0.0.5:8443" or "[2001:db8::5]:8443"
    "#);
    insta::assert_snapshot!(with("listen = \"0.0.0.0:8443\""), @r#"
    error: tokens would travel for all to read
      --> site.toml:13:10
       |
    13 | listen = "0.0.0.0:8443"
       |          ^^^^^^^^^^^^^^ not an address of this machine alone
       |
       = help: give [api] a cert and a key, or listen on 127.0.0.1
    "#);
    insta::assert_snapshot!(with("listen = \"127.0.0.1:1\"\ncert = \"api.pem\""), @r#"
    error: [api] needs cert and key together
      --> site.toml:12:1
       |
    12 | [api]
       | ^^^^^
       |
       = help: cert = "api.pem" and key = { file = "api.key" }, both PEM
    "#);
    let files = "listen = \"0.0.0.0:1\"\ncert = \"tsig.key\"\nkey = { file = \"tsig.key\" }";
    insta::assert_snapshot!(with(files), @r#"
    error: the certificate of [api] cannot be read: no items found
      --> site.toml:14:8
       |
    14 | cert = "tsig.key"
       |        ^^^^^^^^^^
       |
       = help: cert holds the certificate and those that signed it, key its private key
    "#);
}

#[test]
fn whoever_is_told_has_a_name_an_address_and_sites_that_there_are() {
    let notify = "[[notify]]\nname = \"chat\"\nurl = \"https://chat.example.com/\"\n\
                  format = \"slak\"\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", notify)]);
    insta::assert_snapshot!(shown, @r#"
    error: [notify][0].url stands in the file itself
      --> site.toml:14:7
       |
    14 | url = ***************************
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ a secret, not shown
       |
       = help: secrets are written { file = "path" } or { env = "VARIABLE" }

    error: "slak" is no choice for [notify][0].format
      --> site.toml:15:10
       |
    15 | format = "slak"
       |          ^^^^^^ expected "json" or "slack" or "slack_api"
       |
       = help: did you mean "slack"?
    "#);
    let notify = "[[notify]]\nname = \"chat\"\nurl = { env = \"CHAT_URL\" }\n\
                  [[notify]]\nname = \"chat\"\nurl = { file = \"tsig.key\" }\n\
                  sites = [\"mars\"]\nchannels = [\"mastr\"]\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", notify)]);
    insta::assert_snapshot!(shown, @r#"
    error: the variable CHAT_URL is not set
      --> site.toml:14:15
       |
    14 | url = { env = "CHAT_URL" }
       |               ^^^^^^^^^^
       |
       = help: set it where cleanslate runs, or use { file = "…" }

    error: two [[notify]] are called "chat"
      --> site.toml:16:8
       |
    16 | name = "chat"
       |        ^^^^^^

    error: the url of [[notify]] "chat" is none
      --> site.toml:16:8
       |
    16 | name = "chat"
       |        ^^^^^^
       |
       = help: its file holds one line: https://…

    error: there is no site mars
      --> site.toml:18:10
       |
    18 | sites = ["mars"]
       |          ^^^^^^
       |
       = help: the sites are fra, nyc, sin

    error: no channel is called mastr
      --> site.toml:19:13
       |
    19 | channels = ["mastr"]
       |             ^^^^^^^
       |
       = help: use one of: master
    "#);
}

#[test]
fn a_bot_has_a_token_a_channel_and_a_template_that_says_something() {
    let notify = "[[notify]]\nname = \"bot\"\nformat = \"slack_api\"\n\
                  template = \"{sit}: {text}\"\nwaiting = 5\n\
                  [[notify]]\nname = \"chat\"\nurl = { file = \"tsig.key\" }\nchannel = \"#x\"\n\
                  template = \"it happened\"\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", notify)]);
    insta::assert_snapshot!(shown, @r##"
    error: [notify][0] lacks "token"
      --> site.toml:12:1
       |
    12 | [[notify]]
       | ^^^^^^^^^^
       |
       = help: add token = { file = "slack.token" }

    error: [notify][0] lacks "channel"
      --> site.toml:12:1
       |
    12 | [[notify]]
       | ^^^^^^^^^^
       |
       = help: add channel = "#nights"

    error: the template has no field {sit}
      --> site.toml:15:12
       |
    15 | template = "{sit}: {text}"
       |            ^^^^^^^^^^^^^^^
       |
       = help: did you mean "site"?

    error: [notify][0].waiting lacks its unit
      --> site.toml:16:11
       |
    16 | waiting = 5
       |           ^ expected a duration, like "30s" or "5m"
       |
       = help: write "5s" for seconds, "5m" for minutes

    error: channel is for format = "slack_api"
      --> site.toml:20:1
       |
    20 | channel = "#x"
       | ^^^^^^^
       |
       = help: a webhook's url says where it posts: leave it out

    error: the template says nothing of what happened
      --> site.toml:21:12
       |
    21 | template = "it happened"
       |            ^^^^^^^^^^^^^
       |
       = help: add {text}
    "##);
    let folder = Folder::new();
    folder.write("chat.url", "http://chat.example.com/hook");
    folder.write("slack.token", "xoxb-1");
    let notify = "[[notify]]\nname = \"bot\"\nformat = \"slack_api\"\nchannel = \"#x\"\n\
                  token = { file = \"slack.token\" }\nurl = { file = \"chat.url\" }\n\n[[probe]]";
    folder.change(&[("[[probe]]", notify)]);
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the url of [[notify]] "bot" is http
      --> site.toml:13:8
       |
    13 | name = "bot"
       |        ^^^^^
       |
       = help: a bot's token goes along: write https://…, or leave url out for Slack's
    "#);
}

#[test]
fn a_hook_says_on_what_and_how_it_is_called() {
    let hooks = r#"[[hook]]
name = "a"
on = "before_withdrawal"
command = []
[[hook]]
name = "a"
on = "halted"
failure = "go_on"
http = "ops.example.com"
[[hook]]
name = "Make Room"
on = "before_withdraw"
[[hook]]
name = "b"
on = "after_restore"
command = ["/room", "{peer}"]
key = { file = "hook.key" }
sites = ["fre"]
within = "0s"

[[probe]]"#;
    let shown = refused(&[("[[probe]]", hooks)]);
    insta::assert_snapshot!(shown, @r#"
    error: nothing of a rotation is called "before_withdrawal"
      --> site.toml:14:6
       |
    14 | on = "before_withdrawal"
       |      ^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean "before_withdraw"?

    error: the command is empty
      --> site.toml:15:11
       |
    15 | command = []
       |           ^^
       |
       = help: write command = ["/etc/cleanslate/make-room", "{site}"]

    error: nothing waits for a hook on halted
      --> site.toml:19:1
       |
    19 | failure = "go_on"
       | ^^^^^^^
       |
       = help: failure is for before_withdraw, before_recreate, after_restore: leave it out

    error: "ops.example.com" is no URL
      --> site.toml:20:8
       |
    20 | http = "ops.example.com"
       |        ^^^^^^^^^^^^^^^^^ expected one like "https://ops.example.com/make-room"

    error: a hook has one of command and http
      --> site.toml:21:1
       |
    21 | [[hook]]
       | ^^^^^^^^
       |
       = help: command = ["/etc/cleanslate/make-room", "{site}"], or http = "https://…"

    error: a hook name cannot hold 'M': use a-z, 0-9 and, not first, -
      --> site.toml:22:8
       |
    22 | name = "Make Room"
       |        ^^^^^^^^^^^

    error: {peer} is filled in where peers = true
      --> site.toml:27:1
       |
    27 | command = ["/room", "{peer}"]
       | ^^^^^^^
       |
       = help: write peers = true: the hook is then called once for each other site

    error: key signs what is posted, this hook is a command
      --> site.toml:28:1
       |
    28 | key = { file = "hook.key" }
       | ^^^
       |
       = help: leave key out: a command is run, and knows by whom

    error: no call is over at once
      --> site.toml:30:10
       |
    30 | within = "0s"
       |          ^^^^
       |
       = help: write within = "30s"
    "#);
    let twice = "[[hook]]\nname = \"a\"\non = \"halted\"\ncommand = [\"x\"]\n\
                 [[hook]]\nname = \"a\"\non = \"halted\"\ncommand = [\"x\"]\nsites = [\"fre\"]\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", twice)]);
    insta::assert_snapshot!(shown, @r#"
    error: two [[hook]] are called a
      --> site.toml:17:8
       |
    17 | name = "a"
       |        ^^^

    error: there is no site fre
      --> site.toml:20:10
       |
    20 | sites = ["fre"]
       |          ^^^^^
       |
       = help: did you mean "fra"?
    "#);
}

#[test]
fn quiet_hours_are_hours_of_a_zone_that_there_is() {
    let shown = refused(&[
        (
            "[site.fra]",
            "[site.fra]\nquiet = \"2-5\"\ntimezone = \"Berlin\"",
        ),
        ("[site.nyc]", "[site.nyc]\nquiet = \"02:00-02:00\""),
        ("[site.sin]", "[site.sin]\ntimezone = \"Asia/Singapore\""),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: "2-5" is not of the form HH:MM-HH:MM
      --> site.toml:20:9
       |
    20 | quiet = "2-5"
       |         ^^^^^
       |
       = help: write "02:00-05:00", or "22:00-02:00" over midnight

    error: there is no time zone "Berlin"
      --> site.toml:21:12
       |
    21 | timezone = "Berlin"
       |            ^^^^^^^^
       |
       = help: did you mean "Europe/Berlin"?

    error: "02:00-02:00" begins and ends at the same time
      --> site.toml:26:9
       |
    26 | quiet = "02:00-02:00"
       |         ^^^^^^^^^^^^^
       |
       = help: leave quiet out where every hour will do

    warning: a time zone says nothing without quiet hours
      --> site.toml:31:1
       |
    31 | timezone = "Asia/Singapore"
       | ^^^^^^^^
       |
       = help: add quiet = "02:00-05:00", or leave timezone out
    "#);
}

#[test]
fn a_pin_is_of_services_that_follow_a_tag_until_a_day() {
    let shown = refused(&[
        (
            "[site.fra]",
            "[site.fra]\npin = { web = \"sha256:12\", until = \"2026-12-01\" }",
        ),
        (
            "[site.nyc]",
            &format!("[site.nyc]\npin = {{ until = \"{}\" }}", pin(5)),
        ),
        (
            "[site.sin]",
            &format!("[site.sin]\npin = {{ web = \"{}\" }}", pin(5)),
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: "sha256:12" is no digest: sha256: and 64 hex digits
      --> site.toml:20:15
       |
    20 | pin = { web = "sha256:12", until = "2026-12-01" }
       |               ^^^^^^^^^^^

    error: [site.nyc.pin].until is its last day
      --> site.toml:25:17
       |
    25 | pin = { until = "sha256:0505050505050505050505050505050505050505050505050505050505050505" }
       |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ a digest
       |
       = help: a service called "until" cannot be pinned: call it something else

    error: [site.sin.pin] lacks "until"
      --> site.toml:30:7
       |
    30 | pin = { web = "sha256:0505050505050505050505050505050505050505050505050505050505050505" }
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add until = "2026-12-01", its last day: then it ends by itself
    "#);
    let shown = refused(&[
        ("[site.fra]", "[site.fra]\npin = \"2026-12-01\""),
        (
            "[site.nyc]",
            "[site.nyc]\npin = { until = 2026-12-01T03:00:00Z }",
        ),
        (
            "[site.sin]",
            "[site.sin]\npin = { web = 7, until = \"soon\" }",
        ),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: [site.fra].pin is a string
      --> site.toml:20:7
       |
    20 | pin = "2026-12-01"
       |       ^^^^^^^^^^^^ expected a table

    error: [site.nyc.pin].until is a date or time without quotes
      --> site.toml:25:17
       |
    25 | pin = { until = 2026-12-01T03:00:00Z }
       |                 ^^^^^^^^^^^^^^^^^^^^ expected a date, like "2026-12-20"

    error: [site.sin.pin].web is a whole number
      --> site.toml:30:15
       |
    30 | pin = { web = 7, until = "soon" }
       |               ^ expected a digest: sha256: and 64 hex digits

    error: "soon" is no date
      --> site.toml:30:26
       |
    30 | pin = { web = 7, until = "soon" }
       |                          ^^^^^^ expected a date, like "2026-12-20"
    "#);
}

#[test]
fn a_pin_names_what_its_site_runs_and_what_runs_one_image_alike() {
    let folder = Folder::new();
    let compose = format!(
        "services:\n  web: {{ image: 'app:${{CHANNEL}}' }}\n  worker: {{ image: 'app:${{CHANNEL}}' }}\n  \
         db: {{ image: 'db@{}' }}\n",
        pin(1)
    );
    folder.write("compose.yaml", &compose);
    folder.write(
        "more.yaml",
        "services:\n  web: { image: 'front:${CHANNEL}' }\n  cache: { image: redis }\n",
    );
    let other = "[project.edge]\ncompose = \"compose.yaml\"\n[project.more]\ncompose = \"more.yaml\"\n\n[[probe]]";
    let host = |name: &str, ip: &str, projects: &str| {
        format!(
            "[[site.{name}.host]]\nname = \"{name}1\"\nengine = \"tcp://{ip}:2375\"\nprojects = [{projects}]"
        )
    };
    folder.change(&[
        ("compose = \"compose.yaml\"", ""),
        ("[[probe]]", other),
        (
            "hosts = [\"tcp://10.1.0.1:2375\"]",
            &format!(
                "pin = {{ wep = \"{0}\", cache = \"{0}\", db = \"{0}\", until = 2026-12-01 }}\n{1}",
                pin(5),
                host("fra", "10.1.0.1", "\"edge\"")
            ),
        ),
        (
            "hosts = [\"tcp://10.2.0.1:2375\"]",
            &format!(
                "pin = {{ web = \"{}\", until = 2026-12-01 }}\nhosts = [\"tcp://10.2.0.1:2375\"]",
                pin(5)
            ),
        ),
        (
            "hosts = [\"tcp://10.3.0.1:2375\"]",
            &format!(
                "pin = {{ web = \"{}\", worker = \"{}\", until = 2026-12-01 }}\n{}",
                pin(5),
                pin(6),
                host("sin", "10.3.0.1", "\"edge\"")
            ),
        ),
    ]);
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: no service is called wep
      --> site.toml:26:9
       |
    26 | pin = { wep = "sha256:0505050505050505050505050505050505050505050505050505050505050505", cache = "sha256:050505050505050505050505050...
       |         ^^^
       |
       = help: did you mean "web"?

    error: fra does not run cache
      --> site.toml:26:90
       |
    26 | pin = { wep = "sha256:0505050505050505050505050505050505050505050505050505050505050505", cache = "sha256:050505050505050505050505050...
       |                                                                                          ^^^^^
       |
       = help: fra runs db, web, worker

    error: db follows no tag: docker.io/library/db@sha256:0101010101010101010101010101010101010101010101010101010101010101
      --> site.toml:26:173
       |
    26 | ...050505050505050505050505050505050505050505050505050505050505", db = "sha256:05050505050505050505050505050505050505050505050505050...
       |                                                                   ^^
       |
       = help: its Compose file names the digest: change it there

    error: nyc runs several web: docker.io/library/app, docker.io/library/front
      --> site.toml:34:9
       |
    34 | pin = { web = "sha256:0505050505050505050505050505050505050505050505050505050505050505", until = 2026-12-01 }
       |         ^^^
       |
       = help: a digest is of one image: give the services names of their own

    error: web, worker of nyc run one image, docker.io/library/app:master
      --> site.toml:34:9
       |
    34 | pin = { web = "sha256:0505050505050505050505050505050505050505050505050505050505050505", until = 2026-12-01 }
       |         ^^^
       |
       = help: pin both alike

    error: web, worker of sin run one image, docker.io/library/app:master
      --> site.toml:39:9
       |
    39 | pin = { web = "sha256:0505050505050505050505050505050505050505050505050505050505050505", worker = "sha256:06060606060606060606060606...
       |         ^^^
       |
       = help: pin both alike
    "#);
    let folder = Folder::new();
    folder.write("compose.yaml", &compose);
    folder.change(&[
        ("[site.fra]", "[site.fra]\npin = { until = 2026-12-01 }"),
        (
            "[site.nyc]",
            &format!(
                "[site.nyc]\npin = {{ worker = \"{}\", until = 2026-12-01 }}",
                pin(5)
            ),
        ),
    ]);
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the pin of fra is empty
      --> site.toml:20:7
       |
    20 | pin = { until = 2026-12-01 }
       |       ^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: name a service and its digest, or take the pin out

    error: web, worker of nyc run one image, docker.io/library/app:master
      --> site.toml:25:9
       |
    25 | pin = { worker = "sha256:0505050505050505050505050505050505050505050505050505050505050505", until = 2026-12-01 }
       |         ^^^^^^
       |
       = help: pin both alike
    "#);
}

fn pin(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

#[test]
fn traces_go_to_a_url_without_a_secret() {
    for (url, said) in [
        ("127.0.0.1:4318", "[traces].otlp is no URL"),
        ("grpc://collector:4317", "[traces].otlp is no URL"),
        (
            "https://me:hunter2@collector/v1/traces",
            "[traces].otlp holds a name or a password",
        ),
    ] {
        let traces = format!("[traces]\notlp = \"{url}\"\n\n[[probe]]");
        let shown = refused(&[("[[probe]]", &traces)]);
        assert!(shown.contains(said), "{shown}");
    }
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_program_that_sends_no_traces_says_so() {
    let traces = "[traces]\notlp = \"http://127.0.0.1:4318/v1/traces\"\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", traces)]);
    insta::assert_snapshot!(shown, @r#"
    error: this program was built without traces
      --> site.toml:13:8
       |
    13 | otlp = "http://127.0.0.1:4318/v1/traces"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: build it with `cargo build --release --features otlp`, or take [traces] out
    "#);
}

#[test]
fn what_a_release_asks_for_is_a_time_and_a_number() {
    let terms = "[release]\nsoak = 24\napprovals = \"two\"\nkeeps = 1\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", terms)]);
    insta::assert_snapshot!(shown, @r#"
    error: [release].soak lacks its unit
      --> site.toml:13:8
       |
    13 | soak = 24
       |        ^^ expected a duration, like "30s" or "5m"
       |
       = help: write "24s" for seconds, "24m" for minutes

    error: [release].approvals is a string
      --> site.toml:14:13
       |
    14 | approvals = "two"
       |             ^^^^^ expected a whole number

    error: unknown key "keeps"
      --> site.toml:15:1
       |
    15 | keeps = 1
       | ^^^^^
       |
       = help: did you mean "keep"?
    "#);
}

#[test]
fn a_freeze_has_a_first_and_a_last_day_and_a_reason() {
    let freeze = "[[freeze]]\nfrom = \"2026-12-24\"\nuntil = \"2026-12-20\"\nreason = \"x\"\n\
                  [[freeze]]\nfrom = \"tomorrow\"\nuntil = \"2026-12-20\"\n\n[[probe]]";
    let shown = refused(&[("[[probe]]", freeze)]);
    insta::assert_snapshot!(shown, @r#"
    error: the freeze ends before it begins
      --> site.toml:14:9
       |
    14 | until = "2026-12-20"
       |         ^^^^^^^^^^^^
       |
       = help: until is its last day

    error: [freeze][1] lacks "reason"
      --> site.toml:16:1
       |
    16 | [[freeze]]
       | ^^^^^^^^^^
       |
       = help: add reason = "nobody is in the office"

    error: "tomorrow" is no date
      --> site.toml:17:8
       |
    17 | from = "tomorrow"
       |        ^^^^^^^^^^ expected a date, like "2026-12-20"
    "#);
}

#[test]
fn tables_are_no_lists_and_lists_no_tables() {
    let shown = refused(&[("[[probe]]", "[probe]"), ("[dns]", "[[dns]]")]);
    insta::assert_snapshot!(shown, @r#"
    error: a fleet has one [dns], with one zone
     --> site.toml:5:1
      |
    5 | [[dns]]
      | ^^^^^^^
      |
      = help: write [dns]; several zones need a fleet each

    error: [[probe]] is a list
      --> site.toml:12:1
       |
    12 | [probe]
       | ^^^^^^^
       |
       = help: write [[probe]], with two brackets
    "#);
}

#[test]
fn channels_and_floors_are_checked() {
    let shown = refused(&[
        (
            r#"name = "edge""#,
            "name = \"Edge\"\nchannels = [\"a\", \"a\"]\nmin_in_service = -1",
        ),
        (r#"ttl = "30s""#, "ttl = \"1500ms\"\nnameservers = []"),
    ]);
    insta::assert_snapshot!(shown, @r#"
    error: a fleet name cannot hold 'E': use a-z, 0-9 and, not first, -
     --> site.toml:2:8
      |
    2 | name = "Edge"
      |        ^^^^^^

    error: the channel a stands here twice
     --> site.toml:3:18
      |
    3 | channels = ["a", "a"]
      |                  ^^^

    error: [fleet].min_in_service is out of range
     --> site.toml:4:18
      |
    4 | min_in_service = -1
      |                  ^^ expected a whole number from 0 to 4294967295

    error: [dns].ttl is no TTL for a rotation
      --> site.toml:11:7
       |
    11 | ttl = "1500ms"
       |       ^^^^^^^^ expected whole seconds, at most 24h

    error: no name server is named
      --> site.toml:12:15
       |
    12 | nameservers = []
       |               ^^
       |
       = help: leave the key out to ask the zone's NS records
    "#);
}

#[test]
fn a_site_needs_an_address_and_a_host() {
    let shown = refused(&[(
        "addresses = [\"192.0.2.10\"]\nhosts = [\"tcp://10.1.0.1:2375\"]\n",
        "\n",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: [site.fra] has no host
      --> site.toml:19:1
       |
    19 | [site.fra]
       | ^^^^^^^^^^
       |
       = help: add hosts = ["unix:///var/run/docker.sock"], or "tcp://10.0.0.1:2375"
    "#);
}

#[test]
fn a_site_without_an_address_is_refused() {
    let shown = refused(&[("addresses = [\"192.0.2.10\"]\n", "")]);
    insta::assert_snapshot!(shown, @r#"
    error: fra has no address in any record
      --> site.toml:19:7
       |
    19 | [site.fra]
       |       ^^^
       |
       = help: add addresses = ["192.0.2.10"]
    "#);
}

#[test]
fn a_playbook_folder_that_is_named_must_be_there() {
    let shown = refused(&[(r#"name = "edge""#, "name = \"edge\"\nplaybooks = \"plays\"")]);
    insta::assert_snapshot!(shown, @r#"
    error: cannot read the folder "/etc/cleanslate/plays": there is no such file
     --> site.toml:3:13
      |
    3 | playbooks = "plays"
      |             ^^^^^^^
    "#);
}

#[test]
fn a_ttl_that_outlives_the_built_in_drains() {
    let shown = refused(&[(r#"ttl = "30s""#, r#"ttl = "10m""#)]);
    insta::assert_snapshot!(shown, @r#"
    error: the built-in playbook nightly does not fit: a TTL of 10m outlives the drain's 5m
    --> playbooks/nightly.toml
     = help: lower the TTL in DNS, or write at_most = "10m10s" or more

    error: the built-in playbook rebuild does not fit: a TTL of 10m outlives the drain's 5m
    --> playbooks/rebuild.toml
     = help: lower the TTL in DNS, or write at_most = "10m10s" or more

    warning: the built-in playbook urgent does not fit: a TTL of 10m outlives the drain's 1m30s
    --> playbooks/urgent.toml
     = help: it is left out; to have it, lower the TTL in DNS, or write at_most = "10m5s" or more

    warning: the built-in playbook drill does not fit: a TTL of 10m outlives the drain's 5m
    --> playbooks/drill.toml
     = help: it is left out; to have it, lower the TTL in DNS, or write at_most = "10m10s" or more
    "#);
}

#[test]
fn a_secret_in_a_file_that_is_no_toml_is_not_shown() {
    let shown = refused(&[(
        "[traffic]",
        "[registry.\"r.example.com\"]\npassword = \"hunter2\n\n[traffic]",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: invalid basic string, expected `"`
      --> site.toml:17:20
       |
    17 | password =*********
       |                    ^
    "#);
}

#[test]
fn a_key_file_must_hold_a_good_key() {
    let folder = Folder::new();
    let key = "key \"edge\" {\n\talgorithm hmac-md5;\n\tsecret \"aHVudGVyMg==\";\n};\n";
    folder.write("tsig.key", key);
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: "/etc/cleanslate/tsig.key" holds no key that can be used: line 2: the algorithm "hmac-md5" is not safe any more
      --> site.toml:10:16
       |
    10 | key = { file = "tsig.key" }
       |                ^^^^^^^^^^
       |
       = help: make a new key with `tsig-keygen -a hmac-sha256 NAME` (hmac-sha256, -sha384 and -sha512 are known)
    "#);
}

#[test]
fn an_env_file_must_be_one() {
    let folder = Folder::new();
    folder.change(&[
        ("[site.nyc]", "env_file = \"fra.env\"\n\n[site.nyc]"),
        ("[site.sin]", "env_file = \"nyc.env\"\n\n[site.sin]"),
    ]);
    folder.write("fra.env", "A=1\nhunter2 =\nC=hunter2$NONE\nB='hunter2\n");
    folder.write("nyc.env", "A=nyc\nSITE=${A}\nNONE\n");
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: "/etc/cleanslate/fra.env": line 3 holds a $ form that the lines above do not fill in; single quotes keep a value as it is
      --> site.toml:23:12
       |
    23 | env_file = "fra.env"
       |            ^^^^^^^^^

    error: "/etc/cleanslate/fra.env": line 4 opens a quote that is never closed
      --> site.toml:23:12
       |
    23 | env_file = "fra.env"
       |            ^^^^^^^^^

    error: "/etc/cleanslate/nyc.env": SITE is set by cleanslate itself, for every host
      --> site.toml:29:12
       |
    29 | env_file = "nyc.env"
       |            ^^^^^^^^^

    error: "/etc/cleanslate/nyc.env": variable 3 has no value, and the environment of whoever starts cleanslate is not asked
      --> site.toml:29:12
       |
    29 | env_file = "nyc.env"
       |            ^^^^^^^^^
    "#);
}

#[test]
fn a_compose_file_must_be_there() {
    let shown = refused(&[("compose.yaml", "copmose.yaml")]);
    insta::assert_snapshot!(shown, @r#"
    error: cannot read "/etc/cleanslate/copmose.yaml": there is no such file
     --> site.toml:3:11
      |
    3 | compose = "copmose.yaml"
      |           ^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_fleet_knows_what_healthy_means() {
    let shown = refused(&[(
        "[[probe]]\nname = \"front\"\nhttp = \"http://{address}/\"\n",
        "",
    )]);
    insta::assert_snapshot!(shown, @r#"
    error: nothing says what healthy means
     --> site.toml:1:1
      |
    1 | [fleet]
      | ^^^^^^^ no [[probe]], and no service has a healthcheck
      |
      = help: add [[probe]] with http = "http://{address}/healthz", or a healthcheck
    "#);
}

#[test]
fn an_engine_runs_a_project_once() {
    let shown = refused(&[("tcp://10.2.0.1:2375", "tcp://10.1.0.1:2375")]);
    insta::assert_snapshot!(shown, @r#"
    error: tcp://10.1.0.1:2375 already runs edge for fra
      --> site.toml:25:10
       |
    25 | hosts = ["tcp://10.1.0.1:2375"]
       |          ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: an engine runs a project once: name another engine, or another project
    "#);
}

#[test]
fn two_projects_of_a_host_cannot_publish_one_port() {
    let folder = Folder::new();
    folder.change(&[(
        "compose = \"compose.yaml\"",
        "[project.web]\ncompose = \"web.yaml\"\n[project.data]\ncompose = \"data.yaml\"",
    )]);
    let service = |name: &str, port: &str| {
        format!("services:\n  {name}:\n    image: x\n    ports: [\"{port}\"]\n")
    };
    folder.write("web.yaml", service("front", "8080:80"));
    folder.write("data.yaml", service("db", "192.0.2.10:8080:5432"));
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: data/db and web/front both publish port 8080 of a host
    --> web.yaml
     = help: give one of them another port
    "#);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    std::fs::remove_file(folder.site()).unwrap();
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the file cannot be read: there is no such file
    --> site.toml
     = help: `cleanslate init` writes one; --config FILE names another
    "#);
}

#[test]
fn a_file_that_is_no_text_is_named() {
    let folder = Folder::new();
    folder.write("site.toml", b"[fleet]\nname = \"caf\xe9\"\n");
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the file cannot be read: it is no UTF-8 text: the byte 0xe9 in line 2
    --> site.toml
    "#);
}

#[test]
fn nothing_of_a_services_env_file_is_shown() {
    let folder = Folder::new();
    let service = "services:\n  web:\n    image: web\n    env_file: web.env\n";
    folder.write("compose.yaml", service);
    folder.write("web.env", "A=1\n  B='hunter2\n");
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the quote is never closed
    --> web.env:2:3
     = help: \ before a quote keeps it
    "#);
}

#[test]
fn a_secret_that_is_empty_is_refused() {
    let folder = Folder::new();
    folder.write("empty", "\n");
    folder.change(&[(
        "[site.nyc]",
        "vars = { A = { file = \"empty\" } }\n\n[site.nyc]",
    )]);
    insta::assert_snapshot!(shown_by(&folder), @r#"
    error: the secret is empty: "/etc/cleanslate/empty"
      --> site.toml:23:23
       |
    23 | vars = { A = { file = "empty" } }
       |                       ^^^^^^^
    "#);
}

#[test]
fn a_file_that_is_wrong_everywhere_is_refused_in_time() {
    let root = PathBuf::from("/nowhere/site.toml");
    let lines = [" }\n", "[a\n", "x = 1\n", "\"", "secret = \"\n"];
    for line in lines {
        let text = line.repeat(40_000 / line.len());
        let files = BTreeMap::from([(root.clone(), text.into_bytes().into())]);
        let snapshot = Snapshot {
            root: root.clone(),
            files,
        };
        let report = load_from(&snapshot, &Options::default()).unwrap_err();
        assert!(report.diagnostics().len() <= 101);
        assert!(report.render(false).contains("error"));
    }
}

proptest! {
    /// Whatever a slip makes of a file, it is told or taken.
    #[test]
    fn a_spoilt_file_never_breaks_the_reader(
        at in 0..SITE.len(),
        cut in 0..40_usize,
        put in "[\\[\\]{}=\"',.#\\-a-z0-9\u{0}\u{1b}é\n ]{0,12}",
    ) {
        let end = (at + cut).min(SITE.len());
        let text = format!("{}{put}{}", &SITE[..at], &SITE[end..]);
        let root = PathBuf::from("/nowhere/site.toml");
        let compose = b"services: { web: { image: web } }".to_vec();
        let files = BTreeMap::from([
            (root.clone(), text.into_bytes().into()),
            (root.with_file_name("compose.yaml"), compose.into()),
        ]);
        let options = Options::default();
        match load_from(&Snapshot { root, files }, &options) {
            // The key file is missing, so nothing can be right.
            Ok(_) => prop_assert!(false, "a fleet without its key"),
            Err(report) => prop_assert!(report.render(false).contains("error")),
        }
    }
}
