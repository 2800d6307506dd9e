//! Mixes: which operations clients choose, and how often.
//!
//! `browsing`, `shopping` and `ordering` are the three mixes of TPC-W, the benchmark of an online bookstore: the shares of
//! its web interactions are those of clause 5.2.1 of its specification, version 1.8. A shop without carts, accounts
//! and forms has no counterpart of some of them (see [`INTERACTIONS`]); these are left out, and the shares of the others
//! are scaled up so that they sum up to one again. Without an admin token the admin update is left out, too.

use bookstore_core::BookId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// What a client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `GET /topics`.
    Topics,
    /// `GET /search/{topic}`.
    SearchTopic,
    /// `GET /search?q=`.
    SearchWords,
    /// `GET /info/{id}`.
    Book,
    /// `POST /purchase/{id}`, until there is an answer.
    Purchase,
    /// An answered purchase sent again: the answer must be the same order.
    PurchaseAgain,
    /// `GET /orders/{id}` of an order that was acknowledged a moment ago.
    Order,
    /// `PATCH /books/{id}`: 21 more copies, as many as TPC-W's shop orders when it runs low.
    Restock,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Topics,
        Self::SearchTopic,
        Self::SearchWords,
        Self::Book,
        Self::Purchase,
        Self::PurchaseAgain,
        Self::Order,
        Self::Restock,
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::SearchTopic => "search by topic",
            Self::SearchWords => "search by words",
            Self::Book => "book",
            Self::Purchase => "purchase",
            Self::PurchaseAgain => "purchase again",
            Self::Order => "order",
            Self::Restock => "restock",
        }
    }
}

/// TPC-W's web interactions, the operations that correspond to them, and their shares in percent in its three mixes.
pub const INTERACTIONS: [(&str, Option<Operation>, [f64; 3]); 14] = [
    ("Home", Some(Operation::Topics), [29.00, 16.00, 9.12]),
    ("New Products", Some(Operation::SearchTopic), [11.00, 5.00, 0.46]),
    ("Best Sellers", Some(Operation::SearchTopic), [11.00, 5.00, 0.46]),
    ("Product Detail", Some(Operation::Book), [21.00, 17.00, 12.35]),
    ("Search Request", None, [12.00, 20.00, 14.53]),
    ("Search Results", Some(Operation::SearchWords), [11.00, 17.00, 13.08]),
    ("Shopping Cart", None, [2.00, 11.60, 13.53]),
    ("Customer Registration", None, [0.82, 3.00, 12.86]),
    ("Buy Request", None, [0.75, 2.60, 12.73]),
    ("Buy Confirm", Some(Operation::Purchase), [0.69, 1.20, 10.18]),
    ("Order Inquiry", None, [0.30, 0.75, 0.25]),
    ("Order Display", Some(Operation::Order), [0.25, 0.66, 0.22]),
    ("Admin Request", None, [0.10, 0.10, 0.12]),
    ("Admin Confirm", Some(Operation::Restock), [0.09, 0.09, 0.11]),
];

/// Which operations clients choose, and how often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// TPC-W's browsing mix: few purchases.
    Browsing,
    /// TPC-W's shopping mix.
    Shopping,
    /// TPC-W's ordering mix: many purchases.
    Ordering,
    /// A search by topic, a look at a book and a purchase, each a third.
    Even,
    /// All clients buy single copies of one book until it is sold out.
    Race(Prize),
    /// All clients look at a book (`GET /info/{id}`) and, with this chance, buy it then, if it is in stock.
    Chance(f64),
}

/// The book of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prize {
    /// A new book with this many copies; adding it needs the admin token.
    Copies(u32),
    /// This book, with the stock that it has.
    Book(BookId),
}

impl Prize {
    /// The copies of a race that does not say how many.
    pub const COPIES_DEFAULT: u32 = 1000;
}

/// The share of an operation in a mix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Which.
    pub operation: Operation,
    /// Its share, in percent.
    pub percent: f64,
}

