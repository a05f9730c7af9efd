//! Who gets in, and what a page does when its server goes away.

use anyhow::{Result, ensure};

use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_refused_in_words_and_a_link_works_once() -> Result<()> {
    let server = Server::start().await?;
    let browser = server.open().await?;
    // The link is not in the address any more, and a session's address can be shared.
    ensure!(!browser.address().await?.contains("link"));
    browser.click("[data-act=room]").await?;
    browser.shows(".composer textarea").await?;
    let session = browser.address().await?;

    let other = server.driver.open(1440, 900).await?;
    other.go(&server.page).await?;
    other.shows(".sign-in").await?;
    ensure!(
        other
            .text(".sign-in .problem")
            .await?
            .contains("used before")
    );
    other
        .write(".sign-in input", &format!("lk_{}\n", "0".repeat(64)))
        .await?;
    other
        .until("document.querySelector('.sign-in .problem')?.textContent.includes('unknown')")
        .await?;
    other.go(&session).await?;
    other.shows(".sign-in").await?;
    other
        .write(".sign-in input", &format!("{}\n", server.key))
        .await?;
    other.shows(".composer textarea").await?;
    ensure!(other.address().await? == session);
    // Neither script nor storage has the key or the cookie.
    let kept = "return document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })";
    let kept = other.run(kept).await?;
    ensure!(kept == "{}", "{kept}");
    other.click("[aria-label='Sign out']").await?;
    other.shows(".sign-in").await?;
    other.reload().await?;
    other.shows(".sign-in").await?;
    // The other browser is signed in by itself.
    browser.reload().await?;
    browser.shows(".composer textarea").await?;
    other.end().await?;
    browser.end().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_follow_one_session_through_a_restart() -> Result<()> {
    let mut server = Server::start().await?;
    let browser = server.open().await?;
    browser.click("[data-act=room]").await?;
    browser.shows(".composer textarea").await?;
    let session = browser.address().await?;
    let (first, second) = browser.tab().await?;
    browser.go(&session).await?;
    browser.shows(".composer textarea").await?;
    browser.front(&first).await?;
    browser
        .write(".composer textarea", "make the sofa teal\n")
        .await?;
    let done = "document.querySelector('li[data-state=succeeded] .turn[aria-current=true]')";
    browser.until(done).await?;
    browser.front(&second).await?;
    browser.until(done).await?;

    server.kill();
    browser.shows(".offline").await?;
    // What was typed is still there when the server is back, and goes through then.
    browser
        .write(".composer textarea", "turn the lamp red")
        .await?;
    server.restart().await?;
    browser
        .until("document.querySelector('.offline').hidden")
        .await?;
    browser.click(".go").await?;
    browser
        .until("document.querySelectorAll('li[data-state=succeeded]').length === 2")
        .await?;
    browser.front(&first).await?;
    browser
        .until("document.querySelectorAll('li[data-state=succeeded]').length === 2")
        .await?;
    browser.end().await
}
