//! Amounts, ids, tokens, and the types that travel: exact, or refused.

use bookstore_core::{
    Added, Amend, Book, BookId, BookPage, BookText, Cents, Change, Condition, Currency, Entries, Entry, Error, Facet,
    InlineList, Isbn, Kind, LedgerIdentity, Line, Lines, NewBook, Order, OrderId, OrderPage, OrderQuery, Period, Query,
    Receipt, Seq, Sort, Text, Timestamp, Topic,
    error::Shortage,
    fixtures::{book, isbn},
    history::Hash,
    ledger::Details,
    page::{FacetCount, Facets, Position, terms},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use uuid::Uuid;

const EXACT: u64 = (1 << 53) - 1;

fn cents() -> impl Strategy<Value = Cents> {
    (0..=EXACT).prop_map(|cents| Cents::new(cents).expect("within the limit"))
}

fn ids() -> impl Strategy<Value = OrderId> {
    any::<u128>().prop_map(|id| OrderId(Uuid::from_u128(id)))
}

/// What RFC 3339 can say: the years 0 to 9999.
fn times() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200_000..253_402_207_200_000_i64).prop_map(Timestamp)
}

fn texts() -> impl Strategy<Value = BookText> {
    let year = option::of(any::<i32>());
    let isbn = (0..1_000_000_000_u64).prop_map(isbn);
    let before = (any::<String>(), authors(), any::<String>(), option::of(isbn), year, vec(any::<String>(), 0..4));
    let short = || any::<String>();
    (before, [short(), short(), short(), short(), short(), short()], select(&Condition::ALL[..])).prop_map(
        |((title, authors, topic, isbn, year, subjects), later, condition)| {
            let [subtitle, sku, publisher, language, format, description] = later;
            BookText {
                title,
                authors,
                topic,
                isbn,
                year,
                subjects,
                subtitle,
                sku,
                condition,
                publisher,
                language,
                format,
                description,
            }
        },
    )
}

/// Names without semicolons.
fn authors() -> impl Strategy<Value = Vec<String>> {
    let name = any::<String>().prop_map(|name| name.replace(';', ",").trim().to_owned());
    vec(name.prop_filter("a name", |name| !name.is_empty()), 0..3)
}

fn lines() -> impl Strategy<Value = Lines> {
    let line = (any::<u64>(), 1..=1000_u32, option::of(cents()));
    vec(line, 1..=100).prop_filter_map("two prices for one book", |lines| {
        let line = |(book, quantity, price_cents)| Line { book: BookId(book), quantity, price_cents };
        Lines::new(lines.into_iter().map(line)).ok()
    })
}

fn entries() -> impl Strategy<Value = Entry> {
    let kind = select(&Kind::ALL[..]);
    let change = (any::<u64>(), any::<i64>(), cents(), any::<u32>())
        .prop_map(|(book, delta, price_cents, stock)| Change { book: BookId(book), delta, price_cents, stock });
    let entry = (any::<u64>(), times(), kind, option::of(ids()), vec(change, 0..5), option::of(details()));
    entry.prop_map(|(seq, at, kind, key, changes, details)| {
        let details = details.filter(|details| *details != Details::default()).map(Box::new);
        Entry { seq: Seq(seq), at, kind, key, changes: changes.into(), text: None, details }
    })
}

fn details() -> impl Strategy<Value = Details> {
    let reference = option::of("[^\\p{C}]{1,200}".prop_map(|text| text.parse().expect("a reference")));
    let actor = option::of("[a-z0-9._-]{1,64}".prop_map(|text| text.parse().expect("an actor")));
    let text_version = option::of(any::<u64>().prop_map(Seq));
    (option::of(ids()), option::of(times()), reference, actor, text_version, any::<bool>()).prop_map(
        |(order, expires_at, reference, actor, text_version, withdrawn)| Details {
            order,
            expires_at,
            reference,
            actor,
            text_version,
            withdrawn,
        },
    )
}

