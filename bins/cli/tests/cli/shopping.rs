use crate::support::{Dir, Ended};
use bookstore::core::{Order, OrderPage};
use std::net::TcpListener;

#[test]
fn a_buyer_looks_buys_reads_and_cancels() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run = |args: &[&str]| dir.run(&[args, &["--server", &server.url]].concat());

    let found = run(&["search", "noobs"]).ok().out;
    assert!(found.contains("RPCs for Noobs") && found.contains("$49.99"), "{found}");
    assert!(found.contains("1 of 1 book found"), "{found}");
    let cheap =
        run(&["search", "--price-max", "25.00", "--in-stock", "--facets", "topic", "--page-size", "1"]).ok().out;
    assert!(cheap.contains("BOOKS") && cheap.contains("--price-max 25.00") && cheap.contains("--in-stock"), "{cheap}");
    let typo = run(&["search", "impatent"]).ok().out;
    assert!(typo.contains("Did you mean: bookstore search impatient"), "{typo}");
    run(&["search", "--facets", "colour"]).failed(2, &["colour"]);
    run(&["search", "--sort", "banana"]).failed(2, &["newly_listed"]);
    let card = run(&["info", "2"]).ok().out;
    assert!(card.contains(&format!("Buy it: bookstore buy 2 --server {}", server.url)), "{card}");

    let bought = run(&["buy", "2", "--quantity", "3"]).ok().out;
    let id = bought.split_whitespace().nth(1).unwrap().to_owned();
    assert!(bought.contains("$149.97") && bought.contains(&format!("bookstore cancel {id} --server")), "{bought}");
    let again = run(&["buy", "2", "--quantity", "3", "--order-id", &id]).ok().out;
    assert!(again.contains("nothing was bought again"), "{again}");
    run(&["buy", "2", "--quantity", "1", "--order-id", &id]).failed(1, &["already used", "Leave --order-id out"]);
    assert!(run(&["order", &id]).ok().out.contains("placed"));
    for args in
        [&["bestsellers"][..], &["bestsellers", "--days", "7"], &["search", "--sold", "30", "--sort", "best_selling"]]
    {
        let best = run(args).ok().out;
        assert!(best.contains("RPCs for Noobs") && best.contains("1 of 1 book"), "{args:?}: {best}");
    }
    run(&["bestsellers", "--days", "8"]).failed(2, &["7, 30 or 365"]);
    assert!(run(&["cancel", &id]).ok().out.contains("cancelled"));
    assert!(run(&["cancel", &id]).ok().out.contains("cancelled before"));
    assert!(run(&["bestsellers"]).ok().out.contains("No copies were sold"), "they came back");
}

#[test]
fn an_order_under_a_guessable_id_needs_the_token() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run = |args: &[&str]| dir.run(&[args, &["--server", &server.url]].concat());
    let hashed = "6f1c0d9e-3b5a-5c27-9d1e-2a7b8c4d5e6f";
    run(&["buy", "2", "--order-id", hashed]).failed(1, &["version 4 or 7"]);
    run(&["buy", "2", "--order-id", "00000000-0000-0000-0000-000000000000"]).failed(2, &["nil"]);
    for command in ["order", "cancel"] {
        run(&[command, hashed]).failed(1, &["needs a token"]);
        run(&[command, hashed, "--admin-token-file", "admin.token"]).failed(1, &["there is no order"]);
    }
}

#[test]
fn refusals_exit_with_1_and_say_what_helps() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run = |args: &[&str]| dir.run(&[args, &["--server", &server.url]].concat());
    run(&["buy", "2", "--quantity", "11"])
        .failed(1, &["has 10 in stock", "Nothing was bought", "bookstore buy 2 --quantity 10"]);
    run(&["buy", "2", "--price", "1"]).failed(1, &["costs 4999 cents", "To accept $49.99:", "--price 49.99"]);
    run(&["buy", "2", "--price", "1.234"])
        .failed(2, &["--price must be an amount in USD such as 19.99, not \"1.234\""]);
    run(&["search", "--price-min", "cheap"]).failed(2, &["--price-min must be an amount"]);
    run(&["buy", "2", "--quantity", "1001"]).failed(1, &["quantity"]);
    run(&["buy", "99999"]).failed(1, &["there is no book 99999"]);
    run(&["info", "99999"]).failed(1, &["there is no book 99999"]);
    run(&["order", "0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55"]).failed(1, &["there is no order"]);
    run(&["search", "--page-size", "101"]).failed(1, &["page_size"]);
    run(&["buy", "2", "--quantity", "10"]).ok();
    run(&["buy", "2"]).failed(1, &["sold out"]);
}

