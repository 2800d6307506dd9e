//! The pages in a real browser, if there is one.

use std::process::Command;

use super::support::{Dir, finish};

const CHROMIUM: &str = "chromium";

/// Whether Chromium is installed; says so plainly if not, and fails if everything must be tested.
fn is_installed() -> bool {
    let installed = Command::new(CHROMIUM).arg("--version").output().is_ok_and(|output| output.status.success());
    if !installed {
        println!("skipped: there is no {CHROMIUM} in the PATH to look at the pages with");
        assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "{CHROMIUM} must be installed for this test");
    }
    installed
}

/// What the browser makes of a page: its document once it is loaded.
fn look_at(dir: &Dir, url: &str) -> String {
    let mut browser = Command::new(CHROMIUM);
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    // No budget of virtual time: live stock keeps a connection open, and that time would never pass.
    browser.args(["--timeout=20000", "--dump-dom"]);
    browser.arg(format!("--user-data-dir={}", dir.path("browser").display())).arg(url);
    finish(browser).ok().out
}

#[test]
fn a_browser_shows_the_pages() {
    if !is_installed() {
        return;
    }
    let dir = Dir::new();
    let shop = dir.monolith();
    for (path, shows) in [
        ("/", "undergraduate school"),
        ("/search/distributed%20systems", "RPCs for Noobs"),
        ("/info/1", "How to get a good grade in DOS"),
        ("/purchase/3", "<form"),
        ("/info/4040404", "404"),
    ] {
        let page = look_at(&dir, &format!("{}{path}", shop.url));
        assert!(page.contains(shows), "{path} does not show {shows:?}: {page}");
        assert!(page.contains("<main"), "{path} is not one of the shop's pages: {page}");
    }
}
