//! Which order ids are certainly new, so that a fresh time-ordered id costs no look-up in the store.

use std::collections::BTreeSet;

use crate::{clock::Timestamp, id::OrderId};

/// A filter over the newest keys of a ledger. It answers "certainly new" for nearly every fresh order id of version 7.
///
/// It holds the newest [`RecentKeys::REACH`] to twice as many version 7 ids in two Bloom filters: while one fills, the other one
/// holds those before. A filter may take a new id for a known one, which costs a look-up, but never a known one for a new one.
/// An id of another version, and one older than the filters reach back, is never called new. Ids that are more than an hour ahead of
/// the clock are in a set beside the filters: when these forget one, every id below it has to be looked up, so that a single buyer
/// could slow all others down. Memory: 256 KiB, whatever the ledger's size, and at most 1 MiB for ids that are ahead.
///
/// ```
/// use bookstore_core::{Clock as _, SystemClock, recent_keys::RecentKeys};
///
/// let [stored, fresh] = [(); 2].map(|()| SystemClock.new_order_id());
/// let mut keys = RecentKeys::of(&[stored], SystemClock.now());
/// assert!(!keys.is_new(stored), "the ledger may hold it");
/// assert!(keys.is_new(fresh), "but for one in 500");
/// keys.insert(fresh, SystemClock.now());
/// assert!(!keys.is_new(fresh));
/// ```
#[derive(Debug, Default)]
pub struct RecentKeys {
    /// Every version 7 key of the ledger above this one is in a filter, or in `ahead`.
    above: u128,
    /// Keys that were ahead of the clock when they were taken in; at most [`RecentKeys::REACH`].
    ahead: BTreeSet<u128>,
    filters: Filters,
}

impl RecentKeys {
    /// The number of ids that the filter holds at least.
    pub const REACH: usize = 32_768;

    /// A filter over a ledger's highest keys at the time `now`: highest first, and all of them if they are fewer than
    /// [`RecentKeys::REACH`].
    #[must_use]
    pub fn of(highest: &[OrderId], now: Timestamp) -> Self {
        let mut recent = Self::default();
        if highest.len() >= Self::REACH {
            recent.above = highest.last().map_or(0, |key| key.0.as_u128());
        }
        highest.iter().for_each(|key| recent.insert(*key, now));
        recent
    }

    /// Whether the ledger certainly does not hold this key. If not, the store has to be asked.
    #[must_use]
    pub fn is_new(&self, key: OrderId) -> bool {
        let id = key.0.as_u128();
        let forgotten = id <= self.above || !is_v7(key);
        !forgotten && !self.filters.may_hold(id) && !self.ahead.contains(&id)
    }

    /// Takes in a key that the ledger holds now, at the time `now`. Every appended key MUST be taken in.
    pub fn insert(&mut self, key: OrderId, now: Timestamp) {
        if !is_v7(key) {
            return;
        }
        let id = key.0.as_u128();
        if id > horizon(now) {
            return self.insert_ahead(id);
        }
        if self.filters.newer_len == Self::REACH {
            let forgotten = self.filters.forget_older();
            self.forget_up_to(forgotten);
        }
        self.filters.insert(id);
    }

    fn insert_ahead(&mut self, id: u128) {
        self.ahead.insert(id);
        if self.ahead.len() > Self::REACH
            && let Some(lowest) = self.ahead.pop_first()
        {
            self.forget_up_to(lowest);
        }
    }

    /// Has every id up to this one looked up from now on.
    fn forget_up_to(&mut self, id: u128) {
        self.above = self.above.max(id);
        // Nearly always there is none.
        while self.ahead.first().is_some_and(|lowest| *lowest <= self.above) {
            self.ahead.pop_first();
        }
    }
}

/// How far an id may be ahead of the clock and still go into the filters: machines' clocks differ by less.
const AHEAD_MS: i64 = 60 * 60 * 1000;

/// The highest version 7 id that is not ahead of this time.
fn horizon(now: Timestamp) -> u128 {
    let millis = u128::try_from(now.0.saturating_add(AHEAD_MS)).unwrap_or_default();
    // The time is in the upper 48 bits.
    (millis.min((1 << 48) - 1) << 80) | ((1 << 80) - 1)
}

