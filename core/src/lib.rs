//! The bookstore's domain types, services and stores.
//!
//! Stock is a ledger: every change of it is an [`Entry`] in one ordered, append-only, durable log, and the append is the
//! commit point of a purchase. [`CatalogService`] owns the ledger, [`OrderService`] sells from it; transports carry calls to
//! both. What is sold is decided in [`decide`] and nowhere else.
//!
//! A shop in one process is a store, a [`Catalog`] over it and [`Orders`] over the catalog; [`Orders`] has an example. The
//! crate `bookstore` wires these for you.
//!
//! # Features
//! - `sqlite` (default): [`store::sqlite`], the embedded store.
//! - `search`: `search::IndexedSearch`, an index that understands typos, phrases, ISBNs and more.
//! - `conformance`: the suite of cases that every store and every transport must pass.
//! - `check`: records calls, and decides afterwards whether every promise was kept.
//! - `isbn-ranges`: hyphens where an [`Isbn`] is shown.
//! - `openapi`: schemas on the domain types.
//!
//! # Limits
//! - An order: 100 lines, 1,000 copies each ([`Lines`]). A book: 1,000,000,000 copies ([`NewBook::STOCK_MAX`]).
//! - A page: 100 books or orders ([`Query::PAGE_MAX`]), 1,000 entries ([`catalog::ENTRIES_MAX`]).
//! - The writer's queue and batches: [`writer::WriterLimits`].

pub mod audit;
pub mod batch;
pub mod book;
pub mod catalog;
#[cfg(feature = "check")]
pub mod check;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contact;
pub mod decide;
pub mod error;
pub mod execution;
#[cfg(feature = "conformance")]
pub mod fixtures;
pub mod follow;
pub mod history;
pub mod id;
pub mod inline_list;
mod json;
pub mod ledger;
pub mod money;
pub mod order;
pub mod orders;
pub mod page;
mod parse;
pub mod quote;
pub mod recent_keys;
pub mod request;
pub mod retry;
pub mod search;
pub mod service;
pub mod store;
pub mod topics;
mod waiting;
pub mod writer;

pub use book::{Added, Amend, Book, BookText, Condition, Isbn, NewBook, Text, Topic};
pub use catalog::{Catalog, CatalogOptions};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use contact::{Contact, ContactFields, ContactRule};
pub use error::{Error, Executed, Result};
pub use history::{Entries, LedgerIdentity, Timeline};
pub use id::{BookId, LedgerId, OrderId, Seq};
pub use inline_list::InlineList;
pub use ledger::{Change, Entry, Kind};
pub use money::{Cents, Currency};
pub use order::{Actor, Order, OrderDetails, OrderLine, Receipt, Reference, Status};
pub use orders::Orders;
pub use page::{
    BookPage, Facet, Facets, FoundOrders, OrderPage, OrderQuery, OrderScan, Period, Query, Sort, SuggestQuery,
    Suggestions,
};
pub use quote::{Quote, QuotedLine};
pub use request::{Line, Lines, OrderAction};
pub use service::{CatalogService, OrderReader, OrderService};
pub use topics::{TopicPage, TopicQuery, TopicSort};
