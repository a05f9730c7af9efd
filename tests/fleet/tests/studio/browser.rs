//! Chromium, driven as W3C's WebDriver says.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use limekiln_testbed::{Process, port_free};
use reqwest::Method;
use serde_json::{Value, json};

/// How long anything on the page may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name under which an element is given.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The driver, which all windows share.
pub(crate) struct Driver {
    _process: Process,
    url: String,
    http: reqwest::Client,
}

/// A browser with an own profile.
pub(crate) struct Browser {
    http: reqwest::Client,
    session: String,
}

impl Driver {
    pub(crate) async fn start(folder: &Path, http: &reqwest::Client) -> Result<Self> {
        let port = port_free();
        let process = Process::start(
            Path::new("chromedriver"),
            [format!("--port={port}")],
            [("NO_COLOR", "1")],
            &folder.join("chromedriver.log"),
        );
        let (url, http) = (format!("http://127.0.0.1:{port}"), http.clone());
        let end = Instant::now() + PATIENCE;
        while http.get(format!("{url}/status")).send().await.is_err() {
            ensure!(
                Instant::now() < end && process.ended().is_none(),
                "chromedriver does not start (Debian's chromium-driver): {}",
                process.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            _process: process,
            url,
            http,
        })
    }

    pub(crate) async fn open(&self, width: u32, height: u32) -> Result<Browser> {
        // The tests run as root where CI does, and Chromium's sandbox does not.
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            // It ends with the driver, however that ends.
            "--remote-debugging-pipe",
            format!("--window-size={width},{height}"),
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let url = format!("{}/session", self.url);
        let made = call(&self.http, Method::POST, &url, Some(wanted)).await?;
        let id = made["sessionId"].as_str().context("no session")?;
        let browser = Browser {
            http: self.http.clone(),
            session: format!("{url}/{id}"),
        };
        browser.size(width, height).await?;
        Ok(browser)
    }
}

async fn call(
    http: &reqwest::Client,
    method: Method,
    url: &str,
    body: Option<Value>,
) -> Result<Value> {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let answer = request.send().await?.bytes().await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let value = answer["value"].clone();
    match value["error"].as_str() {
        Some(error) => bail!("{error}: {}", value["message"]),
        None => Ok(value),
    }
}

