//! Finding books: what a search of the executable understands, and what becomes of its index.

use crate::support::Dir;
use bookstore::{
    Bookstore,
    core::{BookText, Cents, NewBook},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

#[test]
fn typos_isbns_and_other_spellings_find_a_book() {
    let dir = Dir::new();
    dir.write(
        "books.jsonl",
        concat!(
            r#"{"title":"The green mile","author":"King, Stephen","topic":"Novels","isbn":"9780743210898"}"#,
            "\n",
            r#"{"title":"Memoir : my life","author":"O'Brien, Conor","topic":"Lives","year":2000}"#,
            "\n",
            r#"{"title":"Freedom, fame, lying","author":"Kołakowski, Leszek","topic":"Lives"}"#,
            "\n"
        ),
    );
    dir.run(&["import", "books.jsonl", "--fill-in", "--store", "sqlite:shop.db"]).ok();
    for round in ["built", "opened again", "built again"] {
        let server = dir.serve(&["monolith", "--store", "sqlite:shop.db"]);
        let search = |words: &str| dir.run(&["search", words, "--server", &server.url]).ok().out;
        for (words, title) in [
            ("0-7432-1089-1", "green mile"),
            ("author:king \"green mile\"", "green mile"),
            ("obrien", "Memoir"),
            ("kolakowsky", "Freedom"),
        ] {
            assert!(search(words).contains(title), "{round}: {words}: {}", search(words));
        }
        assert!(search("gren mile").contains("Did you mean: bookstore search 'green mile'"), "{}", search("gren mile"));
        let page = server.get("/search?q=gren+mile");
        assert!(page.contains("green mile"), "{page}");
        assert!(dir.path("shop.db.search/meta.json").exists());
        assert_eq!(server.stop(), Some(0));
        if round == "opened again" {
            std::fs::write(dir.path("shop.db.search/meta.json"), "{}").expect("written");
        }
    }
}

/// Books that are added at once.
const AT_ONCE: u64 = 20;

/// Adds books until nobody answers any more, and counts the times when they were acknowledged.
async fn add_until_killed(shop: Bookstore, round: u64, added: Arc<AtomicU64>) {
    for time in 0.. {
        let of = |n| NewBook {
            text: BookText {
                title: format!("Round{round} time{time} volume{n}"),
                topic: "Kills".into(),
                ..BookText::default()
            },
            price_cents: Cents::new(500).unwrap(),
            stock: 5,
        };
        if shop.add_books((0..AT_ONCE).map(of).collect()).await.is_err() {
            return;
        }
        added.fetch_add(1, Ordering::SeqCst);
    }
}

/// The index lags behind the books, or was being written, when the server is killed.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_found_and_sold() {
    let dir = Dir::new();
    let args = ["monolith", "--no-sample", "--store", "sqlite:shop.db", "--admin-token-file", "admin.token"];
    let mut server = dir.serve(&args);
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let added = Arc::new(AtomicU64::new(0));
        let shop = server.shop().with_timeout(Duration::from_millis(500));
        let adding = tokio::spawn(add_until_killed(shop, round, Arc::clone(&added)));
        while added.load(Ordering::SeqCst) < 2 + 3 * round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        adding.await.unwrap();
        acknowledged.push(added.load(Ordering::SeqCst));
        server.restart();

        let shop = server.shop();
        let found = async |words: &str| shop.search(words).await.unwrap();
        for (round, times) in (0..).zip(&acknowledged) {
            for time in 0..*times {
                let page = found(&format!("\"round{round} time{time}\"")).await;
                assert_eq!(page.total, AT_ONCE, "round {round}, time {time}");
            }
        }
        let typo = found("rouund0 time0 volume3").await;
        assert_eq!(typo.books[0].text.title(), "Round0 time0 volume3", "by the index");
        shop.purchase_new(typo.books[0].id, 1).await.unwrap();
    }
}
