//! The machines of a run: network namespaces joined by a bridge, each with its own address and with threads of this test in
//! it; or, where these are not permitted, the loopback of this machine.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    process::{Command, Output, Stdio},
};
use tokio::runtime::{Builder, Handle, Runtime};

/// One machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Catalog,
    Order1,
    Order2,
    Frontend1,
    Frontend2,
    Client,
    /// Where a catalog is started after the first one's disk is lost.
    Spare,
}

impl Host {
    pub(crate) const ALL: [Self; 7] =
        [Self::Catalog, Self::Order1, Self::Order2, Self::Frontend1, Self::Frontend2, Self::Client, Self::Spare];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Order1 => "order-1",
            Self::Order2 => "order-2",
            Self::Frontend1 => "frontend-1",
            Self::Frontend2 => "frontend-2",
            Self::Client => "client",
            Self::Spare => "spare",
        }
    }

    fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, 7, self as u8 + 1)
    }
}

/// Seven machines and the switch between them. Everything is removed when this is dropped.
pub(crate) struct Network {
    /// How the names of its namespaces begin; `None` on the loopback.
    prefix: Option<String>,
    runtimes: Vec<Runtime>,
}

impl Network {
    /// Makes the machines. Says plainly if they can be no more than processes on the loopback, and fails then if
    /// everything must be tested.
    pub(crate) fn new() -> Self {
        let mut network = Self { prefix: Some(format!("bookstore-{}", std::process::id())), runtimes: Vec::new() };
        if let Err(why) = network.connect() {
            println!("network namespaces cannot be used ({why}): runs on the loopback, without packet filters");
            assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "this test needs network namespaces: {why}");
            network.remove();
            network.prefix = None;
        }
        network.runtimes = Host::ALL.into_iter().map(|host| network.threads(host)).collect();
        network
    }

    /// Whether there are packets to filter.
    pub(crate) fn has_filters(&self) -> bool {
        self.prefix.is_some()
    }

    pub(crate) fn address(&self, host: Host) -> IpAddr {
        match self.prefix {
            Some(_) => host.address().into(),
            None => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// Runs tasks on threads that are in the machine's network.
    pub(crate) fn tasks(&self, host: Host) -> &Handle {
        self.runtimes[host as usize].handle()
    }

    /// What starts a program on a machine: the words to put before it.
    pub(crate) fn on(&self, host: Host) -> Vec<String> {
        self.namespace(host.name())
            .map(|name| ["ip", "netns", "exec", &name].map(str::to_owned).to_vec())
            .unwrap_or_default()
    }

    /// Has a machine filter its packets by these rules for input and output, until [`Network::unfilter`].
    pub(crate) fn filter(&self, host: Host, input: &str, output: &str) {
        let chain =
            |hook: &str, rule: &str| format!("chain {hook} {{ type filter hook {hook} priority 0; {rule}\n}}\n");
        let rules = format!("table inet fault {{\n{}{}}}\n", chain("input", input), chain("output", output));
        self.nft(host, &["-f", "-"], &rules);
    }

    /// Ends the filter, and says how many packets it has met.
    pub(crate) fn unfilter(&self, host: Host) -> u64 {
        let counted = self.nft(host, &["list", "table", "inet", "fault"], "");
        self.nft(host, &["delete", "table", "inet", "fault"], "");
        let after = |text: &str| text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        counted.split("counter packets ").skip(1).filter_map(after).sum()
    }

    fn nft(&self, host: Host, args: &[&str], rules: &str) -> String {
        let words = self.on(host);
        let done = run(Command::new(&words[0]).args(&words[1..]).arg("nft").args(args), rules);
        done.unwrap_or_else(|why| panic!("{rules}: {why}"))
    }

    fn namespace(&self, name: &str) -> Option<String> {
        self.prefix.as_ref().map(|prefix| format!("{prefix}-{name}"))
    }

    fn connect(&self) -> Result<(), String> {
        if !cfg!(target_os = "linux") {
            return Err("this is not Linux".into());
        }
        let switch = self.namespace(SWITCH).expect("has a prefix");
        let ip = |words: &str| run(Command::new("ip").args(words.split_whitespace()), "").map(drop);
        ip(&format!("netns add {switch}"))?;
        ip(&format!("-n {switch} link add bridge0 type bridge"))?;
        ip(&format!("-n {switch} link set bridge0 up"))?;
        for host in Host::ALL {
            let (name, port) = (self.namespace(host.name()).expect("has a prefix"), host.name());
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {switch} link add {port} type veth peer name {CARD} netns {name}"))?;
            ip(&format!("-n {switch} link set {port} master bridge0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} addr add {}/24 dev {CARD}", host.address()))?;
            ip(&format!("-n {name} link set {CARD} up"))?;
            ip(&format!("netns exec {name} nft list ruleset"))?;
        }
        Ok(())
    }

    fn remove(&self) {
        let names = Host::ALL.map(Host::name).into_iter().chain([SWITCH]);
        for namespace in names.filter_map(|name| self.namespace(name)) {
            // One that was never made cannot be removed.
            let _ = run(Command::new("ip").args(["netns", "del", &namespace]), "");
        }
    }

    fn threads(&self, host: Host) -> Runtime {
        let namespace = self.namespace(host.name());
        let workers = if host == Host::Client { 2 } else { 1 };
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers).thread_name(host.name()).enable_all();
        builder.on_thread_start(move || namespace.iter().for_each(|name| enter(name)));
        builder.build().expect("threads can be started")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.runtimes.drain(..).for_each(Runtime::shutdown_background);
        self.remove();
    }
}

const SWITCH: &str = "switch";
/// The network card of every machine.
pub(crate) const CARD: &str = "eth0";

#[cfg(target_os = "linux")]
fn enter(namespace: &str) {
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
    use std::os::fd::AsFd as _;
    let file = std::fs::File::open(format!("/run/netns/{namespace}")).expect("the namespace was made");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("whoever made it may enter it");
}

#[cfg(not(target_os = "linux"))]
fn enter(_namespace: &str) {}

/// Runs a command to its end, with a text as its input.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, String> {
    let shown = format!("{command:?}");
    let fail = |error: std::io::Error| format!("{shown}: {error}");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(fail)?;
    // A command that does not read its input is not wrong for that.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().map_err(fail)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    if status.success() { Ok(text(stdout)) } else { Err(format!("{shown}: {}", text(stderr))) }
}
