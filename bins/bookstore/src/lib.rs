//! A bookstore that never oversells, never loses an order and never doubles one: embedded in your program, or over the network.
//!
//! [`Bookstore::open`] runs the shop inside your program, over a file. `Bookstore::connect` (feature `http`) uses a shop that
//! runs elsewhere. Both return the same type, and every call answers the same way.
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
//! Payment, shipping and accounts are built around a purchase: make the order id first, store it with the cart, and see
//! [`Bookstore::purchase`] for what each outcome means. The domain types ([`core::Book`], [`core::Order`], [`core::Error`], …) and
//! the service traits are those of `bookstore-core`, re-exported as [`core`].
//!
//! | feature | what it adds |
//! |---|---|
//! | `sqlite` (default) | stores at `sqlite:PATH`; without it only `memory:` |
//! | `postgres` | stores at `postgres://…` |
//! | `http` | `Bookstore::connect` and its variants: a shop that runs elsewhere |
//! | `server` | `deploy`: whole servers inside your program; includes `http` |
//! | `search` | an index beside the store: fast in a large shop, and understands typos, phrases, ISBNs and more |
//! | `import` | `import::open`: books from `.csv`, `.tsv`, `.txt`, `.jsonl` and `.jsonl.gz` files; `export`: books and orders to files |

mod administration;
mod checkout;
#[cfg(feature = "http")]
mod connect;
#[cfg(feature = "server")]
pub mod deploy;
#[cfg(feature = "import")]
pub mod export;
mod facade;
pub mod import;
mod open;
mod retry;
pub mod sample;

pub use bookstore_core as core;
#[cfg(feature = "http")]
pub use bookstore_transport_http::token::{AccessToken, Actor, NamedToken, Role, Tokens};
pub use checkout::Terms;
#[cfg(feature = "http")]
pub use connect::ConnectOptions;
pub use facade::Bookstore;
pub use open::{OpenError, OpenOptions, StoreUrl};
