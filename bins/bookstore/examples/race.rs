//! Many buyers race for few copies, and exactly as many win as there are: `cargo run --release --example race`
//!
//! `race BUYERS COPIES` in a shop of its own, `race BUYERS COPIES URL TOKEN_FILE` in one that runs somewhere.

use bookstore::{
    AccessToken, Bookstore,
    core::{BookText, Cents, Error, NewBook},
};
use std::{env, error::Error as StdError, fs, sync::Arc, time::Instant};
use tokio::{sync::Barrier, task::JoinSet};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let buyers = args.first().map_or(Ok(1000), |text| text.parse())?;
    let copies = args.get(1).map_or(Ok(10), |text| text.parse())?;
    let shop = match (args.get(2), args.get(3)) {
        (Some(url), Some(file)) => Bookstore::connect_admin(url, AccessToken::new(&fs::read_to_string(file)?)?)?,
        _ => Bookstore::open("memory:").await?,
    };

    let title = format!("The last {copies} copies, {}", shop.new_order_id());
    let text = BookText { title, topic: "races".into(), ..BookText::default() };
    let book = shop.add_book(NewBook { text, price_cents: Cents::new(1999)?, stock: copies }).await?.id;

    let started = Instant::now();
    let line = Arc::new(Barrier::new(buyers));
    let mut race = JoinSet::new();
    for _ in 0..buyers {
        let (shop, line) = (shop.clone(), Arc::clone(&line));
        race.spawn(async move {
            line.wait().await;
            shop.purchase_new(book, 1).await
        });
    }
    let outcomes = race.join_all().await;

    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::OutOfStock { .. }))).count();
    println!(
        "{buyers} buyers, {copies} copies: {won} bought one, {lost} found it sold out, in {:?}",
        started.elapsed()
    );
    println!("copies left: {}", shop.info(book).await?.stock);
    assert_eq!((won, won + lost), (buyers.min(copies as usize), buyers), "nobody may be in between");
    Ok(())
}
