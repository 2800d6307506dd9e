//! The load generator as a process of its own, so that it can be kept to one processor.

use bookstore_benches::{
    Result,
    load_generator::{LoadGenerator, Tally, Workload},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

/// What a load generator is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) workload: Workload,
    /// Requests a second in an open loop; `None` is a closed loop.
    pub(crate) per_second: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

impl Load {
    /// Runs it in a process on this processor.
    pub(crate) fn on_processor(&self, processor: usize) -> Result<Tally> {
        let own = std::env::current_exe()?;
        let mut command = Command::new("taskset");
        command.args(["-c", &processor.to_string()]).arg(own).args(["--load", &serde_json::to_string(self)?]);
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("the load generator failed".into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Runs a [`Load`] in JSON, and prints its tally as JSON.
pub(crate) fn run(load: &str) -> Result<()> {
    let Load { server, connections, workload, per_second, warm_up, time } = serde_json::from_str(load)?;
    let mut generator = LoadGenerator::connect(server, connections, 1, workload)?;
    let tally = match per_second {
        Some(per_second) => generator.run_at(per_second, warm_up, time),
        None => generator.run_for(warm_up, time),
    };
    println!("{}", serde_json::to_string(&tally)?);
    Ok(())
}
