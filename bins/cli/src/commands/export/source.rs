//! Where an export comes from.

use bookstore::{AccessToken, Bookstore, ConnectOptions};
use bookstore_core::{
    Book, BookId, Contact, Order, OrderPage, OrderQuery, Query,
    store::{postgres, sqlite},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::time::Duration;

use crate::{
    cli::{ExportArgs, Exported},
    commands::{Failure, one_place},
    config::{self, StoreToRead},
};

/// How long one call is tried.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Contacts that are read at once.
const AT_ONCE: usize = 16;

/// A store as of one moment, or a running shop, which goes on selling meanwhile.
pub(super) enum Source {
    File(sqlite::View),
    Database(Box<postgres::View>),
    Shop(Bookstore),
}

impl Source {
    pub(super) async fn open(args: &ExportArgs) -> Result<Self, Failure> {
        one_place(args.store.as_deref(), &args.server)?;
        if args.server.is_empty() {
            let url = args.store.as_deref().unwrap_or("sqlite:bookstore.db");
            return match config::audited(url, &[])?.0 {
                StoreToRead::File(path) => Ok(Self::File(sqlite::View::open(&path)?)),
                StoreToRead::Database(url) => Ok(Self::Database(Box::new(postgres::View::open(&url).await?))),
            };
        }
        let servers = config::servers("--server", &args.server)?;
        let admin_token = token(args, &servers)?;
        let options = ConnectOptions { admin_token, timeout: TIMEOUT };
        Ok(Self::Shop(Bookstore::connect_with(&servers.join(","), options)?))
    }

    /// About how many books there are.
    pub(super) async fn total(&self) -> Result<u64, Failure> {
        match self {
            Self::File(view) => Ok(view.last_book().0),
            Self::Database(view) => Ok(view.last_book().0),
            // Those that are on sale.
            Self::Shop(shop) => Ok(shop.search(Query { page_size: Some(1), ..Query::default() }).await?.total),
        }
    }

    pub(super) async fn books(&mut self, ids: Vec<BookId>) -> Result<Vec<Option<Book>>, Failure> {
        match self {
            Self::File(view) => Ok(ids.into_iter().map(|id| view.book(id)).collect::<Result<_, _>>()?),
            Self::Database(view) => Ok(view.books(&ids).await?),
            Self::Shop(shop) => Ok(shop.books(&ids).await?),
        }
    }

    pub(super) async fn orders(&mut self, query: &OrderQuery) -> Result<OrderPage, Failure> {
        match self {
            Self::File(view) => {
                let scan = query.check()?;
                let found = view.find_orders(&scan)?;
                Ok(scan.page(found))
            }
            Self::Database(view) => {
                let scan = query.check()?;
                let found = view.find_orders(&scan).await?;
                Ok(scan.page(found))
            }
            Self::Shop(shop) => Ok(shop.orders(query.clone()).await?),
        }
    }

    /// The contacts of these orders, one for each.
    pub(super) async fn contacts(&mut self, orders: &[Order]) -> Result<Vec<Option<Contact>>, Failure> {
        let ids = orders.iter().map(|order| order.id);
        match self {
            Self::File(view) => Ok(ids.map(|id| view.contact(id)).collect::<Result<_, _>>()?),
            Self::Database(view) => Ok(view.contacts(&ids.collect::<Vec<_>>()).await?),
            Self::Shop(shop) => {
                Ok(stream::iter(ids).map(|id| shop.contact(id)).buffered(AT_ONCE).try_collect().await?)
            }
        }
    }
}

/// Books are for everybody.
fn token(args: &ExportArgs, servers: &[String]) -> Result<Option<AccessToken>, Failure> {
    if args.what == Exported::Books && args.admin_token_file.is_none() {
        return Ok(None);
    }
    Ok(Some(config::admin_token_for(args.admin_token_file.as_deref(), servers, args.insecure)?))
}
