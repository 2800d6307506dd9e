//! The app's journal: a line for each checkout that began, and one for each that ended. Each is on the disk before anything else happens.

use bookstore::core::OrderId;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use super::{Checkout, Ended};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Began(Checkout),
    Ended(OrderId, Ended),
}

pub(crate) struct Journal(File);

impl Journal {
    /// Opens the journal, and returns the checkouts that have not ended, and how the others did.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Checkout>, HashMap<OrderId, Ended>)> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let (mut open, mut ended) = (Vec::new(), HashMap::new());
        // A line that a crash cut off was never acted upon.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        for line in whole.lines() {
            match serde_json::from_str(line)? {
                Line::Began(checkout) => open.push(checkout),
                Line::Ended(order, how) => drop(ended.insert(order, how)),
            }
        }
        open.retain(|checkout| !ended.contains_key(&checkout.order));
        let file = File::options().create(true).append(true).open(path)?;
        file.set_len(whole.len() as u64)?;
        Ok((Self(file), open, ended))
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.0.write_all(text.as_bytes())?;
        self.0.sync_data()
    }

    pub(crate) fn begin(&mut self, checkout: &Checkout) -> io::Result<()> {
        self.append(&Line::Began(checkout.clone()))
    }

    pub(crate) fn end(&mut self, order: OrderId, how: Ended) -> io::Result<()> {
        self.append(&Line::Ended(order, how))
    }
}
