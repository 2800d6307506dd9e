//! The disk runs full while buyers buy, and has room again.

use bookstore::core::{BookId, Error, OrderId};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{Dir, Server, finish};

/// A disk of a few megabytes, in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "small"]).arg(&at).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: this user may not mount a small disk to fill");
        assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "mounting a tmpfs must be permitted for this test");
        None
    }

    /// What is on it can be read only from now on.
    fn make_read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(remounted.is_ok_and(|status| status.success()));
    }

    /// Takes all the room there is.
    fn fill(&self) {
        // Written until nothing more goes; an error is just what this is for.
        let filled = fs::write(self.filler(), vec![1; 8 << 20]);
        assert!(filled.is_err(), "the disk is larger than it should be");
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

/// Buys single copies until `enough` says so; the orders acknowledged, and the last error.
async fn buy_until(server: &Server, enough: impl Fn(&Result<OrderId, Error>) -> bool) -> (Vec<OrderId>, Option<Error>) {
    let shop = server.shop().with_timeout(Duration::from_millis(300));
    let (mut acknowledged, mut last) = (Vec::new(), None);
    for _ in 0..20_000 {
        let bought = shop.purchase_new(BookId(1), 1).await.map(|order| order.id);
        let stop = enough(&bought);
        match bought {
            Ok(id) => acknowledged.push(id),
            Err(error) => last = Some(error),
        }
        if stop {
            return (acknowledged, last);
        }
    }
    panic!("it never came to that: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_and_the_shop_goes_on_when_there_is_room() {
    let dir = Dir::new();
    let Some(disk) = SmallDisk::mount(dir.path("disk")) else { return };
    let store = format!("sqlite:{}", disk.path().join("shop.db").display());
    let server = dir.serve(&["monolith", "--store", &store, "--admin-token-file", "admin.token"]);
    server.shop().restock(BookId(1), 100_000).await.unwrap();
    let (mut acknowledged, _) = buy_until(&server, |_| true).await;
    disk.fill();
    // A purchase may also fail because the machine is busy: what counts is that operators see the full disk.
    let is_full =
        |bought: &Result<_, _>| bought.is_err() && server.get("/metrics").contains("\nbookstore_ledger_writable 0\n");
    let (more, error) = buy_until(&server, is_full).await;
    acknowledged.extend(more);
    assert!(error.unwrap().may_retry(true), "a full disk is no answer about the book");
    assert!(server.shop().info(BookId(1)).await.unwrap().stock > 0, "books can still be read");
    assert!(server.get("/readyz").contains("cannot be written") && server.get("/readyz").starts_with("HTTP/1.1 503"));
    disk.empty();
    // A server that is not ready gets no calls from a load balancer: it opens its store again without any.
    server.ready();
    let (more, _) = buy_until(&server, Result::is_ok).await;
    acknowledged.extend(more);
    assert!(server.get("/metrics").contains("\nbookstore_ledger_writable 1\n"));
    for id in &acknowledged {
        server.shop().order(*id).await.expect("an acknowledged order exists");
    }
    drop(server);
    finish(dir.command(&["audit", "--store", &store])).ok();
    drop(disk);
}

#[test]
fn a_store_on_read_only_media_can_be_audited_and_copied() {
    let dir = Dir::new();
    let Some(disk) = SmallDisk::mount(dir.path("small")) else { return };
    let store = format!("sqlite:{}", disk.path().join("shop.db").display());
    let server = dir.serve(&["monolith", "--store", &store]);
    dir.run(&["buy", "3", "--server", &server.url]).ok();
    assert_eq!(server.stop(), Some(0));
    disk.make_read_only();
    let out = dir.run(&["audit", "--store", &store]).ok().out;
    assert!(out.contains("Every promise is kept"), "{out}");
    dir.run(&["backup", "saved.db", "--store", &store]).ok();
    dir.run(&["audit", "--store", "sqlite:saved.db"]).ok();
    dir.run(&["monolith", "--listen", "127.0.0.1:0", "--store", &store]).failed(1, &["shop.db", "Read-only"]);
}

#[test]
fn a_full_disk_is_said_at_the_start() {
    let dir = Dir::new();
    let Some(disk) = SmallDisk::mount(dir.path("small")) else { return };
    let at = |name: &str| format!("sqlite:{}", disk.path().join(name).display());
    let server = dir.serve(&["monolith", "--store", &at("shop.db")]);
    assert_eq!(server.stop(), Some(0));
    // An index that is not finished yet is thrown away at the next start, and makes room.
    drop(fs::remove_dir_all(disk.path().join("shop.db.search")));
    disk.fill();
    for name in ["shop.db", "new.db"] {
        let refused = dir.run(&["monolith", "--listen", "127.0.0.1:0", "--store", &at(name)]);
        refused.failed(1, &[name, "the disk is full", "make room"]);
    }
    disk.empty();
    let server = dir.serve(&["monolith", "--store", &at("shop.db")]);
    dir.run(&["buy", "3", "--server", &server.url]).ok();
}