/// Orders as any entries of their own may have made them.
fn orders() -> impl Strategy<Value = Order> {
    let begun = select(&[Kind::Sale, Kind::Hold, Kind::Void][..]);
    let sold = vec((any::<u64>(), 1..=1000_u32, 0..1_000_000_u64), 1..5);
    (ids(), begun, sold, entries(), vec(entries(), 0..5)).prop_map(|(id, kind, sold, first, later)| {
        let change = |(book, quantity, price)| Change {
            book: BookId(book),
            delta: -i64::from(quantity),
            price_cents: Cents::new(price).expect("small"),
            stock: 0,
        };
        let changes = sold.into_iter().map(change).collect();
        let begun = Entry { kind, key: Some(id), changes, ..first }.order().expect("an order");
        later.iter().fold(begun, Order::after)
    })
}

fn amends() -> impl Strategy<Value = Amend> {
    let set = (option::of(cents()), option::of(any::<u32>()), option::of(any::<u64>().prop_map(Seq)))
        .prop_map(|(price_cents, stock, version)| Amend::Set { price_cents, stock, version });
    let revise = (texts(), option::of(any::<u64>().prop_map(Seq)))
        .prop_map(|(text, text_version)| Amend::Revise { text: Box::new(text), text_version });
    let sale = select(&[Amend::Withdraw, Amend::Relist][..]);
    prop_oneof![any::<i64>().prop_map(|delta| Amend::StockDelta { delta }), set, revise, sale]
}

fn errors() -> impl Strategy<Value = Error> {
    let book = || any::<u64>().prop_map(BookId);
    let message = any::<String>;
    prop_oneof![
        (book(), any::<u32>()).prop_map(|(book, available)| Error::OutOfStock { book, available, short: Vec::new() }),
        book().prop_map(|book| Error::BookNotFound { book }),
        ids().prop_map(|order| Error::OrderNotFound { order }),
        ids().prop_map(|order| Error::OrderIdReused { order }),
        vec((book(), any::<u32>()), 2..4).prop_map(|short| {
            Error::out_of_stock(short.into_iter().map(|(book, available)| Shortage { book, available }))
        }),
        (0..6_u8, orders()).prop_map(|(which, order)| {
            let order = Box::new(order);
            match which {
                0 => Error::OrderCancelled { order },
                1 => Error::OrderLapsed { order },
                2 => Error::OrderVoided { order },
                3 => Error::OrderFulfilled { order },
                4 => Error::OrderHeld { order },
                _ => Error::HoldChanged { order },
            }
        }),
        (book(), cents()).prop_map(|(book, price_cents)| Error::PriceChanged { book, price_cents }),
        (book(), any::<u64>()).prop_map(|(book, version)| Error::VersionMismatch { book, version: Seq(version) }),
        (book(), any::<u64>())
            .prop_map(|(book, version)| Error::TextVersionMismatch { book, text_version: Seq(version) }),
        book().prop_map(|book| Error::BookWithdrawn { book }),
        book().prop_map(|book| Error::BookExists { book }),
        Just(Error::VersionRequired),
        (message(), message()).prop_map(|(field, message)| Error::Invalid { field, message }),
        message().prop_map(|message| Error::Malformed { message }),
        message().prop_map(|message| Error::Unauthorized { message }),
        message().prop_map(|message| Error::Forbidden { message }),
        message().prop_map(|message| Error::Overloaded { message }),
        message().prop_map(|message| Error::Unavailable { message }),
        message().prop_map(|message| Error::DeadlineExpired { message }),
        (message(), option::of(ids())).prop_map(|(message, order)| Error::OutcomeUnknown { message, order }),
    ]
}

fn queries() -> impl Strategy<Value = Query> {
    let text = || option::of(any::<String>());
    let sort = prop::sample::select(&Sort::ALL[..]);
    let facets = prop::sample::subsequence(&Facet::ALL[..], 0..=3);
    let filters = (any::<bool>(), option::of(prop::sample::select(&Period::ALL[..])));
    let ranges = (option::of(cents()), option::of(cents()), option::of(any::<i32>()), option::of(any::<i32>()));
    ((text(), text(), text()), filters, ranges, facets, sort, option::of(any::<u32>()), text()).prop_map(
        |(
            (words, topic, author),
            (in_stock, sold),
            (price_min, price_max, year_min, year_max),
            facets,
            sort,
            page_size,
            page_token,
        )| {
            Query {
                words,
                topic,
                author,
                in_stock,
                price_min,
                price_max,
                year_min,
                year_max,
                sold,
                facets,
                sort,
                page_size,
                page_token,
            }
        },
    )
}

