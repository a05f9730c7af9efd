//! Every view, light and dark, wide and narrow: nothing that axe-core finds, nothing that leaves the window, a picture of each.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::browser::Browser;
use crate::server::Server;

/// The checker, which tests/install fetches and knows by its digest.
fn axe() -> Result<String> {
    let tools = match std::env::var_os("LIMEKILN_TEST_TOOLS") {
        Some(tools) => PathBuf::from(tools),
        None => PathBuf::from(std::env::var_os("HOME").context("no HOME")?)
            .join(".cache/limekiln-tests"),
    };
    let path = tools.join("axe/package/axe.min.js");
    std::fs::read_to_string(&path).with_context(|| format!("{}: run tests/install", path.display()))
}

/// Looks at what is shown in both schemes and sizes.
async fn look(browser: &Browser, view: &str) -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("views");
    std::fs::create_dir_all(&folder)?;
    for (width, height) in [(1440, 900), (390, 844)] {
        browser.size(width, height).await?;
        for dark in [false, true] {
            browser.dark(dark).await?;
            let scheme = if dark { "dark" } else { "light" };
            let found = browser
                .run_async(
                    "const done = arguments[arguments.length - 1];
                    axe.run(document, { resultTypes: ['violations'] })
                        .then((found) => done(found.violations.map((one) => [one.id, one.nodes.map((node) => node.target.join(' '))])))",
                )
                .await?;
            ensure!(found == json!([]), "{view}, {width}, {scheme}: {found}");
            let fits = browser
                .run("return document.documentElement.scrollWidth <= innerWidth")
                .await?;
            ensure!(fits == json!(true), "{view} is wider than {width}");
            let picture = browser.picture().await?;
            std::fs::write(folder.join(format!("{view}-{width}-{scheme}.png")), picture)?;
        }
    }
    browser.size(1440, 900).await?;
    browser.dark(false).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_on_any_view() -> Result<()> {
    let axe = axe()?;
    let server = Server::start().await?;
    let browser = server.open().await?;
    // It is there until the page is left.
    browser.run(&axe).await?;
    look(&browser, "start").await?;
    browser.click("[data-act=room]").await?;
    browser.shows(".composer textarea").await?;
    look(&browser, "picture").await?;
    browser.click("[data-way=color]").await?;
    browser
        .write("[aria-label='What to recolor']", "sofa")
        .await?;
    browser.click("[data-act=settings]").await?;
    look(&browser, "recolor").await?;
    browser.click("[data-act=settings]").await?;
    browser.click(".go").await?;
    browser
        .shows(".staged:not([hidden]) [data-act=keep]")
        .await?;
    browser.shows(".painted").await?;
    browser.click("[data-act=verify]").await?;
    browser.shows(".proved .good").await?;
    look(&browser, "done").await?;
    browser.click("[data-act=repeat]").await?;
    browser.shows("dialog").await?;
    look(&browser, "repeat").await?;
    browser
        .run("document.querySelector('dialog').close()")
        .await?;
    browser.click("[data-act=keep]").await?;
    browser.click("[data-mode=side]").await?;
    browser.click("[data-act=region]").await?;
    browser.shows(".tint").await?;
    look(&browser, "beside").await?;
    browser.click("[data-act=mask]").await?;
    browser.shows("canvas.paint").await?;
    look(&browser, "mask").await?;
    browser.click("[data-act=unmask]").await?;
    browser.click("nav [data-act=catalogs]").await?;
    browser.click("[data-act=rooms]").await?;
    browser
        .until("document.querySelector('.new').textContent.includes('48 edits')")
        .await?;
    look(&browser, "catalogs").await?;
    browser.click("[data-act=sample]").await?;
    browser.shows("#row-1 img").await?;
    browser.click("[data-act=pause]").await?;
    browser.shows("[data-act=resume]").await?;
    look(&browser, "sheet").await?;
    browser
        .run("document.querySelector('.sheet').focus()")
        .await?;
    browser.keys("\u{e007}", false).await?;
    browser.shows(".look").await?;
    look(&browser, "row").await?;
    browser.keys("d", false).await?;
    browser.shows(".look canvas.paint").await?;
    browser.until("!document.querySelector('.busy')").await?;
    look(&browser, "redo").await?;
    browser.go(&format!("{}/fleet", server.url)).await?;
    browser.shows("table").await?;
    browser.run(&axe).await?;
    look(&browser, "fleet").await?;
    browser.click("[aria-label='Sign out']").await?;
    browser.shows(".sign-in").await?;
    look(&browser, "sign-in").await?;
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}
