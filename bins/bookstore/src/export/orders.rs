//! Orders.

use bookstore_core::{Cents, Contact, Order, OrderLine};
use serde::Serialize;
use std::{
    borrow::Cow,
    io::{self, Write},
};

use super::{Format, Output, write_line};

const COLUMNS: [&str; 11] = [
    "order",
    "status",
    "placed_at",
    "reference",
    "book",
    "title",
    "quantity",
    "returned",
    "unit_price_cents",
    "line_total_cents",
    "order_total_cents",
];

const CONTACT_COLUMNS: [&str; 4] = ["name", "email", "address", "note"];

/// Whether a file says who orders are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactColumns {
    /// It does not.
    Without,
    /// It has name, e-mail address, address and note.
    With,
}

/// Writes orders: as CSV one record for each line of an order, as JSON lines one object for each order, as the shop's interface
/// has it, with `title` in each line.
///
/// References and contacts come from buyers. As CSV, one that a spreadsheet would run as a formula, with `=`, `+`, `-` or `@` at its
/// beginning, has a `'` before it.
#[derive(Debug)]
pub struct OrderWriter<W: Write> {
    output: Output<W>,
    contacts: ContactColumns,
}

#[derive(Serialize)]
struct Titled<'a> {
    #[serde(flatten)]
    line: &'a OrderLine,
    title: &'a str,
}

/// An order with the lines in another form.
#[derive(Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    order: serde_json::Map<String, serde_json::Value>,
    lines: Vec<Titled<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a Contact>,
}

impl<W: Write> OrderWriter<W> {
    /// Writes the header line, if the format has one.
    ///
    /// # Errors
    /// As `to` fails.
    pub fn new(format: Format, contacts: ContactColumns, to: W) -> io::Result<Self> {
        let of_contact = CONTACT_COLUMNS.into_iter().filter(|_| contacts == ContactColumns::With);
        let output = Output::start(format, to, COLUMNS.into_iter().chain(of_contact))?;
        Ok(Self { output, contacts })
    }

    /// Writes an order. `titles` are those of the books of its lines, in their order; a contact is left out if the file has none.
    ///
    /// # Errors
    /// As the writer fails.
    pub fn write(&mut self, order: &Order, titles: &[&str], contact: Option<&Contact>) -> io::Result<()> {
        let contact = contact.filter(|_| self.contacts == ContactColumns::With);
        let lines = order.lines.iter().zip(titles);
        match &mut self.output {
            Output::Csv(table) => {
                let of_contact = (self.contacts == ContactColumns::With).then(|| contact_cells(contact));
                for (line, title) in lines {
                    let cells = cells(order, line, title).into_iter().chain(of_contact.iter().flatten().cloned());
                    table.write_record(cells).map_err(io::Error::from)?;
                }
                Ok(())
            }
            Output::JsonLines(to) => {
                let lines = lines.map(|(line, title)| Titled { line, title }).collect();
                let mut order = match serde_json::to_value(order)? {
                    serde_json::Value::Object(order) => order,
                    other => unreachable!("an order is an object, not {other}"),
                };
                order.remove("lines");
                write_line(to, &Exported { order, lines, contact })
            }
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// As the writer fails: then what was written is not whole.
    pub fn finish(self) -> io::Result<()> {
        self.output.finish()
    }
}

/// The cells in the order of [`COLUMNS`].
fn cells(order: &Order, line: &OrderLine, title: &str) -> [String; COLUMNS.len()] {
    let OrderLine { book, quantity, unit_price_cents } = *line;
    let came_back = order.returned().iter().find(|returned| returned.book == book);
    // The order's total, which is at least as much, is an amount.
    let total = Cents::total([(unit_price_cents, quantity)]).unwrap_or(Cents::MAX);
    [
        order.id.to_string(),
        order.status.to_string(),
        order.placed_at.to_string(),
        order.reference().map(|reference| inert(reference.as_str()).into_owned()).unwrap_or_default(),
        book.to_string(),
        title.to_owned(),
        quantity.to_string(),
        came_back.map_or(0, |returned| returned.quantity).to_string(),
        unit_price_cents.get().to_string(),
        total.get().to_string(),
        order.total_cents.get().to_string(),
    ]
}

/// The cells in the order of [`CONTACT_COLUMNS`].
fn contact_cells(contact: Option<&Contact>) -> [String; CONTACT_COLUMNS.len()] {
    let text = |of: fn(&Contact) -> Option<&str>| contact.and_then(of).map(inert).unwrap_or_default().into_owned();
    [text(Contact::name), text(Contact::email), text(Contact::address), text(Contact::note)]
}

/// A stranger's text as a spreadsheet does not run it.
fn inert(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{BookId, ContactFields, OrderDetails, OrderId, Seq, Status, Timestamp};

    fn order() -> Order {
        let line = |book, quantity, cents| OrderLine {
            book: BookId(book),
            quantity,
            unit_price_cents: Cents::new(cents).unwrap(),
        };
        let details = OrderDetails {
            reference: Some("=1+1".parse().unwrap()),
            returned: vec![line(2, 1, 250)],
            ..OrderDetails::default()
        };
        Order {
            id: OrderId::from_key("one").unwrap(),
            status: Status::Placed,
            lines: [line(1, 1, 100), line(2, 3, 250)].into_iter().collect(),
            total_cents: Cents::new(850).unwrap(),
            placed_at: Timestamp(0),
            seq: Seq(7),
            version: Seq(8),
            cancelled_at: None,
            details: Some(Box::new(details)),
        }
    }

    fn written(format: Format, contacts: ContactColumns) -> String {
        let fields = ContactFields { name: Some("@Ada".into()), address: Some("1 Road".into()), ..Default::default() };
        let (mut file, order, contact) = (Vec::new(), order(), Contact::new(fields).unwrap());
        let mut writer = OrderWriter::new(format, contacts, &mut file).unwrap();
        writer.write(&order, &["One", "=Two"], Some(&contact)).unwrap();
        writer.finish().unwrap();
        String::from_utf8(file).unwrap().replace(&order.id.to_string(), "ID")
    }

    #[test]
    fn a_line_of_an_order_is_a_record() {
        let header = "order,status,placed_at,reference,book,title,quantity,returned,unit_price_cents,line_total_cents,order_total_cents";
        let plain = written(Format::Csv, ContactColumns::Without);
        let expected = [
            header,
            "ID,placed,1970-01-01T00:00:00.000Z,'=1+1,1,One,1,0,100,100,850",
            "ID,placed,1970-01-01T00:00:00.000Z,'=1+1,2,=Two,3,1,250,750,850",
        ];
        assert_eq!(plain.lines().collect::<Vec<_>>(), expected);
        let with = written(Format::Csv, ContactColumns::With);
        assert!(with.starts_with(&format!("{header},name,email,address,note\n")), "{with}");
        assert!(with.lines().skip(1).all(|line| line.ends_with(",850,'@Ada,,1 Road,")), "{with}");
    }

    #[test]
    fn an_order_is_an_object_with_titles() {
        let json = |contacts| serde_json::from_str::<serde_json::Value>(&written(Format::JsonLines, contacts)).unwrap();
        let plain = json(ContactColumns::Without);
        assert_eq!((&plain["id"], &plain["reference"], plain.get("contact")), (&"ID".into(), &"=1+1".into(), None));
        assert_eq!(plain["lines"][1], serde_json::json!({"book":2,"quantity":3,"unit_price_cents":250,"title":"=Two"}));
        assert_eq!(json(ContactColumns::With)["contact"]["name"], "@Ada");
    }
}
