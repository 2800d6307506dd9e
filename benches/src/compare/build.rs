//! The executables of one side, and how they are built.

use bookstore_benches::{
    Result, cargo,
    server_process::{remove_settings, store_url},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The executables of one side.
#[derive(Debug)]
pub(crate) struct Build {
    /// What they were built from.
    pub(crate) source: String,
    pub(crate) bookstore: PathBuf,
    pub(crate) worker: PathBuf,
}

const WORKER: &str = "purchase_worker";
/// This tree's source of the worker, which is compiled in both trees.
const WORKER_SOURCE: &str = include_str!("../bin/purchase_worker.rs");
/// This tree.
const TREE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

impl Build {
    /// The executables in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let [bookstore, worker] =
            ["bookstore", WORKER].map(|name| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
        if !bookstore.exists() {
            return Err(format!("there is no {}", bookstore.display()).into());
        }
        Ok(Self { source: folder.display().to_string(), bookstore, worker })
    }

    /// Makes a store with the books of a file.
    pub(crate) fn import(&self, books: &Path, store: &Path) -> Result<()> {
        let mut command = Command::new(&self.bookstore);
        command.arg("import").arg(books).args(["--store", &store_url(store)]);
        remove_settings(&mut command);
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }
}

/// Builds this tree, in the target folder that this executable is in.
pub(crate) fn this_tree() -> Result<Build> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("the executable is nowhere")?;
    cargo_build(Path::new(TREE), target, &["bookstore-cli", "bookstore-benches"], &[])?;
    let build = Build::in_folder(&target.join("release"))?;
    Ok(Build { source: "this tree".into(), ..build })
}

/// Builds a commit in a checkout below `folder`, with this tree's profiles.
pub(crate) fn commit(commit: &str, folder: &Path) -> Result<Build> {
    let hash = Command::new("git")
        .args(["rev-parse", "--verify", "--short=10", &format!("{commit}^{{commit}}")])
        .current_dir(TREE)
        .output()?;
    if !hash.status.success() {
        return Err(format!("this repository has no commit {commit}").into());
    }
    let hash = String::from_utf8(hash.stdout)?.trim().to_owned();
    let tree = folder.join(&hash);
    if !tree.exists() {
        let quiet = ["--quiet", "--shared", "--no-checkout"];
        cargo::run(Command::new("git").arg("clone").args(quiet).arg(TREE).arg(&tree))?;
    }
    cargo::run(Command::new("git").args(["checkout", "--quiet", "--detach", &hash]).current_dir(&tree))?;
    let profiles = folder.join("profiles.toml");
    fs::write(&profiles, profiles_of(&fs::read_to_string(Path::new(TREE).join("Cargo.toml"))?))?;
    // Until the packages were split, one package had the library and the executable.
    let (sources, packages): (_, &[&str]) = match tree.join("bins/Cargo.toml").exists() {
        true => ("bins/src/bin", &["bookstore"]),
        false => ("benches/src/bin", &["bookstore-cli", "bookstore-benches"]),
    };
    fs::create_dir_all(tree.join(sources))?;
    fs::write(tree.join(sources).join(format!("{WORKER}.rs")), WORKER_SOURCE)?;
    let target = tree.join("target");
    cargo_build(&tree, &target, packages, &["--config", &profiles.to_string_lossy()])?;
    let build = Build::in_folder(&target.join("release"))?;
    Ok(Build { source: format!("commit {hash}"), ..build })
}

fn cargo_build(tree: &Path, target: &Path, packages: &[&str], more: &[&str]) -> Result<()> {
    let target = target.to_string_lossy();
    let mut args = vec!["--release", "--bin", "bookstore", "--bin", WORKER, "--target-dir", &target];
    args.extend(packages.iter().flat_map(|package| ["--package", package]));
    args.extend(more);
    cargo::build(tree, &args)
}

/// The profiles of a manifest, as a file for cargo's `--config`.
fn profiles_of(manifest: &str) -> String {
    let mut is_profile = false;
    let keep = |line: &&str| {
        if line.starts_with('[') {
            is_profile = line.starts_with("[profile.");
        }
        is_profile
    };
    manifest.lines().filter(keep).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_profiles_of_a_manifest_are_taken() {
        let manifest =
            "[workspace]\nmembers = []\n[profile.release]\nstrip = true\n\n[profile.dev]\ndebug = 1\n[lints]\nx = 1\n";
        assert_eq!(profiles_of(manifest), "[profile.release]\nstrip = true\n\n[profile.dev]\ndebug = 1\n");
    }
}
