//! Natural batching of calls: an idle client sends a call at once, a busy one sends all calls that have gathered as one request.
//!
//! Calls go into a bounded queue, one for each runtime. A worker takes up to [`BATCH_MAX`] of them as soon as fewer than
//! [`batches_in_flight_max`] batches per server are in flight; until then the next batch gathers. Batching adds no delay but the
//! one in `adaptive_delay.rs`, and it needs no timer: the slower the servers, the larger the batches.
//!
//! Every call keeps its own deadline, its own claim and its own answer. If a batch is lost, all its calls share that fate, and
//! each is retried by itself. The histogram `bookstore_client_batch_calls` counts the calls of each batch.
//!
//! [`batches_in_flight_max`]: super::ClientOptions::batches_in_flight_max

use bookstore_core::{
    Error, Lines, OrderId, Receipt, Result,
    batch::{self, Call, Queue, Waiting},
    follow::Pinned,
    retry::{Effect, still_unknown},
};
use futures_util::future::join_all;
use http::Method;
use hyper_util::client::legacy::connect::Connect;
use std::sync::Arc;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{
    Client,
    adaptive_delay::{AdaptiveDelay, Completed},
    claim::Claim,
    per_runtime::PerRuntime,
    request::OutboundRequest,
    response::Compact,
    retry::{Failure, RetryOutcome},
};
use crate::compact::{self, BATCH_MAX, OrderCommand};

/// A call that waits to be sent in a batch.
#[derive(Debug)]
struct PendingCall {
    command: OrderCommand,
    /// Taken when the call is put into a batch, revoked when its caller gives up before.
    claim: Claim,
}

/// The answer of a server to one call. In a queue, an error around it means that the call never left this client.
type Response = Result<Receipt>;

