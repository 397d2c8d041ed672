use crate::config::compose::fixture::Fixture;
use crate::model::service::Project;

/// What `base` and `over` come to together.
fn over(base: &str, over: &str) -> Project {
    let mut fixture = Fixture::new().with_file("over.yaml", over);
    let file = fixture.folder.path().join("over.yaml");
    fixture.request.files.push(file);
    fixture.project(base)
}

/// What `over` makes of a service `web` with these keys, and what is said of one file that says it
/// all at once.
fn assert_merges(base: &str, over_it: &str, whole: &str) {
    const ALSO: &str = "\nvolumes: { data: {}, logs: {} }\nnetworks: { back: {}, front: {} }\n\
                        configs: { c: { content: x }, d: { content: y } }\n";
    let file = |keys: &str| {
        let keys = keys.replace('\n', "\n    ");
        format!("services:\n  db: {{ image: db }}\n  web:\n    {keys}\n")
    };
    let base = format!("{}{ALSO}", file(&format!("image: web\n{base}")));
    let whole = format!("{}{ALSO}", file(&format!("image: web\n{whole}")));
    let mut merged = over(&base, &file(over_it));
    let mut together = Fixture::new().project(&whole);
    for project in [&mut merged, &mut together] {
        project.config_files.clear();
        project.working_dir = "/".into();
    }
    let differs = || format!("{base}\n{over_it}\n{merged:#?}\n{together:#?}");
    assert!(merged == together, "{}", differs());
}

#[test]
fn scalars_are_replaced_and_maps_merged() {
    assert_merges(
        "user: a\nhealthcheck: { test: a, interval: 5s }\ndeploy: { resources: { limits: { cpus: 1, memory: 1g } } }",
        "user: b\nhealthcheck: { test: [CMD, b] }\ndeploy: { resources: { limits: { memory: 2g } } }",
        "user: b\nhealthcheck: { test: [CMD, b], interval: 5s }\n\
         deploy: { resources: { limits: { cpus: 1, memory: 2g } } }",
    );
    assert_merges("user: a\nhostname: h", "user:", "user: a\nhostname: h");
}

#[test]
fn commands_are_replaced_whole() {
    assert_merges(
        "command: [a, b]\nentrypoint: /a\nulimits: { nofile: { soft: 1, hard: 2 } }",
        "command: [c]\nentrypoint:\nulimits: { nofile: 5 }",
        "command: [c]\nulimits: { nofile: 5 }",
    );
}

#[test]
fn both_ways_to_write_assignments_are_merged_by_key() {
    assert_merges(
        "environment: { A: 1, B: 2, SITE: }\nlabels: [x=1, y]",
        "environment: [B=3, C=4, \"${SITE}=5\"]\nlabels: { y: 2, z: \"${HOST}\" }",
        "environment: { A: 1, B: 3, SITE: , C: 4, fra: 5 }\nlabels: { x: 1, y: 2, z: fra1 }",
    );
}

#[test]
fn lists_follow_each_other_and_what_is_the_same_is_there_once() {
    assert_merges(
        "ports: [\"8080:80\", \"9090:90\"]\nexpose: [3000]\ncap_add: [A, B]\ndns: 192.0.2.1\ntmpfs: [/run, \"/tmp:size=1m\"]",
        "ports: [{ target: 80, published: 8080 }, \"7070:70\"]\nexpose: [\"3000\", 4000]\ncap_add: [B, C]\ndns: [192.0.2.1, 192.0.2.2]\ntmpfs: \"/tmp:size=2m\"",
        "ports: [\"8080:80\", \"9090:90\", \"7070:70\"]\nexpose: [3000, 4000]\ncap_add: [A, B, C]\ndns: [192.0.2.1, 192.0.2.2]\ntmpfs: [/run, \"/tmp:size=2m\"]",
    );
}

