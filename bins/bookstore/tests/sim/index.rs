//! The search index beside a simulated catalog's file: what happens to its folder, and how it reads the ledger.
//!
//! The engine needs a real folder. Every start of a catalog gets one of its own, made of the one before as a crash, a power cut or a careless
//! hand may have left it: as it was, as it was some time ago, with files cut off, gone, or with somebody else's file in its place. Now and then
//! it is moved away under the running catalog. The engine has threads of its own: when it writes, merges and removes files is up to them.
//! So nothing here depends on which segments there are, nor on their names, only on what was committed.

use async_trait::async_trait;
use bookstore_core::{
    BookId, Entry, Error, LedgerIdentity, Order, OrderId, Result, Seq, Text, Timestamp,
    contact::{Contact, ContactChange},
    history::Hash,
    page::{CheckedQuery, FoundOrders, OrderScan},
    search::{BookSearch, IndexedOptions, IndexedSearch, Matches},
    store::LedgerReader,
    writer::Execution,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use super::{bugs::Bug, coverage::Seen, hosts::Host, run::expecting_panics, world::Shared};

/// The folder of one machine's index: it outlives the processes that use it.
#[derive(Debug)]
pub(crate) struct IndexFolder {
    dir: PathBuf,
    name: String,
    state: Mutex<FolderState>,
}

#[derive(Debug)]
struct FolderState {
    generation: u32,
    rng: StdRng,
    /// Whether there is an older copy.
    saved: bool,
}

/// What has become of a folder while no process used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Older,
    Torn,
    Lost,
    /// Somebody else's file is in its place.
    Foreign,
}

/// The file that says which segments there are, and how far the index is.
const META: &str = "meta.json";
/// The engine's list of its files.
const MANAGED: &str = ".managed.json";
/// The files that every segment has, by their endings.
const ENDINGS: [&str; 6] = ["term", "idx", "pos", "fast", "store", "fieldnorm"];

