//! What becomes of an order, on the command line.

use crate::support::Dir;

const ADMIN: [&str; 2] = ["--admin-token-file", "admin.token"];

#[test]
fn an_order_is_held_confirmed_handed_over_and_comes_back() {
    let dir = Dir::new();
    let shop = dir.monolith();
    let run = |args: &[&str]| dir.run(&[args, &ADMIN, &["--server", &shop.url]].concat());
    let held = run(&["hold", "3", "-n", "2", "--seconds", "600", "--reference", "payment 17", "--json"]).ok().json();
    let id = held["id"].as_str().unwrap().to_owned();
    assert_eq!((held["status"].as_str(), held["held_by_shop"].as_bool()), (Some("held"), Some(true)), "{held}");
    let shown = dir.run(&["order", &id, "--server", &shop.url]).ok().out;
    assert!(shown.contains("held") && shown.contains("Held until") && shown.contains("payment 17"), "{shown}");
    // Whoever knows the id only does not place it.
    dir.run(&["confirm", &id, "--server", &shop.url]).failed(1, &["only the shop places it"]);
    let again = run(&["hold", "3", "-n", "2", "--order-id", &id]).ok().out;
    assert!(again.contains("held before") && again.contains("bookstore confirm"), "{again}");
    assert!(run(&["confirm", &id]).ok().out.contains("placed"));
    assert!(run(&["fulfil", &id]).ok().out.contains("Handed over"));
    assert!(run(&["fulfil", &id]).ok().out.contains("before"));
    run(&["cancel", &id]).failed(1, &["handed over already"]);
    let back = run(&["return", &id, "3"]).ok().out;
    assert!(back.contains("1 of book 3 came back"), "{back}");
    run(&["return", &id, "3", "-n", "2"]).failed(1, &["1 copies of book 3 can come back"]);
}

#[test]
fn buyers_hold_only_where_the_shop_lets_them() {
    let dir = Dir::new();
    let shop = dir.monolith();
    dir.run(&["hold", "3", "--server", &shop.url]).failed(1, &["--public-holds"]);
    drop(shop);
    let dir = Dir::new();
    let shop = dir.serve(&["monolith", "--public-holds"]);
    let held = dir.run(&["hold", "3", "--json", "--server", &shop.url]).ok().json();
    let id = held["id"].as_str().unwrap();
    dir.run(&["hold", "3", "--seconds", "901", "--server", &shop.url]).failed(1, &["1 to 900"]);
    let confirmed = dir.run(&["confirm", id, "--server", &shop.url]).ok().out;
    assert!(confirmed.contains("placed"), "{confirmed}");
}

#[test]
fn an_id_that_was_given_up_never_buys() {
    let dir = Dir::new();
    let shop = dir.monolith();
    let id = "0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55";
    dir.run(&["cancel", id, "--server", &shop.url]).failed(1, &["no order"]);
    let voided = dir.run(&["cancel", id, "--void", "--server", &shop.url]).ok().out;
    assert!(voided.contains("voided"), "{voided}");
    dir.run(&["buy", "3", "--order-id", id, "--server", &shop.url]).failed(1, &["given up", "Nothing was bought"]);
    let orders = dir.run(&["orders", "--server", &shop.url, ADMIN[0], ADMIN[1]]).ok().out;
    assert!(orders.contains("No orders yet"), "{orders}");
}