#[test]
fn programs_get_the_wire_json() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run = |args: &[&str]| dir.run(&[args, &["--json", "--server", &server.url]].concat());
    let admin = |args: &[&str]| run(&[args, &["--admin-token-file", "admin.token"]].concat());
    let on_the_wire = |path: &str| {
        let answer = server.get(path);
        serde_json::from_str::<serde_json::Value>(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };

    assert_eq!(run(&["info", "1"]).ok().json(), on_the_wire("/info/1"));
    assert_eq!(run(&["topics"]).ok().json()["topics"], on_the_wire("/topics")["topics"]);
    assert_eq!(run(&["search", "noobs"]).ok().json(), on_the_wire("/search?q=noobs"));
    let page = run(&["search", "--page-size", "2", "--sort", "price"]).ok().json();
    let token = page["next_page_token"].as_str().unwrap();
    let next = run(&["search", "--page-size", "2", "--sort", "price", "--page-token", token]).ok().json();
    assert_ne!(page["books"], next["books"]);

    let order: Order = serde_json::from_value(run(&["buy", "1"]).ok().json()).unwrap();
    let id = order.id.to_string();
    assert_eq!(run(&["order", &id]).ok().json(), on_the_wire(&format!("/orders/{id}")));
    let cancelled = run(&["cancel", &id]).ok().json();
    assert_eq!(cancelled["status"], "cancelled");
    let orders: OrderPage = serde_json::from_value(admin(&["orders"]).ok().json()).unwrap();
    assert_eq!(orders.orders.len(), 1);

    let refused = run(&["buy", "1", "--quantity", "1000"]).failed(1, &["in stock"]).json();
    assert_eq!((&refused["code"], &refused["available"]), (&"out-of-stock".into(), &20.into()));
    assert_eq!(refused["executed"], "no");
    assert_eq!(admin(&["restock", "1", "-5"]).ok().json()["stock"], 15);
    assert_eq!(admin(&["price", "1", "20.00"]).ok().json()["price_cents"], 2000);
    let listed = admin(&["add", "--title", "t", "--topic", "u", "--price", "1", "--stock", "2"]).ok().json();
    assert_eq!(listed["listed"][0]["created"], true);
}

#[test]
fn the_admin_restocks_reprices_and_adds_once_per_key() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run =
        |args: &[&str]| dir.run(&[args, &["--server", &server.url, "--admin-token-file", "admin.token"]].concat());
    let key = "0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55";
    for _ in 0..2 {
        let book = run(&["restock", "1", "5", "--key", key]).ok().out;
        assert!(book.contains("In stock   25"), "{book}");
    }
    run(&["restock", "1", "-26"]).failed(1, &["has 25 in stock"]);
    run(&["price", "1", "19.99", "--if-version", "1"]).failed(1, &["version"]);
    let add = ["add", "--title", "Ledgers", "--topic", "Accounting", "--price", "29.99", "--stock", "1"];
    assert!(run(&add).ok().out.contains("Added as book"));
    assert!(run(&add).ok().out.contains("listed before"));
    assert!(run(&["orders"]).ok().out.contains("No orders yet"));
    dir.write_secret("wrong.token", &"x".repeat(40));
    let wrong = ["orders", "--server", &server.url, "--admin-token-file", "wrong.token"];
    dir.run(&wrong).failed(1, &["token"]);
}

#[test]
fn the_admin_corrects_withdraws_and_relists() {
    let dir = Dir::new();
    let server = dir.serve(&["monolith", "--no-sample", "--admin-token-file", "admin.token"]);
    let run =
        |args: &[&str]| dir.run(&[args, &["--server", &server.url, "--admin-token-file", "admin.token"]].concat());
    let info = || dir.run(&["info", "1", "--json", "--server", &server.url]).ok().json();
    run(&["add", "--title", "Teh Book", "--topic", "t", "--year", "1999", "--price", "1", "--stock", "5"]).ok();
    run(&["edit", "1"]).failed(2, &["--title"]);
    let key = "0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55";
    let edit = ["edit", "1", "--title", "The Book", "--subject", "a b", "--subject", "c", "--isbn", "0-306-40615-2"];
    for _ in 0..2 {
        let book = run(&[&edit[..], &["--key", key, "--json"]].concat()).ok().json();
        assert_eq!(
            (&book["title"], &book["year"], &book["text_version"]),
            (&"The Book".into(), &1999.into(), &2.into())
        );
        assert_eq!((&book["isbn"], &book["subjects"]), (&"9780306406157".into(), &serde_json::json!(["a b", "c"])));
    }
    let plain = run(&["edit", "1", "--isbn", "", "--year", "", "--subject", "", "--author", "Ada Roe"]).ok().out;
    assert!(plain.contains("Ada Roe") && !plain.contains("ISBN") && !plain.contains("1999"), "{plain}");
    run(&["edit", "1", "--year", "soon"]).failed(1, &["year"]);
    run(&["add", "--title", "Another", "--topic", "t", "--price", "100", "--stock", "5"]).ok();
    run(&["edit", "2", "--title", "Teh Book", "--author", "", "--year", "1999"])
        .failed(1, &["the same book as book 1"]);

    assert!(run(&["withdraw", "1"]).ok().out.contains("withdrawn"));
    assert_eq!((&info()["on_sale"], &info()["stock"]), (&false.into(), &5.into()));
    assert!(!dir.run(&["info", "1", "--server", &server.url]).ok().out.contains("Buy it"));
    dir.run(&["buy", "1", "--server", &server.url]).failed(1, &["book 1 is not on sale"]);
    assert!(!dir.run(&["search", "book", "--server", &server.url]).ok().out.contains("The Book"));
    run(&["withdraw", "1"]).ok();
    run(&["relist", "1"]).ok();
    assert_eq!(info()["on_sale"], true);
    dir.run(&["buy", "1", "--server", &server.url]).ok();
    run(&["withdraw", "7"]).failed(1, &["no book 7"]);
}

