//! The arguments of commands that use a running shop.

use bookstore_core::{
    BookId, Condition, ContactFields, Error, Facet, OrderId, Period, Reference, Sort, Status, Timestamp,
};
use clap::Args;
use std::{fmt, path::PathBuf};

/// The flags of every command that uses a shop.
#[derive(Debug, Args)]
pub(crate) struct ShopArgs {
    /// The shop's frontend; several frontends of the same shop are tried in turn
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:8080")]
    pub(crate) server: Vec<String>,
    /// Print the server's answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds to keep trying
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) timeout: u64,
}

/// The flags of every admin command.
#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
    /// File with the shop's admin token
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Allow sending the admin token in plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// `bookstore search`
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words in title, author or subjects
    #[arg(value_name = "WORDS")]
    pub(crate) words: Vec<String>,
    /// Only books of this topic
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Only books of this author: the whole name
    #[arg(long)]
    pub(crate) author: Option<String>,
    /// Only books of which a copy can be bought now
    #[arg(long)]
    pub(crate) in_stock: bool,
    /// Only books that cost as much, such as 19.99, or more
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price_min: Option<String>,
    /// Only books that cost as much, such as 19.99, or less
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price_max: Option<String>,
    /// Only books of this year or later ones
    #[arg(long, value_name = "YEAR", allow_negative_numbers = true)]
    pub(crate) year_min: Option<i32>,
    /// Only books of this year or earlier ones
    #[arg(long, value_name = "YEAR", allow_negative_numbers = true)]
    pub(crate) year_max: Option<i32>,
    /// Only books of which copies were sold in 7, 30 or 365 days, or ever
    #[arg(long, value_name = "DAYS", value_parser = sold)]
    pub(crate) sold: Option<Period>,
    /// Counts the books that are found by topic, author or year; with commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = facet)]
    pub(crate) facets: Vec<Facet>,
    /// Order of the books: relevance, title, price, price_desc, newest, oldest, newly_listed or best_selling
    #[arg(long, value_parser = sort, default_value = "relevance")]
    pub(crate) sort: Sort,
    /// Books a page, 1 to 100 [default: 20]
    #[arg(long, value_name = "N")]
    pub(crate) page_size: Option<u32>,
    /// Token of the next page, as the page before it printed it
    #[arg(long, value_name = "TOKEN")]
    pub(crate) page_token: Option<String>,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

fn sort(name: &str) -> Result<Sort, String> {
    name.parse().map_err(|error: Error| error.to_string())
}

fn facet(name: &str) -> Result<Facet, String> {
    name.parse().map_err(|error: Error| error.to_string())
}

fn sold(period: &str) -> Result<Period, String> {
    period.parse().map_err(|error: Error| error.to_string())
}

fn days(days: &str) -> Result<Period, String> {
    Period::of_days(days).map_err(|error| error.to_string())
}

/// `bookstore bestsellers`
#[derive(Debug, Args)]
pub(crate) struct BestSellersArgs {
    /// Sold in 7, 30 or 365 days, today by UTC included [default: ever]
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(crate) days: Option<Period>,
    /// Books a page, 1 to 100 [default: 20]
    #[arg(long, value_name = "N")]
    pub(crate) page_size: Option<u32>,
    /// Token of the next page, as the page before it printed it
    #[arg(long, value_name = "TOKEN")]
    pub(crate) page_token: Option<String>,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

/// `bookstore info`
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

/// The texts of a contact.
#[derive(Args)]
#[command(next_help_heading = "Contact")]
pub(crate) struct ContactTexts {
    /// Who the order is for, where the shop keeps that
    #[arg(long, value_name = "TEXT")]
    contact_name: Option<String>,
    /// Where to write to
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<String>,
    /// Where the books go
    #[arg(long, value_name = "TEXT")]
    contact_address: Option<String>,
    /// Anything else
    #[arg(long, value_name = "TEXT")]
    contact_note: Option<String>,
}

impl ContactTexts {
    pub(crate) fn fields(&self) -> ContactFields {
        let Self { contact_name, contact_email, contact_address, contact_note } = self;
        let [name, email, address, note] =
            [contact_name, contact_email, contact_address, contact_note].map(Option::clone);
        ContactFields { name, email, address, note }
    }
}

/// Without the texts.
impl fmt::Debug for ContactTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

/// `bookstore buy`
#[derive(Debug, Args)]
pub(crate) struct BuyArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// How many copies
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
    pub(crate) quantity: u32,
    /// The order's id: the same id never buys twice [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) order_id: Option<OrderId>,
    /// Buy only if a copy still costs this, such as 19.99
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price: Option<String>,
    /// What the order is called elsewhere, for example by a payment
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<Reference>,
    #[command(flatten)]
    pub(crate) contact: ContactTexts,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
}

