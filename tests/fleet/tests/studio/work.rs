//! Edits made, seen, corrected, proved and taken back.

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

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
    // A picture that is dropped into it is the mask, not a new session.
    let dropped = "const done = arguments[arguments.length - 1], white = new OffscreenCanvas(2, 2), context = white.getContext('2d');
        context.fillStyle = '#fff';
        context.fillRect(0, 0, 2, 2);
        white.convertToBlob().then((blob) => {
            const files = new DataTransfer();
            files.items.add(new File([blob], 'mask.png', { type: 'image/png' }));
            dispatchEvent(new DragEvent('drop', { dataTransfer: files }));
            done(true);
        })";
    browser.run_async(dropped).await?;
    browser
        .until("document.querySelector('canvas.paint')?.getContext('2d').getImageData(1, 1, 1, 1).data[3] > 127")
        .await?;
    browser.click("[aria-label='Undo stroke']").await?;
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
    repeats(&server, &browser).await?;
    let errors = browser.errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    browser.end().await
}

/// A turn that another client made in the region of the first is the same where it is repeated outside the page.
async fn repeats(server: &Server, browser: &Browser) -> Result<()> {
    let address = browser.address().await?;
    let (_, session) = address.split_once('#').context("no session")?;
    let path = format!("/v1/sessions/{session}");
    let tree = server.api(Method::GET, &path, String::new()).await?;
    let first = &tree["tree"][0]["id"];
    let turn = json!({ "instruction": "make the sofa red", "parent": first, "region": { "edit": first }, "reuse": "none" });
    let path = format!("{path}/edits");
    let posted = server.api(Method::POST, &path, turn.to_string()).await?;
    succeeded(browser, 4).await?;
    current(browser, "5").await?;
    browser
        .until("document.querySelector('.facts h2').textContent === 'make the sofa red'")
        .await?;
    browser.click("[data-act=repeat]").await?;
    browser.shows("dialog pre").await?;
    let texts = "return [...document.querySelectorAll('dialog pre')].map((one) => one.textContent)";
    let texts = browser.run(texts).await?;
    let [curl, command, python] = [0, 1, 2].map(|i| texts[i].as_str().unwrap_or_default());
    let region = json!({ "edit": first }).to_string();
    ensure!(curl.contains(&region) && !curl.contains("mask"), "{curl}");
    for flag in ["--reuse none", "--mask mask.png", "--matte"] {
        ensure!(command.contains(flag), "{flag} is not in {command}");
    }
    let ran = Command::new("python3")
        .args(["-c", python])
        .env("LIMEKILN_KEY", &server.key)
        .current_dir(server.folder.path())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let event: Value = said
        .lines()
        .find_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .context("no event")?;
    let small = async |edit: &Value| -> Result<_> {
        let edit = edit.as_str().context("no edit")?;
        let url = format!(
            "{}/v1/edits/{edit}/result?format=png&max_side=100",
            server.url
        );
        let asked = reqwest::Client::new().get(url).bearer_auth(&server.key);
        Ok(asked.send().await?.error_for_status()?.bytes().await?)
    };
    ensure!(small(&posted["id"]).await? == small(&event["edit"]).await?);
    Ok(())
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