/// Sends keyed calls to one path of a group of servers, in batches.
///
/// Retries are made for each call by itself, within its own deadline: a call that is sent again joins the batch that gathers then.
/// So a call that fails does not hold up those that were sent with it.
#[derive(Debug)]
pub(crate) struct Batcher<C> {
    client: Client<C>,
    path: &'static str,
    pinned: Option<Pinned>,
    /// Each queue has a worker on its runtime, which ends when the queue is dropped.
    queues: PerRuntime<Arc<Queue<PendingCall, Response>>>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Batcher<C> {
    /// Sends to `path` of the client's servers. The first call in each runtime starts a worker there.
    pub(crate) fn new(client: Client<C>, path: &'static str) -> Self {
        Self { client, path, pinned: None, queues: PerRuntime::default() }
    }

    /// Sends a pin with each batch.
    pub(crate) fn pinned(self, pinned: Pinned) -> Self {
        Self { pinned: Some(pinned), ..self }
    }

    /// The pin that it sends.
    pub(crate) fn pin(&self) -> Option<Pinned> {
        self.pinned.clone()
    }

    /// Sends one call, with retries, and waits for its answer.
    ///
    /// # Errors
    /// - The server's own answer, if it refuses the call.
    /// - [`Error::Overloaded`] if the queue is full: not executed.
    /// - [`Error::DeadlineExpired`] if the call was still waiting to be sent at its deadline: not executed.
    /// - [`Error::Unavailable`] if no server could be reached: not executed.
    /// - [`Error::OutcomeUnknown`] if any attempt may have been executed and none was answered with success.
    pub(crate) async fn call(&self, command: OrderCommand) -> Result<Receipt> {
        let deadline = Instant::now() + self.client.shared.options.deadline;
        let attempt = || self.attempt(command.clone(), deadline);
        Ok(self.client.shared.retries.run(Effect::Keyed, deadline, attempt).await?.answer)
    }

    /// Sends sales that have gathered elsewhere already, in as few requests as they fit into.
    ///
    /// A request that was lost is sent again with all its calls; a refusal of a single call is not retried. The answers are in
    /// the order of the sales. Each is an answer or an error of its own, as in [`call`](Self::call).
    pub(crate) async fn sell_many(&self, sales: &[(OrderId, Lines)]) -> Vec<Result<Receipt>> {
        let requests = sales.chunks(BATCH_MAX).map(|sales| self.sell_batch(sales));
        let answers = join_all(requests).await.into_iter();
        answers
            .reduce(|mut all, more| {
                all.extend(more);
                all
            })
            .unwrap_or_default()
    }

    /// Sends at most [`BATCH_MAX`] sales as one request. If an earlier attempt may have been executed, refusals are unknown.
    async fn sell_batch(&self, sales: &[(OrderId, Lines)]) -> Vec<Result<Receipt>> {
        let calls = sales.iter().map(|(order, lines)| OrderCommand::Sell(*order, lines));
        let seen = Seen::under(self.pinned.as_ref());
        let outcome = self.client.call_with_retries(request(self.path, calls).pinned(self.pinned.clone())).await;
        let answers = outcome.and_then(|RetryOutcome { answer, after_unknown }| {
            let answers = check_count(answer, sales.len())?;
            seen.note(&answers);
            let still = |answer: Response| answer.map_err(still_unknown);
            Ok(if after_unknown { answers.into_iter().map(still).collect() } else { answers })
        });
        answers.unwrap_or_else(|error| vec![Err(error); sales.len()])
    }

    /// Puts a call into the queue and waits for its answer until the deadline.
    async fn attempt(&self, command: OrderCommand, deadline: Instant) -> Result<Receipt, Failure> {
        let claim = Claim::default();
        let call = PendingCall { command, claim: claim.clone() };
        match timeout_at(deadline, self.queue().call(call)).await {
            Ok(Ok(response)) => response.map_err(Failure::Attempt),
            Ok(Err(not_queued)) => Err(Failure::Local(not_queued)),
            Err(_) if claim.revoke() => {
                Err(Failure::Local(Error::DeadlineExpired { message: "while it waited to be sent".into() }))
            }
            Err(_) => Err(Failure::Local(Error::unknown("no answer in time"))),
        }
    }

    /// The queue of the current runtime.
    fn queue(&self) -> Arc<Queue<PendingCall, Response>> {
        self.queues.get(|| {
            let (queue, waiting) = batch::queue(self.client.shared.options.waiting_max);
            tokio::spawn(send_batches(self.client.clone(), self.path, self.pinned.clone(), waiting));
            Arc::new(queue)
        })
    }
}

/// The worker of a queue: it sends batches as long as the queue is there.
async fn send_batches<C>(
    client: Client<C>,
    path: &'static str,
    pinned: Option<Pinned>,
    mut waiting: Waiting<PendingCall, Response>,
) where
    C: Connect + Clone + Send + Sync + 'static,
{
    // For this runtime alone: an idle worker sends at once, whatever other runtimes do.
    let in_flight_max = client.shared.options.batches_in_flight_max.max(1) * client.shared.servers.len();
    let (come_back, mut back) = mpsc::unbounded_channel();
    let mut in_flight = 0;
    let mut delay = AdaptiveDelay::default();
    loop {
        // First a free place, then the calls: while there is none, the next batch gathers.
        let mut completed = Completed::default();
        while let Some(batch) = if in_flight < in_flight_max { back.try_recv().ok() } else { back.recv().await } {
            in_flight -= 1;
            completed = completed.and(batch);
        }
        if completed.calls > 0 {
            delay.wait(&waiting, completed, BATCH_MAX).await;
        }
        let calls = waiting.gather(BATCH_MAX).await;
        if calls.is_empty() {
            return;
        }
        in_flight += 1;
        let in_flight_batch = InFlight::new(come_back.clone());
        tokio::spawn(send_batch(client.clone(), path, pinned.clone(), calls, in_flight_batch));
    }
}

/// The place of a batch in flight. It is given back when this is dropped, whatever became of the batch.
struct InFlight {
    since: Instant,
    /// The calls that were answered: none, unless the whole batch was.
    answered: usize,
    come_back: mpsc::UnboundedSender<Completed>,
}

impl InFlight {
    fn new(come_back: mpsc::UnboundedSender<Completed>) -> Self {
        Self { since: Instant::now(), answered: 0, come_back }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // The worker may have ended: then nobody needs the place.
        let _ = self.come_back.send(Completed { calls: self.answered, took: self.since.elapsed() });
    }
}

/// Sends a batch once and hands the answers out. Retries are left to the callers.
async fn send_batch<C>(
    client: Client<C>,
    path: &'static str,
    pinned: Option<Pinned>,
    calls: Vec<Call<PendingCall, Response>>,
    mut in_flight: InFlight,
) where
    C: Connect + Clone + Send + Sync + 'static,
{
    // A call whose caller has given up is not sent.
    let wanted = calls.into_iter().filter(|call| !call.reply.is_closed() && call.command.claim.take());
    let (commands, replies): (Vec<_>, Vec<_>) = wanted.map(|call| (call.command.command, call.reply)).unzip();
    if commands.is_empty() {
        return;
    }
    let seen = Seen::under(pinned.as_ref());
    let request = request(path, commands.iter().map(OrderCommand::as_ref)).pinned(pinned.clone());
    let answers = client.call_once(&request).await.and_then(|answer| Ok(check_count(answer, commands.len())?));
    if let Ok(answers) = &answers {
        seen.note(answers);
    }
    in_flight.answered = answers.as_ref().map_or(0, Vec::len);
    // The next batch may go while these answers are handed out.
    drop(in_flight);
    match answers {
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| reply.send(Ok(answer))),
        Err(Failure::Attempt(error)) => replies.into_iter().for_each(|reply| reply.send(Ok(Err(error.clone())))),
        Err(Failure::Local(error)) => replies.into_iter().for_each(|reply| reply.send(Err(error.clone()))),
    }
}

/// Notes which entries the answers to a batch show.
struct Seen<'a>(Option<(&'a Pinned, Uuid)>);

impl<'a> Seen<'a> {
    /// Of the opening of the ledger that is pinned now.
    fn under(pinned: Option<&'a Pinned>) -> Self {
        Self(pinned.and_then(|pinned| Some((pinned, pinned.current().ok()?.incarnation))))
    }

    fn note(&self, answers: &[Response]) {
        let (Some((pinned, incarnation)), last) =
            (self.0, answers.iter().flatten().map(|receipt| receipt.order.seq).max())
        else {
            return;
        };
        pinned.saw(incarnation, last.unwrap_or_default());
    }
}

/// The request for a batch of at most [`BATCH_MAX`] calls, in the compact form.
fn request<'a>(path: &'static str, calls: impl ExactSizeIterator<Item = OrderCommand<&'a Lines>>) -> OutboundRequest {
    let len = u32::try_from(calls.len()).unwrap_or(u32::MAX);
    metrics::histogram!("bookstore_client_batch_calls", "path" => path).record(f64::from(len));
    OutboundRequest::send(Method::POST, path, compact::write_calls(calls).into(), Effect::Keyed)
        .content_type(compact::MEDIA_TYPE)
}

/// The answers to a batch, if there are as many as there were calls.
fn check_count(Compact(answers): Compact<Vec<Response>>, calls: usize) -> Result<Vec<Response>> {
    if answers.len() == calls { Ok(answers) } else { Err(Error::unknown("the server gave a wrong number of answers")) }
}