/// `bookstore hold`
#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// How many copies
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
    pub(crate) quantity: u32,
    /// For how many seconds: 1 to 86400 with a token, to 900 without
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(crate) seconds: u32,
    /// What the order is called elsewhere, for example by a payment
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<Reference>,
    /// The order's id: the same id never holds twice [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) order_id: Option<OrderId>,
    #[command(flatten)]
    pub(crate) contact: ContactTexts,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore contact`
#[derive(Debug, Args)]
pub(crate) struct ContactOrderArgs {
    /// The order's id
    #[arg(value_name = "ORDER_ID")]
    pub(crate) id: OrderId,
    #[command(flatten)]
    pub(crate) contact: ContactTexts,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore confirm`, `bookstore fulfil`, `bookstore erase-contact`
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The order's id
    #[arg(value_name = "ORDER_ID")]
    pub(crate) id: OrderId,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore return`
#[derive(Debug, Args)]
pub(crate) struct ReturnArgs {
    /// The order's id
    #[arg(value_name = "ORDER_ID")]
    pub(crate) id: OrderId,
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// How many copies
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1)]
    pub(crate) quantity: u32,
    /// A key with which they come back once, however often it is sent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) key: Option<OrderId>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore cancel`
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The order's id
    #[arg(value_name = "ORDER_ID")]
    pub(crate) id: OrderId,
    /// If there is no such order, see to it that its id never buys anything, however late the purchase arrives
    #[arg(long)]
    pub(crate) void: bool,
    #[command(flatten)]
    pub(crate) shop: ShopArgs,
    /// File with the shop's admin token: needed for an order whose id is no UUID of version 4 or 7
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Allow sending the admin token in plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// `bookstore orders`
#[derive(Debug, Args)]
pub(crate) struct OrdersArgs {
    /// Only orders that are called so elsewhere, for example by a payment
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<Reference>,
    /// Only orders in this state: held, placed, fulfilled, cancelled, lapsed
    #[arg(long, value_name = "STATE")]
    pub(crate) status: Option<Status>,
    /// Only orders of the book with this number
    #[arg(long, value_name = "ID")]
    pub(crate) book: Option<BookId>,
    /// Only orders of then or later: a day in UTC, or a moment such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Timestamp>,
    /// Only orders before then
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<Timestamp>,
    /// Only orders whose contact has these words in its name or e-mail address
    #[arg(long, value_name = "WORDS")]
    pub(crate) contact: Option<String>,
    /// Orders a page, 1 to 100 [default: 20]
    #[arg(long, value_name = "N")]
    pub(crate) page_size: Option<u32>,
    /// Token of the next page, as the page before it printed it
    #[arg(long, value_name = "TOKEN")]
    pub(crate) page_token: Option<String>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore restock`
#[derive(Debug, Args)]
pub(crate) struct RestockArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// Copies to add; negative to take away
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub(crate) delta: i64,
    /// A key with which this restock happens once, however often it is sent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) key: Option<OrderId>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore price`
#[derive(Debug, Args)]
pub(crate) struct PriceArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// The new price, such as 19.99
    #[arg(value_name = "AMOUNT")]
    pub(crate) price: String,
    /// Do it also if the price is 0, or changes by more than a factor of 5
    #[arg(long)]
    pub(crate) yes: bool,
    /// Change it only if the book is still at this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<u64>,
    /// A key with which this change happens once, however often it is sent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) key: Option<OrderId>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore edit`
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    #[command(flatten)]
    pub(crate) fields: EditedFields,
    /// A key with which this change happens once, however often it is sent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) key: Option<OrderId>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// What is to be changed of a text.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct EditedFields {
    /// Its new title
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// An author, in place of all that it has; may be given several times; '' for none
    #[arg(long = "author", value_name = "AUTHOR")]
    pub(crate) authors: Vec<String>,
    /// Its new topic
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Its new ISBN, 10 or 13 digits, with or without hyphens; '' for none
    #[arg(long)]
    pub(crate) isbn: Option<String>,
    /// Its new year of publication; '' for none
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) year: Option<String>,
    /// A subject, in place of all that it has; may be given several times; '' for none
    #[arg(long = "subject", value_name = "SUBJECT")]
    pub(crate) subjects: Vec<String>,
    /// Its new subtitle; '' for none
    #[arg(long)]
    pub(crate) subtitle: Option<String>,
    /// Its new article number in this shop; '' for none
    #[arg(long)]
    pub(crate) sku: Option<String>,
    /// new, used-like-new, used-fine, used-very-good, used-good, used-fair or used-poor
    #[arg(long)]
    pub(crate) condition: Option<Condition>,
    /// Its new publisher; '' for none
    #[arg(long)]
    pub(crate) publisher: Option<String>,
    /// Its new language; '' for none
    #[arg(long)]
    pub(crate) language: Option<String>,
    /// Its new format, such as Paperback; '' for none
    #[arg(long)]
    pub(crate) format: Option<String>,
    /// Its new description; '' for none
    #[arg(long)]
    pub(crate) description: Option<String>,
}