#[test]
fn nobody_there_is_not_executed() {
    let dir = Dir::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{port}");
    let ended = dir.run(&["buy", "1", "--server", &nobody, "--timeout", "1"]);
    ended.failed(4, &["not executed", "Is the shop running at"]);
    let ended = dir.run(&["topics", "--json", "--server", &nobody, "--timeout", "1"]).failed(4, &[]);
    assert_eq!(ended.json()["executed"], "no");
}

/// A server that takes the request and dies: nobody can know what it did.
#[test]
fn a_lost_answer_is_unknown_and_says_how_to_find_out() {
    let dir = Dir::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::Read as _;
        for stream in listener.incoming() {
            let mut request = [0; 4096];
            let mut stream = stream.unwrap();
            while !request.windows(10).any(|part| part == b"\"quantity\"") && stream.read(&mut request).unwrap() > 0 {}
        }
    });
    let ended = dir.run(&["buy", "3", "-n", "2", "--server", &url, "--timeout", "1"]);
    let ended: Ended = ended.failed(3, &["unknown", "never buys twice", "bookstore buy 3 --quantity 2 --order-id "]);
    let again = ended.err.lines().find(|line| line.contains("--order-id")).unwrap().trim().to_owned();

    let server = dir.monolith();
    let words: Vec<String> = again.replace(&url, &server.url).split_whitespace().skip(1).map(str::to_owned).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    dir.run(&words).ok();
    assert!(dir.run(&words).ok().out.contains("nothing was bought again"), "the printed command has the order id");

    let ended = dir.run(&["buy", "3", "--json", "--server", &url, "--timeout", "1"]).failed(3, &[]).json();
    assert_eq!(ended["executed"], "unknown");
    assert!(ended["order_id"].is_string());
}

/// A price that may be a slip is shown beside the one before, and set only with `--yes`.
#[test]
fn a_price_that_may_be_a_slip_needs_a_yes() {
    let dir = Dir::new();
    let server = dir.monolith();
    let run =
        |args: &[&str]| dir.run(&[args, &["--server", &server.url, "--admin-token-file", "admin.token"]].concat());
    let price = || dir.run(&["info", "2", "--json", "--server", &server.url]).ok().json()["price_cents"].clone();
    for (typed, shown) in [("4999", "$4,999.00"), ("0", "$0.00"), ("9.99", "$9.99")] {
        let says = ["$49.99", shown, "Nothing was changed", "bookstore price 2", "--yes"];
        run(&["price", "2", typed]).failed(1, &says);
        assert_eq!(price(), 4999);
    }
    assert!(run(&["price", "2", "10.00"]).ok().out.contains("$10.00"), "a factor of 5");
    assert!(run(&["price", "2", "0", "--yes"]).ok().out.contains("$0.00"));
    let free = ["add", "--title", "Free", "--topic", "t", "--price", "0", "--stock", "1"];
    run(&free).failed(1, &["price would be 0", "--yes"]);
    assert!(run(&[&free[..], &["--yes"]].concat()).ok().out.contains("Added as book"));
}

#[test]
fn a_shop_has_one_currency() {
    let dir = Dir::new();
    let yen = dir.serve(&["monolith", "--currency", "jpy", "--admin-token-file", "admin.token"]);
    let run = |args: &[&str]| dir.run(&[args, &["--server", &yen.url]].concat());
    let admin = |args: &[&str]| run(&[args, &["--admin-token-file", "admin.token"]].concat());
    assert!(run(&["info", "2"]).ok().out.contains("¥4,999"));
    assert!(run(&["buy", "2", "--quantity", "2", "--price", "4999"]).ok().out.contains("¥9,998"));
    admin(&["price", "2", "49.99"]).failed(2, &["an amount in JPY without decimals such as 1999", "\"49.99\""]);
    assert!(admin(&["price", "2", "5000"]).ok().out.contains("¥5,000"));
    drop(yen);
    dir.run(&["monolith", "--currency", "EUR"]).failed(1, &["its amounts are in JPY, not in EUR"]);
    dir.run(&["monolith", "--currency", "Euro"]).failed(2, &["ISO 4217"]);
    dir.write("books.csv", "title,topic,price,stock\nLedgers,t,¥1500,1\nQueues,t,€15,1\n");
    dir.run(&["import", "books.csv", "--currency", "EUR"]).failed(1, &["JPY", "EUR"]);
    dir.run(&["import", "books.csv"])
        .failed(1, &["line 3: price \"€15\" is in €, the shop in JPY", "nothing was imported"]);
    let kept = dir.serve(&["monolith"]);
    assert!(dir.run(&["info", "2", "--server", &kept.url]).ok().out.contains("¥5,000"), "without the flag");
}
