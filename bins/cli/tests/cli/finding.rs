//! Finding books: what a search of the executable understands, and what becomes of its index.

use crate::support::Dir;

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
