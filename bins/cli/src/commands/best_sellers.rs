//! `bookstore bestsellers`.

use bookstore_core::Query;
use std::process::ExitCode;

use super::{
    Failure,
    output::{self, print, print_json, quoted},
    shop::{answer, connect, currency, failed, same_shop},
};
use crate::cli::BestSellersArgs;

/// `bookstore bestsellers`
pub(super) async fn best_sellers(args: &BestSellersArgs) -> Result<ExitCode, Failure> {
    let BestSellersArgs { days, page_size, page_token, shop: to } = args;
    let shop = connect(to, None)?;
    let (page_size, page_token) = (*page_size, page_token.clone());
    let query = Query { page_size, page_token, ..Query::best_sellers(days.unwrap_or_default()) };
    let page = answer(to, shop.search(query)).await.map_err(|error| failed(to, error, None))?;
    if to.json {
        print_json(&page);
        return Ok(ExitCode::SUCCESS);
    }
    if page.books.is_empty() {
        print("No copies were sold in this time.");
        return Ok(ExitCode::SUCCESS);
    }
    print(&output::books(&page.books, currency(to, &shop).await));
    print(&format!("\n{} of {} sold", page.books.len(), output::count(page.total, "book")));
    if let Some(token) = page.next_page_token {
        print(&format!("\nMore: {} --page-token {}", again(args), quoted(&token)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The command for the next page.
fn again(args: &BestSellersArgs) -> String {
    let days = args.days.map(|days| format!(" --days {days}")).unwrap_or_default();
    let size = args.page_size.map(|size| format!(" --page-size {size}")).unwrap_or_default();
    format!("bookstore bestsellers{days}{size}{}", same_shop(&args.shop))
}
