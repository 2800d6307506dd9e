//! The bookstore's domain types, services and stores.
//!
//! Stock is a ledger: every change of it is an [`Entry`] in one ordered, append-only, durable log, and the
//! append is the commit point of a purchase. [`CatalogService`] owns the ledger, [`OrderService`] sells from it;
//! transports expose both without changing a line of what is here.

pub mod audit;
pub mod batch;
pub mod book;
pub mod catalog;
#[cfg(feature = "check")]
pub mod check;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod decide;
pub mod error;
#[cfg(feature = "conformance")]
pub mod fixtures;
pub mod follow;
pub mod ledger;
pub mod money;
pub mod order;
pub mod orders;
pub mod page;
pub mod retry;
pub mod store;
pub mod writer;

pub use book::{Added, Amend, Book, BookId, BookText, NewBook, Text, Topic};
pub use catalog::{Catalog, CatalogOptions, CatalogService};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::{Error, Executed, Result};
pub use ledger::{Change, Entries, Entry, Kind, LedgerId, Seq};
pub use money::Cents;
pub use order::{Line, Lines, Order, OrderId, OrderLine, Receipt, Status};
pub use orders::{OrderReader, OrderService, Orders};
pub use page::{BookPage, OrderPage, OrderQuery, Query, Sort};
