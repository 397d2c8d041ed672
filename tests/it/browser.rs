//! A real browser, driven by WebDriver (W3C): Debian's Chromium in the network of a lab.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::lab::ground::program::find;

/// Where the driver listens, in a network of its own.
const DRIVER: (&str, u16) = ("127.0.0.1", 9515);

/// The longest that anything on a page is waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// In which a press leads to another page.
const PRESSED_WITHIN: Duration = Duration::from_secs(2);

/// The key under which WebDriver hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window. Dropped, it is closed.
pub(crate) struct Browser {
    driver: Child,
    wire: BufReader<TcpStream>,
    session: String,
}

impl Browser {
    /// A phone's: 360 by 740, as dark as the night.
    pub(crate) fn phone(lab: &Lab) -> Result<Self> {
        for program in ["chromium", "chromedriver"] {
            ensure!(
                find(program).is_some(),
                "{program} is missing; install with: bash tests/lab/install.sh (make setup)"
            );
        }
        let profile = lab.dir.join("chromium");
        let driver = lab
            .in_core(&["chromedriver", &format!("--port={}", DRIVER.1)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("failed to start chromedriver")?;
        let wire = connect(lab)?;
        let mut browser = Self {
            driver,
            wire: BufReader::new(wire),
            session: String::new(),
        };
        // It runs as root in a namespace of the lab: no sandbox of its own.
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({ "args": args });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options });
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let made = browser.call("POST", "/session", &body)?;
        let id = made["sessionId"].as_str().context("a session")?;
        browser.session = format!("/session/{id}");
        let size = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        browser.devtools("Emulation.setDeviceMetricsOverride", &size)?;
        let dark = json!({ "name": "prefers-color-scheme", "value": "dark" });
        browser.devtools("Emulation.setEmulatedMedia", &json!({ "features": [dark] }))?;
        Ok(browser)
    }

    pub(crate) fn open(&mut self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// What a script in the page returns.
    pub(crate) fn run(&mut self, script: &str) -> Result<Value> {
        let body = json!({ "script": script, "args": [] });
        self.post("/execute/sync", &body)
    }

    /// What is to be read on the page.
    pub(crate) fn text(&mut self) -> Result<String> {
        let text = self.run("return document.body.innerText")?;
        Ok(text.as_str().context("a text")?.to_owned())
    }

    /// Presses what has this selector.
    pub(crate) fn click(&mut self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("/element/{element}/click"), &json!({}))
            .with_context(|| format!("failed to press {selector}"))
            .map(drop)
    }

    /// Presses what has this selector until its form is there: what lives on the page moves, and may
    /// move away from under a press, as it does for people.
    pub(crate) fn ask(&mut self, selector: &str) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let pressed = self.click(selector);
            let until = Instant::now() + PRESSED_WITHIN;
            while Instant::now() < until {
                if self.element("#reason").is_ok() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            if Instant::now() > deadline {
                pressed?;
                bail!("{selector} leads to no form\n{}", self.text()?);
            }
        }
    }

    /// Types into what has this selector.
    pub(crate) fn type_into(&mut self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        let body = json!({ "text": text });
        self.post(&format!("/element/{element}/value"), &body)
            .map(drop)
    }

    /// Waits until a script returns true; an error shows the page.
    pub(crate) fn await_true(&mut self, what: &str, script: &str) -> Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            // A page that is being exchanged for another answers nothing.
            if self
                .run(&format!("return {script}"))
                .is_ok_and(|it| it == true)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{what} within {WITHIN:?}: did not happen\n{}", self.text()?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until this stands in what has the selector.
    pub(crate) fn await_text(&mut self, selector: &str, text: &str) -> Result<()> {
        let (quoted, words) = (json!(selector), json!(text));
        let script = format!("!!document.querySelector({quoted})?.innerText.includes({words})");
        self.await_true(&format!("{text:?} in {selector}"), &script)
    }

    fn element(&mut self, selector: &str) -> Result<String> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = match self.post("/element", &body) {
            Ok(found) => found,
            Err(error) => return Err(error.context(self.text()?)),
        };
        Ok(found[ELEMENT].as_str().context("an element")?.to_owned())
    }

    fn devtools(&mut self, command: &str, params: &Value) -> Result<()> {
        let body = json!({ "cmd": command, "params": params });
        self.post("/goog/cdp/execute", &body).map(drop)
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let path = format!("{}{path}", self.session);
        self.call("POST", &path, body)
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.wire.get_mut().write_all(request.as_bytes())?;
        let (status, answer) = self.answer()?;
        let value: Value = serde_json::from_slice(&answer).context("chromedriver says JSON")?;
        let value = value["value"].clone();
        ensure!(status == 200, "{path}: {value}");
        Ok(value)
    }

    fn answer(&mut self) -> Result<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.wire.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("a status line")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.wire.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.wire.read_exact(&mut body)?;
        Ok((status, body))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = std::mem::take(&mut self.session);
        let closed = self.call("DELETE", &session, &json!({}));
        if let Err(error) = closed.and_then(|_| Ok(self.driver.kill()?)) {
            eprintln!("failed to close the browser: {error:#}");
        }
        drop(self.driver.wait());
    }
}

/// A connection belongs to the network in which it was made, whoever uses it then.
fn connect(lab: &Lab) -> Result<TcpStream> {
    let core = std::fs::File::open(lab.net.path("core")).context("the core's network")?;
    let enter_and_connect = move || -> Result<TcpStream> {
        move_into_link_name_space(core.as_fd(), Some(LinkNameSpaceType::Network))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match TcpStream::connect(DRIVER) {
                Ok(stream) => break Ok(stream),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    };
    let connected = std::thread::spawn(enter_and_connect).join();
    let connected = connected.map_err(|_| anyhow::anyhow!("the thread that connects panicked"))?;
    let stream = connected.context("chromedriver does not listen")?;
    stream.set_read_timeout(Some(WITHIN))?;
    Ok(stream)
}