#[test]
fn mounts_devices_and_files_are_merged_by_where_they_appear() {
    assert_merges(
        "volumes: [data:/data, \"/srv/a:/a\"]\ndevices: [\"/dev/null:/dev/x\"]\nconfigs: [c]",
        "volumes: [{ type: volume, source: logs, target: /data }, \"/srv/b:/a/:ro\"]\n\
         devices: [{ source: /dev/zero, target: /dev/x }]\nconfigs: [{ source: d, target: /c }]",
        "volumes: [logs:/data, \"/srv/b:/a:ro\"]\ndevices: [\"/dev/zero:/dev/x\"]\n\
         configs: [{ source: d, target: /c }]",
    );
}

#[test]
fn names_of_others_are_merged_in_both_forms() {
    assert_merges(
        "depends_on: [db]\nnetworks: [back]\nextra_hosts: { a: 192.0.2.1 }\nlogging: { driver: json-file, options: { max-size: 1m } }",
        "depends_on: { db: { condition: service_healthy } }\nnetworks: { front: { aliases: [w] }, back: }\nextra_hosts: [\"a=192.0.2.1\", \"b=192.0.2.2\"]\nlogging: { options: { max-file: 2 } }",
        "depends_on: { db: { condition: service_healthy } }\nnetworks: { back: , front: { aliases: [w] } }\nextra_hosts: [\"a=192.0.2.1\", \"b=192.0.2.2\"]\nlogging: { driver: json-file, options: { max-size: 1m, max-file: 2 } }",
    );
    assert_merges(
        "logging: { driver: json-file, options: { max-size: 1m } }",
        "logging: { driver: syslog }",
        "logging: { driver: syslog }",
    );
}

#[test]
fn tags_take_away_and_replace() {
    assert_merges(
        "ports: [\"8080:80\"]\nuser: a\nenvironment: { A: 1, B: 2 }\nvolumes: [data:/d, logs:/l]",
        "ports: !reset []\nuser: !reset null\nenvironment: { A: !reset null }\nvolumes: !override [data:/x]",
        "environment: { B: 2 }\nvolumes: [data:/x]",
    );
}

#[test]
fn sections_and_services_of_an_override_are_added() {
    let base = "services: { web: { image: web } }\nnetworks: { default: { driver: bridge, labels: [a=1], \
                ipam: { config: [{ subnet: 10.1.0.0/24, gateway: 10.1.0.1 }] } } }";
    let project = over(
        base,
        "services: { db: { image: db, volumes: [data:/d] } }\nvolumes: { data: {} }\n\
         networks: { default: { internal: true, labels: { a: 2 }, ipam: { config: [{ subnet: 10.1.0.0/24, ip_range: 10.1.0.8/29 }, { subnet: 10.2.0.0/24 }] } } }",
    );
    let names: Vec<&str> = project.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["web", "db"]);
    assert_eq!(project.config_files.len(), 2);
    let network = &project.networks["default"];
    assert!(network.is_internal && network.labels["a"] == "2");
    let ipam: Vec<_> = network
        .ipam
        .iter()
        .map(|range| (range.gateway.is_some(), range.ip_range.is_some()))
        .collect();
    assert_eq!(ipam, [(true, true), (false, false)]);
}

