//! An engine that is old, away, or reached over a bad line.
use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::RenameContainerOptionsBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

use super::yard::{Yard, leaving, run};
use crate::coordinator::effect::EngineRequest;
use crate::coordinator::outcome::EngineOutcome;
use crate::engine::Engine;
use crate::model::fleet::EngineAddress;
use crate::model::id::ContainerId;
use crate::model::playbook::Volumes;
use crate::model::service::{Condition, Dependency};

#[tokio::test]
async fn an_engine_older_than_20_10_is_refused_by_name() {
    let yard = Yard::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = EngineAddress::Tcp(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert_ne!(stream.read(&mut head).await.unwrap(), 0);
            let body = r#"{"ApiVersion":"1.40","Version":"19.03.15"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let engine = yard.engine_at(address, vec![], BTreeMap::new());
    let problem = engine.info().await.unwrap_err();
    assert!(
        problem.what.contains("speaks API 1.40, older than 1.41"),
        "{problem:?}"
    );
    assert!(
        !problem.is_transient && problem.cure.contains("20.10"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told_with_the_cure() {
    let yard = Yard::new();
    for address in [
        EngineAddress::Unix("/no/such/docker.sock".into()),
        EngineAddress::Tcp("127.0.0.1:1".parse().unwrap()),
    ] {
        let engine = yard.engine_at(address.clone(), vec![], BTreeMap::new());
        match engine.ask(EngineRequest::TakeInventory).await {
            EngineOutcome::Failed(problem) => {
                assert!(problem.what.contains(&address.to_string()), "{problem:?}");
                assert!(problem.what.contains("no connection"), "{problem:?}");
                assert!(problem.is_transient && problem.cure.contains("start the engine"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_is_uncleared_while_the_container_is_there() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let line = Line::open(&["DELETE /containers/"]).await;
    let project = yard.project(vec![yard.service("web", &image)]);
    let engine = line.engine(&yard, project);
    let after = engine.visit(&yard, 1).await;
    let containers = vec![leaving(&after)[0].id.clone()];
    line.cuts.send(Cuts::Listed).unwrap();
    let request = EngineRequest::Clear {
        containers: containers.clone(),
        volumes: Volumes::Keep,
        anonymous: crate::model::playbook::Anonymous::Refuse,
    };
    match engine.ask(request.clone()).await {
        EngineOutcome::Uncleared { left, problem, .. } => {
            assert_eq!(left, containers);
            assert!(
                problem.what.contains("the connection to the engine broke"),
                "{problem:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    line.cuts.send(Cuts::Nothing).unwrap();
    assert_eq!(
        engine.ask(request).await,
        EngineOutcome::Cleared {
            removed: 1,
            hooks: vec![]
        }
    );
}

#[tokio::test]
async fn what_a_service_waits_for_is_not_stopped_while_that_service_stands() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let mut web = yard.service("web", &image);
    let started = Dependency {
        condition: Condition::Started,
        is_required: true,
        restart: false,
    };
    web.depends_on = BTreeMap::from([("db".parse().unwrap(), started)]);
    let project = yard.project(vec![yard.service("db", &image), web]);
    let after = yard.engine(vec![project.clone()]).visit(&yard, 1).await;
    let id_of = |service: &str| {
        let mut named = after.containers.iter();
        let one = named.find(|one| one.service.as_str() == service);
        one.unwrap().id.clone()
    };
    let of_web = ["POST", "DELETE"].map(|verb| format!("{verb} /containers/{}", id_of("web")));
    let of_web: Vec<&str> = of_web.into_iter().map(|start| &*start.leak()).collect();
    let line = Line::open(of_web.leak()).await;
    let engine = line.engine(&yard, project);
    line.cuts.send(Cuts::Listed).unwrap();
    let request = EngineRequest::Clear {
        containers: vec![id_of("db"), id_of("web")],
        volumes: Volumes::Keep,
        anonymous: crate::model::playbook::Anonymous::Refuse,
    };
    match engine.ask(request).await {
        EngineOutcome::Uncleared { left, problem, .. } => {
            assert_eq!(left, [id_of("web"), id_of("db")]);
            assert!(problem.what.contains("-web-1"), "{problem:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(engine.inventory_now().await, after);
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_leaves_nothing_behind() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let line = Line::open(&["POST /containers/create"]).await;
    let engine = line.engine(&yard, yard.project(vec![yard.service("web", &image)]));
    line.cuts.send(Cuts::Answers).unwrap();
    let problems = engine.unready(yard.preparation(1, &[])).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .what
            .contains("the connection to the engine broke"),
        "{problems:?}"
    );
    assert!(problems[0].is_transient);
    assert!(yard.ours("container").is_empty() && yard.ours("network").is_empty());
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_is_cleared_once_the_container_is_gone() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let line = Line::open(&["DELETE /containers/", "POST /containers/"]).await;
    let engine = line.engine(&yard, yard.project(vec![yard.service("web", &image)]));
    let after = engine.visit(&yard, 1).await;
    let containers = vec![leaving(&after)[0].id.clone()];
    line.cuts.send(Cuts::Answers).unwrap();
    let request = EngineRequest::Clear {
        containers,
        volumes: Volumes::Keep,
        anonymous: crate::model::playbook::Anonymous::Refuse,
    };
    assert_eq!(
        engine.ask(request).await,
        EngineOutcome::Cleared {
            removed: 1,
            hooks: vec![]
        }
    );
}

#[tokio::test]
async fn an_exit_while_the_line_was_broken_is_noticed() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let line = Line::open(&[]).await;
    let engine = line.engine(&yard, yard.project(vec![yard.service("web", &image)]));
    let after = engine.visit(&yard, 1).await;
    let id = after.containers[0].id.clone();
    let request = EngineRequest::Watch {
        containers: vec![id.clone()],
    };
    let watching = engine.carry_out(&request, |_| ());
    tokio::pin!(watching);
    let calm = tokio::time::timeout(Duration::from_secs(2), &mut watching).await;
    assert!(calm.is_err(), "{calm:?}");
    line.cuts.send(Cuts::Everything).unwrap();
    let calm = tokio::time::timeout(Duration::from_secs(3), &mut watching).await;
    assert!(calm.is_err(), "{calm:?}");
    run("docker", &["kill", id.as_str()]);
    line.cuts.send(Cuts::Nothing).unwrap();
    match tokio::time::timeout(Duration::from_secs(120), watching)
        .await
        .unwrap()
    {
        EngineOutcome::Breach { problem } => {
            assert!(problem.what.contains("exited with code 137"), "{problem:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_restart_that_the_engine_remembers_no_more_is_noticed() {
    let mut yard = Yard::new();
    let image = yard.web_image("v1");
    let line = Line::open(&[]).await;
    let engine = line.engine(&yard, yard.project(vec![yard.service("web", &image)]));
    let after = engine.visit(&yard, 1).await;
    let id = after.containers[0].id.clone();
    let request = EngineRequest::Watch {
        containers: vec![id.clone()],
    };
    let watching = engine.carry_out(&request, |_| ());
    tokio::pin!(watching);
    let calm = tokio::time::timeout(Duration::from_secs(2), &mut watching).await;
    assert!(calm.is_err(), "{calm:?}");
    line.cuts.send(Cuts::Everything).unwrap();
    run("docker", &["restart", "-t", "0", id.as_str()]);
    let other = yard.stranger("busy", &[&image.to_string(), "sleep", "1000"]);
    forget_all(&other).await;
    line.cuts.send(Cuts::Nothing).unwrap();
    match tokio::time::timeout(Duration::from_secs(120), watching)
        .await
        .unwrap()
    {
        EngineOutcome::Breach { problem } => {
            assert!(problem.what.contains("was restarted"), "{problem:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Makes so many events that the engine has forgotten all before them: it remembers 256.
async fn forget_all(stranger: &ContainerId) {
    let docker = bollard::Docker::connect_with_defaults().unwrap();
    for number in 0..300 {
        let name = format!("{}-{number}", stranger.short());
        let options = RenameContainerOptionsBuilder::default().name(&name).build();
        let renamed = docker.rename_container(stranger.as_str(), options).await;
        renamed.unwrap();
    }
}

/// What a bad line does to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cuts {
    Nothing,
    /// Those whose first line begins as listed.
    Listed,
    /// The answers to them: the engine does what was asked.
    Answers,
    Everything,
}

/// A TCP way to the engine that can be cut.
struct Line {
    address: EngineAddress,
    cuts: watch::Sender<Cuts>,
}

impl Line {
    async fn open(listed: &'static [&'static str]) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = EngineAddress::Tcp(listener.local_addr().unwrap());
        let (cuts, cut) = watch::channel(Cuts::Nothing);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(stream, cut.clone(), listed));
            }
        });
        Line { address, cuts }
    }

    fn engine(&self, yard: &Yard, project: crate::model::service::Project) -> Engine {
        let address = self.address.clone();
        yard.engine_at(address, vec![project], BTreeMap::new())
    }
}

async fn carry(mut stream: TcpStream, mut cut: watch::Receiver<Cuts>, listed: &[&str]) {
    let mut head = vec![0; 64 << 10];
    let Ok(length) = stream.read(&mut head).await else {
        return;
    };
    let head = &head[..length];
    let is_listed = listed
        .iter()
        .any(|start| head.starts_with(start.as_bytes()));
    let is_cut = |cuts: Cuts| match cuts {
        Cuts::Nothing | Cuts::Answers => false,
        Cuts::Listed => is_listed,
        Cuts::Everything => true,
    };
    if is_cut(*cut.borrow()) {
        return;
    }
    let mut engine = UnixStream::connect("/var/run/docker.sock").await.unwrap();
    engine.write_all(head).await.unwrap();
    if is_listed && *cut.borrow() == Cuts::Answers {
        assert_ne!(engine.read(&mut [0; 1024]).await.unwrap(), 0);
        return;
    }
    tokio::select! {
        _ = copy_bidirectional(&mut stream, &mut engine) => (),
        _ = cut.wait_for(|cuts| is_cut(*cuts)) => (),
    }
}