/// `bookstore withdraw`, `bookstore relist`
#[derive(Debug, Args)]
pub(crate) struct SaleArgs {
    /// The book's number
    #[arg(value_name = "ID")]
    pub(crate) book: BookId,
    /// A key with which this change happens once, however often it is sent [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) key: Option<OrderId>,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}

/// `bookstore add`
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its title
    #[arg(long)]
    pub(crate) title: String,
    /// Its author; may be given several times
    #[arg(long = "author", value_name = "AUTHOR")]
    pub(crate) authors: Vec<String>,
    /// Its topic
    #[arg(long)]
    pub(crate) topic: String,
    /// Its ISBN, 10 or 13 digits, with or without hyphens
    #[arg(long)]
    pub(crate) isbn: Option<String>,
    /// Year of publication
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) year: Option<i32>,
    /// A subject; may be given several times
    #[arg(long = "subject", value_name = "SUBJECT")]
    pub(crate) subjects: Vec<String>,
    /// Its subtitle
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) subtitle: String,
    /// Its article number in this shop: two used copies of one ISBN need one each
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) sku: String,
    /// new, used-like-new, used-fine, used-very-good, used-good, used-fair or used-poor
    #[arg(long, default_value_t)]
    pub(crate) condition: Condition,
    /// Its publisher
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) publisher: String,
    /// Its language
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) language: String,
    /// Its format, such as Paperback
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) format: String,
    /// What it is about
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// What a copy costs, such as 19.99
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) price: String,
    /// Do it also if the price is 0
    #[arg(long)]
    pub(crate) yes: bool,
    /// Copies in stock
    #[arg(long, value_name = "N")]
    pub(crate) stock: u32,
    #[command(flatten)]
    pub(crate) admin: AdminArgs,
}
