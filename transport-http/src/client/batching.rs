//! Waiting calls go as one request.

use axum::http::Method;
use bookstore_core::{
    Error, Lines, OrderId, Receipt, Result,
    batch::{self, Call, Queue, Waiting},
};
use futures_util::future::join_all;
use hyper_util::client::legacy::connect::Connect;
use std::{future::ready, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    client::claim::Claim,
    client::per_runtime::PerRuntime,
    client::retry::{Effect, Failure, Tried, still_unknown},
    client::{Ask, Client, Compact},
    internal::compact,
    internal::{BATCH_MAX, OrderCommand},
};

/// A question on its way into a batch.
#[derive(Debug)]
struct Asked {
    question: OrderCommand,
    claim: Claim,
}

/// An answer as a server gave it; an error around it means that the question never left this end.
type Answered = Result<Receipt>;

/// Sends keyed calls to one path of a group of servers: an idle one at once, busy ones as many at once as have gathered.
///
/// Retries are per call, each within its own deadline: a call that is sent again joins whichever batch forms then.
#[derive(Debug)]
pub(crate) struct Coalescer<C> {
    client: Client<C>,
    path: &'static str,
    /// Each has a worker on its runtime, which ends when the queue is dropped.
    queues: PerRuntime<Arc<Queue<Asked, Answered>>>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Coalescer<C> {
    pub(crate) fn new(client: Client<C>, path: &'static str) -> Self {
        Self { client, path, queues: PerRuntime::default() }
    }

    fn queue(&self) -> Arc<Queue<Asked, Answered>> {
        self.queues.get(|| {
            let (queue, waiting) = batch::queue(self.client.options().waiting_max);
            tokio::spawn(work(self.client.clone(), self.path, waiting));
            Arc::new(queue)
        })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&self, question: OrderCommand) -> Result<Receipt> {
        let deadline = Instant::now() + self.client.options().deadline;
        let question = &question;
        let tried =
            self.client.retries().run(Effect::Keyed, deadline, || self.attempt(question.clone(), deadline)).await?;
        Ok(tried.answer)
    }

    /// Sends sales that have gathered elsewhere already, in as few requests as they fit into.
    ///
    /// A request that was lost is sent again with all its calls. What an answer says of a call is left to whoever sent it.
    pub(crate) async fn sell_many(&self, sales: &[(OrderId, Lines)]) -> Vec<Result<Receipt>> {
        let requests = sales.chunks(BATCH_MAX).map(|sales| async move {
            let calls = sales.iter().map(|(order, lines)| OrderCommand::Sell(*order, lines));
            let tried = self.client.tried(request(self.path, calls)).await;
            let answers = tried.and_then(|Tried { answer, after_unknown }| {
                let answers = counted(answer, sales.len())?;
                let still = |answer: Answered| answer.map_err(still_unknown);
                Ok(if after_unknown { answers.into_iter().map(still).collect() } else { answers })
            });
            answers.unwrap_or_else(|error| vec![Err(error); sales.len()])
        });
        let mut answers = join_all(requests).await.into_iter();
        let mut all = answers.next().unwrap_or_default();
        all.extend(answers.flatten());
        all
    }

    async fn attempt(&self, question: OrderCommand, deadline: Instant) -> Result<Receipt, Failure> {
        let claim = Claim::default();
        let asked = Asked { question, claim: claim.clone() };
        match timeout_at(deadline, self.queue().call(asked)).await {
            Ok(Ok(answered)) => answered.map_err(Failure::Attempt),
            Ok(Err(not_queued)) => Err(Failure::Here(not_queued)),
            Err(_) if claim.revoke() => {
                Err(Failure::Here(Error::DeadlineExpired { message: "while it waited to be sent".into() }))
            }
            Err(_) => Err(Failure::Here(Error::unknown("no answer in time"))),
        }
    }
}

async fn work<C>(client: Client<C>, path: &'static str, mut waiting: Waiting<Asked, Answered>)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let (options, servers) = (client.options(), client.servers());
    // Of this runtime alone: an idle worker is to be quick, whatever the others do.
    let places = options.batches_in_flight_max.max(1) * servers;
    let (come_back, mut back) = mpsc::unbounded_channel();
    let mut in_flight = 0;
    let mut others = Others::default();
    loop {
        // First a place, then the calls: while there is none, the next batch gathers.
        let mut answered = Back::default();
        loop {
            let batch = tokio::select! {
                biased;
                Some(batch) = back.recv() => batch,
                () = ready(()), if in_flight < places => break,
                () = waiting.at_least(options.overlap_min), if in_flight < places + servers => break,
            };
            in_flight -= 1;
            answered = answered.and(batch);
        }
        if answered.calls > 0 {
            others.gather(&waiting, answered, options.overlap_min).await;
        }
        let calls = waiting.gather(BATCH_MAX).await;
        if calls.is_empty() {
            return;
        }
        in_flight += 1;
        tokio::spawn(post(client.clone(), path, calls, OnItsWay::new(come_back.clone())));
    }
}

/// A batch that is back.
#[derive(Clone, Copy, Default)]
struct Back {
    /// Those that were answered.
    calls: usize,
    /// How long it was on its way.
    took: Duration,
}

impl Back {
    fn and(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, took: self.took.max(other.took) }
    }
}

