//! Engines, containers, images, registries, hooks, messages and the store.

use anyhow::{Context, Result, ensure};

use super::told::{SITES, Told, UNASKED, WELL, WRONG, broken, doctor, fleet, two};
use crate::lab::faultd::{Flow, FlowProxy, Speaks};
use crate::lab::ground::program::{mount_disk, run as execute};
use crate::lab::images::Push;
use crate::lab::inspect::block_on;
use crate::lab::spec::REGISTRY;
use crate::lab::{FleetOptions, ImageKind, Lab, LabSpec, Server};
use crate::program::Run;

#[test]
fn everything_of_hosts_registries_and_others_that_breaks_is_told() -> Result<()> {
    let mut spec = LabSpec::sites(&SITES);
    spec.sites[1].disk = Some("300m".to_owned());
    let options = two();
    let lab = fleet(spec, &options)?;
    doctor(&lab, &[])?.ends(WELL)?;
    the_engines(&lab, &options)?;
    the_containers(&lab)?;
    doctor(&lab, &[])?.ends(WELL)?;
    the_images(&lab)?;
    the_registry(&lab, &options)?;
    the_others(&lab, &options)?;
    lab.fleet(&options)?;
    the_store(&lab)?;
    doctor(&lab, &[])?.ends(WELL)
}

fn the_engines(lab: &Lab, options: &FleetOptions) -> Result<()> {
    lab.fill_disk("nyc1", 1 << 20)?;
    broken(lab, WRONG, "wrong", "space of nyc nyc1", "MiB are needed")?
        .cures("docker system df")?;
    lab.free_disk("nyc1")?;

    let engine = lab.engine("fra1").host.v4;
    let proxy = FlowProxy::before(lab, (engine, 2375).into(), Speaks::Http)?;
    lab.fleet(&FleetOptions {
        engines: [("fra1".to_owned(), proxy.address)].into(),
        ..options.clone()
    })?;
    let old = Flow::Swap {
        from: "\"ApiVersion\":\"1.4",
        to: "\"ApiVersion\":\"1.3",
    };
    proxy.on("/version", usize::MAX, old);
    broken(lab, WRONG, "wrong", "engine fra fra1", "older than 1.41")?.cures("20.10 or newer")?;
    proxy.mend();
    let late = Flow::Swap {
        from: "\"SystemTime\":\"20",
        to: "\"SystemTime\":\"19",
    };
    proxy.on("/info", usize::MAX, late);
    broken(lab, WRONG, "wrong", "clock of fra fra1", "behind ours")?.cures("NTP")?;
    proxy.mend();
    lab.fleet(options)?;

    lab.kill_dockerd("nyc1")?;
    broken(
        lab,
        UNASKED,
        "unasked",
        "engine nyc nyc1",
        "no connection to the engine",
    )?
    .cures("start the engine on nyc1")?;
    crate::scene::serve_again(lab, "nyc1")
}

fn the_containers(lab: &Lab) -> Result<()> {
    let front = lab
        .containers("nyc1")?
        .first()
        .context("a container")?
        .id
        .clone();
    let client = lab.docker("nyc1")?;
    block_on(async { anyhow::Ok(client.stop_container(&front, None).await?) })?;
    broken(lab, WRONG, "wrong", "probe of nyc: front at 10.53.2.1", "")?;
    // Somebody else takes its port: the probe passes, and no new container would start.
    let foreign = lab.run_foreign("nyc1", "squatter", Some(80))?;
    broken(
        lab,
        WRONG,
        "wrong",
        "new containers on nyc nyc1",
        "port 80/tcp, for service front of project edge, is held by container squatter",
    )?;
    block_on(async {
        let options = bollard::query_parameters::RemoveContainerOptionsBuilder::default()
            .force(true)
            .build();
        client.remove_container(&foreign, Some(options)).await?;
        anyhow::Ok(client.start_container(&front, None).await?)
    })?;
    lab.wait_serving()
}

