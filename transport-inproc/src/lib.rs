//! The in-process transport: [`InProcess`] calls a service directly, with a limit of concurrent calls and a deadline.
//! [`Faulty`] is a decorator for tests: it injects the faults of a bad network into any service, reproducibly.
//!
//! Both wrap either of the two services, and are that service themselves, so they can be put around each other:
//!
//! ```
//! use bookstore_core::{Catalog, CatalogOptions, CatalogService, SystemClock, TopicQuery, store::memory};
//! use bookstore_transport_inproc::InProcess;
//! use std::{sync::Arc, time::Duration};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (store, reader) = memory::open(&SystemClock);
//! let catalog = Catalog::start(store, reader.clone(), reader, Arc::new(SystemClock), CatalogOptions::default()).unwrap();
//! let catalog = InProcess::new(Arc::new(catalog)).at_most(100).within(Duration::from_secs(2));
//! assert!(catalog.topics(TopicQuery::default()).await.unwrap().topics.is_empty());
//! # }
//! ```

mod faults;
mod faulty;
mod in_process;

pub use faults::{Faults, Rates};
pub use faulty::Faulty;
pub use in_process::InProcess;