#[test]
fn what_cannot_be_merged_is_refused_with_both_places() {
    let mut fixture = Fixture::new().with_file(
        "over.yaml",
        "services:\n  web:\n    ports: { a: b }\n    user: [x]\n    restrat: always\n    image: \"${NOWHERE}\"\n",
    );
    let file = fixture.folder.path().join("over.yaml");
    fixture.request.files.push(file);
    insta::assert_snapshot!(fixture.errors("services:\n  web:\n    image: web\n    user: root\n    ports: [\"80:80\"]\n    hostnam: x\n"), @r#"
    6:5 unknown key "hostnam"
        = did you mean "hostname"?
    over.yaml:3:12 this is a map, and a list in compose.yaml:5, which it is merged over
        = `!override` replaces a value whole
    over.yaml:4:11 this is a list, and text in compose.yaml:4, which it is merged over
        = `!override` replaces a value whole
    over.yaml:5:5 unknown key "restrat"
        = did you mean "restart"?
    over.yaml:6:13 the variable "NOWHERE" is not defined
        = define it in `vars` of the fleet, the site or the host in site.toml, or in the site's env_file; ${NOWHERE:-…} gives a default; $$ is a dollar sign
    "#);
}

#[test]
fn a_service_begins_with_what_it_extends() {
    let fixture = Fixture::new()
        .with_file("common/base.yaml", "services:\n  base:\n    image: base\n    env_file: base.env\n    extends: { service: root }\n  root:\n    image: root\n    restart: always\n    labels: [a=1]\n")
        .with_file("common/base.env", "FROM=base\n");
    let project = fixture.project(
        "services:\n  web:\n    extends: { file: common/base.yaml, service: base }\n    labels: [b=2]\n  \
         again: { extends: web, image: again }\n",
    );
    let web = &project.services[0];
    assert_eq!(web.image.to_string(), "docker.io/library/base:latest");
    assert_eq!(format!("{:?}", web.container.restart), "Always");
    assert_eq!(web.container.labels.len(), 2);
    assert!(web.container.environment.contains_key("FROM"));
    assert_eq!(
        project.services[1].image.to_string(),
        "docker.io/library/again:latest"
    );
    assert_eq!(project.services[1].container, web.container);
}

#[test]
fn what_cannot_be_extended_is_refused() {
    let fixture = Fixture::new()
        .with_file("broken.yaml", "services: [")
        .with_file("other.yaml", "services: { x: { image: x, restrat: no } }");
    insta::assert_snapshot!(fixture.errors(
        "services:\n  a: { extends: b, image: a }\n  b: { extends: a, image: b }\n  c: { extends: nobody, image: c }\n  \
         d: { extends: { file: none.yaml, service: x }, image: d }\n  e: { extends: { file: broken.yaml, service: x }, image: e }\n  \
         f: { extends: { file: other.yaml, service: y }, image: f }\n  g: { extends: { file: \"https://x/y\", service: y }, image: g }\n  \
         h: { extends: { file: other.yaml }, image: h }\n  i: { extends: { file: other.yaml, service: x } }\n",
    ), @r#"
    2:8 a, b and a extend each other
    3:8 b, a and b extend each other
    4:17 the service "nobody" is not in compose.yaml
    5:17 cannot read "DIR/none.yaml": there is no such file
    7:17 the service "y" is not in other.yaml
        = did you mean "x"?
    8:25 a file is read from the disk only
        = copy it beside this file and name it
    9:17 "extends" needs a "service"
    broken.yaml:1:11 unclosed bracket '['
    other.yaml:1:28 unknown key "restrat"
        = did you mean "restart"?
    "#);
}

#[test]
fn included_files_bring_what_they_declare() {
    let fixture = Fixture::new()
        .with_file("db/compose.yaml", "name: other\ninclude: [more.yaml]\nservices:\n  db: { image: db, env_file: db.env, volumes: [data:/d] }\nvolumes: { data: {} }\n")
        .with_file("db/db.env", "A=1\n")
        .with_file("db/more.yaml", "services: { cache: { image: cache } }\n")
        .with_file("db/prod.yaml", "services: { db: { user: postgres } }\n");
    let project = fixture.project(
        "include:\n  - path: [db/compose.yaml, db/prod.yaml]\nservices:\n  web: { image: web, depends_on: [db, cache] }\n",
    );
    assert_eq!(project.name.as_str(), "edge");
    let names: Vec<&str> = project.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["db", "cache", "web"]);
    assert_eq!(
        project.services[0].container.user.as_deref(),
        Some("postgres")
    );
    assert!(project.services[0].container.environment.contains_key("A"));
    assert_eq!(project.volumes["data"].name, "edge_data");
}

#[test]
fn what_cannot_be_included_is_refused() {
    let fixture = Fixture::new()
        .with_file(
            "a.yaml",
            "include: [b.yaml]\nservices: { a: { image: a } }\n",
        )
        .with_file(
            "b.yaml",
            "include: [a.yaml]\nservices: { b: { image: b } }\n",
        )
        .with_file("web.yaml", "services: { web: { image: other } }\n")
        .with_file("same.yaml", "services: { web: { image: web } }\n");
    insta::assert_snapshot!(fixture.errors(
        "include:\n  - a.yaml\n  - web.yaml\n  - same.yaml\n  - none.yaml\n  - { project_directory: x }\n  - { path: same.yaml, env_file: x.env }\n  - oci://r.example.com/x\nservices:\n  web: { image: web }\n",
    ), @r#"
    3:5 "web", which this brings from web.yaml:1, is declared in compose.yaml:10 too
        = change it in a file that is merged over the included one: `path: [INCLUDED, OVERRIDE]`
    5:5 cannot read "DIR/none.yaml": there is no such file
    6:5 an item of "include" needs a "path"
    7:24 "env_file" is a key of Compose that is not carried out here
        = define them in `vars` of site.toml, or in a site's env_file
    8:5 a file is read from the disk only
        = copy it beside this file and name it
    b.yaml:1:11 "DIR/a.yaml" includes itself
    "#);
}

#[test]
fn files_that_include_without_end_are_an_error_soon() {
    let mut fixture = Fixture::new();
    for n in 0..40 {
        let next = n + 1;
        fixture = fixture.with_file(
            &format!("f{n}.yaml"),
            &format!(
                "include: [f{next}.yaml, f{next}.yaml]\nservices: {{ s{n}: {{ image: a }} }}\n"
            ),
        );
    }
    let errors = fixture.errors("include: [f0.yaml]\nservices: { web: { image: web } }\n");
    assert!(
        errors.contains("a project of more than 200 files"),
        "{errors}"
    );
}

#[test]
fn services_that_extend_each_other_far_too_deep_are_an_error() {
    let mut source = "services:\n  s0: { image: a }\n".to_owned();
    for n in 1..900 {
        let before = n - 1;
        source.push_str(&format!("  s{n}: {{ extends: s{before} }}\n"));
    }
    let errors = Fixture::new().errors(&source);
    assert!(errors.contains("more than 50 deep"), "{errors}");
}

#[test]
fn services_of_other_profiles_are_not_made() {
    let source = "services:\n  web: { image: web, depends_on: { tool: { condition: service_started, required: false } } }\n  \
                  tool: { image: tool, build: ., profiles: [dev, \"p-${SITE}\"] }\n";
    let mut fixture = Fixture::new();
    assert_eq!(fixture.project(source).services.len(), 1);
    let active = |fixture: &mut Fixture, profiles: &str| {
        let variable = crate::config::compose::Variable {
            value: profiles.into(),
            is_secret: false,
        };
        let name = "COMPOSE_PROFILES".to_owned();
        fixture.request.variables.insert(name, variable);
    };
    active(&mut fixture, "x,p-fra");
    insta::assert_snapshot!(fixture.errors(source), @r#"
    3:24 "build" is a key of Compose that is not carried out here
        = build the image elsewhere, push it to a registry and name it with `image`
    "#);
    active(&mut fixture, "*");
    let plain = source.replace("build: ., ", "");
    assert_eq!(fixture.project(&plain).services.len(), 2);
    insta::assert_snapshot!(Fixture::new().errors(&source.replace(", required: false", "")), @r#"
    2:36 the service "tool" is of the profile dev, p-fra
        = name it in the variable COMPOSE_PROFILES, in `vars` of site.toml, or write `required: false`
    "#);
    insta::assert_snapshot!(Fixture::new().errors("services: { a: { image: a, profiles: [x] } }"), @r"
    1:1 every service of the file is of a profile that is not asked for
        = name one in the variable COMPOSE_PROFILES, in `vars` of site.toml
    ");
}