fn the_images(lab: &Lab) -> Result<()> {
    let kind = ImageKind::OtherMachine;
    lab.push_as(&Push::new(kind, "web", "elsewhere").version("v9"))?;
    let file = lab.fleet_dir().join("compose.yaml");
    let right = std::fs::read_to_string(&file)?;
    let image = format!("image: {REGISTRY}/web:${{CHANNEL}}");
    ensure!(right.contains(&image), "{right}");
    let with = |tag: &str| right.replace(&image, &format!("image: {REGISTRY}/web:{tag}"));
    std::fs::write(&file, with("elsewhere"))?;
    broken(
        lab,
        WRONG,
        "wrong",
        "image 10.53.0.5:5000/web:elsewhere",
        "is for linux/arm64, and fra1, nyc1 runs linux/amd64",
    )?;
    std::fs::write(&file, with("gone"))?;
    broken(lab, WRONG, "wrong", "image 10.53.0.5:5000/web:gone", "")?;
    std::fs::write(&file, right).context("failed to put compose.yaml back")
}

fn the_registry(lab: &Lab, options: &FleetOptions) -> Result<()> {
    lab.kill_server(Server::Registry)?;
    broken(lab, UNASKED, "unasked", "registry 10.53.0.5:5000", "")?;
    lab.start_server(Server::Registry)?;

    let users = lab.dir.join("registry/users");
    std::fs::write(&users, execute(&["htpasswd", "-Bbn", "robot", "secret"])?)?;
    lab.registry.stop()?;
    let auth = format!(
        "auth: {{ htpasswd: {{ realm: lab, path: {} }} }}\n",
        users.display()
    );
    lab.registry.start_with(lab.children(), &auth)?;
    broken(lab, WRONG, "wrong", "registry 10.53.0.5:5000", "")?;
    lab.registry.stop()?;
    lab.registry.start(lab.children())?;

    lab.fleet(&FleetOptions {
        more_site_toml: "[release]\nkeep = 2\n".to_owned(),
        ..options.clone()
    })?;
    let keep = "removing keep-tags of 10.53.0.5:5000/web";
    let well = doctor(lab, &[])?;
    well.told("well", keep, "allowed")?;
    well.ends(WELL)?;
    lab.registry.stop()?;
    lab.registry.start_without_deletion(lab.children())?;
    broken(lab, WRONG, "wrong", keep, "does not delete")?.cures("enabled: true")?;
    lab.registry.stop()?;
    lab.registry.start(lab.children())?;
    lab.fleet(options)
}

fn the_others(lab: &Lab, options: &FleetOptions) -> Result<()> {
    let with = |more: &str| {
        lab.fleet(&FleetOptions {
            more_site_toml: more.to_owned(),
            ..options.clone()
        })
    };
    with(
        "[[hook]]\nname = \"backup\"\non = \"before_recreate\"\ncommand = [\"/no/such/program\"]\n",
    )?;
    broken(
        lab,
        WRONG,
        "wrong",
        "hook backup",
        "there is no program \"/no/such/program\"",
    )?
    .cures("x bits")?;
    with("[[notify]]\nname = \"chat\"\nurl = { file = \"url\" }\n")?;
    std::fs::write(lab.fleet_dir().join("url"), "http://10.53.0.1:9/SECRET\n")?;
    let silent = broken(lab, UNASKED, "unasked", "notify chat", "")?;
    ensure!(!silent.ended.stdout.contains("SECRET"), "{}", silent.ended);
    let registry = format!("http://{REGISTRY}/SECRET\n");
    std::fs::write(lab.fleet_dir().join("url"), registry)?;
    let reached = doctor(lab, &[])?;
    reached.told("well", "notify chat", "nothing was posted")?;
    reached.ends(WELL)
}

fn the_store(lab: &Lab) -> Result<()> {
    let disk = lab.dir.join("small-state");
    std::fs::create_dir_all(&disk)?;
    mount_disk(&disk, "16m")?;
    let state = disk.display().to_string();
    let on = |found: &str, asked: &str, answer: &str| -> Result<()> {
        let mut command = lab.cleanslate_on("core", &lab.fleet_dir(), &disk, &["doctor", "--json"]);
        let told = Told::of(Run::of(lab, &mut command, "doctor with another state")?.end()?)?;
        told.told(found, asked, answer)?;
        told.ends(WRONG)
    };
    on("wrong", "space for the store", "64 MiB are needed")?;
    execute(&["mount", "-o", "remount,size=128m", &state])?;
    let folder = disk.join("edge");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("journal.db"), "this is no database".repeat(400))?;
    on("wrong", "store", "is damaged")?;
    std::fs::remove_file(folder.join("journal.db"))?;
    execute(&["mount", "-o", "remount,ro", &state])?;
    let asked = format!("state folder {}", folder.display());
    on("wrong", &asked, "cannot be written")
}
