//! A receiver of webhooks, as its author would write it without this project: it checks signatures and keeps what it got.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use crate::support::TIMEOUT;

/// A request that was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) body: Value,
    text: String,
}

impl Received {
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub(crate) fn seq(&self) -> u64 {
        self.body["data"]["seq"].as_u64().unwrap()
    }
}

/// What it does with the request with this number, from 1.
pub(crate) type Behaviour = fn(usize) -> Answer;

/// One answer.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Keeps it and says so.
    Takes,
    /// Keeps it, and the answer is lost.
    TakesAndHangsUp,
    /// Does not keep it.
    Refuses(u16),
}

struct Shared {
    secret: Vec<u8>,
    behaviour: Behaviour,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: usize,
    received: Vec<Received>,
}

/// Listens until the test ends.
pub(crate) struct Receiver {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Whoever has this secret, `whsec_…`, may send.
    pub(crate) fn start(secret: &str, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hooks?shop=1", listener.local_addr().unwrap());
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let shared = Arc::new(Shared { secret, behaviour, state: Mutex::default(), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { url, shared }
    }

    /// Waits until this holds of what was received; returns all of it.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let until = Instant::now() + TIMEOUT;
        let mut state = self.shared.state.lock().unwrap();
        while !holds(&state.received) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what}: {:?}", state.received.last());
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        state.received.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.state.lock().unwrap().received.len()
    }

    /// Waits until there were so many requests, taken or not.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) =
            self.shared.changed.wait_timeout_while(state, TIMEOUT, |state| state.requests < count).unwrap();
        assert!(state.requests >= count);
    }
}

impl Shared {
    /// Answers requests of one connection until it ends.
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((head, body)) = read(&mut reader) {
            let received = self.check(&head, &body);
            let mut state = self.state.lock().unwrap();
            state.requests += 1;
            let answer = (self.behaviour)(state.requests);
            if !matches!(answer, Answer::Refuses(_)) {
                state.received.push(received);
            }
            self.changed.notify_all();
            drop(state);
            let status = match answer {
                Answer::Takes => 204,
                Answer::TakesAndHangsUp => return,
                Answer::Refuses(status) => status,
            };
            // In one piece: otherwise each answer would wait for a delayed acknowledgement.
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            if (&*stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// What a receiver checks.
    fn check(&self, head: &str, body: &[u8]) -> Received {
        assert!(head.starts_with("POST /hooks?shop=1 HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(head, "content-type"), "application/json");
        let (id, time) = (field(head, "webhook-id"), field(head, "webhook-timestamp"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(time.parse::<u64>().unwrap().abs_diff(now) <= 300, "{head}");
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.secret).unwrap();
        hmac.update(format!("{id}.{time}.").as_bytes());
        hmac.update(body);
        let right = format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()));
        assert!(field(head, "webhook-signature").split(' ').any(|signature| signature == right), "{head}");
        let text = String::from_utf8(body.to_vec()).unwrap();
        Received { id: id.to_owned(), body: serde_json::from_str(&text).unwrap(), text }
    }
}

/// One request; none if the connection ended before its end.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut body = vec![0; field(&head, "content-length").parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    found.next().unwrap_or_else(|| panic!("{name} is missing in {head}")).1
}

/// What is left if ids that were seen are ignored, as receivers do. What comes again is what came before.
pub(crate) fn without_repetitions(received: &[Received]) -> Vec<Received> {
    let mut seen: Vec<Received> = Vec::new();
    for one in received {
        match seen.iter().rev().find(|other| other.id == one.id) {
            Some(first) => assert_eq!(first.text, one.text),
            None => seen.push(one.clone()),
        }
    }
    seen
}
