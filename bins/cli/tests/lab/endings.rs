//! How a lab ends that does not come to its end.

use bookstore_cli::lab::{Lab as Library, Plan};
use std::process::Command;

use crate::support::{Dir, Lab, alone, is_empty_dir};

/// A lab with servers running.
fn in_the_middle(dir: &Dir) -> Lab {
    let mut lab = Lab::start(dir.lab(&["--quick"]));
    // On a busy machine it does not tell of every step.
    lab.until(&["one process: ", "three servers: ", "five servers: "]);
    if let Some(processes) = dir.processes() {
        assert!(!processes.is_empty(), "no server is found: then none that is left would be, either");
    }
    lab
}

#[test]
fn an_interrupted_lab_leaves_nothing_behind() {
    let _alone = alone();
    for signal in ["-INT", "-TERM"] {
        let dir = Dir::new();
        let lab = in_the_middle(&dir);
        lab.signal(signal);
        let (status, said) = lab.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(said.contains("Stopped."), "{said}");
        dir.no_process_is_left();
        assert!(is_empty_dir(&dir.stores()), "{:?}", dir.stores_left());
        assert!(!dir.path("lab.html").exists(), "an empty report is left");
    }
}

#[test]
fn servers_do_not_outlive_a_killed_lab() {
    let _alone = alone();
    let dir = Dir::new();
    let lab = in_the_middle(&dir);
    lab.signal("-KILL");
    let (status, said) = lab.end();
    assert_eq!(status.code(), None, "{said}");
    dir.no_process_is_left();
}

#[test]
fn wrong_flags_are_refused_before_anything_is_started() {
    let dir = Dir::new();
    let refused = |args: &[&str], code: i32, says: &str| {
        let ended = dir.lab(args).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
    };
    refused(&["--quikc"], 2, "--quick");
    refused(&["--seed", "x"], 2, "--seed");
    refused(&["--report", "no/such/directory/lab.html"], 2, "--report no/such/directory/lab.html");
    let mut nowhere = Command::new(env!("CARGO_BIN_EXE_bookstore"));
    nowhere.args(["lab", "--directory", "no/such/directory"]).current_dir(dir.path(""));
    let ended = nowhere.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("choose another place with --directory"), "{said}");
    assert!(!dir.path("lab.html").exists(), "an empty report is left");
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_cannot_start_is_told_with_its_last_words() {
    let dir = Dir::new();
    let lab = Library {
        executable: crate::support::failing(&dir),
        plan: Plan::quick(),
        directory: Some(dir.stores()),
        seed: 1,
    };
    let error = lab.run(&|_| ()).await.unwrap_err().to_string();
    for part in ["the shop: did not start (exit status: 3)", "The last lines from the shop:", "no luck today"] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    let lab = Library { executable: dir.path("missing"), ..lab };
    let error = lab.run(&|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("missing cannot be started"), "{error}");
    assert!(is_empty_dir(&dir.stores()), "{:?}", dir.stores_left());
}
