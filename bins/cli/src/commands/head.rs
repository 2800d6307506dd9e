//! `bookstore head`: what a ledger is up to an entry, in 32 bytes, signed so that nobody can say something else later.

use bookstore_core::{OrderId, Seq, audit::recompute, history::Hash, service::LedgerFeed};
use ed25519_dalek::{
    Signature, Signer as _, SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, process::ExitCode, time::Duration};
use uuid::Uuid;

use super::{
    Failure, REFUSED, feeds,
    output::{Card, print, print_json},
    progress::Progress,
};
use crate::{cli::HeadArgs, config};
use bookstore_cli::load::grouped;

/// A ledger up to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    ledger: Uuid,
    /// The timeline under which the entry is in the ledger.
    timeline: Uuid,
    seq: Seq,
    hash: Hash,
    /// Ed25519 over [`Head::signed`], in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl Head {
    /// Reads it from a ledger: up to `at` or, without it, to the ledger's last entry.
    async fn of(ledger: &dyn LedgerFeed, at: Option<Seq>) -> Result<Self, Failure> {
        let end = ledger.page(Seq(u64::MAX), 1).await?;
        let seq = at.unwrap_or(end.head);
        if seq > end.head {
            return Err(Failure::Failed(format!("the ledger ends at entry {}, before {seq}", end.head)));
        }
        let hash = ledger.page(seq, 1).await?.before.unwrap_or(end.after);
        let timelines = end.identity.timelines.iter().rev();
        let timeline =
            timelines.filter(|timeline| timeline.begins_at <= seq.max(Seq(1))).map(|timeline| timeline.id).next();
        Ok(Self { ledger: end.identity.ledger, timeline: timeline.unwrap_or_default(), seq, hash, signature: None })
    }

    /// The text that is signed. It never changes.
    fn signed(&self) -> String {
        let Self { ledger, timeline, seq, hash, signature: _ } = self;
        format!("bookstore head\nledger {ledger}\ntimeline {timeline}\nseq {seq}\nhash {hash}\n")
    }

    fn sign(&mut self, key: &SigningKey) {
        let signature = key.sign(self.signed().as_bytes()).to_bytes();
        self.signature = Some(signature.iter().map(|byte| format!("{byte:02x}")).collect());
    }

    fn check_signature(&self, key: &VerifyingKey) -> Result<(), Failure> {
        let wrong = || Failure::Failed("the signature is not one of this key over this head".into());
        let signature = self.signature.as_deref().ok_or_else(|| Failure::Failed("the head is not signed".into()))?;
        let signature = signature.parse::<Signature>().map_err(|_| wrong())?;
        key.verify_strict(self.signed().as_bytes(), &signature).map_err(|_| wrong())
    }

    fn print(&self) {
        let mut card = Card::new(&format!("Entry {}", grouped(self.seq.0)));
        card.line("Ledger", self.ledger);
        card.line("Timeline", self.timeline);
        card.line("Hash", self.hash);
        if let Some(signature) = &self.signature {
            card.line("Signature", signature);
        }
        print(&card.text);
    }
}

/// Runs the command.
pub(super) async fn run(args: &HeadArgs) -> Result<ExitCode, Failure> {
    let token = config::server_token(args.server_token_file.as_deref())?;
    let ledger = feeds::open_beside(&config::feed("--store", &args.store)?, token.as_ref())?;
    if let Some(file) = &args.verify {
        return verify(file, ledger.as_ref(), args).await;
    }
    let key = args.sign.as_deref().map(signing_key).transpose()?;
    let mut head = Head::of(ledger.as_ref(), args.at.map(Seq)).await?;
    if let Some(key) = key {
        head.sign(&key);
    }
    if args.json || head.signature.is_some() {
        print_json(&head);
    } else {
        head.print();
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks a signed head, and that the ledger is still what it says.
async fn verify(file: &Path, ledger: &dyn LedgerFeed, args: &HeadArgs) -> Result<ExitCode, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--verify {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let head: Head = serde_json::from_str(&text).map_err(|error| wrong(format!("is no head: {error}")))?;
    let Some(key) = &args.key else { return Err(Failure::Usage("--verify needs --key with the public key".into())) };
    head.check_signature(&verifying_key(key)?)?;
    let end = ledger.page(Seq(0), 1).await?;
    if end.identity.ledger != head.ledger {
        return Ok(refused(&format!("The head is of ledger {}, this is ledger {}.", head.ledger, end.identity.ledger)));
    }
    let mut bought = None;
    let progress = Progress::start(Duration::from_secs(5));
    let hash = recompute(ledger, head.seq, |entry| {
        if entry.key.is_some() && entry.key == args.order {
            bought.get_or_insert(entry.seq);
        }
        if entry.seq.0 % 1000 == 0 {
            let (at, of) = (entry.seq.0, head.seq.0);
            progress.update(at, of, "check", &format!("{} of {}", grouped(at), grouped(of)));
        }
    });
    let hash = hash.await?;
    progress.clear();
    match hash {
        None => Ok(refused(&format!(
            "The ledger ends before entry {}: it has lost entries that it had when the head was signed.",
            head.seq
        ))),
        Some(hash) if hash != head.hash => Ok(refused(&format!(
            "The ledger has other entries up to {} than when the head was signed: its history was changed.",
            head.seq
        ))),
        Some(_) => Ok(confirmed(&head, args.order, bought)),
    }
}

fn confirmed(head: &Head, order: Option<OrderId>, bought: Option<Seq>) -> ExitCode {
    print(&format!("The ledger has the same {} entries as when the head was signed.", grouped(head.seq.0)));
    match (order, bought) {
        (None, _) => ExitCode::SUCCESS,
        (Some(order), Some(seq)) => {
            print(&format!("Order {order} is entry {seq} of them."));
            ExitCode::SUCCESS
        }
        (Some(order), None) => refused(&format!("Order {order} is not among them.")),
    }
}

fn refused(why: &str) -> ExitCode {
    print(why);
    REFUSED
}

const MAKE: &str = "make one with\n  (umask 077; openssl genpkey -algorithm ed25519 -out head.key) && openssl pkey -in head.key -pubout -out head.pub";

fn signing_key(file: &Path) -> Result<SigningKey, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--sign {}: {why}; {MAKE}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    SigningKey::from_pkcs8_pem(&text).map_err(|_| wrong("is no Ed25519 private key in PEM (PKCS#8)".into()))
}

fn verifying_key(file: &Path) -> Result<VerifyingKey, Failure> {
    let wrong = |why: String| Failure::Usage(format!("--key {}: {why}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    VerifyingKey::from_public_key_pem(&text).map_err(|_| wrong("is no Ed25519 public key in PEM".into()))
}
