//! A stranger's first purchase: `cargo run --example first_purchase`

use bookstore::{Bookstore, sample};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Bookstore::open("memory:").await?;
    shop.add_books(sample::books()).await?;

    let found = shop.search_topic("distributed systems").await?;
    let order = shop.purchase_new(found.books[0].id, 1).await?;

    let total = shop.currency().await?.show(order.total_cents);
    println!("Bought {:?} for {total}: order {}", found.books[0].text.title(), order.id);
    Ok(())
}
