//! How a file is read: what stands in which column, and what is done about what it does not have.

use bookstore_core::Currency;
use std::{fmt, str::FromStr};

/// How a file is read. By default nothing is invented and nothing is left out: a file without a price, or with a column that is not
/// used, is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The shop's currency: how many decimals a price has. A sign or a code beside a price that is not of it is refused.
    pub currency: Currency,
    /// A missing price or stock is [derived from the book](super::derived_price_and_stock): for samples.
    pub fill_in: bool,
    /// The stock of books whose line has none.
    pub default_stock: Option<u32>,
    /// The topic of books whose line has none.
    pub default_topic: Option<String>,
    /// Columns that are not used are left out instead of refused.
    pub ignore_columns: bool,
    /// The columns of fields that have other names than those that are understood.
    pub columns: Vec<(Field, String)>,
    /// In prices a comma stands before the cents, and points between thousands.
    pub decimal_comma: bool,
}

impl ImportOptions {
    /// Whether a line needs this field.
    #[cfg(feature = "import")]
    pub(super) fn needs(&self, field: Field) -> bool {
        match field {
            Field::Title => true,
            Field::Topic => self.default_topic.is_none(),
            Field::Price => !self.fill_in,
            Field::Stock => !self.fill_in && self.default_stock.is_none(),
            _ => false,
        }
    }
}

/// What a column of a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The title.
    Title,
    /// The author or authors.
    Author,
    /// The topic.
    Topic,
    /// The ISBN.
    Isbn,
    /// The year of publication.
    Year,
    /// Keywords, separated by semicolons.
    Subjects,
    /// The price, such as `19.99`.
    Price,
    /// The price in cents.
    PriceCents,
    /// Copies in stock.
    Stock,
    /// The subtitle.
    Subtitle,
    /// The shop's own article number.
    Sku,
    /// New, or used with a grade.
    Condition,
    /// The publisher.
    Publisher,
    /// The language.
    Language,
    /// The format, such as `Paperback`.
    Format,
    /// What the book is about.
    Description,
    /// Whether it is on sale: yes or no.
    OnSale,
}

/// The names by which a field is known, the best first: our own, then those of Goodreads, LibraryThing, AbeBooks, Shopify, WooCommerce
/// and Square exports. They are compared by their letters and digits alone, in any case.
pub(super) const NAMES: [(Field, &[&str]); 17] = [
    (Field::Title, &["title", "booktitle", "name", "itemname", "producttitle"]),
    (Field::Author, &["author", "authors", "primaryauthor"]),
    (Field::Topic, &["topic", "category", "categories", "genre", "productcategory", "abecategory", "sellercatalog1"]),
    (
        Field::Isbn,
        &["isbn13", "isbn", "isbn10", "ean", "ean13", "gtinupceanorisbn", "gtin", "barcode", "variantbarcode"],
    ),
    (Field::Year, &["year", "yearpublished", "publicationyear", "pubyear", "date", "originalpublicationyear"]),
    (Field::Subjects, &["subjects", "subject", "keywords", "tags"]),
    (Field::PriceCents, &["pricecents"]),
    (Field::Price, &["price", "listprice", "regularprice", "variantprice", "unitprice", "retailprice"]),
    (
        Field::Stock,
        &[
            "stock",
            "quantity",
            "qty",
            "copies",
            "onhand",
            "quantityonhand",
            "inventoryquantity",
            "variantinventoryqty",
            "ownedcopies",
        ],
    ),
    (Field::Subtitle, &["subtitle"]),
    (Field::Sku, &["sku", "listingid", "variantsku", "articlenumber"]),
    (Field::Condition, &["condition", "bookcondition", "itemcondition"]),
    (Field::Publisher, &["publisher", "publishername"]),
    (Field::Language, &["language", "languages"]),
    (Field::Format, &["format", "binding", "bookbinding", "media"]),
    (Field::Description, &["description", "synopsis", "summary"]),
    // In other programs' exports this says whether the price is reduced.
    (Field::OnSale, &[]),
];

/// An export of ours has columns with both of these names.
const OF_EXPORT: [&str; 2] = ["price_cents", "on_sale"];
/// What an export has of a book that another shop gives it anew.
const GIVEN_ANEW: [&str; 3] = ["id", "version", "text_version"];

/// Square names the place behind it.
const STOCK_AT_PLACE: &str = "currentquantity";

