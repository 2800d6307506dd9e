//! How amounts read on a page.

use bookstore_core::{Cents, Currency};

use super::{text::number, timeouts::read_in_time};
use crate::api::Shop;

/// Shows amounts in the shop's currency.
///
/// If the catalogue does not say which it is, amounts are shown in its smallest units: orders can be read without the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Money(Option<Currency>);

impl Money {
    /// In a currency that is not known.
    pub(super) const UNKNOWN: Self = Self(None);

    /// In the currency of this shop.
    pub(super) async fn of(shop: &Shop) -> Self {
        Self(read_in_time(shop.catalog.currency()).await.ok())
    }

    /// `$1,234.56`
    pub(super) fn show(self, cents: &Cents) -> String {
        match self.0 {
            Some(currency) => currency.show(*cents),
            None => format!("{} in the smallest units", number(&cents.get())),
        }
    }

    /// What stands before an amount.
    pub(super) fn prefix(self) -> String {
        self.0.map(Currency::prefix).unwrap_or_default()
    }

    /// Digits behind the decimal point.
    pub(super) fn decimals(self) -> u8 {
        self.0.map_or(0, Currency::decimals)
    }

    /// A number of units, or of hundreds of them where the unit is as small as a cent: what a search can be limited to.
    pub(super) fn round(self, units: u64) -> Option<Cents> {
        Cents::new(units * self.0.unwrap_or_default().cents_per_unit().max(100)).ok()
    }
}

impl From<Currency> for Money {
    fn from(currency: Currency) -> Self {
        Self(Some(currency))
    }
}
