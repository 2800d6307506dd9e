//! The catalog's disk: a small one in memory, which can be filled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::hosts::run;

/// Where the catalog keeps its ledger.
pub(crate) struct Disk {
    path: PathBuf,
    is_small: bool,
    bytes: usize,
}

impl Disk {
    /// Mounts a disk for a run of so many seconds; without permission it is a plain folder that never fills up.
    pub(crate) fn mount(path: PathBuf, seconds: u64) -> Self {
        fs::create_dir(&path).expect("the folder can be written to");
        let bytes = (48 << 20) + (usize::try_from(seconds).expect("a run of some hours") << 18);
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "bookstore-blackbox"]).arg(&path);
        let mounted = run(&mut mount, "");
        if let Err(why) = &mounted {
            println!("a small disk cannot be mounted ({why}): the disk does not fill up");
            assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "this test needs a small disk: {why}");
        }
        Self { path, is_small: mounted.is_ok(), bytes }
    }

    pub(crate) fn can_be_filled(&self) -> bool {
        self.is_small
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the room there is.
    pub(crate) fn fill(&self) {
        // Written until nothing more goes; an error is just what this is for.
        let filled = fs::write(self.filler(), vec![1; self.bytes]);
        assert!(filled.is_err(), "the disk is larger than it should be");
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_small {
            let unmounted = run(Command::new("umount").arg("--lazy").arg(&self.path), "");
            assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
        }
    }
}
