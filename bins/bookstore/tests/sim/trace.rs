//! What happened, line by line: its hash says whether two runs were the same run.

use std::{fmt, sync::Mutex, time::Duration};

/// The events of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Mutex<u64>,
    print: bool,
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hash: Mutex::new(FNV_OFFSET), print }
    }

    pub(crate) fn line(&self, at: Duration, what: fmt::Arguments<'_>) {
        let line = format!("{:>7} ms  {what}\n", at.as_millis());
        if self.print {
            print!("{line}");
        }
        let mut hash = self.hash.lock().expect("no code panics while it is locked");
        for byte in line.bytes() {
            *hash = (*hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        *self.hash.lock().expect("no code panics while it is locked")
    }
}
