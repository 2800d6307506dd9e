//! The search index: a projection of the texts of a ledger's books, on tantivy, in a folder or in memory.
//!
//! It holds no texts, no stock and no prices: it answers with the numbers of books. It says how far it has come, so that whoever
//! feeds it goes on from there, and it can always be built again.

mod build;
mod corrections;
mod document;
mod evaluate;
mod schema;

use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io, panic,
    path::Path,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term,
    directory::{MmapDirectory, RamDirectory},
    indexer::IndexWriterOptions,
};

use self::{
    build::{Builder, Closeness},
    corrections::Correction,
    document::{Stems, document},
    evaluate::evaluate,
    schema::{Fields, schema},
};
use super::{Match, Matches, language::Wanted};
use crate::{
    book::Text,
    history::{Hash, LedgerIdentity, Relation},
    id::{BookId, Seq},
    page::CheckedQuery,
};

/// Counts up when an index of before cannot be used any more: other fields, or other words.
const FORMAT: u32 = 3;
/// Memory for what is not committed yet, in bytes.
const WRITER_BYTES: usize = 32 << 20;
/// The file that every index has.
const META: &str = "meta.json";
/// Its list of files, which is there first.
const MANAGED: &str = ".managed.json";
/// So few matches, and a better spelling is proposed.
const FEW: usize = 2;

/// How far an index has come, and in what. It is kept in the index, in the same commit as the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The ledger whose books it has, and its timelines.
    pub ledger: LedgerIdentity,
    /// It has every text up to this entry, and none after it.
    pub seq: Seq,
    /// The hash of the ledger up to that entry.
    pub hash: Hash,
}

impl Progress {
    /// Before the first entry of a ledger.
    #[must_use]
    pub fn none(ledger: LedgerIdentity) -> Self {
        Self { ledger, seq: Seq(0), hash: Hash::EMPTY }
    }
}

/// Why an index cannot be used as it is. It has to be built again, with [`BookIndex::create`].
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is none.
    #[error("there is no search index yet")]
    Missing,
    /// It cannot be read.
    #[error("the search index is damaged ({0})")]
    Damaged(String),
    /// It has another ledger's books.
    #[error("the search index is another ledger's")]
    OtherLedger,
    /// The ledger went on under a newer timeline from an earlier entry.
    #[error("the search index has books that the ledger does not have any more")]
    BeyondFork,
    /// Another version of this program wrote it.
    #[error("the search index has another format")]
    OtherFormat,
}

/// The index, or a change of it, failed. It MUST be built again.
#[derive(Debug, thiserror::Error)]
#[error("the search index failed: {0}")]
pub struct IndexFailed(String);

impl IndexFailed {
    /// A thread panicked with the index.
    pub(super) fn panicked() -> Self {
        Self("it panicked; the log says more".into())
    }
}

impl From<TantivyError> for IndexFailed {
    fn from(error: TantivyError) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for IndexFailed {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A change of the index.
#[derive(Clone, Debug)]
pub enum IndexChange {
    /// A book that it does not have yet.
    Add(BookId, Text),
    /// A book has another text now.
    Replace(BookId, Text),
    /// A book is not to be found any more.
    Remove(BookId),
}

/// The payload of a commit.
#[derive(Serialize, Deserialize)]
struct Payload {
    format: u32,
    #[serde(flatten)]
    progress: Progress,
}

/// The index of a ledger's books. Its methods block: call them on threads that may.
pub struct BookIndex {
    fields: Fields,
    reader: IndexReader,
    writing: Mutex<Writing>,
    /// As in `writing`.
    seq: AtomicU64,
}

impl fmt::Debug for BookIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BookIndex").field("seq", &self.seq()).finish_non_exhaustive()
    }
}

/// What only one caller at a time changes.
struct Writing {
    writer: IndexWriter,
    stems: Stems,
    progress: Progress,
}

impl BookIndex {
    /// Opens the index of a ledger in a folder.
    ///
    /// # Errors
    /// It has to be built again, and why.
    pub fn open(folder: &Path, ledger: &LedgerIdentity) -> Result<Self, Unusable> {
        if !folder.join(META).try_exists().unwrap_or_default() {
            return Err(Unusable::Missing);
        }
        // The engine panics on some files that were cut off.
        let opened = panic::catch_unwind(|| Self::open_whole(folder, ledger));
        opened.unwrap_or_else(|_| Err(Unusable::Damaged("a file was cut off".into())))
    }