impl Browser {
    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let url = format!("{}{path}", self.session);
        call(&self.http, Method::POST, &url, Some(body)).await
    }

    async fn command(&self, name: &str, parameters: Value) -> Result<Value> {
        let body = json!({ "cmd": name, "params": parameters });
        self.post("/goog/cdp/execute", body).await
    }

    /// What is shown is so large, whatever the window has around it.
    pub(crate) async fn size(&self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    pub(crate) async fn dark(&self, dark: bool) -> Result<()> {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            // Nothing moves by itself, so that a picture shows what is to come of it.
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]});
        self.command("Emulation.setEmulatedMedia", features).await?;
        Ok(())
    }

    /// What is shown, as PNG.
    pub(crate) async fn picture(&self) -> Result<Vec<u8>> {
        let url = format!("{}/screenshot", self.session);
        let shot = call(&self.http, Method::GET, &url, None).await?;
        let text = shot.as_str().context("no picture")?;
        Ok(base64::Engine::decode(
            &base64::prelude::BASE64_STANDARD,
            text,
        )?)
    }

    pub(crate) async fn go(&self, url: &str) -> Result<()> {
        self.post("/url", json!({ "url": url })).await?;
        Ok(())
    }

    pub(crate) async fn reload(&self) -> Result<()> {
        self.post("/refresh", json!({})).await?;
        Ok(())
    }

    /// Runs a script's body, and gives what it returns.
    pub(crate) async fn run(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    /// Runs a script that ends with a call of its last argument.
    pub(crate) async fn run_async(&self, script: &str) -> Result<Value> {
        self.post("/execute/async", json!({ "script": script, "args": [] }))
            .await
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({expression})")).await? != json!(true) {
            if Instant::now() > end {
                let shown = self.run("return document.body.innerText").await?;
                bail!("the page never comes to `{expression}`; it shows: {shown}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until something matches a selector and is shown.
    pub(crate) async fn shows(&self, selector: &str) -> Result<()> {
        let selector = json!(selector);
        self.until(&format!(
            "document.querySelector({selector})?.getClientRects().length"
        ))
        .await
    }

    async fn element(&self, selector: &str) -> Result<String> {
        self.shows(selector).await?;
        let found = self
            .post(
                "/element",
                json!({ "using": "css selector", "value": selector }),
            )
            .await?;
        let id = found[ELEMENT].as_str().context("no element")?;
        Ok(format!("/element/{id}"))
    }

    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let element = self.element(selector).await?;
            let clicked = self.post(&format!("{element}/click"), json!({})).await;
            match clicked {
                // What follows something is drawn anew: what is there now is clicked.
                Err(error) if error.to_string().starts_with("stale") && Instant::now() < end => {}
                clicked => return clicked.map(drop),
            }
        }
    }

    /// Chooses files, whose paths are on lines of their own; inputs for files are hidden.
    pub(crate) async fn choose(&self, selector: &str, paths: &str) -> Result<()> {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("/element", wanted).await?;
        let id = found[ELEMENT].as_str().context("no input")?;
        self.post(&format!("/element/{id}/value"), json!({ "text": paths }))
            .await?;
        Ok(())
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector).await?;
        self.post(&format!("{element}/value"), json!({ "text": text }))
            .await?;
        Ok(())
    }

    /// Presses keys one after the other, wherever the focus is. `ctrl`: while that is held.
    pub(crate) async fn keys(&self, keys: &str, ctrl: bool) -> Result<()> {
        let held = |kind: &str| json!({ "type": kind, "value": "\u{e009}" });
        let mut actions = Vec::new();
        actions.extend(ctrl.then(|| held("keyDown")));
        for key in keys.chars() {
            actions.push(json!({ "type": "keyDown", "value": key }));
            actions.push(json!({ "type": "keyUp", "value": key }));
        }
        actions.extend(ctrl.then(|| held("keyUp")));
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", json!({ "actions": [source] }))
            .await?;
        Ok(())
    }

    pub(crate) async fn text(&self, selector: &str) -> Result<String> {
        let script = format!(
            "return document.querySelector({})?.textContent ?? ''",
            json!(selector)
        );
        let text = self.run(&script).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The address that is shown.
    pub(crate) async fn address(&self) -> Result<String> {
        let address = self.run("return location.href").await?;
        Ok(address.as_str().context("no address")?.to_owned())
    }

    /// Another tab of the same browser, in front from then on; and the one before.
    pub(crate) async fn tab(&self) -> Result<(String, String)> {
        let url = format!("{}/window", self.session);
        let before = call(&self.http, Method::GET, &url, None).await?;
        let opened = self.post("/window/new", json!({ "type": "tab" })).await?;
        let handle = |value: &Value| value.as_str().map(str::to_owned).context("no window");
        let tabs = (handle(&before)?, handle(&opened["handle"])?);
        self.front(&tabs.1).await?;
        Ok(tabs)
    }

    pub(crate) async fn front(&self, tab: &str) -> Result<()> {
        self.post("/window", json!({ "handle": tab })).await?;
        Ok(())
    }

    /// What went wrong on the page since the last call, but for answers that a test provokes.
    pub(crate) async fn errors(&self) -> Result<Vec<String>> {
        let log = self.post("/se/log", json!({ "type": "browser" })).await?;
        let lines = log.as_array().into_iter().flatten();
        Ok(lines
            .filter(|line| line["level"] == "SEVERE" && line["source"] != "network")
            .map(|line| line["message"].to_string())
            .collect())
    }

    pub(crate) async fn end(self) -> Result<()> {
        call(&self.http, Method::DELETE, &self.session, None).await?;
        Ok(())
    }
}