impl Mix {
    /// The shares of the operations, without purchases that follow a look by chance and purchases sent again. Without the
    /// admin token there are no restocks.
    #[must_use]
    pub fn shares(&self, admin: bool) -> Vec<Share> {
        let column = match self {
            Self::Browsing => 0,
            Self::Shopping => 1,
            Self::Ordering => 2,
            Self::Even => return even(),
            Self::Race(_) => return vec![Share { operation: Operation::Purchase, percent: 100.0 }],
            Self::Chance(_) => return vec![Share { operation: Operation::Book, percent: 100.0 }],
        };
        let mut shares: Vec<Share> = Vec::new();
        for (_, operation, percents) in INTERACTIONS {
            let Some(operation) = operation.filter(|operation| admin || *operation != Operation::Restock) else {
                continue;
            };
            match shares.iter_mut().find(|share| share.operation == operation) {
                Some(share) => share.percent += percents[column],
                None => shares.push(Share { operation, percent: percents[column] }),
            }
        }
        let sum: f64 = shares.iter().map(|share| share.percent).sum();
        shares.iter_mut().for_each(|share| share.percent *= 100.0 / sum);
        shares
    }
}

fn even() -> Vec<Share> {
    let third = |operation| Share { operation, percent: 100.0 / 3.0 };
    [Operation::SearchTopic, Operation::Book, Operation::Purchase].map(third).into()
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Browsing => f.write_str("browsing"),
            Self::Shopping => f.write_str("shopping"),
            Self::Ordering => f.write_str("ordering"),
            Self::Even => f.write_str("even"),
            Self::Race(Prize::Copies(copies)) => write!(f, "race={copies}"),
            Self::Race(Prize::Book(book)) => write!(f, "race=book:{book}"),
            Self::Chance(chance) => write!(f, "p={chance}"),
        }
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "{text:?} is not a mix; use browsing, shopping, ordering, even, p=CHANCE (for example p=0.2), race, race=COPIES \
                 (for example race=500) or race=book:ID (for example race=book:3)"
            )
        };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("browsing", None) => Ok(Self::Browsing),
            ("shopping", None) => Ok(Self::Shopping),
            ("ordering", None) => Ok(Self::Ordering),
            ("even", None) => Ok(Self::Even),
            ("p", Some(value)) => {
                let chance = value.parse().map_err(|_| bad())?;
                if (0.0..=1.0).contains(&chance) {
                    Ok(Self::Chance(chance))
                } else {
                    Err("p is a chance from 0 to 1".into())
                }
            }
            ("race", None) => Ok(Self::Race(Prize::Copies(Prize::COPIES_DEFAULT))),
            ("race", Some(prize)) => {
                let prize = match prize.strip_prefix("book:") {
                    Some(book) => Prize::Book(book.parse().map_err(|_| bad())?),
                    None => Prize::Copies(prize.parse().map_err(|_| bad())?),
                };
                Ok(Self::Race(prize))
            }
            _ => Err(bad()),
        }
    }
}

impl Serialize for Mix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_specification_s() {
        // Its own sums: 95, 80 and 50 percent browse, the rest orders.
        for (column, browse) in [95.0, 80.0, 50.0].into_iter().enumerate() {
            let sum = |rows: &[(&str, Option<Operation>, [f64; 3])]| rows.iter().map(|row| row.2[column]).sum::<f64>();
            assert!((sum(&INTERACTIONS[..6]) - browse).abs() < 1e-9, "{column}");
            assert!((sum(&INTERACTIONS) - 100.0).abs() < 1e-9, "{column}");
        }
    }

    #[test]
    fn what_is_left_out_is_made_up_for_in_proportion() {
        for mix in [Mix::Browsing, Mix::Shopping, Mix::Ordering] {
            for admin in [false, true] {
                let shares = mix.shares(admin);
                assert!((shares.iter().map(|share| share.percent).sum::<f64>() - 100.0).abs() < 1e-9);
                assert_eq!(shares.iter().any(|share| share.operation == Operation::Restock), admin);
            }
        }
        let percent = |operation| {
            let shares = Mix::Ordering.shares(true);
            shares.into_iter().find(|share| share.operation == operation).unwrap().percent
        };
        // 45.98 % of the interactions have a counterpart.
        assert!((percent(Operation::Purchase) - 10.18 / 0.4598).abs() < 1e-9);
        assert!((percent(Operation::SearchTopic) - 0.92 / 0.4598).abs() < 1e-9);
    }

    #[test]
    fn a_mix_is_read_as_it_is_written() {
        for text in ["browsing", "shopping", "ordering", "even", "p=0.2", "race=1000", "race=book:7"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!("race".parse(), Ok(Mix::Race(Prize::Copies(1000))));
        for wrong in
            ["", "p", "p=2", "p=-1", "p=NaN", "p=x", "race=", "race=-1", "race=book:x", "browsing=1", "Browsing"]
        {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
