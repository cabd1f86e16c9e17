//! A native consumer on JetStream: takes events of one stream, publishes as many on another, acknowledges. What would slow it down
//! and is no part of the work is left out: no ids to know an event again by, one acknowledgement for a batch, and many publishes in flight.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::{self, Stream as Messages};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::{self, Context, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::ReadyChunks;

use super::super::Error;

const BATCH: usize = 1024;
const EVENT_BYTES: usize = 256;
/// How long nothing may come before it is looked whether more is to come.
const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(30);
const ACKS_PENDING_MAX: i64 = 65_536;

/// Events in a second that wait in the stream when the clock starts.
pub async fn waiting(address: &str, batches: usize) -> Result<f64, Error> {
    let mut relay = Relay::prepare(address, "waiting").await?;
    for _ in 0..batches {
        publish(&relay.context, &relay.from).await?;
    }
    let events = batches * BATCH;
    let began = Instant::now();
    while relay.done < events {
        relay.batch().await?;
    }
    Ok(events as f64 / began.elapsed().as_secs_f64())
}

/// Events in a second while a publisher with a connection of its own runs as fast as it can.
pub async fn while_published(address: &str, time: Duration) -> Result<f64, Error> {
    let mut relay = Relay::prepare(address, "published").await?;
    let (address, from) = (address.to_owned(), relay.from.clone());
    let began = Instant::now();
    let publisher = tokio::spawn(async move {
        let (context, mut events) = (connect(&address).await?, 0);
        while began.elapsed() < time {
            publish(&context, &from).await?;
            events += BATCH;
        }
        Ok::<_, Error>(events)
    });
    while !publisher.is_finished() {
        relay.batch().await?;
    }
    let events = publisher.await.map_err(|_| Error::Panicked)??;
    while relay.done < events {
        relay.batch().await?;
    }
    Ok(events as f64 / began.elapsed().as_secs_f64())
}

async fn connect(address: &str) -> Result<Context, Error> {
    Ok(jetstream::new(async_nats::connect(address).await.map_err(nats)?))
}

/// A consumer with what it reads and where it publishes.
struct Relay {
    context: Context,
    from: String,
    to: String,
    batches: ReadyChunks<Messages>,
    done: usize,
    pauses: u32,
}

impl Relay {
    /// A stream for what comes in, one for what goes out, and a durable consumer of the first.
    async fn prepare(address: &str, name: &str) -> Result<Self, Error> {
        let context = connect(address).await?;
        let [from, to] = ["in", "out"].map(|end| format!("{name}-{end}"));
        for name in [&from, &to] {
            let stream = stream::Config { name: name.clone(), ..Default::default() };
            context.create_stream(stream).await.map_err(nats)?;
        }
        let consumer = pull::Config {
            durable_name: Some("relay".to_owned()),
            ack_policy: AckPolicy::All,
            max_ack_pending: ACKS_PENDING_MAX,
            ..Default::default()
        };
        let stream = context.get_stream(&from).await.map_err(nats)?;
        let consumer: PullConsumer = stream.create_consumer(consumer).await.map_err(nats)?;
        let messages = consumer.stream().max_messages_per_batch(2 * BATCH).messages().await.map_err(nats)?;
        Ok(Self { context, from, to, batches: messages.ready_chunks(BATCH), done: 0, pauses: 0 })
    }

    /// What is there of up to a batch; waits a moment if nothing is. It is acknowledged when all that it caused is stored.
    async fn batch(&mut self) -> Result<(), Error> {
        let Ok(batch) = tokio::time::timeout(PAUSE, self.batches.next()).await else {
            self.pauses += 1;
            return self.check_pauses();
        };
        self.pauses = 0;
        let (mut stored, mut last) = (Vec::with_capacity(BATCH), None);
        for message in batch.into_iter().flatten() {
            let message = message.map_err(nats)?;
            let publish = self.context.publish(self.to.clone(), message.payload.clone());
            stored.push(publish.await.map_err(nats)?);
            last = Some(message);
        }
        self.done += stored.len();
        all(stored).await?;
        match last {
            Some(last) => last.ack().await.map_err(nats),
            None => Err(Error::Host { why: "NATS: the stream ended".to_owned() }),
        }
    }

    fn check_pauses(&self) -> Result<(), Error> {
        if PAUSE * self.pauses < PATIENCE {
            return Ok(());
        }
        let why = format!("NATS: nothing came for {PATIENCE:?} after {} events", self.done);
        Err(Error::Host { why })
    }
}

/// One batch, until all of it is stored.
async fn publish(context: &Context, subject: &str) -> Result<(), Error> {
    let data = Bytes::from(vec![b'x'; EVENT_BYTES]);
    let mut stored = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        stored.push(context.publish(subject.to_owned(), data.clone()).await.map_err(nats)?);
    }
    all(stored).await
}

async fn all(stored: Vec<PublishAckFuture>) -> Result<(), Error> {
    for stored in stored {
        stored.into_future().await.map_err(nats)?;
    }
    Ok(())
}

fn nats(error: impl std::fmt::Display) -> Error {
    Error::Host { why: format!("NATS: {error}") }
}
