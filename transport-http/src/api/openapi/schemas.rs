//! Bodies that the document describes in more detail than the types that read and write them: limits, patterns, and which fields
//! go together. Tests compare the fields of the two.
#![expect(dead_code, clippy::large_enum_variant, reason = "these types are documentation only")]

use bookstore_core::{BookId, Cents, Condition, Period, Seq, Sort};
use utoipa::ToSchema;

/// A change to one book: copies added, absolute values, its text, or whether it is on sale.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = AmendRequest)]
pub(super) enum AmendBody {
    /// Copies added, or taken away. Needs no `If-Match`.
    Delta(StockDelta),
    /// A price, and possibly a stock. Needs `If-Match`; `*` will do for a price alone.
    Price(SetPrice),
    /// A stock alone. Needs `If-Match` with the version that the caller saw.
    Stock(SetStock),
    /// Some fields of the text. Needs the version of the text that the caller saw.
    Text(SetText),
    /// Whether the book can be bought.
    Sale(SetSale),
}

/// Copies added, or taken away.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StockDelta {
    /// Copies to add; negative to take away; not 0.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    stock_delta: i64,
}

/// A price, and possibly a stock.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetPrice {
    /// The new price.
    price_cents: Cents,
    /// The new stock.
    #[schema(maximum = 1_000_000_000)]
    stock: Option<u32>,
}

/// A stock alone.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetStock {
    /// The new stock.
    #[schema(maximum = 1_000_000_000)]
    stock: u32,
}

/// Fields of a book's text; those that are left out stay as they are, so one at least must be there. Sales do not move the version of
/// the text.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetText {
    /// The `text_version` of the book that the caller saw.
    #[schema(value_type = u64)]
    text_version: Seq,
    /// The new title.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    #[schema(nullable = false)]
    title: Option<String>,
    /// The names of the new authors, at most 500 characters each, with semicolons between them; empty for none.
    #[schema(nullable = false, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    author: Option<String>,
    /// The new authors, all of them; beside `author` they must be the same names. A semicolon divides two names.
    #[schema(nullable = false, max_items = 32)]
    authors: Option<Vec<Author>>,
    /// The new topic.
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    topic: Option<String>,
    /// The new ISBN, of 10 or 13 digits, in any spelling; `null` for none.
    isbn: Option<String>,
    /// The new year of publication; `null` for none.
    #[schema(minimum = -3000, maximum = 9999)]
    year: Option<i32>,
    /// The new subjects, all of them.
    #[schema(nullable = false, max_items = 32)]
    subjects: Option<Vec<Subject>>,
    /// The new subtitle; empty for none.
    #[schema(
        nullable = false,
        max_length = 1000,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    subtitle: Option<String>,
    /// The new article number of the shop; empty for none.
    #[schema(
        nullable = false,
        max_length = 100,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    sku: Option<String>,
    /// New, or used with a grade.
    #[schema(nullable = false)]
    condition: Option<Condition>,
    /// The new publisher; empty for none.
    #[schema(
        nullable = false,
        max_length = 500,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    publisher: Option<String>,
    /// The new language; empty for none.
    #[schema(
        nullable = false,
        max_length = 100,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    language: Option<String>,
    /// The new format, such as `Paperback`; empty for none.
    #[schema(
        nullable = false,
        max_length = 100,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    format: Option<String>,
    /// The new description, in which line breaks stay; empty for none.
    #[schema(
        nullable = false,
        max_length = 5000,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    description: Option<String>,
}

/// Whether a book can be bought. One that cannot is in no list; its page, its orders and what is held of it stay.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetSale {
    /// `false` takes it off sale, `true` puts it on sale again.
    on_sale: bool,
}

