//! The one source of time and of fresh ids.
//!
//! Everything that needs the time or a new id takes a [`Clock`], so that tests and the simulation can decide both. Nothing is
//! ordered by time: the ledger's sequence numbers are the order of events, and clocks may jump in either direction.

use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    cell::RefCell,
    fmt,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use uuid::Uuid;

use crate::id::OrderId;

/// A moment: milliseconds since 1970 in UTC. In JSON it is a string as RFC 3339 has it.
///
/// ```
/// use bookstore_core::Timestamp;
///
/// assert_eq!(Timestamp(1_700_000_000_123).to_string(), "2023-11-14T22:13:20.123Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Timestamp {
    /// The day by UTC, counted from 1970-01-01.
    #[must_use]
    pub(crate) fn day(self) -> i64 {
        self.0.div_euclid(86_400_000)
    }

    /// The moment as RFC 3339 has it, to the millisecond. Outside of the years that RFC 3339 knows, the bare number and `ms`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
        // Each thread keeps the text of the last second: nearly all moments that are shown are of the current one.
        thread_local!(static SHOWN: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) });
        let (second, millisecond) = (self.0.div_euclid(1000), self.0.rem_euclid(1000).unsigned_abs());
        SHOWN.with_borrow_mut(|(shown, text)| {
            if *shown != second {
                let Ok(time) = jiff::Timestamp::from_second(second) else { return format!("{} ms", self.0) };
                *text = SECONDS.timestamp_to_string(&time);
                *shown = second;
            }
            let mut shown = String::with_capacity(text.len() + 4);
            shown.push_str(text.trim_end_matches('Z'));
            shown.push('.');
            for unit in [100, 10, 1] {
                shown.push(char::from(b"0123456789"[(millisecond / unit % 10) as usize]));
            }
            shown.push('Z');
            shown
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Self(time.as_millisecond()))
    }
}

/// Where time and fresh ids come from: [`SystemClock`] in production, [`ManualClock`] in tests.
pub trait Clock: Send + Sync {
    /// The time now. It MAY jump, in either direction.
    fn now(&self) -> Timestamp;

    /// A UUID that was never drawn before, by any process. It SHOULD be of version 7, and nobody who has seen other ids MUST be
    /// able to guess it: whoever knows an order id may read and cancel the order.
    fn new_id(&self) -> Uuid;

    /// A fresh order id. Make one per purchase intent, and keep it until the outcome is known.
    fn new_order_id(&self) -> OrderId {
        OrderId(self.new_id())
    }
}

/// The machine's clock and random source.
///
/// Its ids are of version 7: the clock's time to a quarter of a microsecond (RFC 9562, section 6.2, method 3), and 62 bits that are
/// random in every id. There is no counter, so no id tells anything of another one; after the clock was set, ids follow it at once.
/// The bits come from a cryptographic generator of the thread that the kernel seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn new_id(&self) -> Uuid {
        fresh_id(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// A UUID of version 7 at this time since 1970. Time within the millisecond goes before the random bits, so that ids are appended at
/// the end of the ledger's index: see `docs/decisions/0047`.
fn fresh_id(since_1970: Duration) -> Uuid {
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let fraction = (since_1970.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    // A version 4 has its random bits where a version 7 has them.
    let [_, _, _, _, _, _, mut bits @ ..] = Uuid::new_v4().into_bytes();
    bits[..2].copy_from_slice(&u16::try_from(fraction).expect("12 bits").to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}

/// A clock that stands still until it is set, and counts its ids, so that the same run gives the same trace.
///
/// Its ids are of version 7 and repeat in every new clock that shows the same time: for tests only.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
    ids: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now` and has drawn no id yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { now_ms: AtomicI64::new(now.0), ids: AtomicU64::new(0) }
    }

    /// Sets the time, forwards or back.
    pub fn set(&self, now: Timestamp) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> Uuid {
        let count = self.ids.fetch_add(1, Ordering::SeqCst);
        let millis = u64::try_from(self.now().0).unwrap_or_default();
        let mut random = [0; 10];
        random[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_jiff(Timestamp(ms): Timestamp) -> String {
        const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        let time = jiff::Timestamp::from_millisecond(ms);
        time.map_or_else(|_| format!("{ms} ms"), |time| MILLISECONDS.timestamp_to_string(&time))
    }

    proptest! {
        #[test]
        fn a_moment_is_shown_whatever_was_shown_before(
            from in any::<i64>(),
            century in -4_000_000_000_000..=4_000_000_000_000_i64,
        ) {
            for start in [from, century] {
                for step in [0, 1, 998, 999, 1000, -1, -1000] {
                    let moment = Timestamp(start.saturating_add(step));
                    prop_assert_eq!(moment.rfc3339(), by_jiff(moment));
                }
            }
        }
    }

    /// The milliseconds of an id, and its 74 bits after them.
    fn parts(id: Uuid) -> (u64, u128) {
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let bits = id.as_u128();
        let random = (bits >> 64 & 0xfff) << 62 | bits & ((1 << 62) - 1);
        (u64::try_from(bits >> 80).expect("48 bits"), random)
    }

    #[test]
    fn ids_of_one_moment_have_nothing_in_common() {
        let moment = Duration::from_nanos(1_700_000_000_123_456_789);
        let ids: Vec<_> = (0..1000).map(|_| parts(fresh_id(moment))).collect();
        // 0.456789 of 4096.
        let same = ids.iter().all(|(millis, random)| (*millis, random >> 62) == (1_700_000_000_123, 1871));
        assert!(same, "the time is all that they share");
        for bit in 0..62 {
            let set = ids.iter().filter(|(_, random)| random >> bit & 1 == 1).count();
            assert!((300..700).contains(&set), "bit {bit} is set in {set} of 1000 ids");
        }
        // One in 2^42 runs has a pair as close as this.
        let mut random: Vec<u128> = ids.iter().map(|(_, random)| *random).collect();
        random.sort_unstable();
        assert!(random.windows(2).all(|pair| pair[1] - pair[0] > 1), "two ids are neighbours");
    }

    #[test]
    fn ids_follow_the_clock_wherever_it_is_set() {
        for millis in [5_000, 1_700_000_000_000, 5_000, 0] {
            assert_eq!(parts(fresh_id(Duration::from_millis(millis))).0, millis);
        }
        assert!(fresh_id(Duration::from_micros(7)) > fresh_id(Duration::from_micros(5)), "within a millisecond, too");
        let (before, id, after) = (SystemClock.now(), SystemClock.new_id(), SystemClock.now());
        let millis = i64::try_from(parts(id).0).expect("48 bits");
        assert!((before.0..=after.0).contains(&millis) || after < before);
    }

    #[test]
    fn what_is_no_year_is_shown_as_a_number() {
        for moment in [i64::MIN, i64::MAX].map(Timestamp) {
            assert_eq!(moment.rfc3339(), format!("{} ms", moment.0));
        }
    }
}