#[track_caller]
fn assert_travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).expect("it can be written");
    let back: T = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json} cannot be read: {error}"));
    assert_eq!(&back, value, "{json}");
    // A body that has passed through a generic JSON value is the same.
    let value_of: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(&serde_json::from_value::<T>(value_of).expect("the same"), value);
}

#[track_caller]
fn assert_one_piece(text: &BookText) {
    let BookText { title, authors, topic, isbn, year, subjects, subtitle, sku, condition, .. } = text;
    let piece = Text::from(text);
    assert_eq!((piece.title(), piece.author(), piece.topic()), (&**title, &*text.author(), &**topic));
    assert_eq!((piece.isbn(), piece.year(), piece.condition()), (*isbn, *year, *condition));
    assert_eq!((piece.subtitle(), piece.sku()), (&**subtitle, &**sku));
    assert_eq!((piece.publisher(), piece.language()), (&*text.publisher, &*text.language));
    assert_eq!((piece.format(), piece.description()), (&*text.format, &*text.description));
    assert!(piece.subjects().eq(subjects) && piece.authors().eq(authors), "{piece:?}");
    assert_eq!(&BookText::from(&piece), text);
    assert_eq!(format!("{piece:?}"), format!("{text:?}"));
    let json = serde_json::to_string(text).expect("JSON");
    assert_eq!(serde_json::to_string(&piece).expect("JSON"), json);
    assert_eq!(serde_json::from_str::<Text>(&json).expect("a text"), piece);
}

#[test]
fn a_text_in_one_piece_is_the_same_whatever_its_length() {
    assert_one_piece(&BookText::default());
    for length in [1, 63, 64, 65, 4095, 4096, 4097, 262_143, 262_144, 1_000_000] {
        let long = |letter: &str| letter.repeat(length / letter.len());
        let subjects = vec![long("s"), String::new(), long("書"), long("\u{0}")];
        let (title, topic, description) = (long("="), long("ß"), long("書"));
        let text =
            BookText { title, topic, isbn: Some(isbn(1)), year: Some(i32::MIN), subjects, ..BookText::default() };
        assert_one_piece(&BookText { description, ..text });
    }
}

#[test]
fn a_text_s_fields_do_not_run_into_each_other() {
    let titled = |title: &str, author: &str| {
        Text::from(BookText { title: title.into(), authors: vec![author.into()], ..BookText::default() })
    };
    assert_ne!(titled("ab", "c"), titled("a", "bc"));
    assert_ne!(Text::from(BookText { isbn: Some(isbn(0)), ..BookText::default() }), titled("", ""));
    assert_ne!(Text::from(BookText { subjects: vec![String::new()], ..BookText::default() }), titled("", ""));
    assert_ne!(Text::from(BookText { year: Some(0), ..BookText::default() }), titled("", ""));
}

/// Letters, marks and spaces of many kinds, those that are not seen among them.
fn letters() -> impl Strategy<Value = String> {
    const LETTERS: [char; 20] = [
        'a', 'e', ' ', '\t', '\u{301}', '\u{327}', 'é', '\u{212a}', '\u{2126}', '\u{200b}', '\u{200c}', '\u{200d}',
        '\u{ad}', '\u{feff}', '\u{a0}', 'ی', '\u{1100}', '\u{1161}', '\u{958}', '📚',
    ];
    vec(prop_oneof![9 => prop::sample::select(&LETTERS[..]), 1 => any::<char>()], 1..12).prop_map(String::from_iter)
}

/// The field that a call was refused for.
fn refused_field<T>(outcome: Result<T, Error>) -> Option<String> {
    match outcome {
        Err(Error::Invalid { field, .. }) => Some(field),
        _ => None,
    }
}