/// A batch's place. It is given back when this is dropped, whatever became of the batch.
struct OnItsWay {
    from: Instant,
    /// So many of its calls.
    answered: usize,
    come_back: mpsc::UnboundedSender<Back>,
}

impl OnItsWay {
    fn new(come_back: mpsc::UnboundedSender<Back>) -> Self {
        Self { from: Instant::now(), answered: 0, come_back }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        // The worker is there as long as somebody may ask.
        let _ = self.come_back.send(Back { calls: self.answered, took: self.from.elapsed() });
    }
}

/// Holds a batch up for callers who ask again as soon as they are answered. Without, whoever of them comes first makes all others wait
/// for one more batch.
#[derive(Default)]
struct Others {
    /// Batches that are not held up, because callers did not come back; …
    to_skip: u32,
    /// … and how many it was the last time.
    skipped: u32,
}

/// Of so many batches one is held up to see whether callers come back, however often they did not.
const HELD_UP_ONE_IN: u32 = 32;
/// No batch is held up for longer, however slow the answers are.
const HELD_UP_MAX: Duration = Duration::from_millis(20);

impl Others {
    /// Waits until most of those who were `answered` ask again, or `enough` wait in all; at most for half of the time that the
    /// answers took. Callers who come without regard to the answers would need three quarters of it: as many as wait now
    /// have come while the batch was on its way.
    async fn gather(&mut self, waiting: &Waiting<Asked, Answered>, answered: Back, enough: usize) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        let (from, patience) = (Instant::now(), HELD_UP_MAX.min(answered.took / 2));
        let all = waiting.len() + answered.calls;
        let back = timeout(patience, waiting.at_least((all - all / 8).min(enough))).await;
        // The timer is a millisecond late, or more.
        if back.is_ok() && from.elapsed() <= patience {
            *self = Self::default();
        } else {
            self.skipped = (2 * self.skipped + 1).min(HELD_UP_ONE_IN - 1);
            self.to_skip = self.skipped;
        }
    }
}

async fn post<C>(client: Client<C>, path: &'static str, calls: Vec<Call<Asked, Answered>>, mut place: OnItsWay)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    // Whoever has stopped waiting gets nothing done.
    let wanted = calls.into_iter().filter(|call| !call.reply.is_closed() && call.command.claim.take());
    let (questions, replies): (Vec<_>, Vec<_>) = wanted.map(|call| (call.command.question, call.reply)).unzip();
    if questions.is_empty() {
        return;
    }
    let request = request(path, questions.iter().map(OrderCommand::as_ref));
    let answers = client.call_once(&request).await.and_then(|answer| counted(answer, questions.len()));
    place.answered = answers.as_ref().map_or(0, Vec::len);
    // The next batch may go while these answers are handed out.
    drop(place);
    match answers {
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| reply.send(Ok(answer))),
        Err(error) => replies.into_iter().for_each(|reply| reply.send(Ok(Err(error.clone())))),
    }
}

