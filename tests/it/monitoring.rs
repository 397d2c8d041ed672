//! Debian's Prometheus, which reads a real night.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::Lab;
use crate::lab::ground::program::{find, log_to, wait_until};
use crate::program::Run;
use crate::scene::{check_at_rest, edit, two_sites};
use crate::serving::{await_socket, serve};

/// It asks every second; the coordinator's machine is its own.
const CONFIG: &str = "
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ALERTS]
scrape_configs:
  - job_name: cleanslate
    static_configs: [{ targets: ['127.0.0.1:8443'] }]
    authorization: { credentials: TOKEN }
";

/// A Prometheus beside the coordinator, until it is dropped.
struct Prometheus<'a> {
    lab: &'a Lab,
    child: Child,
}

impl Prometheus<'_> {
    fn start<'a>(lab: &'a Lab, token: &str) -> Result<Prometheus<'a>> {
        ensure!(
            find("prometheus").is_some(),
            "this test needs prometheus (Debian package prometheus): make setup"
        );
        let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring/alerts.yml");
        let config = CONFIG.replace("ALERTS", alerts).replace("TOKEN", token);
        let file = lab.dir.join("prometheus.yml");
        std::fs::write(&file, config)?;
        let file = format!("--config.file={}", file.display());
        let data = lab.dir.join("prometheus");
        let data = format!("--storage.tsdb.path={}", data.display());
        let listen = "--web.listen-address=127.0.0.1:9090";
        let mut command = lab.on("core", &["prometheus", &file, &data, listen]);
        log_to(&mut command, &lab.dir.join("prometheus.log"))?;
        let child = command.spawn().context("failed to start prometheus")?;
        Ok(Prometheus { lab, child })
    }

    fn get(&self, path: &str, query: &str) -> Result<Value> {
        let url = format!("http://127.0.0.1:9090/api/v1/{path}");
        let query = format!("query={query}");
        let asked = ["curl", "-sf", "--get", "--data-urlencode", &query, &url];
        let output = self.lab.on("core", &asked).output()?;
        ensure!(output.status.success(), "{path} {query}: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The values of a query, by one of their labels.
    fn ask(&self, query: &str, label: &str) -> Result<BTreeMap<String, f64>> {
        let told = self.get("query", query)?;
        let results = told["data"]["result"].as_array().context("results")?;
        let value = |result: &Value| {
            let of = result["metric"][label].as_str().unwrap_or_default();
            let value = result["value"][1].as_str()?.parse().ok()?;
            Some((of.to_owned(), value))
        };
        Ok(results.iter().filter_map(value).collect())
    }

    /// Until this query has an answer.
    fn await_true(&self, query: &str) -> Result<()> {
        let has_answer = || self.ask(query, "").is_ok_and(|told| !told.is_empty());
        wait_until(query, Duration::from_secs(30), has_answer)
    }
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        let _is_ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

#[test]
fn prometheus_reads_a_night() -> Result<()> {
    let (lab, _) = two_sites()?;
    let api = "[api]\nlisten = \"127.0.0.1:8443\"\n\n[dns]";
    edit(&lab, "site.toml", "[dns]", api)?;
    let token = [
        "token",
        "create",
        "--role",
        "viewer",
        "--name",
        "prometheus",
    ];
    let token = lab.cleanslate(&token).output()?;
    let token = String::from_utf8(token.stdout)?;
    let server = serve(&lab)?;
    await_socket(&lab)?;
    let prometheus = Prometheus::start(&lab, token.trim())?;
    prometheus.await_true("cleanslate_rotation_state{state=\"none\"} == 1")?;
    prometheus.await_true("sum(cleanslate_sites{in_dns=\"yes\"}) == 2")?;

    let mut night = Run::start(&lab, &["rotate", "nightly", "--site", "fra", "--json"])?;
    night.await_site("draining", "fra")?;
    prometheus.await_true("cleanslate_site_state{site=\"fra\",state=\"draining\"} == 1")?;
    prometheus.await_true("cleanslate_rotation_state{state=\"running\"} == 1")?;
    let ended = night.end()?.expect(0)?;
    let completed = ended.event("rotation_completed")?;
    let took = completed.0["seconds"].as_f64().context("seconds")?;
    prometheus.await_true("cleanslate_last_rotation_result{result=\"completed\"} == 1")?;
    prometheus.await_true("cleanslate_rotation_state{state=\"none\"} == 1")?;

    // It was made anew, the other was not.
    prometheus.await_true(
        "cleanslate_container_max_age_seconds{site=\"fra\"} + 1 \
         < scalar(cleanslate_container_max_age_seconds{site=\"nyc\"})",
    )?;
    let ages = prometheus.ask("cleanslate_container_max_age_seconds", "site")?;
    ensure!(ages["fra"] < took + 5.0, "{took} s: {ages:?}");
    let out = prometheus.ask("cleanslate_site_out_of_dns_seconds_total", "site")?;
    ensure!(
        out["fra"] > 1.0 && out["fra"] < took + 1.0,
        "{took} s: {out:?}"
    );
    ensure!(out["nyc"] < f64::EPSILON, "{out:?}");
    let up = prometheus.ask("cleanslate_engine_up", "host")?;
    ensure!(
        up == [("fra1".to_owned(), 1.0), ("nyc1".to_owned(), 1.0)].into(),
        "{up:?}"
    );
    let steps = prometheus.ask("cleanslate_step_duration_seconds_count", "step")?;
    ensure!(
        steps["drain"] == 1.0 && steps["recreate"] == 1.0,
        "{steps:?}"
    );

    // Every alert can be asked, and none has a reason to fire.
    let rules = prometheus.get("rules", "")?;
    let rules = rules["data"]["groups"][0]["rules"]
        .as_array()
        .context("rules")?;
    ensure!(rules.len() > 10, "{rules:?}");
    for rule in rules {
        ensure!(
            rule["health"] == "ok" && rule["state"] == "inactive",
            "{rule}"
        );
    }
    drop(prometheus);
    server.signal("TERM")?;
    server.end()?.expect(0)?;
    check_at_rest(&lab, &["fra", "nyc"])?;
    lab.lost_nobody()
}
