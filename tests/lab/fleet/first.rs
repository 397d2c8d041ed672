//! The fleet's containers before `cleanslate` ever came: as somebody's `docker-compose up` left
//! them, or the same laid through the API, which takes a tenth of the time.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, NetworkCreateRequest, NetworkingConfig,
    PortBinding,
};
use bollard::query_parameters::{CreateContainerOptionsBuilder, CreateImageOptionsBuilder};
use futures_util::TryStreamExt as _;

use super::files::FLEET;
use super::options::{FleetOptions, Service};
use crate::lab::Lab;
use crate::lab::ground::engine::Engine;
use crate::lab::ground::program::{finish, wait_until};
use crate::lab::inspect::{block_on, docker};

impl Lab {
    /// Starts the services on every host, all hosts side by side, with the names and labels that
    /// Docker Compose gives; returns when all were started.
    pub fn start_services(&self, options: &FleetOptions) -> Result<()> {
        let each = self.engines().iter().map(|engine| async move {
            self.start_on(engine, options)
                .await
                .with_context(|| engine.last_words())
        });
        block_on(async { futures_util::future::try_join_all(each).await.map(drop) })
    }

    /// `docker-compose -p PROJECT up -d` on one host, with the fleet's own Compose file.
    pub fn compose_up(&self, host: &str, project: &str) -> Result<()> {
        let engine = self.engine(host);
        let mut up = engine.compose();
        up.arg("--project-name").arg(project).arg("--file");
        up.arg(self.fleet_dir().join("compose.yaml"))
            .args(["up", "-d"]);
        up.env("SITE", &engine.host.site)
            .env("HOST", host)
            .env("CHANNEL", "master");
        finish(&mut up)
            .with_context(|| format!("docker-compose up on {host}"))
            .map(drop)
    }

    /// Starts more containers of a service than the Compose file says, as a person does by hand
    /// on a busy evening: from the next number to `up_to`.
    pub fn scale_by_hand(&self, host: &str, service: &Service, up_to: u32) -> Result<()> {
        let engine = self.engine(host);
        let image = service.image.replace("${CHANNEL}", "master");
        block_on(async {
            for number in service.replicas + 1..=up_to {
                start(engine, service, &image, number).await?;
            }
            Ok(())
        })
    }

    /// Waits until every host answers on port 80: a container that was started does not listen
    /// yet.
    pub fn wait_serving(&self) -> Result<()> {
        for engine in self.engines() {
            let address = engine.host.v4;
            let serves = || self.get(&format!("http://{address}/healthz")).is_ok();
            let what = format!("{} serves", engine.host.name);
            wait_until(&what, Duration::from_secs(20), serves)?;
        }
        Ok(())
    }

    async fn start_on(&self, engine: &Engine, options: &FleetOptions) -> Result<()> {
        make_network(engine).await?;
        let channel = options.channels.last().map_or("master", String::as_str);
        for service in in_order(&options.services) {
            let image = service.image.replace("${CHANNEL}", channel);
            pull(engine, &image).await?;
            for number in 1..=service.replicas {
                start(engine, service, &image, number).await?;
            }
        }
        Ok(())
    }
}

/// Pulls an image onto a host.
pub async fn pull(engine: &Engine, image: &str) -> Result<()> {
    let (name, tag) = image
        .rsplit_once(':')
        .context("an image of the lab has a tag")?;
    let options = CreateImageOptionsBuilder::default()
        .from_image(name)
        .tag(tag)
        .build();
    let client = docker(engine)?;
    let pulled = client
        .create_image(Some(options), None, None)
        .try_collect::<Vec<_>>()
        .await;
    pulled
        .with_context(|| format!("failed to pull {image} on {}", engine.host.name))
        .map(drop)
}

/// The project's default network, which Compose makes before the first container.
async fn make_network(engine: &Engine) -> Result<()> {
    let label = |key: &str, value: &str| (format!("com.docker.compose.{key}"), value.to_owned());
    let labels = [
        label("project", FLEET),
        label("network", "default"),
        label("version", "1.29.2"),
    ];
    let request = NetworkCreateRequest {
        name: network(),
        driver: Some("bridge".to_owned()),
        attachable: Some(true),
        labels: Some(HashMap::from(labels)),
        ..Default::default()
    };
    let made = docker(engine)?.create_network(request).await;
    made.with_context(|| format!("failed to make the network on {}", engine.host.name))
        .map(drop)
}

fn network() -> String {
    format!("{FLEET}_default")
}

async fn start(engine: &Engine, service: &Service, image: &str, number: u32) -> Result<()> {
    let name = format!("{FLEET}-{}-{number}", service.name);
    let label = |key: &str, value: &str| (format!("com.docker.compose.{key}"), value.to_owned());
    let labels = HashMap::from([
        label("project", FLEET),
        label("service", &service.name),
        label("container-number", &number.to_string()),
        label("oneoff", "False"),
        // Debian's docker-compose falls over a container of its project without this one.
        label("version", "1.29.2"),
    ]);
    let bind = |port: u16| {
        vec![PortBinding {
            host_ip: None,
            host_port: Some(port.to_string()),
        }]
    };
    let bindings = service
        .publish
        .map(|port| HashMap::from([("80/tcp".to_owned(), Some(bind(port)))]));
    let endpoint = EndpointSettings {
        aliases: Some(vec![service.name.clone()]),
        ..Default::default()
    };
    let endpoints = Some(HashMap::from([(network(), endpoint)]));
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(vec![format!("SITE={}", engine.host.site)]),
        labels: Some(labels),
        host_config: Some(HostConfig {
            port_bindings: bindings,
            network_mode: Some(network()),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: endpoints,
        }),
        ..Default::default()
    };
    let client = docker(engine)?;
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let what = || format!("failed to start {name} on {}", engine.host.name);
    client
        .create_container(Some(options), body)
        .await
        .with_context(what)?;
    client.start_container(&name, None).await.with_context(what)
}

/// Dependencies before those that wait for them.
fn in_order(services: &[Service]) -> Vec<&Service> {
    let mut ordered: Vec<&Service> = Vec::new();
    while ordered.len() < services.len() {
        let done = |name: &String| ordered.iter().any(|service| &service.name == name);
        let next: Vec<_> = services
            .iter()
            .filter(|service| !done(&service.name) && service.depends_on.iter().all(done))
            .collect();
        assert!(
            !next.is_empty(),
            "the services wait for each other: {services:?}"
        );
        ordered.extend(next);
    }
    ordered
}
