//! The same night as an Ansible playbook: `ansible/night.yml`, in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::lab::Lab;
use crate::lab::fleet::files::FLEET;
use crate::lab::ground::bind::{Bind, KEY};
use crate::lab::ground::program::run;
use crate::lab::spec::{PRIMARY, RECORD, REGISTRY, SECONDARY, ZONE};
use crate::round::{DRAIN, PASSES};

/// The program, installed under the target folder from pinned packages when it is not there.
pub(crate) fn ansible_exe() -> Result<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible");
    let exe = venv.join("bin/ansible-playbook");
    if !exe.exists() {
        run(&["python3", "-m", "venv", &venv.display().to_string()])?;
        let pip = venv.join("bin/pip").display().to_string();
        let requirements = folder().join("requirements.txt").display().to_string();
        run(&[&pip, "install", "--quiet", "--requirement", &requirements])
            .context("failed to install Ansible; python3-venv and PyPI are needed")?;
    }
    Ok(exe)
}

/// Tells the playbook about the lab: every site, and what `site.toml` says.
pub(crate) fn tell(command: &mut Command, lab: &Lab, soak: Duration) -> Result<()> {
    let inventory = lab.dir.join("inventory.json");
    let text = serde_json::to_vec_pretty(&inventory_of(lab, soak)?)?;
    std::fs::write(&inventory, text).context("failed to write the inventory")?;
    command
        .arg("--inventory")
        .arg(inventory)
        .arg(folder().join("night.yml"))
        .env("ANSIBLE_CONFIG", folder().join("ansible.cfg"))
        .env("ANSIBLE_HOME", lab.dir.join("ansible"))
        .env("LC_ALL", "C.UTF-8");
    Ok(())
}

fn inventory_of(lab: &Lab, soak: Duration) -> Result<Value> {
    let key = std::fs::read_to_string(Bind::key_file(&lab.dir, KEY))?;
    let secret = key
        .split("secret \"")
        .nth(1)
        .and_then(|it| it.split('"').next());
    let secret = secret.context("the key file has no secret")?;
    let hosts: Map<String, Value> = lab
        .engines()
        .iter()
        .map(|engine| {
            let socket = format!("unix://{}", engine.socket().display());
            let host = json!({ "address": engine.host.v4.to_string(), "engine": socket });
            (engine.host.site.clone(), host)
        })
        .collect();
    let vars = json!({
        "ansible_connection": "local",
        "ansible_python_interpreter": ansible_exe()?.with_file_name("python"),
        "servers": [PRIMARY.to_string(), SECONDARY.to_string()],
        "zone": ZONE,
        "record": RECORD,
        "ttl": lab.spec.ttl,
        "key_name": KEY,
        "key_secret": secret,
        "registry": REGISTRY,
        "channel": "master",
        "project": FLEET,
        "drain": DRAIN.as_secs(),
        "soak": soak.as_secs(),
        "passes": PASSES,
    });
    let sites = json!({ "hosts": hosts, "vars": vars });
    Ok(json!({ "all": { "children": { "sites": sites } } }))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ansible")
}