/// The request for a batch of calls.
fn request<'a>(path: &'static str, calls: impl ExactSizeIterator<Item = OrderCommand<&'a Lines>>) -> Ask {
    let len = u32::try_from(calls.len()).unwrap_or(u32::MAX);
    metrics::histogram!("bookstore_client_batch_calls", "path" => path).record(f64::from(len));
    let ask = Ask::send(Method::POST, path, compact::write_calls(calls).into(), Effect::Keyed);
    ask.content_type(compact::MEDIA_TYPE)
}

/// The answers to a batch, if there are as many as there were calls.
fn counted(Compact(answers): Compact<Vec<Answered>>, calls: usize) -> Result<Vec<Answered>> {
    if answers.len() == calls { Ok(answers) } else { Err(Error::unknown("the server gave a wrong number of answers")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bookstore_core::{Clock as _, SystemClock};
    use std::pin::pin;

    const MS: Duration = Duration::from_millis(1);

    fn asked() -> Asked {
        Asked { question: OrderCommand::Release(SystemClock.new_order_id()), claim: Claim::default() }
    }

    /// How long a batch is held up after 10 calls were answered, which took 20 ms, while as many more come, one `every` so long.
    async fn held_up(others: &mut Others, every: Duration, enough: usize) -> Duration {
        held_up_after(20 * MS, others, every, enough).await
    }

    async fn held_up_after(took: Duration, others: &mut Others, every: Duration, enough: usize) -> Duration {
        let (queue, waiting) = batch::queue(100);
        let started = Instant::now();
        let coming = join_all((1..=10).map(|nth| {
            let queue = &queue;
            async move {
                tokio::time::sleep(nth * every).await;
                queue.call(asked()).await
            }
        }));
        let mut coming = pin!(coming);
        let mut held = pin!(others.gather(&waiting, Back { calls: 10, took }, enough));
        std::future::poll_fn(|cx| {
            let _ = coming.as_mut().poll(cx);
            held.as_mut().poll(cx)
        })
        .await;
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_most_of_those_who_ask_again_at_once() {
        let mut others = Others::default();
        for _ in 0..3 {
            assert_eq!(held_up(&mut others, MS, 100).await, 9 * MS, "nine of ten");
            assert_eq!(held_up(&mut others, MS, 4).await, 4 * MS, "enough");
        }
    }

    #[test]
    fn batches_that_come_back_together_are_waited_for_together() {
        let both = Back { calls: 3, took: 5 * MS }.and(Back { calls: 4, took: 2 * MS });
        assert_eq!((both.calls, both.took), (7, 5 * MS));
    }

    #[tokio::test(start_paused = true)]
    async fn no_batch_waits_long_for_callers_because_the_last_one_did() {
        let held = held_up_after(2000 * MS, &mut Others::default(), 10 * MS, 100).await;
        assert!((HELD_UP_MAX..=HELD_UP_MAX + 2 * MS).contains(&held), "{held:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_do_not_come_back_are_waited_for_ever_more_seldom() {
        let mut others = Others::default();
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(held_up(&mut others, 2 * MS, 100).await);
        }
        let longest = held.iter().max().expect("there are some");
        // Half of 20 ms, and what the timer is late.
        assert!((10 * MS..=12 * MS).contains(longest), "{longest:?}");
        let when = held.iter().enumerate().filter(|(_, held)| !held.is_zero()).map(|(nth, _)| nth);
        assert_eq!(when.collect::<Vec<_>>(), [0, 2, 6, 14, 30, 62, 94]);
        // Until they do.
        while held_up(&mut others, MS, 100).await.is_zero() {}
        assert_eq!(held_up(&mut others, MS, 100).await, 9 * MS);
    }
}