/// A book to be listed; unknown fields are refused. Texts are kept in canonical composition (NFC), with one space for white space of
/// any kind and without characters that are not seen; they have no other control characters.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewBook {
    /// Its title.
    #[schema(
        min_length = 1,
        max_length = 1000,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    title: String,
    /// The names of the authors, at most 500 characters each, with semicolons between them; may be empty.
    #[serde(default)]
    #[schema(pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    author: Option<String>,
    /// The authors; beside `author` they must be the same names. A semicolon divides two names.
    #[serde(default)]
    #[schema(max_items = 32)]
    authors: Option<Vec<Author>>,
    /// The topic under which it is listed.
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$"
    )]
    topic: String,
    /// Its ISBN, if it has one, of 10 or 13 digits, in any spelling; a wrong check digit is refused. It is kept as 13 digits.
    #[serde(default)]
    isbn: Option<String>,
    /// Year of publication.
    #[serde(default)]
    #[schema(minimum = -3000, maximum = 9999)]
    year: Option<i32>,
    /// At most 32 of 1 to 500 characters each, searched with title and author.
    #[serde(default)]
    #[schema(max_items = 32)]
    subjects: Vec<Subject>,
    /// Its subtitle.
    #[serde(default)]
    #[schema(max_length = 1000, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    subtitle: String,
    /// The shop's own article number: it alone then says which book it is.
    #[serde(default)]
    #[schema(max_length = 100, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    sku: String,
    /// New, or used with a grade.
    #[serde(default)]
    condition: Condition,
    /// Who published it.
    #[serde(default)]
    #[schema(max_length = 500, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    publisher: String,
    /// The language that it is in.
    #[serde(default)]
    #[schema(max_length = 100, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    language: String,
    /// Such as `Paperback`.
    #[serde(default)]
    #[schema(max_length = 100, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    format: String,
    /// What it is about; line breaks stay.
    #[serde(default)]
    #[schema(max_length = 5000, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
    description: String,
    /// What one copy costs.
    price_cents: Cents,
    /// Copies to begin with.
    #[schema(maximum = 1_000_000_000)]
    stock: u32,
}

/// The name of an author.
#[derive(ToSchema)]
#[schema(max_length = 500, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
pub(super) struct Author(String);

/// What a book is about.
#[derive(ToSchema)]
#[schema(min_length = 1, max_length = 500, pattern = r"^[^\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f]*$")]
pub(super) struct Subject(String);

/// One book, or a list of books.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum NewBooks {
    /// One book.
    One(NewBook),
    /// At most 1000 books.
    Many(Vec<NewBook>),
}

/// Why a request was refused (RFC 9457); which of the last fields there are depends on the `code`.
#[derive(ToSchema)]
pub(super) struct Problem {
    /// `/problems/` and the code.
    r#type: String,
    /// The kind in a few words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This occurrence in words.
    detail: String,
    /// Whether the request had an effect: `no`, or `unknown` if it may have. With an order id or a key it may be sent again.
    #[schema(pattern = "^(no|unknown)$")]
    executed: String,
    /// The stable name of this kind of problem, in kebab-case.
    code: String,
    /// The book in question, even if there is no such book.
    #[schema(value_type = Option<u64>)]
    book: Option<BookId>,
    /// Copies that there are: fewer than asked for.
    available: Option<u32>,
    /// The book's price now.
    price_cents: Option<Cents>,
    /// The book's version now.
    version: Option<Seq>,
    /// The version of the book's text now.
    text_version: Option<Seq>,
    /// The id of the order, or the key, in question; or the order itself, if its state is the reason.
    #[schema(value_type = Option<serde_json::Value>)]
    order: Option<serde_json::Value>,
    /// The field whose value is not allowed.
    field: Option<String>,
    /// What is wrong.
    message: Option<String>,
}

/// What every list of books can be asked for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParameters {
    /// Words that must all begin some word of title, author or subjects; at most 200 characters
    #[param(max_length = 200)]
    q: Option<String>,
    /// `true`: only books of which a copy can be bought now
    in_stock: Option<bool>,
    /// Only books that cost as much, in cents, or more
    #[param(minimum = 0, maximum = 9007199254740991u64)]
    price_min: Option<u64>,
    /// Only books that cost as much, in cents, or less
    #[param(minimum = 0, maximum = 9007199254740991u64)]
    price_max: Option<u64>,
    /// Only books of this year or later ones
    year_min: Option<i32>,
    /// Only books of this year or earlier ones
    year_max: Option<i32>,
    /// Only books of which copies were sold in so many days, today included, or `ever`, and did not come back
    sold: Option<Period>,
    /// What to count among all books that are found: of `topic`, `author` and `year`, with commas
    #[param(pattern = "^((topic|author|year)(,(topic|author|year))*)?$")]
    facets: Option<String>,
    /// The order of the books
    sort: Option<Sort>,
    /// Books a page, 20 unless asked otherwise
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// The `next_page_token` of the page before; any other text is refused
    page_token: Option<String>,
}
