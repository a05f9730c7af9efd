//! `limekiln dev` under the page.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use limekiln_fleet_tests::dev::dev;
use limekiln_testbed::{Process, port_free};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::browser::{Browser, Driver};

/// A server, the driver, and where both keep their files.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    port: u16,
    process: Option<Process>,
    pub(crate) driver: Driver,
    pub(crate) url: String,
    pub(crate) key: String,
    /// The link that signs in.
    pub(crate) page: String,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        // The first of the tests sets it; for the others it is set.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (folder, http) = (TempDir::new()?, reqwest::Client::new());
        let mut server = Self {
            driver: Driver::start(folder.path(), &http).await?,
            folder,
            port: port_free(),
            process: None,
            url: String::new(),
            key: String::new(),
            page: String::new(),
        };
        server.restart().await?;
        Ok(server)
    }

    /// A browser that the link has signed in.
    pub(crate) async fn open(&self) -> Result<Browser> {
        let browser = self.driver.open(1440, 900).await?;
        browser.go(&self.page).await?;
        browser.shows("[data-act=room]").await?;
        Ok(browser)
    }

    /// What the API answers.
    pub(crate) async fn api(&self, method: Method, path: &str, body: String) -> Result<Value> {
        let rows = path.ends_with("/rows") && method == Method::POST;
        let kind = match rows {
            true => "application/x-ndjson",
            false => "application/json",
        };
        let request = reqwest::Client::new()
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("content-type", kind);
        let reply = request.body(body).send().await?;
        ensure!(
            reply.status().is_success(),
            "{path}: {}",
            reply.text().await?
        );
        Ok(serde_json::from_slice(&reply.bytes().await?)?)
    }

    /// A drawn room, as a file.
    pub(crate) async fn room(&self, number: usize) -> Result<PathBuf> {
        let url = format!("{}/studio/room-{number}.webp", self.url);
        let path = self.folder.path().join(format!("room-{number}.webp"));
        let room = reqwest::get(url).await?.error_for_status()?.bytes().await?;
        std::fs::write(&path, room)?;
        Ok(path)
    }

    /// Ends the server at once.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts the server, on the folder and the port of before.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.kill();
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/dev-cache");
        let exported = [("LIMEKILN_CACHE", cache)];
        let (process, hello) = dev(self.folder.path(), self.port, &[], &exported).await?;
        let said = |name: &str| hello[name].as_str().map(str::to_owned).context("not said");
        (self.url, self.key, self.page) = (said("url")?, said("key")?, said("page")?);
        self.process = Some(process);
        Ok(())
    }
}
