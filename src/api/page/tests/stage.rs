//! A coordinator with a night under way, its page, and browsers.
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc};

use super::story::draining;
use crate::api::asked::{Answer, Asked, Heard};
use crate::api::http::tests::stage::raw;
use crate::api::http::{Door, Front, Net};
use crate::api::token::{Role, TokenFile};
use crate::api::wire::{Command, Refusal, Reply};
use crate::model::fleet::Listen;

pub(super) struct Stage {
    pub(super) tokens: TokenFile,
    pub(super) door: Door,
    /// Every command that changes something, with who asked.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    _folder: tempfile::TempDir,
}

/// What came back.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// Somebody with a browser.
pub(super) struct Browser {
    address: SocketAddr,
    pub(super) cookie: String,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (sender, questions) = mpsc::channel(16);
        let asked = Arc::default();
        tokio::spawn(answer(questions, Arc::clone(&asked)));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let net = Net::bind(&Listen { address, tls: None }).unwrap();
        Stage {
            tokens: TokenFile::of(folder.path()),
            door: net.open(Front::new(sender, folder.path())).unwrap(),
            asked,
            _folder: folder,
        }
    }

    pub(super) fn token(&self, role: Role) -> String {
        let token = self
            .tokens
            .create(role.word(), role, "root", Timestamp::now(), None);
        token.unwrap().reveal_text()
    }

    pub(super) fn browser(&self) -> Browser {
        Browser {
            address: self.door.address(),
            cookie: String::new(),
        }
    }

    pub(super) async fn signed_in(&self, role: Role) -> Browser {
        let mut browser = self.browser();
        let said = browser.sign_in(&self.token(role)).await;
        assert_eq!(said.status, 303, "{}", said.head);
        browser
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Browser {
    pub(super) async fn get(&self, path: &str) -> Said {
        self.request("GET", path, &[], "").await
    }

    /// A form of a page of ours.
    pub(super) async fn post(&self, path: &str, body: &str) -> Said {
        let origin = format!("http://{}", self.address);
        self.request("POST", path, &[("origin", &origin)], body)
            .await
    }

    pub(super) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Said {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncookie: {}\r\n",
            self.address,
            body.len(),
            self.cookie
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let said = raw(self.address, format!("{head}\r\n{body}").as_bytes()).await;
        let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
        Said {
            status: head[9..12].parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(super) async fn sign_in(&mut self, token: &str) -> Said {
        let said = self.post("/login", &format!("to=%2F&token={token}")).await;
        if let Some(set) = said.header("set-cookie") {
            set.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        said
    }

    /// Fills in the form at `path` and sends it.
    pub(super) async fn fill_in(&self, path: &str, typed: &str) -> Said {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let (act, _) = path.split_once('?').unwrap_or((path, ""));
        let body = format!(
            "form={}&once={}&{typed}",
            page.hidden("form"),
            page.hidden("once")
        );
        self.post(act, &body).await
    }
}

impl Said {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The value of a hidden field of the last form.
    pub(super) fn hidden(&self, name: &str) -> String {
        let mark = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
        let from = self
            .body
            .rfind(&mark)
            .unwrap_or_else(|| panic!("{name}: {}", self.body));
        let value = &self.body[from + mark.len()..];
        value.split('"').next().unwrap().to_owned()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else is asked changes something"
)]
async fn answer(mut questions: mpsc::Receiver<Asked>, asked: Arc<Mutex<Vec<String>>>) {
    let (lines, _kept) = broadcast::channel(16);
    while let Some(question) = questions.recv().await {
        let ok = |value| Answer::Reply(Reply::Ok(value));
        let sight = draining();
        let answer = match &question.command {
            Command::Status {} => ok(serde_json::to_value(&sight.status).unwrap()),
            Command::History { .. } => ok(serde_json::json!({ "rotations": *sight.nights })),
            Command::Watch { .. } => Answer::Events(Heard {
                missed: sight.lines.iter().map(|line| line.json().into()).collect(),
                lines: lines.subscribe(),
            }),
            Command::Withdraw {
                below_floor: false, ..
            } => Answer::Reply(Reply::Refused(Refusal {
                rule: "floor".to_owned(),
                what: "www A would have 1 site of 2 <b>".to_owned(),
                cure: "wait".to_owned(),
                exit: 4,
            })),
            command => {
                let said = format!("{}: {command:?}", question.actor);
                asked.lock().unwrap().push(said);
                ok(serde_json::json!({}))
            }
        };
        drop(question.answer.send(answer));
    }
}
