//! The load generator as a process of its own, so that it can be kept to a processor of its own.

use bookstore_benches::crowd::{Ask, Crowd, Tally};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, process::Command, time::Duration};

use super::context::Outcome;

/// What it is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Drive {
    pub(crate) server: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) ask: Ask,
    /// Requests a second; without it, every connection waits for its answer and asks again.
    pub(crate) per_second: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

impl Drive {
    /// Runs it in a process on this processor.
    pub(crate) fn on_processor(&self, processor: usize) -> Outcome<Tally> {
        let own = std::env::current_exe()?;
        let mut command = Command::new("taskset");
        command.args(["-c", &processor.to_string()]).arg(own).args(["--drive", &serde_json::to_string(self)?]);
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("the load generator failed".into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Runs what the JSON says, and prints the tally as JSON.
pub(crate) fn run(drive: &str) -> Outcome<()> {
    let Drive { server, connections, ask, per_second, warm_up, time } = serde_json::from_str(drive)?;
    let mut crowd = Crowd::connect(server, connections, 1, ask)?;
    let tally = match per_second {
        Some(per_second) => crowd.run_at(per_second, warm_up, time),
        None => crowd.run_for(warm_up, time),
    };
    println!("{}", serde_json::to_string(&tally)?);
    Ok(())
}
