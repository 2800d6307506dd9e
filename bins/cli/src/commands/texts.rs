//! The admin commands about a book's text, and whether it is on sale.

use bookstore_core::{Amend, BookText, Clock as _, Error, Isbn, SystemClock};
use std::process::ExitCode;

use super::{
    Failure,
    admin::{connect, same_admin, show_amended},
    output::quoted,
    shop::{answer, failed},
};
use crate::cli::{EditArgs, EditedFields, SaleArgs};

/// `bookstore edit`: reads the text, changes it, and sends it with the version that it has read.
pub(super) async fn edit(args: EditArgs) -> Result<ExitCode, Failure> {
    let EditArgs { book, fields, key, admin } = args;
    let key = key.unwrap_or_else(|| SystemClock.new_order_id());
    let again = format!("bookstore edit {book}{} --key {key}{}", as_typed(&fields), same_admin(&admin));
    let shop = connect(&admin)?;
    let seen = answer(&admin.shop, shop.info(book)).await.map_err(|error| failed(&admin.shop, error, None))?;
    let text = Box::new(fields.over(BookText::from(&seen.text))?);
    let change = Amend::Revise { text, text_version: Some(seen.text_version) };
    let amended = answer(&admin.shop, shop.amend(book, change, key)).await;
    show_amended(&admin, &shop, key, &again, amended).await
}

impl EditedFields {
    /// The text with these fields, the others as they are.
    fn over(self, text: BookText) -> Result<BookText, Failure> {
        let isbn = match self.isbn.as_deref() {
            None => text.isbn,
            Some(isbn) => Isbn::read(isbn)?,
        };
        let year = match self.year.as_deref() {
            None => text.year,
            Some("") => None,
            Some(year) => Some(year.parse().map_err(|_| Error::invalid("year", "must be a whole number"))?),
        };
        let subjects = match &self.subjects[..] {
            [] => text.subjects,
            [none] if none.is_empty() => Vec::new(),
            _ => self.subjects,
        };
        Ok(BookText {
            title: self.title.unwrap_or(text.title),
            authors: if self.authors.is_empty() { text.authors } else { self.authors },
            topic: self.topic.unwrap_or(text.topic),
            isbn,
            year,
            subjects,
            subtitle: self.subtitle.unwrap_or(text.subtitle),
            sku: self.sku.unwrap_or(text.sku),
            condition: self.condition.unwrap_or(text.condition),
            publisher: self.publisher.unwrap_or(text.publisher),
            language: self.language.unwrap_or(text.language),
            format: self.format.unwrap_or(text.format),
            description: self.description.unwrap_or(text.description),
        })
    }
}

/// The flags again, for a command to run again.
fn as_typed(fields: &EditedFields) -> String {
    let EditedFields { title, authors, topic, isbn, year, subjects, subtitle, sku, condition, .. } = fields;
    let EditedFields { publisher, language, format, description, .. } = fields;
    let condition = condition.map(|condition| condition.to_string());
    let flags = [
        ("title", title),
        ("subtitle", subtitle),
        ("topic", topic),
        ("isbn", isbn),
        ("year", year),
        ("sku", sku),
        ("condition", &condition),
        ("publisher", publisher),
        ("language", language),
        ("format", format),
        ("description", description),
    ];
    let flags = flags.into_iter().flat_map(|(name, value)| value.iter().map(move |value| (name, value)));
    let authors = authors.iter().map(|author| ("author", author));
    let flags = flags.chain(authors).chain(subjects.iter().map(|subject| ("subject", subject)));
    flags.map(|(name, value)| format!(" --{name} {}", quoted(value))).collect()
}

/// `bookstore withdraw`
pub(super) async fn withdraw(args: &SaleArgs) -> Result<ExitCode, Failure> {
    put(args, "withdraw", Amend::Withdraw).await
}

/// `bookstore relist`
pub(super) async fn relist(args: &SaleArgs) -> Result<ExitCode, Failure> {
    put(args, "relist", Amend::Relist).await
}

async fn put(args: &SaleArgs, command: &str, change: Amend) -> Result<ExitCode, Failure> {
    let key = args.key.unwrap_or_else(|| SystemClock.new_order_id());
    let again = format!("bookstore {command} {} --key {key}{}", args.book, same_admin(&args.admin));
    let shop = connect(&args.admin)?;
    let amended = answer(&args.admin.shop, shop.amend(args.book, change, key)).await;
    show_amended(&args.admin, &shop, key, &again, amended).await
}