proptest! {
    #[test]
    fn what_travels_arrives(
        (entry, order, error) in (entries(), orders(), errors()),
        (lines, change) in (lines(), amends()),
        (text, price_cents, stock, number) in (texts(), cents(), any::<u32>(), any::<u64>()),
        (replayed, token, query) in (any::<bool>(), option::of(any::<String>()), queries()),
    ) {
        assert_travels(&error);
        assert_travels(&lines);
        assert_travels(&change);
        assert_travels(&NewBook { text: text.clone(), price_cents, stock });
        assert_travels(&query);
        assert_travels(&OrderQuery { page_size: query.page_size, page_token: token.clone(), ..OrderQuery::default() });
        assert_travels(&Receipt { order: order.clone(), replayed });
        assert_travels(&OrderPage { orders: vec![order.clone()], next_page_token: token.clone() });
        let id = Uuid::from_u128(number.into());
        let hash = Hash::EMPTY.after([&entry]);
        let (identity, head) = (LedgerIdentity::new(id, id), Seq(number));
        assert_travels(&Entries { identity, incarnation: id, head, before: Some(hash), entries: vec![entry], batch_ends: vec![head], after: hash });
        assert_travels(&Topic { topic: text.title.clone(), books: number });
        assert_travels(&Added { id: BookId(number), created: replayed });
        let (version, text_version) = (Seq(number), Seq(number / 2));
        let book = Book { id: BookId(number), text: text.into(), price_cents, stock, version, text_version, on_sale: replayed };
        let count = FacetCount { value: "ledger".into(), books: number };
        let facets = Some(Facets { topic: Some(vec![count]), author: None, year: Some(Vec::new()) });
        let did_you_mean = Some("ledger".into());
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut to = b" ".to_vec();
            write(&mut to);
            String::from_utf8(to)
        };
        prop_assert_eq!(written(&|to| book.write_json(to)), Ok(format!(" {}", serde_json::to_string(&book).expect("JSON"))));
        let plain = Order { cancelled_at: None, details: None, ..order.clone() };
        for order in [&order, &plain] {
            prop_assert_eq!(written(&|to| order.write_json(to)), Ok(format!(" {}", serde_json::to_string(order).expect("JSON"))));
        }
        assert_travels(&BookPage { books: vec![book], next_page_token: token, total: number, facets, did_you_mean });
    }

    #[test]
    fn a_text_in_one_piece_is_the_same(text in texts(), other in texts()) {
        prop_assert_eq!(&Text::from(&text), &Text::from(text.clone()));
        prop_assert_eq!(Text::from(&text) == Text::from(&other), text == other);
        assert_one_piece(&text);
    }

    #[test]
    fn amounts_never_overflow(a in 0..=EXACT, b in 0..=EXACT, quantity in any::<u32>(), any in any::<u64>()) {
        let (x, y) = (Cents::new(a).expect("exact"), Cents::new(b).expect("exact"));
        let exact = |sum: u128| u64::try_from(sum).ok().filter(|sum| *sum <= EXACT);
        prop_assert_eq!(x.plus(y).map(Cents::get), exact(u128::from(a) + u128::from(b)));
        prop_assert_eq!(x.times(quantity).map(Cents::get), exact(u128::from(a) * u128::from(quantity)));
        prop_assert_eq!(Cents::new(any).is_ok(), any <= EXACT);
        prop_assert_eq!(serde_json::from_str::<Cents>(&any.to_string()).is_ok(), any <= EXACT);
        prop_assert_eq!(x.to_string(), format!("{a} cents"));
        prop_assert_eq!(Currency::USD.plain(x), format!("{}.{:02}", a / 100, a % 100));
        prop_assert_eq!(Currency::USD.read(&Currency::USD.plain(x)), Ok(x));
    }

    #[test]
    fn lines_are_sorted_summed_and_within_their_limits(
        asked in vec((0..5_u64, 0..1100_u32, option::weighted(0.2, 0..2_u64)), 0..110),
    ) {
        let line = |&(book, quantity, price): &(u64, u32, Option<u64>)| {
            let price_cents = price.map(|price| Cents::new(price).expect("small"));
            Line { book: BookId(book), quantity, price_cents }
        };
        let sum = |book| asked.iter().filter(|line| line.0 == book).map(|line| line.1).sum::<u32>();
        match Lines::new(asked.iter().map(line)) {
            Ok(lines) => {
                let found: Vec<_> = lines.iter().map(|line| (line.book.0, line.quantity)).collect();
                let expected: Vec<_> = (0..5).map(|book| (book, sum(book))).filter(|(_, sum)| *sum > 0).collect();
                prop_assert_eq!(found, expected);
                prop_assert!((1..=100).contains(&asked.len()));
                assert_travels(&lines);
            }
            Err(Error::Invalid { field, .. }) => {
                let of = |book| asked.iter().filter(move |line| line.0 == book).map(|line| line.2);
                let disagree = |book| of(book).any(|price| Some(price) != of(book).next());
                prop_assert!(match field.as_str() {
                    "lines" => asked.is_empty() || asked.len() > 100,
                    "quantity" => asked.iter().any(|line| !(1..=1000).contains(&line.1)) || (0..5).any(|book| sum(book) > 1000),
                    "price_cents" => (0..5).any(disagree),
                    _ => false,
                }, "{} for {:?}", field, asked);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_key_is_one_order_id(key in any::<String>(), other in "[ -~]{1,40}", id in any::<u128>()) {
        let good = !key.is_empty() && key.chars().count() <= 255 && !key.chars().any(char::is_control);
        let from_key = OrderId::from_key(&key);
        prop_assert_eq!(from_key.is_ok(), good, "{:?}", key);
        prop_assert_eq!(&from_key, &OrderId::from_key(&key));
        let hashed = OrderId::from_key(&other).expect("printable");
        if let Ok(one) = from_key {
            prop_assert_eq!(one == hashed, key == other);
        }
        let id = OrderId(Uuid::from_u128(id.clamp(1, u128::MAX - 1)));
        prop_assert_eq!(OrderId::from_key(&id.to_string()), Ok(id));
        prop_assert_eq!(OrderId::from_key(&id.to_string().to_uppercase()), Ok(id));
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn ids_are_read_or_refused(text in any::<String>(), number in any::<u64>()) {
        prop_assert_eq!(number.to_string().parse(), Ok(BookId(number)));
        let _ = (text.parse::<BookId>(), text.parse::<OrderId>());
    }

    #[test]
    fn a_strange_token_is_refused(text in any::<String>(), query in queries(), json in "[\\[{]?[0-9a-z\",.:\\[\\]{}-]{0,40}") {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        for token in [text, URL_SAFE_NO_PAD.encode(&json), URL_SAFE_NO_PAD.encode(format!("[2166136261,{json}]"))] {
            let query = Query { sort: query.sort, page_token: Some(token.clone()), ..Query::default() };
            prop_assert_eq!(refused_field(query.check()), Some("page_token".to_owned()));
            let orders = OrderQuery { page_token: Some(token), ..OrderQuery::default() };
            prop_assert_eq!(refused_field(orders.check()), Some("page_token".to_owned()));
        }
    }

    #[test]
    fn a_text_has_one_normal_form(title in letters()) {
        let checked = |title: &str| NewBook { text: BookText { title: title.into(), ..book("", 1).text }, ..book("", 1) }.checked();
        if let Ok(once) = checked(&title) {
            let twice = checked(&once.text.title);
            prop_assert_eq!(twice.as_ref(), Ok(&once));
        }
    }

    #[test]
    fn an_isbn_is_read_back_or_refused(n in 0..1_000_000_000_u64, digit in 0..10_u8, text in any::<String>()) {
        let isbn = isbn(n);
        prop_assert_eq!(isbn.to_string().parse(), Ok(isbn));
        let other = format!("978{n:09}{digit}");
        prop_assert_eq!(other.parse::<Isbn>().is_ok(), other == isbn.digits());
        let _ = Isbn::read(&text);
    }

    #[test]
    fn a_query_is_checked(query in queries()) {
        match query.check() {
            Ok(checked) => prop_assert!((1..=100).contains(&checked.size)),
            Err(Error::Invalid { field, .. }) => {
                let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > 200);
                let right = match field.as_str() {
                    "q" => long(&query.words),
                    "topic" => long(&query.topic),
                    "page_size" => !(1..=100).contains(&query.page_size.unwrap_or(20)),
                    "page_token" => query.page_token.is_some(),
                    _ => false,
                };
                prop_assert!(right, "{} in {:?}", field, query);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn a_token_leads_back_to_its_place(key in any::<i64>(), id in any::<u64>(), query in queries(), other in queries()) {
        let query = Query { page_size: None, page_token: None, ..query };
        let other = Query { page_size: None, page_token: None, ..other };
        prop_assume!(query.check().is_ok() && other.check().is_ok());
        let place = Position { key, id: BookId(id) };
        let token = query.check().expect("good").token(place);
        let next = Query { page_token: Some(token.clone()), ..query.clone() };
        let after = next.check().expect("its own token").after.expect("a place");
        // The place of a title is looked up again.
        prop_assert!(token.len() < 100 && after.id == place.id && (after.key == place.key || query.sort == Sort::Title));
        let same = |query: &Query| {
            let checked = query.check().expect("good");
            (checked.text, checked.filter, checked.sort)
        };
        let stray = Query { page_token: Some(token), ..other.clone() };
        prop_assert_eq!(stray.check().is_ok(), same(&other) == same(&query));
    }

    #[test]
    fn terms_are_words_in_lower_case(text in any::<String>()) {
        for term in terms(&text) {
            prop_assert!(!term.is_empty());
            prop_assert!(!term.contains([' ', '"', '*', '%', '\0', '(', ')', '-', ':', '^', '\'']), "{:?}", term);
        }
    }

    #[test]
    fn a_moment_is_written_and_read_exactly(time in times()) {
        assert_travels(&time);
    }
}

#[test]
fn a_hundred_lines_travel_and_one_more_is_refused() {
    let line = |n: usize| serde_json::json!({"book": n, "quantity": 1});
    let json = |count| serde_json::Value::Array((0..count).map(line).collect());
    assert_eq!(serde_json::from_value::<Lines>(json(100)).expect("a hundred").iter().count(), 100);
    let refused = serde_json::from_value::<Lines>(json(101)).expect_err("one too many");
    assert!(refused.to_string().contains("at most 100 lines"), "{refused}");
    let of_one_book = serde_json::json!([{"book": 1, "quantity": 600}, {"book": 1, "quantity": 600}]);
    assert!(serde_json::from_value::<Lines>(of_one_book).is_err(), "1200 copies of one book, in two lines");
    assert!(serde_json::from_value::<Lines>(serde_json::json!([])).is_err());
    assert!(serde_json::from_value::<Lines>(serde_json::json!([{"book": 1, "quantity": 0}])).is_err());
}

#[test]
fn a_page_of_orders_ends_where_the_next_begins() {
    let sale = |seq| Entry {
        seq: Seq(seq),
        at: Timestamp(0),
        kind: Kind::Sale,
        key: Some(OrderId(Uuid::from_u128(seq.into()))),
        changes: [Change { book: BookId(1), delta: -1, price_cents: Cents::ZERO, stock: 0 }].into_iter().collect(),
        text: None,
        details: None,
    };
    let orders: Vec<Order> = [9, 7, 4].map(|seq| sale(seq).order().expect("a sale")).into();
    let page = |query: OrderQuery, orders: &[Order]| {
        let scan = query.check().expect("a good query");
        let older = orders.iter().filter(|order| scan.before().is_none_or(|before| order.seq < before));
        let now = |id| Ok::<_, ()>(orders.iter().find(|order| order.id == id).cloned());
        scan.page(scan.run(older.cloned().map(Ok), now, |_| Ok(None)).expect("there are no errors"))
    };
    let query = |page_size, page_token| OrderQuery { page_size: Some(page_size), page_token, ..OrderQuery::default() };
    let first = page(query(2, None), &orders);
    assert_eq!(first.orders, orders[..2]);
    let next = query(2, first.next_page_token.clone());
    assert_eq!(page(next.clone(), &orders), OrderPage { orders: orders[2..].into(), next_page_token: None });
    let other = OrderQuery { book: Some(BookId(1)), ..next };
    assert!(other.check().is_err(), "a token is good for its own query only");
    for all in [orders, Vec::new()] {
        assert_eq!(page(query(3, None), &all), OrderPage { orders: all, next_page_token: None });
    }
    // Looking in vain ends somewhere, and goes on from there.
    let many: Vec<Order> = (1..=25_000).rev().map(|seq| sale(seq).order().expect("a sale")).collect();
    let (mut query, mut pages) = (OrderQuery { from: Some(Timestamp(1)), ..OrderQuery::default() }, 1);
    while let OrderPage { orders, next_page_token: Some(token) } = page(query.clone(), &many) {
        assert!(orders.is_empty());
        (query.page_token, pages) = (Some(token), pages + 1);
    }
    assert_eq!(pages, 3);
}

#[test]
fn a_key_has_one_to_255_characters_none_of_them_control() {
    let refused = |key: &str| matches!(OrderId::from_key(key), Err(Error::Malformed { .. }));
    // Characters, not bytes.
    assert!(!refused(&"k".repeat(255)) && !refused(&"\u{e9}".repeat(255)));
    assert!(refused(&"k".repeat(256)) && refused(&"k".repeat(1000)));
    assert!(refused("") && refused("a\tb") && refused("\u{85}"));
    assert!(!refused(" "));
}

#[test]
fn an_id_that_names_nothing_is_refused_in_words() {
    for id in [Uuid::nil(), Uuid::max()] {
        for text in [id.to_string(), id.simple().to_string(), id.urn().to_string().to_uppercase()] {
            for read in [text.parse::<OrderId>(), OrderId::from_key(&text)] {
                let refused = read.expect_err("it names nothing").to_string();
                assert!(refused.contains("nil") && refused.contains("version 4 or 7"), "{refused}");
            }
        }
    }
}

#[test]
fn random_ids_are_those_of_version_4_and_7() {
    let random = |text: &str| OrderId(text.parse().expect("a UUID")).is_random();
    assert!(random("6f1c0d9e-3b5a-4c27-9d1e-2a7b8c4d5e6f") && random("0192f0c1-2345-7abc-8def-0123456789ab"));
    for other in [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "6f1c0d9e-3b5a-1c27-9d1e-2a7b8c4d5e6f",
        "6f1c0d9e-3b5a-5c27-9d1e-2a7b8c4d5e6f",
        "6f1c0d9e-3b5a-8c27-9d1e-2a7b8c4d5e6f",
        // Version 4 and 7 of other variants.
        "6f1c0d9e-3b5a-4c27-1d1e-2a7b8c4d5e6f",
        "0192f0c1-2345-7abc-cdef-0123456789ab",
    ] {
        assert!(!random(other), "{other}");
    }
    assert!(!OrderId::from_key("basket 17").expect("a key").is_random());
}

/// The name of an error in JSON is its code, whatever its variant is called in Rust.
#[test]
fn an_errors_tag_is_its_code() {
    let (book, order) = (BookId(1), OrderId(uuid::Uuid::nil()));
    let errors = [
        Error::OutOfStock { book, available: 0, short: Vec::new() },
        Error::BookNotFound { book },
        Error::OrderNotFound { order },
        Error::OrderIdReused { order },
        Error::PriceChanged { book, price_cents: Cents::ZERO },
        Error::VersionMismatch { book, version: Seq(1) },
        Error::VersionRequired,
        Error::invalid("lines", "none"),
        Error::malformed("no JSON"),
        Error::Unauthorized { message: String::new() },
        Error::Forbidden { message: String::new() },
        Error::overloaded("full"),
        Error::unavailable("down"),
        Error::DeadlineExpired { message: String::new() },
        Error::unknown("reset"),
    ];
    for error in errors {
        let json = serde_json::to_value(&error).expect("an error is JSON");
        assert_eq!(json["code"], error.code());
    }
}

#[test]
fn an_inline_list_is_a_sequence() {
    for list in [vec![], vec![7], vec![7, 8, 9]] {
        let json = serde_json::to_string(&list).expect("JSON");
        let inline = InlineList::from(list.clone());
        assert_eq!(serde_json::to_string(&inline).expect("JSON"), json);
        assert_eq!(serde_json::from_str::<InlineList<u32>>(&json).expect("a sequence"), inline);
        assert_eq!((inline.len(), format!("{inline:?}")), (list.len(), format!("{list:?}")));
        assert_eq!(InlineList::from_slice(&list), inline);
        assert_eq!(inline.into_iter().collect::<Vec<_>>(), list);
    }
}

#[test]
fn an_unknown_outcome_names_its_order_where_it_is_known() {
    let (id, other) = (OrderId(Uuid::from_u128(7)), OrderId(Uuid::from_u128(8)));
    let plain = Error::unknown("lost");
    assert_eq!(serde_json::to_string(&plain).expect("JSON"), r#"{"code":"unknown-outcome","message":"lost"}"#);
    let named = plain.for_order(id);
    let json = r#"{"code":"unknown-outcome","message":"lost","order":"00000000-0000-0000-0000-000000000007"}"#;
    assert_eq!(serde_json::to_string(&named).expect("JSON"), json);
    assert_eq!(named.clone().for_order(other), named, "the first name stays");
    let refused = Error::unavailable("closed");
    assert_eq!(refused.clone().for_order(id), refused);
}