    fn open_whole(folder: &Path, ledger: &LedgerIdentity) -> Result<Self, Unusable> {
        let damaged = |error: TantivyError| Unusable::Damaged(error.to_string());
        let index = Index::open_in_dir(folder).map_err(damaged)?;
        // Without one, nothing was committed yet.
        let payload = index.load_metas().map_err(damaged)?.payload.ok_or(Unusable::Missing)?;
        let Payload { format, mut progress } = serde_json::from_str(&payload).map_err(|_| Unusable::OtherFormat)?;
        if format != FORMAT || index.schema() != schema().0 {
            return Err(Unusable::OtherFormat);
        }
        match progress.ledger.relation(ledger) {
            Relation::Same => {}
            Relation::Newer(fork) if progress.seq < fork => progress.ledger = ledger.clone(),
            Relation::Newer(_) => return Err(Unusable::BeyondFork),
            Relation::Older | Relation::Unrelated => return Err(Unusable::OtherLedger),
        }
        let broken = index.validate_checksum().map_err(damaged)?;
        if let Some(file) = broken.iter().next() {
            return Err(Unusable::Damaged(format!("{} has other contents than were written", file.display())));
        }
        Self::over(index, progress).map_err(|IndexFailed(why)| Unusable::Damaged(why))
    }

    /// Makes an empty index in a folder, in the place of what is there.
    ///
    /// # Errors
    /// The folder cannot be written, or has files that are no index's: they are left alone.
    pub fn create(folder: &Path, ledger: LedgerIdentity) -> Result<Self, IndexFailed> {
        if folder.try_exists()? {
            refuse_if_foreign(folder)?;
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let index = Index::create(directory, schema().0, IndexSettings::default())?;
        Self::over(index, Progress::none(ledger))
    }

    /// Makes an empty index in memory.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn in_memory(ledger: LedgerIdentity) -> Result<Self, IndexFailed> {
        let index = Index::create(RamDirectory::create(), schema().0, IndexSettings::default())?;
        Self::over(index, Progress::none(ledger))
    }

    fn over(index: Index, progress: Progress) -> Result<Self, IndexFailed> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let options = IndexWriterOptions::builder().num_worker_threads(1).num_merge_threads(1);
        let writer = index.writer_with_options(options.memory_budget_per_thread(WRITER_BYTES).build())?;
        let seq = AtomicU64::new(progress.seq.0);
        let writing = Mutex::new(Writing { writer, stems: Stems::new(), progress });
        Ok(Self { fields: schema().1, reader, writing, seq })
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.writing().progress.clone()
    }

    /// The entry of [`Self::progress`], without waiting for a change that is being made.
    pub fn seq(&self) -> Seq {
        Seq(self.seq.load(Ordering::Acquire))
    }

    /// Takes all books out.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn clear(&self) -> Result<(), IndexFailed> {
        self.writing().writer.delete_all_documents()?;
        self.commit(Seq(0), Hash::EMPTY)
    }

    /// Takes changes in, and remembers how far it has come then: [`Self::stage`] and [`Self::commit`].
    ///
    /// # Errors
    /// Nothing of it is seen; the index MUST be built again.
    pub fn apply(&self, changes: Vec<IndexChange>, seq: Seq, hash: Hash) -> Result<(), IndexFailed> {
        self.stage(changes)?;
        self.commit(seq, hash)
    }

    /// Forgets what was staged since the last commit.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn roll_back(&self) -> Result<(), IndexFailed> {
        self.writing().writer.rollback()?;
        Ok(())
    }

    /// Takes changes in that belong to the next commit. Work goes on beside the caller.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn stage(&self, changes: Vec<IndexChange>) -> Result<(), IndexFailed> {
        let mut writing = self.writing();
        let Writing { writer, stems, .. } = &mut *writing;
        for change in changes {
            if let IndexChange::Replace(id, _) | IndexChange::Remove(id) = &change {
                writer.delete_term(Term::from_field_u64(self.fields.id, id.0));
            }
            if let IndexChange::Add(id, text) | IndexChange::Replace(id, text) = &change {
                let document: TantivyDocument = document(&self.fields, stems, *id, text);
                writer.add_document(document)?;
            }
        }
        Ok(())
    }

    /// Makes what was staged durable, with how far the index has come then. When it returns, searches see it.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn commit(&self, seq: Seq, hash: Hash) -> Result<(), IndexFailed> {
        let mut writing = self.writing();
        let Writing { writer, progress, .. } = &mut *writing;
        (progress.seq, progress.hash) = (seq, hash);
        let payload = Payload { format: FORMAT, progress: progress.clone() };
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&serde_json::to_string(&payload).expect("numbers and ids are JSON"));
        commit.commit()?;
        self.reader.reload()?;
        self.seq.store(seq.0, Ordering::Release);
        Ok(())
    }

    /// Makes one segment of all of them, so that searches read fewer lists. It takes about a fifth of the time in which the index was built;
    /// changes can be made meanwhile.
    ///
    /// # Errors
    /// The index is as it was.
    pub fn merge(&self) -> Result<(), IndexFailed> {
        let merged = {
            let mut writing = self.writing();
            let segments = writing.writer.index().searchable_segment_ids()?;
            if segments.len() < 2 {
                return Ok(());
            }
            writing.writer.merge(&segments)
        };
        merged.wait()?;
        self.reader.reload()?;
        Ok(())
    }

    /// Every book that has the words of a query.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn matches(&self, query: &CheckedQuery) -> Result<Matches, IndexFailed> {
        Search::new(self, query).run()
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().expect("nothing panics while it holds this lock")
    }
}

