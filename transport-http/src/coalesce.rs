//! Waiting calls go as one request.

use axum::http::Method;
use bookstore_core::{
    Error, Receipt, Result,
    batch::{self, Call, Queue, Waiting},
};
use hyper_util::client::legacy::connect::Connect;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::{
    claim::Claim,
    client::{Ask, Client, Compact},
    compact,
    internal::BATCH_MAX,
    retry::{Effect, Failure, Retries},
};

/// A question on its way into a batch.
#[derive(Debug)]
struct Asked {
    question: compact::Call,
    claim: Claim,
}

/// An answer as a server gave it; an error around it means that the question never left this end.
type Answered = Result<Receipt>;

/// Sends keyed calls to one path of a group of servers: an idle one at once, busy ones as many at once as have gathered.
///
/// Retries are per call, each within its own deadline: a call that is sent again joins whichever batch forms then.
#[derive(Debug)]
pub(crate) struct Coalescer {
    queue: Queue<Asked, Answered>,
    retries: Arc<Retries>,
    deadline: Duration,
}

impl Coalescer {
    /// Starts the worker on the current runtime; it ends when this is dropped.
    pub(crate) fn start<C>(client: Client<C>, path: &'static str) -> Self
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let (queue, waiting) = batch::queue(client.options().waiting_max);
        let (retries, deadline) = (Arc::clone(client.retries()), client.options().deadline);
        tokio::spawn(work(client, path, waiting));
        Self { queue, retries, deadline }
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn call(&self, question: compact::Call) -> Result<Receipt> {
        let deadline = Instant::now() + self.deadline;
        let question = &question;
        self.retries.run(Effect::Keyed, deadline, || self.attempt(question.clone(), deadline)).await
    }

    async fn attempt(&self, question: compact::Call, deadline: Instant) -> Result<Receipt, Failure> {
        let claim = Claim::default();
        let asked = Asked { question, claim: claim.clone() };
        match timeout_at(deadline, self.queue.call(asked)).await {
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
    let places = Arc::new(Semaphore::new(client.options().batches_in_flight_max.max(1) * client.servers()));
    // First a place, then the calls: while all places are taken, the next batch gathers.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let calls = waiting.gather(BATCH_MAX).await;
        if calls.is_empty() {
            return;
        }
        tokio::spawn(post(client.clone(), path, calls, place));
    }
}

async fn post<C>(client: Client<C>, path: &'static str, calls: Vec<Call<Asked, Answered>>, place: OwnedSemaphorePermit)
where
    C: Connect + Clone + Send + Sync + 'static,
{
    // Whoever has stopped waiting gets nothing done.
    let wanted = calls.into_iter().filter(|call| !call.reply.is_closed() && call.command.claim.take());
    let (questions, replies): (Vec<_>, Vec<_>) = wanted.map(|call| (call.command.question, call.reply)).unzip();
    if questions.is_empty() {
        return;
    }
    metrics::histogram!("bookstore_client_batch_calls", "path" => path).record(f64::from(len(&questions)));
    let answers = exchange(&client, path, &questions).await;
    // The next batch may go while these answers are handed out.
    drop(place);
    match answers {
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer.into())))),
        Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Ok(Err(error.clone()))))),
    }
}

async fn exchange<C>(
    client: &Client<C>,
    path: &'static str,
    questions: &[compact::Call],
) -> Result<Vec<compact::Answer>>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let ask = Ask::send(Method::POST, path, compact::write(&questions).into(), Effect::Keyed);
    let ask = ask.content_type(compact::MEDIA_TYPE);
    let Compact(answers): Compact<Vec<compact::Answer>> = client.call_once(&ask).await?;
    if answers.len() == questions.len() {
        Ok(answers)
    } else {
        Err(Error::unknown("the server gave a wrong number of answers"))
    }
}

fn len<T>(batch: &[T]) -> u32 {
    u32::try_from(batch.len()).unwrap_or(u32::MAX)
}
