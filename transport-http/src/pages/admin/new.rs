//! Adding a book.

use askama::Template;
use axum::{extract::State, http::StatusCode};
use bookstore_core::{Added, BookText, Condition, Error, Isbn, NewBook, Result, Topic, TopicQuery, TopicSort};

use super::{
    frame::{Tab, page},
    login::SignedIn,
};
use crate::{
    api::{Answer, Shared, Shop, extract::Payload},
    error_status,
    pages::{
        assets,
        form::{self, Fields},
        notice::{Notice, sentence},
        render::see_other,
        timeouts::{read_in_time, write_in_time},
    },
    token::Actor,
};

/// Topics that the form suggests: those with the most books.
const SUGGESTIONS: u32 = 200;

#[derive(Template)]
#[template(path = "admin/new.html")]
struct New {
    tab: Tab,
    fields: Vec<Field>,
    /// To choose from.
    topics: Vec<Topic>,
    notice: Option<Notice>,
    /// Whether the button is to be pressed again for a price of 0.
    free: bool,
}

struct Field {
    name: &'static str,
    label: &'static str,
    hint: String,
    required: bool,
    typed: String,
    problem: Option<String>,
}

/// Name, label, hint, and whether it must be filled in.
const FIELDS: [(&str, &str, &str, bool); 15] = [
    ("title", "Title", "", true),
    ("subtitle", "Subtitle", "", false),
    ("authors", "Authors", "One a line.", false),
    ("topic", "Topic", "One that there is, or a new one.", true),
    ("subjects", "Subjects", "One a line; the search finds them.", false),
    ("year", "Year", "", false),
    ("isbn", "ISBN", "10 or 13 digits, with or without hyphens.", false),
    ("sku", "Article number", "Your own; two used copies of one ISBN need one each.", false),
    ("condition", "Condition", "", false),
    ("publisher", "Publisher", "", false),
    ("language", "Language", "", false),
    ("format", "Format", "Such as Paperback.", false),
    ("description", "Description", "", false),
    ("price_cents", "Price", "", true),
    ("stock", "Copies in stock", "", true),
];

impl New {
    async fn of(shop: &Shop, typed: &Fields, error: Option<&Error>) -> Self {
        let problem = |name: &str| match error {
            Some(Error::Invalid { field, message }) if field == name => Some(sentence(message)),
            _ => None,
        };
        let price_hint = read_in_time(shop.catalog.currency()).await.map(|currency| {
            let hint = form::price_hint(currency);
            format!("In {currency}: {hint}.")
        });
        let fields = FIELDS.map(|(name, label, hint, required)| {
            let (typed, problem) = (typed.text(name).to_owned(), problem(name));
            let hint = if name == "price_cents" { price_hint.clone().unwrap_or_default() } else { hint.to_owned() };
            Field { name, label, hint, required, typed, problem }
        });
        let notice = error.map(|error| match error {
            Error::Invalid { .. } if fields.iter().any(|field| field.problem.is_some()) => {
                Notice::bad("The book was not added: please look at the field that is marked.")
            }
            error => Notice::failure(error, "This added no book."),
        });
        // Only suggestions: the form works without.
        let largest = TopicQuery { sort: TopicSort::Books, page_size: Some(SUGGESTIONS), page_token: None };
        let topics = read_in_time(shop.catalog.topics(largest)).await.unwrap_or_default().topics;
        Self { tab: Tab::New, fields: fields.into(), topics, notice, free: false }
    }
}

/// `GET /admin/new`
pub(super) async fn form(State(shop): Shared, _: SignedIn) -> Answer {
    page(StatusCode::OK, &New::of(&shop, &Fields::default(), None).await)
}

/// `POST /admin/books`. The same book is listed once, however often it is sent.
pub(super) async fn add(State(shop): Shared, SignedIn { actor, .. }: SignedIn, payload: Payload) -> Answer {
    let fields = Fields::of_body(&payload.bytes);
    let book = match read(&shop, &fields).await {
        Ok(book) if book.price_cents.is_unlikely(None) && fields.text("free").is_empty() => {
            let mut asking = New::of(&shop, &fields, None).await;
            let text = "The book was not added yet: its price is 0. If it is to be given away, press the button again.";
            (asking.free, asking.notice) = (true, Some(Notice::bad(text)));
            return page(StatusCode::UNPROCESSABLE_ENTITY, &asking);
        }
        book => book,
    };
    let added = async { add_book(&shop, book?, &actor).await };
    match write_in_time(added).await {
        Ok(Added { id, created }) => {
            let done = if created { "listed" } else { "known" };
            actor.changed(format_args!("book {id}: {}", if created { "added" } else { "was there already" }));
            Ok(see_other(&format!("/admin/books/{id}?done={done}")))
        }
        Err(error) => page(error_status::status(&error).0, &New::of(&shop, &fields, Some(&error)).await),
    }
}

async fn add_book(shop: &Shop, book: NewBook, actor: &Actor) -> Result<Added> {
    let listed = shop.catalog.add_books(vec![book], Some(actor.for_ledger()?)).await?;
    listed.first().copied().ok_or_else(|| Error::unknown("the catalogue did not say which number the book has"))
}

async fn read(shop: &Shop, fields: &Fields) -> Result<NewBook> {
    let text = BookText {
        title: fields.filled("title").unwrap_or_default(),
        authors: lines(fields.text("authors")),
        topic: fields.filled("topic").unwrap_or_default(),
        isbn: Isbn::read(fields.text("isbn"))?,
        year: fields.filled("year").map(|year| number("year", &year)).transpose()?,
        subjects: lines(fields.text("subjects")),
        subtitle: fields.filled("subtitle").unwrap_or_default(),
        sku: fields.filled("sku").unwrap_or_default(),
        condition: fields.filled("condition").map_or(Ok(Condition::New), |condition| condition.parse())?,
        publisher: fields.filled("publisher").unwrap_or_default(),
        language: fields.filled("language").unwrap_or_default(),
        format: fields.filled("format").unwrap_or_default(),
        description: fields.text("description").into(),
    };
    let currency = read_in_time(shop.catalog.currency()).await?;
    let price = form::price(fields.text("price_cents"), currency);
    let price_cents = price.map_err(|problem| Error::invalid("price_cents", problem))?;
    let book = NewBook { text, price_cents, stock: number("stock", fields.text("stock"))? };
    book.checked()
}

fn number<T: TryFrom<i64>>(name: &str, typed: &str) -> Result<T> {
    let number = form::whole(typed).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::invalid(name, "please enter a whole number"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
