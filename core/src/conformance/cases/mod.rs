//! The cases, and the table of them.
//!
//! A case gets a [`Deployment`] with an empty ledger, so it knows the number of every book and of every entry. It
//! asserts what the documentation of the two traits promises, and nothing that a right implementation could do
//! otherwise. It must pass with every call that has a key sent twice; [`Deployment::repeats`] says if that is so, as
//! `replayed` and `created` then differ.
//!
//! Cases share no state. They run one after the other, and each may use as many tasks as it likes.

// A case that is missing in the table is dead code.
#![deny(dead_code)]

mod amends;
mod cancels;
mod changes;
mod contacts;
mod ledger;
mod listing;
mod orders;
mod paging;
mod purchases;
mod races;
mod search;
mod support;
mod texts;

use std::{future::Future, pin::Pin};

use super::deployment::Deployment;

/// One case. It panics if a promise is broken, with a message that says what was expected and what was found.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, `module::promise`.
    pub name: &'static str,
    /// Runs it on a deployment of its own.
    pub run: fn(Deployment) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Makes [`CASES`] from the names of modules and functions. A name that is no function does not compile, and neither
/// does a function without a name in the table.
macro_rules! cases {
    ($($module:ident { $($case:ident)* })*) => {
        /// Every case.
        pub const CASES: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($module), "::", stringify!($case)),
                run: |deployment| Box::pin($module::$case(deployment)),
            },
        )*)*];
    };
}

cases! {
    listing {
        numbers_books_and_keeps_their_text
        leaves_listed_books_as_they_are
        identifies_a_book_by_isbn_or_else_by_title_author_and_year
        identifies_a_book_by_its_article_number_and_condition
        keeps_texts_in_their_normal_form
        rejects_the_whole_list_for_one_bad_book
        accepts_fields_at_their_limits
        accepts_as_many_books_as_the_limit
        does_not_find_unknown_books
        reads_several_books
        quotes_without_selling
    }
    search {
        finds_by_topic
        finds_by_beginnings_of_words
        finds_only_what_has_all_words
        finds_by_words_within_a_topic
        ranks_title_over_author_over_subjects
        finds_each_author_and_the_later_fields
        takes_query_syntax_as_plain_words
        finds_nothing_by_punctuation
        rejects_what_is_too_long
        filters_by_what_a_book_is_now
        counts_what_is_found
        lists_best_sellers
        suggests_what_begins_so
        shows_current_price_and_stock
        counts_topics
    }
    paging {
        shows_every_book_once_in_every_sort
        sorts_as_asked
        ends_without_an_empty_page
        pages_through_long_titles
        rejects_invalid_tokens
        rejects_page_sizes_out_of_range
        shows_every_topic_once_in_every_sort
        rejects_bad_queries_for_topics
        ends_pages_of_long_texts_early
    }
    purchases {
        sells_one_line
        sells_many_lines_sorted
        answers_each_call_of_a_batch
        sums_lines_of_one_book
        sells_all_or_nothing
        refuses_unknown_books
        replays_the_same_lines
        refuses_other_lines_under_the_same_id
        allows_a_refused_id_again
        sells_only_at_the_price_that_was_seen
        refuses_a_total_that_is_too_large
        sells_a_hundred_lines
        sells_the_last_copy
        refuses_ids_that_name_nothing
    }
    cancels {
        puts_copies_back
        cancels_once
        refuses_unknown_orders
        refuse_a_later_purchase_under_the_id
        returns_at_the_price_of_the_sale
        may_exceed_the_stock_limit
    }
    changes {
        of_an_unknown_order
        of_a_held_order
        of_a_placed_order
        of_a_fulfilled_order
        of_a_cancelled_order
        of_a_voided_order
        of_a_lapsed_order
        refuses_ids_in_other_use
        holds_the_price
        keeps_held_copies_for_their_order
        lets_only_the_shop_place_what_it_holds
        limits_holds
        takes_some_copies_back
        race_for_the_last_copies
    }
    contacts {
        are_kept_with_their_order
        are_not_changed_by_a_repetition
        are_corrected_without_an_entry
        are_erased_for_good
        erases_nothing_where_nothing_is
        are_the_buyers_while_the_order_is_open
        are_no_part_of_the_ledger
    }
    amends {
        adds_and_takes_copies
        never_goes_below_zero
        limits_the_stock
        with_a_key_happens_once
        refuses_a_key_of_something_else
        refuses_to_change_nothing
        sets_with_the_version_seen
        needs_a_version_for_stock
        sets_a_price_without_a_version
        refuses_unknown_books
        keeps_the_actor
    }
    texts {
        replace_every_field
        are_guarded_by_their_own_version
        are_revised_once_under_a_key
        lead_from_earlier_identities_to_the_book
        refuse_the_identity_of_another_book
        are_found_as_they_are_now
        are_in_the_feed
        of_withdrawn_books_are_in_no_list
        of_withdrawn_books_sell_nothing_more
        of_books_are_withdrawn_and_relisted_once
    }
    ledger {
        is_dense_and_ordered
        has_one_currency
        records_each_kind
        limits_a_page
        wakes_a_waiting_call
        ends_a_wait
        sums_up_to_the_stock
        finds_orders
    }
    orders {
        reads_its_own_writes
        pages_newest_first
        finds_what_is_looked_for
        rejects_invalid_tokens
    }
    races {
        sell_exactly_the_stock
        with_one_id_buy_once
        with_one_id_and_other_lines_buy_one_of_them
        over_many_books_in_any_order_do_not_deadlock
        of_cancels_return_once
        of_deltas_lose_none
        of_absolute_values_have_one_winner
        of_everything_conserve_stock
    }
}