impl Field {
    /// The field's own name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Author => "author",
            Self::Topic => "topic",
            Self::Isbn => "isbn",
            Self::Year => "year",
            Self::Subjects => "subjects",
            Self::Price => "price",
            Self::PriceCents => "price_cents",
            Self::Stock => "stock",
            Self::Subtitle => "subtitle",
            Self::Sku => "sku",
            Self::Condition => "condition",
            Self::Publisher => "publisher",
            Self::Language => "language",
            Self::Format => "format",
            Self::Description => "description",
            Self::OnSale => "on_sale",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().map(|(field, _)| *field).find(|field| field.name() == name);
        let names = || NAMES.map(|(field, _)| field.name()).join(", ");
        found.ok_or_else(|| format!("{name:?} is no field of a book; there are {}", names()))
    }
}

/// A name without what spellings differ in.
pub(super) fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Which column has which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// Fields and the positions of their columns. Of several for one field the first that has something counts.
    pub(super) fields: Vec<(Field, usize)>,
    /// Columns that have a name and no field.
    pub(super) unused: Vec<usize>,
    /// Columns without a name.
    pub(super) nameless: Vec<usize>,
    /// Whether the texts are those of an export, to be read as they are.
    pub(super) exact: bool,
    /// Whether the subjects are tags or keywords, which have commas between them.
    tags: bool,
}

impl Columns {
    /// Finds the fields among these names.
    ///
    /// # Errors
    /// Two columns of a field have the same name.
    pub(super) fn find<'a>(names: impl Iterator<Item = &'a str>, options: &ImportOptions) -> Result<Self, String> {
        let names: Vec<(&str, String)> = names.map(|name| (name, bare(name))).collect();
        let exact = OF_EXPORT.iter().all(|of_export| names.iter().any(|(name, _)| name == of_export));
        let mut columns = Self { exact, ..Self::default() };
        for (field, known) in NAMES {
            let known = if field == Field::OnSale && exact { &["onsale"] } else { known };
            columns.add(field, known, &names, options)?;
        }
        let anew = |at: usize| exact && GIVEN_ANEW.contains(&names[at].0);
        let free = (0..names.len()).filter(|at| columns.fields.iter().all(|(_, used)| used != at) && !anew(*at));
        (columns.nameless, columns.unused) = free.partition(|at| names[*at].1.is_empty());
        Ok(columns)
    }

    fn add(
        &mut self,
        field: Field,
        known: &[&str],
        names: &[(&str, String)],
        options: &ImportOptions,
    ) -> Result<(), String> {
        let mapped: Vec<String> =
            options.columns.iter().filter(|(mapped, _)| *mapped == field).map(|(_, column)| bare(column)).collect();
        let taken = |name: &str| options.columns.iter().any(|(other, column)| *other != field && bare(column) == name);
        let wanted = if mapped.is_empty() { known.iter().map(|name| (*name).to_owned()).collect() } else { mapped };
        for wanted in wanted.iter().filter(|name| !taken(name)) {
            let mut found = (0..names.len()).filter(|at| names[*at].1 == *wanted);
            let Some(at) = found.next() else { continue };
            if let Some(again) = found.next() {
                return Err(format!("the header line has {} twice", names[again].0));
            }
            self.fields.push((field, at));
            self.tags |= matches!(&wanted[..], "tags" | "keywords");
            // A second price is not the price; a second number of the book must be the same book's.
            if field != Field::Isbn {
                return Ok(());
            }
        }
        if field == Field::Stock && !self.has(field) {
            let mut places = (0..names.len()).filter(|at| names[*at].1.starts_with(STOCK_AT_PLACE));
            if let (Some(at), None) = (places.next(), places.next()) {
                self.fields.push((field, at));
            }
        }
        Ok(())
    }

    /// What separates subjects without semicolons: headings such as `Science, Medieval` have commas of their own.
    pub(super) fn subjects_by(&self) -> char {
        if self.tags { ',' } else { ';' }
    }

    /// Says that columns are not used, by their names.
    pub(super) fn unused_names<'a>(&self, name: impl Fn(usize) -> &'a str) -> String {
        let names: Vec<&str> = self.unused.iter().map(|at| name(*at)).collect();
        format!(
            "not used: {}; say what they are with --map FIELD=COLUMN, or leave them out with --ignore-columns",
            names.join(", ")
        )
    }

    /// Whether a column has this field; a price may be in cents.
    pub(super) fn has(&self, field: Field) -> bool {
        let also = if field == Field::Price { Field::PriceCents } else { field };
        self.fields.iter().any(|(found, _)| *found == field || *found == also)
    }
}