/// Refuses a folder that has files, but none that every index has.
fn refuse_if_foreign(folder: &Path) -> Result<(), IndexFailed> {
    let names = fs::read_dir(folder)?.map(|file| file.map(|file| file.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    if names.is_empty() || names.iter().any(|name| name == META || name == MANAGED) {
        return Ok(());
    }
    Err(IndexFailed(format!("{} has files that are no search index's", folder.display())))
}

/// One search.
struct Search<'a> {
    index: &'a BookIndex,
    searcher: Searcher,
    query: &'a CheckedQuery,
    wanted: Wanted,
}

impl<'a> Search<'a> {
    fn new(index: &'a BookIndex, query: &'a CheckedQuery) -> Self {
        let wanted = query.text.as_deref().map(Wanted::read).unwrap_or_default();
        Self { index, searcher: index.reader.searcher(), query, wanted }
    }

    /// What the strictest query that finds anything gives, and a better spelling if that is little.
    fn run(&self) -> Result<Matches, IndexFailed> {
        if self.wanted.is_empty() {
            return Ok(Matches::default());
        }
        for closeness in [Closeness::Words, Closeness::Beginnings] {
            let books = self.books(closeness, &[])?;
            if !books.is_empty() {
                let did_you_mean = if books.len() > FEW { None } else { self.proposal(&self.corrections()?)? };
                return Ok(Matches { books, did_you_mean });
            }
        }
        let corrections = self.corrections()?;
        let books = self.books(Closeness::Typos, &corrections)?;
        Ok(Matches { books, did_you_mean: self.proposal(&corrections)? })
    }

    fn books(&self, closeness: Closeness, corrections: &[Vec<Correction>]) -> Result<Vec<Match>, IndexFailed> {
        let mut builder = Builder { fields: &self.index.fields, stems: Stems::new(), closeness, corrections };
        Ok(evaluate(&self.searcher, &builder.clauses(&self.wanted))?)
    }

    fn corrections(&self) -> Result<Vec<Vec<Correction>>, IndexFailed> {
        Ok(corrections::corrections(&self.searcher, &self.index.fields, &self.wanted)?)
    }

    fn proposal(&self, corrections: &[Vec<Correction>]) -> Result<Option<String>, IndexFailed> {
        let Some(text) = self.query.text.as_deref() else { return Ok(None) };
        Ok(corrections::did_you_mean(&self.searcher, &self.index.fields, text, &self.wanted, corrections)?)
    }
}
