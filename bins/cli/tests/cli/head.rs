//! Signed heads: what they prove, to whom.

use ed25519_dalek::{
    SigningKey, pkcs8::EncodePrivateKey as _, pkcs8::EncodePublicKey as _, pkcs8::spki::der::pem::LineEnding,
};
use std::fs;

use crate::support::{Dir, Ended};

const STORE: [&str; 2] = ["--store", "sqlite:bookstore.db"];

fn shop() -> Dir {
    let dir = Dir::new();
    for (name, seed) in [("head", 7), ("other", 8)] {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let private = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        dir.write_secret(&format!("{name}.key"), &private);
        dir.write(&format!("{name}.pub"), key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap());
    }
    dir
}

fn sign(dir: &Dir, file: &str, more: &[&str]) -> serde_json::Value {
    let signed = dir.run(&[&["head", "--sign", "head.key"], more].concat()).ok();
    dir.write(file, &signed.out);
    signed.json()
}

fn verify(dir: &Dir, more: &[&str]) -> Ended {
    dir.run(&[&["head", "--verify", "head.json", "--key", "head.pub"], more].concat())
}

fn buy(dir: &Dir, server: &str) -> String {
    let bought = dir.run(&["buy", "3", "--json", "--server", server]).ok();
    bought.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_signed_head_proves_that_an_order_was_in_the_ledger() {
    let dir = shop();
    let server = dir.serve(&["monolith"]);
    let order = buy(&dir, &server.url);
    // Beside the server that writes the file.
    let head = sign(&dir, "head.json", &STORE);
    let later = buy(&dir, &server.url);
    let out = verify(&dir, &["--order", &order]).ok().out;
    let seq = head["seq"].as_u64().unwrap();
    assert!(out.contains("the same") && out.contains(&format!("is entry {seq}")), "{out}");
    let refused = verify(&dir, &["--order", &later]);
    assert!(refused.code == Some(1) && refused.out.contains("is not among them"), "{refused:#?}");

    dir.run(&["head", "--verify", "head.json", "--key", "other.pub"]).failed(1, &["not one of this key"]);
    dir.run(&["head", "--verify", "head.json"]).failed(2, &["--key"]);
    dir.write("head.json", head.to_string().replace(&format!("\"seq\":{seq}"), &format!("\"seq\":{}", seq - 1)));
    verify(&dir, &[]).failed(1, &["not one of this key"]);
    dir.run(&["head", "--sign", "missing.key"]).failed(2, &["openssl genpkey"]);
}

#[test]
fn a_signed_head_proves_that_the_history_was_changed() {
    let dir = shop();
    let mut server = dir.serve(&["monolith"]);
    dir.run(&["backup", "backup.db"]).ok();
    buy(&dir, &server.url);
    sign(&dir, "head.json", &STORE);
    let shown = dir.run(&["head"]).ok().out;
    assert!(shown.contains("Timeline") && shown.contains("Hash"), "{shown}");
    server.kill();
    drop(server);

    dir.run(&["restore", "backup.db", "--replace"]).ok();
    let other = verify(&dir, &[]);
    assert!(other.code == Some(1) && other.out.contains("its history was changed"), "{other:#?}");
    // The backup itself ends before.
    let short = dir.run(&["head", "--verify", "head.json", "--key", "head.pub", "--store", "sqlite:backup.db"]);
    assert!(short.code == Some(1) && short.out.contains("it has lost entries"), "{short:#?}");
}

#[test]
fn a_server_shows_its_head() {
    let dir = shop();
    let token = ["--server-token-file", "server.token"];
    let catalog = dir.serve(&[&["catalog", "--sample"], &token[..]].concat());
    let store = ["--store", catalog.url.as_str()];
    let head = sign(&dir, "head.json", &[&store[..], &token].concat());
    assert!(verify(&dir, &[&store[..], &token].concat()).ok().out.contains("the same"));
    let first = dir.run(&[&["head", "--at", "1", "--json"], &store[..], &token].concat()).ok().json();
    assert!(first["ledger"] == head["ledger"] && first["hash"] != head["hash"], "{first} {head}");
    dir.run(&[&["head", "--at", "99999999"], &store[..], &token].concat()).failed(1, &["ends at entry"]);
    assert!(fs::read_to_string(dir.path("head.json")).unwrap().contains("signature"));
}
