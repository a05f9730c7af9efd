//! Edits made, seen, corrected, proved and taken back.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::browser::Browser;
use crate::server::Server;

/// What is on the page once an edit that it asked for is done.
const DONE: &str = ".staged:not([hidden]) [data-act=keep]";
/// Unless it was seen, a preview was not shown.
const WATCH: &str = "window.seen = { preview: 0, region: 0 };
    new MutationObserver(() => {
        const preview = document.querySelector('.preview');
        if (preview && !preview.hidden && preview.naturalWidth) seen.preview += 1;
        const tint = document.querySelector('.tint');
        if (tint && !tint.hidden) seen.region += 1;
    }).observe(document, { subtree: true, childList: true, attributes: true });";

async fn room(server: &Server) -> Result<Browser> {
    let browser = server.open().await?;
    browser.click("[data-act=room]").await?;
    browser.shows(".composer textarea").await?;
    Ok(browser)
}

async fn turns(browser: &Browser, number: usize) -> Result<()> {
    let there = format!("document.querySelectorAll('.turns li').length === {number}");
    browser.until(&there).await
}

async fn succeeded(browser: &Browser, number: usize) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelectorAll('li[data-state=succeeded]').length === {number}"
        ))
        .await
}

/// The turn that is shown, by its number; "Original" for the picture.
async fn current(browser: &Browser, number: &str) -> Result<()> {
    let number = json!(number);
    browser
        .until(&format!(
            "document.querySelector('.turn[aria-current=true] small')?.textContent.startsWith({number})"
        ))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_seen_branched_mended_and_proved() -> Result<()> {
    let server = Server::start().await?;
    let browser = room(&server).await?;
    browser.run(WATCH).await?;
    browser
        .write(".composer textarea", "make the sofa teal\n")
        .await?;
    browser.shows(DONE).await?;
    let seen = browser.run("return seen").await?;
    ensure!(
        seen["preview"].as_u64() > Some(0) && seen["region"].as_u64() > Some(0),
        "no preview and no region: {seen}"
    );
    browser.click("[data-act=keep]").await?;
    // A second turn on it, undone and done again; then another on the first: a branch.
    browser
        .write(".composer textarea", "turn the lamp red\n")
        .await?;
    succeeded(&browser, 2).await?;
    current(&browser, "2").await?;
    browser.click("[aria-label=Undo]").await?;
    current(&browser, "1").await?;
    browser.click("[aria-label=Redo]").await?;
    current(&browser, "2").await?;
    browser.click("[aria-label=Undo]").await?;
    current(&browser, "1").await?;
    // What people write is shown and not run.
    let markup = "<img src=x onerror='window.bad=1'>make the lamp blue";
    browser
        .write(".composer textarea", &format!("{markup}\n"))
        .await?;
    succeeded(&browser, 3).await?;
    current(&browser, "3").await?;
    browser.shows("li.branch").await?;
    ensure!(browser.text(".facts h2").await? == markup);
    ensure!(browser.run("return window.bad ?? null").await?.is_null());

    // The second on one picture takes over what the first made of it.
    let reused = "[...document.querySelectorAll('.numbers dt')].some((term) => term.textContent === 'Reused' && term.nextSibling.textContent.includes('latents'))";
    browser.until(reused).await?;

    // Its region is mended: a mask that begins as what was found, on the picture that it was found in; then by a segment.
    browser.click("[data-act=mask]").await?;
    browser.shows("canvas.paint").await?;
    browser.until("!document.querySelector('.busy')").await?;
    browser.click("canvas.paint").await?;
    browser.click(".tools [data-way=brush]").await?;
    browser
        .run("document.querySelector('canvas.paint').focus()")
        .await?;
    browser.keys(" \u{e014}\u{e014} ", false).await?;
    browser.click("[data-act=redo]").await?;
    succeeded(&browser, 4).await?;
    browser.click("[data-act=discard]").await?;
    // And one is where one was.
    turns(&browser, 4).await?;
    current(&browser, "3").await?;

    // What no matte on the way reaches is the upload's own.
    browser.click("[data-act=verify]").await?;
    browser.shows(".proved .good").await?;
    let proof = browser.text(".proved").await?;
    ensure!(
        proof.starts_with("0 of ") && proof.contains("2 turns"),
        "{proof}"
    );
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_gets_exactly_a_color_by_keys_alone() -> Result<()> {
    let server = Server::start().await?;
    let browser = server.open().await?;
    let (tab, enter) = ("\u{e004}", "\u{e007}");
    // Forward until something has the focus, as people do who use no pointer.
    let reach = async |selector: &str| -> Result<()> {
        let selector = json!(selector);
        for _ in 0..60 {
            let there = format!("return Boolean(document.activeElement?.matches({selector}))");
            if browser.run(&there).await? == json!(true) {
                let seen = "const style = getComputedStyle(document.activeElement);
                    return style.outlineStyle !== 'none' || document.activeElement.matches('input, textarea, select')";
                ensure!(
                    browser.run(seen).await? == json!(true),
                    "the focus on {selector} can't be seen"
                );
                return Ok(());
            }
            browser.keys(tab, false).await?;
        }
        anyhow::bail!("no way to {selector} by keys")
    };
    reach("[data-act=room]").await?;
    browser.keys(enter, false).await?;
    browser.shows(".composer textarea").await?;
    reach("[data-way=color]").await?;
    browser.keys(enter, false).await?;
    reach("[aria-label='What to recolor']").await?;
    browser.keys("sofa", false).await?;
    reach(".hex").await?;
    browser.keys("a", true).await?;
    browser.keys(&format!("#1F6F8B{enter}"), false).await?;
    browser.shows(".painted").await?;
    let painted = browser.text(".painted").await?;
    ensure!(
        painted.contains("#1F6F8B") && painted.contains("ΔE00"),
        "{painted}"
    );
    // Discarded, and made again.
    browser.shows(DONE).await?;
    reach("[data-act=verify]").await?;
    browser.keys(enter, false).await?;
    browser.shows(".proved .good").await?;
    let proof = browser.text(".proved").await?;
    ensure!(proof.starts_with("0 of "), "{proof}");
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_in_mid_edit_brings_everything_back_and_cancel_is_one_click() -> Result<()> {
    let server = Server::start().await?;
    let browser = room(&server).await?;
    // A hundred steps and more, which take their time.
    browser.click("[data-act=settings]").await?;
    browser
        .run("const select = document.querySelector('.more select'); select.value = 'paper'; return select.value")
        .await?;
    browser
        .write(".composer textarea", "make the sofa teal\n")
        .await?;
    let running = "/\\d+ of \\d+/.test(document.querySelector('.progress')?.textContent)";
    browser.until(running).await?;
    browser.reload().await?;
    browser.until(running).await?;
    current(&browser, "1 · ").await?;
    browser.click("[data-act=cancel]").await?;
    browser
        .until("document.querySelector('li[data-state=cancelled]') && document.querySelector('.progress').hidden")
        .await?;
    let head =
        "document.querySelector('.turn[aria-current=true] strong').textContent === 'Original'";
    browser.until(head).await?;
    browser.end().await
}
