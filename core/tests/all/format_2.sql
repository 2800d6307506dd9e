-- A ledger as format 2 had it: two books, an order of both, a cancelled order, a restock under a key, a new price.
PRAGMA journal_mode = wal;
PRAGMA application_id = 1112493899;
PRAGMA user_version = 2;
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    role TEXT NOT NULL CHECK (role IN ('ledger', 'copy')),
    ledger BLOB,
    applied INTEGER NOT NULL
) STRICT;
CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 5),
    key BLOB,
    changes TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX ledger_key ON ledger (key, kind) WHERE key IS NOT NULL;
CREATE TABLE book (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL COLLATE NOCASE,
    author TEXT NOT NULL,
    topic TEXT NOT NULL COLLATE NOCASE,
    isbn TEXT,
    year INTEGER,
    subjects TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0)
) STRICT;
CREATE INDEX book_topic ON book (topic, id);
CREATE INDEX book_title ON book (title, id);
CREATE INDEX book_price ON book (price_cents, id);
CREATE INDEX book_newest ON book (ifnull(-year, 10000), id);
CREATE VIRTUAL TABLE book_fts USING fts5 (
    title, author, subjects,
    content = '', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE TABLE stock (
    row INTEGER PRIMARY KEY,
    levels BLOB NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 'ledger', x'01a22a1b2c8a7032b85e75ed37d79c4b', 0);
INSERT INTO ledger VALUES
    (1, 1796002753731, 5, NULL, '[[1,3,1500,3]]'),
    (2, 1796002753731, 5, NULL, '[[2,1,999,1]]'),
    (3, 1796002753740, 1, x'01a22a1b2c8a7032b85e75ed37d70001', '[[1,-2,1500,1],[2,-1,999,0]]'),
    (4, 1796002753741, 1, x'01a22a1b2c8a7032b85e75ed37d70002', '[[1,-1,1500,0]]'),
    (5, 1796002753742, 2, x'01a22a1b2c8a7032b85e75ed37d70002', '[[1,1,1500,1]]'),
    (6, 1796002753743, 3, x'01a22a1b2c8a7032b85e75ed37d70003', '[[2,5,999,5]]'),
    (7, 1796002753744, 4, NULL, '[[2,0,1099,5]]');
INSERT INTO book VALUES
    (1, 'Paxos Made Simple' || char(31) || 'Leslie Lamport' || char(31) || '2001', 'Paxos Made Simple', 'Leslie Lamport',
        'consensus', NULL, 2001, '[]', 1500),
    (2, '9780306406157', 'The Last Copy', 'A. Author', 'races', '9780306406157', NULL, '["concurrency","stock"]', 1099);
INSERT INTO book_fts (rowid, title, author, subjects) VALUES
    (1, 'Paxos Made Simple', 'Leslie Lamport', ''),
    (2, 'The Last Copy', 'A. Author', 'concurrency' || ' ' || char(10) || ' ' || 'stock');