impl IndexFolder {
    pub(crate) fn new(dir: &Path, name: &str, seed: u64) -> Self {
        let state = FolderState { generation: 0, rng: StdRng::seed_from_u64(seed), saved: false };
        Self { dir: dir.to_owned(), name: name.to_owned(), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, FolderState> {
        self.state.lock().expect("no code panics while it is locked")
    }

    /// The folder of the running incarnation.
    pub(crate) fn path(&self) -> PathBuf {
        self.path_of(self.lock().generation)
    }

    fn path_of(&self, generation: u32) -> PathBuf {
        self.dir.join(format!("{}-{generation}.search", self.name))
    }

    fn saved(&self) -> PathBuf {
        self.dir.join(format!("{}-older.search", self.name))
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.lock().rng)
    }

    /// Keeps a copy of the index as it is now.
    fn save(&self) -> io::Result<()> {
        let (from, to) = (self.path(), self.saved());
        if !from.join(META).exists() {
            return Ok(());
        }
        copy_index(&from, &to)?;
        self.lock().saved = true;
        Ok(())
    }

    /// Moves the folder away from the process that uses it.
    fn vanish(&self) -> io::Result<()> {
        let path = self.path();
        if path.exists() { fs::rename(&path, path.with_extension("gone")) } else { Ok(()) }
    }

    /// Makes the folder of the next process.
    fn next(&self, world: &Shared) -> io::Result<Fate> {
        let from = self.path();
        self.lock().generation += 1;
        let to = self.path();
        if !from.join(META).exists() {
            return Ok(Fate::Lost);
        }
        match if world.is_healed() { Fate::Kept } else { self.draw(draw_fate) } {
            Fate::Older if self.restore_older(&from, &to, world)? => Ok(Fate::Older),
            Fate::Torn => {
                copy_index(&from, &to)?;
                self.tear(&to)?;
                Ok(Fate::Torn)
            }
            Fate::Lost => Ok(Fate::Lost),
            Fate::Foreign => {
                fs::create_dir(&to)?;
                fs::write(to.join("thesis.txt"), b"years of work")?;
                Ok(Fate::Foreign)
            }
            Fate::Kept | Fate::Older => {
                copy_index(&from, &to)?;
                Ok(Fate::Kept)
            }
        }
    }

    /// Puts the older copy into the place of the index, if it lacks something that the index has.
    fn restore_older(&self, from: &Path, to: &Path, world: &Shared) -> io::Result<bool> {
        if !self.lock().saved || progress(&self.saved())? >= progress(from)? {
            return Ok(false);
        }
        copy_index(&self.saved(), to)?;
        if world.has(Bug::IndexAheadOfTexts) {
            let (mut meta, newer) = (meta(to)?, meta(from)?);
            meta["payload"] = newer["payload"].clone();
            fs::write(to.join(META), meta.to_string())?;
        }
        Ok(true)
    }

    /// Cuts files off: one of the two that say what there is, or all of one kind.
    fn tear(&self, folder: &Path) -> io::Result<()> {
        let (which, part) = self.draw(|rng| (rng.random_range(0..ENDINGS.len() + 2), rng.random_range(0.0..1.0)));
        let segments = segments(folder)?;
        let files: Vec<PathBuf> = match ENDINGS.get(which) {
            Some(ending) if !segments.is_empty() => {
                segments.iter().map(|segment| folder.join(format!("{segment}.{ending}"))).collect()
            }
            Some(_) => vec![folder.join(META)],
            None => vec![folder.join([META, MANAGED][which - ENDINGS.len()])],
        };
        for file in files {
            let bytes = fs::read(&file)?;
            fs::write(&file, &bytes[..share(bytes.len(), part)])?;
        }
        Ok(())
    }
}

fn draw_fate(rng: &mut StdRng) -> Fate {
    match rng.random_range(0..20) {
        0..7 => Fate::Kept,
        7..12 => Fate::Older,
        12..16 => Fate::Torn,
        16..18 => Fate::Lost,
        _ => Fate::Foreign,
    }
}

/// This part of so many bytes, which is less than all of them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small files")]
fn share(bytes: usize, part: f64) -> usize {
    ((bytes as f64 * part) as usize).min(bytes.saturating_sub(1))
}

fn meta(folder: &Path) -> io::Result<serde_json::Value> {
    Ok(serde_json::from_slice(&fs::read(folder.join(META))?)?)
}

/// The last entry whose text the index has.
fn progress(folder: &Path) -> io::Result<u64> {
    let meta = meta(folder)?;
    // Without one, nothing was committed yet.
    let Some(payload) = meta["payload"].as_str() else { return Ok(0) };
    let payload: serde_json::Value = serde_json::from_str(payload)?;
    Ok(payload["seq"].as_u64().unwrap_or_default())
}

/// How the names of the committed segments' files begin.
fn segments(folder: &Path) -> io::Result<Vec<String>> {
    let meta = meta(folder)?;
    let segments = meta["segments"].as_array().into_iter().flatten();
    Ok(segments.filter_map(|segment| Some(segment["segment_id"].as_str()?.replace('-', ""))).collect())
}

/// Copies an index whose files may be merged and removed meanwhile: until a copy has everything of one commit.
fn copy_index(from: &Path, to: &Path) -> io::Result<()> {
    loop {
        let before = fs::read(from.join(META))?;
        if to.exists() {
            fs::remove_dir_all(to)?;
        }
        fs::create_dir(to)?;
        for file in fs::read_dir(from)? {
            let file = file?;
            match fs::copy(file.path(), to.join(file.file_name())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if fs::read(from.join(META))? == before && fs::read(to.join(META))? == before {
            return Ok(());
        }
    }
}

/// The catalog's search, on the index in its folder.
pub(crate) struct SimSearch {
    search: IndexedSearch,
    world: Shared,
    host: Host,
}

impl SimSearch {
    /// Opens the index as it was left.
    pub(crate) fn open(world: &Shared, host: Host, reader: Arc<dyn LedgerReader>) -> Self {
        let folder = world.index_folder(host);
        let fate = folder.next(world).expect("the simulation's own files can be copied");
        world.note(format_args!("{host}: the index is {fate:?}"));
        match fate {
            Fate::Kept => {}
            Fate::Older => world.coverage.saw(Seen::IndexOlder),
            Fate::Torn => world.coverage.saw(Seen::IndexTorn),
            Fate::Lost => world.coverage.saw(Seen::IndexLost),
            Fate::Foreign => world.coverage.saw(Seen::IndexForeign),
        }
        let reader = Arc::new(IndexReader { reader, world: world.clone(), host });
        let wait_for_texts_max = world.plan.wait_for_texts_max;
        let options = IndexedOptions { execution: Execution::Task, wait_for_texts_max };
        let open = || IndexedSearch::open_with(Some(&folder.path()), reader, options);
        // The engine panics on some files that were cut off.
        let search = if fate == Fate::Torn { expecting_panics(open) } else { open() };
        Self { search, world: world.clone(), host }
    }

    /// Begins to take in the texts up to this entry.
    pub(crate) fn begin(&self, head: Seq) {
        self.search.texts_added(head);
    }
}

/// Opens the index once more, at the end, as it is.
pub(crate) fn reopen(world: &Shared, host: Host, reader: Arc<dyn LedgerReader>) -> IndexedSearch {
    let options = IndexedOptions { execution: Execution::Task, ..IndexedOptions::default() };
    let folder = world.index_folder(host);
    folder.next(world).expect("the simulation's own files can be copied");
    IndexedSearch::open_with(Some(&folder.path()), reader, options)
}

#[async_trait]
impl BookSearch for SimSearch {
    async fn matches(&self, query: &CheckedQuery, texts: Seq) -> Result<Matches> {
        let found = self.search.matches(query, texts).await?;
        if let Some(seen) = answered_by(&found) {
            self.world.coverage.saw(seen);
        }
        Ok(found)
    }

    fn texts_added(&self, texts: Seq) {
        let folder = self.world.index_folder(self.host);
        if !self.world.is_healed() {
            let done = match folder.draw(|rng| rng.random_range(0..20)) {
                0..7 => folder.save(),
                7 => {
                    self.world.coverage.saw(Seen::IndexVanished);
                    self.world.note(format_args!("{}: the index is moved away", self.host));
                    folder.vanish()
                }
                _ => Ok(()),
            };
            done.expect("the simulation's own files can be copied");
        }
        self.search.texts_added(texts);
    }
}

/// Whether the index or the store has found these. The index ranks by a negated score, the store from 0 up.
pub(crate) fn answered_by(found: &Matches) -> Option<Seen> {
    let first = found.books.first()?;
    Some(if first.rank < 0.0 { Seen::SearchedIndex } else { Seen::SearchedStore })
}

/// The ledger as the index reads it: that takes time, so a crash may fall between any two steps, and it fails.
struct IndexReader {
    reader: Arc<dyn LedgerReader>,
    world: Shared,
    host: Host,
}

impl IndexReader {
    async fn read(&self) -> Result<()> {
        let (failing, most) = (self.world.plan.failing, self.world.plan.flush_max);
        if self.world.is_healed() {
            return Ok(());
        }
        let (fails, time) = self.world.index_folder(self.host).draw(|rng| {
            let most = u64::try_from(most.as_millis()).unwrap_or(1);
            (rng.random_bool(failing), Duration::from_millis(rng.random_range(0..=most)))
        });
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        if fails {
            self.world.coverage.saw(Seen::IndexReadFailed);
            return Err(Error::unavailable("an injected fault"));
        }
        Ok(())
    }
}

#[async_trait]
impl LedgerReader for IndexReader {
    fn identity(&self) -> &LedgerIdentity {
        self.reader.identity()
    }

    async fn hash(&self, at: Seq) -> Result<Hash> {
        self.read().await?;
        // The bug: whatever history an index has, it looks like this one.
        if self.world.has(Bug::IndexNotCompared) {
            return Ok(Hash::EMPTY);
        }
        self.reader.hash(at).await
    }

    async fn text(&self, book: BookId, version: Seq) -> Result<Option<Text>> {
        self.reader.text(book, version).await
    }

    async fn entries(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.reader.entries(after, head, limit).await
    }

    async fn texts(&self, after: Seq, head: Seq, limit: usize) -> Result<Vec<Entry>> {
        self.read().await?;
        self.reader.texts(after, head, limit).await
    }

    async fn batch_ends(&self, after: Seq, to: Seq) -> Result<Vec<Seq>> {
        self.reader.batch_ends(after, to).await
    }

    async fn order(&self, id: OrderId, head: Seq) -> Result<Option<Order>> {
        self.reader.order(id, head).await
    }

    async fn find_orders(&self, scan: OrderScan, head: Seq) -> Result<FoundOrders> {
        self.reader.find_orders(scan, head).await
    }

    async fn contact(&self, order: OrderId) -> Result<Option<Contact>> {
        self.reader.contact(order).await
    }

    async fn contacts(&self, after: u64, to: u64, limit: usize) -> Result<Vec<ContactChange>> {
        self.reader.contacts(after, to, limit).await
    }

    async fn orders_with_contacts(&self, placed_before: Timestamp, limit: usize) -> Result<Vec<OrderId>> {
        self.reader.orders_with_contacts(placed_before, limit).await
    }
}
