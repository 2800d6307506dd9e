//! How servers stop and start again without a client noticing, and which clients they answer at all.

use crate::support::{Dir, Server, TIMEOUT, bookstore};
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

/// A connection that is kept.
struct Kept(TcpStream);

impl Kept {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self(stream)
    }

    /// The whole answer to a request for the first book. Fails if the connection ends before or within it.
    fn ask(&mut self) -> String {
        self.0.write_all(b"GET /info/1 HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the connection is open");
        let mut answer = String::new();
        loop {
            let mut buffer = [0; 4096];
            let length = self.0.read(&mut buffer).expect("no reset");
            assert_ne!(length, 0, "cut off after {answer:?}");
            answer.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return answer;
            }
        }
    }

    /// Asks until the server says that this was the last answer; then it closes, in order.
    fn ask_until_last(mut self) {
        let until = Instant::now() + TIMEOUT;
        while !self.ask().contains("connection: close") {
            assert!(Instant::now() < until, "no answer is the last one");
        }
        assert_eq!(self.0.read(&mut [0]).expect("no reset"), 0);
    }
}

#[test]
fn kept_connections_are_not_cut_off_by_a_stop() {
    let dir = Dir::new();
    let server = dir.serve(&["monolith", "--grace", "3600"]);
    server.ready();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let mut client = Kept::open(server.address());
            client.ask();
            thread::spawn(move || client.ask_until_last())
        })
        .collect();
    let mut idle = Kept::open(server.address());
    idle.ask();
    server.signal("TERM");
    clients.into_iter().for_each(|client| client.join().unwrap());
    let not_ready = server.get("/readyz");
    assert!(not_ready.starts_with("HTTP/1.1 503") && not_ready.contains("draining"), "{not_ready}");
    assert!(server.get("/info/1").starts_with("HTTP/1.1 200"), "new clients are served, too");
    idle.ask_until_last();
    // The second signal ends the grace, not the process.
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_terminal_that_is_closed_stops_a_server_in_order() {
    let dir = Dir::new();
    let mut server = dir.monolith();
    server.ready();
    server.signal("HUP");
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().contains("letting running requests end"), "{}", server.log());
}

#[test]
fn a_developer_does_not_wait_for_the_grace() {
    let dir = Dir::new();
    let mut server = dir.serve(&["monolith", "--grace", "3600"]);
    server.ready();
    server.signal("INT");
    assert_eq!(server.wait(), Some(0));
}

/// As systemd does: a program that listens, and starts the server with its socket as descriptor 3.
fn start_with_socket(dir: &Dir, listener: &TcpListener, args: &str) -> Server {
    let mut command = Command::new("sh");
    let server = bookstore(&[]);
    let start = format!(
        "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {} {args}",
        server.get_program().to_str().unwrap()
    );
    command.args(["-c", &start]).current_dir(dir.path("."));
    let socket: std::os::fd::OwnedFd = listener.try_clone().unwrap().into();
    Server::spawn(command.stdin(Stdio::from(socket)), &dir.path("."), Vec::new())
}

#[test]
fn a_restart_refuses_nobody_if_the_socket_stays_open() {
    let dir = Dir::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let args = "monolith --grace 1";
    let mut server = start_with_socket(&dir, &listener, args);
    assert_eq!(server.address(), address, "--listen does not count");
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (done, address) = (Arc::clone(&done), address.clone());
            thread::spawn(move || {
                let mut answers = 0;
                while !done.load(Ordering::Relaxed) {
                    // A single try, on a connection of its own.
                    assert!(Kept::open(&address).ask().starts_with("HTTP/1.1 200"));
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for _ in 0..2 {
        assert_eq!(server.stop(), Some(0));
        server = start_with_socket(&dir, &listener, args);
        server.ready();
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.join().expect("no try failed") > 0);
    }
}

#[test]
fn only_names_of_this_machine_and_configured_ones_are_answered_to() {
    let dir = Dir::new();
    let status = |server: &Server, host: &str| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer["HTTP/1.1 ".len()..][..3].parse::<u16>().unwrap(), answer)
    };
    let catalog = dir.serve(&["catalog", "--store", "memory:"]);
    for good in [catalog.address(), "localhost", "localhost:1", "127.0.0.1", "[::1]:80"] {
        assert_eq!(status(&catalog, good).0, 200, "{good}");
    }
    let (refused, answer) = status(&catalog, "rebound.example");
    assert!(refused == 421 && answer.contains("--host adds a name"), "{answer}");
    let named = dir.serve(&["monolith", "--store", "memory:", "--host", "shop.example,www.shop.example"]);
    for good in ["shop.example", "WWW.shop.example:443", "localhost"] {
        assert_eq!(status(&named, good).0, 200, "{good}");
    }
    assert_eq!(status(&named, "rebound.example").0, 421);
    for bad in ["shop.example:80", "http://shop.example", "a b", ""] {
        dir.run(&["monolith", "--listen", "127.0.0.1:0", "--host", bad]).failed(2, &["--host"]);
    }
}

#[test]
fn inner_servers_are_not_open_to_other_machines_without_a_token() {
    let dir = Dir::new();
    let open = ["--listen", "0.0.0.0:0", "--insecure"];
    let says = ["--server-token-file", "/dev/urandom"];
    dir.run(&[&["catalog"], &open[..]].concat()).failed(2, &says);
    dir.run(&[&["order", "--catalog", "http://127.0.0.1:1"], &open[..]].concat()).failed(2, &says);
    assert!(!dir.path("catalog.db").exists() && !dir.path("orders.db").exists());
    let with_token = [&["catalog", "--store", "memory:", "--server-token-file", "server.token"], &open[..]].concat();
    let server = Server::start(&dir.path("."), &with_token);
    assert!(server.url.starts_with("http://0.0.0.0:"));
}
