//! A cache of books for a frontend on a machine of its own, kept current by the ledger.
//!
//! [`CachedCatalog`] answers `info` and `topics` from memory; all else goes to the catalogue. A task follows the catalogue's ledger and applies every entry to the cached books
//! that it touches. A book's [`version`](bookstore_core::Book::version) is the ledger's entry that changed it last, so of two
//! answers it is always known which is newer, and a cached book only ever moves forward. Nothing needs to be invalidated *before*
//! a write: an answer that was on its way while entries arrived is brought forward by those entries.
//!
//! # What readers may rely on
//! - A book is shown as it stood at its version.
//! - Two reads of one book through the same cache show the same version, or the second shows a newer one.
//! - An answer from the cache is at most [`CacheOptions::max_staleness`] behind the catalogue. A cache that cannot prove that asks
//!   the catalogue instead.
//! - While the catalogue cannot be reached, or does not answer within [`CacheOptions::timeout`], the cache answers with what it
//!   has, however old: reading goes on, buying does not. [`CacheStats::served_stale`] counts these answers.
//! - Read your writes: after a write through this frontend, its reads show that write or something newer; while the catalogue
//!   cannot be reached, they fail rather than show less. [`ReadYourWrites`] adds the purchases and cancellations that go through
//!   the order service.
//!
//! This rests on [`CatalogService::info`](bookstore_core::CatalogService::info), which MUST show a book no older than any entry
//! that the catalogue has shown before. If the catalogue is replaced by another one or restored from a backup, or if an entry is
//! missing, the cache drops everything and starts over.
//!
//! # Code map
//! | file | what is in it |
//! |---|---|
//! | `catalog` | [`CachedCatalog`], the service that readers call |
//! | `upstream` | asking the catalogue, with timeouts and requests that readers share |
//! | `state` | the memory behind one lock, and the rules by which it changes |
//! | `requests` | the requests on their way, and what the ledger did to their books meanwhile |
//! | `book`, `topics` | one cached book, brought forward entry by entry; the cached topics |
//! | `follow`, `position` | the task that follows the ledger, and the place that it has reached |
//! | `read_your_writes` | [`ReadYourWrites`], around the order service |

mod book;
mod catalog;
mod follow;
mod options;
mod position;
mod read_your_writes;
mod requests;
mod state;
mod stats;
mod topics;
mod upstream;

pub use catalog::CachedCatalog;
pub use options::CacheOptions;
pub use read_your_writes::ReadYourWrites;
pub use stats::CacheStats;
