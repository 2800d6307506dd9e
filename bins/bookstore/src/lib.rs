//! A bookstore that never oversells, never loses an order and never doubles one: embedded, or over the network.
//!
//! [`Bookstore::open`] runs the shop inside your program, over a file; with feature `http`, `Bookstore::connect` uses one that
//! runs somewhere else. What you hold is the same type, and so is every answer.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bookstore::{Bookstore, sample};
//!
//! let shop = Bookstore::open("memory:").await?; // or "sqlite:shop.db"
//! shop.add_books(sample::books()).await?;
//!
//! let page = shop.search_topic("distributed systems").await?;
//! let order = shop.purchase_new(page.books[0].id, 2).await?;
//! assert_eq!(shop.info(page.books[0].id).await?.stock, page.books[0].stock - 2);
//!
//! shop.cancel(order.id).await?;
//! assert_eq!(shop.info(page.books[0].id).await?.stock, page.books[0].stock);
//! # Ok(())
//! # }
//! ```
//!
//! With feature `server`, `deploy` runs whole servers inside your program; with feature `import`, [`import`] also reads CSV and
//! compressed files.
//!
//! | feature | what it adds |
//! |---|---|
//! | `sqlite` (default) | stores at `sqlite:PATH`; without it only `memory:` |
//! | `http` | `Bookstore::connect` and its kin: a shop that runs elsewhere |
//! | `server` | `deploy`: one process, or a catalog, order servers and frontends (includes `http`) |
//! | `import` | [`import`]: books from `.csv` and `.jsonl.gz` files |

#[cfg(feature = "http")]
mod connect;
#[cfg(feature = "server")]
pub mod deploy;
mod facade;
pub mod import;
mod open;
mod retry;
pub mod sample;

#[cfg(feature = "http")]
pub use crate::facade::ConnectOptions;
pub use crate::facade::{Bookstore, OpenError};
pub use bookstore_core as core;
#[cfg(feature = "http")]
pub use bookstore_transport_http::token::AccessToken;
pub use open::StoreUrl;
