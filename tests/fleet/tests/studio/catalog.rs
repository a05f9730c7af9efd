//! Catalogs from the manifest to the reviewed sheet, and the fleet under them.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::Server;

/// Markup in a manifest is shown, not run.
const MARKUP: &str = "<img src=x onerror='window.bad=1'>";

async fn catalogs(server: &Server) -> Result<Browser> {
    let browser = server.open().await?;
    browser.click("nav [data-act=catalogs]").await?;
    browser.shows(".new").await?;
    Ok(browser)
}

/// The catalog that is shown.
async fn shown(browser: &Browser) -> Result<String> {
    let address = browser.address().await?;
    let id = address.split("catalog=").nth(1).context("no catalog")?;
    Ok(format!("/v1/catalogs/{id}"))
}

async fn says(browser: &Browser, words: &str) -> Result<()> {
    let words = json!(words);
    browser
        .until(&format!(
            "document.querySelector('[data-act=facts]')?.textContent.includes({words})"
        ))
        .await
}

async fn row(server: &Server, path: &str, number: u64) -> Result<Value> {
    let page = format!("{path}/rows?limit=1&after={}", number - 1);
    let page = server.api(Method::GET, &page, String::new()).await?;
    Ok(page["rows"][0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_becomes_a_reviewed_sheet_by_keys() -> Result<()> {
    let server = Server::start().await?;
    let browser = catalogs(&server).await?;
    let manifest = server.folder.path().join("autumn.csv");
    let lines = format!(
        "image,sku,object\r\nroom-1.webp,\"A, 1\",sofa\r\nrooms/room-2.webp,{MARKUP},sofa\r\n"
    );
    std::fs::write(&manifest, lines)?;
    browser
        .choose(".new [accept^='.csv']", &manifest.to_string_lossy())
        .await?;
    // What is missing is said before anything is sent.
    browser
        .until("document.querySelector('.new .problem').textContent.includes('room-2.webp')")
        .await?;
    let rooms = [server.room(1).await?, server.room(2).await?]
        .map(|path| path.to_string_lossy().into_owned());
    browser.choose(".new [multiple]", &rooms.join("\n")).await?;
    browser
        .until("document.querySelector('.new').textContent.includes('2 pictures, 4 edits')")
        .await?;
    browser.click("[data-act=start]").await?;
    browser.shows(".sheet").await?;
    says(&browser, "ended").await?;
    browser.click("[data-act=all]").await?;
    browser
        .until("document.querySelectorAll('.tile img').length === 4")
        .await?;
    ensure!(browser.text("#row-1").await?.starts_with("A, 1"));
    ensure!(browser.text("#row-3").await?.starts_with(MARKUP));
    ensure!(browser.run("return window.bad ?? null").await?.is_null());

    // Rejected, taken back; then the second is done again in a segment that the pointer chooses.
    let path = shown(&browser).await?;
    browser.keys("r\u{e012}a", false).await?;
    let decided = async |number, verdict: &str| -> Result<()> {
        for _ in 0..200 {
            let row = row(&server, &path, number).await?;
            if row["decision"]["verdict"] == verdict {
                ensure!(row["decision"]["by"] == "limekiln dev", "{row}");
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        anyhow::bail!(
            "row {number} is never {verdict}: {}",
            row(&server, &path, number).await?
        )
    };
    decided(1, "accept").await?;
    browser.keys("d", false).await?;
    browser.shows(".look canvas.paint").await?;
    browser
        .until("!document.querySelector('.look .busy')")
        .await?;
    browser.click(".look canvas.paint").await?;
    browser.click("[data-act=redo-row]").await?;
    decided(2, "redo").await?;
    browser
        .until("!document.querySelector('.look') && document.querySelectorAll('.tile img').length === 4")
        .await?;
    let again = row(&server, &path, 2).await?;
    let edit = format!("/v1/edits/{}", again["edit"].as_str().context("no edit")?);
    let edit = server.api(Method::GET, &edit, String::new()).await?;
    ensure!(edit["mask"].is_string(), "{edit}");
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_rows_are_a_few_on_the_page_and_the_fleet_can_be_held() -> Result<()> {
    let server = Server::start().await?;
    let browser = server.open().await?;
    // Operators hold the fleet, so that all rows wait.
    browser.go(&format!("{}/fleet", server.url)).await?;
    browser.click("[data-act=pause]").await?;
    browser
        .until("document.querySelector('h1')?.textContent === 'The fleet is paused'")
        .await?;
    let image = std::fs::read(server.room(1).await?)?;
    let image = reqwest::Client::new()
        .post(format!("{}/v1/images", server.url))
        .bearer_auth(&server.key)
        .body(image)
        .send()
        .await?;
    let image: Value = serde_json::from_slice(&image.bytes().await?)?;
    let asked = json!({ "name": "many", "defaults": { "instruction": "make the sofa teal" } });
    let made = server
        .api(Method::POST, "/v1/catalogs", asked.to_string())
        .await?;
    let path = format!("/v1/catalogs/{}", made["id"].as_str().context("no id")?);
    server
        .api(Method::POST, &format!("{path}/pause"), String::new())
        .await?;
    for from in [0, 5000] {
        let lines = (from + 1..=from + 5000).map(|row| {
            json!({ "row": row, "image": image["id"], "values": { "sku": format!("S{row}") } })
                .to_string()
        });
        let lines = lines.collect::<Vec<_>>().join("\n");
        server
            .api(Method::POST, &format!("{path}/rows"), lines)
            .await?;
    }
    let id = made["id"].as_str().context("no id")?;
    browser.go(&format!("{}/#catalog={id}", server.url)).await?;
    says(&browser, "10,000 rows").await?;
    browser.keys("\u{e010}", false).await?;
    browser.shows("#row-10000[aria-selected=true]").await?;
    let tiles = browser
        .run("return document.querySelectorAll('.tile').length")
        .await?;
    ensure!(tiles.as_u64() < Some(200), "{tiles} rows are on the page");
    browser.click("[data-act=resume]").await?;
    browser.click("[data-act=stop]").await?;
    browser.click("dialog .danger").await?;
    says(&browser, "cancelled").await?;
    browser.go(&format!("{}/fleet", server.url)).await?;
    browser.click("[data-act=resume]").await?;
    browser
        .until("document.querySelector('h1').textContent.includes('1 worker')")
        .await?;
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}
