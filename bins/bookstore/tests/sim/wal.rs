//! As much of SQLite's write-ahead log as it takes to know where it ends.

use rand::{RngExt as _, rngs::StdRng};
use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// Up to where a log is valid: it starts over with a new salt after a checkpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    salt: [u8; 8],
    pub(crate) end: usize,
}

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const SECTOR: usize = 512;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_be_bytes)
}

fn salt_at(bytes: &[u8], at: usize) -> [u8; 8] {
    bytes[at..at + 8].try_into().unwrap_or_default()
}

/// Where the log in `path` ends, found from a place where it did not end before.
pub(crate) fn end(path: &Path, from: Mark) -> Mark {
    scan(path, from).unwrap_or_default()
}

fn scan(path: &Path, from: Mark) -> Option<Mark> {
    let mut file = File::open(path).ok()?;
    let mut header = [0; HEADER];
    file.read_exact(&mut header).ok()?;
    let (salt, page) = (salt_at(&header, 16), u32_at(&header, 8) as usize);
    // A torn end may stand where a whole frame does not.
    let whole = from.end.saturating_sub(HEADER) / (FRAME_HEADER + page) * (FRAME_HEADER + page);
    let mut end = HEADER + if salt == from.salt { whole } else { 0 };
    let mut frame = [0; FRAME_HEADER];
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
    while end + FRAME_HEADER + page <= length {
        file.seek(SeekFrom::Start(end as u64)).ok()?;
        if file.read_exact(&mut frame).is_err() || salt_at(&frame, 8) != salt {
            break;
        }
        end += FRAME_HEADER + page;
    }
    Some(Mark { salt, end })
}

/// All of a log.
pub(crate) fn all_of(log: &[u8]) -> Mark {
    if log.len() < HEADER { Mark::default() } else { Mark { salt: salt_at(log, 16), end: log.len() } }
}

/// How much of this log is durable, if it was up to `mark`. The header of a log that started over is synced by SQLite.
pub(crate) fn durable(log: &[u8], mark: Mark) -> usize {
    match log.len() {
        0..HEADER => 0,
        _ if salt_at(log, 16) == mark.salt => mark.end.min(log.len()),
        _ => HEADER,
    }
}

/// What a power cut does to everything behind `durable`. Says whether sectors were torn.
pub(crate) fn tear(log: &mut Vec<u8>, durable: usize, rng: &mut StdRng) -> bool {
    if durable >= log.len() {
        return false;
    }
    match rng.random_range(0..4) {
        0 => log.truncate(durable),
        1 => {}
        2 => log.truncate(rng.random_range(durable..=log.len())),
        _ => {
            tear_sectors(log, durable, rng);
            return true;
        }
    }
    false
}

fn tear_sectors(log: &mut [u8], durable: usize, rng: &mut StdRng) {
    let mut at = durable;
    while at < log.len() {
        let next = (at / SECTOR + 1) * SECTOR;
        let sector = at..next.min(log.len());
        match rng.random_range(0..4) {
            0 => log[sector].fill(0),
            1 => log[sector].iter_mut().for_each(|byte| *byte = rng.random()),
            _ => {}
        }
        at = next;
    }
}