fn is_v7(key: OrderId) -> bool {
    key.0.get_version_num() == 7
}

/// Two blocked Bloom filters: the bits of one id are in one word of each (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient
/// Bloom Filters", 2007), and these two words lie side by side, so a question costs one memory access instead of six.
#[derive(Debug)]
struct Filters {
    words: Box<[[u64; 2]]>,
    /// Which of the two fills.
    newer: usize,
    /// The ids in it.
    newer_len: usize,
    /// The highest id in each.
    highest: [u128; 2],
}

/// Two ids a word: when a filter is full, about one new id in 500 is taken for a known one.
const WORDS_LOG2: u32 = RecentKeys::REACH.ilog2() - 1;

impl Default for Filters {
    fn default() -> Self {
        Self { words: vec![[0; 2]; 1 << WORDS_LOG2].into(), newer: 0, newer_len: 0, highest: [0; 2] }
    }
}

impl Filters {
    /// An id's word, and its bits there: the same in both filters.
    fn place(id: u128) -> (usize, u64) {
        // An id's lower half is random. The factor (2^64 over the golden ratio) spreads all of it over the upper bits.
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
        let mut hash = (id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut take = |bits: u32| {
            hash = hash.rotate_left(bits);
            hash & ((1 << bits) - 1)
        };
        let word = take(WORDS_LOG2);
        let bits = 1 << take(6) | 1 << take(6) | 1 << take(6);
        (usize::try_from(word).expect("an index"), bits)
    }

    fn may_hold(&self, id: u128) -> bool {
        let (word, bits) = Self::place(id);
        self.words[word].iter().any(|word| word & bits == bits)
    }

    fn insert(&mut self, id: u128) {
        let (word, bits) = Self::place(id);
        self.words[word][self.newer] |= bits;
        self.newer_len += 1;
        self.highest[self.newer] = self.highest[self.newer].max(id);
    }

    /// Empties the older filter, which fills from now on. Returns the highest id that was in it.
    fn forget_older(&mut self) -> u128 {
        self.newer = 1 - self.newer;
        self.newer_len = 0;
        self.words.iter_mut().for_each(|words| words[self.newer] = 0);
        std::mem::take(&mut self.highest[self.newer])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the ids of these tests are taken in.
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// The `n`th id, drawn at most `jitter` milliseconds late.
    fn id(n: u64, jitter: u64) -> OrderId {
        let random = n.wrapping_mul(0x2545_F491_4F6C_DD1D);
        let late = random >> 7 & jitter;
        OrderId(
            uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + n / 100 - late, &bytes(random)).into_uuid(),
        )
    }

    fn bytes(random: u64) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&random.wrapping_mul(0x9FB2_1C65_1E98_DF25).to_le_bytes());
        bytes
    }

    #[test]
    fn a_known_key_is_never_new_and_nearly_every_fresh_one_is() {
        const MANY: u64 = 200_000;
        for (before, jitter) in [(0, 0), (0, 63), (1_000, 15), (RecentKeys::REACH, 63), (100_000, 255)] {
            let mut stored: Vec<OrderId> = (0..before as u64).map(|n| id(n, jitter)).collect();
            stored.sort_unstable_by(|a, b| b.cmp(a));
            stored.truncate(RecentKeys::REACH);
            let mut recent = RecentKeys::of(&stored, NOW);
            assert!((0..before as u64).all(|n| !recent.is_new(id(n, jitter))), "{before} stored, {jitter} ms");
            let mut looked_up = 0;
            for n in before as u64..before as u64 + MANY {
                looked_up += u64::from(!recent.is_new(id(n, jitter)));
                recent.insert(id(n, jitter), NOW);
                let earlier = n.saturating_sub(n.wrapping_mul(0x9E37_79B9) % 80_000);
                assert!(!recent.is_new(id(n, jitter)) && !recent.is_new(id(earlier, jitter)), "{earlier} of {n}");
            }
            assert!(looked_up < MANY / 300, "{looked_up} fresh keys are looked up: {before} stored, {jitter} ms");
        }
    }

    #[test]
    fn the_last_one_that_is_forgotten_is_looked_up() {
        let mut recent = RecentKeys::default();
        let ids: Vec<_> = (0..=2 * RecentKeys::REACH as u64).map(|n| id(n, 0)).collect();
        ids.iter().for_each(|id| recent.insert(*id, NOW));
        let forgotten = ids[..RecentKeys::REACH].iter().max().unwrap();
        assert_eq!(recent.above, forgotten.0.as_u128());
        assert!(!recent.is_new(*forgotten));
    }

    /// Ids of one millisecond come in any order. What was forgotten may then be above what is fresh, which is looked up; what
    /// the ledger holds is never called new.
    #[test]
    fn ids_of_one_millisecond_need_no_order() {
        const MANY: u64 = 3 * RecentKeys::REACH as u64;
        let at = |millis: u64, n: u64| {
            let random = bytes(n.wrapping_mul(0x2545_F491_4F6C_DD1D));
            OrderId(uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000 + millis, &random).into_uuid())
        };
        let mut recent = RecentKeys::default();
        for n in 0..MANY {
            recent.insert(at(0, n), NOW);
            assert!(!recent.is_new(at(0, n)));
        }
        assert!((0..MANY).all(|n| !recent.is_new(at(0, n))), "the ledger holds them");
        let looked_up = (0..10_000).filter(|n| !recent.is_new(at(1, *n))).count();
        assert!(looked_up < 10_000 / 150, "{looked_up} ids of the next millisecond are looked up");
    }

    #[test]
    fn an_id_from_the_future_slows_no_other_one() {
        const MANY: u64 = 5 * RecentKeys::REACH as u64;
        let far = OrderId(uuid::Builder::from_unix_timestamp_millis((1 << 48) - 1, &bytes(7)).into_uuid());
        let mut stored: Vec<OrderId> = (0..RecentKeys::REACH as u64).map(|n| id(n, 0)).collect();
        for before in [vec![], vec![far]] {
            stored.splice(0..0, before);
            stored.sort_unstable_by(|a, b| b.cmp(a));
            stored.truncate(RecentKeys::REACH);
            let mut recent = RecentKeys::of(&stored, NOW);
            recent.insert(far, NOW);
            let first = RecentKeys::REACH as u64;
            let looked_up = (first..first + MANY).filter(|n| {
                let looked_up = !recent.is_new(id(*n, 0));
                recent.insert(id(*n, 0), NOW);
                assert!(!recent.is_new(far) && !recent.is_new(id(*n, 0)));
                looked_up
            });
            let looked_up = looked_up.count();
            assert!(looked_up < 5 * RecentKeys::REACH / 300, "{looked_up} fresh keys are looked up");
        }
    }

    /// To a clock that is behind, all ids are ahead of the time. What is held beside the filters is bounded even then.
    #[test]
    fn a_clock_that_is_behind_forgets_nothing_and_takes_no_more_memory() {
        const MANY: u64 = 2 * RecentKeys::REACH as u64;
        let mut recent = RecentKeys::default();
        for n in 0..MANY {
            assert!(recent.is_new(id(n, 0)), "it is above all others");
            recent.insert(id(n, 0), Timestamp(i64::MIN));
        }
        assert_eq!(recent.ahead.len(), RecentKeys::REACH);
        assert!((0..MANY).all(|n| !recent.is_new(id(n, 0))));
        // The clock is set: what was ahead is forgotten with the filters, and looked up.
        (MANY..3 * MANY).for_each(|n| recent.insert(id(n, 0), NOW));
        assert!(recent.ahead.is_empty() && (0..3 * MANY).all(|n| !recent.is_new(id(n, 0))));
    }

    #[test]
    fn an_id_that_tells_no_time_is_always_looked_up() {
        let mut recent = RecentKeys::default();
        let random = OrderId(uuid::Builder::from_random_bytes([7; 16]).into_uuid());
        assert!(!recent.is_new(random));
        recent.insert(random, NOW);
        assert!(!recent.is_new(random));
    }
}
